"""Chains of layers that make a signal explode or vanish, and the initializer that would hold it.

Layers, activations and merges multiply; pools, shapes and resolutions do not count (a mean over 49 positions has a 49th of the
variance whatever the weights); a norm starts a new chain forwards, but not backwards. Backwards the squared norm of the whole
gradient counts, not that of an element: a layer from 512 units to 10 is no loss.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from netspec.analyses.signal.activation import CURVES, curve_of, rectifier, respond
from netspec.analyses.signal.moments import Moments
from netspec.analyses.signal.rule import Effect
from netspec.graph import Graph, Node
from netspec.record import draft, record

if TYPE_CHECKING:
    from netspec.analyses.signal.paths import Paths
    from netspec.analyses.signal.result import Signal, Signals

#: by what a chain may multiply a second moment
LIMIT = 1e3

_NORMS = frozenset(("batch_norm", "instance_norm", "group_norm", "layer_norm", "rms_norm"))
_LAYERS = frozenset(("conv", "conv_transpose", "local_conv", "linear", "weight_norm", "spectral_norm"))
_MERGES = frozenset(("add", "sub", "mul", "div", "maximum", "minimum", "concat", "stack", "neg"))
_CURVES = frozenset((*CURVES, "prelu", "glu", "maxout"))
_GATES = frozenset(("sigmoid", "hard_sigmoid"))
_SHAPES = frozenset(("identity", "flatten", "reshape", "permute", "squeeze", "unsqueeze", "expand"))
_DROPOUTS = frozenset(("dropout", "channel_dropout", "alpha_dropout", "drop_path"))
_PASSING = frozenset(("identity", "max_pool", "flatten", "reshape", "permute")) | _NORMS | _DROPOUTS


@record
class Problem:
    """A chain from layer `first` to layer `last` (names of nodes, in the network's order) that multiplies by `factor`.

    `kind` forward: the second moment behind `last` over that before `first`. backward: the squared norm of the gradient before
    `first` over that behind `last`. `layers` counts those with weights; `node` is the one that the advice is about, `initializer`
    what it should start with (empty where that is not the cure).
    """

    kind: str
    first: str
    last: str
    factor: float
    layers: int
    node: str
    initializer: str
    advice: str


@record
class Link:
    """A step of a chain: the node, the logarithm of the signal behind it since the chain began, the link before (the strongest
    where there are several), and the highest and lowest link so far."""

    node: int
    level: float
    before: int | None
    low: int
    high: int


def factors(graph: Graph, paths: "Paths", values: Sequence["Signal"]) -> dict[str, tuple[float, float]]:
    """(forward, backward) factor of every layer, with the activation behind it. Layers with a norm behind them have none: it
    takes their scale away."""
    found: dict[str, tuple[float, float]] = {}
    for index, node in enumerate(graph.nodes):
        effect = paths.effects[index]
        if node.op.NAME not in _LAYERS or effect is None or effect.energy is None:
            continue
        after, normed = _behind(graph, paths.consumers, node)
        if normed:
            continue
        backward = effect.energy
        last = node
        if after is not None:
            gain = paths.effects[after]
            if gain is None or gain.gains[0] is None:
                continue
            backward, last = backward * gain.gains[0], graph.nodes[after]
        one, two = values[node.inputs[0]].second, values[last.outputs[0]].second
        if one and two is not None:
            found[node.name] = (two / one, backward)
    return found


def _behind(graph: Graph, consumers: dict[int, list[tuple[int, int]]], node: Node) -> tuple[int | None, bool]:
    """The activation behind a layer, if nothing but norms, pools, noise and shapes stands between; and whether a norm does."""
    normed = False
    for _ in range(8):
        following = consumers.get(node.outputs[0], [])
        if len(following) != 1:
            return None, normed
        index = following[0][0]
        node = graph.nodes[index]
        if node.op.NAME in _CURVES:
            return index, normed
        if node.op.NAME not in _PASSING:
            return None, normed
        normed = normed or node.op.NAME in _NORMS
    return None, normed


# ----------------------------------------------------------------------------------------------------------------- advice
def fitting(graph: Graph, name: str) -> str:
    """The initializer that holds the second moment at 1 through a layer and the activation behind it; empty for a node that has
    no weights to draw. It is the inverse root of E f² for a unit normal: sqrt(2) for `relu`, which is `he_normal`."""
    index = next((i for i, node in enumerate(graph.nodes) if node.name == name), None)
    if index is None:
        raise KeyError(name)
    node = graph.nodes[index]
    if node.op.NAME == "embedding":
        return "normal(std = 1)"
    if node.op.NAME not in _LAYERS:
        return ""
    consumers: dict[int, list[tuple[int, int]]] = {}
    for i, other in enumerate(graph.nodes):
        for position, number in enumerate(other.inputs):
            consumers.setdefault(number, []).append((i, position))
    after, _ = _behind(graph, consumers, node)
    return _fitting(graph.nodes[after]) if after is not None else "lecun_normal"


def _fitting(activation: Node) -> str:
    op = activation.op
    if op.NAME == "relu":
        return "he_normal"
    if op.NAME in ("leaky_relu", "prelu"):
        return f"he_normal(a = {getattr(op, 'negative_slope', 0.25):g})"
    if op.NAME == "selu":
        return "lecun_normal"
    if op.NAME == "tanh":
        return "xavier_normal(gain = tanh)"
    second = _unit_response(activation)
    return f"he_normal(gain = {1 / math.sqrt(second):.4g})" if second > 0 else "lecun_normal"


def _unit_response(activation: Node) -> float:
    """E f² for a unit normal."""
    from netspec.analyses.signal.pool_rules import maximum

    op, unit = activation.op, Moments()
    if op.NAME == "maxout":
        return maximum(rectifier(1.0), unit, op.pieces)[0].second
    if op.NAME == "glu":
        return respond(CURVES["sigmoid"](None), unit).second
    second = respond(curve_of(op), unit).second
    return second if math.isfinite(second) else 0.0


# ----------------------------------------------------------------------------------------------------------------- chains
def problems(found: "Signals") -> "tuple[Problem, ...]":
    """The worst chain of each kind and direction that does not lie within a worse one, in the order of the network."""
    forward = _Chain(found, "forward", _forward_links(found))
    backward = _Chain(found, "backward", _backward_links(found))
    order = {node.name: index for index, node in enumerate(found.graph.nodes)}
    return tuple(sorted((*forward.problems(), *backward.problems()), key=lambda p: (p.kind, order[p.first])))


def _forward_links(found: "Signals") -> dict[int, Link]:
    """The link of every node of known moments, by the node's number."""
    links: dict[int, Link] = {}
    producer = {out: index for index, node in enumerate(found.graph.nodes) for out in node.outputs}
    for index, node in enumerate(found.graph.nodes):
        after = found.values[node.outputs[0]].second
        before = [(found.values[i].second or 0.0, i) for i in node.inputs]
        strongest, number = max(before, default=(0.0, -1))
        if not after or strongest <= 0 or node.op.NAME in _NORMS:
            continue
        step = math.log(after / strongest) if node.op.NAME in _LAYERS | _CURVES | _MERGES else 0.0
        links[index] = _linked(links, index, producer.get(number), step)
    return links


def _linked(links: dict[int, Link], index: int, previous: int | None, step: float) -> Link:
    """The link behind `previous`, or the first of a chain, at level 0 before its step."""
    last = links.get(previous) if previous is not None else None
    return _placed(links, index, previous, step if last is None else last.level + step)


def _level(links: dict[int, Link], index: int) -> float:
    return links[index].level if index >= 0 else 0.0


def _backward_links(found: "Signals") -> dict[int, Link]:
    """The same from the outputs on: a node's link is for the squared norm of the gradient before it, through its strongest
    consumer. Logarithms all along: ten thousand layers leave the range of numbers. What computes a gate is a chain of its own: its
    gradient is small beside that of what it gates, and meant to be."""
    graph = found.graph
    links: dict[int, Link] = {}
    total: dict[int, float] = {port.value: 0.0 for port in graph.outputs}
    via: dict[int, tuple[float, int | None]] = {port.value: (0.0, None) for port in graph.outputs}
    for index in range(len(graph.nodes) - 1, -1, -1):
        node, effect = graph.nodes[index], found.effects[index]
        strongest = max(node.outputs, key=lambda o: total.get(o, -math.inf))
        if effect is None or strongest not in total:
            continue
        behind, largest = total[strongest], -math.inf
        for position, number in enumerate(node.inputs):
            share = _handed(node, effect, position, found)
            if not 0 < share < math.inf:
                continue
            handed = behind + math.log(share)
            largest = max(largest, handed)
            total[number] = _log_sum(total[number], handed) if number in total else handed
            if handed > via.get(number, (-math.inf, None))[0]:
                via[number] = (handed, index)
        if largest > -math.inf:
            following = via[strongest][1]
            if node.op.NAME in _GATES and _multiplies(graph, links, following):
                links[index] = Link(index, largest, None, index, index)
            else:
                links[index] = _placed(links, index, following, largest)
    return links


def _multiplies(graph: Graph, links: dict[int, Link], index: int | None) -> bool:
    """Whether a node is a product, or only moves what goes into one."""
    while index is not None and graph.nodes[index].op.NAME in _SHAPES:
        index = links[index].before
    return index is not None and graph.nodes[index].op.NAME == "mul"


def _log_sum(one: float, two: float) -> float:
    """`log(exp one + exp two)`."""
    high, low = max(one, two), min(one, two)
    return high + math.log1p(math.exp(low - high))


def _placed(links: dict[int, Link], index: int, previous: int | None, level: float) -> Link:
    """A link at a level. Of a chain's start the level is 0, which counts as an extreme (link -1)."""
    last = links.get(previous) if previous is not None else None
    if last is None:
        return Link(index, level, None, index if level < 0 else -1, index if level > 0 else -1)
    low = index if level < _level(links, last.low) else last.low
    high = index if level > _level(links, last.high) else last.high
    return Link(index, level, previous, low, high)


def _handed(node: Node, effect: Effect, position: int, found: "Signals") -> float:
    """What an input receives of the squared norm of the gradient behind a node."""
    if effect.energy is not None:
        return effect.energy
    if node.op.NAME in ("concat", "stack"):
        sizes = [found.elements(i) for i in node.inputs]
        return sizes[position] / sum(sizes)
    if node.op.NAME in _CURVES | _NORMS | _MERGES or node.op.NAME == "matmul":
        gain = effect.gains[position] if position < len(effect.gains) else None
        copies = found.elements(node.outputs[0]) / max(found.elements(node.inputs[position]), 1)
        return gain / copies if gain is not None else 0.0
    return 1.0 if position == 0 else 0.0


@draft
class _Chain:
    """The links of one direction, and the problems in them."""

    found: "Signals"
    kind: str
    links: dict[int, Link]

    def problems(self) -> list[Problem]:
        """The worst first; then those that share no layer with a worse one."""
        worst: dict[tuple[int, bool], tuple[float, int]] = {}
        for index, link in self.links.items():
            for start, grows in ((link.low, True), (link.high, False)):
                change = abs(link.level - _level(self.links, start))
                known, end = worst.get((start, grows), (math.log(LIMIT), None))
                if change > known + 1e-9 or (
                    end == link.before and end is not None and change > known - 1e-9 and self._op(index) in _LAYERS
                ):
                    worst[(start, grows)] = (change, index)
        taken: set[int] = set()
        made = []
        for (start, grows), (change, end) in sorted(worst.items(), key=lambda item: -item[1][0])[:16]:
            path = self._path(start, end)
            layers = [i for i in path if self._op(i) in _LAYERS]
            if len(layers) > 1 and not taken & set(layers):  # one layer is no chain
                taken |= set(layers)
                made.append(self._problem(path, layers, change if grows else -change))
        return made

    def _op(self, index: int) -> str:
        return str(self.found.graph.nodes[index].op.NAME)

    def _path(self, start: int, end: int) -> list[int]:
        """The nodes behind link `start` up to link `end`, in the direction of the chain."""
        path: list[int] = []
        index: int | None = end
        while index is not None and index != start:
            path.append(index)
            index = self.links[index].before
        return path[::-1]

    def _problem(self, path: list[int], layers: list[int], change: float) -> Problem:
        graph = self.found.graph
        first, last = min(layers), max(layers)
        factor = math.exp(min(max(change, -700.0), 700.0))
        worst = max(layers, key=lambda i: self._deviation(graph.nodes[i].name, change > 0))
        name = graph.nodes[worst].name
        text, initializer = self._advice(name, [self._op(i) for i in path], change > 0)
        return Problem(self.kind, graph.nodes[first].name, graph.nodes[last].name, factor, len(layers), name, initializer, text)

    def _deviation(self, name: str, grows: bool) -> float:
        """The logarithm by which a layer, with its activation, multiplies in the direction of the chain."""
        pair = self.found.factors.get(name)
        value = pair[self.kind == "backward"] if pair else 1.0
        return (1 if grows else -1) * math.log(value) if value > 0 else 0.0

    def _advice(self, name: str, path: list[str], grows: bool) -> tuple[str, str]:
        """The cure: for branches that add up, weaker ones; else another initializer where the layers themselves multiply."""
        if grows and path.count("add") > 1:
            if _NORMS & set(path):
                return "every branch adds its gradient: start the scale of the last norm of each branch with zeros", "zeros"
            return "every branch adds its signal: start the last layer of each branch with zeros, or put a norm in it", "zeros"
        if _NORMS & set(path):
            return "a norm and an activation multiply the gradient at every layer: add skip connections, or use fewer norms", ""
        if self._deviation(name, grows) > math.log(1.1):
            initializer = fitting(self.found.graph, name)
            if initializer in self._started(name):  # no fixed point at 1, as of silu: what fits one layer drifts over many
                return f"{name} starts with what fits one layer already: put a norm between, or use fewer layers", ""
            return f"start {name} with {initializer}, and the layers like it", initializer
        return "no layer alone does it: put a norm between, or use fewer layers", ""

    def _started(self, name: str) -> set[str]:
        """The initializers of a layer's tensors, as they are written."""
        graph = self.found.graph
        node = next(node for node in graph.nodes if node.name == name)
        return {str(graph.weights[number].init) for number in node.weights}
