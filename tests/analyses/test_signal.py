"""Signals at initialization: the numbers of the theory, recursions in closed form, borders, merges, advice, honesty and speed.

What PyTorch measures is held against the same analysis in `test_signal_measured.py`.
"""

from __future__ import annotations

import math
import re

import pytest

from netspec.analyses.signal import NOTES, Moments, Signals, signals
from netspec.analyses.signal.activation import curve_of, rectifier, respond
from netspec.analyses.signal.borders import backward, forward
from netspec.analyses.signal.pool_rules import maximum
from netspec.analyses.signal.table import RULES, UNKNOWN
from netspec.api import Net, load, loads
from netspec.diagnostics.model import SpecError
from netspec.op import Accepts
from netspec.ops import lookup, names
from netspec.reach import Transposed, Window
from tests.shipped import daily
from tests.timing import in_time

_ZERO_BIAS = "bias = zeros"


def made(body: str, init: str = "he_normal", sizes: str = "[N, 512]") -> Net:
    """A net with input x whose layers all start in one way, with no bias."""
    kinds = "\n".join(f"{kind}: {init}, {_ZERO_BIAS}" for kind in ("linear", "conv", "conv_transpose"))
    return loads(f"block res {{ input x\n output x + (x -> linear(512) -> relu -> linear(512)) }}\n"
                 f"block pre {{ input x\n output x + (x -> bn -> relu -> linear(512)) }}\n"
                 f"net a {{ input x: {sizes}\n{body}\ninit {{ {kinds} }} }}")  # fmt: skip


def found(body: str, init: str = "he_normal", sizes: str = "[N, 512]", **options: object) -> Signals:
    """The signals of such a net."""
    return signals(made(body, init, sizes).graph, **options)  # type: ignore[arg-type]


# ----------------------------------------------------------------------------------------------------------- activations
@pytest.mark.parametrize(
    ("name", "second", "slope"),
    [("relu", 0.5, 0.5), ("tanh", 0.394294, 0.464403), ("sigmoid", 0.293379, 0.044836), ("elu", 0.644945, 0.668102),
     ("selu", 1.0, 1.071575), ("gelu", 0.425221, 0.455851), ("silu", 0.355776, 0.379482)],
)  # fmt: skip
def test_moments_of_activations_of_a_unit_normal(name: str, second: float, slope: float) -> None:
    got = respond(curve_of(lookup(name)()), Moments())
    assert got.second == pytest.approx(second, abs=1e-6)
    assert got.slope_second == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize("mean", [0.0, 0.3, -1.2])
@pytest.mark.parametrize("name", ["relu", "leaky_relu", "tanh", "selu", "gelu", "hard_swish", "relu6", "mish", "softsign", "softplus"])
def test_what_two_examples_share_agrees_with_an_expectation_over_both(name: str, mean: float) -> None:
    """`variance` by Hermite coefficients, against the nested integral `E_u Var_v f(m + u + v)` on a fine grid."""
    curve, shared, own = curve_of(lookup(name)()), 0.7, 0.5
    grid = [(-8 + 16 * (i + 0.5) / 400) for i in range(400)]
    weights = [math.exp(-z * z / 2) / math.sqrt(2 * math.pi) * 16 / 400 for z in grid]
    expected = 0.0
    for u, w in zip(grid, weights):
        values = [curve.function(mean + math.sqrt(shared) * u + math.sqrt(own) * v)[0] for v in grid]
        first = sum(a * f for a, f in zip(weights, values))
        expected += w * (sum(a * f * f for a, f in zip(weights, values)) - first * first)
    got = respond(curve, Moments(mean, mean * mean + shared + own, own))
    assert got.variance == pytest.approx(expected, rel=0.01)


def test_a_wide_normal_saturates_a_sigmoid() -> None:
    """A hundred deviations across, `tanh` is a sign, and its slope is seen by few."""
    got = respond(curve_of(lookup("tanh")()), Moments(0.0, 1e4))
    assert got.second == pytest.approx(1 - 2 / math.sqrt(2 * math.pi) / 100, rel=1e-4)
    assert got.slope_second == pytest.approx(4 / 3 / 100 / math.sqrt(2 * math.pi), rel=1e-3)


