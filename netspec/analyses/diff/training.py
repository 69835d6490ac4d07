"""What changed in how two networks are trained: their `train` sections, setting by setting."""

from __future__ import annotations

from netspec.analyses.diff.model import Change
from netspec.graph import Graph
from netspec.recipe.spelling import settings


def training_changed(old: Graph, new: Graph) -> tuple[Change, ...]:
    """The settings that differ, sections being matched by name; `what` is the setting, behind its section's name if that has one."""
    before, after = ({section.name: settings(section) for section in graph.training} for graph in (old, new))
    found = []
    for name in dict.fromkeys((*before, *after)):
        ours, theirs = before.get(name, {}), after.get(name, {})
        for setting in dict.fromkeys((*ours, *theirs)):
            if ours.get(setting) != theirs.get(setting):
                what = f"train {name}: {setting}" if name else f"train: {setting}"
                found.append(Change("training", what, ours.get(setting), theirs.get(setting)))
    return tuple(found)
