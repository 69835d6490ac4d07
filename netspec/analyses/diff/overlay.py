"""The union of two networks as a picture shows it: what changed opened, what did not folded to quiet boxes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Sequence
from dataclasses import replace
from itertools import groupby, takewhile
from typing import Literal

from netspec.analyses.diff.folding import relative
from netspec.analyses.diff.joining import GONE
from netspec.analyses.diff.model import Changed, Difference
from netspec.analyses.diff.pairing import Pairing
from netspec.analyses.diff.union import Status, Union, Wire
from netspec.analyses.outline.alike import Likeness
from netspec.analyses.outline.model import Box, Group, Link, View
from netspec.analyses.outline.placing import Item, Placing, Plan
from netspec.analyses.outline.viewing import classified
from netspec.record import record

#: what became of a link
Course = Literal["same", "added", "removed"]

#: the most boxes of a picture that nobody chose a depth for; of those, with what is new opened as well
_MANY, _FEW = 40, 24
#: how many unchanged neighbours stand by themselves before some are put together
_CONTEXT = 3
#: how many boxes stand in a block where even a folded one has too many
_LONGEST = 30
_QUIET = ("same", "follows")


@record
class Overlay:
    """Two networks in one view, whose numbers are those of `union.graph`. `boxes`, `groups` and `links` say, for each of the view's, what
    became of it. A link between two boxes is there if one of the networks has it: if both have, whatever the tensor, it is the same."""

    union: Union
    difference: Difference
    view: View
    boxes: tuple[Status, ...]
    groups: tuple[Status, ...]
    links: tuple[Course, ...]


class Comparable:
    """Two networks laid over each other, and pictures of that at any depth."""

    def __init__(self, pair: Pairing, difference: Difference) -> None:
        self.difference = difference
        self.union = Union(pair, difference)
        self._likeness = _Likeness(self.union)

    def at(self, depth: int | None = None) -> Overlay:
        """The picture with what changed open down to a depth (0: one box, 1: the net's own blocks folded).

        Without a depth, all that was changed within is open, and blocks that are new or gone as a whole are if that leaves the
        picture small; where the picture would not fit a page, as many levels as do.
        """
        if not self.union.inside:
            placing = self._placing(frozenset())
            return _overlay(self.union, placing, placing.plan)
        chosen = self._placing(self._open(depth, depth)) if depth is not None else self._fitting()
        return _overlay(self.union, chosen, chosen.place(0))

    def _placing(self, opened: Collection[int], longest: int | None = None) -> _Folding:
        return _Folding(self.union, self._likeness, opened, longest)

    def _open(self, within: int | None, whole: int | None) -> frozenset[int]:
        """The blocks above a level in which something changed: those `within` which there is something else, and `whole` ones."""
        found = set()
        for frame, nodes in self.union.inside.items():
            status = self.union.status(nodes)
            most = whole if status in ("added", "removed") else within
            if status not in _QUIET and (most is None or self.union.levels[frame] < most):
                found.add(frame)
        return frozenset(found)

    def _fitting(self) -> _Folding:
        if self._count(self._open(None, None)) <= _FEW:
            return self._placing(self._open(None, None))
        for level in range(max(self.union.levels.values()) + 1, 0, -1):
            opened = self._open(level, 0)
            if self._count(opened) <= _MANY:
                return self._placing(self._more(opened))
        return self._placing(self._open(1, 0), _LONGEST)

    def _more(self, opened: frozenset[int]) -> frozenset[int]:
        """The first folded block of each definition opened as well, with all that are equal to it, while the picture fits a page."""
        union, tried = self.union, set[Hashable]()
        while True:
            folded = [box.frame for box in self._placing(opened).place(0).boxes if box.frame is not None]
            fresh = [frame for frame in folded if union.status(union.inside[frame]) not in _QUIET and self._sort(frame) not in tried]
            if not fresh:
                return opened
            tried.add(self._sort(fresh[0]))
            wider = opened | self._equals(fresh[0])
            if self._count(wider) <= _MANY:
                opened = wider

    def _equals(self, frame: int) -> frozenset[int]:
        """A block, and all others of its sort that look the same."""
        inside, exact = self.union.inside, self._likeness.exact
        look, sort = exact(inside[frame], frame), self._sort(frame)
        return frozenset(other for other in inside if self._sort(other) == sort and exact(inside[other], other) == look)

    def _sort(self, frame: int) -> Hashable:
        """What a block is an instance of, and what became of it."""
        union = self.union
        scope = union.graph.scopes[union.graph.frames[frame].scope]
        return scope.definition or scope.path, union.status(union.inside[frame])

    def _count(self, opened: Collection[int]) -> int:
        return self._placing(opened).count(0)


class _Likeness(Likeness):
    """Layers and blocks that look alike, and to which the same was done."""

    _tree: Union

    def _layer(self, number: int) -> tuple[int, int]:
        mark = self._tree.marks[number]
        causes: Hashable = relative(Changed(*self._names(number), "", mark.changes)) if mark.status == "changed" else ()
        sides = tuple(None if n is None else len(tree.inputs(n)) for tree, n in zip(self._tree.sides, (mark.old, mark.new)))
        loose, exact = super()._layer(number)
        return self._number((loose, mark.status, causes, sides)), self._number((exact, mark.status, causes, sides))

    def _names(self, number: int) -> tuple[str, str]:
        mark, name = self._tree.marks[number], self._tree.graph.nodes[number].name
        return mark.was or name, name

    def _given(self, frame: int | None) -> Hashable:
        changed = None if frame is None else self._tree.block(frame)
        return super()._given(frame), changed.changes if changed else ()


class _Folding(Placing):
    """Boxes of a union: neighbours of which nothing was changed are put together."""

    tree: Union

    def _fill(self, frame: int, group: int | None) -> None:
        rows = self._quieter(self._together(self._items(frame)))
        if self.longest is not None and len(rows) > self.longest:
            rows = self._stretches(rows, self.longest)
        for equal in rows:
            (self._group if equal[0].opened else self._box)(equal, group)

    def _quieter(self, rows: list[list[Item]]) -> list[list[Item]]:
        """Of many unchanged neighbours, those that are linked with a change by themselves, the others between them as one."""
        found: list[list[Item]] = []
        for is_quiet, run in groupby(rows, self._is_quiet):
            silent = list(run)
            if not is_quiet or len(silent) <= _CONTEXT:
                found += silent
                continue
            for is_near, part in groupby(silent, self._is_near):
                far = list(part)
                found += far if is_near or len(far) == 1 else [[_stretch(far)]]
        return found

    def _is_quiet(self, row: list[Item]) -> bool:
        return not row[0].opened and self.tree.status(row[0].nodes) in _QUIET

    def _is_near(self, row: list[Item]) -> bool:
        return any(number in self.tree.near for item in row for number in item.nodes)


def _stretch(rows: list[list[Item]]) -> Item:
    """Neighbours as one."""
    return Item(tuple(sorted(number for row in rows for item in row for number in item.nodes)), kind="stretch")


# --------------------------------------------------------------------------------------------------------------- the view
def _overlay(union: Union, placing: Placing, plan: Plan) -> Overlay:
    members: dict[int, list[int]] = defaultdict(list)
    for node, box in plan.box_of.items():
        members[box].append(node)
    entries = [_port("input", t.name, t.status, t.value) for t in union.entries]
    exits = [_port("output", t.name, t.status, t.value) for t in union.exits]
    middle = [_named(union, plan.groups, replace(box, nodes=tuple(sorted(members[n])))) for n, box in enumerate(plan.boxes)]
    boxes = [*entries, *middle, *exits]
    found = _links(union, plan, len(entries))
    links = classified(
        len(boxes), [Link(source, target, value, "loop" if loop else "flow") for (source, target, loop), (value, _) in found]
    )
    takes, gives = ({end: tuple(values) for end, values in by.items()} for by in _values(links))
    boxes = [replace(box, takes=takes.get(n, box.takes), gives=gives.get(n, box.gives)) for n, box in enumerate(boxes)]
    statuses = [*(t.status for t in union.entries), *(union.status(box.nodes) for box in middle), *(t.status for t in union.exits)]
    groups = tuple(replace(group, name=union.path(group.frame)) for group in plan.groups)
    return Overlay(
        union, union.difference, View(union.graph, tuple(boxes), groups, links), tuple(statuses),
        tuple(union.status(group.nodes) for group in groups), tuple(_fate(sides) for _, (_, sides) in found),
    )  # fmt: skip


def _values(links: Sequence[Link]) -> tuple[dict[int, dict[int, None]], dict[int, dict[int, None]]]:
    """What goes into each box, and what comes out of it, each value once."""
    takes: dict[int, dict[int, None]] = defaultdict(dict)
    gives: dict[int, dict[int, None]] = defaultdict(dict)
    for link in links:
        if link.course != "loop":
            takes[link.target][link.value] = gives[link.source][link.value] = None
    return takes, gives


def _port(kind: Literal["input", "output"], name: str, status: Status, value: int) -> Box:
    key = f"{kind}:{GONE if status == 'removed' else ''}{name}"
    return Box(key, kind, name, "", (), (), (value,) if kind == "output" else (), (value,) if kind == "input" else ())


def _named(union: Union, groups: Sequence[Group], box: Box) -> Box:
    """The box as its own network calls it; a stretch by where it begins and ends in the block around it."""
    if box.frame is not None:
        return replace(box, name=union.path(box.frame) or union.graph.name)
    if box.kind != "stretch":
        return replace(box, name=box.name.removeprefix(GONE))
    around = "" if box.group is None else union.path(groups[box.group].frame) + "."
    ends = [union.graph.nodes[number].name.removeprefix(GONE).removeprefix(around) for number in (box.nodes[0], box.nodes[-1])]
    first, last = (_head(end) for end in ends)
    return replace(box, name=first if first == last else f"{first} … {last}")


def _head(name: str) -> str:
    """The beginning of a dotted name, with the numbers behind it: `layer1.0` of `layer1.0.conv1`."""
    parts = name.split(".")
    return ".".join([parts[0], *takewhile(str.isdigit, parts[1:])])


def _links(union: Union, plan: Plan, before: int) -> list[tuple[tuple[int, int, bool], tuple[int, frozenset[int]]]]:
    """The links between boxes, in the order of those that take: where from and to, whether from step to step; a tensor, and the networks
    that have it. `before` is how many boxes stand before the plan's."""
    ports = {terminal.value: number for number, terminal in reversed(list(enumerate(union.entries)))}
    found: dict[tuple[int, int, bool], tuple[int, frozenset[int]]] = {}

    def origin(value: int) -> int | None:
        node = union.producers.get(value)
        return before + plan.box_of[node] if node is not None else ports.get(value)

    def target(wire: Wire) -> int | None:
        if wire.user < 0:
            return before + len(plan.boxes) - 1 - wire.user
        return before + plan.box_of[wire.user] if wire.user in plan.shown else None

    for side in (1, 0):
        for wire in union.wires(side):
            first, last = origin(wire.value), target(wire)
            if first is not None and last is not None and first != last:
                value, sides = found.get((first, last, wire.loop), (wire.value, frozenset()))
                found[first, last, wire.loop] = value, sides | {side}
    return sorted(found.items(), key=lambda entry: (entry[0][2], entry[0][1], entry[0][0]))


def _fate(sides: frozenset[int]) -> Course:
    return "same" if len(sides) == 2 else "added" if 1 in sides else "removed"
