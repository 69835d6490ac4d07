"""How weights start, and SELU: NS530 to NS538, around the boundaries of their conditions."""

from __future__ import annotations

import pytest

from tests.check import check, compilations, diagnostics


def _marks(text: str, code: str) -> list[str]:
    return [f.marked for f in check(text, lints=(code,)) if f.code == code]


def _net(body: str, init: str = "", input: str = "x: [N, 64]") -> str:
    return f"net a {{\n  input {input}\n  output y = x -> {body}\n  init {{ {init} }}\n}}\n"


def _chain(count: int, act: str, init: str, width: int = 64) -> str:
    return _net(f"{count} * (linear({width}) -> {act}) -> linear(10)", init)


# ------------------------------------------------------------------------------------------------------------------- NS530
@pytest.mark.parametrize(
    ("text", "fires"),
    [
        (_chain(3, "relu", "linear: xavier_normal"), False),  # 1/8
        (_chain(4, "relu", "linear: xavier_normal"), True),  # 1/16
        (_chain(30, "relu", "linear: he_normal"), False),
        (_chain(30, "relu", "linear: he_normal(mode = fan_out)"), False),
        (_chain(3, "leaky_relu(1.0)", "linear: he_normal"), False),  # 8
        (_chain(4, "leaky_relu(1.0)", "linear: he_normal"), True),  # 16
        (_chain(30, "relu", "linear: random_walk", 16), False),  # more than what holds the mean square: a mean logarithm
        (_chain(30, "relu", "linear: fixup(15)"), False),  # less, for branches of a residual network
        (_chain(30, "relu", ""), False),  # nobody has said how they start: NS536 and NS537 look at those
        (_chain(30, "bn -> relu", "linear: xavier_normal"), False),
        (_net("3 * (linear(64) -> relu) -> ln -> 3 * (linear(64) -> relu) -> linear(10)", "linear: xavier_normal"), False),
        (_net("linear(64) -> relu -> linear(10) -> relu", "linear: normal(std = 0.01)"), False),  # one before the last
    ],
)
def test_gains(text: str, fires: bool) -> None:
    assert bool(_marks(text, "NS530")) is fires


def test_he_by_either_fan_fits_relu_whatever_the_widths() -> None:
    widths = "linear(512) -> relu -> linear(32) -> relu -> linear(256) -> relu -> linear(8) -> relu -> linear(10)"
    for mode in ("fan_in", "fan_out", "fan_avg"):
        assert _marks(_net(widths, f"linear: he_normal(mode = {mode}), bias = zeros"), "NS530") == []


def test_the_fitting_initializer_is_named() -> None:
    (found,) = diagnostics(compilations(_chain(4, "relu", "linear: xavier_normal"), lints=("NS530",)))
    assert found.helps == ("`init { linear: he_normal }`",)
    assert "0.5" in found.message


# ------------------------------------------------------------------------------------------------------------------- NS531
@pytest.mark.parametrize(
    ("text", "marks"),
    [
        (_net("linear(4) -> relu -> linear(2)", "linear: zeros"), ["linear(4)"]),
        (_net("linear(4) -> bn -> tanh -> dropout -> linear(2)", "linear: constant(0.1)"), ["linear(4)", "linear(2)"]),
        (_net("linear(4) -> relu -> linear(2)", "linear1: normal(std = 0.0)"), ["linear(4)"]),
        (_net("linear(4) -> relu -> linear(2)", "linear1: uniform(0.1, 0.1)"), ["linear(4)"]),
        (_net("conv(4, 3) -> relu -> global_avg_pool -> flatten -> linear(2)", "conv: ones", "x: [N, 8, H = 4, W = 4]"), ["conv(4, 3)"]),
        (_net("linear(1) -> relu -> linear(2)", "linear1: ones"), []),
        (_net("linear(4) -> relu -> linear(2)", "linear2: zeros"), []),
        (_net("linear(4)", "linear: constant(1)"), ["linear(4)"]),
        (_net("linear(4)", "linear: zeros"), []),
        (_net("conv(8, 3, groups = 8) -> relu -> conv(4, 1)", "conv1: ones", "x: [N, 8, H = 4, W = 4]"), []),
        (_net("conv(8, 3, groups = 4) -> relu -> conv(4, 1)", "conv1: ones", "x: [N, 8, H = 4, W = 4]"), ["conv(8, 3, groups = 4)"]),
    ],
)
def test_constant_weights(text: str, marks: list[str]) -> None:
    assert _marks(text, "NS531") == marks


