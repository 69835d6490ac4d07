"""How much memory a network takes: activations at inference in two orders of execution, and what training adds."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from netspec.analyses.cost.backward import kept_for_backward
from netspec.analyses.cost.layers import sum_of_sizes, tensor_bytes
from netspec.analyses.cost.liveness import Peak, peak, tasks_of
from netspec.analyses.cost.schedule import best_order
from netspec.analyses.cost.storage import Storages, storages
from netspec.analyses.cost.typed import Typed
from netspec.graph import Graph
from netspec.record import record
from netspec.sizes.dim import Size, evaluate
from netspec.sizes.tensor import DTYPES

#: numbers that an optimizer keeps for every trained one, the gradient not among them
OPTIMIZERS: dict[str, int] = {"sgd": 0, "momentum": 1, "adam": 2}


@record
class Memory:
    """Bytes, at the sizes of a cost.

    `peak` is the most activations alive at inference in the written order, `best` the least that an order of execution
    was found to need (`order`: node numbers; `exact` where none needs less). In training `kept` is what the backward pass
    keeps of the activations, beside `parameters` (and `buffers`) and `gradients`, which are as large as what is trained.
    """

    peak: Peak
    best: int
    order: tuple[int, ...]
    exact: bool
    parameters: int
    buffers: int
    gradients: int
    kept: int

    @property
    def training(self) -> int:
        """Parameters, buffers, gradients, and what the backward pass keeps; without the optimizer's own (`OPTIMIZERS`)."""
        return self.parameters + self.buffers + self.gradients + self.kept

    def optimizer(self, name: str) -> int:
        """The bytes that an optimizer (`OPTIMIZERS`) keeps beside."""
        return OPTIMIZERS[name] * self.gradients


@record
class MemoryExpression:
    """The same as expressions of the open sizes: `peak` is that of the moment at which the typical sizes have theirs."""

    peak: Size
    kept: Size


def memory(graph: Graph, sizes: Mapping[str, int], at: Typed, inference: Storages) -> Memory:
    """The memory of a network at these values of all its open sizes, where its types and storages are these."""
    tasks = tasks_of(graph, inference)
    schedule = best_order(tasks)
    training = storages(graph, at.types, training=True)
    kept = kept_for_backward(graph, at, training)
    stored = [(prod(w.shape) * DTYPES[w.dtype], w.trainable) for w in graph.weights]
    trained = sum(size for size, trainable in stored if trainable)
    return Memory(
        peak=peak(tasks, range(len(graph.nodes))), best=schedule.bytes, order=schedule.order, exact=schedule.exact,
        parameters=trained, buffers=sum(size for size, _ in stored) - trained, gradients=trained,
        kept=sum(training.size[s] for s in kept.storages) + sum(evaluate(m, sizes) for m in kept.more),
    )  # fmt: skip


def memory_expression(graph: Graph, found: Memory, at: Typed, inference: Storages, opened: Typed) -> MemoryExpression:
    """The peak and what training keeps as expressions; which tensors they are of is decided at the sizes of `at`."""
    training = storages(graph, at.types, training=True)
    kept = kept_for_backward(graph, opened, training)
    return MemoryExpression(
        peak=sum_of_sizes(tensor_bytes(opened.types[s]) for s in found.peak.alive if inference.size[s]),
        kept=sum_of_sizes((*(tensor_bytes(opened.types[s]) for s in kept.storages), *kept.more)),
    )
