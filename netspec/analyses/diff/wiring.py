"""Whether a layer takes what it took before: what was put in between, or left out, does not count as another input."""

from __future__ import annotations

from netspec.analyses.diff.matching import Matching
from netspec.analyses.diff.model import Change
from netspec.graph import Graph, Node

#: How many values a value is remembered to come from.
_MOST_ORIGINS = 16


class Wiring:
    """The values of two networks, and which is which. `ports` are the inputs that correspond, by the numbers of their values."""

    def __init__(self, old: Graph, new: Graph, matching: Matching, ports: dict[int, int]) -> None:
        self._names = [v.name for v in old.values], [v.name for v in new.values]
        self._same = dict(ports)
        for a, b in matching.nodes.items():
            self._same.update(zip(old.nodes[a].outputs, new.nodes[b].outputs))
        self._old = _origins(old, self._same)
        self._new = _origins(new, {value: value for value in self._same.values()})

    def changes(self, before: Node, after: Node) -> list[Change]:
        """Which inputs of a layer come from elsewhere than they did."""
        if len(before.inputs) != len(after.inputs):
            return [Change("input", "inputs", self._list(0, before.inputs), self._list(1, after.inputs))]
        return [
            Change("input", str(index), self._names[0][a], self._names[1][b])
            for index, (a, b) in enumerate(zip(before.inputs, after.inputs))
            if not self.corresponds(a, b)
        ]

    def corresponds(self, a: int, b: int) -> bool:
        """Whether a value of the first network is that of the second, but for what was put before it or left out."""
        if self._same.get(a) == b:
            return True
        return not self._old[a].isdisjoint(self._new[b]) or not (self._old[a] or self._new[b])

    def _list(self, side: int, numbers: tuple[int, ...]) -> str:
        return ", ".join(self._names[side][n] for n in numbers)


def _origins(graph: Graph, known: dict[int, int]) -> list[frozenset[int]]:
    """For each value, the nearest values before it that correspond to some of the other network, by that one's numbers."""
    found: list[frozenset[int]] = [frozenset((known[n],)) if n in known else frozenset() for n in range(len(graph.values))]
    for node in graph.nodes:
        fresh = [n for n in node.outputs if n not in known]
        if fresh:
            joined = frozenset(sorted(frozenset().union(*(found[n] for n in node.inputs)))[:_MOST_ORIGINS])
            for n in fresh:
                found[n] = joined
    return found
