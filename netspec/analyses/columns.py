"""Columns of plain text that fit a width: cut where that does no harm, shortened, and set below one another at last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace

from netspec.record import record

GAP = 2


@record
class Column:
    """One column: its heading, and a cell a row.

    Numbers stand `right`; `short` has the cells in fewer characters. A text may be cut to `least` characters (0: never), in
    the `middle` where both of its ends tell. What is `tied` stands beside the column before it. `styles` are the looks of the
    cells where there is colour, as codes of ECMA-48 (`1;34`); an empty one is that of the row.
    """

    heading: str
    cells: tuple[str, ...]
    right: bool = False
    least: int = 0
    middle: bool = False
    short: tuple[str, ...] = ()
    tied: bool = False
    styles: tuple[str, ...] = ()
    _width: list[int] = field(default_factory=list, compare=False, repr=False)

    @property
    def width(self) -> int:
        """Of the widest cell, or of the heading; measured once."""
        if not self._width:
            self._width.append(max(len(self.heading), *map(len, self.cells)) if self.cells else len(self.heading))
        return self._width[0]

    def shortened(self) -> Column:
        """The same with the short cells, where there are any."""
        return replace(self, cells=self.short, short=(), _width=[]) if self.short else self


def lay_out(columns: Sequence[Column], width: int, styles: Sequence[str] | None = None) -> list[str]:
    """The lines: a rule, headings, a rule, rows, a rule. What does not fit beside the first column goes into a table below.

    `styles` are the looks of the rows; without them there is no colour at all.
    """
    first, *others = _fitted(columns, width)
    tables = [[first]]
    for index, column in enumerate(others):
        unit = [column, *others[index + 1 : index + 2]] if others[index + 1 : index + 2] and others[index + 1].tied else [column]
        if len(tables[-1]) > 1 and not column.tied and _total([*tables[-1], *unit]) > width:
            tables.append([first])
        tables[-1].append(column)
    lines: list[str] = []
    longest, colour = 0, styles is not None
    for table in (_cut(table, width, 1) for table in tables):
        rule, form = painted("─" * min(width, _total(table)), "2", colour), _form(table)
        head = form.format(*(c.heading for c in table)).rstrip()
        longest = max(longest, _total(table))
        rows = [form.format(*row).rstrip() for row in zip(*(c.cells for c in table))] if styles is None else _coloured(table, styles)
        lines += [rule, painted(head, "1", colour), rule, *rows]
    return [*lines, painted("─" * min(width, longest), "2", colour)]


def painted(text: str, style: str, colour: bool = True) -> str:
    """The text in a style of ECMA-48, where there is colour."""
    return f"\x1b[{style}m{text}\x1b[0m" if colour and style and text else text


def _coloured(table: Sequence[Column], styles: Sequence[str]) -> list[str]:
    """The rows of a table, every cell in its place and in its style."""
    lines = []
    for number, row in enumerate(styles):
        cells = []
        for column in table:
            text, style = column.cells[number], (column.styles[number] if column.styles else "") or row
            spaces = " " * (column.width - len(text))
            cells.append(spaces + painted(text, style) if column.right else painted(text, style) + spaces)
        lines.append((" " * GAP).join(cells).rstrip())
    return lines


def _fitted(columns: Sequence[Column], width: int) -> list[Column]:
    """The first of these that fits: as it is; cut a little; with texts in short; with numbers in short as well; cut as far as
    it goes. What does not even then is only shortened, and set below one another."""
    texts = [c if c.right else c.shortened() for c in columns]
    whole = [c.shortened() for c in columns]
    gentle = _cut(whole, width, 2)
    choices = (list(columns), _cut(columns, width, 2, keep_short=True), _cut(texts, width, 2), gentle, _cut(whole, width, 1))
    return next((choice for choice in choices if _total(choice) <= width), gentle)


def _total(columns: Sequence[Column]) -> int:
    return sum(c.width for c in columns) + GAP * (len(columns) - 1)


def _cut(columns: Sequence[Column], width: int, times: int, keep_short: bool = False) -> list[Column]:
    """Columns that may be cut, labels last and the widest first, down to `times` their least width and as far as needed."""
    found = list(columns)
    for index in sorted(range(len(found)), key=lambda i: (found[i].middle, -found[i].width)):
        column, excess = found[index], _total(found) - width
        if column.least and excess > 0 and not (keep_short and column.short):
            keep = max(column.least * times, column.width - excess)
            found[index] = replace(column, cells=tuple(clipped(c, keep, column.middle) for c in column.cells), _width=[])
    return found


def clipped(text: str, width: int, middle: bool = False) -> str:
    """The text in at most `width` characters, with `…` where something is missing."""
    if len(text) <= width:
        return text
    if not middle:
        return text[: width - 1] + "…"
    front = (width - 1) // 2
    return text[:front] + "…" + text[len(text) - (width - 1 - front) :]


def _form(columns: Sequence[Column]) -> str:
    """A format of a line: every cell in its place."""
    return (" " * GAP).join(f"{{:{'>' if c.right else '<'}{c.width}}}" for c in columns)
