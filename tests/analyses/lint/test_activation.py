"""Activations, attention and losses: NS520 to NS529 (NS523 is with the norms), around the boundaries of their conditions."""

from __future__ import annotations

import pytest

from netspec.analyses.lint.activation import _effect
from tests.check import check


def _marks(text: str, code: str) -> list[str]:
    return [f.marked for f in check(text, lints=(code,)) if f.code == code]


def _net(body: str, input: str = "x: [N, 16]", more: str = "", name: str = "y") -> str:
    return f"net a {{\n  input {input}\n  output {name} = {body}\n  {more}\n}}\n"


# ------------------------------------------------------------------------------------------------------------------- NS520
@pytest.mark.parametrize(
    ("body", "marks"),
    [
        ("linear(16) -> linear(4)", ["linear(16)"]),
        ("linear(16) -> dropout -> linear(4)", ["linear(16)"]),
        ("linear(16) -> bn -> linear(4)", ["linear(16)"]),
        ("weight_norm(linear(16)) -> linear(4)", ["weight_norm(linear(16))"]),
        ("linear(32) -> linear(16) -> linear(4)", ["linear(32)", "linear(16)"]),
        ("linear(16) -> ln -> linear(4)", []),
        ("linear(16) -> relu -> linear(4)", []),
        ("linear(4) -> linear(16)", []),  # low rank
        ("linear(15) -> linear(16)", []),
        ("linear(15) -> linear(15)", ["linear(15)"]),
    ],
)
def test_two_linear_layers(body: str, marks: list[str]) -> None:
    assert _marks(_net(f"x -> {body}"), "NS520") == marks


@pytest.mark.parametrize(
    ("body", "marks"),
    [
        ("conv(16, 3) -> conv(16, 1)", ["conv(16, 3)"]),
        ("conv(16, 3) -> flatten -> linear(4)", ["conv(16, 3)"]),
        ("conv(16, 3, groups = 16) -> conv(16, 1)", []),
        ("conv(16, 1) -> conv(16, 3, groups = 16)", []),
        ("conv(16, (1, 3)) -> conv(16, (3, 1))", []),
        ("conv(16, (1, 3)) -> conv(16, (1, 3))", ["conv(16, (1, 3))"]),
        ("conv(16, 3) -> conv_transpose(16, 3)", []),
        ("conv(16, 3) -> resize(2) -> conv(16, 3)", []),
        ("conv(16, 3) -> pixel_shuffle(2) -> conv(4, 3)", []),
        ("conv(16, 3) -> max_pool(2) -> conv(16, 3)", []),
    ],
)
def test_two_convolutions(body: str, marks: list[str]) -> None:
    assert _marks(_net(f"x -> {body}", "x: [N, 16, H = 8, W = 8]"), "NS520") == marks


def test_a_layer_that_something_else_reads_too() -> None:
    assert _marks("net a {\n  input x: [N, 16]\n  z = x -> linear(16)\n  output z\n  output y = z -> linear(4)\n}\n", "NS520") == []


# ------------------------------------------------------------------------------------------------------------------- NS521
@pytest.mark.parametrize(
    ("body", "marks"),
    [
        ("relu -> relu", ["relu"]),
        ("relu -> dropout -> flatten -> relu", ["relu"]),
        ("relu -> softmax", ["softmax"]),
        ("sigmoid -> sigmoid", ["sigmoid"]),
        ("softmax -> log_softmax", ["log_softmax"]),
        ("log_softmax -> softmax", ["softmax"]),
        ("log_softmax -> relu", ["relu"]),
        ("gelu -> relu", ["relu"]),
        ("tanh -> sigmoid", ["sigmoid"]),
        ("softplus -> tanh", []),
        ("relu -> linear(4) -> relu", []),
        ("relu -> bn -> relu", []),
        ("tanh -> relu", []),
        ("leaky_relu -> softmax", []),
    ],
)
def test_two_activations(body: str, marks: list[str]) -> None:
    assert _marks(_net(f"x -> linear(16) -> {body}"), "NS521") == marks


def test_what_changes_nothing_is_told_from_what_spoils() -> None:
    assert "changes nothing" in _effect("relu", "relu") and "changes nothing" in _effect("sigmoid", "relu")
    assert "zero everywhere" in _effect("log_sigmoid", "relu")
    assert "lost" in _effect("relu", "sigmoid") and "varies" in _effect("sigmoid", "tanh")
    assert _effect("glu", "relu") == _effect("linear", "relu") == ""


# ------------------------------------------------------------------------------------------------------------------- NS522
@pytest.mark.parametrize(
    ("text", "marks"),
    [
        (_net("x -> linear(4) -> relu", name="logits"), ["relu"]),
        (_net("x -> linear(4) -> relu", name="y"), []),
        (_net("x -> linear(4) -> relu", name="y", more="train { loss = cross_entropy(y, t) }"), ["relu"]),
        (_net("x -> linear(4) -> relu", name="y", more="train { loss = mse(y, t) }"), []),
        (_net("x -> linear(4) -> leaky_relu", name="logits"), []),
        (_net("x -> linear(4) -> relu -> linear(4)", name="logits"), []),
        (_net("x -> conv(4, 1) -> relu6 -> global_avg_pool -> flatten", "x: [N, 3, H = 4, W = 4]", name="scores"), ["relu6"]),
    ],
)
def test_relu_on_logits(text: str, marks: list[str]) -> None:
    assert _marks(text, "NS522") == marks


