"""Two networks compared as networks, not as texts: what was added, removed, changed and renamed, and what that comes to."""

from __future__ import annotations

from netspec.analyses.bodies import flattened
from netspec.analyses.diff.checkpoint import checkpoint
from netspec.analyses.diff.compare import Comparison
from netspec.analyses.diff.consequences import consequences
from netspec.analyses.diff.context import settle
from netspec.analyses.diff.matching import match
from netspec.analyses.diff.model import Change, Changed, Checkpoint, Consequence, Difference, Layer, Piece, Renaming, Stored
from netspec.analyses.diff.ports import correspond, ports_changed, sizes_changed
from netspec.analyses.diff.tree import Spelling, tree_of
from netspec.graph import Graph

__all__ = ["Change", "Changed", "Checkpoint", "Consequence", "Difference", "Layer", "Piece", "Renaming", "Stored", "diff"]


def diff(old: Graph, new: Graph, old_name: str = "", new_name: str = "") -> Difference:
    """Compare two networks. `old_name` and `new_name` are what messages call them (by default, their nets' names).

    Costs are at each network's own typical sizes and batch 1; open sizes are called as in `new`. Exchanging the networks
    exchanges what is added with what is removed.
    """
    same = correspond(old, new)
    costs = consequences(old, new, same.sizes, same.outputs)
    (old, before), (new, after) = flattened(old), flattened(new)
    same.values.update((before[port], after[port]) for port in before if port in after)
    old_words, new_words = Spelling(same.sizes), Spelling({})
    old_tree, new_tree = tree_of(old, same.sizes), tree_of(new)
    matching = settle(old, new, old_tree, new_tree, match(old_tree, new_tree), same.values)
    compared = Comparison(old, new, matching, old_words, new_words, same.values)
    return Difference(
        old=old_name or old.name,
        new=new_name or new.name,
        net=tuple(compared.given(old.arguments, new.arguments)),
        sizes=sizes_changed(old, new, same),
        ports=ports_changed(old, new, same, old_words, new_words, compared.wiring),
        added=compared.added(new_tree),
        removed=compared.removed(old_tree),
        changed=compared.changed(),
        blocks=compared.blocks(),
        renamed=compared.renamed(),
        consequences=costs,
        checkpoint=checkpoint(old, new, matching),
    )
