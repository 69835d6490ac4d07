"""The costs in a picture are those of the summary: what a scan runs counts at every step, and nothing twice."""

from __future__ import annotations

import pytest

import netspec
from netspec.analyses.outline import outline
from netspec.analyses.summary import summarize
from netspec.backends.diagram.figures import Figures
from netspec.backends.diagram.look import Look
from tests.shipped import SHIPPED, daily

NESTED = """\
block inner(k) {
  input x: [B, C]
  input h: [B, k]
  output h = x ++ h -> linear(k) -> tanh
  output y = h -> linear(2)
}
block outer(k) {
  input row: [B, U, C]
  input memory: [B, S, k]
  input g: [B, k]
  f = row -> scan(inner(k), axis = 1, states = true)
  seen = (f.h -> unsqueeze(1), memory, memory) -> scaled_dot_product
  output g = (seen -> squeeze(1)) + g -> linear(k)
  output z = f.y
}
net nested {
  input x: [N, T = 6, 5, 3]
  input memory: [N, L = 7, 4]
  output y = (x, memory) -> scan(outer(4), over = T)
}
"""
TWICE = """\
block cell(k) { input x: [B, C]; input h: [B, k]; output h = x + (h -> linear(k)) }
net twice {
  input x: [N, T = 9, 4]
  input z: [N, U = 5, 4]
  layer s = scan(cell(4))
  output y = (x -> s) + (z -> s)
}
"""


@pytest.mark.parametrize("text", [NESTED, TWICE], ids=["nested", "twice"])
def test_steps(text: str) -> None:
    _agrees(netspec.loads(text))


@pytest.mark.parametrize("spec", [spec for spec in SHIPPED if spec.startswith(("zoo.recurrent", "zoo.seq2seq", "zoo.dsrn", "zoo.tagger"))])
def test_recurrent_networks(spec: str) -> None:
    _agrees(netspec.load(spec))


@pytest.mark.slow
@pytest.mark.parametrize("spec", daily("figures"))
def test_every_network(spec: str) -> None:
    _agrees(netspec.load(spec))


def _agrees(net: netspec.Net) -> None:
    figures = Figures(outline(net.graph).view(1).graph, Look())
    assert figures.total == summarize(net.graph).cost.total


def test_shares_of_a_step() -> None:
    view = outline(netspec.loads(NESTED).graph).view(9)
    figures = Figures(view.graph, Look())
    macs = {view.graph.nodes[box.nodes[0]].label: figures.cost(box.nodes).macs for box in view.boxes if box.nodes}
    assert macs["scan1.scan1.linear1"] == 6 * 5 * (3 + 4) * 4 and macs["scan1.linear1"] == 6 * 4 * 4
