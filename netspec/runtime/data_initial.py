"""Initial weights that depend on data: every layer is scaled until what it gives for a batch has unit variance.

`lsuv`: Mishkin and Matas, "All you need is a good init", arXiv:1511.06422: orthonormal weights, biases of zero, then layer by
layer `W /= sqrt(Var(output))` until the variance is within 0.1 of 1, at most ten times. `data`: Krähenbühl, Doersch, Donahue and
Darrell, "Data-dependent Initializations of Convolutional Neural Networks", arXiv:1511.06856, the steps within a layer: the
weights that the spec asks for, then every output channel by itself is brought to mean 0 and variance 1 by its weights and bias.

The network runs node by node in onnxruntime, and values are dropped after their last use; PyTorch is not needed. Norms that
keep running statistics are run with those of the batch, as in training; dropout is not run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from netspec.backends.onnx import OnnxOptions, model_bytes
from netspec.backends.weights import Arrays, Initial
from netspec.diagnostics.model import Refusal
from netspec.graph import Graph, Node, Tensor
from netspec.initializers import resolve
from netspec.initializers.distributions import Constant
from netspec.op import Initializer, Reject
from netspec.runtime.arguments import Signature
from netspec.runtime.isolate import isolate
from netspec.runtime.session import Session

METHODS = ("lsuv", "data")

#: how far from 1 the variance of a layer's output may stay, and how often a layer is scaled (Mishkin and Matas, algorithm 1)
TOLERANCE, STEPS = 0.1, 10
#: the layers that are scaled: what multiplies its input with a stored `weight`
LAYERS = frozenset(("conv", "conv_transpose", "local_conv", "linear", "weight_norm", "spectral_norm"))


@dataclass(frozen=True, slots=True)
class Scaled:
    """What was done to one layer: the variance of its output (for `data`: of a channel, on average) before and after, and the steps.

    `note` says why a layer was left as it was; it is empty where all went well.
    """

    layer: str
    before: float
    after: float
    steps: int
    note: str = ""


@dataclass(slots=True)
class DataInitial:
    """Initial weights by data: `arrays` by name, all that the network stores, and what happened to every layer."""

    arrays: dict[str, np.ndarray]
    layers: list[Scaled] = field(default_factory=list)

    @property
    def weights(self) -> Arrays:
        """As back ends take weights."""
        return Arrays(self.arrays)

    @property
    def notes(self) -> list[str]:
        """One line a layer that was left as it was."""
        return [f"{scaled.layer}: {scaled.note}" for scaled in self.layers if scaled.note]


def data_initial(graph: Graph, method: str, data: Mapping[str, Any], seed: int = 0) -> DataInitial:
    """Weights for a network by `lsuv` or `data`, from a batch for every input. The same seed and data give the same weights.

    Raises Refusal: NS630 where the data cannot scale any layer, NS720 to NS723 for data that is no input of the network, NS733
    for another method, NS603 for element types that cannot be drawn.
    """
    if method not in METHODS:
        raise Refusal(
            "NS733", f"there is no data-dependent initialization `{method}`", helps=(f"choose one of {', '.join(METHODS)}",), status=2
        )
    signature = Signature.of(graph)
    inputs = signature.check(data)
    run = _Run(graph, method, signature.sizes(inputs), _start(graph, method, seed))
    run.through({port.value: inputs[port.name] for port in graph.inputs})
    if not any(scaled.steps for scaled in run.found.layers) and run.varied == 0:
        raise Refusal(
            "NS630", "no layer's output differs between the examples of the data", helps=("give a batch of several, unlike each other",)
        )
    return run.found


# ----------------------------------------------------------------------------------------------------- where it starts
def _start(graph: Graph, method: str, seed: int) -> dict[str, np.ndarray]:
    """The weights before any is scaled. What the spec starts with a constant stays that: a branch that is to begin silent."""
    tensors = {tensor.name: tensor for tensor in graph.weights}
    if method == "lsuv":
        for node in graph.nodes:
            if node.op.NAME in LAYERS:
                own = [graph.weights[w] for w in node.weights]
                if any(_drawn(tensor) for tensor in own):
                    tensors |= {tensor.name: _orthonormal(tensor) for tensor in own}
    initial = Initial(seed, tensors)
    return {name: initial.array(tensor) for name, tensor in tensors.items()}


def _drawn(tensor: Tensor) -> bool:
    """Whether a tensor is the matrix or kernel of a layer, and drawn at random."""
    if tensor.role != "weight" or len(tensor.shape) < 2:
        return False
    try:
        return not isinstance(resolve(tensor.init, tensor.shape, tensor.fan_in, tensor.fan_out), Constant)
    except Reject:
        return False


def _orthonormal(tensor: Tensor) -> Tensor:
    """The same tensor, to start orthonormal (what is to start alike, with copies of that); a bias, to start at zero."""
    if _drawn(tensor):
        init = Initializer("orthogonal")
        if tensor.init.name == "icnr":
            init = Initializer("icnr", tuple({**dict(tensor.init.arguments), "init": init}.items()))
        return tensor.model_copy(update={"init": init})
    return tensor.model_copy(update={"init": Initializer("zeros")}) if tensor.role == "bias" else tensor


# -------------------------------------------------------------------------------------------------------- layer by layer
class _Run:
    """One pass over the graph: every node runs as often as its weights change."""

    def __init__(self, graph: Graph, method: str, sizes: dict[str, int], arrays: dict[str, np.ndarray]) -> None:
        self.graph, self.method, self.sizes = graph, method, sizes
        self.found = DataInitial(arrays)
        self.done: set[int] = set()
        self.varied = 0
        self.last = {number: index for index, node in enumerate(graph.nodes) for number in node.inputs}

    def through(self, values: dict[int, np.ndarray]) -> None:
        """Run all nodes in order; scale the layers among them; drop what nobody reads again."""
        for index, node in enumerate(self.graph.nodes):
            feed = [values[number] for number in node.inputs]
            outputs = self._scaled(node, feed) if node.op.NAME in LAYERS else self._run(node, feed)
            if node.body is not None:
                self._left(node, outputs[0])
            values.update(zip(node.outputs, outputs))
            for number in {*node.inputs, *node.outputs}:
                if self.last.get(number, -1) <= index:
                    values.pop(number, None)

    def _run(self, node: Node, feed: list[np.ndarray]) -> list[np.ndarray]:
        """The node alone, as the weights are now."""
        one = isolate(self.graph, node, self.sizes)
        own = {mine.name: self.found.arrays[self.graph.weights[w].name] for mine, w in zip(one.weights, node.weights)}
        own |= _statistics(one.weights, feed)
        session = Session(model_bytes(one, Arrays(own), OnnxOptions()), provider="cpu")
        return list(session.run({port.name: array for port, array in zip(one.inputs, feed)}).values())

    def _scaled(self, node: Node, feed: list[np.ndarray]) -> list[np.ndarray]:
        """The output of a layer whose weights have been scaled, and a record of that."""
        outputs = self._run(node, feed)
        before = self._measure(node, outputs[0])
        self.varied += before > 0
        note = self._obstacle(node, before)
        steps = 0
        while not note and steps < STEPS and not self._fits(node, outputs[0]):
            self._scale(node, outputs[0])
            outputs = self._run(node, feed)
            steps += 1
        self.done.update(node.weights)
        self.found.layers.append(Scaled(node.name, before, self._measure(node, outputs[0]), steps, note))
        return outputs

    def _left(self, node: Node, output: np.ndarray) -> None:
        """Note that what runs step after step is not scaled: each step's output is the next one's input."""
        found = self._measure(node, output)
        self.varied += found > 0
        self.found.layers.append(Scaled(node.name, found, found, 0, "its layers run at every step, and start as the spec says"))

    def _measure(self, node: Node, output: np.ndarray) -> float:
        """The variance of the whole output, or the mean over channels of theirs."""
        return _variance(output) if self.method == "lsuv" else float(_by_channel(node, output).var(1).mean())

    def _obstacle(self, node: Node, variance: float) -> str:
        """Why a layer cannot be scaled, or an empty string."""
        if not np.isfinite(variance):
            raise Refusal(
                "NS630",
                f"the output of {node.name} is not finite for the data",
                helps=("the data holds NaN or infinities, or is very large",),
            )
        if node.op.NAME == "spectral_norm":
            return "its weight is divided by its largest singular value, whatever its scale"
        if self.done & set(node.weights):
            return "it shares its weights with a layer before it, which was scaled"
        if variance == 0:
            return "its output is constant over the data"
        if not any(_drawn(self.graph.weights[w]) for w in node.weights):
            return "it starts with constants, as the spec asks"
        return ""

    def _fits(self, node: Node, output: np.ndarray) -> bool:
        if self.method == "lsuv":
            return abs(_variance(output) - 1) < TOLERANCE
        rows = _by_channel(node, output)
        varying = rows[rows.var(1) > 0]
        centred = self._bias(node) is None or bool(np.all(np.abs(varying.mean(1)) < TOLERANCE))
        return centred and bool(np.all(np.abs(varying.var(1) - 1) < TOLERANCE))

    def _bias(self, node: Node) -> Tensor | None:
        return next((self.graph.weights[w] for w in node.weights if self.graph.weights[w].role == "bias"), None)

    def _scale(self, node: Node, output: np.ndarray) -> None:
        """One step: of the whole layer, or channel by channel, bias and all."""
        scale = self._scale_of(node)
        arrays = self.found.arrays
        if self.method == "lsuv":
            arrays[scale.name] = (arrays[scale.name] / np.sqrt(_variance(output))).astype(scale.dtype)
            return
        rows = _by_channel(node, output)
        deviation = rows.std(1)
        factor = np.where(deviation > 0, 1 / np.where(deviation > 0, deviation, 1), 1.0)
        arrays[scale.name] = _channelwise(node, arrays[scale.name], factor).astype(scale.dtype)
        bias = self._bias(node)
        if bias is not None:
            aligned = (-1,) + (1,) * (arrays[bias.name].ndim - 1)
            moved = (arrays[bias.name] - rows.mean(1).reshape(aligned)) * factor.reshape(aligned)
            arrays[bias.name] = moved.astype(bias.dtype)

    def _scale_of(self, node: Node) -> Tensor:
        """The tensor that the output is proportional to: the weight, or the lengths of a weight-normalized one."""
        own = [self.graph.weights[w] for w in node.weights]
        lengths = next((t for t in own if t.init.name == "norm_of"), None)
        return lengths if lengths is not None else next(t for t in own if _drawn(t))


def _variance(output: np.ndarray) -> float:
    return float(np.var(output, dtype=np.float64))


def _statistics(weights: tuple[Tensor, ...], feed: list[np.ndarray]) -> dict[str, np.ndarray]:
    """For a norm with running statistics: those of the batch, which training would use."""
    own = {tensor.local: tensor for tensor in weights}
    if "running_mean" not in own or "running_var" not in own:
        return {}
    axes = tuple(axis for axis in range(feed[0].ndim) if axis != 1)
    mean, variance = own["running_mean"], own["running_var"]
    return {
        mean.name: feed[0].mean(axes, dtype=np.float64).astype(mean.dtype),
        variance.name: feed[0].var(axes, dtype=np.float64).astype(variance.dtype),
    }


def _layer(node: Node) -> Any:
    """The layer that multiplies: what a reparametrization wraps, or the operator itself."""
    return getattr(node.op, "layer", node.op)


def _by_channel(node: Node, output: np.ndarray) -> np.ndarray:
    """The output as one row a channel, in double precision."""
    axis = output.ndim - 1 if _layer(node).NAME == "linear" else 1
    return np.moveaxis(output, axis, 0).reshape(output.shape[axis], -1).astype(np.float64)


def _channelwise(node: Node, weight: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """The weight with every output channel's part multiplied by its factor."""
    layer = _layer(node)
    if layer.NAME == "conv_transpose":  # [in, out / groups, …]: the inputs of a group write to its own outputs
        groups = layer.groups
        parts = weight.reshape(groups, -1, *weight.shape[1:])
        shape = (groups, 1, -1) + (1,) * (weight.ndim - 2)
        return (parts * factor.reshape(shape)).reshape(weight.shape)
    axis = weight.ndim // 2 - 1 if layer.NAME == "local_conv" else 0  # [positions…, out, in, taps…]
    return weight * factor.reshape([-1 if a == axis else 1 for a in range(weight.ndim)])
