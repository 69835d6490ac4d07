"""Static int8: onnxruntime's quantizer on ranges that are measured, and layers left in float32 until the network's outputs are near enough.

Weights are signed and even around zero, a scale an output channel; activations unsigned, with a zero point. Weights take seven bits
unless `full_range` is asked for: processors without VNNI (before Cascade Lake and Zen 4) add products of eight and eight bits in sixteen,
which overflow without a word; 255 * 64 * 2 fits. What the bit costs is measured like everything else.

Convolutions and linear layers with stored weights are taken, and what stands between them. A product of two activations, a norm, a
softmax and a sum onto a value in float32 (the residual stream of a transformer) stay as they are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from netspec.diagnostics.model import Refusal
from netspec.files import write_atomic
from netspec.record import record
from netspec.runtime.quantization.chosen import WEIGHED, candidates_of, kept_nodes, touched, with_sources
from netspec.runtime.quantization.examples import Examples
from netspec.runtime.quantization.float_model import FloatModel, quiet, taken_apart
from netspec.runtime.quantization.loss import Losses, losses
from netspec.runtime.quantization.ranges import METHODS, Range, measured_ranges
from netspec.runtime.quantization.tidy import finished
from netspec.runtime.session import Session

#: A layer that is noisier than this by itself stays in float32; and layers do until every output is this exact, in decibels.
LAYER_FLOOR, TARGET = 10.0, 20.0
#: The share of layers that may be left out before int8 is no use, and the decibels that leaving layers out is to bring.
MOST_LEFT_OUT, WORTH = 0.5, 3.0


@record
class Quantized:
    """A network in int8: the model, what it lost, the layers that were left in float32, and how it was made."""

    model: Any
    losses: Losses
    left_out: tuple[str, ...]
    layers: int
    method: str
    examples: Examples
    remarks: tuple[str, ...]

    def __str__(self) -> str:
        outputs = ", ".join(f"{name} {decibels:.1f} dB" for name, decibels in self.losses.outputs.items())
        kept = f", in float32: {', '.join(self.left_out)}" if self.left_out else ""
        return f"int8: {self.layers - len(self.left_out)} of {self.layers} layers{kept}; signal to noise: {outputs}"


def quantize(
    source: bytes | str | os.PathLike[str], examples: Examples, path: str | os.PathLike[str], method: str = "min-max", **options: Any
) -> Quantized:
    """Write a float32 model (its bytes or its path) in int8, atomically; the options and refusals are those of `quantized_model`, and NS020
    where the file cannot be written."""
    found = quantized_model(source, examples, method, **options)
    write_atomic(path, found.model.SerializeToString(deterministic=True))
    return found


def quantized_model(
    source: bytes | str | os.PathLike[str],
    examples: Examples,
    method: str = "min-max",
    *,
    keep: Iterable[str] = (),
    full_range: bool = False,
    target: float = TARGET,
    leave_out: bool = True,
) -> Quantized:
    """A float32 model in int8. The same model and examples give the same bytes.

    `keep` are labels whose layers stay in float32, with all below them; `full_range` uses all eight bits of weights, for processors with
    VNNI and ARM's; `target` is what the outputs are to reach, in decibels; with `leave_out` False every layer that can be is in int8,
    whatever it loses. Raises Refusal NS750 where there is nothing to quantize or no such label or method, NS752 for the data, NS702
    past 2 GiB, NS732 and NS734 where onnxruntime does not run what it made.
    """
    if method not in METHODS:
        raise Refusal("NS750", f"there is no way `{method}` to find ranges", helps=(f"known are {', '.join(METHODS)}",), status=2)
    with taken_apart(source) as model, quiet():
        candidates = candidates_of(model.nodes)
        weighed = [node.name for node in candidates if node.op_type in WEIGHED]
        if not weighed:
            raise Refusal("NS750", "there is no convolution and no linear layer with weights to write in int8")
        left = kept_nodes(keep, [node.name for node in candidates])
        ranges = measured_ranges(model, examples, touched(model.nodes, candidates), method)

        def attempt(left_out: Iterable[str]) -> tuple[Any, Losses]:
            made = _int8(model, candidates, set(left_out), ranges, full_range)
            return made, losses(model, made, examples, {node.name for node in candidates})

        made, found, left = _near_enough(attempt, left, weighed, target if leave_out else None)
    remarks = list(examples.remarks)
    if found.worst < target:
        remarks.append(f"int8 keeps {found.worst:.1f} dB of this network, less than {target:g}: check its accuracy")
    out = tuple(name for name in weighed if name in left)
    result = Quantized(made, found, out, len(weighed), method, examples, tuple(remarks))
    if result.model.ByteSize() > onnx.checker.MAXIMUM_PROTOBUF:
        raise Refusal("NS702", "the int8 model is larger than the 2 GiB that one ONNX file can hold")
    Session(result.model.SerializeToString(), provider="cpu").run(next(examples.batches()))  # what does not run is not handed out
    result.model.metadata_props.add(key="netspec.quantization", value=f"{result}; {method} of {examples.count} examples")
    return result


def _near_enough(
    attempt: Callable[[Iterable[str]], tuple[Any, Losses]], left: set[str], weighed: list[str], target: float | None
) -> tuple[Any, Losses, set[str]]:
    """Leave out the noisiest layers: those below the floor at once, then one, two, four … until the outputs are near enough. Where they
    never are, the fewest are left out that give about as much as all."""
    made, found = attempt(left)
    if target is None:
        return made, found, left
    tried = [(found.worst, left)]
    out = {loss.layer for loss in found.layers if loss.alone is not None and loss.alone < LAYER_FLOOR} - left
    step = 1
    while out or found.worst < target:
        order = sorted((loss.alone, loss.layer) for loss in found.layers if loss.alone is not None and loss.layer in weighed)
        more = out or {layer for _, layer in [one for one in order if one[1] not in left][:step]}
        if not more or len((left | more).intersection(weighed)) > MOST_LEFT_OUT * len(weighed):
            break
        step = step if out else step * 2
        left, out = left | more, set()
        made, found = attempt(left)
        tried.append((found.worst, left))
    if found.worst < target:
        best = max(worst for worst, _ in tried)
        fewest = next(which for worst, which in tried if worst > best - WORTH)
        if fewest != left:
            left = fewest
            made, found = attempt(left)
    return made, found, left


def _int8(model: FloatModel, candidates: list[Any], left: set[str], ranges: Mapping[str, Range], full_range: bool) -> Any:
    """The model with those candidates in int8 that are not left out."""
    left = with_sources(left, candidates)
    chosen = [node.name for node in candidates if node.name not in left]
    whole = model.whole()
    if not chosen:
        return finished(whole, model.nodes, left, ())
    limits = {name: tuple(np.array(end, np.float32) for end in found) for name, found in ranges.items()}
    quantizer = QDQQuantizer(
        whole,
        True,  # a scale an output channel
        not full_range,
        QuantType.QInt8,
        QuantType.QUInt8,
        TensorsData(CalibrationMethod.MinMax, limits),
        chosen,
        sorted(left),
        sorted({node.op_type for node in candidates}),
        {},
    )
    quantizer.quantize_model()
    return finished(quantizer.model.model, model.nodes, left, chosen)
