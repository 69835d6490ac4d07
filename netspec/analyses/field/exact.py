"""Exactly which input positions reach one output position: sets, not intervals, carried backwards through the network.

Along each axis by itself: a set of an axis is what is left of the joint set when one looks along that axis alone. Where paths
are merged whose borders cut another axis differently, it may count a position that reaches the output beside that border only.
"""

from __future__ import annotations

from typing import Callable, Collection, Mapping, Union

from netspec import reach as r
from netspec.analyses.field.closed import Closed, Read
from netspec.analyses.field.forward import Fields, fields_at, joined_along, position_axes
from netspec.analyses.field.positions import EVERYWHERE, NOWHERE, Positions
from netspec.analyses.field.taps import Taps, border_of, taps_of
from netspec.graph import Graph

#: For every axis of a value, the positions that reach the output.
Spot = list[Positions]
#: Up to this period, positions are taken phase by phase; beyond, one by one.
_FEW = 16


def reaching(
    graph: Graph, value: int, position: Union[int, Mapping[int, int]], sizes: Mapping[str, int] | None = None, *, borders: bool = True
) -> dict[int, dict[int, Positions]]:
    """The positions of each input that reach one position of a value: by the input's value, by axis.

    `position` gives the index along axes of the value, counted from 0, as numbers by axis; a plain number is meant for all of
    its spatial axes (those from the third on, or the second of a value with two axes). Along axes that are not given, all
    positions are meant. Inputs that do not reach it are left out.

    With `borders` the axes end where they end: a tap in zero padding falls outside, one in mirrored padding comes back inside.
    Without, every axis whose index is given goes on for ever in both directions, as do the input's: gaps are then the network's
    own and not the border's. Where the whole axis is seen, the set is then `EVERYWHERE`.

    Raises IndexError for a position that the value does not have (with borders), and `Refusal` as `Closed` does.
    """
    return reaching_at(Closed(graph, sizes), value, position, borders=borders)


def reaching_at(
    closed: Closed, value: int, position: Union[int, Mapping[int, int]], *, borders: bool = True
) -> dict[int, dict[int, Positions]]:
    """As `reaching`, of a graph whose sizes are numbers already."""
    shape = closed.shape(value)
    if isinstance(position, int):
        position = dict.fromkeys(range(min(2, max(len(shape) - 1, 0)), len(shape)), position)
    for axis, index in position.items():
        if axis not in range(len(shape)) or (borders and index not in range(shape[axis])):
            raise IndexError(f"a value of shape {list(shape)} has no position {index} along axis {axis}")
    spot = [Positions(position[a], 1) if a in position else Positions.span(0, n - 1) for a, n in enumerate(shape)]
    walk = _Walk(closed, frozenset() if borders else frozenset((value, a) for a in position), borders)
    walk.seen[value] = spot
    walk.run()
    found = {}
    for port in closed.graph.inputs:
        if port.value in walk.seen:
            found[port.value] = {a: walk.seen[port.value][a] for a in position_axes(closed.graph.values[port.value])}
    return found


