"""What the checker says of a network, with the marked lines of its text."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.diagnostics.model import Diagnostic, Mark
from netspec.record import record
from netspec.source import Source


@record
class Excerpt:
    """A line of a text, as it was written: pieces that are plain (``), marked first (`first`) or marked too (`more`), and the words
    on the marks."""

    number: int
    pieces: tuple[tuple[str, str], ...]
    words: str


@record
class Finding:
    """One finding: where it is, what it says, the lines that it is about, facts, fixes, and how the text was reached."""

    code: str
    severity: str
    message: str
    place: str
    excerpts: tuple[tuple[str, tuple[Excerpt, ...]], ...]
    notes: tuple[str, ...]
    helps: tuple[str, ...]


def findings(diagnostics: Sequence[Diagnostic]) -> tuple[Finding, ...]:
    """The findings of a page, in the order in which they were made."""
    return tuple(_finding(diagnostic) for diagnostic in diagnostics)


def _finding(diagnostic: Diagnostic) -> Finding:
    by_source: dict[Source, list[Mark]] = {}
    for mark in diagnostic.marks:
        by_source.setdefault(mark.place.source, []).append(mark)
    excerpts = tuple((source.name, _excerpts(source, marks, diagnostic.marks[0])) for source, marks in by_source.items())
    trail = tuple(f"{mark.text}: {mark.place!r}" for mark in diagnostic.trail[:6])
    place = repr(diagnostic.place) if diagnostic.place else ""
    return Finding(
        diagnostic.code, diagnostic.severity.value, diagnostic.message, place, excerpts, (*diagnostic.notes, *trail), diagnostic.helps
    )  # fmt: skip


def _excerpts(source: Source, marks: Sequence[Mark], primary: Mark) -> tuple[Excerpt, ...]:
    """The lines on which marks begin, in order."""
    by_line: dict[int, list[Mark]] = {}
    for mark in sorted(marks, key=lambda m: m.place.start):
        by_line.setdefault(mark.place.line, []).append(mark)
    return tuple(_excerpt(source, line, found, primary) for line, found in by_line.items())


def _excerpt(source: Source, line: int, marks: Sequence[Mark], primary: Mark) -> Excerpt:
    text, at = source.line(line), 0
    pieces: list[tuple[str, str]] = []
    for mark in marks:
        start = max(source.position(mark.place.start)[1] - 1, at)
        end = min(len(text), max(start + 1, start + mark.place.end - mark.place.start))
        pieces += [(text[at:start], ""), (text[start:end] or " ", "first" if mark is primary else "more")]
        at = max(end, at)
    pieces.append((text[at:], ""))
    shown = tuple((piece.replace("\t", "    "), kind) for piece, kind in pieces if piece)
    return Excerpt(line, shown, ", ".join(mark.text for mark in marks if mark.text))
