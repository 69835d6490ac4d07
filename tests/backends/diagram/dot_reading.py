"""Reads DOT back that `sketch` wrote: what is drawn, and which boxes its lines join."""

from __future__ import annotations

import re

from netspec.record import record

_ATTRIBUTE = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|[\w.-]+|<(?:[^<>]|<[^>]*>)*>)')
_STATEMENT = re.compile(r"^\s*(\w+)(?: -> (\w+))?(?::\w+)? \[(.*)\]\s*$")


@record
class Line:
    """An edge in the direction in which the tensor flows."""

    id: str
    tail: str
    head: str
    kinds: frozenset[str]
    attributes: dict[str, str]


@record
class Drawing:
    """The nodes by name, with their attributes, and the edges that are seen."""

    nodes: dict[str, dict[str, str]]
    lines: tuple[Line, ...]

    def box(self, name: str) -> int | None:
        """The number of the box of that name; None for a point or a label."""
        found = re.fullmatch(r"box-(\d+)", self.nodes[name].get("id", ""))
        return int(found[1]) if found else None

    def ends(self) -> dict[int, tuple[int, int]]:
        """Source and target of each link, found by following its last leg back through points."""
        into: dict[str, list[Line]] = {}
        for line in self.lines:
            into.setdefault(line.head, []).append(line)
        found = {}
        for line in self.lines:
            number = re.fullmatch(r"link-(\d+)", line.id)
            if number is None:
                continue
            tail = line.tail
            while self.box(tail) is None:
                (before,) = into[tail]
                tail = before.tail
            source, target = self.box(tail), self.box(line.head)
            assert source is not None and target is not None
            found[int(number[1])] = (source, target)
        return found


def read(dot: str) -> Drawing:
    """The drawing of a DOT text."""
    nodes: dict[str, dict[str, str]] = {}
    lines = []
    for text in dot.splitlines():
        if text.strip().startswith(("graph ", "node ", "edge ")) or (found := _STATEMENT.match(text)) is None:
            continue
        given = {name: value.strip('"') for name, value in _ATTRIBUTE.findall(found[3])}
        if found[2] is None:
            nodes.setdefault(found[1], {}).update(given)
        elif given.get("style") != "invis":
            kinds = frozenset(given.get("class", "").split())
            tail, head = (found[2], found[1]) if "backward" in kinds else (found[1], found[2])
            lines.append(Line(given["id"], tail, head, kinds, given))
    return Drawing(nodes, tuple(lines))
