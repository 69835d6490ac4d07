"""Losses: how each of `recipe` is computed, and the objective that a `train` section makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netspec.recipe.section import Section
from netspec.training.losses.objective import Objective

if TYPE_CHECKING:
    from netspec.graph import Graph


def make_objective(graph: "Graph", section: Section) -> Objective:
    """The loss of a section of a net, ready to be called. Raises `Refusal`: NS356 without a loss, NS355 for a penalty of nothing."""
    return Objective(graph, section)


__all__ = ["Objective", "make_objective"]
