"""Blocks of the spec as functions of the model, so that a viewer shows what the author wrote. Inlined it is the same network.

Every application of a block becomes one node that calls a function; blocks inside of it are functions that this one calls. Applications
that come to the same nodes with the same attributes share a function, for weights are handed in: data first, then sizes (which are
computed once, from the shapes of the network's inputs), then weights. Small constants are nodes inside. What cannot be a function
stays as it was: nodes whose call would need its own result, as when two blocks take turns.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import prod
from typing import Any

from netspec.backends.onnx import wire
from netspec.backends.onnx.blocks import Instance, Instances, Nodes
from netspec.backends.onnx.model import Attributes, Body, Constant, Function, OnnxModel, Operation
from netspec.graph import Graph, fresh
from netspec.record import record

#: The most elements of a constant that stands inside a function; a larger one is handed in, as weights are.
MOST_INSIDE = 64


def outline(model: OnnxModel, graph: Graph) -> OnnxModel:
    """The model with a function for every block of the graph that it was lowered from."""
    return _Outline(model, graph).run()


@record
class _Placed:
    """An operation and the instance of a block that it stands in."""

    operation: Operation
    home: Instance


class _Outline:
    """The functions of a model, while they are made."""

    def __init__(self, model: OnnxModel, graph: Graph) -> None:
        self.model, self.graph = model, graph
        self.nodes = Nodes(graph)
        self.domain = f"netspec.{graph.name}"
        self.constants = {constant.name: constant for constant in model.constants}
        self.stored = {tensor.name for tensor in model.weights}
        self.functions: dict[Any, Function] = {}
        self.node_names = {node.name for node in model.nodes}
        self.taken: set[str] = set()
        self.spelled: set[str] = set()

    def run(self) -> OnnxModel:
        """The model, its nodes put into functions."""
        nodes = self._level(self.model.nodes, [name for name, _ in self.model.outputs], self.graph)
        made = {name for node in nodes for name in node.outputs}
        read = {name for node in nodes for name in node.reads}
        return replace(
            self.model,
            nodes=nodes,
            values=[value for value in self.model.values if value[0] in made],
            constants=[constant for constant in self.model.constants if constant.name in read],
            domains=self.model.domains | ({self.domain} if self.functions else set()),
            functions=list(self.functions.values()),
        )

    # ----------------------------------------------------------------------------------------- a level: the model, a body
    def _level(self, nodes: Sequence[Operation], results: Sequence[str], graph: Graph) -> list[Operation]:
        """The nodes of the model or of a body with calls in place of what stands in blocks."""
        instances = Instances(self.nodes, graph)
        placed = [_Placed(node, instances.of(node)) for node in nodes]
        placed = [replace(one, operation=self._inside(one.operation)) for one in placed]
        for depth in range(max((one.home.depth for one in placed), default=0), 0, -1):
            placed = self._contracted(placed, depth, results)
        return [one.operation for one in placed]

    def _inside(self, operation: Operation) -> Operation:
        """An operation whose body was gone through."""
        body = operation.body
        place = self.nodes.place(operation.node) if body is not None and operation.node is not None else None
        if body is None or place is None or operation.node.body is None:  # type: ignore[union-attr]
            return operation
        graph = place[0].bodies[operation.node.body]  # type: ignore[union-attr]
        nodes = self._level(body.nodes, [name for name, _ in body.outputs], graph)
        return replace(operation, body=replace(body, nodes=tuple(nodes)))

    def _contracted(self, placed: list[_Placed], depth: int, results: Sequence[str]) -> list[_Placed]:
        """The same with one call for each instance of this depth; what cannot be called stands in the instance around it."""
        groups: dict[int, list[int]] = {}
        for number, one in enumerate(placed):
            if one.home.depth == depth:
                groups.setdefault(id(one.home), []).append(number)
        clusters = _ordered(placed, groups)
        readers = Counter(name for one in placed for name in set(one.operation.reads))
        readers.update(results)
        found: list[_Placed] = []
        for cluster in clusters:
            home = placed[cluster[0]].home
            if home.depth != depth:
                found.append(placed[cluster[0]])
                continue
            assert home.parent is not None
            members = [placed[number].operation for number in cluster]
            called = [self._call(members, home, readers)] if id(home) in groups else members
            found += (_Placed(operation, home.parent) for operation in called)
        return found

    # ------------------------------------------------------------------------------------------------------- one function
    def _call(self, members: list[Operation], home: Instance, readers: Counter[str]) -> Operation:
        """A call in place of these nodes; its function is written unless there is an equal one."""
        inner = Counter(name for node in members for name in set(node.reads))
        made = [name for node in members for name in node.outputs if name]
        ports = self._ports(home)
        order = list(ports)
        outputs = sorted((n for n in made if readers[n] > inner[n]), key=lambda n: order.index(n) if n in ports else len(order))
        inside, inputs = self._reads(members, set(made), ports)
        block = _Block(home, inputs, tuple(outputs), [*inside, *members], ports)
        key = home.scope.definition, block.signature()
        function = self.functions.get(key)
        if function is None:
            function = self.functions[key] = self._function(block, home.scope.definition or home.scope.label)
        label = fresh(home.scope.path, self.node_names, "_")
        origin = home.frame.origin or home.scope.origin
        return Operation(function.name, inputs, tuple(outputs), label, domain=self.domain, origin=origin)

    def _ports(self, home: Instance) -> dict[str, str]:
        """What the block calls the values that go in and come out. (The steps of a scan that is written out have values of their own.)"""
        if home.graph is not self.graph and home.frame is home.graph.frames[0]:
            return {}
        return {home.graph.values[port.value].name: port.name for port in (*home.frame.outputs, *home.frame.inputs)}

    def _function(self, block: _Block, wanted: str) -> Function:
        """The nodes as a function with a name that is free. (onnxruntime inlines nodes under both names in one, which must differ.)"""
        while True:
            function = block.function(self.domain, fresh(wanted, self.taken, "_"))
            spelled = {function.name + node.name for node in function.nodes}
            if spelled.isdisjoint(self.spelled):
                self.spelled |= spelled
                return function

    def _reads(self, members: list[Operation], made: set[str], ports: dict[str, str]) -> tuple[list[Operation], tuple[str, ...]]:
        """What the nodes read and do not make: small constants as nodes, and all else in the order of a function's inputs."""
        read = [name for name in dict.fromkeys(name for node in members for name in node.reads) if name and name not in made]
        inside = [n for n in read if n in self.constants and prod(self.constants[n].shape) <= MOST_INSIDE]
        order = list(ports)

        def rank(name: str) -> tuple[int, int]:
            if name in self.stored or name in self.constants:
                return 2, 0
            if name.startswith("size/"):
                return 1, 0
            return 0, order.index(name) if name in ports else len(order)

        given = sorted((name for name in read if name not in set(inside)), key=rank)
        return [_constant(self.constants[name]) for name in inside], tuple(given)


