"""What netspec finds in a text, as short as a test can say it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from netspec.analyses.lint import Settings
from netspec.api import Compilation, check_source
from netspec.diagnostics.model import Diagnostic
from netspec.limits import DEFAULT_LIMITS, Limits
from netspec.source import Source


@dataclass(frozen=True)
class Finding:
    """One finding: its code, the source text that it marks, the line (from 1), how bad it is, and, if imported, its file."""

    code: str
    marked: str
    line: int
    severity: str = "error"
    file: str = ""


def compilations(
    text: str, folder: Path | None = None, limits: Limits = DEFAULT_LIMITS, lints: tuple[str, ...] = ()
) -> list[Compilation]:  # fmt: skip
    """Every net of a text that needs no arguments, compiled; the first entry is the file itself. Imports are read from `folder`.

    `lints` are the codes of those to run: none, unless somebody asks.
    """
    path = str(folder / "test.net") if folder else None
    return check_source(Source("test.net", text, path), limits=limits, settings=Settings(only=lints) if lints else None)


def diagnostics(done: list[Compilation]) -> list[Diagnostic]:
    """The findings of several compilations of one file, each once, in the order of the text."""
    unique: dict[object, Diagnostic] = {}
    for finding in (d for c in done for d in c.report.diagnostics):
        place = finding.place
        unique.setdefault((finding.code, place.source.name, place.start, place.end) if place else finding, finding)
    return sorted(unique.values(), key=lambda d: (d.place.source is not done[0].source, d.place.start) if d.place else (False, -1))


def findings(done: list[Compilation]) -> list[Finding]:
    """The same, as plain facts."""
    return [_finding(d, done[0]) for d in diagnostics(done)]


def _finding(d: Diagnostic, main: Compilation) -> Finding:
    if d.place is None:
        return Finding(d.code, "", 0, d.severity.value)
    return Finding(d.code, d.place.text, d.place.line, d.severity.value, "" if d.place.source is main.source else d.place.source.name)


def check(text: str, folder: Path | None = None, limits: Limits = DEFAULT_LIMITS, lints: tuple[str, ...] = ()) -> list[Finding]:
    """What `netspec check` says of a text; `lints` are the codes of those to run (`("all",)` for all)."""
    return findings(compilations(text, folder, limits, lints))
