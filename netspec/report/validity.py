"""The sizes of a report: what each may be, which values are the nearest, and who asks for it."""

from __future__ import annotations

import re

from netspec.analyses.blame import Cause
from netspec.analyses.summary import Summary
from netspec.record import record
from netspec.report.listing import Texts

#: a sentence in pieces, each with the anchor to which it leads, or without
Reason = tuple[tuple[str, str], ...]

_LINE = re.compile(r"(line \d+)")


@record
class Rule:
    """One condition on sizes, or several with the same reasons. `decided` is False where it can only be tried."""

    conditions: tuple[str, ...]
    reasons: tuple[Reason, ...]
    decided: bool


@record
class OpenSizeRow:
    """An open size: its typical value and the nearest valid ones below and above it (None: there is none). `free`: any will do."""

    name: str
    typical: int
    below: int | None
    above: int | None
    free: bool


def rules(summary: Summary, texts: Texts) -> tuple[Rule, ...]:
    """What the sizes must satisfy; conditions with the same causes together."""
    together: dict[tuple[str, ...], list[int]] = {}
    for number, part in enumerate(summary.sizes.parts):
        together.setdefault(tuple(cause.text for cause in part.causes), []).append(number)
    found = []
    for numbers in together.values():
        parts = [summary.sizes.parts[number] for number in numbers]
        reasons = tuple(_reason(cause, texts) for cause in parts[0].causes)
        found.append(Rule(tuple(part.text for part in parts), reasons, all(part.decided for part in parts)))
    return tuple(found)


def _reason(cause: Cause, texts: Texts) -> Reason:
    """The sentence, its lines led to where they are shown."""
    anchors = {f"line {origin.line}": texts.anchor(origin) for origin in cause.origins}
    return tuple((words, anchors.get(words, "")) for words in _LINE.split(cause.text) if words)


def open_sizes(summary: Summary) -> tuple[OpenSizeRow, ...]:
    """The open sizes of the network, in its order."""
    bound = {name for part in summary.sizes.parts for name in part.names}
    found = []
    for size in summary.graph.sizes:
        below = summary.sizes.nearest(size.name, {size.name: size.typical - 1})[0] if size.typical > 1 else None
        above = summary.sizes.nearest(size.name, {size.name: size.typical + 1})[1]
        found.append(OpenSizeRow(size.name, size.typical, below, above, size.name not in bound))
    return tuple(found)