@pytest.mark.parametrize(("count", "mean", "variance"), [(2, 0.564, 0.682), (3, 0.846, 0.559), (4, 1.029, 0.492), (9, 1.485, 0.357)])
def test_the_maximum_of_normals(count: int, mean: float, variance: float) -> None:
    got, _ = maximum(rectifier(1.0), Moments(), count)
    assert got.mean == pytest.approx(mean, abs=5e-4)
    assert got.spread == pytest.approx(variance, abs=5e-4)


# ---------------------------------------------------------------------------------------------------------------- chains
def test_he_holds_two_behind_a_layer_for_twenty_layers() -> None:
    rows = [s for s in found("output y = x -> 20 * (linear(512) -> relu)").rows() if s.op == "linear"]
    assert [s.second for s in rows] == pytest.approx([2.0] * 20)


def test_xavier_halves_through_relu() -> None:
    rows = [s for s in found("output y = x -> 10 * (linear(512) -> relu)", "xavier_normal").rows() if s.op == "relu"]
    assert [s.second for s in rows] == pytest.approx([0.5**k for k in range(1, 11)])


def test_xavier_and_tanh_fade_slowly() -> None:
    assert found("output y = x -> 20 * (linear(512) -> tanh)", "xavier_normal")["linear20"].second == pytest.approx(0.0273, abs=5e-5)


def test_the_edge_of_chaos_of_tanh() -> None:
    """Where a perturbation neither grows nor fades: `σ_w² E f'² = 1` at the fixed point (Schoenholz et al. 2016)."""
    net = loads("net a { input x: [N, 512]\n output y = x -> 200 * (linear(512) -> tanh)\n"
                "init { linear: scaled(sqrt(1.760955 / n)), bias = normal(std = sqrt(0.05)) } }")  # fmt: skip
    rows = [s for s in signals(net.graph).rows() if s.op == "linear"]
    assert rows[100].gradient / rows[101].gradient == pytest.approx(1.0, abs=1e-4)  # type: ignore[operator]


def test_residual_blocks_of_he_double() -> None:
    rows = [s for s in found("output y = x -> 8 * res").rows() if s.op == "add"]
    assert [s.second for s in rows] == pytest.approx([3.0**k for k in range(1, 9)])  # 1 + 2: a branch that ends in a layer
    body = "for i in 0..8 { x = x + (x -> linear(512) -> relu -> linear(512) -> relu) }\n output y = x"
    assert all(s.note in ("fresh", "correlated", "independent") for s in found(body).rows() if s.op == "add")
    doubling = "for i in 0..8 { x = x + (x -> relu -> linear(512)) }\n output y = x"
    rows = [s for s in found(doubling).rows() if s.op == "add"]
    assert [s.second for s in rows] == pytest.approx([2.0**k for k in range(1, 9)])
    assert [s.note for s in rows] == ["fresh"] * 8


def test_blocks_of_batch_norm_before_the_layer_add_one() -> None:
    rows = [s for s in found("output y = x -> 8 * pre").rows() if s.op == "add"]
    assert [s.second for s in rows] == pytest.approx([1.0 + k for k in range(1, 9)], rel=1e-4)


def test_selu_and_lecun_stay_at_mean_zero_and_variance_one() -> None:
    last = found("output y = x -> 30 * (linear(512) -> selu)", "lecun_normal").rows()[-1]
    assert last.mean == pytest.approx(0.0, abs=1e-6)
    assert last.second == pytest.approx(1.0, abs=1e-6)


def test_batch_norm_and_relu_multiply_the_gradient_by_pi_over_pi_minus_one() -> None:
    rows = [s for s in found("output y = x -> 12 * (linear(512) -> bn -> relu)", "lecun_normal").rows() if s.op == "linear"]
    assert rows[4].gradient / rows[5].gradient == pytest.approx(math.pi / (math.pi - 1), rel=0.01)  # type: ignore[operator]


