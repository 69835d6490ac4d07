"""Of layers and blocks that correspond: what changed of each. Of the others: what was added and removed."""

from __future__ import annotations

from math import prod

from netspec.analyses.diff.matching import Matching, layers_of
from netspec.analyses.diff.model import Change, Changed, Layer, Piece, Renaming
from netspec.analyses.diff.tree import Item, Spelling
from netspec.analyses.diff.wiring import Wiring
from netspec.graph import Graph, Node, Tensor


class Comparison:
    """Two networks whose layers were matched. `old_words` spell the first's sizes with the second's names."""

    def __init__(self, old: Graph, new: Graph, matching: Matching, old_words: Spelling, new_words: Spelling, ports: dict[int, int]) -> None:
        self.old, self.new, self.matching = old, new, matching
        self.old_words, self.new_words = old_words, new_words
        self.wiring = Wiring(old, new, matching, ports)

    # ------------------------------------------------------------------------------------------ what both networks have
    def changed(self) -> tuple[Changed, ...]:
        """The layers of which something changed."""
        found = []
        for a, b in sorted(self.matching.nodes.items()):
            before, after = self.old.nodes[a], self.new.nodes[b]
            changes = (*self._operator(before, after), *self.wiring.changes(before, after), *self._weights(before, after),
                       *self._outputs(before, after))  # fmt: skip
            if changes:
                found.append(Changed(before.name, after.name, after.op.NAME, changes))
        return tuple(found)

    def _operator(self, before: Node, after: Node) -> list[Change]:
        if type(before.op) is not type(after.op):
            return [Change("operator", "operator", self.old_words.call(before.op), self.new_words.call(after.op))]
        if before.op is after.op and self.old_words is self.new_words:
            return []
        old, new = self.old_words.arguments(before.op), self.new_words.arguments(after.op)
        if old == new or (self._alike(old, new) and self._shapes(before, self.old) == self._shapes(after, self.new)):
            return []
        return [Change("argument", name, old[name], new[name]) for name in new if old[name] != new[name]]

    @staticmethod
    def _alike(old: dict[str, str], new: dict[str, str]) -> bool:
        """Whether arguments are the same but for `[3, 3]` in place of `3`."""
        return all(text == new[name] or _single(text) == _single(new[name]) for name, text in old.items())

    def _shapes(self, node: Node, graph: Graph) -> object:
        words = self.old_words if graph is self.old else self.new_words
        shapes = [words.shape(graph.values[n].shape) for n in (*node.inputs, *node.outputs)]
        return shapes, [graph.weights[w].shape for w in node.weights]

    def _weights(self, before: Node, after: Node) -> list[Change]:
        old = {self.old.weights[w].local: self.old.weights[w] for w in before.weights}
        new = {self.new.weights[w].local: self.new.weights[w] for w in after.weights}
        changes = []
        for name in dict.fromkeys([*old, *new]):
            a, b = old.get(name), new.get(name)
            if a is None or b is None or (a.shape, a.dtype) != (b.shape, b.dtype):
                changes.append(Change("weight", name, type_of(a) if a else None, type_of(b) if b else None))
            if a is not None and b is not None:
                if a.init != b.init and not (a.init.name == b.init.name == "torch_default"):  # whose bound follows the shape
                    changes.append(Change("initializer", name, str(a.init), str(b.init)))
                if a.trainable != b.trainable:
                    changes.append(Change("trainable", name, str(a.trainable).lower(), str(b.trainable).lower()))
        return changes

    def _outputs(self, before: Node, after: Node) -> list[Change]:
        old = [self._type(self.old, n) for n in before.outputs]
        new = [self._type(self.new, n) for n in after.outputs]
        if old == new:
            return []
        return [Change("output", "output", " and ".join(old), " and ".join(new))]

    def _type(self, graph: Graph, number: int) -> str:
        value, words = graph.values[number], self.old_words if graph is self.old else self.new_words
        return words.shape(value.shape) if value.dtype == "float32" else f"{value.dtype} {words.shape(value.shape)}"

    def blocks(self) -> tuple[Changed, ...]:
        """The blocks that were made of another definition, or with other arguments."""
        found = []
        for a, b in sorted(self.matching.scopes.items()):
            before, after = self.old.scopes[a], self.new.scopes[b]
            changes = []
            if before.definition != after.definition and a:
                changes.append(Change("operator", "definition", before.definition or before.kind, after.definition or after.kind))
            elif a:
                changes = self.given(before.arguments, after.arguments)
            if changes:
                found.append(Changed(before.path, after.path, after.definition or after.kind, tuple(changes)))
        return tuple(found)

    def given(self, old: tuple[tuple[str, object], ...], new: tuple[tuple[str, object], ...]) -> list[Change]:
        """Changes of the arguments of a block or net."""
        before = {name: self.old_words.value(value) for name, value in old}
        after = {name: self.new_words.value(value) for name, value in new}
        names = dict.fromkeys([*before, *after])
        return [Change("argument", n, before.get(n), after.get(n)) for n in names if before.get(n) != after.get(n)]

    def renamed(self) -> tuple[Renaming, ...]:
        """The layers that have two names."""
        pairs = [(self.old.nodes[a], self.new.nodes[b]) for a, b in sorted(self.matching.nodes.items())]
        return tuple(Renaming(a.name, b.name, bool(a.weights)) for a, b in pairs if a.name != b.name)

    # ------------------------------------------------------------------------------------------ what one network alone has
    def removed(self, root: Item) -> tuple[Piece, ...]:
        """What the first alone has; `root` is its tree."""
        return self._pieces(root, self.old, self.old_words, set(self.matching.nodes), set(self.matching.scopes))

    def added(self, root: Item) -> tuple[Piece, ...]:
        """What the second alone has; `root` is its tree."""
        return self._pieces(root, self.new, self.new_words, set(self.matching.nodes.values()), set(self.matching.scopes.values()))

    @staticmethod
    def _pieces(root: Item, graph: Graph, words: Spelling, nodes: set[int], scopes: set[int]) -> tuple[Piece, ...]:
        """The largest blocks, and else layers, of which nothing is among the places that are known of the other network."""
        found, waiting = [], [root]
        kept = _holding(root, nodes, scopes)
        while waiting:
            item = waiting.pop()
            if id(item) in kept:
                waiting.extend(reversed(item.children))
                continue
            shown = tuple(_layer(graph, graph.nodes[layer.node], words) for layer in layers_of(item))  # type: ignore[index]
            if shown:
                found.append(Piece(item.name, item.label, item.kind, item.node is None, shown))
        return tuple(found)