def test_units_that_two_layers_read_are_alike_for_both() -> None:
    text = "net a {\n  input x: [N, 8]\n  h = x -> linear(4) -> relu\n  output y = h -> linear(2)\n  output z = h -> linear(2)\n"
    assert _marks(text + "  init { linear1: zeros }\n}\n", "NS531") == ["linear(4)"]


def test_the_end_of_a_branch_may_be_zero() -> None:
    block = "z = x + (x -> linear(8) -> relu -> linear(8) as last)"
    text = f"net a {{\n  input x: [N, 8]\n  {block}\n  output y = z -> linear(4)\n  init {{ last: zeros }}\n}}\n"
    assert _marks(text, "NS531") == []


# --------------------------------------------------------------------------------------------------------- NS532 to NS534
@pytest.mark.parametrize(
    ("init", "marks"),
    [
        ("", ["linear(32)"]),
        ("linear: he_normal", ["linear(32)"]),
        ("linear: lecun_normal", []),
        ("linear: lecun_uniform", []),
        ("linear: he_normal(gain = 1)", []),
        ("linear: normal(std = 0.125)", []),
        ("linear: normal(std = 0.132)", ["linear(32)"]),  # 64 * 0.132^2 = 1.115
        ("linear: orthogonal", []),
    ],
)
def test_selu_wants_lecun(init: str, marks: list[str]) -> None:
    assert _marks(_net("linear(32) -> selu -> linear(10)", init), "NS532") == marks
    assert _marks(_net("linear(32) -> relu -> linear(10)", init), "NS532") == []


@pytest.mark.parametrize(
    ("body", "marks"),
    [
        ("linear(32) -> selu -> dropout(0.1)", ["dropout(0.1)"]),
        ("linear(32) -> selu -> dropout(0.0)", []),
        ("linear(32) -> selu -> alpha_dropout(0.1)", []),
        ("linear(32) -> selu -> linear(8) -> dropout(0.1)", []),
        ("linear(32) -> relu -> dropout(0.1)", []),
    ],
)
def test_selu_and_dropout(body: str, marks: list[str]) -> None:
    assert _marks(_net(body), "NS533") == marks


@pytest.mark.parametrize(
    ("body", "marks"),
    [
        ("linear(32) -> bn -> selu", ["bn"]),
        ("linear(32) -> selu -> bn", ["bn"]),
        ("linear(32) -> bn -> relu", []),
        ("linear(32) -> selu -> linear(32) -> ln", []),
    ],
)
def test_selu_and_batch_norm(body: str, marks: list[str]) -> None:
    assert _marks(_net(body), "NS534") == marks


# ------------------------------------------------------------------------------------------------------------------- NS535
@pytest.mark.parametrize(
    ("layer", "init", "fires"),
    [
        ("conv(8, 3, groups = 4)", "conv: he_normal(mode = fan_out, compat = torch)", True),
        ("conv(8, 3, groups = 4)", "conv: he_normal(mode = fan_in, compat = torch)", False),
        ("conv(8, 3)", "conv: he_normal(mode = fan_out, compat = torch)", False),
        ("conv(8, 3, groups = 4)", "conv: he_normal(mode = fan_out)", False),
        ("conv_transpose(4, 4, stride = 2)", "conv_transpose: xavier_uniform(compat = torch)", True),
        ("conv_transpose(8, 3)", "conv_transpose: he_normal(compat = torch)", False),  # 8 to 8 at stride 1: the two agree
    ],
)
def test_fans_of_torch(layer: str, init: str, fires: bool) -> None:
    assert bool(_marks(_net(layer, init, "x: [N, 8, H = 8, W = 8]"), "NS535")) is fires


