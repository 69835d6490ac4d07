"""How links run in a picture of feature maps: straight where nothing stands between, else along gaps and bands, which are free.

Columns are the same in all strips, so that what runs upright in the gap before a column, or level in the band above a strip, meets
no bar. A route alternates between upright and level stretches. Stretches of links that neither come from one tensor nor go to one
box get tracks of their own.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable
from functools import cached_property
from typing import Literal

from netspec.analyses.outline.model import View
from netspec.backends.diagram.maps.bars import Bar
from netspec.backends.diagram.maps.grid import Grid
from netspec.record import draft

Side = Literal["left", "right", "top", "bottom"]


@draft
class Stretch:
    """A part of a route: upright in the `gap` before a column or `through` a column, level in the `band` above a strip.

    `at` is that number, `track` which of the tracks there it takes, the first nearest to the column or strip.
    """

    kind: Literal["gap", "through", "band"]
    at: int
    track: int = 0


@draft
class Route:
    """The way of a link: the sides at which it leaves and arrives, and the stretches between."""

    link: int
    leaves: Side
    arrives: Side
    stretches: list[Stretch]

    @property
    def straight(self) -> bool:
        """Whether it runs level from one bar to the next, or upright."""
        return not self.stretches


@draft
class Routes:
    """All routes, with how many tracks each gap and band has."""

    routes: list[Route]
    gaps: dict[int, int]
    bands: dict[int, int]


def routes(view: View, bars: list[Bar], grid: Grid) -> Routes:
    """The routes of all links of a view, in its order; none for links to a box that stands inside of the other's bar."""
    return _Routing(view, bars, grid).routes()


