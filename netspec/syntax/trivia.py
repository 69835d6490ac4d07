"""What a formatter keeps and a parser drops: comments, documentation strings, blank lines, where lines began."""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import NamedTuple

from netspec.source import Source
from netspec.syntax.lexer import THEN, partners, scan
from netspec.syntax.tables import Tables

_COMMENT = re.compile(r"#[^\n]*")
_SEPARATORS = re.compile(r"[ \t\f,;]*")


class Remark(NamedTuple):
    """A comment, or a documentation string, and where it stands."""

    text: str
    start: int
    end: int

    @property
    def is_comment(self) -> bool:
        """Whether it is a comment and not a documentation string."""
        return self.text.startswith("#")


class Trivia:
    """The remarks of a source, handed out in order, and where its braces, arrows and `then`s stand."""

    def __init__(self, source: Source, tables: Tables) -> None:
        self.text = source.text
        tokens = scan(self.text, tables)
        self.arrows = [token.start for token in tokens if token.kind == "_ARROW"]
        self.thens = [token.start for token in tokens if token.text == THEN]
        self._opens = [token.start for token in tokens if token.kind == "LBRACE"]
        self._closes = {tokens[a].start: tokens[b].start for a, b in partners(tokens).items() if tokens[a].kind == "LBRACE"}
        documentation = [Remark(token.text, token.start, token.end) for token in tokens if token.kind == "DOC"]
        self._remarks = sorted(self._comments(tables) + documentation, key=lambda remark: remark.start)
        self._next = 0

    def _comments(self, tables: Tables) -> list[Remark]:
        found = []
        for match in tables.scanner().finditer(self.text):
            if match.lastgroup in ("COMMENT", "_NEWLINE", "_ARROW", "_ELSE"):
                for comment in _COMMENT.finditer(self.text, match.start(), match.end()):
                    found.append(Remark(comment.group().rstrip(), comment.start(), comment.end()))
        return found

    def braces(self, start: int) -> tuple[int, int]:
        """The offsets of the first `{` at or after `start`, and of its `}`."""
        opening = self._opens[bisect_left(self._opens, start)]
        return opening, self._closes[opening]

    def before(self, offset: int) -> list[Remark]:
        """The next remarks that begin before `offset`; each is handed out once."""
        found = []
        while self._next < len(self._remarks) and self._remarks[self._next].start < offset:
            found.append(self._remarks[self._next])
            self._next += 1
        return found

    def beside(self, end: int) -> Remark | None:
        """The comment on the line that ends with what ends at `end`, if it is the next remark."""
        if self._next < len(self._remarks):
            remark = self._remarks[self._next]
            if remark.is_comment and remark.start >= end and _SEPARATORS.fullmatch(self.text, end, remark.start):
                self._next += 1
                return remark
        return None

    def begins_line(self, offset: int) -> bool:
        """Whether only spaces stand before `offset` on its line."""
        return not self.text[self.text.rfind("\n", 0, offset) + 1 : offset].strip()

    def joint_begins_line(self, joints: list[int], operand: int) -> bool:
        """Whether the last of `joints` (`arrows` or `thens`) before the operand at `operand` was the first on its line."""
        position = bisect_left(joints, operand) - 1
        return position >= 0 and self.begins_line(joints[position])

    def blank_between(self, end: int, start: int) -> bool:
        """Whether a blank line stands between two offsets."""
        return self.text.count("\n", end, start) > 1
