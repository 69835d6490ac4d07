"""Documentation strings and messages as text in which code stands out."""

from __future__ import annotations

import re

from netspec.record import record

_CODE = re.compile(r"`([^`\n]+)`")


@record
class Run:
    """Characters of a paragraph; `code` stood in backticks."""

    text: str
    code: bool


def paragraphs(doc: str) -> tuple[tuple[Run, ...], ...]:
    """The paragraphs of a documentation string, their lines joined."""
    texts = (" ".join(part.split()) for part in re.split(r"\n\s*\n", doc))
    return tuple(runs(text) for text in texts if text)


def runs(text: str) -> tuple[Run, ...]:
    """A line of text, what stands in backticks apart."""
    parts = _CODE.split(text)
    return tuple(Run(part, bool(number % 2)) for number, part in enumerate(parts) if part)
