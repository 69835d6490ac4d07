"""Whether the examples of a batch are apart, by what the network does to them."""

from __future__ import annotations

import pytest

from netspec.analyses.examples import apart
from netspec.api import load, loads


@pytest.mark.parametrize(
    ("body", "name", "expected"),
    [
        ("input x: [N, 3, H = 8]\n output y = x -> conv(4, 3) -> bn -> flatten(1)", "N", True),
        ("input x: [N, 4]\n output y = x -> softmax(0)", "N", False),
        ("input x: [N, 4]\n output y = x * (x -> mean([0]))", "N", False),
        ("input x: [N, T = 5, 4]\n output y = x -> permute([1, 0, 2]) -> relu -> permute([1, 0, 2])", "N", True),
        ("input x: [N, T = 5, 4]\n output y = x -> permute([1, 0, 2]) -> softmax(1) -> permute([1, 0, 2])", "N", False),
        ("input x: [N, T = 5, 4]\n output y = x -> reshape([N * T, 4]) -> linear(3) -> reshape([N, T, 3])", "N", True),
        ("input x: [N, T = 5, 4]\n output y = x -> reshape([N * T, 4]) -> softmax(0) -> reshape([N, T, 4])", "N", False),
        ("input x: [N, T = 5]\n output y = x -> reshape([T, N]) -> permute([1, 0])", "N", False),
        ("input x: [N, T = 5]\n output y = x -> reshape([N * T]) -> reshape([T, N]) -> softmax(0) -> reshape([N, T])", "N", False),
        ("input x: [N, T = 5, 4]\n output y = x -> gru(3)", "N", True),
        ("input x: [T = 5, 4]\n output y = x -> reshape([1, T, 4]) -> gru(3) -> reshape([T, 3])", "T", False),
    ],
)
def test_examples_are_apart_or_not(body: str, name: str, expected: bool) -> None:
    assert apart(loads("net a {\n " + body + "\n}").graph, name) == expected


@pytest.mark.parametrize("spec", ["zoo.swin:swin_t", "zoo.vit:vit_b_16", "zoo.shufflenet:shufflenet_v2_x0_5", "zoo.tagger:char_tagger"])
def test_shipped_networks_may_be_batched(spec: str) -> None:
    assert apart(load(spec).graph, "N")