def test_evaluation_leaves_norms_and_noise_alone() -> None:
    """Running statistics start at 0 and 1; dropout does nothing."""
    rows = found("output y = x -> linear(512) -> bn -> dropout", train=False).rows()
    assert [s.second for s in rows] == pytest.approx([2.0, 2.0, 2.0], rel=1e-4)
    assert found("output y = x -> dropout(0.2)")["dropout1"].second == pytest.approx(1.25)


def test_the_mean_of_the_input_counts() -> None:
    """Second moments go through a layer, not variances."""
    assert found("output y = x -> linear(512)", input=Moments(3.0, 10.0))["linear1"].second == pytest.approx(20.0)


# --------------------------------------------------------------------------------------------------------------- borders
def test_zero_padding_keeps_the_taps_that_lie_on_the_input() -> None:
    conv = found("output y = x -> conv(16, 3, padding = 1)", sizes="[N, 64, H = 7, W = 7]")["conv1"]
    assert conv.second == pytest.approx(2 * (19 / 21) ** 2)


def test_borders_that_are_weak_already_lose_less() -> None:
    """The share of the second layer is that of a profile (2, 3, …, 3, 2) / 3, not (19/21)² again."""
    rows = [s for s in found("output y = x -> 2 * conv(64, 3, padding = 1)", sizes="[N, 64, H = 7, W = 7]").rows()]
    row = [2 / 3, 1, 1, 1, 1, 1, 2 / 3]
    second = sum(sum(row[max(i - 1, 0) : i + 2]) / 3 for i in range(7)) / 7
    assert rows[1].second == pytest.approx(4 * second**2)


@pytest.mark.parametrize(
    "look", [Window(2, 3, 1, 1), Window(2, 3, 2, 1), Window(2, 5, 3, 2, 2), Transposed(2, 4, 2, 1), Transposed(2, 3, 2, 1)]
)
def test_taps_forwards_and_backwards_are_the_same_pairs(look: Window | Transposed) -> None:
    n = 12
    m = (n + 2 * look.padding - look.dilation * (look.kernel - 1) - 1) // look.stride + 1
    if isinstance(look, Transposed):
        m = (n - 1) * look.stride - 2 * look.padding + look.dilation * (look.kernel - 1) + 1
    assert forward(look, n, m, None).count * m == pytest.approx(backward(look, n, m, None)[0] * n)


def test_true_fans_of_grouped_and_transposed_layers() -> None:
    """`he_normal` gives 2 whatever the groups and strides; a transposed convolution loses its border."""
    sizes = "[N, 64, H = 64, W = 64]"
    assert found("output y = x -> conv(64, 3, groups = 8)", sizes=sizes)["conv1"].second == pytest.approx(2.0)
    assert found("output y = x -> conv_transpose(64, 2, stride = 2)", sizes=sizes)["conv_transpose1"].second == pytest.approx(2.0)
    assert found("output y = x -> conv_transpose(64, 4, stride = 2, padding = 1)", sizes=sizes)["conv_transpose1"].second == pytest.approx(
        2.0 * (127 / 128) ** 2, rel=1e-3
    )


# ---------------------------------------------------------------------------------------------------------------- merges
def test_a_value_added_to_itself_is_doubled() -> None:
    got = found("h = x -> linear(512)\n y = h + h\n z = h - h\n output o = y\n output p = z")
    assert got["add1"].second == pytest.approx(8.0) and got["add1"].note == "correlated"
    assert got["sub1"].second == pytest.approx(0.0)


def test_a_skip_around_an_activation_is_correlated() -> None:
    """`E (x + relu x)² = 1 + 1/2 + 2 · 1/2`."""
    assert found("output o = x + (x -> relu)")["add1"].second == pytest.approx(2.5)


def test_gradients_of_a_fork_that_meets_again_add_as_amplitudes() -> None:
    got = found("h = x -> linear(512)\n output o = h + h")
    assert got["linear1"].gradient == pytest.approx(4.0)


