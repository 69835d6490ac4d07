"""Which box each layer stands in, once it is decided which blocks are open: runs, folded blocks, and equal neighbours as one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import field

from netspec.analyses.outline.alike import Likeness
from netspec.analyses.outline.model import Box, Group, Kind
from netspec.analyses.outline.runs import merges, runs
from netspec.analyses.outline.tree import Tree
from netspec.record import draft, record


@record
class Item:
    """What stands in an opened block: layers in one box (`frame` the block that they are the whole of, if they are one), or a
    block, opened or folded, or a stretch of many."""

    nodes: tuple[int, ...]
    frame: int | None = None
    opened: bool = False
    kind: Kind = "layers"


@draft
class Plan:
    """Boxes and groups as they are found; `box_of` is the box of each layer, `shown` the layers that are not repetitions."""

    boxes: list[Box] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    box_of: dict[int, int] = field(default_factory=dict)
    shown: set[int] = field(default_factory=set)


class Placing:
    """Places the layers of one frame, given the frames that are open. `longest` bounds how many boxes stand in one block."""

    def __init__(self, tree: Tree, likeness: Likeness, opened: Collection[int], longest: int | None = None) -> None:
        self.tree, self.likeness, self.opened, self.longest = tree, likeness, opened, longest
        self.plan = Plan()

    def place(self, root: int) -> Plan:
        """The plan of a frame and everything in it."""
        if root in self.opened and root in self.tree.inside:
            self._fill(root, None)
        elif root in self.tree.inside:  # else there are no layers: what goes in comes out
            self._box([Item(self.tree.inside[root], root, kind="block")], None)
        return self.plan

    def count(self, root: int) -> int:
        """How many boxes a frame makes."""
        return len(self.place(root).boxes)

    # ---------------------------------------------------------------------------------------------------------- items
    def _fill(self, frame: int, group: int | None) -> None:
        rows = self._together(self._items(frame))
        if self.longest is not None and len(rows) > self.longest:
            rows = self._stretches(rows, self.longest)
        for equal in rows:
            if equal[0].opened:
                self._group(equal, group)
            else:
                self._box(equal, group)

    def _items(self, frame: int) -> list[Item]:
        """What stands in a frame, in order; a block that is a single box anyway is that box once it is open."""
        parts = self.tree.parts[frame]
        found = [Item(run) for run in runs(self.tree, frame)]
        for part in parts:
            if part.frame is not None:
                found.append(self._item(part.frame, part.nodes))
        return sorted(found, key=lambda item: item.nodes[0])

    def _item(self, frame: int, nodes: tuple[int, ...]) -> Item:
        if frame not in self.opened and not self.tree.anonymous(frame):
            return Item(nodes, frame, kind="block")
        inner = self._items(frame)
        if len(inner) == 1 and not inner[0].opened and frame not in self.tree.runner:
            only = inner[0]
            return Item(nodes, frame if only.frame is None else only.frame, kind=only.kind)
        if frame not in self.opened:
            return Item(nodes, frame, kind="block")
        return Item(nodes, frame, opened=True)

    def is_one_box(self, frame: int) -> bool:
        """Whether a block is a single box, opened or folded: then its layers say more than its name."""
        inner = self._items(frame)
        return len(inner) == 1 and not inner[0].opened and frame not in self.tree.runner

    def _stretches(self, rows: list[list[Item]], most: int) -> list[list[Item]]:
        """Many boxes as few: neighbours whose labels begin alike, or as many in each."""
        cuts = self._by_label(rows, most) or [n * len(rows) // most for n in range(most)]
        found = []
        for start, end in zip(cuts, [*cuts[1:], len(rows)]):
            together = [item for equal in rows[start:end] for item in equal]
            nodes = tuple(sorted(n for item in together for n in item.nodes))
            found.append([Item(nodes, kind="stretch")] if end > start + 1 else rows[start])
        return found

    def _by_label(self, rows: list[list[Item]], most: int) -> list[int]:
        """Where the first parts of the labels change, with as many parts as the page has room for; nothing where that says little.
        Layers without a block of their own (`add1`) go with those before them."""
        labels = [self.tree.graph.nodes[equal[0].nodes[0]].label.split(".")[:-1] for equal in rows]
        for number in range(1, len(labels)):
            labels[number] = labels[number] or labels[number - 1]
        chosen: list[int] = []
        for parts in range(1, max(map(len, labels)) + 1):
            heads = [label[:parts] for label in labels]
            cuts = [n for n, head in enumerate(heads) if n == 0 or head != heads[n - 1]]
            if len(cuts) > most:
                break
            chosen = cuts
        return chosen if 2 * len(chosen) > most // 2 else []

    # -------------------------------------------------------------------------------------------------------- repeats
    def _together(self, items: list[Item]) -> list[list[Item]]:
        """Equal neighbours, each of which goes on where the one before it ends, in one list."""
        found: list[list[Item]] = []
        for item in items:
            if found and self._equal(found[-1][-1], item) and self._follows(found[-1], item) and self._shares(found[-1], item):
                found[-1].append(item)
            else:
                found.append([item])
        return found

    def _equal(self, a: Item, b: Item) -> bool:
        if (a.kind, a.opened, a.frame is None, len(a.nodes)) != (b.kind, b.opened, b.frame is None, len(b.nodes)):
            return False
        if a.kind == "layers" and not a.opened and merges(self.tree, a.nodes):
            return False
        folded = a.kind == "block" and not a.opened
        look = self.likeness.loose if folded else self.likeness.exact
        return look(a.nodes, a.frame) == look(b.nodes, b.frame) and (folded or self._openings(a) == self._openings(b))

    def _openings(self, item: Item) -> list[bool]:
        """Which of the blocks in an item are open, in order."""
        homes = dict.fromkeys(self.tree.graph.nodes[number].frame for number in item.nodes)
        return [home in self.opened for home in homes]

    def _follows(self, row: list[Item], item: Item) -> bool:
        """Whether an item takes what the last of a row makes, as its only user, for the rest the same as that one, and each in
        the place in which that one took it from the one before."""
        last = row[-1]
        given, taken, before = self.tree.gives(last.nodes), self.tree.takes(item.nodes), self.tree.takes(last.nodes)
        members = set(item.nodes)
        if not given or len(taken) != len(before) or not all(set(self.tree.uses[v]) <= members | set(last.nodes) for v in given):
            return False
        passed = [now in given for now in taken]
        same = any(passed) and all(new or now == then for new, now, then in zip(passed, taken, before))
        return same and (len(row) == 1 or self._handed(last, item) == self._handed(row[-2], last))

    def _handed(self, a: Item, b: Item) -> list[int | None]:
        """For each tensor that an item takes, which of those that the one before it makes it is."""
        made = [value for number in a.nodes for value in self.tree.graph.nodes[number].outputs]
        places = {value: place for place, value in enumerate(made)}
        return [places.get(value) for value in self.tree.takes(b.nodes)]

    def _shares(self, row: list[Item], item: Item) -> bool:
        """Whether an item stores what all in a row store (a shared block, applied again and again), or nothing that any of them does."""
        now, last = self._stored(item), self._stored(row[-1])
        alike = [new == old for new, old in zip(now, last)]
        if len(row) > 1 and alike != [new == old for new, old in zip(last, self._stored(row[-2]))]:
            return False
        fresh = (set(now) - set(last)) & self.tree.shared
        return not fresh or fresh.isdisjoint(weight for other in row for weight in self._stored(other))

    def _stored(self, item: Item) -> list[int]:
        return [weight for number in item.nodes for weight in self.tree.graph.nodes[number].weights]

    # -------------------------------------------------------------------------------------------------- boxes, groups
    def _box(self, equal: list[Item], group: int | None) -> None:
        first, last = equal[0], equal[-1]
        nodes = tuple(n for item in equal for n in item.nodes)
        shown = tuple(n for n in first.nodes if n not in self.tree.regions)
        frame, tree = first.frame, self.tree
        kind: Kind = "merge" if first.kind == "layers" and merges(tree, shown) else first.kind
        key, name, call = self._names(first, kind)
        self.plan.boxes.append(Box(
            key=key, kind=kind, name=name, call=call, nodes=nodes, rows=shown if kind in ("layers", "merge") else (),
            takes=self.tree.takes(first.nodes), gives=self.tree.gives(last.nodes), group=group,
            frame=frame if kind == "block" else None, repeat=len(equal),
        ))  # fmt: skip
        self.plan.box_of.update(dict.fromkeys(nodes, len(self.plan.boxes) - 1))
        self.plan.shown.update(shown)

    def _names(self, item: Item, kind: Kind) -> tuple[str, str, str]:
        """Key, name and call of a box."""
        tree = self.tree
        nodes = [tree.graph.nodes[number].name for number in item.nodes]
        if kind == "stretch":
            prefix = _common(nodes)
            name = f"{nodes[0]} … {nodes[-1].removeprefix(prefix)}"
            return f"{nodes[0]}…{nodes[-1]}", prefix.rstrip(".") or name, f"{len(nodes)} layers"
        if kind == "block":
            assert item.frame is not None
            return tree.keys[item.frame] or tree.graph.name, tree.keys[item.frame] or tree.graph.name, tree.call(item.frame)
        if item.frame is not None:
            return nodes[0], tree.keys[item.frame], tree.call(item.frame)
        return nodes[0], nodes[0], ""

    def _group(self, equal: list[Item], parent: int | None) -> None:
        first = equal[0]
        assert first.frame is not None
        tree, frame = self.tree, first.frame
        runner = tree.runner.get(frame)
        nodes = tuple(n for item in equal for n in item.nodes)
        steps = "" if runner is None else tree.graph.nodes[runner].op.NAME
        key = tree.keys[frame]
        self.plan.groups.append(Group(key, key, tree.call(frame), frame, parent, nodes, len(equal), steps))
        self._fill(frame, len(self.plan.groups) - 1)
        for copy in equal[1:]:
            self._repeat(first.nodes, copy.nodes)

    def _repeat(self, first: Sequence[int], copy: Sequence[int]) -> None:
        """Let the layers of a repetition stand in the boxes of the first, which give what the last one gives."""
        for shown, hidden in zip(first, copy):
            if (box := self.plan.box_of.get(shown)) is None:
                continue
            self.plan.box_of[hidden] = box


def _common(names: Sequence[str]) -> str:
    """The parts that the dotted ones of these names begin with, with the dot behind: `stage3.0.`; or nothing."""
    dotted = [name for name in names if "." in name] or [""]
    parts = [name.split(".")[:-1] for name in (min(dotted), max(dotted))]
    shared = next((n for n, (a, b) in enumerate(zip(*parts)) if a != b), min(map(len, parts)))
    return "".join(f"{part}." for part in parts[0][:shared])
