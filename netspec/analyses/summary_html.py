"""The summary as HTML for a notebook: tables that carry their own styles, and stand on light and on dark pages alike."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from netspec.analyses.columns import Column
from netspec.analyses.repeats import Line
from netspec.analyses.table import REPEATS, Options, table_of
from netspec.analyses.totals import conditions, ports, totals

if TYPE_CHECKING:
    from netspec.analyses.summary import Summary

#: the most rows of a page
MOST = 500

_TABLE = '<table style="border-collapse: collapse; margin: 0 0 1em">'
_LEFT = "text-align: left; padding: 0.1em 0.6em"
_RIGHT = "text-align: right; padding: 0.1em 0.6em; white-space: nowrap; font-variant-numeric: tabular-nums"
_CODE = f"{_LEFT}; font-family: monospace"
_RULE = "border-bottom: 1px solid rgba(128, 128, 128, 0.6)"
_FAINT = "opacity: 0.75"


def summary_html(summary: Summary) -> str:
    """The layers, equal blocks in a row once, and below them the totals and what the sizes must satisfy."""
    lines, columns = table_of(summary, Options())
    at = ", ".join(f"{n} = {v}" for n, v in summary.typical)
    caption = f"<strong>net {escape(summary.net)}</strong>" + (f" at {escape(at)}" if at else "")
    head = "".join(f'<th scope="col" style="{_RIGHT if c.right else _LEFT}; {_RULE}">{escape(c.heading)}</th>' for c in columns)
    rows = "".join(_row(line, columns, number) for number, line in enumerate(lines[:MOST]))
    if any(line.repeat > 1 for line in lines[:MOST]):
        rows += _note(f"× n: {REPEATS.partition(' (--')[0]}", len(columns))
    if len(lines) > MOST:
        rows += _note(f"… and {len(lines) - MOST:,} rows more: print(net.summary())", len(columns))
    return (
        f'<div style="overflow-x: auto">{_TABLE}<caption style="text-align: left">{caption}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{_facts(summary)}</div>"
    )


def _row(line: Line, columns: Sequence[Column], number: int) -> str:
    """A layer, or the line of what repeats; the layers of its first repetition are set in below it."""
    row = "font-weight: bold" if line.repeat > 1 else _FAINT if line.depth else ""
    inset = f"{_LEFT}; padding-left: {0.6 + 1.5 * line.depth:g}em; font-weight: inherit; white-space: nowrap"
    head = f'<th scope="row" style="{inset}">{escape(columns[0].cells[number].strip())}</th>'
    return f'<tr style="{row}">{head}{"".join(_cell(column, number) for column in columns[1:])}</tr>'


def _cell(column: Column, number: int) -> str:
    """A number, or code; a shape at the typical sizes, and on hovering over it as it is."""
    text = column.cells[number]
    if column.right:
        return f'<td style="{_RIGHT}">{escape(text)}</td>'
    if not column.short:
        return f'<td style="{_CODE}">{escape(text)}</td>'
    short = column.short[number]
    title = f' title="{escape(text)}"' if short != text else ""
    return f'<td style="{_CODE}; white-space: pre"{title}>{escape(short)}</td>'


def _note(text: str, columns: int) -> str:
    return f'<tr><td colspan="{columns}" style="{_LEFT}; {_FAINT}">{escape(text)}</td></tr>'


def _facts(summary: Summary) -> str:
    """Totals, ports and conditions: a name, a number or a text, and words about it."""
    rows = [_fact(fact.name, f'<td style="{_RIGHT}">{escape(fact.number)}</td>', escape(fact.words)) for fact in totals(summary)]
    rows += [_fact(kind, "", escape(port)) for kind, port in ports(summary)]
    for condition, causes in conditions(summary):
        because = "".join(f'<br><span style="{_FAINT}">because {escape(cause)}</span>' for cause in causes)
        rows.append(_fact("valid sizes", "", f"{escape(condition)}{because}"))
    return f"{_TABLE}<tbody>{''.join(rows)}</tbody></table>"


def _fact(name: str, number: str, words: str) -> str:
    """A row; without a number the words stand in its place as well."""
    span = "" if number else ' colspan="2"'
    head = f'<th scope="row" style="{_LEFT}; white-space: nowrap">{escape(name)}</th>'
    return f'<tr style="vertical-align: baseline">{head}{number}<td{span} style="{_LEFT}">{words}</td></tr>'
