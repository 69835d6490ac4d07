"""What pictures write of operators: short, and only what tells them apart."""

from __future__ import annotations

import pytest

from netspec import loads
from netspec.analyses.outline import outline
from netspec.backends.diagram.figures import Figures
from netspec.backends.diagram.look import Look
from netspec.backends.diagram.wording import arguments, call, count, name, share, sign


@pytest.mark.parametrize(
    "layer, shape, words",
    [
        ("conv(64, 7, stride = 2, padding = 3)", "[N, 3, H = 32, W = 32]", "64 · 7×7 · /2"),
        ("conv(64, 1, bias = false)", "[N, 3, H = 32, W = 32]", "64 · 1×1"),
        ("conv(8, 3, dilation = 2, groups = 2)", "[N, 4, T = 32]", "8 · 3 · dilation 2 · 2 groups"),
        ("conv(4, (1, 3), stride = (1, 2))", "[N, 4, H = 32, W = 32]", "4 · 1×3 · /1×2"),
        ("conv_transpose(64, 2, stride = 2)", "[N, 8, H = 32, W = 32]", "64 · 2×2 · ×2"),
        ("max_pool(2)", "[N, 8, H = 32, W = 32]", "2×2 · /2"),
        ("upsample(4, mode = bilinear)", "[N, 8, H = 32, W = 32]", "×4 · bilinear"),
        ("upsample", "[N, 8, H = 32, W = 32]", "×2"),
        ("pixel_unshuffle(2)", "[N, 8, 32, 32]", "/2"),
        ("mean([2, 3])", "[N, 8, H = 32, W = 32]", "axis [2, 3]"),
        ("adaptive_avg_pool(3)", "[N, 8, H = 32, W = 32]", "3×3"),
        ("multihead_attention(2)", "[N, T = 8, 4]", "2 heads"),
        ("clamp(0, 1)", "[N, 8]", "min 0 · max 1"),
        ("linear(10)", "[N, 8]", "10"),
        ("batch_norm(eps = 0.1)", "[N, 8, H = 32, W = 32]", ""),
        ("group_norm(4)", "[N, 8, H = 32, W = 32]", "4 groups"),
        ("dropout(0.2)", "[N, 8]", "0.2"),
        ("dropout", "[N, 8]", ""),
        ("lstm(16, 2, bidirectional = true)", "[N, T = 8, 4]", "16 · 2 layers · bidirectional"),
        ("add(0.5)", "[N, 8]", "0.5"),
        ("softmax(axis = 1)", "[N, 8, 3]", "axis 1"),
    ],
)
def test_arguments_are_short(layer: str, shape: str, words: str) -> None:
    graph = loads(f"net a {{ input x: {shape}; output y = x -> {layer} }}").graph
    node = graph.nodes[0]
    assert arguments(node.op, graph.types(node.inputs), graph.types(node.outputs)) == words


def test_a_concat_says_what_it_joins() -> None:
    graph = loads("net a { input x: [N, 3, T]; input z: [N, 5, T]; output y = x ++ z }").graph
    node = graph.nodes[0]
    assert arguments(node.op, graph.types(node.inputs), graph.types(node.outputs)) == "3 + 5 → 8" and sign(node.op) == "++"


def test_signs_are_typeset() -> None:
    graph = loads("net a { input x: [N, 3]; input z: [N, 3]; output y = x - z; output w = x * z; output v = x + z }").graph
    assert [sign(node.op) for node in graph.nodes] == ["−", "×", "+"]


def test_calls_are_written_as_in_the_language() -> None:
    graph = loads("net a { input x: [N, 3, 9, 9]; output y = x -> conv(8, (3, 1), bias = false) -> relu }").graph
    assert [call(node) for node in graph.nodes] == ["conv(8, [3, 1], bias = false)", "relu"]
    assert [name(node.op) for node in graph.nodes] == ["conv", "relu"]


@pytest.mark.parametrize(
    "value, words",
    [(0, "0"), (999, "999"), (1000, "1 k"), (9408, "9.41 k"), (11_689_512, "11.7 M"), (999_999, "1000 k"), (4.089e9, "4.09 G")],
)
def test_counts_have_a_letter(value: float, words: str) -> None:
    assert count(value) == words


def test_shares_are_percentages() -> None:
    assert [share(part, 1000) for part in (0, 0.5, 4, 280, 1000)] == ["0 %", "< 0.1 %", "0.4 %", "28 %", "100 %"]


def test_shapes_are_at_the_sizes_that_are_asked_for() -> None:
    text = "net a { input x: [N, 3, H = 64, W = 32]; output y = x -> conv(8, 3, stride = 2, padding = 1) }"
    view = outline(loads(text).graph).view()
    made = view.graph.nodes[0].outputs[0]
    assert Figures(view.graph, Look()).shape(made) == "8×32×16"
    assert Figures(view.graph, Look(typical={"H": 10})).shape(made, batch=True) == "N×8×5×16"
    assert Figures(view.graph, Look(sizes="symbolic")).shape(made) == "8×((H + 1) // 2)×((W + 1) // 2)"
