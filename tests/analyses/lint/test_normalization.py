"""Norms and residual blocks: NS510 to NS516 and NS523, around the boundaries of their conditions."""

from __future__ import annotations

import pytest

from tests.check import check


def _marks(text: str, code: str) -> list[str]:
    return [f.marked for f in check(text, lints=(code,)) if f.code == code]


def _net(body: str, input: str = "x: [N, 8]", more: str = "") -> str:
    return f"net a {{\n  input {input}\n  output y = {body}\n  {more}\n}}\n"


def _map(body: str, more: str = "") -> str:
    return _net(body, "x: [N, 8, H = 4, W = 4]", more)


@pytest.mark.parametrize(
    ("body", "marks"),
    [
        ("x -> conv(8, 3) -> bn", ["conv(8, 3)"]),
        ("x -> conv(8, 3) -> instance_norm", ["conv(8, 3)"]),
        ("x -> conv(8, 3) -> gn(8)", ["conv(8, 3)"]),
        ("x -> weight_norm(conv(8, 3)) -> bn", ["weight_norm(conv(8, 3))"]),
        ("x -> conv(8, 3) -> identity -> bn", ["conv(8, 3)"]),
        ("x -> conv(8, 3) -> gn(4)", []),
        ("x -> conv(8, 3) -> ln(1)", []),
        ("x -> conv(8, 3) -> relu -> bn", []),
        ("x -> conv(8, 3, bias = false) -> bn", []),
    ],
)
def test_bias_before_a_norm(body: str, marks: list[str]) -> None:
    assert _marks(_map(body), "NS510") == marks


def test_a_bias_that_something_else_reads() -> None:
    text = "net a {\n  input x: [N, 8, H = 4, W = 4]\n  y = x -> conv(8, 3)\n  output y\n  output z = y -> bn\n}\n"
    assert _marks(text, "NS510") == []


@pytest.mark.parametrize(
    ("input", "train", "single", "few"),
    [
        ("x: [1, 8]", "", ["bn"], []),
        ("x: [2, 8]", "", [], ["bn"]),
        ("x: [15, 8]", "", [], ["bn"]),
        ("x: [16, 8]", "", [], []),
        ("x: [N, 8]", "", [], []),
        ("x: [N, 8]", "train { batch = 1 }", ["bn"], []),
        ("x: [N, 8]", "train { batch = 15 }", [], ["bn"]),
        ("x: [N, 8]", "train { batch = 16 }", [], []),
        ("x: [N, 8]", "train {\n # batch = 2\n epochs = 3 }", [], []),
        ("x: [N, 8, H = 4, W = 3]", "train { batch = 1 }", [], ["bn"]),
        ("x: [N, 8, H = 4, W = 4]", "train { batch = 1 }", [], []),
    ],
)
def test_values_that_batch_norm_sees(input: str, train: str, single: list[str], few: list[str]) -> None:
    text = _net("x -> bn", input, train)
    assert _marks(text, "NS511") == single and _marks(text, "NS512") == few


def test_a_train_section_at_the_top_of_the_file_and_of_a_variants_base() -> None:
    base = "net a {\n  input x: [N, 8]\n  output y = x -> bn\n  train { batch = 8 }\n}\nnet b = a()\n"
    assert _marks(base, "NS512") == ["bn"]
    assert _marks("net a {\n  input x: [N, 8]\n  output y = x -> bn\n}\ntrain t of a { batch = 8 }\n", "NS512") == ["bn"]


@pytest.mark.parametrize(
    ("body", "marks"),
    [
        ("x -> global_avg_pool -> gn(8)", ["gn(8)"]),
        ("x -> global_avg_pool -> gn(4)", []),
        ("x -> global_avg_pool -> flatten -> linear(1) -> rms_norm", ["rms_norm"]),
        ("x -> global_avg_pool -> flatten -> rms_norm", []),
    ],
)
def test_other_norms_over_one_value(body: str, marks: list[str]) -> None:
    assert _marks(_net(body, "x: [N = 4, 8, H = 4, W = 4]"), "NS511") == marks


def test_layer_norm_over_one_element() -> None:
    assert _marks(_net("x -> linear(1) -> ln"), "NS511") == ["ln"]
    assert _marks(_net("x -> linear(2) -> ln"), "NS511") == []


