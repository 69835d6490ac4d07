"""Layers without weights, matched by what they stand between.

A `concat2` says little of itself: its label is a number, and it computes what every other `concat` does. What it joins and what
takes its result tell which one of the other network it is. Whatever stores weights, or has a label without a number, stays as
it was matched; the rest of each block is matched again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

from netspec.analyses.diff.align import align
from netspec.analyses.diff.matching import IN_BLOCK, Matching
from netspec.analyses.diff.tree import Item
from netspec.graph import Graph

#: How many neighbours on one side are looked at.
_MOST = 8

#: What a layer stands between: places of neighbours in the second network, and on which side they are.
Neighbours = frozenset[tuple[str, int, int]]


def settle(old: Graph, new: Graph, first: Item, second: Item, matching: Matching, ports: dict[int, int]) -> Matching:
    """The matching with layers that only their neighbours tell apart matched by these. `ports` are inputs' values."""
    left, right = _loose(old, first), _loose(new, second)
    loose = {x.node for group in left.values() for x in group}, {y.node for group in right.values() for y in group}
    fixed = {a: b for a, b in matching.nodes.items() if a not in loose[0] and b not in loose[1]}
    before = _surroundings(old, fixed, ports)
    after = _surroundings(new, {b: b for b in fixed.values()}, {b: b for b in ports.values()})
    nodes = dict(matching.nodes)
    taken = {b: a for a, b in nodes.items()}
    for (scope, kind), group in left.items():
        others = right.get((matching.scopes.get(scope, -1), kind), [])
        here, there = {x.node for x in group}, {y.node for y in others}
        group = [x for x in group if x.node not in nodes or nodes[x.node] in there]
        others = [y for y in others if y.node not in taken or taken[y.node] in here]
        for x in group:
            nodes.pop(x.node, None)  # type: ignore[arg-type]
        nodes.update((x.node, y.node) for x, y in _paired(group, others, before, after))  # type: ignore[misc]
    return Matching(nodes, matching.scopes)


def _loose(graph: Graph, root: Item) -> dict[tuple[int, str], list[Item]]:
    """The layers without weights whose labels are numbers, by block and operator."""
    found: dict[tuple[int, str], list[Item]] = defaultdict(list)
    waiting = [root]
    while waiting:
        block = waiting.pop()
        for child in block.children:
            if child.node is None:
                waiting.append(child)
            elif child.positional and not graph.nodes[child.node].weights:
                found[block.scope, child.kind].append(child)  # type: ignore[index]
    return found


def _surroundings(graph: Graph, fixed: dict[int, int], ports: dict[int, int]) -> Callable[[Item], Neighbours]:
    """For each layer, the nearest fixed ones before it, input by input, and after it."""
    above: list[frozenset[int]] = [frozenset((-1 - ports[n],)) if n in ports else frozenset() for n in range(len(graph.values))]
    for number, node in enumerate(graph.nodes):
        reached = frozenset((fixed[number],)) if number in fixed else _some(above[n] for n in node.inputs)
        for n in node.outputs:
            above[n] = reached
    below: list[frozenset[int]] = [frozenset()] * len(graph.values)
    for number in range(len(graph.nodes) - 1, -1, -1):
        node = graph.nodes[number]
        reached = frozenset((fixed[number],)) if number in fixed else _some(below[n] for n in node.outputs)
        for n in node.inputs:
            below[n] = _some((below[n], reached))

    def around(item: Item) -> Neighbours:
        node = graph.nodes[item.node]  # type: ignore[index]
        before = {("before", index, n) for index, value in enumerate(node.inputs) for n in above[value]}
        return frozenset(before | {("after", index, n) for index, value in enumerate(node.outputs) for n in below[value]})

    return around


def _some(sets: Iterable[frozenset[int]]) -> frozenset[int]:
    joined = frozenset[int]().union(*sets)
    return joined if len(joined) <= _MOST else frozenset(sorted(joined)[:_MOST])


def _paired(
    first: list[Item], second: list[Item], before: Callable[[Item], Neighbours], after: Callable[[Item], Neighbours]
) -> list[tuple[Item, Item]]:
    """Layers of one operator: those that share most neighbours first, then the rest in order."""
    index: dict[object, list[int]] = defaultdict(list)
    for j, y in enumerate(second):
        for neighbour in after(y):
            index[neighbour].append(j)
    shared: dict[tuple[int, int], int] = defaultdict(int)
    for i, x in enumerate(first):
        for neighbour in before(x):
            for j in index[neighbour][:_MOST]:
                shared[i, j] += 1

    def rank(pair: tuple[int, int]) -> object:
        x, y = first[pair[0]], second[pair[1]]
        return -shared[pair], x.signature != y.signature, x.label != y.label, min(pair), max(pair)

    pairs: dict[int, int] = {}
    gone: set[int] = set()
    for i, j in sorted(shared, key=rank):  # type: ignore[arg-type]
        if i not in pairs and j not in gone:
            pairs[i] = j
            gone.add(j)
    rest = [i for i in range(len(first)) if i not in pairs], [j for j in range(len(second)) if j not in gone]
    pairs.update((rest[0][i], rest[1][j]) for i, j in align([first[i] for i in rest[0]], [second[j] for j in rest[1]], IN_BLOCK))
    return [(first[i], second[j]) for i, j in pairs.items()]