class _Walk:
    """From the output back to the inputs. `endless` are the axes (value, axis) that have no ends."""

    def __init__(self, closed: Closed, endless: frozenset[tuple[int, int]], borders: bool) -> None:
        self.closed = closed
        self.seen: dict[int, Spot] = {}
        self.endless = set(endless)
        self.borders = borders
        self._fields: Fields | None = None

    def run(self) -> None:
        """Carry what is seen of each node's outputs to its inputs, from the last node that matters to the first."""
        nodes = self.closed.graph.nodes
        for index in range(len(nodes) - 1, -1, -1):
            for place, output in enumerate(nodes[index].outputs):
                if output in self.seen:
                    self._carry(index, place, output)

    def _carry(self, index: int, place: int, output: int) -> None:
        reads = self.closed.reads(index, place)
        joined = joined_along(reads) if len(reads) > 1 else ()
        for read in reads:
            found = self._before(read, output, joined)
            if not all(found):
                continue  # along some axis nothing of this input reaches the position, so nothing of it does
            known = self.seen.get(read.value)
            self.seen[read.value] = found if known is None else [a | b for a, b in zip(known, found)]

    def _before(self, read: Read, output: int, joined: Collection[int]) -> Spot:
        """What the spot of an output sees along each axis of one input."""
        shape, spot = self.closed.shape(read.value), self.seen[output]
        found: list[Positions | None] = [None] * len(shape)
        for axis, look in enumerate(read.looks):
            if look is None:
                continue
            image = self._image(look, spot[axis], read.value, (output, axis), axis in joined)
            known = found[look.axis]
            found[look.axis] = image if known is None else known | image
        return [self._reduced(read, axis) if f is None else f for axis, f in enumerate(found)]

    def _image(self, look: r.AxisReach, seen: Positions, number: int, along: tuple[int, int], joined: bool) -> Positions:
        endless = along in self.endless
        if endless:
            self.endless.add((number, look.axis))
        if type(look) is r.Same or seen is EVERYWHERE:
            return seen
        n = self.closed.shape(number)[look.axis]
        taps = taps_of(look, n, self.closed.shape(along[0])[along[1]])
        if taps is None:
            return self._whole(look, seen, n, endless)
        image = through(taps, seen)
        return image if endless and not joined else inside(image, n, border_of(look))

    def _whole(self, look: r.AxisReach, seen: Positions, n: int, endless: bool) -> Positions:
        """Everything, or everything up to the last position seen."""
        if not seen:
            return NOWHERE
        if endless:
            return EVERYWHERE if n != 1 else Positions(0, 1)
        return Positions.span(0, min(int(seen.end), n - 1) if isinstance(look, r.Causal) else n - 1)

    def _reduced(self, read: Read, axis: int) -> Positions:
        """What is seen of an axis that the output does not have: all of it, or the index that is picked or that there is."""
        n = self.closed.shape(read.value)[axis]
        if n > 1 and axis not in read.picked:
            return Positions.span(0, n - 1)
        if not self.borders and self._has_positions(read.value, axis):
            self.endless.add((read.value, axis))
        return Positions(read.picked.get(axis, 0), 1)

    def _has_positions(self, value: int, axis: int) -> bool:
        """Whether the index along an axis moves what the value sees, as that of a channel does not."""
        if self._fields is None:
            self._fields = fields_at(self.closed)
        return any(line[2] == axis for line in self._fields.lines.get(value, ()))


def through(taps: Taps, seen: Positions) -> Positions:
    """The input positions that a set of output positions uses; borders aside."""
    if taps.period == 1:
        return seen.spread(taps.advance).tapped(taps.table[0])
    found = NOWHERE
    if taps.period <= _FEW:
        for phase in range(taps.period):
            found = found | seen.every(taps.period, phase).spread(taps.advance).tapped(taps.table[phase])
        return found
    for position in seen:
        found = found | Positions.of(taps.at(position))
    return found


def inside(seen: Positions, length: int, border: str) -> Positions:
    """Where what lies outside of an axis comes from: nowhere, a mirror, the last element, or the other end."""
    kept = seen.within(length)
    if border == "zeros" or kept == seen:
        return kept
    outside = [p for run in seen.runs if run[0] < 0 or run[-1] >= length for p in run if not 0 <= p < length]
    return kept | Positions.of(_BORDERS[border](p, length) for p in outside)


def _mirrored(position: int, length: int) -> int:
    around = max(2 * (length - 1), 1)
    return min(position % around, around - position % around)


_BORDERS: dict[str, Callable[[int, int], int]] = {
    "reflect": _mirrored,
    "replicate": lambda position, length: min(max(position, 0), length - 1),
    "circular": lambda position, length: position % length,
}
