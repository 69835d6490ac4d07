"""What a network asks of its open sizes, in as few words as possible: `H % 16 == 0`, `H >= 63`."""

from __future__ import annotations

from netspec.graph import Graph
from netspec.sizes.solve import Condition, solve


def constraints(graph: Graph) -> dict[str, list[str]]:
    """For each open size, what must hold of it. Conditions on several sizes at once stand with the first of them.

    What the conditions on one size come to is solved exactly (`sizes.solve`); what cannot be solved is listed as it is.
    """
    found: dict[str, list[str]] = {size.name: [] for size in graph.sizes}
    alone: dict[str, list[Condition]] = {size.name: [] for size in graph.sizes}
    for requirement in graph.requirements:
        condition = requirement.condition
        names = sorted(condition.names())
        if len(names) == 1:
            alone[names[0]].append(condition)
        elif names:
            text = str(condition)
            if text not in found[names[0]]:
                found[names[0]].append(text)
    for name, conditions in alone.items():
        found[name] = _solved(conditions, name) + found[name]
    return found


def _solved(conditions: list[Condition], name: str) -> list[str]:
    if not conditions:
        return []
    solution = solve(conditions, name)
    if not solution.decided:
        return list(dict.fromkeys(str(c) for c in conditions))
    return [part for part in str(solution).split(" and ") if part and part != f"{name} >= 1"]
