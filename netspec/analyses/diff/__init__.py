"""Two networks compared as networks, not as texts: what was added, removed, changed and renamed, and what that comes to."""

from __future__ import annotations

from netspec.analyses.diff.checkpoint import checkpoint
from netspec.analyses.diff.consequences import consequences
from netspec.analyses.diff.model import Change, Changed, Checkpoint, Consequence, Difference, Layer, Piece, Renaming, Stored
from netspec.analyses.diff.pairing import Pairing
from netspec.analyses.diff.ports import ports_changed, sizes_changed
from netspec.analyses.diff.training import training_changed
from netspec.analyses.diff.weight_names import weight_names_changed
from netspec.graph import Graph

__all__ = [
    "Change",
    "Changed",
    "Checkpoint",
    "Consequence",
    "Difference",
    "Layer",
    "Pairing",
    "Piece",
    "Renaming",
    "Stored",
    "compare",
    "diff",
]


def diff(old: Graph, new: Graph, old_name: str = "", new_name: str = "") -> Difference:
    """Compare two networks. `old_name` and `new_name` are what messages call them (by default, their nets' names).

    Costs are at each network's own typical sizes and batch 1; open sizes are called as in `new`. Exchanging the networks
    exchanges what is added with what is removed.
    """
    return compare(Pairing(old, new), old_name, new_name)


def compare(pair: Pairing, old_name: str = "", new_name: str = "") -> Difference:
    """The same of two networks whose layers are matched."""
    old, new, compared = pair.old, pair.new, pair.comparison
    return Difference(
        old=old_name or old.name,
        new=new_name or new.name,
        net=tuple(compared.given(old.arguments, new.arguments)),
        sizes=sizes_changed(old, new, pair.same),
        ports=ports_changed(pair.before, pair.after, pair.same, pair.old_words, pair.new_words, compared.wiring),
        added=compared.added(pair.new_tree),
        removed=compared.removed(pair.old_tree),
        changed=compared.changed(),
        blocks=compared.blocks(),
        renamed=compared.renamed(),
        consequences=consequences(old, new, pair.same.sizes, pair.same.outputs),
        checkpoint=checkpoint(pair.before, pair.after, pair.matching),
        training=training_changed(old, new),
        weight_names=weight_names_changed(old, new),
    )
