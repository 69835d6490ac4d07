"""A network as a tree: blocks, and in them blocks and layers, in the order in which they first run.

Each item has a signature, a digest of what it computes apart from all labels: two layers with one signature are the same
operator with the same arguments and the same stored shapes, two blocks with one signature hold the same layers in the same
order. `written` is the same without the shapes, which depend on what comes before. Alignment is by these digests, so that
renaming changes nothing but names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import field
from hashlib import blake2b
from typing import Any

from netspec.graph import Graph, Node
from netspec.op import Operator
from netspec.record import draft
from netspec.sizes.dim import Dim, Size, show, substitute

_DIGITS = tuple("0123456789")
#: Open sizes of one network by the names that the other has for them.
Renamed = Mapping[str, str]


@draft
class Item:
    """A layer or a block. `label` is its own part of the name, `name` the whole; `kind` the operator's or definition's name.

    `node` is a layer's place in `Graph.nodes`, `scope` a block's in `Graph.scopes`; the other is None. `count` is how many
    layers there are in it. `positional` says that the label ends in a number: most such labels are counted, and tell the place
    rather than what stands there.
    """

    label: str
    name: str
    kind: str
    family: str
    positional: bool
    node: int | None = None
    scope: int | None = None
    children: list[Item] = field(default_factory=list)
    signature: bytes = b""
    written: bytes = b""
    count: int = 1
    operators: Counter[str] = field(default_factory=Counter)


def tree_of(graph: Graph, renamed: Renamed | None = None) -> Item:
    """The tree of a network, its open sizes called as `renamed` says; the root is the net itself."""
    spelling = Spelling(renamed or {})
    blocks = {scope.path: index for index, scope in reversed(list(enumerate(graph.scopes)))}
    made: dict[int, Item] = {}
    for number, node in enumerate(graph.nodes):
        home = blocks.get(node.label.rpartition(".")[0], graph.frames[node.frame].scope)
        above = _block(graph, home, made)
        above.children.append(_layer(graph, number, node, above.name, spelling))
    root = _block(graph, 0, made)
    _seal(root)
    return root


def _block(graph: Graph, index: int, made: dict[int, Item]) -> Item:
    """The item of a scope, hung into those above it when it is first met."""
    fresh: list[Item] = []
    here: int | None = index
    while here is not None and here not in made:
        scope = graph.scopes[here]
        made[here] = Item(scope.label, scope.path, scope.definition or scope.kind, "", _positional(scope.label), scope=here)
        fresh.append(made[here])
        here = scope.parent
    hangers = [*fresh[1:], *([made[here]] if here is not None else [])]
    for item, above in zip(fresh, hangers):
        above.children.append(item)
    return made[index]


def _layer(graph: Graph, number: int, node: Node, above: str, spelling: Spelling) -> Item:
    own = node.name[len(above) + 1 :] if above and node.name.startswith(above + ".") else node.name
    stored = [(graph.weights[w].local, graph.weights[w].shape, graph.weights[w].dtype) for w in node.weights]
    written = f"{node.op.NAME}\0{spelling.arguments(node.op)}"
    item = Item(own, node.name, node.op.NAME, node.op.FAMILY, _positional(own), node=number)
    item.written = blake2b(written.encode(), digest_size=16).digest()
    item.signature = blake2b(f"{written}\0{stored}".encode(), digest_size=16).digest()
    item.operators[node.op.NAME] = 1
    return item


def _positional(label: str) -> bool:
    return label.rpartition(":")[0].endswith(_DIGITS) if ":" in label else label.endswith(_DIGITS)


def _seal(root: Item) -> None:
    """Fill in what blocks come to, the innermost first. (No recursion: labels may nest as deeply as somebody writes them.)"""
    blocks = [root]
    for block in blocks:
        blocks.extend(child for child in block.children if child.node is None)
    for block in reversed(blocks):
        block.signature = blake2b(b"".join(child.signature for child in block.children), digest_size=16).digest()
        block.written = blake2b(b"".join(child.written for child in block.children), digest_size=16).digest()
        block.count = sum(child.count for child in block.children)
        for child in block.children:
            block.operators.update(child.operators)


class Spelling:
    """Arguments and sizes as text, open sizes called as `renamed` says; operators' are remembered, since many layers share one."""

    def __init__(self, renamed: Renamed) -> None:
        self._sizes: dict[str, Size] = {old: Dim.name(new) for old, new in renamed.items() if old != new}
        self._known: dict[int, dict[str, str]] = {}
        self._shown: dict[Size, str] = {}

    def size(self, size: Size) -> str:
        """A size in the language's syntax."""
        if isinstance(size, int):
            return str(size)
        if size not in self._shown:
            self._shown[size] = show(substitute(size, self._sizes) if self._sizes else size)
        return self._shown[size]

    def shape(self, shape: tuple[Size, ...]) -> str:
        """A shape: `[N, 64, H, W]`."""
        return f"[{', '.join(map(self.size, shape))}]"

    def arguments(self, op: Operator) -> dict[str, str]:
        """All arguments of an operator, by name."""
        if id(op) not in self._known:  # the graph holds the operator for as long as we live
            self._known[id(op)] = {name: self.value(getattr(op, name)) for name in type(op).model_fields}
        return self._known[id(op)]

    def value(self, value: Any) -> str:
        """A value in the language's syntax."""
        if value is None or isinstance(value, bool):
            return {None: "none", True: "true", False: "false"}[value]
        if isinstance(value, (tuple, list)):
            return f"[{', '.join(map(self.value, value))}]"
        if isinstance(value, (int, Dim)):
            return self.size(value)
        if isinstance(value, float):
            return repr(value)
        if isinstance(value, Operator):
            given = {n: t for n, t in self.arguments(value).items() if t != self.value(type(value).model_fields[n].default)}
            return f"{value.NAME}({', '.join(f'{n} = {t}' for n, t in given.items())})" if given else value.NAME
        return str(value)

    def call(self, op: Operator) -> str:
        """An operator as one would write it, without what is at its default: `conv(64, 3, stride = 2)`."""
        parts = []
        for name, text in self.arguments(op).items():
            told = type(op).model_fields[name]
            if told.is_required():
                parts.append(text)
            elif text != self.value(told.default):
                parts.append(f"{name} = {text}")
        return f"{op.NAME}({', '.join(parts)})" if parts else op.NAME
