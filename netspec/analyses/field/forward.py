"""The receptive field of every value of a network, in one pass over its nodes from the inputs on.

For each value, each input and each of its axes along which there are positions: the `Track` over all paths, and that of the
narrowest path. A node composes the tracks of its inputs with its own look at them and joins what meets. Channels are not told
apart: where some of them are split off again, their paths still count (`exact` tells them apart).
"""

from __future__ import annotations

from dataclasses import field
from fractions import Fraction
from typing import Iterable, Mapping, Optional, Union

from netspec import reach as r
from netspec.analyses.field.closed import Closed, Read
from netspec.analyses.field.taps import taps_of
from netspec.analyses.field.track import BOUND, ITSELF, WHOLE, Track, compose, held, join
from netspec.graph import Graph, Value
from netspec.record import draft, record
from netspec.sizes.dim import show

#: An input's value, its axis, and the axis of the value in question whose index moves the field (None: none does).
Line = tuple[int, int, Optional[int]]
#: Over all paths, and of the narrowest one.
Paths = tuple[Track, Track]
Lines = dict[Line, Paths]


@record
class Misalignment:
    """Paths that meet at a node although they step or lie differently, seen from an axis of an input.

    `node` is its place in `Graph.nodes`; `input` and `axis` name a value and an axis of it. `strides` are in input positions,
    `centres` where the middle of the field of position 0 lies, on average over phases: one a path, the node's inputs in order.
    """

    node: int
    input: int
    axis: int
    strides: tuple[Fraction, ...]
    centres: tuple[Fraction, ...]

    @property
    def text(self) -> str:
        """What disagrees, in words."""
        if len(set(self.strides)) > 1:
            return f"the paths that meet here step {_listed(self.strides)} input positions along axis {self.axis}: they drift apart"
        return f"the paths that meet here are centred at {_listed(self.centres)} along axis {self.axis}: they look past each other"


def _listed(numbers: Iterable[Fraction]) -> str:
    texts = [f"{float(n):g}" for n in dict.fromkeys(numbers)]
    return " and ".join((", ".join(texts[:-1]), texts[-1]) if len(texts) > 1 else texts)


def position_axes(value: Value) -> tuple[int, ...]:
    """The axes of an input along which there are positions to see: not the batch (axis 0), and not the channels.

    Channels are axis 1, as in `[N, C, H, W]`. They are the last axis where axis 1 is open and the last one a number, as in
    `[N, T, 64]` and `[N, H, W, 3]`; and there are none where two axes are left and the second is open or the elements are
    indices or flags: `[N, T]` of a waveform, `int64 [N, 128]` of tokens.
    """
    shape = value.shape
    is_open = len(shape) > 1 and not isinstance(shape[1], int)
    if len(shape) == 2:
        return (1,) if is_open or "float" not in value.dtype else ()
    return tuple(range(1, len(shape) - 1) if is_open and isinstance(shape[-1], int) else range(2, len(shape)))


@draft
class Fields:
    """The tracks of every value of a network, at concrete sizes. `misaligned` are the joins that do not fit, in graph order."""

    closed: Closed
    lines: dict[int, Lines] = field(default_factory=dict)
    misaligned: list[Misalignment] = field(default_factory=list)
    _names: dict[tuple[int, int], str] = field(default_factory=dict)

    def of(self, value: int) -> dict[int, dict[int, Track]]:
        """What the value sees over all paths: a track for each input (by value) and axis."""
        return self._over_all(self.lines.get(value, {}))

    def least(self, value: int) -> dict[int, dict[int, Track]]:
        """What the value sees over the narrowest path, such as all the skips of a residual network."""
        found: dict[int, dict[int, Track]] = {}
        for (source, axis, _), (_, track) in self.lines.get(value, {}).items():
            known = found.setdefault(source, {}).get(axis)
            found[source][axis] = track if known is None or track.size < known.size else known
        return found

    def local(self, value: int) -> dict[int, dict[int, Track]]:
        """As `of`, without the paths that see everything: a squeeze-and-excitation network as if its gates were constants."""
        return self._over_all({line: paths for line, paths in self.lines.get(value, {}).items() if not paths[0].whole})

    def _over_all(self, lines: Lines) -> dict[int, dict[int, Track]]:
        found: dict[int, dict[int, Track]] = {}
        for (source, axis, _), (track, _) in lines.items():
            known = found.setdefault(source, {}).get(axis)
            if known is not None:  # two axes of the value move it: together they reach everywhere
                track = WHOLE if WHOLE in (known, track) else BOUND
            found[source][axis] = track
        return found

    def along(self, value: int, source: int, axis: int) -> int | None:
        """The axis of the value whose index moves its field along an axis of an input; None where none does."""
        moving = (line[2] for line in self.lines.get(value, {}) if line[:2] == (source, axis) and line[2] is not None)
        return next(moving, None)

    def size(self, value: int) -> dict[str, Union[int, float]]:
        """The size of the field by the name of the axis (`H`; `2` where its size is fixed), the largest over the inputs."""
        found: dict[str, Union[int, float]] = {}
        for source, axes in self.of(value).items():
            for axis, track in axes.items():
                name = self._names.get((source, axis))
                if name is None:
                    name = self._names[source, axis] = axis_name(self.closed.graph.values[source], axis)
                along = self.along(value, source, axis) if track.period > 1 else None
                size = track.size if along is None else track.largest(self.closed.shape(value)[along])
                found[name] = max(found.get(name, 0), size)
        return found


