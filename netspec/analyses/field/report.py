"""Receptive fields as people ask for them: of an output or a layer, axis by axis, with what is peculiar about them."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Mapping, Optional, Sequence, Union

from netspec.analyses.field.closed import Closed
from netspec.analyses.field.exact import reaching_at
from netspec.analyses.field.forward import Fields, axis_name, fields, fields_at
from netspec.analyses.field.positions import Positions
from netspec.analyses.field.track import Track
from netspec.diagnostics.model import Refusal
from netspec.diagnostics.nearest import suggestion
from netspec.graph import Graph
from netspec.record import record

#: Where to stand: an index for all axes, one an axis in order, or by the name of the input's axis.
At = Optional[Union[int, tuple[int, ...], Mapping[str, int]]]
#: Up to this period, every phase is looked at by itself.
MAX_PHASES = 64


@record
class Phase:
    """The field of the output positions `index`, `index + period`, …, of which there are as many kinds as the period is long.

    `start` is where the field of position `index` begins, `size` how long it is (0: nothing reaches the position), `coverage`
    the share of it that reaches the position.
    """

    index: int
    size: int
    start: int
    coverage: float


@record
class AxisField:
    """What one output position sees along one axis of an input, in input positions, borders aside.

    `size` is the largest over all phases of the position (`inf`: the whole axis), `smallest` the smallest, `least` that of the
    narrowest path. The next position sees `stride` further on; position 0 begins `padding` before the input. `start` to `end`,
    both included, is what output position `position` sees: the widest phase nearest behind the middle, where none was asked
    for. Of that stretch `coverage` is the share that reaches the position, `holes` (counted from `start`) is what does not.
    `phases` tells them apart where they differ: in size, in coverage, or where one does not begin at `stride * index - padding`,
    rounded down.

    `aligned` is False where paths of other strides or centres were joined; `approximate` where all is only a bound. `input`,
    `axis` and `length` say along what the field lies, `along` which axis of the value moves it (None: none does).
    """

    size: Union[int, float]
    stride: Fraction
    padding: int
    start: Union[int, float]
    end: Union[int, float]
    aligned: bool = True
    coverage: float = 1.0
    holes: tuple[range, ...] = ()
    phases: tuple[Phase, ...] = ()
    smallest: Union[int, float] = 0
    least: Union[int, float] = 0
    approximate: bool = False
    input: str = ""
    axis: int = 0
    length: int = 0
    position: int = 0
    along: Optional[int] = None

    def data(self) -> dict[str, Any]:
        """As plain data, for JSON: `all` for the whole axis, whose ends are then 0 and its last position."""
        whole = math.isinf(self.size)
        stride = self.stride
        plain: dict[str, Any] = {
            "size": "all" if whole else self.size,
            "stride": stride.numerator if stride.denominator == 1 else str(stride),
            "padding": self.padding,
            "start": 0 if whole else self.start,
            "end": self.length - 1 if whole else self.end,
            "aligned": self.aligned,
            "coverage": self.coverage,
            "holes": [[hole[0], hole[-1]] for hole in self.holes],
            "smallest": "all" if math.isinf(self.smallest) else self.smallest,
            "least": "all" if math.isinf(self.least) else self.least,
            "position": self.position,
            "input": self.input,
        }
        if self.phases:
            plain["phases"] = [{"index": p.index, "size": p.size, "start": p.start, "coverage": p.coverage} for p in self.phases]
        if self.approximate:
            plain["approximate"] = True
        return plain


#: By the name of an axis: `H`, or `2` where its size is fixed.
AxisFields = dict[str, AxisField]


def receptive_field(
    graph: Graph, of: str | None = None, at: At = None, sizes: Mapping[str, int] | None = None
) -> dict[str, AxisFields]:  # fmt: skip
    """The receptive field of each output, or of the output, layer, block or name `of`: by its name, by axis.

    Of several inputs with an axis of one name, the one that it sees most of. `at` is the output position to look from (by
    default the middle), `sizes` replaces typical sizes; evaluation mode. Which axes have positions, `position_axes` says.

    Raises `Refusal`: NS014 and NS723 for `sizes`, NS021 for `of`, NS025 for `at`.
    """
    found: dict[str, AxisFields] = {}
    for label, by_input in fields_by_input(graph, of, at, sizes).items():
        found[label] = {}
        for axes in by_input.values():
            for name, seen in axes.items():
                if name not in found[label] or seen.size > found[label][name].size:
                    found[label][name] = seen
    return found


def fields_by_input(
    graph: Graph, of: str | None = None, at: At = None, sizes: Mapping[str, int] | None = None
) -> dict[str, dict[str, AxisFields]]:  # fmt: skip
    """As `receptive_field`, for every input that reaches the output by itself: by output, by input, by axis."""
    closed = Closed(graph, sizes)
    found = fields_at(closed)
    asked = {of: value_of(graph, of)} if of is not None else {port.name: port.value for port in graph.outputs}
    return {label: _View(found, value, at).by_input() for label, value in asked.items()}


def smallest_field(graph: Graph, value: int) -> Union[int, float]:
    """The receptive field of a value along the axis where it is smallest, at the phase where it is largest; `inf` where it
    sees whole axes. What `expect receptive_field(y) >= 64` asks."""
    return min(fields(graph).size(value).values(), default=math.inf)


def value_of(graph: Graph, label: str) -> int:
    """The value that a label means: an output, a layer (its first output), a block (its first output) or a bound name.

    Raises `Refusal` (NS021) for anything else.
    """
    known: dict[str, int] = {value.hint: number for number, value in enumerate(graph.values) if value.hint}
    known.update((graph.scopes[f.scope].path, f.outputs[0].value) for f in reversed(graph.frames) if f.outputs)
    known.update((name, node.outputs[0]) for node in reversed(graph.nodes) for name in (node.label, node.name))
    known.update((value.name, number) for number, value in enumerate(graph.values))
    known.update((port.name, port.value) for port in (*graph.inputs, *graph.outputs))
    known.pop("", None)
    if label not in known:
        raise Refusal("NS021", f"{graph.name} has no layer `{label}`", helps=suggestion(label, known), status=2)
    return known[label]


class _View:
    """One value, looked at from one position."""

    def __init__(self, found: Fields, value: int, at: At) -> None:
        self.found, self.closed, self.value = found, found.closed, value
        self.tracks = found.of(value)
        self.least = found.least(value)
        self.shape = self.closed.shape(value)
        self.middle = {along: self._middle(along) for along in self._moving()}
        self.spot = {**self.middle, **self._asked(at)}
        self._sets: dict[tuple[int, ...], dict[int, dict[int, Positions]]] = {}

    def by_input(self) -> dict[str, AxisFields]:
        """The fields by input and axis; inputs that do not reach the value are left out."""
        graph = self.closed.graph
        found: dict[str, AxisFields] = {}
        for port in graph.inputs:
            for axis, track in self.tracks.get(port.value, {}).items():
                seen, name = self._axis(port.name, port.value, axis, track), axis_name(graph.values[port.value], axis)
                known = found.setdefault(port.name, {}).get(name)
                found[port.name][name] = seen if known is None or seen.size > known.size else known
        return found

    # ------------------------------------------------------------------------------------------------ where to stand
    def _moving(self) -> dict[int, str]:
        """The axes of the value that move a field, with the names of the input axes that they stand for."""
        found: dict[int, str] = {}
        for source, axes in self.tracks.items():
            for axis in axes:
                along = self.found.along(self.value, source, axis)
                if along is not None:
                    found.setdefault(along, axis_name(self.closed.graph.values[source], axis))
        return dict(sorted(found.items()))

    def _middle(self, along: int) -> int:
        """The position of the widest phase, nearest behind the middle."""
        length = self.shape[along]
        middle = length // 2
        for source, axes in self.tracks.items():
            for axis, track in axes.items():
                if not track.whole and self.found.along(self.value, source, axis) == along:
                    candidates = (*range(middle, min(length, middle + track.period)), *range(middle))
                    sizes, largest = track.sizes, track.largest(length)
                    return next(o for o in candidates if sizes[o % track.period] == largest)
        return middle

    def _asked(self, at: At) -> dict[int, int]:
        """The position asked for, by axis of the value. Raises `Refusal` (NS025) for one that there is not."""
        moving = self._moving()
        if at is None:
            return {}
        if isinstance(at, int):
            found = dict.fromkeys(moving, at)
        elif isinstance(at, tuple):
            if not moving:
                raise Refusal("NS025", "every position here sees the same: there is none to look from", status=2)
            if len(at) != len(moving):
                raise Refusal(
                    "NS025",
                    f"a position here is {len(moving)} number{'s' * (len(moving) > 1)} ({', '.join(moving.values())}), not {len(at)}",
                    status=2,
                )
            found = dict(zip(moving, at))
        else:
            unknown = [name for name in at if name not in moving.values()]
            if unknown:
                raise Refusal("NS025", f"no axis here is called `{unknown[0]}`", helps=suggestion(unknown[0], moving.values()), status=2)
            found = {along: at[name] for along, name in moving.items() if name in at}
        for along, index in found.items():
            last = self.shape[along] - 1
            if not 0 <= index <= last:
                raise Refusal("NS025", f"there is no position {index} along {moving[along]}: the last one is {last}", status=2)
        return found

    # ------------------------------------------------------------------------------------------------ what is seen
    def _axis(self, port: str, source: int, axis: int, track: Track) -> AxisField:
        along = self.found.along(self.value, source, axis)
        place: dict[str, Any] = {
            "input": port, "axis": axis, "length": self.closed.shape(source)[axis], "along": along,
            "position": 0 if along is None else self.spot[along], "approximate": track.approximate, "aligned": track.aligned,
        }  # fmt: skip
        least = self.least[source][axis].size
        if track.whole:
            return AxisField(math.inf, Fraction(0), 0, -math.inf, math.inf, smallest=math.inf, least=least, **place)
        seen = self._set(self.spot).get(source, {}).get(axis, Positions(0, 0))
        start, end = (seen.start, seen.end) if seen else (0, -1)
        phases = self._phases(source, axis, track, along)
        sizes: Sequence[int | float] = [p.size for p in phases] or (track.sizes if track.period > MAX_PHASES else (seen.size,))
        if track.approximate:  # exact where we stand, and a bound elsewhere
            sizes = (*track.sizes, seen.size)
        uneven = {(p.size, p.coverage, p.start - math.floor(p.index * track.stride)) for p in phases}
        return AxisField(
            max(sizes), track.stride, track.padding, start, end, coverage=seen.coverage if seen else 0.0,
            holes=tuple(range(h.start - int(start), h.stop - int(start)) for h in seen.holes), phases=phases if len(uneven) > 1 else (),
            smallest=min(sizes), least=min(least, max(sizes)), **place,
        )  # fmt: skip

    def _phases(self, source: int, axis: int, track: Track, along: int | None) -> tuple[Phase, ...]:
        if along is None or not 1 < track.period <= MAX_PHASES:
            return ()
        found = []
        for index, ends in enumerate(track.ends[: self.shape[along]]):  # a period may be longer than the axis
            seen = self._set({**self.middle, along: index}).get(source, {}).get(axis, Positions(0, 0))
            found.append(Phase(index, int(seen.size), 0 if ends is None else ends[0], seen.coverage if seen else 0.0))
        return tuple(found)

    def _set(self, spot: Mapping[int, int]) -> dict[int, dict[int, Positions]]:
        """What reaches a position, by axis of the value, on axes without ends."""
        key = tuple(spot.values())
        if key not in self._sets:
            self._sets[key] = reaching_at(self.closed, self.value, spot, borders=False)
        return self._sets[key]
