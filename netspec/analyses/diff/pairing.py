"""Two networks side by side: which ports, blocks and layers of the one are which of the other."""

from __future__ import annotations

from functools import cached_property

from netspec.analyses.bodies import flattened
from netspec.analyses.diff.compare import Comparison
from netspec.analyses.diff.context import settle
from netspec.analyses.diff.matching import match
from netspec.analyses.diff.ports import correspond
from netspec.analyses.diff.tree import Spelling, tree_of
from netspec.graph import Graph


class Pairing:
    """Two networks, `old` and `new`, and what of them corresponds.

    `before` and `after` are the same with the bodies of their scans among their own layers (`analyses.bodies`): the nodes and scopes
    of `matching` are numbered there. `same` pairs ports and open sizes; `values` are inputs that correspond, of the networks and
    of their bodies. `old_words` spell the first's sizes with the second's names.
    """

    def __init__(self, old: Graph, new: Graph) -> None:
        self.old, self.new = old, new
        self.same = correspond(old, new)
        (self.before, given), (self.after, taken) = flattened(old), flattened(new)
        self.values = {**self.same.values, **{given[port]: taken[port] for port in given if port in taken}}
        self.old_words, self.new_words = Spelling(self.same.sizes), Spelling({})
        self.old_tree, self.new_tree = tree_of(self.before, self.same.sizes), tree_of(self.after)
        found = match(self.old_tree, self.new_tree)
        self.matching = settle(self.before, self.after, self.old_tree, self.new_tree, found, self.values)

    @cached_property
    def comparison(self) -> Comparison:
        """What became of the layers and blocks."""
        return Comparison(self.before, self.after, self.matching, self.old_words, self.new_words, self.values)
