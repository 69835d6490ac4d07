"""Equal neighbours fold, and nothing else does: not where wires cross, weights are shared in part, or arguments differ."""

from __future__ import annotations

import pytest

import netspec
from netspec.analyses.outline import View, outline
from tests.analyses.outline.test_connections import check

BLOCKS = """\
block two(c) { input a; input b; p = a -> conv(c, 3, padding = 1) -> relu; output p; output q = (b -> conv(c, 1)) + p }
block unit(c, d = 1) { input x; output x -> conv(c, 3, padding = d, dilation = d) -> relu -> conv(c, 1) }
net a {
  input x: [N, 4, H = 16, W = 16]
  input z: [N, 4, H, W]
"""

#: what the net does, and how often each of its folded blocks repeats
CASES = {
    "in a row": ("output y = x -> 4 * unit(4); output w = z", [4]),
    "both handed on": ("a, b = (x, z) -> two(4); c, d = (a, b) -> two(4); e, f = (c, d) -> two(4); output y = e + f", [3]),
    "crossed every second time": (
        "a, b = (x, z) -> two(4); c, d = (b, a) -> two(4); e, f = (c, d) -> two(4); g, h = (f, e) -> two(4); output y = g + h",
        [2, 2],
    ),
    "the other one is handed on": (
        "a, b = (x, z) -> two(4); c, d = (b, z) -> two(4); e, f = (c, z) -> two(4); g, h = (f, z) -> two(4); output y = g",
        [2, 2],
    ),
    "one block again and again": ("layer t = unit(4); output y = (x -> t -> t -> t) + z", [3]),
    "a shared one among others": ("layer t = unit(4); output y = (x -> t -> t -> unit(4) -> unit(4)) + z", [2, 2]),
    "shared in turn": ("layer t = unit(4); layer u = unit(4); output y = (x -> t -> u -> t -> u) + z", [2, 2]),
    "a tap in the middle": ("m = x -> 2 * unit(4); output y = (m -> 3 * unit(4)) + z; output w = m", [2, 3]),
    "other dilations": ("output y = (x -> unit(4) -> unit(4) -> unit(4, 2) -> unit(4, 4)) + z", [2, 1, 1]),
}


def _view(body: str, depth: int) -> View:
    graph = netspec.loads(BLOCKS + f"  {body}\n}}").graph
    view = outline(graph).view(depth)
    check(graph, view)
    return view


@pytest.mark.parametrize("case", CASES)
def test_folded(case: str) -> None:
    body, repeats = CASES[case]
    assert [box.repeat for box in _view(body, 1).boxes if box.kind == "block"] == repeats


@pytest.mark.parametrize("case", CASES)
def test_opened(case: str) -> None:
    body, repeats = CASES[case]
    assert [group.repeat for group in _view(body, 2).groups] == repeats
