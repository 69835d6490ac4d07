"""Which layers of a network a node of onnxruntime's graph is.

onnxruntime rewrites the graph that it is given. A node mostly keeps the name of one that went into it, or of what that puts out, with
something before or behind (`fused fc`, `layer1.0.relu1_nchwc`: a convolution that has taken in its normalization and activation).
Some get names of their own (`BiasGelu_token_3`); those are found by their place: between the layers before and behind them, with
their output's shape. What is then left of the network's layers has gone into a node beside it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from netspec.analyses.cost.layers import LayerCost
from netspec.graph import Graph
from netspec.record import record
from netspec.runtime.profile_events import Call

#: Operators that only move data about: where onnxruntime has put one in, it is no layer's.
_MOVES = frozenset({
    "Cast", "Concat", "Expand", "Gather", "Identity", "MemcpyFromHost", "MemcpyToHost", "ReorderInput", "ReorderOutput", "Reshape", "Shape",
    "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze",
})  # fmt: skip
#: Operators that do multiply-adds, by what their names hold.
_HEAVY = re.compile(r"Conv|Gemm|MatMul|LSTM|GRU|RNN|Attention|Einsum")
_SIZES = "size/"
#: What onnxruntime puts around names: before those whose element type it has raised, behind those whose layout it has changed.
_AROUND = re.compile(r"^InsertedPrecisionFreeCast_|(_nchwc|_token_\d+)+$")
#: How onnxruntime begins the names of nodes that it has written out itself: of the model's functions, and of operators of ONNX that
#: it knows as functions of others alone.
INLINED = "_inlfunc_"


@record
class Share:
    """The layers (numbers of nodes, the one that computes most first) that some calls (numbers of calls) are."""

    layers: tuple[int, ...]
    calls: tuple[int, ...]


def shares(
    graph: Graph, calls: Sequence[Call], costs: Sequence[LayerCost], shapes: Sequence[tuple[int, ...]], plain: bool = True
) -> tuple[list[Share], list[int]]:
    """The calls of a run by layer, in the order in which they first ran; and those calls that are no layer's.

    `graph` has its bodies among its own nodes; `costs` are those of its nodes, `shapes` those of its values, at the sizes of the run.
    Where the model has functions that are not written out (`plain` is false), their nodes are of layers inside of blocks, but which
    they are cannot be told: those layers that are named nowhere are then of no share.
    """
    found = _Attribution(graph, calls, costs, shapes, plain)
    found.by_name()
    found.by_place()
    found.heads()
    found.rest()
    return found.result()


class _Attribution:
    """Who is whose. `calls_of` are the calls of each layer that has any; `home` is the layer with calls that a layer went into;
    `hidden` are the layers that may be nodes without a name that tells."""

    def __init__(
        self, graph: Graph, calls: Sequence[Call], costs: Sequence[LayerCost], shapes: Sequence[tuple[int, ...]], plain: bool
    ) -> None:  # fmt: skip
        self.graph, self.calls, self.costs, self.shapes, self.plain = graph, calls, costs, shapes, plain
        self.hidden = {number for number, node in enumerate(graph.nodes) if not plain and node.frame}
        self.calls_of: dict[int, list[int]] = {}
        self.home: dict[int, int] = {}
        self.without: list[int] = []
        maker = {value: number for number, node in enumerate(graph.nodes) for value in node.outputs}
        self.before = [[maker[v] for v in dict.fromkeys(node.inputs) if v in maker] for node in graph.nodes]
        self.behind: list[list[int]] = [[] for _ in graph.nodes]
        for number, makers in enumerate(self.before):
            for one in makers:
                self.behind[one].append(number)

    def by_name(self) -> None:
        """Calls whose names tell."""
        nodes, values = self.graph.nodes, self.graph.values
        names = {values[v].name: number for number, node in enumerate(nodes) for v in node.outputs}
        maker = {v: number for number, node in enumerate(nodes) for v in node.outputs}
        names.update((port.name, maker[port.value]) for port in self.graph.outputs if port.value in maker)
        names.update((node.name, number) for number, node in enumerate(nodes))
        for number, call in enumerate(self.calls):
            layer = _named(call.node, names)
            if layer is None:
                self.without.append(number)
            else:
                self._claim(layer, number)

    def by_place(self) -> None:
        """Calls whose names do not: the layer that makes such a tensor, and lies between what ran before and what runs after."""
        left = []
        for number in self.without:
            call = self.calls[number]
            unknown = call.op_type in _MOVES or call.node.startswith(_SIZES if self.plain else (_SIZES, INLINED))
            layer = self._between(number) if call.shapes and not unknown else None
            if layer is None:
                left.append(number)
            else:
                self._claim(layer, number)
        self.without = left

    def heads(self) -> None:
        """A convolution under the name of its activation has taken in what stands between the two."""
        for layer, numbers in list(self.calls_of.items()):
            if self.costs[layer].macs or not any(_HEAVY.search(self.calls[n].op_type) for n in numbers):
                continue
            chain = self._back_to_head(layer)
            self.home.update((one, layer) for one in chain)

    def rest(self) -> None:
        """Other layers without a call went into the one before them that ran last, or else into the one behind."""
        for number in range(len(self.graph.nodes)):
            if number not in self.home and number not in self.hidden:
                homes = [self.home[one] for one in self.before[number] if one in self.home]
                if homes:
                    self.home[number] = max(homes, key=lambda layer: self.calls_of[layer][-1])
        for number in reversed(range(len(self.graph.nodes))):
            if number not in self.home and number not in self.hidden:
                homes = [self.home[one] for one in self.behind[number] if one in self.home]
                if homes:
                    self.home[number] = min(homes, key=lambda layer: self.calls_of[layer][0])

    def result(self) -> tuple[list[Share], list[int]]:
        """The layers with their calls."""
        members: dict[int, list[int]] = {layer: [] for layer in self.calls_of}
        for number, layer in sorted(self.home.items()):
            members[layer].append(number)
        found = []
        for layer, numbers in sorted(self.calls_of.items(), key=lambda item: item[1][0]):
            head = max(members[layer], key=lambda one: (self.costs[one].macs, one == layer))
            found.append(Share((head, *(one for one in members[layer] if one != head)), tuple(numbers)))
        return found, self.without

    def _claim(self, layer: int, call: int) -> None:
        self.calls_of.setdefault(layer, []).append(call)
        self.calls_of[layer].sort()
        self.home[layer] = layer

    def _between(self, call: int) -> int | None:
        """The layer without calls that fits a call best: the last of those in the narrowest stretch."""
        nodes = self.graph.nodes
        low, high = [-1] * len(nodes), [len(self.calls)] * len(nodes)
        for number in range(len(nodes)):
            low[number] = max((self.calls_of[one][-1] if one in self.calls_of else low[one] for one in self.before[number]), default=-1)
        for number in reversed(range(len(nodes))):
            nexts = (self.calls_of[one][0] if one in self.calls_of else high[one] for one in self.behind[number])
            high[number] = min(nexts, default=len(self.calls))
        fits = [
            number
            for number, node in enumerate(nodes)
            if number not in self.home
            and number not in self.hidden
            and low[number] < call < high[number]
            and self.shapes[node.outputs[0]] == self.calls[call].shapes[0]
        ]
        return min(fits, key=lambda number: (high[number] - low[number], -number), default=None)

    def _back_to_head(self, layer: int) -> list[int]:
        """The layers on the way back to the nearest that multiplies, if none of them has calls of its own; nothing otherwise."""
        before: dict[int, int] = {}
        row = [layer]
        while row:
            following = []
            for number in row:
                for one in self.before[number]:
                    if one in self.home or one in before or one in self.hidden:
                        continue
                    before[one] = number
                    if self.costs[one].macs:
                        chain = [one]
                        while before[chain[-1]] != layer:
                            chain.append(before[chain[-1]])
                        return chain
                    following.append(one)
            row = following
        return []


def bare_name(name: str) -> str:
    """A node's name without what onnxruntime has put before and behind it."""
    return _AROUND.sub("", name.rsplit(" ", 1)[-1])


def _named(name: str, names: Mapping[str, int]) -> int | None:
    """The layer whose name is part of a node's: without what comes before a blank, and ever less of what is behind it."""
    if name.startswith(_SIZES):
        return None
    text = bare_name(name)
    while text:
        if text in names:
            return names[text]
        text = text[: max(text.rfind("/"), text.rfind("_"), 0)]
    return None
