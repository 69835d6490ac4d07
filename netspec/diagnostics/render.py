"""How findings look: as text with the marked source lines, as JSON, as SARIF, and as GitHub's annotations."""

from __future__ import annotations

import json
import unicodedata
from typing import Any, Iterable

from netspec.diagnostics.model import Diagnostic, Mark
from netspec.source import Source

_COLOURS = {"error": "31", "warning": "33", "info": "36"}


def show(text: str) -> str:
    """A foreign string made safe for a terminal: control, bidirectional and invisible characters are spelled out."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        c if c == " " or (c.isprintable() and unicodedata.category(c) not in ("Cf", "Cc", "Co", "Cs")) else f"\\u{{{ord(c):x}}}"
        for c in text
    )


def render(diagnostic: Diagnostic, colour: bool = False) -> str:
    """One finding as people read it."""
    kind = diagnostic.severity.value
    head = _paint(f"{kind}[{diagnostic.code}]", f"1;{_COLOURS[kind]}", colour) + _paint(f": {show(diagnostic.message)}", "1", colour)
    lines = [head, *_marked(diagnostic.marks, _COLOURS[kind], colour)]
    gutter = " " * (_gutter(diagnostic.marks))
    if diagnostic.marks and (diagnostic.notes or diagnostic.helps or diagnostic.trail):
        lines.append(_paint(f"{gutter} │", "34", colour))
    lines.extend(f"{gutter} = {show(note)}" for note in diagnostic.notes)
    lines.extend(f"{gutter} = {show(mark.text)}: {show(repr(mark.place))}" for mark in _unique(diagnostic.trail))
    lines.extend(f"{gutter} = help: {show(help)}" for help in diagnostic.helps)
    lines.append(f"{gutter} = more: netspec explain {diagnostic.code}")
    return "\n".join(lines)


def _unique(trail: tuple[Mark, ...]) -> list[Mark]:
    """The chain of applications; of a long recursion only both ends."""
    return list(trail) if len(trail) <= 6 else [*trail[:3], *trail[-2:]]


def _paint(text: str, style: str, colour: bool) -> str:
    return f"\x1b[{style}m{text}\x1b[0m" if colour else text


def _gutter(marks: tuple[Mark, ...]) -> int:
    return max((len(str(m.place.line)) for m in marks), default=0)


def _marked(marks: tuple[Mark, ...], style: str, colour: bool) -> list[str]:
    """The source lines of all marks, file by file, with the marked stretches underlined."""
    if not marks:
        return []
    width = _gutter(marks)
    lines: list[str] = []
    for source in dict.fromkeys(m.place.source for m in marks):
        here = [m for m in marks if m.place.source is source]
        line, column = source.position(here[0].place.start)
        arrow = "-->" if not lines else ":::"
        lines.append(f"{' ' * width}{_paint(arrow, '34', colour)} {show(source.name)}:{line}:{column}")
        lines.append(_paint(f"{' ' * width} │", "34", colour))
        lines.extend(_lines_of(source, here, marks[0], width, style, colour))
    return lines


def _lines_of(source: Source, here: list[Mark], primary: Mark, width: int, style: str, colour: bool) -> Iterable[str]:
    by_line: dict[int, list[Mark]] = {}
    for mark in here:
        by_line.setdefault(mark.place.line, []).append(mark)
    before = None
    for number in sorted(by_line):
        if before is not None and number > before + 1:
            yield _paint(f"{' ' * width} ⋮", "34", colour)
        text = source.line(number)
        yield f"{_paint(f'{number:>{width}} │', '34', colour)} {_clip(show(_untab(text)))}"
        for mark in sorted(by_line[number], key=lambda m: m is not primary):
            yield f"{_paint(' ' * width + ' │', '34', colour)} {_underline(source, mark, mark is primary, style, colour)}"
        before = number


def _underline(source: Source, mark: Mark, primary: bool, style: str, colour: bool) -> str:
    line, column = source.position(mark.place.start)
    text = source.line(line)
    start = len(show(_untab(text[: column - 1])))
    length = max(1, len(show(_untab(text[column - 1 : column - 1 + mark.place.end - mark.place.start]))))
    sign = "^" if primary else "─"
    return " " * start + _paint(sign * min(length, 120) + (f" {show(mark.text)}" if mark.text else ""), style if primary else "34", colour)


def _untab(text: str) -> str:
    return text.replace("\t", "    ")


def _clip(text: str, width: int = 200) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


# ----------------------------------------------------------------------------------------------------- for machines
def as_data(diagnostic: Diagnostic) -> dict[str, Any]:
    """One finding as plain data; lines and columns count from 1, columns in characters."""
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity.value,
        "message": diagnostic.message,
        "places": [_place(m) for m in diagnostic.marks],
        "notes": list(diagnostic.notes),
        "helps": list(diagnostic.helps),
        "trail": [_place(m) for m in diagnostic.trail],
    }


def _place(mark: Mark) -> dict[str, Any]:
    line, column = mark.place.source.position(mark.place.start)
    end_line, end_column = mark.place.source.position(mark.place.end)
    return {
        "file": mark.place.source.name, "line": line, "column": column, "end_line": end_line, "end_column": end_column, "text": mark.text,
    }  # fmt: skip


def github(diagnostic: Diagnostic) -> str:
    """One finding as a GitHub Actions workflow command."""
    kind = {"error": "error", "warning": "warning", "info": "notice"}[diagnostic.severity.value]
    where = ""
    if diagnostic.marks:
        at = _place(diagnostic.marks[0])
        where = f"file={_escape(at['file'])},line={at['line']},col={at['column']},"
    return f"::{kind} {where}title={diagnostic.code}::{_escape(diagnostic.message)}"


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A").replace(",", "%2C").replace(":", "%3A")


def sarif(diagnostics: list[Diagnostic], version: str) -> str:
    """All findings as a SARIF 2.1.0 log."""
    results = [
        {
            "ruleId": d.code,
            "level": {"error": "error", "warning": "warning", "info": "note"}[d.severity.value],
            "message": {"text": d.message},
            "locations": [_sarif_location(m) for m in d.marks[:1]],
            "relatedLocations": [_sarif_location(m) for m in d.marks[1:]],
        }
        for d in diagnostics
    ]
    rules = [{"id": code} for code in sorted({d.code for d in diagnostics})]
    driver = {"name": "netspec", "version": version, "rules": rules}
    log = {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }
    return json.dumps(log, indent=2)


def _sarif_location(mark: Mark) -> dict[str, Any]:
    at = _place(mark)
    region = {"startLine": at["line"], "startColumn": at["column"], "endLine": at["end_line"], "endColumn": at["end_column"]}
    return {"physicalLocation": {"artifactLocation": {"uri": at["file"]}, "region": region}, "message": {"text": mark.text}}
