"""The words that a reader of an SVG sees over a box, a row or a group: what it is, what it makes and costs, and where it is written."""

from __future__ import annotations

import math

from netspec.analyses.outline.model import Box, Group, View
from netspec.backends.diagram.escape import clean
from netspec.backends.diagram.figures import Figures, last_value
from netspec.backends.diagram.wording import call, count, share
from netspec.graph import Node, Origin


def titles(view: View, figures: Figures) -> dict[str, str]:
    """A text of several lines for every box, row and group, by id."""
    found: dict[str, str] = {}
    for number, box in enumerate(view.boxes):
        found[f"box-{number}"] = _box(view, figures, box)
        for place, node in enumerate(box.rows if box.kind == "layers" else ()):
            found[f"row-{number}-{place}"] = _layer(view, figures, node)
    for number, group in enumerate(view.groups):
        found[f"group-{number}"] = _group(view, figures, group)
    for number, link in enumerate(view.links):
        value = view.graph.values[link.shown]
        dtype = "" if value.dtype == "float32" else f"{value.dtype} "
        source, target = view.boxes[link.source].name, view.boxes[link.target].name
        found[f"link-{number}"] = _lines(f"{source} → {target}", f"{value.name}: {dtype}{figures.shape(link.shown, batch=True)}")
    return found


def _box(view: View, figures: Figures, box: Box) -> str:
    if box.kind in ("input", "output"):
        value = last_value(view, box)
        made = view.graph.values[value] if value is not None else None
        return _lines(f"{box.kind} {box.name}", f"{made.dtype} {figures.shape(value, batch=True)}" if made and value is not None else "")
    if len(box.rows) == 1 and box.repeat == 1:
        return _layer(view, figures, box.rows[0])
    value = last_value(view, box)
    shape = f"makes {figures.shape(value, batch=True)}" if value is not None else ""
    times = f" × {box.repeat}" if box.repeat > 1 else ""
    nodes = [view.graph.nodes[number] for number in box.nodes]
    where = view.graph.frames[box.frame].origin if box.frame is not None else None
    return _lines(f"{box.name}{times}", box.call, f"{len(nodes)} layers", shape, _costs(figures, box.nodes), _field(figures, value),
                  _where(where or (nodes[0].origin if nodes else None)))  # fmt: skip


def _layer(view: View, figures: Figures, number: int) -> str:
    node: Node = view.graph.nodes[number]
    value = node.outputs[0]
    shape = f"makes {figures.shape(value, batch=True)}"
    return _lines(node.name, call(node), shape, _costs(figures, (number,)), _field(figures, value), _where(node.origin))


def _group(view: View, figures: Figures, group: Group) -> str:
    times = f" × {group.repeat}" if group.repeat > 1 else ""
    steps = f"run by {group.steps}, once a step" if group.steps else ""
    where = view.graph.frames[group.frame].origin
    return _lines(f"{group.name}{times}", group.call, steps, f"{len(group.nodes)} layers", _costs(figures, group.nodes), _where(where))


def _costs(figures: Figures, nodes: tuple[int, ...]) -> str:
    found, whole = figures.cost(nodes), figures.total
    parts = [f"{count(found.parameters)} parameters ({share(found.parameters, whole.parameters)})"] if found.parameters else []
    parts += [f"{count(found.macs)} MACs ({share(found.macs, whole.macs)})"] if found.macs else []
    return ", ".join(parts)


def _field(figures: Figures, value: int | None) -> str:
    sizes = figures.field(value) if value is not None else {}
    told = ", ".join(f"{axis} {'all' if math.isinf(size) else int(size)}" for axis, size in sizes.items())
    return f"sees {told}" if told else ""


def _where(origin: Origin | None) -> str:
    return f"{origin.file}:{origin.line}" if origin is not None else ""


def _lines(*lines: str) -> str:
    return "\n".join(clean(line) for line in lines if line)
