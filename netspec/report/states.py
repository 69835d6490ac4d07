"""The views of a diagram that a page can show: drawn beforehand, packed, and told what leads from one to another.

A page has the default view, one for every depth, and for each folded block the one in which it and the blocks around it are open,
all others folded. Views are drawn from outside in until the page would become too large; what is left out the page says.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from netspec.analyses.bodies import with_bodies
from netspec.analyses.outline import Box, Outline, View
from netspec.diagnostics.model import Refusal
from netspec.graph import Graph
from netspec.record import record

#: draws a view: SVG in which box i has the id `box-<i>` and group i `group-<i>`
Draw = Callable[[View], str]

#: a page has at most so many views, of at most so many boxes each, and so many bytes of them as they stand in the page
MOST_VIEWS, MOST_BOXES, MOST_BYTES = 96, 240, 700_000

#: what is before the picture in a file of its own, and comments
_PROLOGUE = re.compile(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->", re.S)


@record
class State:
    """One view in the page: `facts` is what the page's script needs of it beside the picture, `packed` both of them."""

    title: str
    svg: str
    facts: dict[str, Any]
    packed: str


@record
class States:
    """All views of a page. `start` is the number of the one that is shown first, `depths` those of the depths 1, 2, ….

    `left_out` counts views for which there was no room; behind them there may be more.
    """

    views: tuple[State, ...]
    start: int
    depths: tuple[int, ...]
    left_out: int

    @property
    def first(self) -> State:
        """The view that is shown first."""
        return self.views[self.start]


def states(graph: Graph, outline: Outline, draw: Draw, start: View | None = None) -> States:
    """Draw the views of a network's outline, or of the one block of it that `start` shows, which is then the first view.

    Raises `Refusal` where the first view cannot be drawn; others that cannot be are left out.
    """
    plans = _Plans(outline, start)
    drawn: dict[int, str] = {}
    room, rows = MOST_BYTES, _rows(graph)
    for number, view in enumerate(plans.views):
        svg = _drawn(draw, view, needed=number == 0)
        if svg is None:
            continue
        room -= len(_packed(svg, _facts(plans, number, rows, range(len(plans.views)))))
        if room < 0 and number > 1:
            break
        drawn[number] = svg
    made, there = [], list(drawn)
    for number, svg in drawn.items():
        facts = _facts(plans, number, rows, there)
        made.append(State(plans.titles[number], svg, facts, _packed(svg, facts)))
    depths = tuple(there.index(number) for number in plans.depths if number in drawn)
    return States(tuple(made), 0, depths, plans.left_out + len(plans.views) - len(made))


def _drawn(draw: Draw, view: View, needed: bool) -> str | None:
    """A view's picture; None where it could not be drawn (in time), unless it is needed."""
    try:
        return inline(draw(view))
    except Refusal:
        if needed:
            raise
        return None


# --------------------------------------------------------------------------------------------------------------- the plan
class _Plans:
    """The views that are wanted, each once, in the order in which they are: the default one, every depth, every block opened.

    `opened` has the number of the view in which some blocks are open, by their keys from outside in.
    """

    def __init__(self, outline: Outline, start: View | None) -> None:
        self.titles: list[str] = []
        self.views: list[View] = []
        self.opened: dict[tuple[str, ...], int] = {}
        self.depths: list[int] = []
        self.left_out = 0
        self._numbers: dict[object, int] = {}
        self._outline, self._only = outline, start.only if start else ""
        self._add("Default view", start or outline.view())
        self.opened[()] = self._add("Depth 1", outline.view(only=self._only, opened=())) or 0
        for depth in range(1, outline.depths + 1):
            number = self._add(f"Depth {depth}", outline.view(depth, self._only)) if depth > 1 else self.opened[()]
            self.depths += [number] if number is not None and number not in self.depths else []
        self._open_all()

    def _add(self, title: str, view: View) -> int | None:
        """The number of a view, which may be there already; None where there is no room for it."""
        same = (view.boxes, view.groups)
        if same not in self._numbers:
            if self.views and len(view.boxes) > MOST_BOXES:
                self.left_out += 1
                return None
            self._numbers[same] = len(self.views)
            self.titles.append(title)
            self.views.append(view)
        return self._numbers[same]

    def _open_all(self) -> None:
        """Every folded block that is seen somewhere, opened with those around it, from outside in."""
        waiting = deque(chain for view in self.views for chain in _chains(view))
        while waiting:
            chain = waiting.popleft()
            if chain in self.opened:
                continue
            for length in range(1, len(chain)):  # first what is around it
                if chain[:length] not in self.opened:
                    waiting.appendleft(chain)
                    chain = chain[:length]
                    break
            if len(self.views) >= MOST_VIEWS:
                self.left_out += len({chain, *waiting} - self.opened.keys())
                return
            view = self._outline.view(only=self._only, opened=chain)
            number = self._add(f"{chain[-1]} open", view)
            self.opened[chain] = -1 if number is None else number
            waiting.extend(_chains(view))


