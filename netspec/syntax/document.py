"""Text that knows where it may be broken into lines, and the printer that decides where it is.

After Wadler, "A prettier printer" (2003), and its successors in today's formatters. A document is a list of strings and
of the pieces below. The printer keeps its own stack, so that a sum of fifty thousand terms is no harder than one of two.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from netspec.record import record


@record
class Line:
    """A place for a line end: `flat` is printed where none is needed; `hard` always breaks."""

    flat: str = " "
    hard: bool = False


@record
class Suffix:
    """A comment that is put off to the end of the line on which it comes to stand."""

    text: str


@dataclass(slots=True)
class Group:
    """Parts that stand on one line if they fit; else their own lines break, but not those of groups in them."""

    parts: list[Part]
    broken: bool = False


@dataclass(slots=True)
class Indent:
    """Parts whose lines begin two columns further to the right."""

    parts: list[Part]


@dataclass(slots=True)
class IfBroken:
    """A text for the case that the group around it is broken, such as a trailing comma."""

    text: str


Part = str | Line | Suffix | Group | Indent | IfBroken
SOFT = Line("")
SPACE = Line()
HARD = Line(hard=True)


def has_hard(parts: list[Part]) -> bool:
    """Whether something in the parts breaks whatever stands around it."""
    stack = list(parts)
    while stack:
        part = stack.pop()
        if isinstance(part, Suffix) or (isinstance(part, Line) and part.hard) or (isinstance(part, Group) and part.broken):
            return True
        if isinstance(part, Indent):
            stack += part.parts
    return False


def group(parts: list[Part]) -> Group:
    """A group, broken from the outset if something in it has to be."""
    return Group(parts, has_hard(parts))


@dataclass(slots=True)
class _Printer:
    width: int
    out: list[str] = field(default_factory=list)
    suffixes: list[str] = field(default_factory=list)
    column: int = 0

    def run(self, parts: list[Part], indent: int) -> None:
        self.column = indent
        stack: list[tuple[int, bool, Part]] = [(indent, True, part) for part in reversed(parts)]
        while stack:
            margin, broken, part = stack.pop()
            if isinstance(part, str):
                self.out.append(part)
                self.column += len(part)
            elif isinstance(part, Line):
                self._line(part, margin, broken)
            elif isinstance(part, Suffix):
                self.suffixes.append(part.text)
            elif isinstance(part, Group):
                breaks = part.broken or not self._fits(part, stack)
                stack += [(margin, breaks, inner) for inner in reversed(part.parts)]
            elif isinstance(part, Indent):
                stack += [(margin + 2, broken, inner) for inner in reversed(part.parts)]
            elif isinstance(part, IfBroken) and broken:
                self.out.append(part.text)
        self.out.extend(self.suffixes)

    def _line(self, line: Line, margin: int, broken: bool) -> None:
        if not broken and not line.hard:
            self.out.append(line.flat)
            self.column += len(line.flat)
            return
        self.out += [*self.suffixes, "\n", " " * margin]
        self.suffixes.clear()
        self.column = margin

    def _fits(self, group: Group, rest: list[tuple[int, bool, Part]]) -> bool:
        """Whether the group on one line, and what follows it up to where the line may end, fits."""
        room = self.width - self.column
        ahead = len(rest) - 1
        stack: list[tuple[bool, Part]] = [(False, part) for part in reversed(group.parts)]
        while room >= 0:
            if stack:
                broken, part = stack.pop()
            elif ahead >= 0:
                _, broken, part = rest[ahead]
                ahead -= 1
            else:
                return True
            if isinstance(part, str):
                room -= len(part)
            elif isinstance(part, Line):
                if broken or part.hard:
                    return True
                room -= len(part.flat)
            elif isinstance(part, Group):
                stack += [(broken or part.broken, inner) for inner in reversed(part.parts)]
            elif isinstance(part, Indent):
                stack += [(broken, inner) for inner in reversed(part.parts)]
        return False


def render(parts: list[Part], indent: int, width: int) -> str:
    """The text of a document whose first line begins in column `indent` (that space is not part of the result)."""
    printer = _Printer(width)
    printer.run(parts, indent)
    return "\n".join(line.rstrip() for line in "".join(printer.out).split("\n"))