class _Routing:
    def __init__(self, view: View, bars: list[Bar], grid: Grid) -> None:
        self.view, self.bars, self.grid = view, bars, grid
        self.columns: dict[int, list[int]] = defaultdict(list)
        for box, strip in grid.strip.items():
            self.columns[strip].append(grid.column[box])
        for columns in self.columns.values():
            columns.sort()
        self.filled = {(grid.strip[box], grid.column[box]) for box in grid.strip}
        self.segment = {link: n for bar in bars for n, segment in enumerate(bar.segments) for link in segment.links}
        glued = {segment.glued: n for bar in bars for n, segment in enumerate(bar.segments) if segment.glued is not None}
        self.segment |= {n: glued[link.target] for n, link in enumerate(view.links) if link.target in glued}

    def routes(self) -> Routes:
        found = [self._route(number) for number in range(len(self.view.links))]
        gaps = self._tracks(found, "gap", self._upright_span)
        bands = self._tracks(found, "band", self._level_span)
        return Routes(found, gaps, bands)

    # -------------------------------------------------------------------------------------------------------- choice
    def _route(self, number: int) -> Route:
        link = self.view.links[number]
        start, end = self.grid.cell(link.source), self.grid.cell(link.target)
        if start == end and link.course != "loop":
            return Route(number, "top", "top", [])  # inside of a joined bar
        a, b = self.grid.column[start], self.grid.column[end]
        s, t = self.grid.strip[start], self.grid.strip[end]
        if link.course == "loop" or a > b or (a == b and s == t):
            return self._back(number, a, b, t)
        if s == t:
            if self._free(s, a, b) and self._first(number):
                return Route(number, "right", "left", [])
            above = not self._below(t)
            if self.bars[link.target].kind == "sign" and (end, above) in self._met and (end, not above) not in self._met:
                above = not above
            return self._around(number, a, b, t, above)
        return self._across(number, a, b, s, t)

    @cached_property
    def _met(self) -> set[tuple[int, bool]]:
        """The boxes at which lines arrive or leave upright, and whether from above."""
        found: set[tuple[int, bool]] = set()
        for link in self.view.links:
            start, end = self.grid.cell(link.source), self.grid.cell(link.target)
            s, t = self.grid.strip[start], self.grid.strip[end]
            if link.course != "loop" and s != t and self.grid.column[start] == self.grid.column[end]:
                found.update(((start, t < s), (end, s < t)))
        return found

    def _across(self, number: int, a: int, b: int, s: int, t: int) -> Route:
        """Between strips: upright, around one corner, around two, or by a band."""
        down = t > s
        meets: tuple[Side, Side] = ("bottom", "top") if down else ("top", "bottom")
        if a == b and self._clear(b, s, t):
            return Route(number, *meets, [])
        if a == b:
            return self._around(number, a, b, t, above=down)
        if self._pointed(number) and self._free(s, a, b + 1) and self._clear(b, s, t):
            return Route(number, "right", meets[1], [Stretch("through", b)])
        if self._first(number) and self._free(t, a, b):
            return Route(number, "right", "left", [Stretch("gap", a + 1)])
        if self._free(s, a, b) and (self._first(number) or self._pointed(number)):
            if self._pointed(number) and self._clear(b, s, t):
                return Route(number, "right", meets[1], [Stretch("gap", b), Stretch("band", t if down else t + 1), Stretch("through", b)])
            return Route(number, "right", "left", [Stretch("gap", b)])
        return self._around(number, a, b, t, above=down)

    def _around(self, number: int, a: int, b: int, t: int, above: bool) -> Route:
        """Out into the gap, along the band beside the target's strip, and in: from above or below where there is a point to aim at."""
        band = Stretch("band", t if above else t + 1)
        if self._pointed(number):
            return Route(number, "right", "top" if above else "bottom", [Stretch("gap", a + 1), band, Stretch("through", b)])
        return Route(number, "right", "left", [Stretch("gap", a + 1), band, Stretch("gap", b)])

    def _back(self, number: int, a: int, b: int, t: int) -> Route:
        return Route(number, "right", "left", [Stretch("gap", a + 1), Stretch("band", t + 1), Stretch("gap", b)])

    def _below(self, strip: int) -> bool:
        """Whether a strip is a lane below the first one of its row, whose links go around below it."""
        rows = self.grid.rows
        return not self.grid.upright and strip > 0 and strip == len(rows) - 1 and self._main() < strip

    def _main(self) -> int:
        """The strip with the most boxes."""
        return max(self.columns, key=lambda strip: len(self.columns[strip]))

    def _pointed(self, number: int) -> bool:
        """Whether a link aims at a point on the top of what it goes to: a sign's circle, or its own segment."""
        return self.bars[self.view.links[number].target].kind == "sign" or not self._first(number)

    def _first(self, number: int) -> bool:
        """Whether a link may arrive from the left: everywhere but at a joined bar, where only one does."""
        around = self.grid.cell(self.view.links[number].target)
        return number not in self.segment or self._from_left[around] == number

    @cached_property
    def _from_left(self) -> dict[int, int]:
        """Of each joined bar the link that arrives from the left: what runs straight, or else what goes to its first segment."""
        found: dict[int, int] = {}
        for number in sorted(self.segment, key=lambda n: (self.segment[n], n)):
            link = self.view.links[number]
            start, end = self.grid.cell(link.source), self.grid.cell(link.target)
            if start == end or link.course == "loop":
                continue
            a, b, strip = self.grid.column[start], self.grid.column[end], self.grid.strip[start]
            straight = strip == self.grid.strip[end] and a < b and self._free(strip, a, b)
            upright = a == b and strip != self.grid.strip[end]
            if straight or (self.segment[number] == 0 and not upright):
                found[end] = number
        return {**dict.fromkeys((self.grid.cell(self.view.links[n].target) for n in self.segment), -1), **found}

    def _free(self, strip: int, a: int, b: int) -> bool:
        """Whether no box stands in a strip between two columns."""
        columns = self.columns[strip]
        place = bisect_right(columns, a)
        return place == len(columns) or columns[place] >= b

    def _clear(self, column: int, s: int, t: int) -> bool:
        """Whether no box stands in a column between two strips."""
        return not any((strip, column) in self.filled for strip in range(min(s, t) + 1, max(s, t)))

    # -------------------------------------------------------------------------------------------------------- tracks
    def _tracks(self, found: list[Route], kind: str, span: Callable[[Route, int], tuple[float, float]]) -> dict[int, int]:
        """Give each stretch of that kind a track, one for all of a tensor at a place, and count the tracks of each place.

        Short ones come first, nearest to the bars.
        """
        waiting: dict[tuple[int, int], list[tuple[float, float, Stretch]]] = defaultdict(list)
        for route in found:
            for place, stretch in enumerate(route.stretches):
                if stretch.kind == kind:
                    waiting[stretch.at, self.view.links[route.link].value].append((*span(route, place), stretch))
        counts: dict[int, int] = defaultdict(int)
        ends: dict[tuple[int, int], list[tuple[float, float]]] = defaultdict(list)
        hulls = [(min(s[0] for s in group), max(s[1] for s in group), key) for key, group in waiting.items()]
        for low, high, key in sorted(hulls, key=lambda hull: (hull[1] - hull[0], hull[0], hull[2])):
            at, track = key[0], 0
            while any(low <= last and first <= high for first, last in ends[at, track]):
                track += 1
            ends[at, track].append((low, high))
            counts[at] = max(counts[at], track + 1)
            for _, _, stretch in waiting[key]:
                stretch.track = track
        return dict(counts)

    def _upright_span(self, route: Route, place: int) -> tuple[float, float]:
        link = self.view.links[route.link]
        ends = [2.0 * self.grid.strip[self.grid.cell(box)] + 1 for box in (link.source, link.target)]
        if place > 0:
            ends[0] = 2.0 * route.stretches[place - 1].at
        if place + 1 < len(route.stretches):
            ends[1] = 2.0 * route.stretches[place + 1].at
        return min(ends), max(ends)

    def _level_span(self, route: Route, place: int) -> tuple[float, float]:
        ends = [2.0 * s.at + (1 if s.kind == "through" else 0) for s in (route.stretches[place - 1], route.stretches[place + 1])]
        return min(ends), max(ends)