# --------------------------------------------------------------------------------------------------------- NS536, NS537
def test_deep_plain_chains() -> None:
    assert _marks(_chain(6, "relu", ""), "NS537") == ["linear(64)"]
    assert _marks(_chain(2, "relu", ""), "NS537") == []
    assert _marks(_chain(30, "relu", "linear: he_normal, bias = zeros"), "NS536") == []
    assert _marks(_chain(30, "relu", "linear: he_normal, bias = zeros"), "NS537") == []
    assert _marks(_chain(12, "relu", "linear: lecun_normal, bias = zeros"), "NS536") == ["linear(64)"]
    assert _marks(_chain(6, "relu", "linear: normal(std = 1.0)"), "NS536") == ["linear(10)"]
    assert _marks(_chain(12, "bn -> relu", ""), "NS537") == []


def test_a_gate_of_two_layers_is_no_chain_with_the_layer_behind_its_product() -> None:
    gate = "global_avg_pool -> flatten -> linear(4) -> relu -> linear(16) -> hard_sigmoid -> unsqueeze(-1) -> unsqueeze(-1)"
    text = f"net a {{\n  input x: [N, 16, H = 8, W = 8]\n  output y = x * (x -> {gate}) -> conv(16, 1) -> bn\n}}\n"
    assert _marks(text, "NS537") == []


def test_a_gate_is_no_chain() -> None:
    gate = "x * (x -> global_avg_pool -> conv(4, 1) -> relu -> conv(16, 1) -> sigmoid)"
    text = f"net a {{\n  input x: [N, 16, H = 8, W = 8]\n  output y = {gate}\n}}\n"
    assert _marks(text, "NS536") == _marks(text, "NS537") == []


def test_the_advice_names_an_initializer() -> None:
    (found,) = diagnostics(compilations(_chain(12, "relu", "linear: lecun_normal, bias = zeros"), lints=("NS536",)))
    assert "he_normal" in " ".join(found.helps)


@pytest.mark.parametrize(
    ("activation", "init", "fires"),
    [
        ("relu", "random_walk", False),  # a mean square of e^11, a mean logarithm of 0
        ("relu", "he_normal(gain = 1.54)", True),  # the same numbers, written otherwise
        ("leaky_relu(1.0)", "random_walk", True),  # twice too much in each layer
    ],
)
def test_a_random_walk_is_judged_by_its_logarithm(activation: str, init: str, fires: bool) -> None:
    text = _chain(60, activation, f"linear: {init}, bias = zeros", 16)
    text = text.replace("input x: [N, 64]", "input x: [N, 16]")
    assert {bool(_marks(text, code)) for code in ("NS536", "NS537")} == {fires}


# ------------------------------------------------------------------------------------------------------------------- NS538
@pytest.mark.parametrize(
    ("body", "init", "marks"),
    [
        ("conv(16, 3) -> pixel_shuffle(2)", "", ["pixel_shuffle(2)"]),
        ("conv(16, 3) -> relu -> pixel_shuffle(2)", "conv: he_normal", ["pixel_shuffle(2)"]),
        ("conv(16, 3) -> pixel_shuffle(2)", "conv: zeros", []),
        ("conv(16, 3) -> pixel_shuffle(2)", "conv: icnr(2)", []),
        ("conv(16, 3) -> relu -> pixel_shuffle(2)", "conv: icnr(4)", []),  # whole squares
        ("conv(36, 3) -> pixel_shuffle(3)", "conv: icnr(2)", ["pixel_shuffle(3)"]),
        ("conv(16, 3) -> pixel_shuffle(4)", "conv: icnr(2, init = zeros)", []),
        ("conv(16, 3) -> pixel_shuffle(1)", "", []),
        ("pixel_shuffle(2)", "", []),
        ("conv(16, 3) -> max_pool(2) -> pixel_shuffle(2)", "", []),
    ],
)
def test_pixel_shuffle(body: str, init: str, marks: list[str]) -> None:
    assert _marks(_net(body, init, "x: [N, 8, H = 8, W = 8]"), "NS538") == marks


@pytest.mark.parametrize(
    ("layer", "offered"), [("conv(16, 3)", True), ("weight_norm(conv(16, 3))", True), ("conv_transpose(16, 3)", False)]
)
def test_icnr_is_offered_where_it_can_be_written(layer: str, offered: bool) -> None:
    (found,) = diagnostics(compilations(_net(f"{layer} -> pixel_shuffle(2)", "", "x: [N, 8, H = 8, W = 8]"), lints=("NS538",)))
    assert ("icnr(2)" in " ".join(found.helps)) is offered
