"""Exact fields against the gradient, position by position: shipped specs, random networks, and the published numbers.

`NETSPEC_LONG=1` asks for every output position of every shipped network and for ten times as many random ones.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

import pytest
import torch

from netspec.analyses.field import reaching
from netspec.api import Net, load, loads
from netspec.diagnostics.model import Refusal
from tests.analyses.gradient import Gradient
from tests.analyses.random_fields import random_fields
from tests.shipped import daily

LONG = bool(os.environ.get("NETSPEC_LONG"))
#: random networks, in groups that run apart
GROUPS, IN_GROUP = 8, 400 if LONG else 45
#: heights to try in turn: longer than most fields, then the valid ones of networks that are particular
HEIGHTS = (640, 236, 224, 64)
#: as narrow as a network allows
WIDTHS = (1, 2, 8, 16, 29, 32, 188)
#: from here on every position sees everything
GLOBAL = {"adaptive_avg_pool", "adaptive_max_pool", "global_avg_pool", "global_max_pool", "flatten", "mean", "linear"}


#: one call of torch for many products, or no gradient: the oracle has no linear form of them
FUSED = {"argmax", "rnn", "gru", "lstm", "multihead_attention"}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small tensors are slower on several threads, and much slower where the cores are shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _exact(net: Net, value: int, positions: list[int], axis: int, sizes: dict[str, int]) -> list[set[int]]:
    source = net.graph.inputs[0].value
    found = [reaching(net.graph, value, {axis: position}, sizes) for position in positions]
    return [set(f[source][axis]) if source in f else set() for f in found]


def _differences(wanted: list[set[int]], found: list[set[int]], positions: list[int]) -> list[str]:
    return [
        f"position {p}: torch sees {sorted(a - b)[:20]} besides, and not {sorted(b - a)[:20]}"
        for p, a, b in zip(positions, wanted, found)
        if a != b
    ]


# ---------------------------------------------------------------------------------------------------- shipped networks
def _spatial(spec: str) -> bool:
    """Whether gradients tell what a network sees: a position, as `argmax` gives it, has none, and neither has an index of a table;
    a body is run in steps that have no linear form (`test_scan` holds what they reach against true gradients). Volumes take
    minutes each: the examples of the operators have them."""
    graph = load(spec).graph
    first = graph.values[graph.inputs[0].value]
    without = any(node.op.NAME in FUSED or node.body is not None for node in graph.nodes)
    return len(first.shape) in (3, 4) and first.dtype.startswith("float") and graph.nodes[0].op.NAME not in GLOBAL and not without


CONVOLUTIONAL = [spec for spec in daily("gradient") if _spatial(spec)]
#: of the deep families one is enough for every day
DEEP = (
    "densenet161",
    "densenet169",
    "densenet201",
    "resnet101",
    "resnet152",
    "resnet200",
    "resnet110",
    "resnet44",
    "resnet56",
    "vgg11",
    "vgg13",
)


def _last_layer(net: Net, modules: set[str]) -> tuple[str, int]:
    """The last layer with a module before everything is seen, and its value."""
    found = ("", 0)
    for node in net.graph.nodes:
        if node.op.NAME in GLOBAL:
            break
        if node.label in modules and len(net.graph.values[node.outputs[0]].shape) > 2:
            found = (node.label, node.outputs[0])
    return found


def _sizes(net: Net, gradient: Gradient, label: str) -> dict[str, int]:
    """As high as the fields are, and as narrow as torch accepts."""
    names = [s for s in gradient.typical if s != gradient.batch]
    for height in HEIGHTS if "H" in names else ():
        for width in WIDTHS if "W" in names else (0,):
            sizes = {"H": height, "W": width} if width else {"H": height}
            try:
                reaching(net.graph, net.graph.inputs[0].value, 0, sizes)
                gradient.length(label, 2, sizes)
            except (Refusal, RuntimeError):  # the size is not valid: says the compiler, says torch
                continue
            return sizes
    return {}


def _chosen(length: int) -> list[int]:
    """Both ends, and a run in the middle that meets every phase of a network that shrinks sixteen times."""
    if LONG or length <= 12:
        return list(range(length))
    middle = range(length // 2, min(length // 2 + (16 if length > 200 else 3), length))
    return sorted({0, 1, length // 3, *middle, length - 2, length - 1})


@pytest.mark.parametrize("spec", [pytest.param(s, marks=pytest.mark.slow) if s.split(":")[-1].endswith(DEEP) else s for s in CONVOLUTIONAL])
def test_a_shipped_network_sees_what_the_gradient_sees(spec: str) -> None:
    net = load(spec)
    gradient = Gradient(net)
    label, value = _last_layer(net, {name for name, _ in gradient.module.named_modules()})
    sizes = _sizes(net, gradient, label)
    positions = _chosen(gradient.length(label, 2, sizes))
    for start in range(0, len(positions), 10):
        some = positions[start : start + 10]
        assert not _differences(gradient.seen(label, some, 2, sizes), _exact(net, value, some, 2, sizes), some), (label, sizes)


# ----------------------------------------------------------------------------------------------------- random networks
@pytest.mark.parametrize("group", range(GROUPS))
def test_random_networks_see_what_the_gradient_sees(group: int) -> None:
    kinds: Counter[str] = Counter()
    for network in random_fields(IN_GROUP, first=group * 100_000):
        net = loads(network.text)
        gradient = Gradient(net)
        axis = 3 if network.axes == 2 and network.seed % 2 else 2
        positions = list(range(gradient.length(None, axis, {})))
        wanted = gradient.seen(None, positions, axis, {})
        assert not _differences(wanted, _exact(net, net.graph.outputs[0].value, positions, axis, {}), positions), network.text
        kinds.update(network.kinds)
    assert len(kinds) >= 13, "a kind of statement is never valid"
