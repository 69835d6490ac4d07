"""What a picture of a network shows, at any depth: `outline(graph).view(depth)`."""

from __future__ import annotations

from collections.abc import Collection

from netspec.analyses.outline.alike import Likeness
from netspec.analyses.outline.fitting import Fitting
from netspec.analyses.outline.model import Box, Group, Link, View
from netspec.analyses.outline.placing import Placing
from netspec.analyses.outline.tree import Tree
from netspec.analyses.outline.viewing import view
from netspec.diagnostics.model import Refusal
from netspec.diagnostics.nearest import suggestion
from netspec.graph import Graph

__all__ = ["Box", "Group", "Link", "Outline", "View", "outline"]


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

    def view(self, depth: int | None = None, only: str = "", opened: Collection[str] | None = None, wide: bool = False) -> View:
        """What is shown with all blocks open down to a depth: 0 is one box, 1 has the net's own blocks folded.

        `only` is the one block that is shown, the depth counted in it. `opened` names the blocks that are open instead of a depth.
        Without either, the view fits a page: 20 to 40 boxes where that is possible, the more of them if it is `wide`.
        Raises `Refusal` (NS021) for a block that there is not.
        """
        root = self._frame(only) if only else 0
        if not self._tree.inside:
            return view(self._tree, self._placing(frozenset()), root)
        if opened is not None:
            frames = frozenset(self._frame(key) for key in opened) | {root}
            return view(self._tree, self._placing(frames), root)
        if depth is not None:
            return view(self._tree, self._placing(self._down_to(root, depth)), root)
        return view(self._tree, Fitting(self._tree, self._likeness, root, wide).placing(), root)

    # ----------------------------------------------------------------------------------------------------------- choices
    def _placing(self, opened: Collection[int]) -> Placing:
        return Placing(self._tree, self._likeness, opened)

    def _frame(self, key: str) -> int:
        for frame, own in self._tree.keys.items():
            if own == key and key:
                return frame
        what = "a layer, not a block" if key in {node.label for node in self._tree.graph.nodes} else "no block of this network"
        helps = suggestion(key, self.blocks) or ((f"blocks: {', '.join(self.blocks[:8])}",) if self.blocks else ())
        raise Refusal("NS021", f"`{key}` is {what}", helps=tuple(helps), status=2)

    def _down_to(self, root: int, depth: int) -> frozenset[int]:
        """The frames that are open at a depth, counted from one of them."""
        levels, inside = self._tree.levels, self._tree.inside
        own = set(inside[root])
        return frozenset(f for f, level in levels.items() if level - levels[root] < depth and inside[f][0] in own and level >= levels[root])


def outline(graph: Graph) -> Outline:
    """The outline of a network."""
    return Outline(graph)
