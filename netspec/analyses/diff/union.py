"""Two networks as one graph: what both have stands in it once, and what one alone has beside it.

The union is a graph like any other, so that whatever finds blocks, runs and repetitions in a network finds them in it. In one place
it tells less than both do: where layers were put into a chain or taken out of it, it is the chain with all of them, the removed
ones first. `wires` tells how it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Literal

from netspec.analyses.bodies import Region
from netspec.analyses.diff.joining import GONE, Joining
from netspec.analyses.diff.model import Change, Changed, Difference
from netspec.analyses.diff.pairing import Pairing
from netspec.analyses.outline.tree import Tree
from netspec.graph import Graph, Port
from netspec.record import record

#: what became of something: `follows` is changed in nothing but its shapes, which follow from what changed elsewhere
Status = Literal["same", "follows", "changed", "added", "removed"]


@record
class Mark:
    """What became of a layer. `old` and `new` are its numbers in the two networks (`Pairing.before`, `after`), None where it is not;
    `was` is its old name, if that is another."""

    status: Status
    old: int | None
    new: int | None
    changes: tuple[Change, ...] = ()
    was: str = ""


@record
class Terminal:
    """An input or output of either network. `value` is the union's; where both have it, that of the second. Behind a scan, `value` is
    what its steps give, and `whole` what they give together."""

    name: str
    value: int
    whole: int
    status: Status
    changes: tuple[Change, ...] = ()
    was: str = ""


@record
class Wire:
    """A tensor that a layer takes in one of the networks, by numbers of the union. Where an output of the network takes it, `user` is
    -1 - i for the i-th of `Union.exits`. `loop`: from one step of a scan to the next."""

    value: int
    user: int
    loop: bool = False


class Union(Tree):
    """The union of two networks, and what became of each layer (`marks`), of inputs (`entries`) and outputs (`exits`)."""

    def __init__(self, pair: Pairing, difference: Difference) -> None:
        self.pair, self.difference = pair, difference
        self.sides = Tree(pair.old), Tree(pair.new)
        self._joining = joining = Joining(pair, *self.sides)
        self.marks = tuple(_marks(pair, difference, joining))
        self.places = (
            {a: number for number, (a, _) in enumerate(joining.order) if a is not None},
            {b: number for number, (_, b) in enumerate(joining.order) if b is not None},
        )
        self.entries = tuple(self._terminals("input", pair.old.inputs, pair.new.inputs, pair.same.inputs))
        self.exits = tuple(self._terminals("output", pair.old.outputs, pair.new.outputs, pair.same.outputs))
        ports = {"inputs": self.entries, "outputs": self.exits}
        written = {kind: tuple(Port(name=t.name, value=t.value) for t in terminals) for kind, terminals in ports.items()}
        super().__init__(_in_line(self, joining.graph().model_copy(update=written)))
        self.regions, self.aliases = self._both_regions(), self._both_aliases()
        self.runner = {region.frame: number for number, region in self.regions.items()}
        self.inside = self._inside()  # once more: what runs a body stands in it
        self._old_paths = {joining.old_scopes[a]: scope.path for a, scope in enumerate(joining.old.scopes)}
        self._blocks = {c.new_name: c for c in difference.blocks}

    # ----------------------------------------------------------------------------------------------- what became of them
    def status(self, nodes: Iterable[int]) -> Status:
        """What became of several layers: `added` and `removed` if all of them were, `changed` where some were."""
        found = {self.marks[number].status for number in nodes}
        if len(found) <= 1:
            return found.pop() if found else "same"
        return "follows" if found == {"same", "follows"} else "changed"

    def block(self, frame: int) -> Changed | None:
        """What somebody changed of the arguments or definition of a block."""
        return self._blocks.get(self.graph.scopes[self.graph.frames[frame].scope].path)

    def path(self, frame: int) -> str:
        """The name of a block, in the network that has it."""
        return self.graph.scopes[self.graph.frames[frame].scope].path.removeprefix(GONE)

    def was(self, frame: int) -> str:
        """The name that a block of both had in the first network, if it was another."""
        scope = self.graph.frames[frame].scope
        return self._old_paths.get(scope, "") if self._old_paths.get(scope) != self.path(frame) else ""

    def _terminals(self, kind: str, old: tuple[Port, ...], new: tuple[Port, ...], same: dict[str, str]) -> Iterator[Terminal]:
        back = {b: a for a, b in same.items()}
        for port in new:
            value = self.sides[1].source(port.value)
            if port.name not in back:
                yield Terminal(port.name, value, port.value, "added")
                continue
            changes = tuple(c for c in self.difference.ports if c.kind == kind and c.what == port.name and None not in (c.old, c.new))
            shapes = kind == "output" and all(c.new is not None and c.new.endswith("]") for c in changes)
            status: Status = "same" if not changes else "follows" if shapes else "changed"
            yield Terminal(port.name, value, port.value, status, changes, back[port.name] if back[port.name] != port.name else "")
        for port in old:
            if port.name not in same:
                value = self.value(0, self.sides[0].source(port.value))
                yield Terminal(port.name, value, self.value(0, port.value), "removed")

    # ------------------------------------------------------------------------------------------------------ connections
    def value(self, side: int, number: int) -> int:
        """The union's number of a value of the first (0) or second (1) network."""
        return number if side else self._joining.old_values[number]

    def wires(self, side: int) -> Iterator[Wire]:
        """What each layer and output takes in the first (0) or second (1) network."""
        tree, places = self.sides[side], self.places[side]
        for number in range(len(tree.graph.nodes)):
            for value in tree.inputs(number):
                yield Wire(self.value(side, value), places[number])
        exits = {terminal.was or terminal.name if side == 0 else terminal.name: -1 - n for n, terminal in self._exits_of(side)}
        for port in tree.graph.outputs:
            yield Wire(self.value(side, tree.source(port.value)), exits[port.name])
        for frame in tree.runner:
            for out, into in tree.carried(frame):
                for number in tree.inside[frame]:
                    if into in tree.graph.nodes[number].inputs:
                        yield Wire(self.value(side, tree.source(out)), places[number], loop=True)

    @cached_property
    def near(self) -> frozenset[int]:
        """The layers that are linked with a layer, input or output that somebody changed, added or removed, in one of the networks."""
        loud = {number for number, mark in enumerate(self.marks) if mark.status not in ("same", "follows")}
        fates = {-1 - number: terminal.status for number, terminal in enumerate(self.exits)}
        given = {terminal.value: terminal.status for terminal in self.entries}
        found: set[int] = set()
        for wire in (*self.wires(0), *self.wires(1)):
            maker = self.producers.get(wire.value)
            if wire.user in loud or fates.get(wire.user) in ("changed", "added", "removed"):
                found.add(wire.user if maker is None else maker)
            if maker in loud or given.get(wire.value) in ("changed", "added", "removed"):
                found.add(wire.user)
        return frozenset(found)

    def _exits_of(self, side: int) -> Iterator[tuple[int, Terminal]]:
        for number, terminal in enumerate(self.exits):
            if terminal.status != ("removed" if side else "added"):
                yield number, terminal

    def _both_regions(self) -> dict[int, Region]:
        """The bodies that layers run: of both networks' layers, the second's."""
        old, new = self.sides
        joining, found = self._joining, {self.places[1][number]: region for number, region in new.regions.items()}
        for number, region in old.regions.items():
            values = ((joining.old_values[value] for value in values) for values in (region.inputs, region.outputs))
            found.setdefault(self.places[0][number], Region(joining.old_frames[region.frame], *map(tuple, values)))
        return found

    def _both_aliases(self) -> dict[int, int]:
        old, new = self.sides
        gone = {self.value(0, inner): self.value(0, outer) for inner, outer in old.aliases.items()}
        return {**new.aliases, **{inner: outer for inner, outer in gone.items() if inner >= len(new.graph.values)}}


