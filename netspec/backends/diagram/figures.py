"""The numbers in a picture: what boxes cost, how large tensors are, how far a layer sees. Each is worked out once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from netspec.analyses.cost import batch_sizes
from netspec.analyses.cost.layers import LayerCost, at_every_step, together
from netspec.analyses.cost.storage import storages
from netspec.analyses.cost.typed import typed
from netspec.analyses.field import Fields, fields
from netspec.analyses.outline.model import Box, Link, View
from netspec.analyses.outline.tree import call
from netspec.backends.diagram.look import Look
from netspec.graph import Graph, Node
from netspec.sizes.dim import Dim, Size, names, show, substitute

#: networks of more layers are drawn without what has to be followed through the whole network
_FOLLOWED = 4000


class Figures:
    """Numbers of a network at chosen sizes, for one example. What a scan runs is counted at every step, in the layers that it runs."""

    def __init__(self, graph: Graph, look: Look) -> None:
        self.graph, self._look = graph, look
        self._batch = frozenset(batch_sizes(graph))
        self._sizes: dict[str, Size] = {n: v for n, v in {**graph.typical, **look.typical}.items() if n not in self._batch}
        self._shown: dict[Size, str] = {}

    # ------------------------------------------------------------------------------------------------------------ costs
    @cached_property
    def layers(self) -> tuple[LayerCost, ...]:
        """The cost of each layer of the graph."""
        chosen = {**self.graph.typical, **dict.fromkeys(self._batch, 1)}
        chosen |= {name: value for name, value in self._look.typical.items() if name in chosen}
        at = typed(self.graph, chosen)
        return tuple(at_every_step(self.graph, at, storages(self.graph, at.types)))

    def cost(self, nodes: Iterable[int]) -> LayerCost:
        """The cost of several layers together."""
        return together([self.layers[number] for number in nodes])

    @cached_property
    def total(self) -> LayerCost:
        """The cost of the whole network."""
        return together(self.layers)

    # ------------------------------------------------------------------------------------------------------------ calls
    @cached_property
    def _constant(self) -> dict[str, set[str]]:
        """Of each definition that has several instances, the arguments that all of them are given alike."""
        given: dict[str, list[tuple[tuple[str, Any], ...]]] = {}
        for scope in self.graph.scopes:
            given.setdefault(scope.definition, []).append(scope.arguments)
        return {
            name: {pair[0] for pair in calls[0] if all(pair in call for call in calls)} for name, calls in given.items() if len(calls) > 1
        }

    def call(self, frame: int) -> str:
        """A block as one would write it, without the arguments that say nothing: those that each of its kind is given alike."""
        scope = self.graph.scopes[self.graph.frames[frame].scope]
        alike = self._constant.get(scope.definition, set())
        return call(self.graph, frame, alike if len(alike) < len(scope.arguments) else ())

    # ----------------------------------------------------------------------------------------------------------- shapes
    def shape(self, value: int, batch: bool = False) -> str:
        """A tensor's shape: `64×112×112`; with the batch in front `N×64×112×112`."""
        sizes = self.graph.values[value].shape
        if not batch and sizes and self._is_batch(sizes[0]):
            sizes = sizes[1:]
        return "×".join(map(self._size, sizes)) or "scalar"

    def sizes(self, value: int) -> list[int | None]:
        """The sizes of a tensor, the batch's at its typical value; None for those that are not known."""
        at: Mapping[str, Size] = {**self.graph.typical, **self._look.typical}
        found = (substitute(size, at) if isinstance(size, Dim) else size for size in self.graph.values[value].shape)
        return [size if isinstance(size, int) else None for size in found]

    def _is_batch(self, size: Size) -> bool:
        return isinstance(size, Dim) and names(size) <= self._batch and str(size) in self._batch

    def _size(self, size: Size) -> str:
        if isinstance(size, int):
            return str(size)
        if size not in self._shown:
            found = size if self._look.sizes == "symbolic" else substitute(size, self._sizes)
            self._shown[size] = str(found) if isinstance(found, int) else _factor(show(found).replace(" * ", "·"))
        return self._shown[size]

    # --------------------------------------------------------------------------------------------------- receptive fields
    @cached_property
    def fields(self) -> Fields | None:
        """Receptive fields; None for a very large network."""
        return fields(self.graph) if len(self.graph.nodes) <= _FOLLOWED else None

    def field(self, value: int) -> Mapping[str, float]:
        """What a position of a value sees, along each axis of the inputs, `inf` for all; empty where nothing is known."""
        return self.fields.size(value) if self.fields is not None else {}

    def field_text(self, value: int) -> str:
        """`RF 43`, `RF 43×11`; empty where a whole axis is seen, or nothing but the position itself."""
        sizes = list(self.field(value).values())
        if not sizes or any(map(math.isinf, sizes)) or max(sizes) <= 1:
            return ""
        whole = [str(int(size)) for size in sizes]
        return f"RF {whole[0] if len(set(whole)) == 1 else '×'.join(whole)}"


def sized_links(view: View) -> frozenset[int]:
    """The links of which only the size matters: what `resize(like = x)` and `crop(like = x)` take of `x`."""
    return frozenset(number for number, link in enumerate(view.links) if link.course != "loop" and _only_size(view, link))


def _only_size(view: View, link: Link) -> bool:
    graph = view.graph
    takers = [graph.nodes[row] for row in view.boxes[link.target].rows if link.value in graph.nodes[row].inputs]
    return bool(takers) and all(_looks_at_size(graph, node, link.value) for node in takers)


def _looks_at_size(graph: Graph, node: Node, value: int) -> bool:
    if not type(node.op).TENSOR_ARGUMENTS or node.inputs[0] == value:
        return False
    looks = node.op.reach(graph.types(node.inputs), graph.types(node.outputs))
    places = [place for place, number in enumerate(node.inputs) if number == value]
    return not any(look.inputs[place] for look in looks for place in places if place < len(look.inputs))


def last_value(view: View, box: Box) -> int | None:
    """The value that a box makes: the last that others take of it, or of its last layer; what comes out at an output."""
    if box.gives:
        return box.gives[-1]
    if box.kind == "output":  # what a step of a scan gives goes in, what all steps give comes out
        ports = (port.value for port in view.graph.outputs if port.name == box.name and not view.only)
        return next(ports, box.takes[0] if box.takes else None)
    nodes = box.rows or box.nodes
    return view.graph.nodes[nodes[-1]].outputs[0] if nodes else None


def _factor(text: str) -> str:
    """An expression as a factor: in brackets, if it is a sum or a quotient."""
    return f"({text})" if any(mark in text for mark in "+-/%") else text
