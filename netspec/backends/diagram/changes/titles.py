"""The words over the parts of a picture of two networks: names in both, what changed, shapes, and where it is written."""

from __future__ import annotations

from collections.abc import Iterator

from netspec.analyses.diff.overlay import Overlay
from netspec.analyses.diff.union import Status
from netspec.analyses.outline.model import Box, Group
from netspec.backends.diagram.changes.words import Words, mark_text
from netspec.backends.diagram.escape import clean
from netspec.backends.diagram.wording import call

#: what is said of each
WORDS: dict[Status, str] = {
    "added": "added",
    "removed": "removed",
    "changed": "changed",
    "follows": "follows in shape",
    "same": "unchanged",
}
_LINKS = {"added": "new link", "removed": "lost link", "same": "link"}
#: how many changes of a box are listed
_MOST = 12


def titles(overlay: Overlay, words: Words) -> dict[str, str]:
    """A text of several lines for every box, row, group and link, by id."""
    found: dict[str, str] = {}
    view = overlay.view
    for number, box in enumerate(view.boxes):
        found[f"box-{number}"] = _box(overlay, words, number, box)
        for place, node in enumerate(box.rows):
            found[f"row-{number}-{place}"] = _lines(*_layer(words, node))
    for number, group in enumerate(view.groups):
        found[f"group-{number}"] = _group(words, group, overlay.groups[number])
    for number, link in enumerate(view.links):
        tensor = f"{view.graph.values[link.value].name}: {words.figures.shape(link.value, batch=True)}"
        found[f"link-{number}"] = _lines(_LINKS[overlay.links[number]], tensor)
    return found


def _box(overlay: Overlay, words: Words, number: int, box: Box) -> str:
    status = overlay.boxes[number]
    if box.kind in ("input", "output"):
        values = box.takes or box.gives
        shape = words.figures.shape(values[0], batch=True) if values else ""
        return _lines(f"{WORDS[status]} {box.kind} {box.name}", shape)
    if len(box.nodes) == 1 and box.rows:
        return _lines(*_layer(words, box.nodes[0]))
    times = f" × {box.repeat}" if box.repeat > 1 else ""
    return _lines(
        f"{box.name}{times}: {WORDS[status]}", box.call, words.count(box.nodes), words.was(box.nodes, box.frame), *_inside(words, box)
    )


def _inside(words: Words, box: Box) -> list[str]:
    """What became of the layers of a box that shows no rows, a line each."""
    if box.rows:
        return []
    marks, graph = words.union.marks, words.union.graph
    told = [
        f"{WORDS[marks[n].status]} {graph.nodes[n].name.removeprefix('-')}{': ' * bool(changes)}{', '.join(changes)}"
        for n in box.nodes
        if marks[n].status in ("added", "removed", "changed")
        for changes in [words.changes(n) if marks[n].status == "changed" else []]
    ]
    return told if len(told) <= _MOST else [*told[:_MOST], f"and {len(told) - _MOST} more"]


def _layer(words: Words, number: int) -> Iterator[str]:
    mark = words.union.marks[number]
    node, graph = words.node(number)
    yield f"{node.name}: {WORDS[mark.status]}"
    yield call(node)
    yield from mark_text(mark)
    shape = words.figures.shape(words.union.graph.nodes[number].outputs[0], batch=True)
    yield f"makes {shape}"
    parameters = words.parameters((number,))
    yield f"{parameters:,} parameters" if parameters else ""
    yield f"{node.origin.file}:{node.origin.line}" if node.origin is not None else ""


def _group(words: Words, group: Group, status: Status) -> str:
    times = f" × {group.repeat}" if group.repeat > 1 else ""
    steps = f"run by {group.steps}, once a step" if group.steps else ""
    return _lines(f"{group.name}{times}: {WORDS[status]}", group.call, steps, words.count(group.nodes), words.was(group.nodes, group.frame))


def _lines(*lines: str) -> str:
    return "\n".join(clean(line) for line in lines if line)
