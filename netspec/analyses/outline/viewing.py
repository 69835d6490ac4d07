"""From a plan to a view: ports, the links between boxes, and which of them are skips."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from netspec.analyses.outline.model import Box, Link, View
from netspec.analyses.outline.placing import Placing, Plan
from netspec.analyses.outline.tree import Tree


def view(tree: Tree, placing: Placing, root: int) -> View:
    """What is shown of a frame: the whole network where it is the first one."""
    plan = placing.place(root)
    given, taken = _ports(tree, root)
    ports = len(given)
    inputs = [Box(f"input:{name}", "input", name, "", (), (), (), (value,)) for name, value in given]
    outputs = [Box(f"output:{name}", "output", name, "", (), (), (value,), ()) for name, value, _ in taken]
    members = _members(plan)
    middle = [_finished(tree, members[number], box) for number, box in enumerate(plan.boxes)]
    boxes = (*inputs, *middle, *outputs)
    source = {value: number for number, (_, value) in reversed(list(enumerate(given)))}
    links = _Wiring(tree, plan, source, ports).links(taken, ports + len(middle))
    only = "" if root == 0 else tree.keys[root]
    return View(tree.graph, boxes, tuple(plan.groups), classified(len(boxes), links), only)


def _ports(tree: Tree, root: int) -> tuple[list[tuple[str, int]], list[tuple[str, int, int]]]:
    """Names and values of what goes into a frame, and of what comes out of it: of a scan, that of a step and that of all."""
    graph = tree.graph
    if root == 0:
        return [(p.name, p.value) for p in graph.inputs], [(p.name, tree.source(p.value), p.value) for p in graph.outputs]
    frame, nodes = graph.frames[root], tree.inside[root]
    names = {tree.source(p.value): p.name for p in frame.inputs}
    given = [(names.get(value) or graph.values[value].name, value) for value in tree.takes(nodes)]
    gives = tree.gives(nodes)
    ends = {tree.source(p.value): p.name for p in frame.outputs}
    taken = [(ends.get(value) or graph.values[value].name, value) for value in gives]
    return _distinct(given), [(*port, tree.stacked(port[1], nodes)) for port in _distinct(taken)]


def _distinct(ports: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """The ports, those of one name told apart by the names of their values' places."""
    seen: dict[str, int] = defaultdict(int)
    found = []
    for name, value in ports:
        seen[name] += 1
        found.append((name if seen[name] == 1 else f"{name}:{seen[name]}", value))
    return found


def _finished(tree: Tree, nodes: list[int], box: Box) -> Box:
    """A box with the layers of all its repetitions, and what the last of them gives; a folded scan gives all its steps' tensors."""
    if not tree.regions.keys().isdisjoint(nodes):
        return replace(box, gives=tuple(tree.stacked(value, nodes) for value in box.gives))
    if len(nodes) == len(box.nodes):
        return box
    count = len(nodes) // len(box.nodes)
    own, made = set(nodes), [v for n in sorted(nodes)[-len(box.nodes) :] for v in tree.graph.nodes[n].outputs]
    gives = tuple(v for v in made if any(user not in own for user in tree.uses.get(v, ())))
    return replace(box, nodes=tuple(sorted(nodes)), gives=gives) if count > 1 else box


def _members(plan: Plan) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for node, box in plan.box_of.items():
        found[box].append(node)
    return found


class _Wiring:
    """Finds the links of a plan. `ports` is the number of boxes before the plan's, `source` the port of each value given."""

    def __init__(self, tree: Tree, plan: Plan, source: dict[int, int], ports: int) -> None:
        self._tree, self._plan, self._source, self._ports = tree, plan, source, ports

    def links(self, taken: Sequence[tuple[str, int, int]], first_output: int) -> list[Link]:
        """All links, each once, in the order of the boxes that take."""
        found: dict[tuple[int, int, int], Link] = {}
        for number in sorted(self._plan.shown):
            target = self._ports + self._plan.box_of[number]
            for value, raw in zip(self._tree.inputs(number), self._tree.graph.nodes[number].inputs):
                self._add(found, value, target, self._tree.whole(raw))
        for place, (_, value, whole) in enumerate(taken):
            self._add(found, value, first_output + place, whole)
        return [*found.values(), *self._loops()]

    def _add(self, found: dict[tuple[int, int, int], Link], value: int, target: int, whole: int) -> None:
        origin = self._origin(value)
        if origin is not None and origin != target:
            found.setdefault((origin, target, value), Link(origin, target, value, whole=whole if whole != value else None))

    def _origin(self, value: int) -> int | None:
        """The box that a value comes from; None for what starts as zeros."""
        producer = self._tree.producers.get(value)
        if producer is not None and producer in self._plan.box_of:
            return self._ports + self._plan.box_of[producer]
        return self._source.get(value)

    def _loops(self) -> Iterable[Link]:
        """What the steps of a scan hand on: inside an opened one from box to box, at a folded one back to itself."""
        found: dict[tuple[int, int, int], Link] = {}
        opened = {group.frame for group in self._plan.groups}
        for frame in self._tree.runner:
            for out, into in self._tree.carried(frame):
                origin = self._origin(self._tree.source(out))
                if origin is None:
                    continue
                users = [n for n in self._tree.inside[frame] if n in self._plan.shown and into in self._tree.graph.nodes[n].inputs]
                targets = {self._ports + self._plan.box_of[n] for n in users} if frame in opened else {origin}
                for target in sorted(targets):
                    found.setdefault((origin, target, out), Link(origin, target, out, "loop"))
        return found.values()


# -------------------------------------------------------------------------------------------------------------------- skips
def classified(count: int, links: list[Link]) -> tuple[Link, ...]:
    """The links, those marked as skips that lead past other boxes: from a box to one that is reached another way as well."""
    after: dict[int, list[int]] = defaultdict(list)
    for link in links:
        if link.course == "flow" and link.source < link.target:
            after[link.source].append(link.target)
    rank = [0] * count
    for box in range(count):
        for target in after[box]:
            rank[target] = max(rank[target], rank[box] + 1)
    return tuple(
        replace(link, course="skip") if link.course == "flow" and _around(after, rank, link.source, link.target) else link for link in links
    )


def _around(after: dict[int, list[int]], rank: list[int], source: int, target: int) -> bool:
    """Whether another way than the direct one leads from a box to another."""
    if rank[target] - rank[source] < 2:
        return False
    waiting = [box for box in after[source] if box != target]
    seen = set(waiting)
    while waiting:
        box = waiting.pop()
        for following in after[box]:
            if following == target:
                return True
            if following not in seen and rank[following] < rank[target]:
                seen.add(following)
                waiting.append(following)
    return False
