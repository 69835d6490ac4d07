"""Penalties of weights: terms of a loss that do not look at the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable
from weakref import ref

import torch
from torch import Tensor, nn

from netspec.diagnostics.model import Refusal
from netspec.recipe.entry import Measure
from netspec.selection import selected

if TYPE_CHECKING:
    from netspec.graph import Graph

#: a term of the network alone
Penalty = Callable[[nn.Module | None], Tensor]


def prepare_penalty(graph: "Graph", measure: Measure, selector: str) -> Penalty:
    """A penalty of the parameters that a selector means. Raises `Refusal` (NS355) where it means none."""
    trainable = {weight.name for weight in graph.weights if weight.trainable}
    names = tuple(weight.name for weight in graph.weights if weight.name in selected(graph, selector) & trainable)
    if not names:
        raise Refusal("NS355", f"{measure.NAME}({selector}) is of no parameter of {graph.name}")
    power = _absolute if measure.NAME == "l1" else _squared
    parameters = _Parameters(names, f"{measure.NAME}({selector})")
    return lambda module: power(parameters.of(module))


def _absolute(parameters: list[Tensor]) -> Tensor:
    """The sum of absolute values."""
    return torch.stack([p.abs().sum() for p in parameters]).sum()


def _squared(parameters: list[Tensor]) -> Tensor:
    """Half of the sum of squares."""
    return 0.5 * torch.stack([p.square().sum() for p in parameters]).sum()


class _Parameters:
    """Parameters of a module by name: where they are is looked up once a module, what they are each time."""

    def __init__(self, names: tuple[str, ...], term: str) -> None:
        self._names, self._term = names, term
        self._places: list[tuple[dict[str, nn.Parameter | None], str]] = []
        self._known: Callable[[], nn.Module | None] = lambda: None

    def of(self, module: nn.Module | None) -> list[Tensor]:
        """Those of this module, or of the one that it wraps. Raises `Refusal` where there is none."""
        if module is None:
            raise Refusal("NS354", f"{self._term} in the loss is of weights: give the module", helps=("objective(…, module = net)",))
        if self._known() is not module:
            inner = unwrapped(module)
            split = (name.rpartition(".") for name in self._names)
            self._places = [(inner.get_submodule(owner)._parameters, local) for owner, _, local in split]
            self._known = ref(module)
        return [found for owner, local in self._places if (found := owner[local]) is not None]


def unwrapped(module: nn.Module) -> nn.Module:
    """The network itself inside of what distributes or compiles it."""
    while True:
        inner = getattr(module, "_orig_mod", None) or (module.module if isinstance(module, nn.parallel.DistributedDataParallel) else None)
        if inner is None:
            return module
        module = inner
