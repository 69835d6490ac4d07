"""What the analyses know, gathered for figures."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping

from netspec.analyses.effective import effective_at
from netspec.analyses.field import AxisField, Fields, fields, fields_by_input, value_of
from netspec.analyses.field.report import At
from netspec.analyses.local import last_local
from netspec.analyses.summary import summarize
from netspec.backends.plot.field_figure import AxisView, FieldView, save_field_views
from netspec.backends.plot.joint import joint_mass
from netspec.backends.plot.summary_figure import SummaryPoint, save_summary_points
from netspec.diagnostics.model import Refusal
from netspec.graph import Graph

#: of more outputs a figure shows the first
MOST = 6


def save_field_figure(
    graph: Graph, path: str | os.PathLike[str], of: str | None = None, at: At = None, sizes: Mapping[str, int] | None = None
) -> None:  # fmt: skip
    """Draw the receptive field of every output, or of the layer `of`, as seen from position `at`: its exact coverage, and the
    effective field at initialization. An output that sees everything is shown at the last layer that does not.

    The file ends in `.png`, `.svg` or `.pdf`. Raises `Refusal`: as `receptive_field`; NS015 for another end of the name, NS025
    where no input has positions to see, NS020.
    """
    found = fields(graph, sizes)
    labels = [of] if of is not None else [port.name for port in graph.outputs][:MOST]
    views = [view for label in labels if (view := _view(graph, found, label, at, sizes)) is not None]
    if not views:
        raise Refusal("NS025", f"no axis of an input of {graph.name} has positions to see", status=2)
    save_field_views(path, views)


def _view(graph: Graph, found: Fields, label: str, at: At, sizes: Mapping[str, int] | None) -> FieldView | None:
    """What to draw of an output or layer, on the last two axes of the input that it sees most of; None where it sees none."""
    border, note = last_local(found, value_of(graph, label)), ""
    if border is not None:
        note = f" ({label} sees everything from {border[1].label} on)"
        label = border[0].name
    by_input = fields_by_input(graph, label, at, sizes)[label]
    seen = max(by_input.values(), key=lambda axes: max((f.size for f in axes.values()), default=-1), default={})
    if not seen:
        return None
    chosen, value = list(seen.items())[-2:], value_of(graph, label)
    axes = tuple(_axis(found, value, name, field) for name, field in chosen)
    places = {field.along: str(field.position) for _, field in chosen if field.along is not None}
    where = f"seen from position {', '.join(places.values())}{note}" if places else f"seen from everywhere{note}"
    mass = None
    if len(chosen) == 2:
        (_, rows), (_, columns) = chosen
        source = next(p.value for p in graph.inputs if p.name == rows.input)
        mass = joint_mass(found, source, (rows.axis, columns.axis), value, (rows.position, columns.position))
    return FieldView(f"{graph.name}: {label}", "\n".join([where, *_below(chosen, axes)]), axes, mass)


def _below(seen: list[tuple[str, AxisField]], axes: tuple[AxisView, ...]) -> list[str]:
    """One line for each axis, or for both where they are alike."""
    names: dict[str, list[str]] = {}
    for (name, field), axis in zip(seen, axes):
        whole = math.isinf(field.size)
        size = "everything" if whole else f"{field.end - field.start + 1} in steps of {field.stride}, {100 * field.coverage:.3g} % covered"
        names.setdefault(f"{size}; 68 % of the gradient within {axis.within}", []).append(name)
    return [f"{', '.join(several)}: {text}" for text, several in names.items()]


def _axis(found: Fields, value: int, name: str, field: AxisField) -> AxisView:
    effective = effective_at(found, value, field)
    if math.isinf(field.size):
        start, end, covered = 0, field.length - 1, (range(field.length),)
    else:
        start, end, covered = int(field.start), int(field.end), _runs(field)
    return AxisView(name, field.length, start, end, covered, effective.mass, effective.within())


def _runs(field: AxisField) -> tuple[range, ...]:
    """What is between the holes."""
    start, found = int(field.start), []
    for hole in field.holes:
        found.append(range(start, int(field.start) + hole.start))
        start = int(field.start) + hole.stop
    found.append(range(start, int(field.end) + 1))
    return tuple(run for run in found if len(run))


def save_summary_figure(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Draw what each layer costs and sees, and the signals at initialization, from the first layer to the last.

    The file ends in `.png`, `.svg` or `.pdf`. Raises `Refusal`: NS015 for another end of the name, NS020.
    """
    summary = summarize(graph)
    points = [
        SummaryPoint(
            row.label, row.parameters, row.macs, row.cost.bytes, max(seen.values(), default=None), signal.second, signal.gradient
        )
        for row, seen, signal in zip(summary.rows, summary.seen, summary.signals)
    ]  # fmt: skip
    sizes = ", ".join(f"{name} = {value}" for name, value in summary.typical)
    below = f"{summary.parameters:,} parameters, {summary.macs:,} multiply-accumulates{f' at {sizes}' if sizes else ''}"
    save_summary_points(path, points, graph.name, below)
