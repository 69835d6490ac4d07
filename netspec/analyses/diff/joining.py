"""The graph of a union of two networks: numbers for everything in both, and one graph of all of it.

Values, scopes and frames of the second network keep their numbers; what the first alone has comes behind them. Layers are in the order
of the second; those that the first alone has follow what they take from.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from netspec.analyses.diff.pairing import Pairing
from netspec.analyses.outline.tree import Tree
from netspec.graph import Frame, Graph, Node, Scope, Tensor, Value

#: stands before the names of what the first network alone has, which the second may use for something else
GONE = "-"


class Joining:
    """What things of the first network are called in the union, and the union's graph."""

    def __init__(self, pair: Pairing, old: Tree, new: Tree) -> None:
        self.old, self.new = old.graph, new.graph
        #: layers of both; what runs a body in one network alone has no place in the other, whatever stands there
        self.nodes = {a: b for a, b in pair.matching.nodes.items() if (a in old.regions) == (b in new.regions)}
        self.scopes_of_both = pair.matching.scopes
        self.order = _order(old, self.new, self.nodes)
        self.values: list[Value] = list(self.new.values)
        self.scopes: list[Scope] = list(self.new.scopes)
        self.frames: list[Frame] = list(self.new.frames)
        self.weights: list[Tensor] = list(self.new.weights)
        self.old_values = self._values(pair, old, new)
        self.old_scopes = self._scopes()
        self.old_frames = self._frames()

    def graph(self) -> Graph:
        """All layers in one graph. Those of both take and make what they do in the second network, then what they did in the first
        alone."""
        nodes = tuple(self._node(a, b) for a, b in self.order)
        sizes = {size.name: size for size in (*self.old.sizes, *self.new.sizes)}
        return self.new.model_copy(
            update={
                "sizes": tuple(sizes.values()), "values": tuple(self.values), "scopes": tuple(self.scopes), "frames": tuple(self.frames),
                "nodes": nodes, "weights": tuple(self.weights), "requirements": (), "bodies": (),
            }
        )  # fmt: skip

    # ----------------------------------------------------------------------------------------------------------- layers
    def _node(self, a: int | None, b: int | None) -> Node:
        if b is not None:
            after = self.new.nodes[b]
            if a is None:
                return after.model_copy(update={"body": None})
            before = self.old.nodes[a]
            return after.model_copy(
                update={
                    "inputs": _joined(after.inputs, (self.old_values[value] for value in before.inputs)),
                    "outputs": _joined(after.outputs, (self.old_values[value] for value in before.outputs)),
                    "body": None,
                }
            )
        assert a is not None
        node = self.old.nodes[a]
        update = {
            "name": GONE + node.name,
            "inputs": tuple(self.old_values[value] for value in node.inputs),
            "outputs": tuple(self.old_values[value] for value in node.outputs),
            "weights": tuple(map(self._weight, node.weights)),
            "frame": self.old_frames[node.frame],
            "body": None,
        }
        return node.model_copy(update=update)

    def _weight(self, number: int) -> int:
        self.weights.append(self.old.weights[number])
        return len(self.weights) - 1

    # ----------------------------------------------------------------------------------------------------------- numbers
    def _values(self, pair: Pairing, old: Tree, new: Tree) -> dict[int, int]:
        found = dict(pair.values)
        for a, b in self.nodes.items():
            found.update(zip(self.old.nodes[a].outputs, self.new.nodes[b].outputs))
            if a in old.regions:
                found.update(zip(old.regions[a].inputs, new.regions[b].inputs))
        for number, value in enumerate(self.old.values):
            if number not in found:
                found[number] = len(self.values)
                self.values.append(value)
        return found

    def _scopes(self) -> dict[int, int]:
        found = dict(self.scopes_of_both)
        for number, scope in enumerate(self.old.scopes):
            if number not in found:
                found[number] = len(self.scopes)
                parent = None if scope.parent is None else found[scope.parent]
                self.scopes.append(scope.model_copy(update={"path": GONE + scope.path, "parent": parent}))
        return found

    def _frames(self) -> dict[int, int]:
        """Applications of blocks that correspond, within what corresponds, one after the other."""
        waiting: dict[tuple[int, int], list[int]] = defaultdict(list)
        for number, frame in enumerate(self.new.frames):
            if frame.parent is not None:
                waiting[frame.parent, frame.scope].append(number)
        found = {0: 0}
        for number, frame in enumerate(self.old.frames[1:], start=1):
            assert frame.parent is not None
            parent, scope = found[frame.parent], self.old_scopes[frame.scope]
            if places := waiting[parent, scope]:
                found[number] = places.pop(0)
                continue
            found[number] = len(self.frames)
            self.frames.append(frame.model_copy(update={"scope": scope, "parent": parent}))
        return found


def _joined(first: tuple[int, ...], second: Iterable[int]) -> tuple[int, ...]:
    """The first, and what the second alone has."""
    return first + tuple(dict.fromkeys(value for value in second if value not in first))


def _order(old: Tree, new: Graph, matched: dict[int, int]) -> list[tuple[int | None, int | None]]:
    """All layers as pairs of their numbers in both networks."""
    back = {b: a for a, b in matched.items()}
    found: list[tuple[tuple[int, int], tuple[int | None, int | None]]] = [((b, -1), (back.get(b), b)) for b in range(len(new.nodes))]
    place: dict[int, int] = {}
    for a in range(len(old.graph.nodes)):
        before = [place[old.producers[value]] for value in old.inputs(a) if value in old.producers]
        place[a] = matched.get(a, max(before, default=-1))
        if a not in matched:
            found.append(((place[a], a), (a, None)))
    return [pair for _, pair in sorted(found, key=lambda entry: entry[0])]
