"""What each layer costs: parameters, multiply-accumulates, elementwise operations, bytes moved; as numbers and expressions.

One multiply-accumulate counts one, and two floating-point operations; `operations.py` defines the elementwise ones. Bytes
are those of an execution operator by operator: every application reads each of its inputs once and its weights, and
writes its outputs; an operator that only looks at a tensor in another way (`storage.py`) moves nothing. Shared weights are
counted once as parameters, and read at every application. Arithmetic intensity is floating-point operations a byte
(Williams, Waterman and Patterson, "Roofline", 2009, doi:10.1145/1498765.1498785).
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any

from netspec.analyses.bodies import runners
from netspec.analyses.cost.operations import Types, operations
from netspec.analyses.cost.storage import Storages, storages
from netspec.analyses.cost.typed import Typed, typed
from netspec.graph import Graph, Node
from netspec.record import record
from netspec.sizes.dim import Size, evaluate, product, substitute, total
from netspec.sizes.tensor import DTYPES, TensorType, count


@record
class LayerCost:
    """What one layer, or several together, costs at one choice of sizes. Bytes are bytes, the others counts."""

    parameters: int = 0
    macs: int = 0
    operations: int = 0
    read: int = 0
    written: int = 0

    @property
    def flops(self) -> int:
        """Floating-point operations: two a multiply-accumulate, and the elementwise ones."""
        return 2 * self.macs + self.operations

    @property
    def bytes(self) -> int:
        """Bytes read and written."""
        return self.read + self.written

    @property
    def intensity(self) -> float:
        """Floating-point operations a byte moved; 0 where nothing moves."""
        return self.flops / self.bytes if self.bytes else 0.0


@record
class Expression:
    """The same as expressions of the open sizes, the batch among them."""

    parameters: int
    macs: Size
    operations: Size
    read: Size
    written: Size

    def at(self, sizes: dict[str, int]) -> LayerCost:
        """The cost at these values of the open sizes."""
        values = (evaluate(s, sizes) for s in (self.macs, self.operations, self.read, self.written))
        return LayerCost(self.parameters, *values)


def together(costs: Iterable[LayerCost]) -> LayerCost:
    """The sum of costs."""
    found = list(costs)
    return LayerCost(
        sum(c.parameters for c in found), sum(c.macs for c in found), sum(c.operations for c in found),
        sum(c.read for c in found), sum(c.written for c in found),
    )  # fmt: skip


def sum_of(expressions: Iterable[Expression]) -> Expression:
    """The sum of expressions; equal ones, of which a network has many, are multiplied."""
    found = list(expressions)
    columns = ([e.macs for e in found], [e.operations for e in found], [e.read for e in found], [e.written for e in found])
    return Expression(sum(e.parameters for e in found), *map(sum_of_sizes, columns))


def sum_of_sizes(sizes: Iterable[Size]) -> Size:
    """The sum of sizes, of which many are equal."""
    often: dict[Size, int] = {}
    for size in sizes:
        often[size] = often.get(size, 0) + 1
    return total(size * times for size, times in often.items())


def layer_costs(graph: Graph, at: Typed, kept: Storages) -> list[LayerCost]:
    """The cost of each node at closed types."""
    return [LayerCost(p, *costs) for p, costs in zip(own_parameters(graph), _costs(graph, at, kept))]


def at_every_step(graph: Graph, at: Typed, kept: Storages) -> list[LayerCost]:
    """The same for a graph with the bodies of its scans among its own nodes: what a body's node costs in all steps, and, for a node
    that runs steps, what stacking their results moves."""
    run, times = runners(graph), dict[int, int]()
    for frame, own in enumerate(graph.frames):  # those around a frame stand before it
        around = 1 if own.parent is None else times[own.parent]
        runner = graph.nodes[run[frame]] if frame in run else None
        steps = 1 if runner is None else runner.op.length(tuple(at.types[v] for v in runner.inputs))
        times[frame] = around * evaluate(steps, {})
    found, heads = [], frozenset(run.values())
    for number, (node, cost) in enumerate(zip(graph.nodes, layer_costs(graph, at, kept))):
        if number in heads:
            stacked = evaluate(total(tensor_bytes(at.types[v]) for v in node.outputs[: node.op.step.stacked]), {})
            cost = LayerCost(0, 0, 0, stacked, stacked)
        found.append(_often(cost, times[node.frame]))
    return found


def _often(cost: LayerCost, times: int) -> LayerCost:
    """A cost so many times; what is stored is stored once."""
    if times == 1:
        return cost
    return LayerCost(cost.parameters, cost.macs * times, cost.operations * times, cost.read * times, cost.written * times)


def expressions(graph: Graph, at: Typed, kept: Storages) -> list[Expression]:
    """The cost of each node at open types. What is a look, and moves nothing, is so at the sizes of `kept`."""
    return [Expression(p, *costs) for p, costs in zip(own_parameters(graph), _costs(graph, at, kept))]


def own_parameters(graph: Graph) -> list[int]:
    """The trained numbers that each node stores, those of a shared tensor with the first that uses it."""
    counted: set[int] = set()
    found = []
    for node in graph.nodes:
        new = [w for w in node.weights if w not in counted and graph.weights[w].trainable]
        counted.update(node.weights)
        found.append(sum(prod(graph.weights[w].shape) for w in new))
    return found


def _costs(graph: Graph, at: Typed, kept: Storages) -> list[tuple[Any, ...]]:
    """Multiply-accumulates, operations, bytes read and written of every node; those of one kind are worked out once."""
    known: dict[Any, tuple[Any, ...]] = {}
    found = []
    for node, *key in zip(graph.nodes, at.kinds, kept.view):
        costs = known.get(tuple(key))
        if costs is None:
            inputs, outputs = (tuple(at.types[v] for v in values) for values in (node.inputs, node.outputs))
            costs = known[tuple(key)] = _cost(graph, node, inputs, outputs, kept.view[len(found)])
        found.append(costs)
    return found


def _cost(graph: Graph, node: Node, inputs: Types, outputs: Types, view: bool) -> tuple[Any, ...]:
    if node.body is not None:
        return _steps(graph, node, inputs, outputs)
    macs, computed = node.op.macs(inputs, outputs), operations(node.op, inputs, outputs)
    if view or not inputs and node.op.FAMILY == "io":  # a look, or what is stored with the network
        return macs, computed, 0, 0
    distinct = dict(zip(node.inputs, inputs))
    read = total(map(tensor_bytes, list(distinct.values())[: len(distinct) - _for_size_alone(node, distinct)]))
    return macs, computed, read + _weights_read(graph, node, outputs), total(map(tensor_bytes, outputs))


def _steps(graph: Graph, node: Node, inputs: Types, outputs: Types) -> tuple[Any, ...]:
    """What a body costs, as often as it is run; and its results, written once more where they are stacked."""
    body, op = graph.bodies[node.body], node.op  # type: ignore[index]
    step = sum_of(expressions(body, typed(body), storages(body, typed(body, body.typical).types)))
    times, sizes = op.length(inputs), op.sizes(inputs)
    every = [product((times, substitute(size, sizes))) for size in (step.macs, step.operations, step.read, step.written)]
    stacked = total(map(tensor_bytes, outputs[: op.step.stacked]))
    return every[0], every[1], every[2] + stacked, every[3] + stacked


def _for_size_alone(node: Node, distinct: dict[int, TensorType]) -> int:
    """How many of the last inputs are there for their size (`resize(like = e)`), and are not read."""
    like = int("like" in node.op.TENSOR_ARGUMENTS and node.op.like)  # type: ignore[attr-defined]
    return max(0, like - (len(node.inputs) - len(distinct)))


def tensor_bytes(tensor: TensorType) -> Size:
    """The bytes of a tensor, open or closed."""
    return count(tensor) * DTYPES[tensor.dtype]


def _weights_read(graph: Graph, node: Node, outputs: Types) -> Size:
    """The bytes of the weights; of a table of which every index takes a row, the rows taken."""
    if node.op.NAME == "embedding":
        return tensor_bytes(outputs[0])
    stored = (graph.weights[w] for w in node.weights)
    return sum(prod(w.shape) * DTYPES[w.dtype] for w in stored if w.role != "counter")
