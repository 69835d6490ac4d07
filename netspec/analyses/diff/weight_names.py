"""What changed in how two networks' weights files are read: the renames of their `weights` sections."""

from __future__ import annotations

from netspec.analyses.diff.model import Change
from netspec.graph import Graph


def weight_names_changed(old: Graph, new: Graph) -> tuple[Change, ...]:
    """The renames that differ, matched by what they rename; their order, as one change, where it alone differs among those that stay."""
    before, after = ({rename.old: rename.new for rename in reversed(graph.renames)} for graph in (old, new))
    every = dict.fromkeys((*reversed(before), *reversed(after)))
    found = [
        Change("weights", f'rename "{name}"', before.get(name), after.get(name)) for name in every if before.get(name) != after.get(name)
    ]
    orders = [[name for name in reversed(names) if name in before and name in after] for names in (before, after)]
    if orders[0] != orders[1]:
        found.append(Change("weights", "order of renames", *(", ".join(f'"{name}"' for name in names) for names in orders)))
    return tuple(found)
