"""Brackets under the boxes of opened blocks, with their names: inner blocks nearest to the bars, outer ones below them."""

from __future__ import annotations

from collections import defaultdict

from netspec.analyses.outline.model import Group, View
from netspec.backends.diagram.escape import short
from netspec.backends.diagram.maps.bars import SMALL, text_width
from netspec.backends.diagram.maps.grid import Grid
from netspec.record import record

#: points that a name may stand out beyond its bracket, and that a letter takes at least
_OVER, _LETTER = 10.0, 4.0
#: fewer letters of a name tell nothing
_FEWEST = 3


@record
class Span:
    """The columns that a block's bracket spans, the boxes in them, the band in which it is drawn, and its level: 0 is the first."""

    group: int
    boxes: tuple[int, ...]
    first: int
    last: int
    band: int
    level: int


def spans(view: View, grid: Grid) -> list[Span]:
    """The brackets of a view. In a U, whose blocks lie across each other, only what is repeated has one."""
    found: list[Span] = []
    members = _members(view, grid)
    depth = {group: _depth(view, group) for group in members}
    for group in sorted(members, key=lambda g: (-depth[g], g)):
        own, boxes = view.groups[group], members[group]
        if grid.upright and own.repeat == 1 and not own.steps:
            continue
        columns = [grid.column[box] for box in boxes]
        first, last = min(columns), max(columns)
        band = max(grid.strip[box] for box in boxes) + 1 if grid.upright else len(grid.rows)
        taken = {span.level for span in found if span.band == band and first <= span.last and span.first <= last}
        level = next(n for n in range(len(taken) + 1) if n not in taken and n >= max(_inner(found, view, group), default=0))
        found.append(Span(group, tuple(boxes), first, last, band, level))
    return found


def _inner(found: list[Span], view: View, group: int) -> list[int]:
    """The levels behind those of the blocks that stand in a block."""
    return [span.level + 1 for span in found if view.groups[span.group].parent == group]


def _members(view: View, grid: Grid) -> dict[int, list[int]]:
    """The boxes in each block, those in its blocks too."""
    found: dict[int, list[int]] = defaultdict(list)
    for number, box in enumerate(view.boxes):
        group = box.group
        while group is not None:
            found[group].append(grid.cell(number))
            group = view.groups[group].parent
    return found


def _depth(view: View, group: int) -> int:
    depth, parent = 0, view.groups[group].parent
    while parent is not None:
        depth, parent = depth + 1, view.groups[parent].parent
    return depth


def name(group: Group, room: float) -> str:
    """As much of a block's name, its definition and how often it runs as there is room for, in points; never without the latter."""
    times = f" × {group.repeat}" if group.repeat > 1 else ""
    times += f" ({group.steps})" if group.steps else ""
    defined = group.call.split("(")[0]
    texts = [f"{short(group.name)} · {short(defined)}{times}"] if defined else []
    for text in [*texts, f"{short(group.name)}{times}"]:
        if text_width(text, SMALL) <= room + _OVER:
            return text
    most = int((room - text_width(times, SMALL)) / _LETTER)
    return f"{short(group.name, most)}{times}" if most > _FEWEST else times.strip()
