"""The DOT of a picture of feature maps that is laid out: bars, their words, lines, brackets and the legend, each in its place."""

from __future__ import annotations

from functools import cached_property

from netspec.analyses.outline.model import View
from netspec.backends.diagram.cards.heat import Scale
from netspec.backends.diagram.dot import Dot
from netspec.backends.diagram.maps.bars import SHEET_STEP, SMALL, TEXT, Bar, text_width
from netspec.backends.diagram.maps.curves import at, spline
from netspec.backends.diagram.maps.key import Key
from netspec.backends.diagram.maps.lines import Line
from netspec.backends.diagram.maps.plan import FRAME, LINE, Bracket, Plan, stands_left
from netspec.backends.diagram.palette import (
    BADGE,
    BARS,
    FLOW,
    GREY,
    GROUP_LINE,
    INK,
    MERGE,
    MERGE_INK,
    MERGE_LINE,
    PAGE,
    PORT,
    SHEET,
    SKIP,
    family,
)
from netspec.backends.diagram.palette import LINE as SHEET_LINE
from netspec.backends.diagram.palette import TEXT as WORDS

_POINTS_PER_INCH = 72.0
#: how thick arrows are, those of folded blocks, and lines that only hold together
_THIN, _BOLD, _FINE = "1.4", "2.2", "0.8"
#: from a bar to the middle of the words above and below it, and from a line that meets a bar to words beside it
_ABOVE, _BELOW, _BESIDE = 5.5, 6.5, 5.0
#: from the picture to its legend, and how long an arrow's sample is
_LEGEND, _SAMPLE = 20.0, 18.0


