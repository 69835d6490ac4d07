"""Stacks of dilated convolutions: which positions of their field they skip, against PyTorch's gradient."""

from __future__ import annotations

from itertools import product

import pytest
import torch
import torch.nn.functional as F

from netspec.analyses.field import AxisField, Closed, reaching_at
from netspec.api import loads
from netspec.graph import Graph

STACK = """net stack(kernel, rates) {
  input x: [N, 1, T = 128]
  y = x
  for rate in rates { y = y -> conv(1, kernel, dilation = rate) }
  output y
}"""

#: all stacks of three at once, as a tree; the sum makes each of them matter
TREE = """net tree(kernel) {
  input x: [N, 1, T = 128]
  total = x
  for a in 1..7 {
    first = x -> conv(1, kernel, dilation = a, padding = same)
    for b in 1..7 {
      second = first -> conv(1, kernel, dilation = b, padding = same)
      for c in 1..7 { total = total + (second -> conv(1, kernel, dilation = c, padding = same)) }
    }
  }
  output total
}"""


def seen(kernel: int, rates: tuple[int, ...]) -> AxisField:
    return loads(STACK, kernel=kernel, rates=list(rates)).receptive_field()["y"]["T"]


@pytest.mark.parametrize(
    ("rates", "count", "size"),
    [((1, 2, 5), 17, 17), ((1, 2, 9), 21, 25), ((2, 2, 2), 7, 13), ((2, 4, 8), 15, 29), ((1, 2, 4), 15, 15), ((3,), 3, 7)],
)
def test_coverage(rates: tuple[int, ...], count: int, size: int) -> None:
    """Gridding: Wang et al., "Understanding convolution for semantic segmentation", WACV 2018, arXiv:1702.08502."""
    field = seen(3, rates)
    assert (field.size, field.coverage) == (size, count / size)
    assert sum(map(len, field.holes)) == size - count


def test_holes_are_told_from_the_start() -> None:
    assert seen(3, (3,)).holes == (range(1, 3), range(4, 6))


def holes_by_gradient(kernel: int, rates: tuple[int, ...]) -> list[int]:
    """What the middle output of the stack does not see, counted from the first position that it sees."""
    x = torch.ones(1, 1, 128, dtype=torch.float64, requires_grad=True)
    y = x
    for rate in rates:
        y = F.conv1d(y, torch.ones(1, 1, kernel, dtype=torch.float64), dilation=rate)
    (gradient,) = torch.autograd.grad(y[0, 0, y.shape[2] // 2], x)
    hit = torch.nonzero(gradient[0, 0]).flatten().tolist()
    return [p - hit[0] for p in range(hit[0], hit[-1] + 1) if p not in hit]


def triples(graph: Graph) -> dict[tuple[int, ...], int]:
    """The last value of each stack of three in the tree, by its rates."""
    stacks: dict[int, tuple[int, ...]] = {graph.inputs[0].value: ()}
    for node in graph.nodes:
        if node.op.NAME == "conv":
            stacks[node.outputs[0]] = (*stacks[node.inputs[0]], node.op.dilation)
    return {rates: value for value, rates in stacks.items() if len(rates) == 3}


@pytest.mark.parametrize("kernel", [3, 5])
def test_every_triple(kernel: int) -> None:
    """All rates up to 6."""
    graph = loads(TREE, kernel=kernel).graph
    closed, stacks, wrong = Closed(graph), triples(graph), []
    for rates in product(range(1, 7), repeat=3):
        reached = reaching_at(closed, stacks[rates], 64, borders=False)[graph.inputs[0].value][2]
        if [p - reached.start for hole in reached.holes for p in hole] != holes_by_gradient(kernel, rates):
            wrong.append(rates)
    assert len(stacks) == 216 and not wrong
