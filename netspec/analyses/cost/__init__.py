"""What a network costs: arithmetic, bytes moved, memory; per layer and in total, as numbers and as expressions.

`cost(graph)` gives numbers at the typical sizes and for one example (`.total.macs`, `.layers[0].read`, `.memory.best`), and
`expressed(graph, cost)` the same as expressions of the open sizes (`.total.macs` is `118013952 * N`).
"""

from __future__ import annotations

from collections.abc import Mapping

from netspec.analyses.cost.layers import Expression, LayerCost, expressions, layer_costs, sum_of, together
from netspec.analyses.cost.memory import OPTIMIZERS, Memory, MemoryExpression, memory, memory_expression
from netspec.analyses.cost.storage import storages
from netspec.analyses.cost.typed import typed
from netspec.graph import Graph
from netspec.record import record
from netspec.sizes.dim import Dim

__all__ = [
    "OPTIMIZERS",
    "Cost",
    "CostExpression",
    "Expression",
    "LayerCost",
    "Memory",
    "MemoryExpression",
    "batch_sizes",
    "cost",
    "expressed",
    "together",
]


@record
class Cost:
    """The cost of every node, in the graph's order, and of the whole, at `sizes`."""

    layers: tuple[LayerCost, ...]
    total: LayerCost
    memory: Memory
    sizes: tuple[tuple[str, int], ...]


@record
class CostExpression:
    """The same as expressions of the open sizes, the batch among them."""

    layers: tuple[Expression, ...]
    total: Expression
    memory: MemoryExpression


def cost(graph: Graph, sizes: Mapping[str, int] | None = None) -> Cost:
    """The cost of a network, at these values of open sizes; the others are typical, and the batch is 1.

    Raises KeyError for a size that the network does not have.
    """
    chosen = {**graph.typical, **dict.fromkeys(batch_sizes(graph), 1)}
    for name, value in (sizes or {}).items():
        if name not in chosen:
            raise KeyError(name)
        chosen[name] = value
    at = typed(graph, chosen)
    inference = storages(graph, at.types)
    layers = tuple(layer_costs(graph, at, inference))
    return Cost(layers, together(layers), memory(graph, chosen, at, inference), tuple(chosen.items()))


def expressed(graph: Graph, found: Cost) -> CostExpression:
    """The cost of the same network as expressions. `found` says which reshapes are copies, and when memory peaks."""
    at, opened = typed(graph, dict(found.sizes)), typed(graph)
    inference = storages(graph, at.types)
    layers = tuple(expressions(graph, opened, inference))
    return CostExpression(layers, sum_of(layers), memory_expression(graph, found.memory, at, inference, opened))


def batch_sizes(graph: Graph) -> list[str]:
    """The open sizes that are the first axis of an input: how many samples there are at once."""
    first = {graph.values[p.value].shape[0] for p in graph.inputs if graph.values[p.value].shape}
    return [s.name for s in graph.sizes if Dim.name(s.name) in first]
