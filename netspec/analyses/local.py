"""Where a network starts to see everything: the last layer whose receptive field still has ends."""

from __future__ import annotations

from netspec.analyses.field import Fields
from netspec.graph import Node


def last_local(found: Fields, value: int) -> tuple[Node, Node] | None:
    """The last node before `value` that does not see a whole axis of an input, and the first one after it that does: `layer4.2.relu3` and
    `avgpool` of a residual network. None where the value has ends itself, or nothing before it has."""
    if not _whole(found, value):
        return None
    made = {output: node for node in found.closed.graph.nodes for output in node.outputs}
    before, waiting = set(), [value]
    while waiting:
        number = waiting.pop()
        if number in made and number not in before:
            before.add(number)
            waiting.extend(made[number].inputs)
    local = [node for node in found.closed.graph.nodes if before & {*node.outputs} and _local(found, node.outputs[0])]
    if not local:
        return None
    last = local[-1]
    after = (node for node in found.closed.graph.nodes if {*last.outputs} & {*node.inputs} and before & {*node.outputs})
    return last, next(after)


def _whole(found: Fields, value: int) -> bool:
    tracks = [track for axes in found.of(value).values() for track in axes.values()]
    return bool(tracks) and all(track.whole for track in tracks)


def _local(found: Fields, value: int) -> bool:
    tracks = [track for axes in found.of(value).values() for track in axes.values()]
    return bool(tracks) and not any(track.whole for track in tracks)
