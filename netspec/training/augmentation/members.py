"""What of a batch an augmentation is about: the pictures, what the data have for each of their pixels, and the other targets."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from netspec.backends.normalization import FLOATS
from netspec.diagnostics.model import Refusal
from netspec.graph import Graph
from netspec.recipe.entry import Entry, Wanted
from netspec.recipe.section import Section
from netspec.recipe.wanted import wanted
from netspec.record import record
from netspec.sizes.tensor import TensorType

Batch = dict[str, torch.Tensor]


@record
class Moving:
    """A tensor that moves with the pictures, `[N, C, H, W]` or `[N, H, W]`: by the nearest pixel, or between pixels; beyond the border
    it is `fill`."""

    name: str
    nearest: bool = False
    fill: float = 0.0


@record
class Members:
    """The inputs of a network by name, and the forms that its section's targets may have."""

    inputs: Mapping[str, TensorType]
    targets: Mapping[str, tuple[Wanted, ...]]

    def pictures(self, entry: Entry, channels: tuple[int, ...] | None = None) -> tuple[str, ...]:
        """The inputs `[N, C, H, W]` of floating-point numbers that an entry is for; with one of these numbers of channels.

        Raises Refusal NS843 where there is none, or the one that it names is none.
        """
        found = self._named(
            entry, tuple(name for name, kind in self.inputs.items() if kind.rank == 4 and kind.dtype in FLOATS), "a picture"
        )
        for name in found:
            if channels is not None and self.inputs[name].shape[1] not in channels:
                raise Refusal("NS843", f"`{entry.NAME}` is for {channels[0]} channels, and `{name}` is {self.inputs[name]}")
        return found

    def floats(self, entry: Entry) -> tuple[str, ...]:
        """The inputs of floating-point numbers that an entry is for. Raises Refusal NS843."""
        found = tuple(name for name, kind in self.inputs.items() if kind.dtype in FLOATS)
        return self._named(entry, found, "an input of floating-point numbers")

    def moving(self, entry: Entry, any_size: bool = False) -> tuple[Moving, ...]:
        """The pictures that an entry is for, and the targets that are about their pixels; `any_size`: also of another resolution.

        Raises Refusal NS843 for pictures of several sizes, and targets of another size than theirs, unless that does not matter.
        """
        pictures = self.pictures(entry)
        size = self.inputs[pictures[0]].shape[-2:]
        for name in pictures:
            if self.inputs[name].shape[-2:] != size and not any_size:
                raise Refusal(
                    "NS843", f"`{entry.NAME}` moves `{pictures[0]}` and `{name}`, which are not of one size", helps=("name one: input = …",)
                )
        found = [Moving(name) for name in pictures]
        for name, forms in self.targets.items():
            spatial = [form for form in forms if len(form.shape) == 4 or (len(form.shape) == 3 and form.shape[-2:] == size)]
            if not spatial:
                continue
            if any(form.shape[-2:] != size for form in spatial) and not any_size:
                message = (
                    f"`{entry.NAME}` cannot move `{name}`, {TensorType(spatial[0].shape)}, with `{pictures[0]}`, {self.inputs[pictures[0]]}"
                )
                raise Refusal("NS843", message)
            ignored = next((form.ignore for form in spatial if form.ignore is not None), None)
            found.append(Moving(name, any(form.kind != "float" for form in spatial), float(ignored or 0)))
        return tuple(found)

    def _named(self, entry: Entry, suitable: tuple[str, ...], what: str) -> tuple[str, ...]:
        named = getattr(entry, "input", None)
        if named is not None and named not in suitable or not suitable:
            there = ", ".join(f"`{name}` {kind}" for name, kind in self.inputs.items())
            raise Refusal("NS843", f"`{entry.NAME}` is for {what}, and {f'`{named}` is none' if named else 'there is none'}: {there}")
        return suitable if named is None else (named,)


def members_of(graph: Graph, section: Section) -> Members:
    """Those of a network and a section."""
    return Members({port.name: graph.values[port.value].type for port in graph.inputs}, wanted(graph, section))
