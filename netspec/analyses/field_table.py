"""Receptive fields as text: a table of axes, and below it what a table cannot say (phases, holes, joins that do not fit)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

from netspec.analyses.columns import Column, lay_out
from netspec.analyses.effective import EffectiveField
from netspec.analyses.field import AxisField, Fields, Misalignment, Phase, axis_name, uneven
from netspec.graph import Graph, Node, Value
from netspec.record import record
from netspec.sizes.dim import names, show

#: up to this size a field is drawn position by position
_DRAWN = 72
#: of more joins that do not fit, the first are shown
_JOINS = 5


@record
class Sight:
    """One axis of one input as seen from an output or layer."""

    name: str
    field: AxisField
    effective: EffectiveField

    @property
    def cells(self) -> tuple[str, ...]:
        """Size, stride, padding, from, to, covered, narrowest path, effective."""
        seen, within = self.field, self.effective.within()
        most = f"within {within}" if within else "none"
        if math.isinf(seen.size):
            return "all", "", "", "0", str(seen.length - 1), "100 %", _size(seen.least), most
        covered = f"{100 * seen.coverage:.3g} %"
        size = f"≤ {seen.size}" if seen.approximate else str(seen.size)
        return size, str(seen.stride), str(seen.padding), str(seen.start), str(seen.end), covered, _size(seen.least), most


def field_text(label: str, value: Value, sights: Sequence[Sight], joins: Sequence[str], width: int = 100) -> str:
    """The table of one output or layer with its remarks."""
    shape = ", ".join(str(s) if isinstance(s, int) else show(s) for s in value.shape)
    moving = [s for s in sights if s.field.along is not None]
    places = ", ".join(str(s.field.position) for s in _once(moving))
    lines = [f"{label} [{shape}]{f', seen from position {places}' if places else ''}"]
    if not sights:
        return "\n".join([*lines, "  no axis of an input has positions to see"])
    rows = [(", ".join(s.name for s in group), group[0]) for group in _alike(sights)]
    headings = ("size", "stride", "padding", "from", "to", "covered", "least", "68 % of gradient")
    columns = [Column("axis", tuple(name for name, _ in rows))]
    for place, heading in enumerate(headings):
        columns.append(Column(heading, tuple(sight.cells[place] for _, sight in rows), right=True))
    lines += lay_out(columns, width)
    told: dict[str, list[str]] = {}
    for name, sight in rows:
        for remark in remarks(sight.field):
            told.setdefault(remark, []).append(name)
    lines += [f"  {', '.join(names)}: {remark}" for remark, names in told.items()]
    return "\n".join([*lines, *joins])


def remarks(seen: AxisField) -> list[str]:
    """What is peculiar about a field, a line each."""
    found = []
    if len({(p.size, p.coverage) for p in seen.phases}) > 1:
        found.append(_phases(seen.phases))
    if seen.holes:
        found.append(_holes(seen))
    if seen.approximate:
        found.append("a bound: tensors that stand one behind the other see different stretches")
    return found


def joins_text(found: Fields, value: int) -> list[str]:
    """The joins on the way to a value whose paths differ in stride or centre, a line each."""
    wanted = _before(found, value)
    nodes = found.closed.graph.nodes
    kinds: dict[tuple[int, str], list[Misalignment]] = {}
    for join in found.misaligned:
        if wanted & {*nodes[join.node].outputs}:
            kinds.setdefault((join.node, _disagreement(join)), []).append(join)
    lines = []
    for (node, words), several in list(kinds.items())[:_JOINS]:
        axes = ", ".join(dict.fromkeys(axis_name(found.closed.graph.values[j.input], j.axis) for j in several))
        lines.append(f"  out of alignment: {place(nodes[node])} joins {words} along {axes}")
    return [*lines, f"  … and {len(kinds) - _JOINS} more joins out of alignment"] if len(kinds) > _JOINS else lines


def overlaps_text(graph: Graph, value: int) -> list[str]:
    """The transposed convolutions on the way to a value that overlap unevenly, a line each."""
    lines = []
    for node, counts in uneven(graph, value):
        axes: dict[tuple[int, ...], list[str]] = {}
        for axis, of in counts.items():
            size = graph.values[node.outputs[0]].shape[axis]
            axes.setdefault(of, []).append(", ".join(sorted(names(size))) or f"axis {axis}")
        along = "; ".join(f"{', '.join(map(str, of))} inputs in turn along {', '.join(those)}" for of, those in axes.items())
        lines.append(f"  checkerboard: {place(node)} sums {along}")
    return lines


def place(node: Node) -> str:
    """A layer and where it is written: `add3 (line 12)`."""
    return f"{node.name} (line {node.origin.line})" if node.origin else node.name


def _disagreement(join: Misalignment) -> str:
    kind, numbers = ("steps", join.strides) if len({*join.strides}) > 1 else ("centres", join.centres)
    texts = list(dict.fromkeys(f"{float(n):g}" for n in numbers))
    return f"paths with {kind} {', '.join(texts[:-1])} and {texts[-1]}"


def _before(found: Fields, value: int) -> set[int]:
    """The value and all that it is made of."""
    wanted = {value}
    for node in reversed(found.closed.graph.nodes):
        if wanted & {*node.outputs}:
            wanted.update(node.inputs)
    return wanted


def _size(size: float) -> str:
    return "all" if math.isinf(size) else str(int(size))


def _once(sights: Sequence[Sight]) -> list[Sight]:
    """One for each axis of the value that moves a field."""
    return list({s.field.along: s for s in reversed(sights)}.values())[::-1]


def _alike(sights: Sequence[Sight]) -> list[list[Sight]]:
    """Axes that see the same, together."""

    def facts(sight: Sight) -> object:
        seen = sight.field
        return sight.cells, seen.position, seen.holes, seen.phases, seen.along is None

    return [list(group) for _, group in groupby(sights, key=facts)]


def _phases(phases: Sequence[Phase]) -> str:
    """`188 at positions 0 to 3 of each 16, 204 at the others`."""
    same_size = len({p.size for p in phases}) == 1
    kinds: dict[str, list[int]] = {}
    for phase in phases:
        text = f"{100 * phase.coverage:.3g} % covered" if same_size else str(phase.size) if phase.size else "nothing"
        kinds.setdefault(text, []).append(phase.index)
    ordered = sorted(kinds.items(), key=lambda kind: len(kind[1]))
    parts = [f"{text} at {_runs(where)} of each {len(phases)}" for text, where in ordered[:1]]
    parts += [f"{text} at {_runs(where)}" for text, where in ordered[1:-1]]
    return ", ".join([*parts, f"{ordered[-1][0]} at the others"])


def _runs(indices: Sequence[int]) -> str:
    """`positions 0 to 3 and 8`."""
    found = []
    for _, group in groupby(enumerate(indices), key=lambda pair: pair[1] - pair[0]):
        inside = [index for _, index in group]
        found.append(str(inside[0]) if len(inside) == 1 else f"{inside[0]} to {inside[-1]}")
    words = found[0] if len(found) == 1 else f"{', '.join(found[:-1])} and {found[-1]}"
    return f"position{'s' if len(indices) > 1 else ''} {words}"


def _holes(seen: AxisField) -> str:
    """The field drawn, with a dot where a position does not count; in words where it is long."""
    missing = sum(map(len, seen.holes))
    words = f"{missing} of {seen.size} positions do not reach it"
    if seen.size > _DRAWN:
        return words
    drawn = ["█"] * int(seen.size)
    for hole in seen.holes:
        drawn[hole.start : hole.stop] = "·" * len(hole)
    return f"{''.join(drawn)}  {words}"