@pytest.mark.parametrize(
    ("body", "marks"),
    [
        ("x -> dropout -> linear(4) -> relu -> bn", ["dropout"]),
        ("x -> dropout(0.0) -> linear(4) -> bn", []),
        ("x -> dropout -> linear(4) -> ln -> linear(4) -> bn", []),
        ("x -> bn -> dropout -> linear(4)", []),
        ("(x -> dropout) ++ x -> linear(4) -> bn", ["dropout"]),
        ("x -> alpha_dropout(0.1) -> dropout(0.2) -> bn -> linear(4) -> bn", ["alpha_dropout(0.1)", "dropout(0.2)"]),
    ],
)
def test_dropout_before_batch_norm(body: str, marks: list[str]) -> None:
    assert _marks(_net(body), "NS513") == marks


def _deep(layers: int, unit: str = "linear(8, bias = false) -> bn -> relu") -> str:
    return _net(f"x -> chain([{unit} for i in 0..{layers}])")


def test_deep_chains_of_norms() -> None:
    assert _marks(_deep(30), "NS514") == []
    assert _marks(_deep(31), "NS514") == _marks(_deep(60), "NS514") == ["bn"]
    assert _marks(_deep(31, "linear(8) -> bn -> tanh"), "NS514") == []
    half = "chain([linear(8, bias = false) -> bn -> relu for i in 0..20])"
    assert _marks(f"net a {{\n  input x: [N, 8]\n  z = x + (x -> {half})\n  output y = z -> {half}\n}}\n", "NS514") == []


def test_the_last_norm_of_a_branch() -> None:
    branch = "x -> conv(8, 1, bias = false) -> bn -> relu -> conv(8, 1, bias = false) -> bn as last"
    assert _marks(_map(f"x + ({branch})"), "NS515") == _marks(_map(f"({branch}) + x"), "NS515") == ["bn"]
    assert _marks(_map(f"x + ({branch})", "init { last: zeros }"), "NS515") == []
    assert _marks(_map(f"(x -> conv(8, 1) -> bn) + ({branch})"), "NS515") == ["bn"]
    assert _marks(_map(f"x * ({branch})"), "NS515") == []


def _blocks(count: int, branch: str, init: str = "linear: he_normal", after: str = "") -> str:
    body = f"for i in 0..{count} {{\n    x = x + (x -> {branch}){after}\n  }}\n  output y = x -> linear(4)"
    return f"net a {{\n  input x: [N, 64]\n  {body}\n  init {{ {init} }}\n}}\n"


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        (_blocks(10, "linear(64) -> relu -> linear(64)"), ["+"]),
        (_blocks(9, "linear(64) -> relu -> linear(64)"), []),
        (_blocks(10, "ln -> linear(64) -> relu -> linear(64)"), []),
        (_blocks(10, "linear(64) -> relu -> linear(64)", after=" -> ln"), []),
        (_blocks(10, "linear(64) -> relu -> linear(64) as last[i]", "linear: he_normal\n    last.*: zeros"), []),
        (_blocks(10, "linear(64) -> relu -> linear(64) -> mul(0.1)"), []),
    ],
)
def test_bare_residual_blocks(text: str, marks: list[str]) -> None:
    assert _marks(text, "NS516") == marks


@pytest.mark.parametrize(
    ("body", "marks"),
    [
        ("x -> 3 * (linear(8) -> sigmoid) -> linear(4)", ["sigmoid"]),
        ("x -> 2 * (linear(8) -> sigmoid) -> linear(4)", []),
        ("x -> 3 * (linear(8) -> sigmoid)", []),
        ("x -> 5 * (linear(8) -> ln -> sigmoid) -> linear(4)", []),
        ("x -> 2 * (linear(8) -> sigmoid) -> bn -> 2 * (linear(8) -> sigmoid) -> linear(4)", []),
        ("x -> 10 * (linear(8) -> tanh) -> linear(4)", ["tanh"]),
        ("x -> 9 * (linear(8) -> tanh) -> linear(4)", []),
    ],
)
def test_saturation_in_depth(body: str, marks: list[str]) -> None:
    assert _marks(_net(body), "NS523") == marks
