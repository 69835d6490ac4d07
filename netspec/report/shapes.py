"""Shapes as a report shows them: in numbers, for the typical sizes, and exactly, with the open sizes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from netspec.analyses.cost import batch_sizes
from netspec.graph import Graph
from netspec.sizes.dim import Dim, Size, show, substitute


class Shapes:
    """Writes the shapes of one network."""

    def __init__(self, graph: Graph) -> None:
        #: the typical sizes; the batch stays open
        self.sizes = {**graph.typical, **{name: Dim.name(name) for name in batch_sizes(graph)}}
        self.typical = lru_cache(None)(self._typical)
        self.exact = lru_cache(None)(self._exact)

    def _typical(self, shape: Sequence[Size]) -> str:
        """`N×64×112×112`; one number is `scalar`."""
        parts = [show(substitute(size, self.sizes)) for size in shape]
        return "×".join(f"({part})" if " " in part else part for part in parts) or "scalar"

    def _exact(self, shape: Sequence[Size]) -> str:
        """`[N, 64, H // 2, W // 2]`, in the language's own words."""
        return f"[{', '.join(map(show, shape))}]"