def test_concat_weighs_by_channels() -> None:
    got = found("a = x -> linear(30)\n b = x -> linear(10) -> relu\n output o = a ++ b")
    assert got["concat1"].second == pytest.approx(0.75 * 2 + 0.25 * 1)


# ------------------------------------------------------------------------------------------------- problems and advice
def test_a_chain_that_fades_is_named_with_its_initializer() -> None:
    problems = found("output y = x -> 14 * (linear(512) -> relu)", "xavier_normal").problems()
    assert [(p.kind, p.first, p.last, p.initializer) for p in problems] == [
        ("backward", "linear1", "linear14", "he_normal"),
        ("forward", "linear1", "linear14", "he_normal"),
    ]
    assert problems[1].factor == pytest.approx(0.5**14)


@pytest.mark.parametrize("init", ["he_normal", "orthogonal(gain = relu)", "he_uniform"])
def test_a_chain_that_holds_is_not_a_problem(init: str) -> None:
    assert found("output y = x -> 40 * (linear(512) -> relu)", init).problems() == ()


def test_what_starts_as_advised_is_not_told_so_again() -> None:
    """`silu` has no stable fixed point: what fits one layer still explodes over 40."""
    problems = found("output y = x -> 40 * (linear(512) -> silu)", "he_normal(gain = 1.677)").problems()
    assert {p.initializer for p in problems} == {""} and all("put a norm between" in p.advice for p in problems)
    assert found("output y = x -> 40 * (linear(512) -> silu)", "he_normal").problems()[0].initializer == "he_normal(gain = 1.677)"


def test_residual_blocks_that_explode_are_told_to_start_with_zeros() -> None:
    problem = found("output y = x -> 12 * res").problems()[-1]
    assert (problem.kind, problem.factor, problem.initializer) == ("forward", pytest.approx(3.0**12), "zeros")


def test_batch_norm_without_skips_explodes_backwards_only() -> None:
    (problem,) = found("output y = x -> 30 * (linear(512) -> bn -> relu)").problems()
    assert problem.kind == "backward" and problem.factor > 1e4


@pytest.mark.parametrize(
    ("activation", "initializer"),
    [("relu", "he_normal"), ("leaky_relu(0.2)", "he_normal(a = 0.2)"), ("prelu", "he_normal(a = 0.25)"), ("selu", "lecun_normal"),
     ("tanh", "xavier_normal(gain = tanh)"), ("gelu", "he_normal(gain = 1.534)"), ("silu", "he_normal(gain = 1.677)"),
     ("identity", "lecun_normal"), ("bn -> relu", "he_normal")],
)  # fmt: skip
def test_the_initializer_that_fits(activation: str, initializer: str) -> None:
    net = made(f"output y = x -> linear(512) -> {activation}")
    assert signals(net.graph).fitting("linear1") == initializer
    text = f"net a {{ input x: [N, 512]\n output y = x -> linear(512) -> {activation}\n init {{ linear: {initializer} }} }}"
    assert loads(text).graph.nodes  # it is written in the language


@pytest.mark.parametrize("activation", ["relu", "gelu", "silu", "mish", "elu", "softplus", "hard_swish", "glu", "maxout(2)", "sigmoid"])
def test_the_initializer_that_fits_makes_a_step_of_one(activation: str) -> None:
    fitting = signals(made(f"output y = x -> linear(512) -> {activation}").graph).fitting("linear1")
    got = found(f"output y = x -> linear(512) -> {activation}", fitting)
    # `E f²` is 1 / gain² for a unit normal: so a signal of that size gives a unit normal behind the layer, and itself again
    gain = float(fitting.split("= ")[1].rstrip(")")) if "gain" in fitting else math.sqrt(2)
    start = Moments(0.0, 1 / gain**2)
    again = signals(made(f"output y = x -> linear(512) -> {activation}", fitting).graph, input=start).rows()[-1]
    assert again.second == pytest.approx(start.second, rel=1e-3), got


