"""The HTML labels of boxes: a card with a row an operator, a folded block, an input or output."""

from __future__ import annotations

from functools import lru_cache

from netspec.analyses.outline.model import Box, View
from netspec.backends.diagram.cards.heat import Scale
from netspec.backends.diagram.escape import html, short
from netspec.backends.diagram.figures import Figures, last_value
from netspec.backends.diagram.palette import (
    BADGE,
    BAR,
    BAR_GROUND,
    CARD,
    FOLDED,
    GREY,
    INK,
    LINE,
    PORT,
    PORT_GROUND,
    PORT_TEXT,
    SHEET,
    TEXT,
    family,
)  # fmt: skip
from netspec.backends.diagram.wording import arguments, count, name, share
from netspec.graph import Node

#: how many characters a name, and the arguments behind it, may have
NAME_LENGTH, TEXT_LENGTH = 30, 36
#: points: how wide a card is at least, so that cards that say little are as wide as their neighbours
_WIDTH = 122
#: columns of the table that draws cards behind a card
_COLUMNS = 24
#: points: the width of the bar that shows a share
_BAR = 84
_TABLE = (
    '<TABLE BORDER="{border}" CELLBORDER="0" CELLSPACING="0" CELLPADDING="{padding}" COLOR="{line}" BGCOLOR="{ground}"{more}>{rows}</TABLE>'
)


def table(rows: str, ground: str = CARD, line: str = LINE, border: int = 1, padding: int = 0, more: str = "") -> str:
    """An HTML table around rows."""
    return _TABLE.format(border=border, padding=padding, line=line, ground=ground, more=more, rows=rows)


def font(text: str, colour: str, size: float, bold: bool = False) -> str:
    """Text that is escaped already, in a colour and a size in points."""
    return f'<FONT COLOR="{colour}" POINT-SIZE="{size:g}">{f"<B>{text}</B>" if bold else text}</FONT>'


class Cards:
    """Makes the labels of a view's boxes."""

    def __init__(self, view: View, figures: Figures, heat: Scale | None) -> None:
        self._view, self._figures, self._heat = view, figures, heat
        self._written: dict[object, str] = {}

    def label(self, number: int) -> str:
        """The HTML label of a box, a merge's circle aside."""
        box = self._view.boxes[number]
        if box.kind in ("input", "output"):
            return self._port(box)
        return self._layers(number, box) if box.rows else self._folded(number, box)

    # ------------------------------------------------------------------------------------------------------------ ports
    def _port(self, box: Box) -> str:
        value = last_value(self._view, box)
        shape = self._figures.shape(value, batch=True) if value is not None else ""
        dtype = self._view.graph.values[value].dtype if value is not None else "float32"
        below = shape if dtype == "float32" else f"{dtype} {shape}"
        head = f'<TR><TD BGCOLOR="{PORT}">{font(f" {html(short(box.name, NAME_LENGTH))} ", PORT_TEXT, 11, bold=True)}</TD></TR>'
        body = f"<TR><TD>{font(f' {html(short(below, TEXT_LENGTH))} ', INK, 10)}</TD></TR>"
        return table(head + body, PORT_GROUND, PORT, padding=3)

    # ------------------------------------------------------------------------------------------------------------ cards
    def _layers(self, number: int, box: Box) -> str:
        foot = self._foot(number, box)
        plain = len(box.rows) == 1 and box.repeat == 1 and not foot and not self.arguments(self._view.graph.nodes[box.rows[0]])
        rows = "".join(self._row(number, place, node, 0 if plain else _WIDTH) for place, node in enumerate(box.rows))
        if foot or box.repeat > 1:
            words = badge(box.repeat, BADGE if self._heat is None else INK) + font(
                f"  {html(foot)} ", GREY if self._heat is None else INK, 8
            )
            rows += f'<TR><TD ALIGN="RIGHT" CELLPADDING="2">{words}</TD></TR>'
        ground = CARD if self._heat is None else self._heat.colour(number)
        card = table(rows, ground)
        return stacked(card, box.repeat) if box.repeat > 1 else card

    def _row(self, number: int, place: int, node_number: int, width: int) -> str:
        node = self._view.graph.nodes[node_number]
        look = family(node.op.FAMILY)
        told = self.arguments(node)
        ground = f' BGCOLOR="{look.tint}"' if self._heat is None else ""
        text = font(html(name(node.op)), look.ink if self._heat is None else INK, 10, bold=True)
        text += font(f"  {html(short(told, TEXT_LENGTH))}", TEXT if self._heat is None else INK, 10) if told else ""
        cell = f'ALIGN="LEFT"{ground} BORDER="4" SIDES="L" COLOR="{look.ink}" CELLPADDING="1" WIDTH="{width}"'
        return f'<TR><TD ID="row-{number}-{place}" TITLE=" " {cell}>{font(" ", INK, 10)}{text}{font("  ", INK, 10)}</TD></TR>'

    def arguments(self, node: Node) -> str:
        """The operator's arguments, as a picture writes them."""
        graph = self._view.graph
        key = (node.op, tuple(graph.values[n].shape for n in (*node.inputs, *node.outputs)))
        if key not in self._written:
            self._written[key] = arguments(node.op, graph.types(node.inputs), graph.types(node.outputs))
        return self._written[key]

    def _foot(self, number: int, box: Box) -> str:
        parts = [self._heat.text(number)] if self._heat is not None else []
        several = len(box.nodes) > len(box.rows)  # it stands for other repetitions, too: its numbers are one repetition's
        parameters = self._figures.cost(box.rows).parameters
        if parameters and (self._heat is None or self._heat.kind != "parameters"):
            parts.append(f"{count(parameters)} params" + (" each" if several else ""))
        if self._heat is None and not several and self._looks_around(box):
            value = last_value(self._view, box)
            parts.append(self._figures.field_text(value) if value is not None else "")
        return " · ".join(filter(None, parts))

    def _looks_around(self, box: Box) -> bool:
        """Whether a layer of a card sees further than its input."""
        graph = self._view.graph
        for number in box.rows:
            node = graph.nodes[number]
            before = self._figures.field_text(node.inputs[0]) if len(node.inputs) == 1 else self._figures.field_text(node.outputs[0])
            if before != self._figures.field_text(node.outputs[0]):
                return True
        return False

    # ----------------------------------------------------------------------------------------------------------- blocks
    def _folded(self, number: int, box: Box) -> str:
        ground = FOLDED if self._heat is None else self._heat.colour(number)
        grey = GREY if self._heat is None else INK
        name_of = html(short(block_name(self._view, box.name, box.group), NAME_LENGTH))
        title = font(f"  {name_of}", INK, 11, bold=True) + badge(box.repeat, BADGE if self._heat is None else INK)
        rows = f'<TR><TD WIDTH="{_WIDTH}">{title}{font("  ", INK, 11)}</TD></TR>'
        told = f"{len(box.nodes)} layers" if box.kind == "stretch" else ""
        if box.frame is not None and "(" in box.call:
            told = self._figures.call(box.frame)
        if told:
            words = f"  {html(short(told, TEXT_LENGTH))}  "
            rows += f"<TR><TD>{font(words, TEXT if self._heat is None else INK, 9)}</TD></TR>"
        if len(box.gives) == 1:
            made = html(f"  → {self._figures.shape(box.gives[0])}  ")
            rows += f"<TR><TD>{font(made, TEXT if self._heat is None else INK, 9)}</TD></TR>"
        parameters, whole = self._figures.cost(box.nodes).parameters, self._figures.total.parameters
        if parameters and self._heat is None:
            rows += f"<TR><TD>{bar(parameters / whole)}</TD></TR>"
        parts = [self._heat.text(number)] if self._heat is not None else []
        if parameters and (self._heat is None or self._heat.kind != "parameters"):
            parts.append(f"{count(parameters)} params · {share(parameters, whole)}")
        value = last_value(self._view, box)
        parts += [self._figures.field_text(value)] if value is not None and self._heat is None else []
        foot = " · ".join(filter(None, parts))
        if foot:
            spaced = f"  {html(foot)}  "
            rows += f"<TR><TD>{font(spaced, grey, 8)}</TD></TR>"
        card = table(rows, ground, more=' STYLE="ROUNDED"', padding=2)
        return stacked(card, box.repeat) if box.repeat > 1 else card


