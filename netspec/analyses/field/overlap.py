"""Checkerboards: how many inputs a transposed convolution sums for each output, by the output's phase.

Phase f of a kernel k at stride s receives `ceil((k - f) / s)` inputs, which is the same for all iff s divides k, and nothing iff
k < s (Odena, Dumoulin and Olah, "Deconvolution and checkerboard artifacts", Distill 2016, doi:10.23915/distill.00003).
"""

from __future__ import annotations

from typing import Mapping

from netspec import reach as r
from netspec.analyses.field.taps import taps_of
from netspec.graph import Graph, Node


def overlap(graph: Graph, node: Node, sizes: Mapping[str, int] | None = None) -> dict[int, tuple[int, ...]]:
    """For each axis that a node enlarges by transposed convolution, how many inputs reach a position, by `position % stride`.

    Away from the borders. The overlap is uneven where the numbers differ. Other operators have no entry; `sizes` is taken for
    symmetry with the other questions, and no transposed convolution depends on it.
    """
    types = graph.types(node.inputs), graph.types(node.outputs)
    found = {}
    for axis, look in enumerate(node.op.reach(*types)[0].inputs[0] if node.inputs else ()):
        if isinstance(look, r.Transposed):
            taps = taps_of(look, 0, 0)
            assert taps is not None
            found[axis] = tuple(len(taps.at(o)) for o in range(taps.period))
    return found


def uneven(graph: Graph, value: int) -> list[tuple[Node, dict[int, tuple[int, ...]]]]:
    """The layers on the way to a value whose overlap is uneven, in order, each with its counts by axis and phase."""
    wanted, found = {value}, []
    for node in reversed(graph.nodes):
        if not wanted.isdisjoint(node.outputs):
            wanted.update(node.inputs)
            counts = {axis: of for axis, of in overlap(graph, node).items() if len(set(of)) > 1}
            if counts:
                found.append((node, counts))
    return found[::-1]
