"""The range of every value of a network over the examples: all of it, all but a part of a percent, or where int8 keeps most of what the
distribution says (least relative entropy: Migacz, "8-bit inference with TensorRT", GTC 2017).

Two passes at most, of which the first asks the model itself for least and greatest values, and the second counts values in equal bins
between them. No more than `HELD` bytes of activations are held, and the result does not depend on how examples are grouped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import onnx

from netspec.diagnostics.model import Refusal
from netspec.record import record
from netspec.runtime.quantization.examples import Examples
from netspec.runtime.quantization.float_model import FloatModel, float_values

#: How ranges are found.
METHODS = ("min-max", "percentile", "entropy")
#: Bins of a histogram; steps of the search for the least entropy; the share of values that a percentile keeps.
BINS, STEP, KEPT = 2048, 16, 0.9999
#: Bytes of activations that are held at once.
HELD = 256 << 20

Range = tuple[float, float]


@record
class _Extent:
    """What the first pass says of a value: its range and the most elements that it had in one run."""

    low: float
    high: float
    elements: int


def measured_ranges(model: FloatModel, examples: Examples, values: Iterable[str], method: str = "min-max") -> dict[str, Range]:
    """The range of each of the values over all examples. Raises Refusal NS752 where values are not finite."""
    found = _extents(model, examples, list(values))
    if method == "min-max":
        return {name: (extent.low, extent.high) for name, extent in found.items()}
    choose = {"percentile": percentile_range, "entropy": entropy_range}[method]
    ranges: dict[str, Range] = {}
    for group in _groups(found):
        for name, histogram in _histograms(model, examples, group).items():
            ranges[name] = choose(histogram, group[name].low, group[name].high)
    return {name: ranges[name] for name in found}


def _extents(model: FloatModel, examples: Examples, values: list[str]) -> dict[str, _Extent]:
    """The first pass: three numbers a value."""
    wanted = onnx.ModelProto()
    wanted.CopyFrom(model.nodes)
    del wanted.graph.output[:]
    for number, name in enumerate(values):
        for kind, how in (("Min", onnx.TensorProto.FLOAT), ("Max", onnx.TensorProto.FLOAT), ("Size", onnx.TensorProto.INT64)):
            out = f"netspec.{kind}.{number}"
            extra = {} if kind == "Size" else {"keepdims": 0}
            wanted.graph.node.append(onnx.helper.make_node(kind if kind == "Size" else f"Reduce{kind}", [name], [out], **extra))
            wanted.graph.output.append(onnx.helper.make_tensor_value_info(out, how, []))
    session = model.session(wanted, "extents.onnx", optimize=True)
    outputs = [output.name for output in wanted.graph.output]
    numbers = np.tile([np.inf, -np.inf, 0.0], (len(values), 1))
    for feed in examples.batches():
        new = np.array(session.run(outputs, feed), np.float64).reshape(-1, 3)
        numbers[:, 0] = np.minimum(numbers[:, 0], new[:, 0])
        numbers[:, 1:] = np.maximum(numbers[:, 1:], new[:, 1:])
    for name, (low, high, elements) in zip(values, numbers):
        if elements and not (np.isfinite(low) and np.isfinite(high)):
            raise Refusal("NS752", f"`{name}` reaches from {low:g} to {high:g} on the calibration data: no step of int8 fits that")
    return {name: _Extent(float(low), float(high), int(elements)) for name, (low, high, elements) in zip(values, numbers) if elements}


def _groups(found: Mapping[str, _Extent]) -> Iterable[dict[str, _Extent]]:
    """The values in groups that can be held."""
    group: dict[str, _Extent] = {}
    held = 0
    for name, extent in found.items():
        if group and held + 4 * extent.elements > HELD:
            yield group
            group, held = {}, 0
        group[name] = extent
        held += 4 * extent.elements
    if group:
        yield group


def _histograms(model: FloatModel, examples: Examples, group: Mapping[str, _Extent]) -> dict[str, np.ndarray]:
    """How many of each value's elements lie in each of `BINS` equal parts of its range."""
    wanted = onnx.ModelProto()
    wanted.CopyFrom(model.nodes)
    del wanted.graph.output[:]
    types = float_values(model.nodes)
    for name in group:
        wanted.graph.output.append(onnx.ValueInfoProto(name=name, type=onnx.TypeProto(tensor_type=types[name])))
    session = model.session(wanted, "values.onnx")
    counts = {name: np.zeros(BINS, np.int64) for name in group}
    for feed in examples.batches():
        for (name, extent), array in zip(group.items(), session.run(list(group), feed)):
            counts[name] += np.histogram(array, BINS, (extent.low, extent.high))[0]
    return counts


def percentile_range(counts: np.ndarray, low: float, high: float) -> Range:
    """The range without the outermost values, half of those left out at either end; zero is always in it."""
    total, width = counts.sum(), (high - low) / len(counts)
    spare = total * (1 - KEPT) / 2
    below, above = np.cumsum(counts), np.cumsum(counts[::-1])
    first, last = int(np.searchsorted(below, spare, "right")), int(np.searchsorted(above, spare, "right"))
    return min(low + first * width, max(low, 0.0)), max(high - last * width, min(high, 0.0))


def entropy_range(counts: np.ndarray, low: float, high: float) -> Range:
    """The range cut at the distance from zero at which int8 says most of the distribution: the least relative entropy."""
    farthest = max(abs(low), abs(high))
    if not farthest:
        return low, high
    centres = low + (np.arange(len(counts)) + 0.5) * (high - low) / len(counts)
    away = np.bincount(np.minimum((np.abs(centres) / farthest * BINS).astype(int), BINS - 1), counts, BINS)
    away[0] = min(away[0], away[1])  # the zeros of a ReLU are exact at every cut, and would drown the rest
    levels = 256 if low >= 0 or high <= 0 else 128
    ends = np.arange(levels, BINS + 1, STEP)
    best = ends[int(np.argmin([_divergence(away, int(end), levels) for end in ends]))]
    cut = farthest * best / BINS
    return max(low, -cut), min(high, cut)


def _divergence(counts: np.ndarray, end: int, levels: int) -> float:
    """The relative entropy of the distribution, cut at a bin, to itself in so many levels."""
    reference = counts[:end].astype(float)
    kept = reference.copy()
    reference[-1] += counts[end:].sum()
    level = np.arange(end) * levels // end
    filled = kept > 0
    sums, sizes = np.bincount(level, kept, levels), np.bincount(level, filled, levels)
    coarse = np.where(filled, (sums / np.maximum(sizes, 1))[level], 0.0)
    p, q = reference / max(reference.sum(), 1.0), coarse / max(coarse.sum(), 1.0)
    there = p > 0
    return float(np.sum(p[there] * np.log(p[there] / np.maximum(q[there], 1e-12))))
