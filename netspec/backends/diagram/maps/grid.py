"""Where the bars of a picture of feature maps stand: columns by what follows what, rows by resolution, lanes for branches.

A network that goes down in resolution and comes up again, with links across, stands as a U: a row for each level. Any other
stands in one row, its branches in lanes above and below. Every link can then run between columns and between lanes.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

from netspec.analyses.outline.model import View
from netspec.backends.diagram.maps.bars import Bar
from netspec.record import draft

#: from how much of an octave on a map belongs to another level
_LEVEL = 0.6
#: how often a network must go down, and up, to stand as a U
_STEPS = 2


@draft
class Grid:
    """The place of each box that stands by itself: its column and its strip (rows and lanes, numbered from the top).

    `inside` says of a box that stands inside of a joined bar which one that is; `upright` whether the network stands as a U.
    """

    column: dict[int, int]
    strip: dict[int, int]
    inside: dict[int, int]
    upright: bool
    rows: list[int]  # of each strip, the row in which it is

    def cell(self, box: int) -> int:
        """The box that has the cell in which a box stands: itself, or the joined bar around it."""
        return self.inside.get(box, box)


def grid(view: View, bars: list[Bar]) -> Grid:
    """Place the boxes of a view."""
    return _Placing(view, bars).grid()


class _Placing:
    def __init__(self, view: View, bars: list[Bar]) -> None:
        self.view, self.bars = view, bars
        self.after: dict[int, list[int]] = defaultdict(list)  # links by source and by target, without loops
        self.before: dict[int, list[int]] = defaultdict(list)
        for number, link in enumerate(view.links):
            if link.course != "loop" and link.source < link.target:
                self.after[link.source].append(number)
                self.before[link.target].append(number)
        self.level = self._levels()
        self.upright = self._is_upright()
        if not self.upright:
            self.level = dict.fromkeys(self.level, 0)
        self.inside = self._glue() if self.upright else {}
        self.units = [box for box in range(len(view.boxes)) if box not in self.inside]

    def grid(self) -> Grid:
        column = self._columns()
        lane = self._lanes(column)
        places = sorted({(self.level[box], lane[box]) for box in self.units})
        strip = {place: number for number, place in enumerate(places)}
        rows = [level for level, _ in places]
        return Grid(column, {box: strip[self.level[box], lane[box]] for box in self.units}, self.inside, self.upright, rows)

    # -------------------------------------------------------------------------------------------------------- levels
    def _levels(self) -> dict[int, int]:
        """How many levels each box stands below the first: what it changes of the resolution of what it takes, added up."""
        level: dict[int, int] = {}
        for box in range(len(self.bars)):
            told = [link for link in self.before[box] if self._resolution(self.view.links[link].source) is not None]
            chosen = next((link for link in told if self.view.links[link].course == "flow"), told[0] if told else None)
            if chosen is None:
                links = self.before[box]
                level[box] = level[self.view.links[links[0]].source] if links else 0
                continue
            source = self.view.links[chosen].source
            steps = self._steps(source, box)
            level[box] = level[source] + (math.floor(abs(steps) + 1 - _LEVEL) * (1 if steps > 0 else -1) if abs(steps) >= _LEVEL else 0)
        self._settle_inputs(level)
        return level

    def _steps(self, source: int, target: int) -> float:
        """The octaves by which a map is coarser than another; 0 where they cannot be compared, as sequences cannot."""
        here, there = self._resolution(target), self._resolution(source)
        alike = here is not None and there is not None and self._axes(source) == self._axes(target) > 0
        return there - here if alike else 0.0  # type: ignore[operator]

    def _axes(self, box: int) -> int:
        tensor = self.bars[box].tensor
        return 0 if tensor is None or tensor.sequence else len(tensor.extent)

    def _settle_inputs(self, level: dict[int, int]) -> None:
        """What takes nothing stands on the level of whoever takes it first, but for the first of all."""
        for box in range(1, len(self.bars)):
            if not self.before[box] and self.after[box]:
                level[box] = level[self.view.links[self.after[box][0]].target]

    def _resolution(self, box: int) -> float | None:
        tensor = self.bars[box].tensor
        return None if tensor is None or tensor.flat or self.view.boxes[box].kind == "output" else tensor.resolution

    def _is_upright(self) -> bool:
        down = up = 0
        across = False
        for link in self.view.links:
            if link.course == "loop" or self._resolution(link.source) is None or self._resolution(link.target) is None:
                continue
            change = self.level[link.target] - self.level[link.source]
            down, up = down + (change > 0), up + (change < 0)
            across = across or len(self.before[link.target]) > 1 and change == 0 and link.course == "skip"
        return down >= _STEPS and up >= _STEPS and across

    # ---------------------------------------------------------------------------------------------------------- glue
    def _glue(self) -> dict[int, int]:
        """Bars that nobody takes but a joined one on their level, some from another level: they are drawn as its segments."""
        inside: dict[int, int] = {}
        for box, bar in enumerate(self.bars):
            members = self._members(box, bar)
            if any(self.level[self.view.links[n].source] != self.level[box] for member in members for n in self.before[member]):
                inside.update(dict.fromkeys(members, box))
                for segment in bar.segments:
                    source = self.view.links[segment.links[0]].source
                    segment.glued = source if source in members else None
        return inside

    def _members(self, box: int, bar: Bar) -> set[int]:
        """Of what a joined bar takes, the maps that only it, or others of them, take; each from one bar that is none of them."""
        found: set[int] = set()
        for segment in reversed(sorted(bar.segments, key=lambda s: self.view.links[s.links[0]].source)):
            source = self.view.links[segment.links[0]].source
            if self.view.links[segment.links[0]].course == "loop":
                continue
            fits = self.bars[source].kind in ("map", "vector") and self.level[source] == self.level[box] and len(segment.links) == 1
            if fits and all(self.view.links[n].target in {box, *found} for n in self.after[source]):
                found.add(source)
        outer = {member: [s for s in self._from(member) if s not in found] for member in found}
        return {m for m in found if len(outer[m]) == 1 and (self.level[outer[m][0]] != self.level[box] or len(self.after[outer[m][0]]) > 1)}

    def _from(self, box: int) -> list[int]:
        return [self.view.links[number].source for number in self.before[box]]

    # ------------------------------------------------------------------------------------------------------- columns
    def _cell(self, box: int) -> int:
        return self.inside.get(box, box)

    def _sources(self, box: int) -> Iterable[int]:
        """The cells from which links come into a cell."""
        own = [box, *(b for b, around in self.inside.items() if around == box)] if self.bars[box].segments else [box]
        for member in own:
            for number in self.before[member]:
                source = self._cell(self.view.links[number].source)
                if source != box:
                    yield source

    def _columns(self) -> dict[int, int]:
        """The first column in which a box stands behind all that it takes; a step to another level takes none."""
        column: dict[int, int] = {}
        taken: dict[int, dict[int, int]] = {}  # of each box, the last column that it and what is before it have in each row
        dropped: set[tuple[int, int]] = set()  # boxes under which, in that row, one of those that take it stands already
        self.sources = {box: list(self._sources(box)) for box in self.units}
        for box in self.units:
            row, place = self.level[box], 0
            seen: dict[int, int] = {}
            for source in self.sources[box]:
                apart = self.upright and self.level[source] != row and (source, row) not in dropped
                place = max(place, column[source] + (0 if apart else 1))
                for other, last in taken[source].items():
                    seen[other] = max(seen.get(other, -1), last)
            place = max(place, seen.get(row, -1) + 1)
            column[box] = seen[row] = place
            dropped.update((source, row) for source in self.sources[box] if column[source] == place)
            taken[box] = seen
        self._pull_inputs(column)
        return column

    def _pull_inputs(self, column: dict[int, int]) -> None:
        """What takes nothing stands right before whoever takes it."""
        targets: dict[int, list[int]] = defaultdict(list)
        for box in self.units:
            for source in self.sources[box]:
                targets[source].append(box)
        for box in self.units:
            if not self.sources[box] and targets[box]:
                column[box] = max(0, min(column[target] for target in targets[box]) - 1)

    # --------------------------------------------------------------------------------------------------------- lanes
    def _lanes(self, column: dict[int, int]) -> dict[int, int]:
        """The lane of each box in its row: 0 for the longest way through, others as near to it as there is room."""
        lane: dict[int, int] = {}
        busy: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
        for chain in self._chains():
            for members in self._stays(chain):
                row, first, last = self.level[members[0]], column[members[0]], column[members[-1]]
                found = next(n for n in _outwards() if all(last < a or z < first for a, z in busy[row, n]))
                busy[row, found].append((first, last))
                lane.update(dict.fromkeys(members, found))
        return lane

    def _stays(self, chain: list[int]) -> list[list[int]]:
        """The parts of a chain that stay in a row."""
        stays: list[list[int]] = []
        for box in chain:
            if not stays or self.level[stays[-1][-1]] != self.level[box]:
                stays.append([])
            stays[-1].append(box)
        return stays

    def _rank(self, box: int) -> int:
        """Ways begin at inputs, then at what else takes nothing."""
        return 2 if self.sources[box] else 0 if self.view.boxes[box].kind == "input" else 1

    def _chains(self) -> list[list[int]]:
        """All boxes in chains: the longest way through, then the longest through what is left, from every box in order."""
        targets: dict[int, list[int]] = defaultdict(list)
        for box in self.units:
            for source in self.sources[box]:
                targets[source].append(box)
        length: dict[int, int] = {}
        for box in reversed(self.units):
            length[box] = 1 + max((length[target] for target in targets[box]), default=0)
        order = sorted(self.units, key=lambda box: (self._rank(box), 0 if self.sources[box] else -length[box], box))
        free, chains = set(self.units), []
        for box in order:
            chain: list[int] = []
            at: int | None = box
            while at is not None and at in free:
                free.discard(at)
                chain.append(at)
                at = max((t for t in targets[at] if t in free), key=lambda t: (length[t], -t), default=None)
            if chain:
                chains.append(chain)
        return chains


def _outwards() -> Iterable[int]:
    yield 0
    lane = 1
    while True:
        yield lane
        yield -lane
        lane += 1