# --------------------------------------------------------------------------------------------------- honesty and coverage
def test_every_operator_has_a_rule() -> None:
    assert set(names()) - set(RULES) == set()


@pytest.mark.parametrize("name", names())
def test_every_example_of_every_operator_gives_moments_or_says_unknown(name: str) -> None:
    for example in lookup(name).EXAMPLES:
        if not isinstance(example, Accepts):
            continue
        ports = "xyz"[: len(example.inputs)] if len(example.inputs) < 4 else "".join(chr(97 + i) for i in range(len(example.inputs)))
        inputs = "\n".join(f"input {port}: {kind}" for port, kind in zip(ports, example.inputs))
        named = [argument for argument in lookup(name).TENSOR_ARGUMENTS if f"{argument} = " in example.call]
        plain = ports[: len(ports) - len(named)]
        given = f"({', '.join(plain)})" if len(plain) > 1 else plain
        count = 1 if isinstance(example.output, str) else len(example.output)
        bound = ", ".join(f"o{i}" for i in range(count))
        outputs = "\n".join(f"output o{i}" for i in range(count))
        written = example.call
        for argument, port in zip(named, ports[len(plain) :]):
            written = re.sub(rf"\b{argument} = \w+", f"{argument} = {port}", written)
        call = f"{given} -> {written}" if ports else written
        try:
            net = loads(f"net a {{ {inputs}\n {bound} = {call}\n {outputs} }}")
        except SpecError:
            continue  # an example with a size that no input of a net can have (`2 * K`)
        for train in (True, False):
            for row in signals(net.graph, train=train).rows():
                if row.note == "unknown":
                    assert row.second is None
                    continue
                assert row.second is not None and row.mean is not None and row.variance is not None
                assert (
                    row.second >= row.mean**2 * (1 - 1e-9) and -1e-12 <= row.variance <= row.second - row.mean**2 + 1e-6 + 1e-6 * row.second
                )


def test_what_is_not_known_is_said_and_nothing_breaks() -> None:
    got = found("a = x -> log\n output o = a -> linear(4)")
    assert (got["log1"].second, got["log1"].note, got["linear1"].second) == (None, "unknown", None)
    assert got["x"].gradient is None
    assert got.problems() == ()


def test_notes_are_words_of_the_table() -> None:
    for spec in ("zoo.resnet:resnet18", "zoo.densenet:densenet121", "zoo.googlenet:googlenet", "zoo.unet:unet"):
        assert {s.note for s in signals(load(spec).graph).rows()} <= set(NOTES)


@pytest.mark.parametrize("spec", daily("signal"))
@pytest.mark.parametrize("train", [True, False])
def test_shipped_networks_are_known_up_to_operators_of_which_nothing_is_said(spec: str, train: bool) -> None:
    """Positions and truth values (`argmax`, `cast`) have no moments and no gradient; a recurrence and attention are not worked out."""
    graph = load(spec).graph
    values = signals(graph, train=train).values
    lost = [n for n in graph.nodes if values[n.outputs[0]].second is None and graph.values[n.outputs[0]].dtype.startswith("float")]
    begins = {n.op.NAME for n in lost if all(values[i].second is not None for i in n.inputs)}
    assert begins <= {*UNKNOWN, "scan", "cast"}
    assert {*UNKNOWN, "scan", "argmax", "cast"} & {n.op.NAME for n in graph.nodes} or all(
        s.second is not None and s.gradient is not None for s in values
    )


def test_data_is_plain() -> None:
    import json

    assert json.loads(json.dumps(found("output y = x -> linear(4) -> relu").data()))["layers"][1]["op"] == "relu"


# ----------------------------------------------------------------------------------------------------------------- speed
def test_resnet152_takes_milliseconds_and_ten_thousand_layers_a_second() -> None:
    graph = load("zoo.resnet:resnet152").graph
    assert in_time(0.1, lambda: signals(graph))
    deep = loads("net a { input x: [N, 16]\n output y = x -> 5000 * (linear(16) -> tanh) }").graph
    assert in_time(1, lambda: signals(deep).problems())
