"""What holds of every comparison, on random networks and random changes of them."""

from __future__ import annotations

import random
import re
from functools import cache

import pytest

from netspec.analyses.diff import Difference, diff
from netspec.api import compile
from netspec.graph import Graph
from netspec.source import Source
from tests.differential.networks import Network, network

SEEDS = range(12)


@cache
def drawn(seed: int) -> Network:
    return network(seed)


def changed(text: str, rng: random.Random) -> str:
    """A network with another number, operator or statement in it, wherever that happens to be."""
    numbers = list(re.finditer(r"(?<=[( ])\d+(?=[,)])", text))
    layers = list(re.finditer(r"-> (relu|gelu|tanh|elu|identity)\b", text))
    kind = rng.choice(["number", "activation", "insert", "remove"])
    if kind == "number" and numbers:
        m = rng.choice(numbers)
        return text[: m.start()] + str(int(m[0]) + rng.choice((1, 2))) + text[m.end() :]
    if layers and kind != "insert":
        m = rng.choice(layers)
        return text[: m.start()] + (rng.choice(("-> softplus", "-> mish")) if kind == "activation" else "-> identity") + text[m.end() :]
    m = rng.choice(list(re.finditer(r"x\d+ ->", text)) or [re.search(r"$", text)])  # type: ignore[list-item]
    return text[: m.end()] + " sin ->" * bool(m[0]) + text[m.end() :]


def variant(seed: int, draw: int) -> Graph:
    """A valid change of a network; the network itself, if none of twenty is valid."""
    rng = random.Random(f"{seed} {draw}")
    for _ in range(20):
        text = drawn(seed).text
        for _ in range(rng.choice((1, 1, 2, 3))):
            text = changed(text, rng)
        graph = compile(Source("random.net", text)).graph
        if graph is not None:
            return graph
    return drawn(seed).graph


def facts(graph: Graph) -> object:
    """What a network is, apart from labels, sizes' names and wiring."""
    return (
        [(type(n.op), [getattr(n.op, f) for f in type(n.op).model_fields]) for n in graph.nodes],
        [(w.name, w.shape, w.dtype, w.init) for w in graph.weights],
    )


def total(difference: Difference, side: str) -> int:
    return sum(len(p.layers) for p in getattr(difference, side))


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_differs_from_itself(seed: int) -> None:
    one, two = drawn(seed), compile(Source("again.net", drawn(seed).text + "\n# the same\n")).graph
    assert two is not None
    difference = diff(one.graph, two)
    assert difference.same, difference
    assert not difference.net and not difference.blocks and difference.checkpoint.fitting == len(two.weights)


@pytest.mark.parametrize("seed", SEEDS)
def test_changes_are_seen_and_are_symmetric(seed: int) -> None:
    old = drawn(seed).graph
    for draw in range(3):
        new = variant(seed, draw)
        there, back = diff(old, new), diff(new, old)
        if facts(old) != facts(new):
            assert not there.same and not back.same
        assert total(there, "added") == total(back, "removed") and total(there, "removed") == total(back, "added")
        assert len(old.nodes) - total(there, "removed") == len(new.nodes) - total(there, "added")
        assert {s.name for s in there.checkpoint.missing} == {s.name for s in back.checkpoint.unexpected}
        assert there.checkpoint.fitting == back.checkpoint.fitting and len(there.changed) == len(back.changed)
        assert sorted((r.old, r.new) for r in there.renamed) == sorted((r.new, r.old) for r in back.renamed)
        assert str(there) and there.json() == diff(old, new).json()


@pytest.mark.parametrize("seed", SEEDS[::2])
def test_two_networks_that_have_nothing_to_do_with_each_other(seed: int) -> None:
    old, new = drawn(seed).graph, drawn(seed + 1).graph
    there, back = diff(old, new), diff(new, old)
    assert there.same == back.same == (facts(old) == facts(new))
    assert total(there, "added") == total(back, "removed") and total(there, "removed") == total(back, "added")
    assert str(there) and str(back)