def _constant(constant: Constant) -> Operation:
    value = wire.tensor(None, constant.dtype, constant.shape, constant.raw)
    return Operation("Constant", (), (constant.name,), constant.name, Attributes((("value", value),)))


class _Block:
    """The nodes of one application of a block, under names of their own: `layer1.0.conv1` is `conv1` in there."""

    def __init__(
        self, home: Instance, inputs: tuple[str, ...], outputs: tuple[str, ...], nodes: list[Operation], ports: dict[str, str]
    ) -> None:
        self.home, self.inputs, self.outputs, self.nodes, self.ports = home, inputs, outputs, nodes, ports
        self._names: dict[str, str] = {"": ""}
        self._taken: set[str] = set()

    def function(self, domain: str, name: str) -> Function:
        """The nodes as a function."""
        inputs = tuple(map(self._name, self.inputs))
        labels: set[str] = set()
        nodes = tuple(replace(node, name=fresh(node.name, labels, "_")) for node in map(self._renamed, self.nodes))
        return Function(domain, name, inputs, tuple(map(self._name, self.outputs)), nodes, self.home.scope.doc)

    def _name(self, name: str) -> str:
        if name not in self._names:
            self._names[name] = fresh(self.ports.get(name) or self._short(name), self._taken)
        return self._names[name]

    def _short(self, name: str) -> str:
        path = self.home.scope.path
        return name[len(path) + 1 :] if path and name.startswith((f"{path}.", f"{path}/")) else name

    def _renamed(self, node: Operation) -> Operation:
        body = node.body
        if body is not None:
            body = Body(
                self._short(body.name), tuple(map(self._renamed, body.nodes)),
                tuple((self._name(name), kind) for name, kind in body.inputs),
                tuple((self._name(name), kind) for name, kind in body.outputs),
            )  # fmt: skip
        names = tuple(map(self._name, node.inputs)), tuple(map(self._name, node.outputs))
        return replace(node, inputs=names[0], outputs=names[1], name=self._short(node.name), body=body)

    def signature(self) -> tuple[Any, ...]:
        """What applications with one function have in common: all but names."""
        numbers: dict[str, int] = {"": -1}

        def number(name: str) -> int:
            return numbers.setdefault(name, len(numbers))

        inputs = tuple(map(number, self.inputs))
        nodes = _signature(self.nodes, number)
        return inputs, nodes, tuple(map(number, self.outputs))


