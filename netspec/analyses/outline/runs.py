"""Layers that belong together: a convolution with its normalization and its activation is one box with three rows.

A run is a chain of layers, each the only one that takes what the one before it makes, with at most one layer that does the work
(its head). Normalizations and activations go with the head before them; where they stand before their head, as in networks with
pre-activation, with the one behind them.
"""

from __future__ import annotations

from collections.abc import Sequence

from netspec.analyses.outline.tree import Tree

#: what goes with a head, and what goes with anything
_LIGHT, _NEUTRAL = frozenset({"norm", "activation", "regularizer"}), frozenset({"reshape", "io"})
#: the most rows of a box
_LONGEST = 6


def joins(tree: Tree, number: int) -> bool:
    """Whether a layer puts several tensors together elementwise: what is drawn as a circle with its sign."""
    node = tree.graph.nodes[number]
    return bool(getattr(node.op, "SIGN", "")) and len(node.inputs) > 1


def merges(tree: Tree, run: Sequence[int]) -> bool:
    """Whether a box does nothing but put several tensors together."""
    node = tree.graph.nodes[run[0]]
    return len(run) == 1 and type(node.op).FAMILY == "merge" and len(node.inputs) > 1


def runs(tree: Tree, frame: int) -> list[tuple[int, ...]]:
    """The layers that stand directly in a block, put together in runs, in the order of their first ones."""
    if frame not in tree.runs:
        chains = _chains(tree, [part.nodes[0] for part in tree.parts[frame] if part.frame is None])
        tree.runs[frame] = sorted((run for chain in chains for run in _cut(tree, chain)), key=lambda run: run[0])
    return tree.runs[frame]


def _chains(tree: Tree, layers: Sequence[int]) -> list[list[int]]:
    """Maximal chains: every layer but the first takes one tensor, that of the one before it, which nobody else takes."""
    own, chains, chain_of = set(layers), list[list[int]](), dict[int, list[int]]()
    for number in layers:
        before = _before(tree, number)
        chain = chain_of.get(before) if before in own and before is not None else None
        if chain is None:
            chain = []
            chains.append(chain)
        chain.append(number)
        chain_of[number] = chain
    return chains


def _before(tree: Tree, number: int) -> int | None:
    """The layer that a layer goes on from, if it takes that one's only output, and nothing else does."""
    inputs = tree.inputs(number)
    if len(inputs) != 1 or joins(tree, number):
        return None
    before = tree.producers.get(inputs[0])
    if before is None or joins(tree, before) or len(tree.graph.nodes[before].outputs) > 1 or len(tree.uses[inputs[0]]) > 1:
        return None
    return before


def _cut(tree: Tree, chain: list[int]) -> list[tuple[int, ...]]:
    found: list[list[int]] = []
    headed = led = False  # whether the run has its head, and whether light layers stood before it
    for place, number in enumerate(chain):
        kind = _kind(tree, number)
        starts = not found or len(found[-1]) == _LONGEST
        if kind == "head":
            starts = starts or headed
        elif kind == "light":
            starts = starts or headed and led and any(_kind(tree, later) == "head" for later in chain[place:])
        if starts:
            found.append([])
            headed = led = False
        led = led or kind == "light" and not headed
        headed = headed or kind == "head"
        found[-1].append(number)
    return [tuple(run) for run in found]


def _kind(tree: Tree, number: int) -> str:
    node = tree.graph.nodes[number]
    family = type(node.op).FAMILY
    if family in _LIGHT:
        return "light"
    return "neutral" if family in _NEUTRAL or family == "merge" and len(node.inputs) == 1 else "head"
