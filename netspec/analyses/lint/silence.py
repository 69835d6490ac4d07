"""Comments that silence a lint: `# netspec: ignore NS512 because …`.

At the end of a line it is about what begins or ends on that line; on lines of its own, about the statement below, with its
braces where it has some. `# netspec: ignore-file NS512 because …` is about the whole file and, in the file that is checked, about what
its nets import.
"""

from __future__ import annotations

import re

from netspec.record import draft
from netspec.source import Place, Source
from netspec.syntax.tables import load_tables
from netspec.syntax.trivia import Trivia

_IGNORE = re.compile(r"#\s*netspec:\s*ignore(?P<file>-file)?(?:\s+(?P<codes>\w+(?:\s*,\s*NS\w+)*)|\s*$)")


@draft
class Silence:
    """One comment: the codes that it names, the lines that it is about, its place, which of its codes were needed, and whether it
    is about other files, too."""

    codes: tuple[str, ...]
    first: int
    last: int
    place: Place
    used: set[str]
    everywhere: bool = False

    def covers(self, code: str, place: Place) -> bool:
        """Whether it silences a finding of this code here."""
        if code in self.codes and self.everywhere:
            return True
        mine = self.place.source
        if code not in self.codes or (place.source.name, place.source.text) != (mine.name, mine.text):  # an import is read for each net
            return False
        begin = place.line
        end = place.source.position(max(place.start, place.end - 1))[0]
        return begin <= self.last and end >= self.first


def silences(source: Source, checked: bool = False) -> list[Silence]:
    """The comments of a text that silence lints; `checked`: it is the file that was given, and not one that it imports."""
    if "netspec:" not in source.text:
        return []
    trivia = Trivia(source, load_tables())
    comments = [remark for remark in trivia.before(len(source.text)) if remark.is_comment]
    found = []
    for remark in comments:
        match = _IGNORE.match(remark.text)
        if match:
            codes = tuple(code.strip() for code in (match["codes"] or "").split(","))
            first, last = (1, len(source.text)) if match["file"] else _about(source, trivia, remark.start)
            found.append(Silence(codes, first, last, Place(source, remark.start, remark.end), set(), checked and bool(match["file"])))
    return found


def _about(source: Source, trivia: Trivia, start: int) -> tuple[int, int]:
    """The lines that a comment is about."""
    line, column = source.position(start)
    if source.line(line)[: column - 1].strip():
        return line, line
    below = line + 1
    count = source.text.count("\n") + 1
    while below <= count and (not source.line(below).strip() or source.line(below).lstrip().startswith("#")):
        below += 1
    last = _end_of_statement(source, below, count)
    text = source.line(last).split("#")[0].rstrip()
    if not text.endswith("{"):
        return below, last
    offset = source.text.find("{", _start_of(source, last) + len(text) - 1)
    return below, source.position(trivia.braces(offset)[1])[0]


def _end_of_statement(source: Source, line: int, count: int) -> int:
    """The last line of the statement that begins on a line: brackets are closed, and no `->` goes on below it."""
    depth = 0
    while True:
        code = source.line(line).split("#")[0]
        depth += sum(code.count(c) for c in "([") - sum(code.count(c) for c in ")]")
        following = line + 1
        while following <= count and (not source.line(following).strip() or source.line(following).lstrip().startswith("#")):
            following += 1
        if following > count or (depth <= 0 and not source.line(following).lstrip().startswith("->")):
            return line
        line = following


def _start_of(source: Source, line: int) -> int:
    """The offset at which a line begins."""
    low, high = 0, len(source.text)
    while low < high:
        middle = (low + high) // 2
        if source.position(middle)[0] < line:
            low = middle + 1
        else:
            high = middle
    return low
