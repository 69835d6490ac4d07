"""The types of a graph's values at some sizes, and which nodes are of one kind: a network has many layers and few kinds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netspec.graph import Graph
from netspec.record import record
from netspec.sizes.dim import Size, evaluate
from netspec.sizes.tensor import TensorType


@record
class Typed:
    """A type for each value; and for each node a number that nodes share whose operator and types are equal (and whose inputs
    are as many different values, and that run the same body)."""

    types: tuple[TensorType, ...]
    kinds: tuple[int, ...]


def typed(graph: Graph, sizes: Mapping[str, int] | None = None) -> Typed:
    """The types at these values of all open sizes, or with the sizes left open."""
    numbers: dict[Any, int] = {}
    types: list[TensorType] = []
    of = []
    for value in graph.values:
        key = (value.shape, value.dtype)
        number = numbers.get(key)
        if number is None:
            number = numbers[key] = len(types)
            types.append(TensorType(value.shape if sizes is None else closed(value.shape, sizes), value.dtype))
        of.append(number)
    kinds: dict[Any, int] = {}
    found = []
    for node in graph.nodes:
        site = (node.op, node.body, tuple([of[i] for i in node.inputs]), tuple([of[o] for o in node.outputs]), len(set(node.inputs)))
        found.append(kinds.setdefault(site, len(kinds)))
    return Typed(tuple([types[number] for number in of]), tuple(found))


def closed(shape: tuple[Size, ...], sizes: Mapping[str, int]) -> tuple[int, ...]:
    """A shape as numbers."""
    return tuple(size if isinstance(size, int) else evaluate(size, sizes) for size in shape)