def _chains(view: View) -> list[tuple[str, ...]]:
    """What is open once a folded block is, for each of them."""
    return [_chain(view, box) for box in view.boxes if box.kind == "block"]


def _chain(view: View, box: Box) -> tuple[str, ...]:
    """The keys of the groups around a folded block, from outside in, and its own; nothing for the network itself as one box."""
    return () if box.frame == 0 else (*_around(view, box.group), box.key)


def _around(view: View, group: int | None) -> tuple[str, ...]:
    """The keys of a group and of those around it, from outside in."""
    found: list[str] = []
    while group is not None:
        found.insert(0, view.groups[group].key)
        group = view.groups[group].parent
    return tuple(found)


# -------------------------------------------------------------------------------------------------------------- the facts
def _facts(plans: _Plans, number: int, rows: Sequence[int], there: Sequence[int]) -> dict[str, Any]:
    """For each box and group: its number, key, the view to which it leads (-1: none), what it is called, and its rows.

    `there` are the views that can be led to, in the order in which the page has them.
    """
    view = plans.views[number]
    place_of = {planned: place for place, planned in enumerate(there) if planned != number}

    def leads(opened: tuple[str, ...]) -> int:
        return place_of.get(plans.opened.get(opened, -1), -1)

    boxes = []
    for place, box in enumerate(view.boxes):
        target = leads(_chain(view, box)) if box.kind == "block" else leads(()) if box.kind == "stretch" else -1
        name = f"{box.name} {box.call}".strip() + (f", {box.repeat} times" if box.repeat > 1 else "")
        boxes.append([place, box.key, target, name, _runs({rows[n] for n in box.nodes})])
    groups = [
        [place, group.key, leads(_around(view, group.parent)), f"{group.name} {group.call}".strip(), _runs({rows[n] for n in group.nodes})]
        for place, group in enumerate(view.groups)
    ]
    return {"title": plans.titles[number], "boxes": boxes, "groups": groups}


def _rows(graph: Graph) -> list[int]:
    """For every layer of a view's graph the row of the layer table: what a scan runs is in the row of the scan."""
    whole, regions = with_bodies(graph)
    numbers = {node.name: number for number, node in enumerate(graph.nodes)}
    runner = {region.frame: number for number, region in regions.items()}

    def row(number: int) -> int:
        node = whole.nodes[number]
        frame: int | None = node.frame
        while frame is not None:
            if frame in runner and number != runner[frame]:
                return row(runner[frame])
            frame = whole.frames[frame].parent
        return numbers[node.name]

    return [row(number) for number in range(len(whole.nodes))]


def _runs(rows: set[int]) -> str:
    """Row numbers in few characters: `3-7 9`."""
    found: list[list[int]] = []
    for row in sorted(rows):
        if found and row == found[-1][1] + 1:
            found[-1][1] = row
        else:
            found.append([row, row])
    return " ".join(str(a) if a == b else f"{a}-{b}" for a, b in found)


# ------------------------------------------------------------------------------------------------------------------ forms
def inline(svg: str) -> str:
    """A picture as it can stand in HTML: without what only a file has in front of it."""
    return _PROLOGUE.sub("", svg).strip()


def _packed(svg: str, facts: dict[str, Any]) -> str:
    """A picture and its facts: JSON, gzip, Base64; the same bytes for the same view."""
    text = json.dumps({**facts, "svg": svg}, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()
