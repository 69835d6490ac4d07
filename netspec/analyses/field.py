"""Receptive fields: which stretch of each input's axes one position of a value depends on, at the typical sizes.

An interval of positions is carried backwards through every operator's `reach`, over all paths, and joined where they
meet; so branches, skips and resampling need no special case. The map of one operator is in `reach`; composition is
Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019,
doi:10.23915/distill.00021. Intervals are not cut at the borders: a field may be larger than the input.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Callable, Union

from netspec import reach as r
from netspec.graph import Graph, Node
from netspec.record import record
from netspec.sizes.dim import evaluate


@record
class Stretch:
    """Positions `start` to `end` of an axis, both included; unbounded where everything is seen."""

    start: float
    end: float

    @property
    def size(self) -> float:
        """How many positions; `inf` for the whole axis."""
        return self.end - self.start + 1

    def join(self, other: Stretch) -> Stretch:
        """The smallest stretch that holds both."""
        return Stretch(min(self.start, other.start), max(self.end, other.end))


WHOLE = Stretch(-math.inf, math.inf)

#: an axis's stretch, by axis
Extent = dict[int, Stretch]


def smallest_field(graph: Graph, value: int) -> Union[int, float]:
    """The receptive field of a value on the spatial axis of an input where it is smallest, at the phase where it is
    largest; `inf` where it sees whole axes. What `expect receptive_field(y) >= 64` asks."""
    sizes: list[float] = []
    for port in graph.inputs:
        found = [field_at(graph, value, phase).get(port.value, {}) for phase in _phases(graph, value)]
        for axis in range(2, len(graph.values[port.value].shape)):
            here = [extent[axis].size for extent in found if axis in extent]
            if here:
                sizes.append(max(here))
    if not sizes:
        return math.inf
    least = min(sizes)
    return least if math.isinf(least) else int(least)


def _phases(graph: Graph, value: int) -> range:
    """Offsets from the middle at which a field may differ: those of the upsampling on the way."""
    inputs = [max((_number(graph, s) for s in graph.values[p.value].shape[2:]), default=1) for p in graph.inputs]
    own = max((_number(graph, s) for s in graph.values[value].shape[2:]), default=1)
    smallest = min((_number(graph, s) for v in graph.values for s in v.shape[2:]), default=1)
    return range(1) if own <= smallest else range(min(own, max(1, max(inputs, default=1) // max(smallest, 1)), 32))


def _number(graph: Graph, size: object) -> int:
    return size if isinstance(size, int) else evaluate(size, graph.typical)  # type: ignore[arg-type]


def field_at(graph: Graph, value: int, offset: int = 0) -> dict[int, Extent]:
    """What the middle position of a value (plus `offset`) sees of every value before it: value number to axis to stretch."""
    shape = graph.values[value].shape
    middle: Extent = {}
    for axis in range(1, len(shape)):
        n = _number(graph, shape[axis])
        at = (n // 2 + offset) % max(n, 1)
        middle[axis] = Stretch(at, at) if axis >= 2 else WHOLE
    seen: dict[int, Extent] = {value: middle}
    for node in reversed(graph.nodes):
        for index, output in enumerate(node.outputs):
            if output in seen:
                _carry(graph, node, index, seen[output], seen)
    return seen


def _carry(graph: Graph, node: Node, index: int, extent: Extent, seen: dict[int, Extent]) -> None:
    inputs, outputs = graph.types(node.inputs), graph.types(node.outputs)
    reach = node.op.reach(inputs, outputs)[index]
    for position, number in enumerate(node.inputs):
        rank = inputs[position].rank
        if len(reach.inputs[position]) < outputs[index].rank:
            continue  # only its sizes matter (`resize(like = e)`)
        found: Extent = {}
        mentioned: set[int] = set()
        for axis, look in enumerate(reach.inputs[position]):
            if look is None:
                continue
            mentioned.add(look.axis)
            if axis in extent:
                n, m = _number(graph, inputs[position].shape[look.axis]), _number(graph, outputs[index].shape[axis])
                stretch = _look(look, extent[axis], n, m)
                found[look.axis] = found[look.axis].join(stretch) if look.axis in found else stretch
        for axis in range(1, rank):
            if axis not in mentioned:
                found[axis] = WHOLE
        before = seen.setdefault(number, {})
        for axis, stretch in found.items():
            before[axis] = before[axis].join(stretch) if axis in before else stretch


def _look(look: r.AxisReach, seen: Stretch, n: int, m: int) -> Stretch:
    """The stretch of the input axis (length n) that a stretch of the output axis (length m) depends on."""
    if isinstance(look, r.All) or math.isinf(seen.size):
        return WHOLE
    return _LOOKS[type(look)](look, int(seen.start), int(seen.end), n, m)


def _window(w: r.Window, start: int, end: int, n: int, m: int) -> Stretch:
    return Stretch(start * w.stride - w.padding, end * w.stride - w.padding + w.dilation * (w.kernel - 1))


def _transposed(t: r.Transposed, start: int, end: int, n: int, m: int) -> Stretch:
    return Stretch(-((-(start + t.padding - t.dilation * (t.kernel - 1))) // t.stride), (end + t.padding) // t.stride)


def _resample(s: r.Resample, start: int, end: int, n: int, m: int) -> Stretch:
    first, last = _taps(s, start, n, m), _taps(s, end, n, m)
    return Stretch(first[0], last[1])


def _taps(s: r.Resample, o: int, n: int, m: int) -> tuple[int, int]:
    """First and last input position that output position o of an interpolation uses."""
    if n == m and s.mode in ("nearest", "linear"):
        return o, o  # torch copies an axis that keeps its length, whatever the factor
    ratio = 1 / s.scale if s.scale else Fraction(n, m)
    if s.mode == "nearest":
        at = math.floor(o * ratio)
        return at, at
    if s.mode == "nearest-exact":
        at = math.floor((o + Fraction(1, 2)) * ratio)
        return at, at
    if s.mode == "area":
        return math.floor(o * ratio), math.ceil((o + 1) * ratio) - 1
    x = Fraction(o * (n - 1), max(m - 1, 1)) if s.align_corners else (o + Fraction(1, 2)) * ratio - Fraction(1, 2)
    if s.mode == "linear":
        x = max(x, Fraction(0)) if o >= 0 else x
    if s.antialias and ratio > 1:
        half = ratio * (2 if s.mode == "cubic" else 1)
        return math.floor(x - half + Fraction(1, 2)), math.ceil(x + half - Fraction(1, 2))
    if s.mode == "cubic":
        return math.floor(x) - 1, math.floor(x) + 2
    return math.floor(x), math.floor(x) + (1 if x.denominator != 1 else 0)


def _adaptive(a: r.Adaptive, start: int, end: int, n: int, m: int) -> Stretch:
    return Stretch(math.floor(Fraction(start * n, m)), math.ceil(Fraction((end + 1) * n, m)) - 1)


def _blocks(b: r.Blocks, start: int, end: int, n: int, m: int) -> Stretch:
    if b.up:
        return Stretch(start // b.factor, end // b.factor)
    return Stretch(start * b.factor, end * b.factor + b.factor - 1)


def _shift(s: r.Shift, start: int, end: int, n: int, m: int) -> Stretch:
    first, last = start * s.step + s.offset, end * s.step + s.offset
    return Stretch(min(first, last), max(first, last))


_LOOKS: dict[type, Callable[..., Stretch]] = {
    r.Same: lambda look, start, end, n, m: Stretch(start, end),
    r.Window: _window,
    r.Transposed: _transposed,
    r.Resample: _resample,
    r.Adaptive: _adaptive,
    r.Blocks: _blocks,
    r.Shift: _shift,
    r.Causal: lambda look, start, end, n, m: Stretch(0, end),
}