def axis_name(value: Value, axis: int) -> str:
    """How people call an axis of an input: by the name of its size, or by its number where the size is fixed."""
    size = value.shape[axis]
    return str(axis) if isinstance(size, int) else show(size)


def fields(graph: Graph, sizes: Mapping[str, int] | None = None) -> Fields:
    """The receptive field of every value, in evaluation mode, at the typical sizes (or `sizes` in their place).

    Raises `Refusal` as `Closed` does.
    """
    return fields_at(Closed(graph, sizes))


def fields_at(closed: Closed) -> Fields:
    """As `fields`, of a graph whose sizes are numbers already."""
    found, graph = Fields(closed), closed.graph
    for port in graph.inputs:
        found.lines[port.value] = {(port.value, a, a): (ITSELF, ITSELF) for a in position_axes(graph.values[port.value])}
    for index, node in enumerate(graph.nodes):
        for place, output in enumerate(node.outputs):
            found.lines[output] = _Joint(found, index, output).lines(closed.reads(index, place))
    return found


class _Joint:
    """One output of one node: composes the tracks of what it reads, and joins them."""

    def __init__(self, found: Fields, node: int, output: int) -> None:
        self.found, self.closed, self.node = found, found.closed, node
        self.shape = found.closed.shape(output)
        self.met: dict[Line, list[Paths]] = {}
        self.joined_along: set[int] = set()

    def lines(self, reads: list[Read]) -> Lines:
        """The tracks of the output."""
        reads = [read for read in reads if self.found.lines.get(read.value)]
        if len(reads) == 1 and self._pointwise(reads[0]):
            return self.found.lines[reads[0].value]
        for read in reads:
            self._read(read)
        self.joined_along = joined_along(reads)
        return {line: self._join(line, met) for line, met in self.met.items()}

    def _pointwise(self, read: Read) -> bool:
        """Whether every position sees the same position, and no axis is lost."""
        same = all(type(look) is r.Same and look.axis == axis for axis, look in enumerate(read.looks))
        return same and len(read.looks) == self.closed.types[read.value].rank

    def _read(self, read: Read) -> None:
        own: dict[Line, list[Paths]] = {}
        by_axis: dict[int, list[tuple[int, r.AxisReach]]] = {}
        for axis, look in enumerate(read.looks):
            if look is not None:
                by_axis.setdefault(look.axis, []).append((axis, look))
        for (source, axis, along), paths in self.found.lines[read.value].items():
            if along is None or along not in by_axis:
                paths = paths if along is None else self._reduced(read, along, paths)
                own.setdefault((source, axis, None), []).append(paths)
                continue
            for out, look in by_axis[along]:
                moved, made = self._through(read, look, self.shape[out], paths)
                own.setdefault((source, axis, out if moved else None), []).append(made)
        for line, several in own.items():
            self.met.setdefault(line, []).append(_united(several, self._length(line)))

    def _through(self, read: Read, look: r.AxisReach, m: int, paths: Paths) -> tuple[bool, Paths]:
        """The tracks behind one look, and whether the index of the output's axis moves them."""
        if type(look) is r.Same:
            return True, paths
        taps = taps_of(look, self.closed.shape(read.value)[look.axis], m)
        if taps is None:
            return False, self._reduced(read, look.axis, paths)
        widest = compose(paths[0], taps, m)
        return True, (widest, widest if paths[1] is paths[0] else compose(paths[1], taps, m))

    def _reduced(self, read: Read, axis: int, paths: Paths) -> Paths:
        """All of an axis is seen, or the one index that is picked or that there is."""
        index = 0 if self.closed.graph.values[read.value].shape[axis] == 1 else read.picked.get(axis)
        return (WHOLE, WHOLE) if index is None else (held(paths[0], index), held(paths[1], index))

    def _length(self, line: Line) -> int:
        return 1 if line[2] is None else self.shape[line[2]]

    def _join(self, line: Line, met: list[Paths]) -> Paths:
        if len(met) == 1:
            return met[0]
        widest, least = _united(met, self._length(line))
        if line[2] in self.joined_along:  # each position comes from one of them: the interval over all is a bound
            return _as_bound(widest), least
        tracks = [paths[0] for paths in met if not paths[0].whole]
        if widest is not WHOLE and not all(t is tracks[0] for t in tracks):
            self._compare(line, tracks)
        return widest, least

    def _compare(self, line: Line, tracks: list[Track]) -> None:
        """Note the node where the tracks that meet differ in stride or in centre."""
        strides, centres = tuple(t.stride for t in tracks), tuple(t.centre for t in tracks)
        if len(set(strides)) > 1 or len(set(centres)) > 1:
            self.found.misaligned.append(Misalignment(self.node, line[0], line[1], strides, centres))


def _united(several: list[Paths], length: int) -> Paths:
    widest, least = several[0]
    for other, narrow in several[1:]:
        widest = join(widest, other, length)
        least = narrow if narrow.size < least.size else least
    return widest, least


def joined_along(reads: list[Read]) -> set[int]:
    """The output axes along which tensors stand one behind the other: several inputs are shifted there."""
    found: dict[int, int] = {}
    for read in reads:
        for axis, look in enumerate(read.looks):
            if isinstance(look, r.Shift):
                found[axis] = found.get(axis, 0) + 1
    return {axis for axis, count in found.items() if count > 1}


def _as_bound(track: Track) -> Track:
    return track if track.whole else Track(track.period, track.advance, track.ends, False, track.aligned, True)
