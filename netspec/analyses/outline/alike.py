"""Which blocks and layers are equal, so that one can stand for several in a row.

Two blocks are equal if their layers are, one by one: operators with their arguments, what they store, the shapes that they make,
and how they are connected. They are alike if all this holds but for the shapes (the layers of a dense block, each wider than the
one before): enough for a folded one, which shows none of them.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from netspec.analyses.outline.tree import Tree


class Likeness:
    """What layers and blocks look like, as numbers: equal numbers, equal looks. Remembers what it has seen."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._known: dict[Hashable, int] = {}
        self._layers = [self._layer(number) for number in range(len(tree.graph.nodes))]
        self._seen: dict[tuple[tuple[int, ...], int | None, bool], int] = {}

    def exact(self, nodes: Sequence[int], frame: int | None = None) -> int:
        """The look of these layers with all shapes; of a block's, with what it was given."""
        return self._look(tuple(nodes), frame, True)

    def loose(self, nodes: Sequence[int], frame: int | None = None) -> int:
        """Their look but for the shapes."""
        return self._look(tuple(nodes), frame, False)

    def _look(self, nodes: tuple[int, ...], frame: int | None, exact: bool) -> int:
        if (nodes, frame, exact) not in self._seen:
            places: dict[int, int] = {}  # values by the order in which they are met
            look: list[Hashable] = [self._given(frame)]
            for number in nodes:
                node = self._tree.graph.nodes[number]
                wires = tuple(places.setdefault(value, len(places)) for value in (*self._tree.inputs(number), *node.outputs))
                look.append((self._layers[number][exact], wires))
            self._seen[nodes, frame, exact] = self._number(tuple(look))
        return self._seen[nodes, frame, exact]

    def _given(self, frame: int | None) -> Hashable:
        return "" if frame is None else self._tree.call(frame)

    def _layer(self, number: int) -> tuple[int, int]:
        """A layer without and with its shapes."""
        node, graph = self._tree.graph.nodes[number], self._tree.graph
        stored = tuple((graph.weights[w].local, graph.weights[w].trainable) for w in node.weights)
        shapes = (tuple(graph.values[v].shape for v in node.outputs), tuple(graph.weights[w].shape for w in node.weights))
        loose = self._number((node.op, stored))
        return loose, self._number((loose, shapes))

    def _number(self, look: Hashable) -> int:
        return self._known.setdefault(look, len(self._known))
