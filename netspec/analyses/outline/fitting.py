"""Which blocks are open where nobody says: those that matter most, as long as the picture fits a page."""

from __future__ import annotations

import math
from collections.abc import Collection
from functools import cached_property

from netspec.analyses.outline.alike import Likeness
from netspec.analyses.outline.model import Box
from netspec.analyses.outline.placing import Placing
from netspec.analyses.outline.tree import Tree

#: how many boxes fit a page, at least and at most
FEW, MANY = 20, 40
#: how many boxes stand in one block before neighbours are folded, whatever they are
LONGEST = 60
#: blocks with so large a share of the parameters are open in a wide picture, even if it has enough without
MOST = 0.5


class Fitting:
    """Chooses for one frame. Blocks of a definition open together, those with the most parameters first; where all of them are too
    many, the first alone shows what they are like. A `wide` picture opens more than it must, as far as it matters."""

    def __init__(self, tree: Tree, likeness: Likeness, root: int, wide: bool = False) -> None:
        self._tree, self._likeness, self._root, self._wide = tree, likeness, root, wide
        self._stored = [sum(math.prod(tree.graph.weights[w].shape) for w in node.weights) for node in tree.graph.nodes]

    def placing(self) -> Placing:
        """The open blocks, ready to be placed."""
        opened = frozenset({self._root}) | self._single
        boxes = self._boxes(opened)
        if len(boxes) > LONGEST:
            return Placing(self._tree, self._likeness, opened, (FEW + MANY) // 2)
        tried: set[str] = set()
        while kinds := {name: kind for name, kind in self._kinds(boxes).items() if name not in tried}:
            name = max(kinds, key=lambda name: self._weight(kinds[name]))
            tried.add(name)
            if len(boxes) >= FEW and not (self._wide and self._weight(kinds[name])[0] >= MOST * sum(self._stored)):
                continue
            opened = self._wider(opened, kinds[name])
            boxes = self._boxes(opened)
        return Placing(self._tree, self._likeness, self._filled(opened))

    def _wider(self, opened: frozenset[int], kind: list[Box]) -> frozenset[int]:
        """All blocks of a kind open, or the first, or none of them, as the page allows."""
        everything = opened.union(*map(self._equal, kind))
        if len(self._boxes(everything)) <= MANY:
            return everything
        first = opened | self._equal(kind[0])
        return first if len(self._boxes(opened)) < FEW and len(self._boxes(first)) <= MANY else opened

    def _filled(self, opened: frozenset[int]) -> frozenset[int]:
        """More blocks of the kinds of which one is open, in order, until the page is no longer empty."""
        tried: set[int] = set()
        shown = {self._definition(frame) for frame in opened - self._single}
        while len(boxes := self._boxes(opened)) < FEW:
            rest = [b for b in boxes if b.frame is not None and b.frame not in tried and self._definition(b.frame) in shown]
            if not rest:
                break
            tried.add(rest[0].frame)  # type: ignore[arg-type]
            wider = opened | self._equal(rest[0])
            opened = wider if len(self._boxes(wider)) <= MANY else opened
        return opened

    # ----------------------------------------------------------------------------------------------------------- measures
    @cached_property
    def _single(self) -> frozenset[int]:
        """The blocks that are one box either way."""
        everything = Placing(self._tree, self._likeness, self._tree.inside)
        return frozenset(frame for frame in self._tree.inside if everything.is_one_box(frame))

    def _boxes(self, opened: Collection[int]) -> list[Box]:
        return Placing(self._tree, self._likeness, opened).place(self._root).boxes

    def _kinds(self, boxes: list[Box]) -> dict[str, list[Box]]:
        """The folded blocks by what they are instances of."""
        found: dict[str, list[Box]] = {}
        for box in boxes:
            if box.frame is not None and box.kind == "block":
                found.setdefault(self._definition(box.frame), []).append(box)
        return found

    def _weight(self, kind: list[Box]) -> tuple[int, int]:
        """How many numbers blocks store, and how many layers they have."""
        nodes = [number for box in kind for number in box.nodes]
        return sum(self._stored[number] for number in nodes), len(nodes)

    def _definition(self, frame: int) -> str:
        scope = self._tree.graph.scopes[self._tree.graph.frames[frame].scope]
        return scope.definition or scope.path

    def _equal(self, box: Box) -> frozenset[int]:
        """The frames of the blocks for which a box stands, as far as they equal its first in everything."""
        assert box.frame is not None
        size = len(box.nodes) // box.repeat
        copies = {box.nodes[start : start + size] for start in range(0, len(box.nodes), size)}
        frames = [frame for frame, nodes in self._tree.inside.items() if nodes in copies and self._tree.call(frame) == box.call]
        look = self._likeness.exact(box.nodes[:size], box.frame)
        return frozenset(f for f in frames if self._likeness.exact(self._tree.inside[f], f) == look)
