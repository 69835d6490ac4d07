"""What training asks of the data: a column for every input of the network, and one for every target that losses and metrics name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from netspec.graph import Graph
from netspec.origin import Origin
from netspec.recipe.entry import Wanted
from netspec.recipe.section import Section
from netspec.record import record
from netspec.sizes.dim import Dim, Size, show
from netspec.sizes.tensor import TensorType

#: how the name of a column ends that says how long the samples of another are
LENGTHS = ".lengths"


@record
class Form:
    """One form that a column may have: what its numbers are, its shape with the batch first, and the element type it is fed as.

    `index`, `float`, `share`, `mask` and `count` are those of `Wanted`; `integer` are the whole numbers of an input. `below` and
    `ignore` bound an index, and `also` are further shapes that the column must have at once.
    """

    kind: Literal["index", "float", "share", "mask", "count", "integer"]
    shape: tuple[Size, ...]
    dtype: str
    below: int | None = None
    ignore: int | None = None
    also: tuple[tuple[Size, ...], ...] = ()

    def __str__(self) -> str:
        axes = f"[{', '.join(map(show, self.shape))}]"
        if self.kind == "index":
            return f"whole numbers {axes}" + (f" from 0 to {self.below - 1}" if self.below is not None else "")
        words = {"float": f"{self.dtype} ", "integer": f"{self.dtype} ", "share": "numbers from 0 to 1 ", "mask": "booleans or 0 and 1 "}
        return words.get(self.kind, "whole numbers ") + axes


@record
class Need:
    """A column by its name in the spec, the forms that suit, and the place that asks for it (`digits.net:4`; empty if unknown)."""

    name: str
    forms: tuple[Form, ...]
    where: str = ""
    is_input: bool = False

    def __str__(self) -> str:
        return " or ".join(map(str, self.forms))


def needs_of(
    wanted: Mapping[str, tuple[Wanted, ...]],
    inputs: Mapping[str, TensorType],
    places: Mapping[str, str] | None = None,
    floats: str = "float32",
) -> list[Need]:
    """The columns for inputs, in their order, then for targets. `floats` is the element type of targets that are no whole numbers."""
    places = places or {}
    needs = [Need(name, (_of_input(kind),), places.get(name, ""), True) for name, kind in inputs.items()]
    for name, forms in wanted.items():
        if name not in inputs:
            needs.append(Need(name, tuple(_of_target(form, floats) for form in forms), places.get(name, "")))
    return needs


def needs_for(graph: Graph, section: Section) -> list[Need]:
    """The columns that a section needs to train a network, each with the place in the spec that asks for it."""
    from netspec.recipe.wanted import wanted

    inputs = {port.name: graph.values[port.value].type for port in graph.inputs}
    places = {port.name: place(port.origin) for port in graph.inputs}
    for term in (*section.metrics[::-1], *section.loss[::-1]):
        for _, reference in term.tensors:
            if reference.kind == "target":
                places[reference.name] = place(term.origin or section.where("loss") or section.origin)
    asked_for = wanted(graph, section)
    for name in places:
        if name.endswith(LENGTHS) and name not in inputs:
            asked_for.setdefault(name, (Wanted("count", (Dim.name("N"),)),))
    outputs = [graph.values[port.value].dtype for port in graph.outputs]
    return needs_of(asked_for, inputs, places, "float64" if outputs and set(outputs) == {"float64"} else "float32")


def place(origin: Origin | None) -> str:
    """`file:line`, for messages; empty for what was written nowhere."""
    return f"{origin.file}:{origin.line}" if origin else ""


def _of_input(kind: TensorType) -> Form:
    what = "float" if "float" in kind.dtype else "mask" if kind.dtype == "bool" else "integer"
    return Form(what, kind.shape, kind.dtype)  # type: ignore[arg-type]


def _of_target(wanted: Wanted, floats: str) -> Form:
    dtype = {"index": "int64", "count": "int64", "mask": "bool"}.get(wanted.kind, floats)
    return Form(wanted.kind, wanted.shape, dtype, wanted.below, wanted.ignore, wanted.also)


def asked(need: Need) -> tuple[str, ...]:
    """Who asks for a column, as a note of a refusal."""
    return (f"{need.where or 'the network'} asks for `{need.name}`: {need}",)
