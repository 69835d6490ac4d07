"""The HTML labels of boxes in a picture of two networks: rows with a sign before them, as in a text's difference.

What became of a layer is told three times, so that no reader needs the colours: by the sign (+ − ~), by the frame (thick, dotted), and by
its colour. What did not change is grey.
"""

from __future__ import annotations

from netspec.analyses.diff.overlay import Overlay
from netspec.analyses.diff.union import Status, Terminal
from netspec.analyses.outline.model import Box, Group
from netspec.backends.diagram.cards.card import NAME_LENGTH, TEXT_LENGTH, badge, font, last_of, table
from netspec.backends.diagram.changes.words import SIGNS, Words, arrow, spell
from netspec.backends.diagram.escape import html, short
from netspec.backends.diagram.palette import (
    ADDED,
    ADDED_GROUND,
    CARD,
    CHANGED,
    CHANGED_GROUND,
    FOLDED,
    GREY,
    INK,
    LINE,
    PORT_GROUND,
    REMOVED,
    REMOVED_GROUND,
    SHEET,
    TEXT,
)  # fmt: skip
from netspec.backends.diagram.wording import count

INKS: dict[Status, str] = {"added": ADDED, "removed": REMOVED, "changed": CHANGED, "follows": LINE, "same": LINE}
GROUNDS: dict[Status, str] = {
    "added": ADDED_GROUND,
    "removed": REMOVED_GROUND,
    "changed": CHANGED_GROUND,
    "follows": FOLDED,
    "same": FOLDED,
}
_QUIET = ("same", "follows")
#: the most characters of a row with a change on it; longer ones have their changes below
_ROW = 46
#: how many changes a row tells
_MOST = 4


class ChangeCards:
    """Makes the labels of an overlay's boxes."""

    def __init__(self, overlay: Overlay, words: Words) -> None:
        self._overlay, self._words = overlay, words
        self._marks = overlay.union.marks

    def label(self, number: int) -> str:
        """The HTML label of a box."""
        box, status = self._overlay.view.boxes[number], self._overlay.boxes[number]
        if box.kind in ("input", "output"):
            return self._port(number, box)
        if box.rows:
            return frame(self._layers(number, box), status)
        return frame(self._folded(box, status), status, box.kind == "block", SHEET if status in _QUIET else GROUNDS[status])

    # ------------------------------------------------------------------------------------------------------------ ports
    def _terminal(self, number: int) -> Terminal:
        union, boxes = self._overlay.union, self._overlay.view.boxes
        return union.entries[number] if boxes[number].kind == "input" else union.exits[number - len(boxes) + len(union.exits)]

    def _port(self, number: int, box: Box) -> str:
        terminal = self._terminal(number)
        status, ink = terminal.status, INKS[terminal.status]
        title = font(f" {html(short(box.name, NAME_LENGTH))} ", INK if status in _QUIET else ink, 11, bold=True)
        if status == "removed":
            title = f"<S>{title}</S>"
        shape, dtype = self._words.figures.shape(terminal.whole, batch=True), self._overlay.union.graph.values[terminal.whole].dtype
        lines = [font(f" {html(short(shape if dtype == 'float32' else f'{dtype} {shape}', TEXT_LENGTH))} ", TEXT, 10)]
        lines += [font(f" {html(short(change, _ROW))} ", CHANGED, 9, bold=status == "changed") for change in self._port_changes(terminal)]
        lines += [font(f" {html(short(f'was {terminal.was}', _ROW))} ", GREY, 8)] if terminal.was else []
        head = row(status, f'<TD BGCOLOR="{GROUNDS[status]}">{title}</TD>', span=1 + len(lines))
        return frame(head + "".join(f"<TR><TD>{line}</TD></TR>" for line in lines), status, ground=PORT_GROUND, padding=3)

    def _port_changes(self, terminal: Terminal) -> list[str]:
        """The other type that a port has, or the other layer that an output comes from."""
        return [arrow(short(str(change.old), TEXT_LENGTH), short(str(change.new), TEXT_LENGTH)) for change in terminal.changes]

    # ------------------------------------------------------------------------------------------------------------ cards
    def _layers(self, number: int, box: Box) -> str:
        rows = "".join(self._row(number, place, node) for place, node in enumerate(box.rows))
        notes = [font(html(short(note, _ROW)), GREY, 8) for note in (self._words.was(box.rows), self._shape_note(box)) if note]
        notes = [badge(box.repeat), *notes] if box.repeat > 1 else notes
        span = ' COLSPAN="2"' if self._gutter(box) else ""
        return rows + "".join(f'<TR><TD{span} ALIGN="RIGHT">{font("  ", GREY, 8)}{note}{font(" ", GREY, 8)}</TD></TR>' for note in notes)

    def _gutter(self, box: Box) -> bool:
        """Whether signs stand before the rows of a card."""
        return any(self._marks[node].status not in _QUIET for node in box.rows)

    def _shape_note(self, box: Box) -> str:
        """How the shape of what comes out changed, where nothing else did."""
        last = self._marks[box.rows[-1]]
        return f"{SIGNS['follows']} {self._words.shape_change(box.rows[-1])}" if last.status == "follows" else ""

    def _row(self, number: int, place: int, node: int) -> str:
        status = self._marks[node].status
        title, told = self._words.layer(node)
        changes = self._words.changes(node) if status == "changed" else []
        if any(c.kind == "operator" for c in self._marks[node].changes):
            title, told, changes = short(changes[0], _ROW), "", changes[1:]
        told = short(told, TEXT_LENGTH) if told else ""
        ink, plain = (GREY, GREY) if status in _QUIET else (INKS[status], TEXT)
        beside = bool(changes) and len(f"{title}{told}{changes[0]}") <= _ROW
        words = font(html(title), ink, 10, bold=True) + (font(f"  {html(told)}", plain, 10) if told else "")
        words = f"<S>{words}</S>" if status == "removed" else words
        words += font(f"  {html(changes[0])}", CHANGED, 10, bold=True) if beside else ""
        below = changes[beside:]
        more = [*below[:_MOST], f"and {len(below) - _MOST} more"] if len(below) > _MOST else below
        lines = "".join(
            f'<TR><TD ALIGN="LEFT" BGCOLOR="{GROUNDS[status]}">{font(f"    {html(short(text, _ROW))}  ", CHANGED, 9, bold=True)}</TD></TR>'
            for text in more
        )
        ground = CARD if status in _QUIET else GROUNDS[status]
        cell = (
            f'<TD ID="row-{number}-{place}" TITLE=" " ALIGN="LEFT" BGCOLOR="{ground}">{font(" ", INK, 10)}{words}{font("  ", INK, 10)}</TD>'
        )
        gutter = self._gutter(self._overlay.view.boxes[number])
        return row(status, cell, span=1 + len(more), gutter=gutter) + lines

    # ----------------------------------------------------------------------------------------------------------- blocks
    def _folded(self, box: Box, status: Status) -> str:
        union, groups = self._overlay.union, self._overlay.view.groups
        around = "" if box.group is None else groups[box.group].name
        title = font(
            html(short(within(box.name, around), NAME_LENGTH)), TEXT if status in _QUIET else INK, 10 + (box.kind == "block"), bold=True
        )
        title = f"<S>{title}</S>" if status == "removed" else title
        lines = [f"  {title}{badge(box.repeat)}  "]
        changed = union.block(box.frame) if box.frame is not None else None
        call = box.call if box.kind == "block" else ""
        call = call.partition("(")[0] if changed is not None else call if call != box.name else ""
        lines += [font(f"  {html(short(call, TEXT_LENGTH))}  ", GREY, 9)] if call else []
        if changed is not None:
            lines += [font(f"  {html(short(spell(c), _ROW))}  ", CHANGED, 9, bold=True) for c in changed.changes[:_MOST]]
        parameters = self._words.parameters(box.nodes)
        foot = [self._words.count(box.nodes), f"{count(parameters)} params" if parameters and status in ("added", "removed") else ""]
        lines.append(font(f"  {html(', '.join(filter(None, foot)))}  ", GREY if status in _QUIET else INKS[status], 8.5))
        was = self._words.was(box.nodes, box.frame)
        lines += [font(f"  {html(short(was, _ROW))}  ", GREY, 8)] if was else []
        cells = [f"<TD>{line}</TD>" for line in lines]
        first = row(status, cells[0], span=len(cells), gutter=status not in _QUIET)
        return first + "".join(f"<TR>{cell}</TR>" for cell in cells[1:])


