"""The table of initializers: what it accepts, what it refuses, and that torch means the same by the same words."""

from __future__ import annotations

import math

import numpy as np
import pytest

from netspec.initializers import INITIALIZERS, make, resolve
from netspec.initializers import distributions as d
from netspec.op import Reject


def test_every_initializer_is_documented():
    for name, rule in INITIALIZERS.items():
        assert rule.doc.endswith("."), name
        assert all(a.doc for a in rule.arguments), name


@pytest.mark.parametrize(
    ("name", "positional", "keywords", "code", "words"),
    [
        ("he_norml", (), {}, "NS601", "he_normal"),
        ("normal", (0.01,), {}, "NS331", "needs std"),
        ("normal", (), {"sd": 1}, "NS331", "no argument 'sd'"),
        ("normal", (0, 1, 2, 3), {}, "NS331", "3 arguments"),
        ("normal", (0, 1), {"std": 2}, "NS331", "twice"),
        ("he_normal", (), {"mode": "fan"}, "NS331", "fan_in, fan_out"),
        ("he_normal", (), {"truncated": 1}, "NS331", "boolean"),
        ("constant", (True,), {}, "NS331", "number"),
        ("constant", (float("nan"),), {}, "NS331", "number"),
        ("dirac", (1.5,), {}, "NS331", "integer"),
        ("fixup", (), {}, "NS331", "needs blocks"),
        ("random_walk", ("tanh",), {}, "NS331", "linear, relu"),
    ],
)
def test_wrong_calls(name, positional, keywords, code, words):
    with pytest.raises(Reject) as caught:
        make(name, positional, keywords)
    assert caught.value.code == code and words in f"{caught.value} {caught.value.help}"


@pytest.mark.parametrize(
    ("name", "keywords", "shape", "fans", "code"),
    [
        ("he_normal", {}, (3,), (0, 0), "NS332"),
        ("he_normal", {"compat": "torch"}, (3,), (5, 5), "NS332"),
        ("orthogonal", {}, (3,), (5, 5), "NS332"),
        ("eye", {}, (3, 3, 3), (5, 5), "NS332"),
        ("dirac", {}, (3, 3), (5, 5), "NS332"),
        ("dirac", {"groups": 2}, (3, 3, 3), (5, 5), "NS331"),
        ("sparse", {"sparsity": 2.0}, (3, 3), (5, 5), "NS331"),
        ("sparse", {}, (3, 3), (5, 5), "NS331"),
        ("normal", {"std": -1}, (3, 3), (5, 5), "NS331"),
        ("uniform", {"low": 2, "high": 1}, (3, 3), (5, 5), "NS331"),
        ("fixup", {"blocks": 0}, (3, 3), (5, 5), "NS331"),
        ("fixup", {"blocks": 4, "layers": 1}, (3, 3), (5, 5), "NS331"),
        ("random_walk", {}, (3,), (0, 0), "NS332"),
    ],
)
def test_what_does_not_fit_the_tensor(name, keywords, shape, fans, code):
    with pytest.raises(Reject) as caught:
        resolve(make(name, (), keywords), shape, *fans)
    assert caught.value.code == code


def test_torch_means_the_same():
    """On plain weights, against torch.nn.init: bounds of uniforms, deviations of normals over many draws."""
    torch = pytest.importorskip("torch")
    from torch.nn import init

    shape, fans = (60, 40, 3, 3), (40 * 9, 60 * 9)
    cases = [
        (make("he_uniform", (), {"mode": "fan_out"}), lambda w: init.kaiming_uniform_(w, mode="fan_out", nonlinearity="relu")),
        (make("he_uniform", (), {"nonlinearity": "leaky_relu", "a": 0.3}), lambda w: init.kaiming_uniform_(w, a=0.3)),
        (make("xavier_uniform", (), {"gain": 2.0}), lambda w: init.xavier_uniform_(w, 2.0)),
    ]
    for ours, theirs in cases:
        law = resolve(ours, shape, *fans)
        drawn = theirs(torch.empty(shape))
        assert law.high == pytest.approx(float(drawn.abs().max()), rel=1e-3)
    normal = init.kaiming_normal_(torch.empty(shape), mode="fan_out", nonlinearity="relu")
    assert resolve(make("he_normal", (), {"mode": "fan_out"}), shape, *fans).std == pytest.approx(float(normal.std()), rel=0.02)
    for name in ("linear", "sigmoid", "tanh", "relu", "selu"):
        law = resolve(make("xavier_normal", (), {"gain": name}), shape, *fans)
        assert law.std == pytest.approx(init.calculate_gain(name) * math.sqrt(2 / sum(fans)))


def test_compat_counts_as_torch_does():
    """A grouped, strided convolution: its true fan out is 8 times smaller than what torch counts."""
    shape, fan_in, fan_out = (64, 8, 3, 3), 72, 64 / 2 * 9 / 4
    true = resolve(make("he_normal", (), {"mode": "fan_out"}), shape, fan_in, fan_out)
    torch = resolve(make("he_normal", (), {"mode": "fan_out", "compat": "torch"}), shape, fan_in, fan_out)
    assert torch.std == pytest.approx(math.sqrt(2 / (64 * 9))) and true.std == pytest.approx(torch.std * math.sqrt(8))


def test_truncation_keeps_the_deviation():
    law = resolve(make("truncated_normal", (), {"std": 0.02}), (3, 3), 3, 3)
    assert law == d.TruncatedNormal(0.0, 0.02 / 0.87962566103423978, law.low, law.high) and law.high == pytest.approx(2 * law.std)
    law = resolve(make("truncated_normal", (), {"std": 0.02, "a": -2, "b": 2}), (3, 3), 3, 3)
    assert law == d.TruncatedNormal(0.0, 0.02, -2.0, 2.0)


@pytest.mark.parametrize(("name", "nonlinearity"), [("random_walk", "linear"), ("random_walk", "relu"), ("he_normal", "relu")])
def test_a_random_walk_does_not_drift(name, nonlinearity):
    """Through 40 layers of 16 units, 500 times: the logarithm of the signal's norm stays, which He's lets fall."""
    rng, width, depth = np.random.default_rng(0), 16, 40
    std = resolve(make(name, (), {"nonlinearity": nonlinearity}), (width, width), width, width).std
    x = rng.standard_normal((500, width, 1))
    start = np.log(np.linalg.norm(x, axis=1))
    for _ in range(depth):
        x = rng.normal(0, std, (500, width, width)) @ x
        x = np.maximum(x, 0) if nonlinearity == "relu" else x
    drift = float(np.mean(np.log(np.linalg.norm(x, axis=1)) - start)) / depth
    assert drift == pytest.approx(0, abs=0.01) if name == "random_walk" else drift < -0.05


def test_fixup_is_he_scaled_by_the_branches():
    """The update of the network's function by a step of the optimizer is then that of one layer, whatever the depth."""
    he = resolve(make("he_normal", (), {"mode": "fan_out"}), (8, 8), 8, 8).std
    for blocks, layers, power in ((16, 2, -1 / 2), (16, 3, -1 / 4), (1, 2, 0)):
        law = resolve(make("fixup", (blocks, layers), {"mode": "fan_out"}), (8, 8), 8, 8)
        assert law == d.Normal(0.0, pytest.approx(he * blocks**power))
