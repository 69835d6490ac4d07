"""Source text and places in it: the lowest layer, which everything may point at."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple


@dataclass(frozen=True, eq=False)
class Source:
    """One text: its name for messages (a path, `<string>` or `<stdin>`) and its content.

    `path` is the file it was read from, if any: what relative imports are resolved against. `files` is what they are read
    from (`reading.Files`), None for the disk.
    """

    name: str
    text: str
    path: str | None = field(default=None, repr=False)
    files: Any = field(default=None, repr=False)

    @cached_property
    def _starts(self) -> list[int]:
        starts = [0]
        for index, character in enumerate(self.text):
            if character == "\n":
                starts.append(index + 1)
        return starts

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the text (UTF-8), in hexadecimal."""
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of a character offset, both counted from 1."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of line `number` (from 1), without its line end."""
        if not 1 <= number <= len(self._starts):
            return ""
        start = self._starts[number - 1]
        end = self._starts[number] if number < len(self._starts) else len(self.text)
        return self.text[start:end].rstrip("\r\n")


class Place(NamedTuple):
    """A stretch of a source: characters `start` up to, not including, `end`."""

    source: Source
    start: int
    end: int

    @property
    def line(self) -> int:
        """The line on which the stretch begins, counted from 1."""
        return self.source.position(self.start)[0]

    @property
    def text(self) -> str:
        """The characters of the stretch."""
        return self.source.text[self.start : self.end]

    def to(self, other: Place) -> Place:
        """The stretch from the beginning of this one to the end of `other`."""
        return Place(self.source, self.start, max(self.end, other.end))

    def __repr__(self) -> str:
        line, column = self.source.position(self.start)
        return f"{self.source.name}:{line}:{column}"
