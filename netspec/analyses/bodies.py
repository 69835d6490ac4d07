"""Nodes that run a graph of their own (`scan`), as frames of one graph: to who reads that, what is scanned is a block like any other.

The body's nodes stand before the node that runs them. Its own frame is called by that node alone.
"""

from __future__ import annotations

from typing import Any

from netspec.graph import Frame, Graph, Node, Port, Scope, Value, fresh
from netspec.record import record


@record
class Region:
    """The frame that a node runs, and the values that go into it and come out of it, in the order of the body's ports."""

    frame: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def with_bodies(graph: Graph) -> tuple[Graph, dict[int, Region]]:
    """The graph with the nodes of its bodies among its own, and the regions by the numbers of the nodes that run them, which
    store nothing themselves any more."""
    if not graph.bodies:
        return graph, {}
    splice = _Splice(graph)
    splice.add(graph, {n: n for n in range(len(graph.values))}, {n: n for n in range(len(graph.frames))})
    grown: dict[str, list[Any]] = {"values": splice.values, "nodes": splice.nodes, "scopes": splice.scopes, "frames": splice.frames}
    return graph.model_copy(update={**{name: tuple(found) for name, found in grown.items()}, "bodies": ()}), splice.regions


def flattened(graph: Graph) -> tuple[Graph, dict[tuple[str, int], int]]:
    """The same graph to compare with another: a node that runs a body also takes what the body puts out. And the bodies' inputs,
    by the node's name and their number."""
    flat, regions = with_bodies(graph)
    if not regions:
        return graph, {}
    nodes, inputs = list(flat.nodes), dict[tuple[str, int], int]()
    for number, region in regions.items():
        node = nodes[number]
        nodes[number] = node.model_copy(update={"inputs": (*node.inputs, *region.outputs)})
        inputs.update(((node.name, place), value) for place, value in enumerate(region.inputs))
    return flat.model_copy(update={"nodes": tuple(nodes)}), inputs


def runners(graph: Graph) -> dict[int, int]:
    """Of a graph with bodies among its own nodes: for each frame that is run once a step, the node that runs it.

    A body stands before its node, in a frame that is called as that node. One without nodes is not there.
    """
    found: dict[int, int] = {}
    for number, node in enumerate(graph.nodes):
        if node.op.NAME != "scan" or not number:
            continue
        frame: int | None = graph.nodes[number - 1].frame
        while frame is not None and graph.frames[frame].parent != node.frame:
            frame = graph.frames[frame].parent
        if frame is not None and graph.scopes[graph.frames[frame].scope].path == node.label:
            found[frame] = number
    return found


class _Splice:
    """One graph of a graph and its bodies, while it grows."""

    def __init__(self, graph: Graph) -> None:
        self.values: list[Value] = list(graph.values)
        self.scopes: list[Scope] = list(graph.scopes)
        self.frames: list[Frame] = list(graph.frames)
        self.nodes: list[Node] = []
        self.regions: dict[int, Region] = {}
        self._scope_of = {scope.path: number for number, scope in enumerate(graph.scopes)}
        self._weights = {weight.name: number for number, weight in enumerate(graph.weights)}
        self._names: set[str] = set()

    def add(self, graph: Graph, values: dict[int, int], frames: dict[int, int]) -> None:
        """Add the nodes of a graph whose values and frames are called so here."""
        for node in graph.nodes:
            region = None if node.body is None else self._region(graph.bodies[node.body], frames[node.frame])
            if region is not None:
                self.regions[len(self.nodes)] = region
            update = {
                "name": self._name(node.name),
                "inputs": tuple(values[n] for n in node.inputs),
                "outputs": tuple(values[n] for n in node.outputs),
                "weights": tuple(self._weights[graph.weights[w].name] for w in node.weights) if region is None else (),
                "frame": frames[node.frame],
                "body": None,
            }
            self.nodes.append(node.model_copy(update=update))

    def _region(self, body: Graph, around: int) -> Region:
        """Add a body: its values and frames get numbers of their own; its scopes those that they have, if it runs again."""
        values = {n: len(self.values) + n for n in range(len(body.values))}
        frames = {n: len(self.frames) + n for n in range(len(body.frames))}
        self.values.extend(body.values)
        scopes = [self._scope(scope, body, self.frames[around].scope) for scope in body.scopes]
        for number, frame in enumerate(body.frames):
            parent = around if number == 0 else frames[frame.parent]  # type: ignore[index]
            update = {
                "scope": scopes[frame.scope], "parent": parent,
                "inputs": _renumbered(frame.inputs, values), "outputs": _renumbered(frame.outputs, values),
            }  # fmt: skip
            self.frames.append(frame.model_copy(update=update))
        self.add(body, values, frames)
        ports = (tuple(values[port.value] for port in ports) for ports in (body.inputs, body.outputs))
        return Region(frames[0], *ports)

    def _name(self, name: str) -> str:
        """The name, or with a number where a body runs again."""
        return fresh(name, self._names)

    def _scope(self, scope: Scope, body: Graph, around: int) -> int:
        if scope.path not in self._scope_of:
            parent = around if scope.parent is None else self._scope_of[body.scopes[scope.parent].path]
            self._scope_of[scope.path] = len(self.scopes)
            self.scopes.append(scope.model_copy(update={"parent": parent}))
        return self._scope_of[scope.path]


def _renumbered(ports: tuple[Port, ...], values: dict[int, int]) -> tuple[Port, ...]:
    return tuple(port.model_copy(update={"value": values[port.value]}) for port in ports)
