"""What a finding is: a code, a message, places in the text, facts and a fix. How it looks is `render`'s business."""

from __future__ import annotations

import enum
from dataclasses import field
from typing import Any

from netspec.record import draft, record
from netspec.source import Place


class Severity(str, enum.Enum):
    """How bad a finding is. Only errors stop a compilation."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@record
class Mark:
    """A stretch of source with a word on it. The first mark of a diagnostic is the primary one."""

    place: Place
    text: str = ""


@record
class Diagnostic:
    """One finding.

    `code` never changes its meaning (`netspec explain CODE`). `marks` are the places, the primary first; an
    empty tuple is a finding about no text (a weights file, an argument of the command). `notes` are facts (shapes,
    how the value came about), `helps` are fixes. `trail` are the block applications that led here, outermost first.
    """

    code: str
    message: str
    marks: tuple[Mark, ...] = ()
    severity: Severity = Severity.ERROR
    notes: tuple[str, ...] = ()
    helps: tuple[str, ...] = ()
    trail: tuple[Mark, ...] = ()

    @property
    def place(self) -> Place | None:
        """The primary place, if the finding is about a text."""
        return self.marks[0].place if self.marks else None

    def __str__(self) -> str:
        where = f"{self.place!r}: " if self.place else ""
        return f"{where}{self.severity.value}[{self.code}]: {self.message}"


@draft
class Report:
    """The findings of one compilation, in the order in which they were made."""

    diagnostics: list[Diagnostic] = field(default_factory=list)

    def add(self, diagnostic: Diagnostic) -> None:
        """Keep a finding, once: a second one with the same code at the same place and message is dropped."""
        if diagnostic not in self.diagnostics[-50:]:
            self.diagnostics.append(diagnostic)

    def error(
        self,
        code: str,
        message: str,
        place: Place | None = None,
        mark: str = "",
        *,
        also: tuple[Mark, ...] = (),
        notes: tuple[str, ...] = (),
        helps: tuple[str, ...] = (),
        trail: tuple[Mark, ...] = (),
        severity: Severity = Severity.ERROR,
    ) -> None:
        """Keep a finding given by its parts; `place` and `mark` are the primary place and the word on it."""
        marks = (Mark(place, mark),) if place is not None else ()
        self.add(Diagnostic(code, message, marks + also, severity, notes, helps, trail))

    @property
    def errors(self) -> list[Diagnostic]:
        """Only what stops a compilation."""
        return [d for d in self.diagnostics if d.severity is Severity.ERROR]

    @property
    def ok(self) -> bool:
        """Whether nothing stops the compilation."""
        return not self.errors


class SpecError(Exception):
    """Raised by `netspec.load` and its kin where a spec has errors; `diagnostics` holds all of them."""

    def __init__(self, diagnostics: list[Diagnostic]) -> None:
        self.diagnostics = diagnostics
        super().__init__("\n".join(str(d) for d in diagnostics))


class Refusal(Exception):
    """A clear no to something that is not spec text: a weights file, an image, an argument, a missing extra.

    Carries a finished diagnostic, and the exit status that the command ends with.
    """

    def __init__(self, code: str, message: str, *, notes: tuple[str, ...] = (), helps: tuple[str, ...] = (), status: int = 1) -> None:
        self.diagnostic = Diagnostic(code, message, notes=notes, helps=helps)
        self.status = status
        super().__init__(f"[{code}] {message}")

    def __reduce__(self) -> tuple[Any, ...]:
        """As other processes get it."""
        found = self.diagnostic
        return _refusal, (found.code, found.message, found.notes, found.helps, self.status)


def _refusal(code: str, message: str, notes: tuple[str, ...], helps: tuple[str, ...], status: int) -> Refusal:
    return Refusal(code, message, notes=notes, helps=helps, status=status)