def _holding(root: Item, nodes: set[int], scopes: set[int]) -> set[int]:
    """Items (by identity) that are known, or hold something that is."""
    items = [root]
    for item in items:
        items.extend(item.children)
    kept: set[int] = set()
    for item in reversed(items):
        if item.node in nodes or item.scope in scopes or any(id(child) in kept for child in item.children):
            kept.add(id(item))
    return kept


def _layer(graph: Graph, node: Node, words: Spelling) -> Layer:
    parameters = sum(prod(graph.weights[w].shape) for w in node.weights if graph.weights[w].trainable)
    shape = words.shape(graph.values[node.outputs[0]].shape)
    return Layer(node.name, node.op.NAME, words.call(node.op), shape, parameters, node.origin.line if node.origin else 0)


def type_of(tensor: Tensor) -> str:
    """A stored tensor's element type and shape: `[64, 3, 7, 7]`, `int64 []`."""
    return str(list(tensor.shape)) if tensor.dtype == "float32" else f"{tensor.dtype} {list(tensor.shape)}"


def _single(text: str) -> str:
    """`3` for `[3, 3]`; anything else as it is."""
    parts = text[1:-1].split(", ") if text.startswith("[") else []
    return parts[0] if parts and parts[0].lstrip("-").isdigit() and len(set(parts)) == 1 else text