def _signature(nodes: Iterable[Operation], number: Any) -> tuple[Any, ...]:
    found = []
    for node in nodes:
        body = node.body
        inside = None
        if body is not None:
            inside = _ports(body.inputs, number), _signature(body.nodes, number), _ports(body.outputs, number)
        names = tuple(map(number, node.inputs)), tuple(map(number, node.outputs))
        found.append((node.domain, node.op_type, node.attributes.encoded, *names, inside))
    return tuple(found)


def _ports(ports: Iterable[tuple[str, Any]], number: Any) -> tuple[Any, ...]:
    return tuple((number(name), kind) for name, kind in ports)


# ------------------------------------------------------------------------------------------------------------------- order
def _ordered(placed: Sequence[_Placed], groups: dict[int, list[int]]) -> list[list[int]]:
    """The operations in an order in which each group stands together, others alone: behind all that it reads, else as before.

    A group for which there is no such order is taken out of `groups`: the widest first, the one with most that is not its own
    between its ends.
    """
    while True:
        clusters = [*groups.values()]
        grouped = {number for group in clusters for number in group}
        clusters += ([number] for number in range(len(placed)) if number not in grouped)
        order = _sorted(placed, clusters)
        if len(order) == len(clusters):
            return order
        done = {cluster[0] for cluster in order}
        stuck = [key for key, group in groups.items() if group[0] not in done]
        widest = max(stuck, key=lambda key: groups[key][-1] - groups[key][0] + 1 - len(groups[key]))
        del groups[widest]


def _sorted(placed: Sequence[_Placed], clusters: Sequence[list[int]]) -> list[list[int]]:
    """The clusters, each behind those that it reads, as near to the order of their last operations as can be; those that wait for
    one another are left out."""
    home = {number: place for place, cluster in enumerate(clusters) for number in cluster}
    maker = {name: home[number] for number, one in enumerate(placed) for name in one.operation.outputs if name}
    waits: list[set[int]] = [set() for _ in clusters]
    feeds: list[set[int]] = [set() for _ in clusters]
    for number, one in enumerate(placed):
        here = home[number]
        for name in one.operation.reads:
            source = maker.get(name, here)
            if source != here:
                waits[here].add(source)
                feeds[source].add(here)
    missing = [len(one) for one in waits]
    ready = [(clusters[place][-1], place) for place in range(len(clusters)) if not missing[place]]
    heapq.heapify(ready)
    found = []
    while ready:
        _, place = heapq.heappop(ready)
        found.append(clusters[place])
        for other in feeds[place]:
            missing[other] -= 1
            if not missing[other]:
                heapq.heappush(ready, (clusters[other][-1], other))
    return found
