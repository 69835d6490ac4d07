"""What a change of layers comes to for the network as a whole: cost, memory, receptive field, valid sizes."""

from __future__ import annotations

import math
from typing import Any

from netspec.analyses.constraints import constraints
from netspec.analyses.diff.model import Consequence
from netspec.analyses.diff.tree import Renamed
from netspec.analyses.field import receptive_field
from netspec.analyses.summary import summarize
from netspec.graph import Graph


def consequences(old: Graph, new: Graph, sizes: Renamed, outputs: Renamed) -> tuple[Consequence, ...]:
    """All of them, also those that did not change. `sizes` and `outputs` are the first network's names with the second's."""
    before, after = summarize(old), summarize(new)
    numbers = [Consequence(n, "", getattr(before, n), getattr(after, n)) for n in ("parameters", "macs", "activation_bytes")]
    numbers.append(Consequence("training_bytes", "", before.cost.memory.training, after.cost.memory.training))
    return (*numbers, *_fields(old, new, sizes, outputs), *_constraints(old, new, sizes))


def _fields(old: Graph, new: Graph, sizes: Renamed, outputs: Renamed) -> list[Consequence]:
    """The receptive field of each output along each axis, as positions (`all`: the whole axis)."""
    before = {
        f"{outputs.get(port, port)} {sizes.get(axis, axis)}": _extent(field)
        for port, axes in receptive_field(old).items()
        for axis, field in axes.items()
    }
    after = {f"{port} {axis}": _extent(field) for port, axes in receptive_field(new).items() for axis, field in axes.items()}
    names = dict.fromkeys([*before, *after])
    return [Consequence("receptive_field", name, before.get(name), after.get(name)) for name in names]


def _extent(field: Any) -> int | str:
    return "all" if math.isinf(field.size) else int(field.size)


def _constraints(old: Graph, new: Graph, sizes: Renamed) -> list[Consequence]:
    """What each open size must satisfy: `H % 16 == 0 and H >= 16`; None where the network has no such size."""
    from netspec.analyses.diff.words import rename

    before = {sizes.get(n, n): [rename(c, sizes) for c in found] for n, found in constraints(old).items()}
    after = constraints(new)
    names = dict.fromkeys([*before, *after])
    return [Consequence("constraints", n, _joined(before.get(n)), _joined(after.get(n))) for n in names]


def _joined(conditions: list[str] | None) -> str | None:
    return None if conditions is None else " and ".join(conditions) or "any"
