"""From columns, strips and tracks to points: where each bar stands, and the lines of links and brackets.

x runs to the right and y downwards, in points; whoever writes the DOT turns y around.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property

from netspec.analyses.outline.model import View
from netspec.backends.diagram.maps.bars import SMALL, TEXT, Bar, text_width
from netspec.backends.diagram.maps.brackets import Span, name, spans
from netspec.backends.diagram.maps.grid import Grid
from netspec.backends.diagram.maps.lines import Line, Point, put_words
from netspec.backends.diagram.maps.routes import Route, Routes
from netspec.record import draft

LINE = 9.5  # from one line of text to the next
_GAP, _TRACK = 24.0, 6.0  # the least width of a gap, and what each track of it takes
_BAND, _LEVEL = 9.0, 7.5  # what a band with tracks takes beside them, and what each track takes
_WORDS = 9.0  # what a band takes for the words over its lines
_WORDED = 12.0  # what each track takes where words stand over the lines
_BESIDE = 10.0  # between several tensors on their way from one bar to another
_UPRIGHT_BAND = 20.0  # the least height of a band through which arrows run upright
_BRACKET = 17.0  # what a bracket under a block takes, with its name
_EDGE = 3.0  # how near to its corner a line may meet a bar
FRAME = 2.5  # between segments and the frame around them


@draft
class Bracket:
    """The bracket under the boxes of an opened block, with its name and where the middle of that is."""

    group: int
    left: float
    right: float
    y: float
    name: str
    middle: float


@draft
class Plan:
    """Everything with its place. `marks` are x of lines that meet a bar's top or bottom, which words there stand clear of."""

    bars: list[Bar]
    lines: list[Line]
    brackets: list[Bracket]
    marks: dict[tuple[int, str], float]
    width: float
    height: float


def stands_left(bar: Bar, width: float) -> bool:
    """Whether words under a bar that a line meets from below stand on the left of the line: short ones do."""
    return width < bar.width / 2 + 16


def plan(view: View, bars: list[Bar], grid: Grid, routes: Routes, words: list[str]) -> Plan:
    """Place everything. `words` are what stands over each link's line."""
    return _Planning(view, bars, grid, routes, words).plan()


