"""Resolution is place: an encoder-decoder is drawn as a U, its levels of equal resolution side by side.

A box's level is how many positions of the input a step of its output makes, as a logarithm: 0 at full resolution, 1 at half. What
falls stands on the left and is drawn downwards; what has been coarser before rises on the right and is drawn upwards. Between the
arms stand bridges (the side convolutions of a feature pyramid), right of them exits (the outputs at coarser levels).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence

from netspec.analyses.field import position_axes
from netspec.analyses.outline.model import Link, View
from netspec.backends.diagram.figures import Figures, last_value
from netspec.record import record

#: levels nearer to each other than this are one
_SAME = 0.4
#: so many boxes of a bridge or an exit stand in a row
_ROW = 3


@record
class Arms:
    """The two arms of a U, by the numbers of boxes and links of the view.

    `rising` are the boxes of the right arm, `rows` boxes that stand at one height, from left to right. `flat` are the links within
    a row, `crossing` those of them that lead from the left arm to the right one, `loose` those that must not settle any height.
    """

    rising: frozenset[int]
    rows: tuple[tuple[int, ...], ...]
    flat: frozenset[int]
    crossing: frozenset[int]
    loose: frozenset[int]


def levels(view: View, figures: Figures) -> list[float | None]:
    """The level of each box; None where no position of an input is left to see (behind global pooling, `flatten`).

    Strides of receptive fields tell it, whatever the borders lose; where every position sees everything (behind a normalization over
    positions), sizes do.
    """
    known: dict[int, float | None] = {}
    for box in view.boxes:
        value = last_value(view, box)
        if value is not None and value not in known:
            by_stride = _by_stride(figures, value)
            known[value] = by_stride if by_stride is not None else _by_size(view, figures, value)
    return [None if (value := last_value(view, box)) is None else known[value] for box in view.boxes]


def _by_stride(figures: Figures, value: int) -> float | None:
    found = figures.fields.local(value) if figures.fields is not None else {}
    strides = [float(t.stride) for axes in found.values() for t in axes.values() if not t.whole and t.stride > 0]
    return sum(map(math.log2, strides)) / len(strides) if strides else None


def _by_size(view: View, figures: Figures, value: int) -> float | None:
    """From the sizes along the axes along which the first input has positions."""
    graph = view.graph
    first = graph.values[graph.inputs[0].value]
    axes = position_axes(first)
    if len(graph.values[value].shape) != len(first.shape) or len(first.shape) < 4:
        return None
    owns, others = figures.sizes(value), figures.sizes(graph.inputs[0].value)
    pairs = [(whole, own) for axis in axes if (whole := others[axis]) and (own := owns[axis])]
    if len(pairs) < len(axes) or all(own == 1 for _, own in pairs):
        return None
    return sum(math.log2(whole / own) for whole, own in pairs) / len(pairs)


def arms(view: View, figures: Figures, sized: Collection[int] = ()) -> Arms | None:
    """The arms of an encoder-decoder; None for any other network. `sized` are the links that hand on no numbers."""
    if not view.graph.inputs:
        return None
    found = levels(view, figures)
    known = [level for level in found if level is not None]
    if not known or max(known) - min(known) < 1:
        return None
    u = _U(view, _filled(view, found, min(known)), sized)
    return u.arms() if u.stands() else None


def _filled(view: View, found: Sequence[float | None], highest: float) -> list[float]:
    """Levels of all: what sees no position stands where the coarsest of what it takes stands; what takes nothing, at the top."""
    filled = [highest if level is None else level for level in found]
    for link in sorted((link for link in view.links if link.course != "loop"), key=lambda link: link.target):
        if found[link.target] is None:
            filled[link.target] = max(filled[link.target], filled[link.source])
    return filled


class _U:
    def __init__(self, view: View, depth: Sequence[float], sized: Collection[int]) -> None:
        self._view, self._depth = view, depth
        self._sized = frozenset(sized)
        self._links = [(number, link) for number, link in enumerate(view.links) if link.course != "loop" and number not in sized]
        self.rising = self._rising()

    def _rising(self) -> frozenset[int]:
        """The boxes before which something was coarser."""
        found: set[int] = set()
        for _, link in sorted(self._links, key=lambda pair: pair[1].target):
            if link.source in found or self._depth[link.source] > self._depth[link.target] + _SAME:
                found.add(link.target)
        return frozenset(found)

    def stands(self) -> bool:
        """Whether resolution falls, then rises to an output over more than one level or past a skip, and never falls after that."""
        depth = self._depth
        falling = [depth[n] for n in range(len(depth)) if n not in self.rising]
        if not self.rising or not falling or max(falling) - min(falling) < 1:
            return False
        outputs = [n for n, box in enumerate(self._view.boxes) if box.kind == "output"]
        if not any(n in self.rising for n in outputs) or any(depth[n] < min(falling) - _SAME for n in self.rising):
            return False
        if any(link.source in self.rising and depth[link.target] > depth[link.source] + _SAME for _, link in self._links):
            return False
        heights = {round(depth[n] / _SAME) for n in self.rising}
        return len(heights) > 1 or any(self._crosses(link) for _, link in self._links)

    def _crosses(self, link: Link) -> bool:
        return link.source not in self.rising and link.target in self.rising and self._level(link.source, link.target)

    def _level(self, one: int, other: int) -> bool:
        return abs(self._depth[one] - self._depth[other]) < _SAME

    def arms(self) -> Arms:
        """The arms of what stands."""
        count = len(self._depth)
        left = [n for n in range(count) if n not in self.rising]
        bottom = max(self._depth[n] for n in left)
        falling = self._before({n for n in left if self._depth[n] > bottom - _SAME}, lambda n: n not in self.rising)
        bridges = self._before(set(self.rising), lambda n: n not in falling and self._view.boxes[n].kind != "input") - self.rising
        summit = min(self._depth[n] for n in self.rising)
        climbing = self._before({n for n in self.rising if self._depth[n] < summit + _SAME}, lambda n: n in self.rising)
        rows = self._rows(falling, bridges, climbing)
        place = {box: number for number, row in enumerate(rows) for box in row}
        flat = {i for i, link in self._links if link.source in place and place.get(link.target) == place[link.source]}
        first = {row[0]: row[1] for row in rows}
        crossing = {
            i for i in flat if self._crosses(self._view.links[i]) and first.get(self._view.links[i].source) == self._view.links[i].target
        }
        loose = {
            i for i, link in self._links if i not in flat and (self._crosses(link) or (link.target in bridges and link.target in place))
        }
        return Arms(self.rising, tuple(rows), frozenset(flat), frozenset(crossing), frozenset(loose) | self._sized)

    def _before(self, ends: Collection[int], allowed: Callable[[int], bool]) -> set[int]:
        """These boxes, and those of the allowed ones that lead to them."""
        found = set(ends)
        for _, link in sorted(self._links, key=lambda pair: -pair[1].source):
            if link.target in found and allowed(link.source):
                found.add(link.source)
        return found

    def _rows(self, falling: Collection[int], bridges: Collection[int], climbing: Collection[int]) -> list[tuple[int, ...]]:
        """A row for each level: where the arm is left, what bridges the gap, where the other arm is entered, exits."""
        after: dict[int, list[int]] = defaultdict(list)
        for _, link in self._links:
            after[link.source].append(link.target)
        rows: list[tuple[int, ...]] = []
        for start in sorted(falling):
            for entered in after[start]:
                middle = self._chain(entered, after, lambda n: n in bridges)
                ends = [n for n in (after[middle[-1]] if middle else [entered]) if n in self.rising and self._level(start, n)]
                if ends and len(middle) <= _ROW and all(self._level(start, n) for n in middle) and self._fits(rows, start, max(ends)):
                    rows.append((start, *middle, max(ends)))
        rows += [pair for pair in self._facing(falling) if not any(self._level(pair[0], row[0]) for row in rows)]
        found: list[tuple[int, ...]] = []
        taken: set[int] = set()
        for row in (self._ladder(row, after) for row in rows):
            if not taken & set(row):
                taken |= set(row)
                found.append(row)
        for box in sorted(climbing):
            for entered in after[box]:
                chain = self._chain(entered, after, lambda n: n in self.rising and n not in climbing)
                if chain and len(chain) <= _ROW and not taken & set(chain) and all(self._level(box, n) for n in chain):
                    taken |= set(chain)
                    found = [(*row, *chain) if box == row[-1] else row for row in found]
                    found += [(box, *chain)] if not any(box in row for row in found) else []
        return found

    def _fits(self, rows: list[tuple[int, ...]], start: int, end: int) -> bool:
        """Whether a row between these boxes lies within those of its level: who leaves later is met earlier."""
        return all(row[0] < start and end < row[-1] for row in rows if self._level(row[0], start))

    def _ladder(self, row: tuple[int, ...], after: dict[int, list[int]]) -> tuple[int, ...]:
        """The row with all that follows at its level, where more than one box of that is reached from below, as in nested U-Nets."""
        found = list(row)
        for box in range(row[-1] + 1, len(self._depth)):
            if box in self.rising and self._level(row[-1], box) and any(box in after[n] for n in found[len(row) - 1 :]):
                found.append(box)
        rungs = [n for n in found[len(row) - 1 :] if self._from_below(n)]
        if len({source for n in rungs for source in self._from_below(n)}) < 2:
            return row
        last = found.index(rungs[-1])
        return tuple(found[: last + 2]) if self._view.boxes[found[last]].kind == "merge" else tuple(found[: last + 1])

    def _from_below(self, box: int) -> list[int]:
        """What a box takes from below, by something that enlarges or by itself, if it puts that together with what its level has."""
        sources = [link.source for _, link in self._links if link.target == box]
        found = [n for n in sources if self._depth[n] > self._depth[box] + _SAME or self._enlarges(n)]
        return found if len(found) < len(sources) else []

    def _enlarges(self, box: int) -> bool:
        """Whether all that a box takes is coarser than it."""
        sources = [link.source for _, link in self._links if link.target == box]
        return bool(sources) and all(self._depth[n] > self._depth[box] + _SAME for n in sources)

    def _chain(self, first: int, after: dict[int, list[int]], allowed: Callable[[int], bool]) -> list[int]:
        """A box and those after it as long as they are allowed."""
        found: list[int] = []
        current: int | None = first
        while current is not None and allowed(current) and current not in found:
            found.append(current)
            current = next((n for n in after[current] if allowed(n)), None)
        return found

    def _facing(self, falling: Collection[int]) -> list[tuple[int, int]]:
        """For each level the last box of the falling arm and the first of the rising one, where both have one."""
        last: dict[int, int] = {}
        first: dict[int, int] = {}
        for n, box in enumerate(self._view.boxes):
            key = round(self._depth[n] / _SAME)
            if box.kind in ("input", "output"):
                continue
            if n in self.rising:
                first.setdefault(key, n)
            elif n in falling:
                last[key] = n
        return [(n, first[key]) for key, n in last.items() if key in first]