def _marks(pair: Pairing, difference: Difference, joining: Joining) -> Iterator[Mark]:
    changed = {c.new_name: c for c in difference.changed}
    for a, b in joining.order:
        if a is None or b is None:
            yield Mark("added" if a is None else "removed", a, b)
            continue
        before, after = pair.before.nodes[a].name, pair.after.nodes[b].name
        found, was = changed.get(after), before if before != after else ""
        status: Status = "same" if found is None else "changed" if found.causes else "follows"
        yield Mark(status, a, b, found.changes if found else (), was)


# ------------------------------------------------------------------------------------------------------------------- chains
def _in_line(union: Union, graph: Graph) -> Graph:
    """The graph of all layers, chains into which something was put, or of which something was taken out, as chains of all."""
    nodes, outputs = list(graph.nodes), list(graph.outputs)

    def chained(starts: tuple[int, int]) -> int | None:
        """The value at the end of the chain, where the tensors that go into one thing in both networks come from one place."""
        there, here = (_way(union, side, start) for side, start in enumerate(starts))
        if there is None or here is None or there[0] != here[0] or not (there[1] or here[1]):
            return None
        value = there[0]
        for number in (*there[1], *here[1]):
            nodes[number] = nodes[number].model_copy(update={"inputs": (value,)})
            value = nodes[number].outputs[0]
        return value

    for number, mark in enumerate(union.marks):
        if mark.old is None or mark.new is None:
            continue
        before, after = union.sides[0].inputs(mark.old), union.sides[1].inputs(mark.new)
        value = chained((before[0], after[0])) if len(before) == len(after) == 1 else None
        if value is not None:
            nodes[number] = nodes[number].model_copy(update={"inputs": (value,)})
    old, new = ({port.name: side.source(port.value) for port in side.graph.outputs} for side in union.sides)
    for place, terminal in enumerate(union.exits):
        if terminal.status in ("added", "removed"):
            continue
        value = chained((old[terminal.was or terminal.name], new[terminal.name]))
        if value is not None:
            outputs[place] = outputs[place].model_copy(update={"value": value})
    return graph.model_copy(update={"nodes": tuple(nodes), "outputs": tuple(outputs)})


def _way(union: Union, side: int, value: int) -> tuple[int, list[int]] | None:
    """Back from a value of one network through layers that it alone has, each of which takes one tensor that nothing else takes: the
    value (of the union) at which that ends, and the layers in order. None where the way is no chain."""
    tree, places, chain = union.sides[side], union.places[side], list[int]()
    while len(tree.uses[value]) == 1:
        before = tree.producers.get(value)
        if before is None or union.marks[places[before]].status not in ("added", "removed"):
            return union.value(side, value), chain[::-1]
        inputs = tree.inputs(before)
        if len(inputs) != 1 or len(tree.graph.nodes[before].outputs) != 1:
            return None
        chain.append(places[before])
        value = inputs[0]
    return None