def within(name: str, around: str) -> str:
    """A dotted name without that of the block around it, but for a number's: `layer1.0` in `layer1`, `block` in `features.2`."""
    own = name.removeprefix(around + ".") if around else name
    return f"{last_of(around)}.{own}" if around and own[:1].isdigit() else own


def row(status: Status, cell: str, span: int = 1, gutter: bool = True) -> str:
    """A row of a card, its sign before it where there is a gutter; `span` is how many rows the sign stands beside."""
    if not gutter or (status in _QUIET and span > 1):
        return f"<TR>{cell}</TR>"
    rows = f' ROWSPAN="{span}"' if span > 1 else ""
    sign = SIGNS[status] if status not in _QUIET else ""
    text = font(f" {sign} ", INKS[status], 12, bold=True) if sign else font("   ", GREY, 12)
    return f'<TR><TD{rows} WIDTH="16">{text}</TD>{cell}</TR>'


def frame(rows: str, status: Status, rounded: bool = False, ground: str = CARD, padding: int = 1) -> str:
    """The table around rows: thin where nothing changed, thick where something did, dotted where it is gone."""
    quiet = status in _QUIET
    styles = ["ROUNDED"] * rounded + ["DOTTED"] * (status == "removed") + ["DASHED"] * (status == "follows")
    more = f' STYLE="{",".join(styles)}"' if styles else ""
    return table(rows, ground, INKS[status], 1 if quiet else 2, padding, more)


def group_label(group: Group, around: str, status: Status, changes: list[str], was: str) -> str:
    """The label of an opened block: its sign, name and call, and what changed of its arguments."""
    sign = SIGNS[status] if status in ("added", "removed") else ""
    title = font(html(short(within(group.name, around), NAME_LENGTH)), INKS[status] if sign else INK, 10, bold=True)
    title = f"<S>{title}</S>" if status == "removed" else title
    lines = [(font(f"{sign} ", INKS[status], 12, bold=True) if sign else "") + title + badge(group.repeat)]
    call = group.call.partition("(")[0] if changes else group.call
    lines += [font(html(short(call, TEXT_LENGTH)), GREY, 8.5)] if call else []
    lines += [font(html(short(change, _ROW)), CHANGED, 9, bold=True) for change in changes[:_MOST]]
    lines += [font(html(short(was, _ROW)), GREY, 8)] if was else []
    cells = "".join(f'<TR><TD ALIGN="LEFT">{line}</TD></TR>' for line in lines)
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="1">{cells}</TABLE>'
