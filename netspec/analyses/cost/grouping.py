"""Layers put together: by the block that they stand in, or by their operator; and in which order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from netspec.analyses.cost.layers import LayerCost, together
from netspec.graph import Graph
from netspec.record import record


@record
class Group:
    """Layers together: `label` is that of their block (of the layer itself, where it is in none) or the operator's name.

    `layers` are their numbers in the order of the graph; the shape shown for a block is that of its last layer.
    """

    label: str
    layers: tuple[int, ...]
    cost: LayerCost


def by_block(graph: Graph, costs: Sequence[LayerCost], depth: int = 1) -> tuple[Group, ...]:
    """Layers by the scope that they stand in, down to a depth of `depth` parts of the dotted name."""
    places = [graph.scopes[frame.scope].path.split(".")[:depth] for frame in graph.frames]
    blocks = [".".join(part for part in place if part) for place in places]
    return _grouped(costs, [blocks[node.frame] or node.label for node in graph.nodes])


def by_operator(graph: Graph, costs: Sequence[LayerCost]) -> tuple[Group, ...]:
    """Layers by the name of their operator."""
    return _grouped(costs, [node.op.NAME for node in graph.nodes])


def _grouped(costs: Sequence[LayerCost], labels: list[str]) -> tuple[Group, ...]:
    members: dict[str, list[int]] = {}
    for number, label in enumerate(labels):
        members.setdefault(label, []).append(number)
    return tuple(Group(label, tuple(numbers), together(costs[n] for n in numbers)) for label, numbers in members.items())


class Costly(Protocol):
    """What can be sorted: it has a label and a cost."""

    @property
    def label(self) -> str:
        """What it is called."""

    @property
    def cost(self) -> LayerCost:
        """What it costs."""


T = TypeVar("T", bound=Costly)

#: what rows can be sorted by: numbers from the greatest down, labels as text
ORDERS: dict[str, Callable[[Any], Any] | None] = {
    "order": None,
    "parameters": lambda row: -row.cost.parameters,
    "macs": lambda row: -row.cost.macs,
    "operations": lambda row: -row.cost.operations,
    "bytes": lambda row: -row.cost.bytes,
    "label": lambda row: row.label,
}


def in_order(rows: Sequence[T], order: str = "order") -> tuple[T, ...]:
    """The rows in one of `ORDERS`; equal ones stay in the order of the graph. Raises KeyError for another word."""
    key = ORDERS[order]
    return tuple(rows) if key is None else tuple(sorted(rows, key=key))