class MapsDot:
    """Writes a plan. Things that bear no id (words, sheets behind bars) are none of the view's."""

    def __init__(self, view: View, placed: Plan, legend: Key | None, heat: Scale | None) -> None:
        self.view, self.placed, self.legend, self.heat = view, placed, legend, heat
        self.dot = Dot(layout="nop2", outputorder="nodesfirst")
        self.glued = {s.glued: bar.box for bar in placed.bars for s in bar.segments if s.glued is not None}
        self._count = 0

    def source(self) -> str:
        """The DOT text."""
        joined = [bar for bar in self.placed.bars if bar.segments]
        for bar in (*joined, *(bar for bar in self.placed.bars if not bar.segments)):
            self._sheets(bar)
            self._bar(bar)
        for bar in self.placed.bars:
            self._captions(bar)
        for line in self.placed.lines:
            self._link(line)
        for bracket in self.placed.brackets:
            self._bracket(bracket)
        if self.legend is not None:
            self._legend(self.legend)
        return self.dot.source()

    # ---------------------------------------------------------------------------------------------------------- bars
    def _bar(self, bar: Bar) -> None:
        box, place = f"box-{bar.box}", (f"n{bar.box}", bar.x, bar.y, bar.width, bar.height)
        if bar.kind == "sign":
            self._box(*place, MERGE, MERGE_LINE, id_=box, shape="circle", text=bar.names[0], fontcolor=MERGE_INK)
        elif bar.kind == "port":
            small = f"{TEXT:g}"
            self._box(*place, PORT, PORT, id_=box, style="rounded,filled", text=bar.names[0], fontsize=small, fontcolor=PAGE)
        elif bar.segments:
            self._box(*place, PAGE, MERGE_LINE, id_=box, penwidth=_FINE)
            self._parts(bar)
        else:
            fill, ink = (MERGE, SKIP) if bar.box in self._handed else (ground(bar.making.family), family(bar.making.family).ink)
            self._box(*place, self.heat.colour(bar.box) if self.heat is not None else fill, ink, id_=box)

    def _parts(self, bar: Bar) -> None:
        """The segments of a joined bar that are no bars of their own."""
        for place, segment in enumerate(bar.segments):
            if segment.glued is None:
                fill, ink = (MERGE, SKIP) if segment.family == "skip" else (ground(segment.family), family(segment.family).ink)
                own = f"part-{bar.box}-{place}"
                self._box(f"n{bar.box}s{place}", segment.x, bar.y, segment.width, bar.height - 2 * FRAME, fill, ink, id_=own)

    @cached_property
    def _handed(self) -> set[int]:
        """The segments with bars of their own that come by a skip."""
        return {link.target for link in self.view.links if link.course == "skip" and link.target in self.glued}

    def _box(self, name: str, x: float, y: float, width: float, height: float, fill: str, ink: str, **attributes: str) -> None:
        size = {"width": f"{width / _POINTS_PER_INCH:.4f}", "height": f"{height / _POINTS_PER_INCH:.4f}", "fixedsize": "true"}
        given = {"shape": "box", "style": "filled", "text": "", **attributes}
        self.dot.node(name, None, pos=at(x, y), fillcolor=fill, color=ink, **size, **given)

    def _sheets(self, bar: Bar) -> None:
        """The edges of others behind a bar that stands for several."""
        for place in range(round(bar.behind / SHEET_STEP), 0, -1):
            aside = SHEET_STEP * place
            self._box(f"n{bar.box}b{place}", bar.x + aside, bar.y - aside, bar.width, bar.height, SHEET, SHEET_LINE)

    # --------------------------------------------------------------------------------------------------------- words
    def _captions(self, bar: Bar) -> None:
        """The words above and below a bar."""
        if bar.kind in ("sign", "port"):
            return
        if bar.above and bar.box not in self.glued:
            width = text_width(bar.above, TEXT)
            x = self._over_first(bar, width) if bar.segments else self._clear_of(bar, "top", width)
            self._words(bar.above, x, bar.y - bar.height / 2 - _ABOVE - bar.behind, TEXT, INK)
        y = bar.y + bar.height / 2 + _BELOW
        for text, colour in ((bar.extent, GREY), *((name, BADGE if name.startswith("× ") else WORDS) for name in bar.names)):
            if text:
                self._words(text, self._clear_of(bar, "bottom", text_width(text, SMALL)), y, SMALL, colour)
                y += LINE - 0.5

    def _over_first(self, bar: Bar, width: float) -> float:
        """Where the channels of a joined bar stand: over its first segment, clear of what arrives from above."""
        met = [x for (box, side), x in self._met.items() if box in {bar.box, *(s.glued for s in bar.segments)} and side == "top"]
        met += self._arrivals.get(bar.box, [])
        return min([bar.segments[0].x, *(x - width / 2 - _BESIDE for x in met)])

    @property
    def _met(self) -> dict[tuple[int, str], float]:
        return self.placed.marks

    @cached_property
    def _arrivals(self) -> dict[int, list[float]]:
        """Where lines meet joined bars from above."""
        found: dict[int, list[float]] = {}
        for line in self.placed.lines:
            (_, y), (x, end) = line.points[-2:] if len(line.points) > 1 else line.points * 2
            if y < end:
                found.setdefault(self.view.links[line.link].target, []).append(x)
        return found

    def _clear_of(self, bar: Bar, side: str, width: float) -> float:
        """Where words of that width are centred: over the bar, or beside a line that meets it there."""
        own = (bar.box, *(s.glued for s in bar.segments if s.glued is not None))
        mark = next((x for box in own if (x := self._met.get((box, side))) is not None and abs(x - bar.x) <= width / 2 + 2), None)
        if mark is None:
            return bar.x
        left = side == "top" or (stands_left(bar, width) and bar.box not in self.glued)
        return mark - width / 2 - _BESIDE if left else mark + width / 2 + _BESIDE

    def _words(self, text: str, x: float, y: float, size: float, colour: str) -> None:
        self._count += 1
        name, place = f"w{self._count}", at(x, y)
        self.dot.node(
            name, None, shape="none", width="0", height="0", margin="0", text=text, pos=place, fontsize=f"{size:g}", fontcolor=colour
        )

    # --------------------------------------------------------------------------------------------------------- lines
    def _link(self, line: Line) -> None:
        link, target = self.view.links[line.link], self.placed.bars[self.view.links[line.link].target]
        colour = FLOW if target.kind in ("sign", "joined", "port") else family(target.making.family).ink
        attributes = {"penwidth": _BOLD if target.making.block and link.course == "flow" else _THIN}
        if link.course != "flow":
            colour, attributes["style"] = (SKIP if link.course == "skip" else family("recurrent").ink), "dashed"
        if line.inner:
            colour, attributes["arrowhead"], attributes["penwidth"] = MERGE_LINE, "none", _FINE
        if line.words:
            attributes |= {"text": line.words, "lp": at(*line.words_at), "fontsize": f"{SMALL:g}", "fontcolor": colour}
        pos = spline(line.points, arrow=not line.inner)
        self.dot.edge(f"n{link.source}", f"n{link.target}", id_=f"link-{line.link}", pos=pos, color=colour, **attributes)

    def _bracket(self, bracket: Bracket) -> None:
        y, low, high = bracket.y, bracket.left, bracket.right
        attributes = {"color": GROUP_LINE, "penwidth": _FINE, "arrowhead": "none"}
        if bracket.name:
            attributes |= {"text": bracket.name, "lp": at(bracket.middle, y + 6), "fontsize": f"{SMALL:g}", "fontcolor": GREY}
        pos = spline([(low, y - 4), (low, y), (high, y), (high, y - 4)], arrow=False)
        self._line(f"g{bracket.group}", low, y, id_=f"group-{bracket.group}", pos=pos, **attributes)

    def _line(self, name: str, x: float, y: float, **attributes: str) -> None:
        """A line that leads from nothing to nothing: an edge of a node that is not seen."""
        self.dot.node(name, shape="point", style="invis", width="0", height="0", text="", pos=at(x, y))
        self.dot.edge(name, name, **attributes)

    def _legend(self, legend: Key) -> None:
        """A sample of each arrow with its words, under the picture."""
        left, top = (self.placed.width - legend.width) / 2, self.placed.height + _LEGEND
        for number, entry in enumerate(legend.entries):
            x, y = left + entry.x, top + entry.y
            look = {"color": entry.colour, "penwidth": _BOLD if entry.bold else _THIN, "style": "dashed" if entry.dashed else "solid"}
            self._line(f"k{number}", x, y, id_=f"key-{number}", pos=spline([(x, y), (x + _SAMPLE, y)]), **look)
            self._words(entry.words, x + _SAMPLE + 5 + text_width(entry.words, TEXT) / 2, y, TEXT, WORDS)
        for number, (colour, x, y) in enumerate(legend.steps):
            self._box(f"h{number}", left + x, top + y, 22.0, 9.0, colour, colour)
        for text, colour, x, y in legend.texts:
            self._words(text, left + x, top + y, TEXT, colour)


def ground(kind: str) -> str:
    """The ground of a bar that operators of that family make."""
    return BARS.get(kind, BARS["reshape"])