class _Planning:
    def __init__(self, view: View, bars: list[Bar], grid: Grid, routes: Routes, words: list[str]) -> None:
        self.view, self.bars, self.grid, self.found, self.words = view, bars, grid, routes, words
        self.strips = len(grid.rows)
        self.marks: dict[tuple[int, str], float] = {}
        self._crowd: dict[int, float] = {}  # of links beside others, how far they are from each other
        self._taking = {link.target for link in view.links}
        for bar in bars:
            if bar.segments:
                for segment in bar.segments:
                    if segment.glued is not None:
                        segment.width = bars[segment.glued].width
                bar.width = sum(segment.width for segment in bar.segments) + 2 * FRAME
                bar.height = max([bar.height, *(bars[s.glued].height for s in bar.segments if s.glued is not None)]) + 2 * FRAME

    def plan(self) -> Plan:
        self._say_extents()
        self._shift()
        self._lay_columns()
        self.spans = spans(self.view, self.grid)
        self._lay_strips()
        for box in self.grid.column:
            self._place(self.bars[box])
        lines = [self._line(route) for route in self.found.routes]
        skips = {number for number, link in enumerate(self.view.links) if link.course == "skip"}
        put_words(lines, skips, {route.link: self._free_from(route) for route in self.found.routes})
        brackets = [self._bracket(span) for span in self.spans]
        return Plan(self.bars, lines, brackets, self.marks, self.right, self.bottom)

    def _say_extents(self) -> None:
        """Leave a resolution out where the bar on the left in the same strip has said it."""
        by_strip: dict[int, list[int]] = defaultdict(list)
        for box in sorted(self.grid.column, key=lambda b: self.grid.column[b]):
            by_strip[self.grid.strip[box]].append(box)
        for boxes in by_strip.values():
            said: str | None = None
            for box in boxes:
                bar = self.bars[box]
                if bar.kind in ("sign", "port"):
                    continue
                if box not in self._taking:
                    said = None
                bar.extent, said = ("" if bar.extent == said else bar.extent), bar.extent
        for box in self.grid.inside:
            self.bars[box].extent = ""

    def _shift(self) -> None:
        """A joined bar stands so that the segment to which a line comes up or down is in the middle of the column."""
        for route in self.found.routes:
            around = self.bars[self.grid.cell(self.view.links[route.link].target)]
            if route.leaves in ("top", "bottom") and route.straight and around.box != self.grid.cell(self.view.links[route.link].source):
                x = FRAME - around.width / 2
                for segment in around.segments:
                    if segment.glued == self.view.links[route.link].target or route.link in segment.links:
                        around.shift = -(x + segment.width / 2)
                    x += segment.width

    # ------------------------------------------------------------------------------------------------------- columns
    def _lay_columns(self) -> None:
        count = max(self.grid.column.values(), default=-1) + 1
        lefts, rights, gaps = [0.0] * count, [0.0] * count, [_GAP] * (count + 1)
        for box, column in self.grid.column.items():
            left, right = self._sides(self.bars[box])
            lefts[column], rights[column] = max(lefts[column], left), max(rights[column], right)
        for gap, tracks in self.found.gaps.items():
            gaps[gap] += _TRACK * tracks
        for route in self.found.routes:
            link, text = self.view.links[route.link], self.words[route.link]
            if route.arrives == "left" and text:
                column = self.grid.column[self.grid.cell(link.target)]
                around = self.bars[self.grid.cell(link.target)]
                slack = lefts[column] - around.width / 2 + around.shift
                room = text_width(text, SMALL) + 15 + _TRACK * self.found.gaps.get(column, 0)
                if link.course != "skip" or (route.straight and self.grid.column[self.grid.cell(link.source)] == column - 1):
                    gaps[column] = max(gaps[column], room - slack)
        gaps[0] = _TRACK * self.found.gaps.get(0, 0)
        self.centre, self.gap_start, x = [0.0] * count, [0.0] * (count + 1), 0.0
        for column in range(count):
            self.gap_start[column] = x
            self.centre[column] = x + gaps[column] + lefts[column]
            x = self.centre[column] + rights[column]
        self.gap_start[count], self.gaps = x, gaps
        self.right = x + _TRACK * self.found.gaps.get(count, 0)

    def _half(self, bar: Bar) -> float:
        """Half of what a bar takes in its column, with the words above and below it."""
        texts = [text_width(bar.above, TEXT), text_width(bar.extent, SMALL), *(text_width(name, SMALL) for name in bar.names)]
        return max(bar.width + 2 * bar.behind, 0 if bar.kind in ("sign", "port") else max(texts) - 4) / 2

    def _sides(self, bar: Bar) -> tuple[float, float]:
        """What a bar takes on the left and on the right of the middle of its column."""
        half = self._half(bar)
        left = right = half
        if bar.box in self._met_below and bar.kind not in ("sign", "port"):
            for width in (text_width(text, SMALL) for text in (bar.extent, *bar.names)):
                left, right = (max(left, width + 5), right) if stands_left(bar, width) else (left, max(right, width + 5))
        return left - bar.shift, right + bar.shift

    @cached_property
    def _met_below(self) -> set[int]:
        """The boxes that an upright line meets from below."""
        found = {self.view.links[route.link].target for route in self.found.routes if route.arrives == "bottom"}
        return found | {self.view.links[route.link].source for route in self.found.routes if route.leaves == "bottom"}

    # -------------------------------------------------------------------------------------------------------- strips
    def _lay_strips(self) -> None:
        up, down = self._heights()
        upright = self._upright_bands()
        self.band_end, self.middle, y = [0.0] * (self.strips + 1), [0.0] * self.strips, 0.0
        self.bracket_start = [0.0] * (self.strips + 1)
        for band in range(self.strips + 1):
            tracks = self.found.bands.get(band, 0)
            height = _BAND + self._level(band) * tracks + (_WORDS if band in self._worded else 0) if tracks else 0.0
            if 0 < band < self.strips:
                height = max(height, _UPRIGHT_BAND if band in upright else 12.0)
            under = _BRACKET * max((span.level + 1 for span in self.spans if span.band == band), default=0)
            last = band == self.strips
            self.bracket_start[band], self.band_end[band] = (y + height, y + height) if last else (y, y + under + height)
            y += under + height
            if band < self.strips:
                self.middle[band] = y + up[band]
                y += up[band] + down[band]
        self.bottom = y

    def _heights(self) -> tuple[list[float], list[float]]:
        """What each strip takes above and below its middle, with the words above and below its bars."""
        up, down = [0.0] * self.strips, [0.0] * self.strips
        for box, strip in self.grid.strip.items():
            bar = self.bars[box]
            up[strip] = max(up[strip], bar.height / 2 + bar.behind + (LINE if bar.above else 0))
            lines = 0 if bar.kind in ("sign", "port") else len(bar.names) + bool(bar.extent)
            down[strip] = max(down[strip], bar.height / 2 + lines * LINE)
        return up, down

    @cached_property
    def _worded(self) -> set[int]:
        """The bands with lines that have words over them."""
        return {s.at for route in self.found.routes if self.words[route.link] for s in route.stretches if s.kind == "band"}

    def _level(self, band: int) -> float:
        return _WORDED if band in self._worded else _LEVEL

    def _upright_bands(self) -> set[int]:
        """The bands through which arrows run upright from bar to bar."""
        found: set[int] = set()
        for route in self.found.routes:
            link = self.view.links[route.link]
            if route.leaves in ("top", "bottom") and route.straight:
                s, t = sorted(self.grid.strip[self.grid.cell(box)] for box in (link.source, link.target))
                found.update(range(s + 1, t + 1))
        return found

    def _place(self, bar: Bar) -> None:
        bar.x, bar.y = self.centre[self.grid.column[bar.box]] + bar.shift, self.middle[self.grid.strip[bar.box]]
        x = bar.left + FRAME
        for segment in bar.segments:
            segment.x = x + segment.width / 2
            x += segment.width
            if segment.glued is not None:
                self.bars[segment.glued].x, self.bars[segment.glued].y = segment.x, bar.y

    # --------------------------------------------------------------------------------------------------------- lines
    def _line(self, route: Route) -> Line:
        link = self.view.links[route.link]
        source, target = self.bars[link.source], self.bars[link.target]
        if self.grid.cell(link.source) == self.grid.cell(link.target) and link.course != "loop":
            top = source.y - source.height / 2
            if not target.segments:
                low = source.y + source.height / 4
                return Line(route.link, [(source.x, low), (target.x, low)])
            return Line(route.link, [(source.x, top), (source.x, target.y - target.height / 2)], inner=True)
        points = self._upright(source, target) if route.leaves in ("top", "bottom") else self._points(route, source, target)
        return Line(route.link, points, "" if self._crowd.get(route.link, _BESIDE) < SMALL else self.words[route.link])

    def _free_from(self, route: Route) -> float:
        """The x from which on the gap before a link's target has no more tracks."""
        column = self.grid.column[self.grid.cell(self.view.links[route.link].target)]
        tracks = self.found.gaps.get(column, 0)
        return self._gap_x(column, tracks - 1) + 1 if tracks else 0.0

    def _upright(self, source: Bar, target: Bar) -> list[Point]:
        """Straight up or down, or with a jog between where the one is not over the other."""
        down = target.y > source.y
        start = source.y + (source.height / 2 if down else -source.height / 2)
        end = target.y + (-target.height / 2 if down else target.height / 2)
        low, high = max(source.left, target.left) + _EDGE, min(source.right - source.behind, target.right - target.behind) - _EDGE
        if low <= high:
            x = min(max(target.x if target.width <= source.width else source.x, low), high)
            x0 = x1 = x
        else:
            x0, x1 = source.x, target.x
        self.marks[source.box, "bottom" if down else "top"] = x0
        self.marks[target.box, "top" if down else "bottom"] = x1
        if x0 == x1:
            return [(x0, start), (x1, end)]
        turn = end - (12.0 if down else -12.0)
        return [(x0, start), (x0, turn), (x1, turn), (x1, end)]

    def _points(self, route: Route, source: Bar, target: Bar) -> list[Point]:
        around = self.bars[self.grid.cell(source.box)]
        y = source.y + self._beside.get(route.link, 0.0) * min(source.height, target.height)
        points = [(around.right if source is not around else source.right, y)]
        x = points[0][0]
        aim = self._aim(route, target)
        for stretch in route.stretches:
            if stretch.kind == "gap":
                x = self._gap_x(stretch.at, stretch.track)
                points.append((x, y))
            elif stretch.kind == "through":
                x = aim[0]
                points.append((x, y))
            else:
                y = self._band_y(stretch.at, stretch.track)
                points.append((x, y))
        points += [(x, aim[1])] if route.arrives == "left" and route.stretches else []
        if route.arrives in ("top", "bottom"):
            self.marks[target.box, route.arrives] = aim[0]
        return [*points, aim]

    def _aim(self, route: Route, target: Bar) -> Point:
        """The point of the arrow."""
        segment = next((s for s in target.segments if route.link in s.links), None)
        if route.arrives in ("top", "bottom"):
            x = segment.x if segment is not None else target.x
            return (x, target.y + target.height / 2 * (-1 if route.arrives == "top" else 1))
        around = self.bars[self.grid.cell(target.box)]
        left = around.left if around is not target and self.grid.inside else target.left
        y = target.y + self._beside.get(route.link, 0.0) * min(self.bars[self.view.links[route.link].source].height, target.height)
        if route.stretches and route.stretches[-1].kind == "gap":
            y += target.height * self._entry.get(route.link, 0.0)
        return (left, y)

    @cached_property
    def _beside(self) -> dict[int, float]:
        """Of several tensors that run straight from one bar to another, how far from the middle each does, in heights."""
        ways: dict[tuple[int, int], list[int]] = defaultdict(list)
        for route in self.found.routes:
            if route.straight and route.leaves == "right":
                ways[self.view.links[route.link].source, self.view.links[route.link].target].append(route.link)
        found: dict[int, float] = {}
        for (source, target), links in ways.items():
            height = max(1.0, min(self.bars[source].height, self.bars[target].height))
            step = min(_BESIDE, 0.8 * height / len(links)) / height
            self._crowd.update(dict.fromkeys(links, step * height))
            found.update({link: step * (place - (len(links) - 1) / 2) for place, link in enumerate(links)})
        return found

    @cached_property
    def _entry(self) -> dict[int, float]:
        """How far above or below the middle those links arrive that come around a corner, where there are several, in heights."""
        count: dict[int, int] = defaultdict(int)
        sides: dict[tuple[int, bool], list[Route]] = defaultdict(list)
        for route in self.found.routes:
            target = self.view.links[route.link].target
            count[target] += 1
            if route.arrives == "left" and route.stretches:
                sides[target, self._from_below(route)].append(route)
        entry: dict[int, float] = {}
        for (target, below), routes in sides.items():
            if count[target] > 1:
                for place, route in enumerate(sorted(routes, key=lambda r: -r.stretches[-1].track)):
                    entry[route.link] = (1 if below else -1) * (0.5 - 0.5 * (place + 1) / (len(routes) + 1))
        return entry

    def _from_below(self, route: Route) -> bool:
        link = self.view.links[route.link]
        strip = self.grid.strip[self.grid.cell(link.target)]
        band = next((s.at for s in route.stretches if s.kind == "band"), None)
        return band > strip if band is not None else self.grid.strip[self.grid.cell(link.source)] > strip

    def _gap_x(self, gap: int, track: int) -> float:
        """The x of a track: what leaves a bar turns near to it, what arrives has room for its arrow."""
        tracks, width = self.found.gaps.get(gap, 1), self.gaps[gap]
        return self.gap_start[gap] + min(7.0, width / 4) + _TRACK * track if width else self.gap_start[gap] + _TRACK * (track - tracks)

    def _band_y(self, band: int, track: int) -> float:
        """The y of a track: the first is the nearest to the strip below, or in the last band to the one above."""
        if band == self.strips:
            return self.band_end[band] - self._level(band) * (self.found.bands.get(band, 1) - 1 - track) - 4
        return self.band_end[band] - 6 - self._level(band) * track

    def _bracket(self, span: Span) -> Bracket:
        """A bracket from the first of its bars to the last."""
        sides = [(self.grid.column[box], *self._sides(self.bars[box])) for box in span.boxes]
        low = self.centre[span.first] - max(left for column, left, _ in sides if column == span.first)
        high = self.centre[span.last] + max(right for column, _, right in sides if column == span.last)
        y = self.bracket_start[span.band] + _BRACKET * span.level + 6
        words = name(self.view.groups[span.group], high - low)
        middle = low + text_width(words, SMALL) / 2 if self.grid.upright else (low + high) / 2  # lines run down from the right end
        return Bracket(span.group, low, high, y, words, middle)
