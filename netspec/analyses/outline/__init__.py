"""What a picture of a network shows, at any depth: `outline(graph).view(depth)`."""

from __future__ import annotations

from collections.abc import Collection

from netspec.analyses.outline.alike import Likeness
from netspec.analyses.outline.model import Box, Group, Link, View
from netspec.analyses.outline.placing import Placing
from netspec.analyses.outline.tree import Tree
from netspec.analyses.outline.viewing import view
from netspec.diagnostics.model import Refusal
from netspec.diagnostics.nearest import suggestion
from netspec.graph import Graph

__all__ = ["Box", "Group", "Link", "Outline", "View", "outline"]

#: how many boxes fit a page, at least and at most
FEW, MANY = 20, 40
#: how many boxes stand in one block of the default view before neighbours are folded, whatever they are
LONGEST = 60


class Outline:
    """The blocks of a network, and views of them. What has been worked out once is kept."""

    def __init__(self, graph: Graph) -> None:
        self._tree = Tree(graph)
        self._likeness = Likeness(self._tree)

    @property
    def depths(self) -> int:
        """The depth at which every block is open: 1 for a network without blocks."""
        return max(self._tree.levels.values(), default=0) + 1

    @property
    def blocks(self) -> tuple[str, ...]:
        """The keys of all blocks, in the order of their first layers: what `only` and `open` take."""
        return tuple(key for key in self._tree.keys.values() if key)

    def view(self, depth: int | None = None, only: str = "", opened: Collection[str] | None = None) -> View:
        """What is shown with all blocks open down to a depth: 0 is one box, 1 has the net's own blocks folded.

        `only` is the one block that is shown, the depth counted in it. `opened` names the blocks that are open instead of a depth.
        Without either, the view fits a page: 20 to 40 boxes where that is possible. Raises `Refusal` (NS021) for a block
        that there is not.
        """
        root = self._frame(only) if only else 0
        if not self._tree.inside:
            return view(self._tree, self._placing(frozenset()), root)
        if opened is not None:
            frames = frozenset(self._frame(key) for key in opened) | {root}
            return view(self._tree, self._placing(frames), root)
        if depth is not None:
            return view(self._tree, self._placing(self._down_to(root, depth)), root)
        return view(self._tree, self._fitting(root), root)

    # ----------------------------------------------------------------------------------------------------------- choices
    def _placing(self, opened: Collection[int], longest: int | None = None) -> Placing:
        return Placing(self._tree, self._likeness, opened, longest)

    def _frame(self, key: str) -> int:
        for frame, own in self._tree.keys.items():
            if own == key and key:
                return frame
        helps = suggestion(key, self.blocks)
        raise Refusal("NS021", f"there is no block `{key}` in this network", helps=tuple(helps), status=2)

    def _down_to(self, root: int, depth: int) -> frozenset[int]:
        """The frames that are open at a depth, counted from one of them."""
        levels, inside = self._tree.levels, self._tree.inside
        own = set(inside[root])
        return frozenset(f for f, level in levels.items() if level - levels[root] < depth and inside[f][0] in own and level >= levels[root])

    def _fitting(self, root: int) -> Placing:
        """The deepest view with at most `MANY` boxes; where it has few, with the first block of each kind opened as well."""
        deepest = max(self._tree.levels.values()) - self._tree.levels[root] + 1
        chosen = self._down_to(root, 1)
        count = self._count(root, chosen)
        if count > LONGEST:
            return self._placing(chosen, (FEW + MANY) // 2)
        for depth in range(2, deepest + 1):
            opened = self._down_to(root, depth)
            if (boxes := self._count(root, opened)) > MANY:
                break
            chosen, count = opened, boxes
        return self._placing(chosen if count >= FEW else self._more(root, chosen))

    def _more(self, root: int, opened: frozenset[int]) -> frozenset[int]:
        """The first folded block of each definition opened, then others in order, until the page is no longer empty."""
        tried: set[int | str] = set()
        while True:
            plan = self._placing(opened).place(root)
            folded = [box.frame for box in plan.boxes if box.frame is not None and box.frame not in tried]
            if len(plan.boxes) >= FEW or not folded:
                return opened
            chosen = next((frame for frame in folded if self._definition(frame) not in tried), folded[0])
            tried |= {chosen, self._definition(chosen)}
            wider = opened | {chosen}
            if self._count(root, wider) <= MANY:
                opened = wider

    def _definition(self, frame: int) -> str:
        scope = self._tree.graph.scopes[self._tree.graph.frames[frame].scope]
        return scope.definition or scope.path

    def _count(self, root: int, opened: Collection[int]) -> int:
        return self._placing(opened).count(root)


def outline(graph: Graph) -> Outline:
    """The outline of a network."""
    return Outline(graph)