def group_label(name: str, repeat: int, steps: str, grey: str) -> str:
    """The label of an opened block: its name and how often it stands there, what runs it, and a grey line."""
    line = font(html(short(name, NAME_LENGTH)), INK, 10, bold=True) + badge(repeat)
    rows = [line]
    rows += [font("every step", family("recurrent").ink, 8.5, bold=True)] if steps else []
    rows += [font(html(grey), GREY, 8.5)] if grey else []
    cells = "".join(f'<TR><TD ALIGN="LEFT">{row}</TD></TR>' for row in rows)
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0">{cells}</TABLE>'


@lru_cache(maxsize=4096)
def last_of(name: str) -> str:
    """The end of a dotted name that says something: `layer1` of `body.layer1`, `layer1.0` of `body.layer1.0`."""
    parts = name.split(".")
    keep = 1
    while keep < len(parts) and parts[-keep].isdigit():
        keep += 1
    return ".".join(parts[-keep:])


def block_name(view: View, name: str, group: int | None) -> str:
    """A block's name without that of the block in which it stands: `conv` in `Conv1`, `Conv1.conv` outside of it."""
    around = f"{view.groups[group].name}." if group is not None else ""
    own = name.removeprefix(around)
    return own if not own[0].isdigit() and len(own) <= NAME_LENGTH else last_of(name)


def badge(repeat: int, colour: str = BADGE) -> str:
    """`× 6`, or nothing for what stands there once."""
    return font(f"  × {repeat}", colour, 10, bold=True) if repeat > 1 else ""


def bar(part: float) -> str:
    """A bar that shows a share, at least a point of it."""
    filled = min(_BAR, max(1, round(part * _BAR)))
    cells = [(filled, BAR)] + ([(_BAR - filled, BAR_GROUND)] if filled < _BAR else [])
    drawn = "".join(f'<TD BGCOLOR="{colour}" WIDTH="{width}" HEIGHT="4" FIXEDSIZE="TRUE"></TD>' for width, colour in cells)
    more = f' FIXEDSIZE="TRUE" WIDTH="{_BAR}" HEIGHT="4"'
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0"{more}><TR>{drawn}</TR></TABLE>'


def stacked(card: str, repeat: int) -> str:
    """A card with the edges of others behind it: of one for two of them, of two for more."""
    sheets = (2, 1) if repeat > 2 else (1,)
    edges = "".join(_sheet(inset) for inset in sheets)
    body = f'<TR><TD COLSPAN="{_COLUMNS}">{card}</TD></TR>'
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="0">{edges}{body}</TABLE>'


def _sheet(inset: int) -> str:
    """The upper edge of a card that lies behind, a column or more narrower on each side; renderers make all columns equally wide."""
    spacer = '<TD HEIGHT="3"></TD>' * inset
    cell = f'<TD COLSPAN="{_COLUMNS - 2 * inset}" HEIGHT="3" BORDER="1" SIDES="LTR" COLOR="{LINE}" BGCOLOR="{SHEET}"></TD>'
    return f"<TR>{spacer}{cell}{spacer}</TR>"
