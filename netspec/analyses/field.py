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
from netspec.sizes.dim import Size, evaluate, show
from netspec.sizes.tensor import TensorType


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


#: so many output positions further, every pattern that strides and factors up to 16 make has repeated
_FAR = 720_720


@record
class AxisField:
    """What one output position sees along one axis of an input: `size` positions (`inf`: all of them), from `start` to
    `end` for the middle position; the next position sees `stride` further on, and the first begins `padding` before 0."""

    size: float
    stride: Fraction
    padding: float
    start: float
    end: float


def receptive_field(graph: Graph) -> dict[str, dict[str, AxisField]]:
    """For each output, the field along each spatial axis of the input that it sees most of, by the name of the size (`H`),
    or the axis's number (`"2"`) where its size is fixed. Where the phase of a position matters, its largest.

    Spatial axes are those from the third on: an input of two axes has none. Evaluation mode, typical sizes.
    """
    return {port.name: _fields_of(graph, port.value) for port in graph.outputs}


def _fields_of(graph: Graph, value: int) -> dict[str, AxisField]:
    found: dict[str, AxisField] = {}
    for port in graph.inputs:
        shape = graph.values[port.value].shape
        for axis in range(2, len(shape)):
            name = str(axis) if isinstance(shape[axis], int) else show(shape[axis])
            field = _axis_field(graph, value, port.value, axis)
            if field is not None and (name not in found or field.size > found[name].size):
                found[name] = field
    return found


def _axis_field(graph: Graph, value: int, source: int, axis: int) -> AxisField | None:
    middle = _middle(graph, value)
    seen = [seen_from(graph, value, middle + phase).get(source, {}).get(axis) for phase in _phases(graph, value)]
    stretches = [s for s in seen if s is not None]
    if not stretches:
        return None
    widest = max(stretches, key=lambda s: s.size)
    if math.isinf(widest.size):
        return AxisField(math.inf, Fraction(0), 0, -math.inf, math.inf)
    far = seen_from(graph, value, middle + stretches.index(widest) + _FAR)[source][axis]
    first = seen_from(graph, value, 0)[source][axis]
    return AxisField(widest.size, Fraction(int(far.start - widest.start), _FAR), -first.start, widest.start, widest.end)


def smallest_field(graph: Graph, value: int) -> Union[int, float]:
    """The receptive field of a value on the spatial axis of an input where it is smallest, at the phase where it is
    largest; `inf` where it sees whole axes. What `expect receptive_field(y) >= 64` asks."""
    least = min((f.size for f in _fields_of(graph, value).values()), default=math.inf)
    return least if math.isinf(least) else int(least)


def _middle(graph: Graph, value: int) -> int:
    return max((_number(graph, s) for s in graph.values[value].shape[2:]), default=1) // 2


def _phases(graph: Graph, value: int) -> range:
    """Offsets at which a field may differ: one where nothing on the way is enlarged, else as many as the enlargement."""
    sizes = [max((_number(graph, s) for s in v.shape[2:]), default=1) for v in graph.values if len(v.shape) > 2]
    own, least = max((_number(graph, s) for s in graph.values[value].shape[2:]), default=1), min(sizes, default=1)
    return range(1 if own <= least else min(own, -(-max(sizes) // max(least, 1)), 32))


def _number(graph: Graph, size: Size) -> int:
    return size if isinstance(size, int) else evaluate(size, graph.typical)


def _closed(graph: Graph, numbers: tuple[int, ...]) -> tuple[TensorType, ...]:
    """Types at the typical sizes: what depends on a size (`same_upper` at a stride) then has its own answer."""
    return tuple(TensorType(tuple(_number(graph, s) for s in graph.values[n].shape), graph.values[n].dtype) for n in numbers)


def seen_from(graph: Graph, value: int, position: int) -> dict[int, Extent]:
    """What a position of a value, the same along every spatial axis, sees of every value before it."""
    spot: Extent = {axis: Stretch(position, position) if axis >= 2 else WHOLE for axis in range(1, len(graph.values[value].shape))}
    seen: dict[int, Extent] = {value: spot}
    for node in reversed(graph.nodes):
        for index, output in enumerate(node.outputs):
            if output in seen:
                _carry(graph, node, index, seen[output], seen)
    return seen


def _carry(graph: Graph, node: Node, index: int, extent: Extent, seen: dict[int, Extent]) -> None:
    inputs, outputs = _closed(graph, node.inputs), _closed(graph, node.outputs)
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
                n, m = inputs[position].shape[look.axis], outputs[index].shape[axis]
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
