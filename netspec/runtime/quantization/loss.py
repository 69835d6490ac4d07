"""What int8 costs: the signal-to-noise ratio of every layer, by itself and with all that came before it, and of the outputs.

One model computes it all: the network in float32, the network in int8 beside it, and each int8 layer once more on the float32 network's
values. Only sums of squares leave it, so that it takes no more memory than running does. `10 log10(sum x² / sum (x - y)²)` over all
examples, in decibels: 6 more are half the error. Below ten or so a value is mostly noise; 20 are an error of a tenth.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import numpy as np
import onnx

from netspec.record import record
from netspec.runtime.quantization.examples import Examples
from netspec.runtime.quantization.float_model import FloatModel, float_values, inner_nodes

#: What stands for no noise at all.
EXACT = 150.0
#: Examples that losses are measured on, at most.
MEASURED = 32

_PAIR = ("QuantizeLinear", "DequantizeLinear")
_RENAMED = "_QuantizeLinear_Input"  # what the quantizer calls a value whose name an output keeps


@record
class Loss:
    """A layer's signal-to-noise ratios in decibels: `alone`, on exact inputs (None where it was left in float32), and `total`, with the
    noise of what comes before it. `line` is where it was written, `unet.net:12`."""

    layer: str
    operator: str
    line: str
    alone: float | None
    total: float


@record
class Losses:
    """What was measured: every layer in the order in which they run, and the outputs by name."""

    layers: tuple[Loss, ...]
    outputs: dict[str, float]

    @property
    def worst(self) -> float:
        """The ratio of the output that lost most."""
        return min(self.outputs.values(), default=EXACT)


def losses(model: FloatModel, quantized: Any, examples: Examples, layers: set[str]) -> Losses:
    """Run both, and measure the nodes of these names and the outputs."""
    probe = _Probe(model, quantized)
    kept = [node for node in quantized.graph.node if node.name in layers and node.op_type not in _PAIR]
    places = [(probe.alone(node), probe.total(node)) for node in kept]
    outputs = {port.name: probe.output(port.name) for port in model.nodes.graph.output if port.name in probe.floats}
    decibels = probe.run(examples)
    found = tuple(
        Loss(node.name, node.op_type, node.doc_string, None if alone is None else decibels[alone], decibels[total])
        for node, (alone, total) in zip(kept, places)
        if total is not None
    )
    return Losses(found, {name: decibels[place] for name, place in outputs.items()})


def canonical(name: str, known: Container[str]) -> str:
    """What a value of the int8 network is called in the float32 one, which knows these names."""
    return name if name in known else name.removesuffix(_RENAMED)


class _Probe:
    """The model that measures. What is compared is numbered; `run` gives the decibels in that order."""

    def __init__(self, model: FloatModel, quantized: Any) -> None:
        self.model = model
        self.floats = float_values(model.nodes)
        self.probe = onnx.ModelProto()
        self.probe.CopyFrom(model.nodes)
        self.graph = self.probe.graph
        del self.graph.output[:]
        stored = {tensor.name for tensor in self.graph.initializer}
        self.graph.initializer.extend(tensor for tensor in quantized.graph.initializer if tensor.name not in stored)
        self.stored = {tensor.name for tensor in self.graph.initializer}
        self.maker = {name: node for node in quantized.graph.node for name in node.output}
        self.quantizer = {node.input[0]: node for node in quantized.graph.node if node.op_type == "QuantizeLinear"}
        self.dequantizer = {node.input[0]: node for node in quantized.graph.node if node.op_type == "DequantizeLinear"}
        names = {name: f"q:{name}" for name in self.maker}
        self.graph.node.extend(_renamed(node, names, "q:") for node in quantized.graph.node)
        self._add_domains(quantized)
        self.exact: dict[str, str] = {}
        self.pairs = 0

    def alone(self, node: Any) -> int | None:
        """Compare a layer's own result on the float32 network's values; None where it is not in int8."""
        sources = [self._input(name) for name in node.input]
        if sources == [self._float(name) for name in node.input]:
            return None
        again = onnx.NodeProto()
        again.CopyFrom(node)
        again.name = f"alone:{node.name}"
        again.input[:] = sources
        again.output[:] = [f"alone:{name}" for name in node.output]
        self.graph.node.append(again)
        return self._compare(self._float(node.output[0]), self._rounded(node.output[0], f"alone:{node.output[0]}"))

    def total(self, node: Any) -> int | None:
        """Compare a layer's result in the whole network."""
        name = node.output[0]
        first = self.quantizer.get(name)
        other = self.dequantizer[first.output[0]].output[0] if first is not None and first.output[0] in self.dequantizer else name
        return self._compare(self._float(name), f"q:{other}")

    def output(self, name: str) -> int:
        """Compare an output."""
        place = self._compare(name, f"q:{name}" if name in self.maker else name)
        assert place is not None
        return place

    def run(self, examples: Examples) -> list[float]:
        """The decibels of all that was compared."""
        session = self.model.session(self.probe, "probe.onnx")
        names = [f"{what}:{number}" for number in range(self.pairs) for what in ("signal", "noise")]
        sums = np.zeros((self.pairs, 2))
        for feed in examples.batches(MEASURED):
            sums += np.array(session.run(names, feed), np.float64).reshape(-1, 2)
        return [_decibels(signal, noise) for signal, noise in sums]

    def _float(self, name: str) -> str:
        return name if name in self.stored else canonical(name, self.floats)

    def _input(self, name: str) -> str:
        """What a layer alone reads: stored values as the quantized network has them, others rounded from the float32 network."""
        made = self.maker.get(name)
        if made is None or made.op_type != "DequantizeLinear":
            return self._float(name)
        source = self.maker.get(made.input[0])
        if source is None:
            return f"q:{name}"
        return self._rounded(source.input[0], self._float(source.input[0]))

    def _rounded(self, name: str, value: str) -> str:
        """A value through the pair of nodes that the quantized network has behind the value of that name, if it has one."""
        first = self.quantizer.get(name)
        second = self.dequantizer.get(first.output[0]) if first is not None else None
        if first is None or second is None:
            return value
        if value not in self.exact:
            made = f"rounded:{value}"
            for node, given, result in ((first, value, f"{made}:q"), (second, f"{made}:q", made)):
                self.graph.node.append(
                    onnx.helper.make_node(node.op_type, [given, *node.input[1:]], [result], name=result, domain=node.domain)
                )
            self.exact[value] = made
        return self.exact[value]

    def _compare(self, one: str, other: str) -> int | None:
        if one not in self.floats:
            return None
        number, self.pairs = self.pairs, self.pairs + 1
        make = onnx.helper.make_node
        self.graph.node.append(make("Sub", [one, other], [f"difference:{number}"]))
        for what, value in (("signal", one), ("noise", f"difference:{number}")):
            self.graph.node.append(make("ReduceSumSquare", [value], [f"{what}:{number}"], keepdims=0))
            self.graph.output.append(onnx.helper.make_tensor_value_info(f"{what}:{number}", onnx.TensorProto.FLOAT, []))
        return number

    def _add_domains(self, quantized: Any) -> None:
        known = {opset.domain for opset in self.probe.opset_import}
        self.probe.opset_import.extend(opset for opset in quantized.opset_import if opset.domain not in known)


def _renamed(node: Any, names: dict[str, str], prefix: str) -> Any:
    """A node that reads and makes values under other names, in its bodies too."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.name = prefix + node.name
    copy.output[:] = [names.get(name, name) for name in node.output]
    for one in (copy, *inner_nodes(copy)):
        one.input[:] = [names.get(name, name) for name in one.input]
    return copy


def _decibels(signal: float, noise: float) -> float:
    if not np.isfinite(noise):
        return -EXACT
    return float(np.clip(10 * np.log10(max(signal, 1e-30) / max(noise, 1e-30)), -EXACT, EXACT)) if noise else EXACT