# ---------------------------------------------------------------------------------------------------------- NS527, NS528
def test_softmax_over_one_element() -> None:
    assert _marks(_net("x -> linear(1) -> softmax"), "NS527") == ["softmax"]
    assert _marks(_net("x -> linear(2) -> softmax"), "NS527") == []
    assert _marks(_net("x -> softmax(axis = 1)", "x: [N, 1, H = 4]"), "NS527") == ["softmax(axis = 1)"]
    assert _marks(_net("x -> softmax", "x: [N, 4, H = 1]"), "NS527") == []  # an open size, that is 1 for once


def test_softmax_over_the_batch() -> None:
    assert _marks(_net("x -> softmax(axis = 0)"), "NS528") == ["softmax(axis = 0)"]
    assert _marks(_net("x -> softmax(axis = -2)"), "NS528") == ["softmax(axis = -2)"]
    assert _marks(_net("x -> softmax(axis = 1)"), "NS528") == []
    assert _marks(_net("x -> mean(axis = 0) -> softmax(axis = 0)"), "NS528") == []


# ------------------------------------------------------------------------------------------------------------------- NS529
_OPERANDS = "q = x -> linear(16)\n  k = x -> linear(16) -> permute((0, 2, 1))\n  v = x -> linear(16)\n  "


def _attention(weights: str, q: str = "q", after: str = "") -> str:
    body = f"{_OPERANDS}p = ({q}, k) -> matmul\n  w = {weights}{after}\n  output y = (w, v) -> matmul"
    return f"net a {{\n  input x: [N, T = 8, 16]\n  {body}\n}}\n"


def _fused(layer: str, q: str = "q") -> str:
    return f"net a {{\n  input x: [N, T = 8, 16]\n  q = x -> linear(16)\n  output y = ({q}, q, x -> linear(16)) -> {layer}\n}}\n"


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        (_attention("p -> softmax"), ["matmul"]),
        (_attention("p -> softmax", after=" -> dropout"), ["matmul"]),
        (_attention("p + param((8, 8)) -> softmax"), ["matmul"]),
        (_fused("scaled_dot_product(scale = 1)"), ["scaled_dot_product(scale = 1)"]),
        (_fused("scaled_dot_product(scale = 1)", q="q / 4"), []),
        (_fused("scaled_dot_product"), []),
        (_attention("p / 4 -> softmax"), []),
        (_attention("(p + param((8, 8))) * 0.25 -> softmax"), []),
        (_attention("p -> softmax", q="(q * 0.25)"), []),
        (_attention("p -> softmax", q="(q -> ln)"), []),
        (_attention("p -> tanh -> softmax"), []),
        (_attention("p -> sigmoid"), []),
        (_attention("p -> relu"), []),
    ],
)
def test_attention_without_a_scale(text: str, marks: list[str]) -> None:
    assert _marks(text, "NS529") == marks


def test_weights_that_are_an_output_too() -> None:
    text = _attention("p -> softmax").replace("output y", "output attention = w\n  output y")
    assert _marks(text, "NS529") == ["matmul"]


def test_a_product_that_goes_nowhere_else_is_no_attention() -> None:
    body = "output y = (x, x -> permute((0, 2, 1))) -> matmul -> softmax"
    assert _marks(f"net a {{\n  input x: [N, T = 8, 16]\n  {body}\n}}\n", "NS529") == []


# --------------------------------------------------------------------------------------------------------- NS524 to NS526
def _trained(body: str, loss: str, output: str = "y") -> str:
    return _net(f"x -> linear(4){body}", name=output, more=f"train {{\n    loss = {loss}\n  }}")


@pytest.mark.parametrize(
    ("text", "code", "severities"),
    [
        (_trained(" -> softmax", "cross_entropy(y, t)"), "NS524", ["error"]),
        (_trained(" -> log_softmax -> flatten", "mse(y, p) + 2 * cross_entropy(y, t)"), "NS524", ["error"]),
        (_trained(" -> softmax", "cross_entropy(target = t, input = y)"), "NS524", ["error"]),
        (_trained(" -> softmax", "bce_with_logits(y, t)"), "NS524", ["error"]),
        (_trained(" -> softmax", "mse(y, t)  # not cross_entropy(y, t)"), "NS524", []),
        (_trained("", "cross_entropy(y, t)"), "NS524", []),
        (_trained(" -> softmax", "mse(logits, t)", "logits"), "NS524", ["warning"]),
        (_trained(" -> softmax", "cross_entropy(logits, t)", "logits"), "NS524", ["error"]),
        (_trained(" -> sigmoid", "bce_with_logits(y, t)"), "NS525", ["error"]),
        (_trained(" -> sigmoid", "binary_cross_entropy_with_logits(y, t)"), "NS525", ["error"]),
        (_trained(" -> sigmoid", "cross_entropy(y, t)"), "NS525", ["error"]),
        (_trained(" -> sigmoid", "binary_cross_entropy(y, t)"), "NS525", []),
        (_trained(" -> sigmoid", "mse(logits, t)", "logits"), "NS525", ["warning"]),
        (_trained("", "nll_loss(y, t)"), "NS526", ["error"]),
        (_trained(" -> softmax", "nll(y, t)"), "NS526", ["error"]),
        (_trained(" -> log_softmax", "nll_loss(y, t)"), "NS526", []),
        (_trained(" -> softmax -> log", "nll_loss(y, t)"), "NS526", []),
        (_trained(" -> softmax", "cross_entropy(y, t)"), "NS526", []),
    ],
)
def test_losses(text: str, code: str, severities: list[str]) -> None:
    assert [f.severity for f in check(text, lints=(code,)) if f.code == code] == severities
