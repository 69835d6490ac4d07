"""Initial weights: a function of seed and name alone, with the distribution that the initializer says."""

from __future__ import annotations

import hashlib
import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from netspec.backends.weights import BLOCK, Arrays, Initial, distribution, generate
from netspec.diagnostics.model import Refusal
from netspec.graph import Tensor
from netspec.initializers import make


def tensor(init: str, shape, *positional, name="w", fan_in=9.0, fan_out=16.0, dtype="float32", **keywords) -> Tensor:
    return Tensor(
        name=name, local="weight", shape=shape, dtype=dtype, init=make(init, positional, keywords),
        fan_in=fan_in, fan_out=fan_out, trainable=True, role="weight",
    )  # fmt: skip


def test_the_stream_is_pinned():
    """A change of these digests changes every network that a seed gives: it needs a new version of the recipe's label."""
    normal = generate(tensor("normal", (100,), std=1.0), 0)
    uniform = generate(tensor("uniform", (100,), 0.0, 1.0), 0)
    cut = generate(tensor("truncated_normal", (100,), std=1.0), 0)
    digests = [hashlib.sha256(a.tobytes()).hexdigest()[:12] for a in (normal, uniform, cut)]
    assert digests == PINNED


PINNED = ["14cd72cd56ef", "f678e166ce51", "9bbb62ff936a"]


def test_seed_and_name_decide():
    t = tensor("normal", (50,), std=1.0)
    assert (generate(t, 1) == generate(t, 1)).all()
    assert (generate(t, 1) != generate(t, 2)).all()
    assert (generate(t, 1) != generate(t.model_copy(update={"name": "v"}), 1)).all()
    assert (generate(t, -1) != generate(t, 1)).all() and (generate(t, 2**200) != generate(t, 1)).all()


def test_pieces_in_any_order_and_thread():
    t = tensor("normal", (3, BLOCK - 7), std=1.0)
    pieces = list(Initial(4).pieces(t))
    assert [p.count for p in pieces] == [BLOCK, BLOCK, BLOCK - 21]
    with ThreadPoolExecutor(3) as pool:
        made = list(pool.map(lambda p: p.make(), reversed(pieces)))
    np.testing.assert_array_equal(np.concatenate(made[::-1]), generate(t, 4).ravel())
    assert not np.array_equal(made[0][:100], made[1][:100])


MOMENTS = [
    (("normal", 1.0, 2.0), {}, 1.0, 2.0),
    (("uniform", -1.0, 3.0), {}, 1.0, 4 / math.sqrt(12)),
    (("uniform",), {"bound": 0.5}, 0.0, 1 / math.sqrt(12)),
    (("constant", 0.25), {}, 0.25, 0.0),
    (("torch_default", 9), {}, 0.0, 1 / 3 / math.sqrt(3)),
    (("he_normal",), {}, 0.0, math.sqrt(2 / 9)),
    (("he_normal",), {"mode": "fan_out", "truncated": True}, 0.0, math.sqrt(2 / 16)),
    (("kaiming_uniform",), {"a": math.sqrt(5)}, 0.0, math.sqrt(1 / 3 / 9)),
    (("xavier_uniform",), {}, 0.0, math.sqrt(2 / 25)),
    (("glorot_normal",), {"gain": "tanh"}, 0.0, 5 / 3 * math.sqrt(2 / 25)),
    (("lecun_normal",), {}, 0.0, 1 / 3),
    (("scaled", 2 / 3), {}, 0.0, 2 / 3),
    (("truncated_normal",), {"std": 0.02}, 0.0, 0.02),
    (("truncated_normal",), {"mean": 0.0, "std": 1.0, "a": -1.0, "b": 1.0}, 0.0, 0.5396),
    (("truncated_normal",), {"mean": 0.0, "std": 1.0, "a": 2.0, "b": 50.0}, 2.3732, 0.3380),
    (("truncated_normal",), {"mean": 0.0, "std": 1.0, "a": -50.0, "b": -2.0}, -2.3732, 0.3380),
    (("truncated_normal",), {"mean": 0.0, "std": 1.0, "a": -0.1, "b": 0.1}, 0.0, 0.0576),
]


@pytest.mark.parametrize(("call", "keywords", "mean", "std"), MOMENTS, ids=lambda v: str(v)[:40])
def test_moments(call, keywords, mean, std):
    drawn = generate(tensor(call[0], (400, 500), *call[1:], **keywords), 0)
    assert drawn.dtype == np.float32
    assert abs(drawn.mean(dtype="float64") - mean) <= max(std, 1e-6) * 0.012
    assert abs(drawn.std(dtype="float64") - std) <= max(std, 1e-6) * 0.012


def test_bounds_are_kept():
    drawn = generate(tensor("truncated_normal", (200_000,), std=1.0, mean=0.0, a=5.0, b=5.1), 0)
    assert drawn.min() >= 5 and drawn.max() <= np.float32(5.1)


@pytest.mark.parametrize("shape", [(8, 20), (20, 8), (8, 2, 3, 3), (64, 8, 3, 3)])
def test_orthogonal(shape):
    q = generate(tensor("orthogonal", shape, gain=2.0), 0).reshape(shape[0], -1).astype("float64")
    product = q @ q.T if q.shape[0] <= q.shape[1] else q.T @ q
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-5)


def test_sparse():
    drawn = generate(tensor("sparse", (50, 40), sparsity=0.9), 0)
    assert ((drawn == 0).sum(axis=0) == 45).all()
    drawn = generate(tensor("sparse", (50, 40), nonzero=15), 0)
    assert ((drawn != 0).sum(axis=1) == 15).all()


def test_dirac_and_eye():
    torch = pytest.importorskip("torch")
    for groups in (1, 2):
        expected = torch.nn.init.dirac_(torch.empty(8, 3, 3, 5), groups).numpy()
        np.testing.assert_array_equal(generate(tensor("dirac", (8, 3, 3, 5), groups=groups), 0), expected)
    np.testing.assert_array_equal(generate(tensor("eye", (3, 5)), 0), np.eye(3, 5, dtype="float32"))


@pytest.mark.parametrize("dtype", ["float64", "float16", "int64"])
def test_dtypes(dtype):
    drawn = generate(
        tensor("constant" if dtype == "int64" else "normal", (3, 3), *((0,) if dtype == "int64" else (0.0, 1.0)), dtype=dtype), 0
    )
    assert drawn.dtype == dtype and drawn.shape == (3, 3)


def test_scalars_and_nothing():
    assert generate(tensor("zeros", (), dtype="int64"), 0).shape == ()
    assert generate(tensor("normal", (0, 3), std=1.0), 0).shape == (0, 3)


def test_what_does_not_fit_is_refused():
    with pytest.raises(Refusal, match="NS602"):
        distribution(tensor("orthogonal", (3,)))
    with pytest.raises(Refusal, match="NS602"):
        distribution(tensor("he_normal", (3,), fan_in=0.0))
    with pytest.raises(Refusal, match="NS603"):
        distribution(tensor("zeros", (3,), dtype="bfloat16"))


def test_given_arrays():
    t = tensor("zeros", (2, 3))
    value = np.arange(6, dtype="float32").reshape(2, 3)
    np.testing.assert_array_equal(Arrays({"w": value}).array(t), value)
    np.testing.assert_array_equal(Arrays({}, Initial(0)).array(t), np.zeros((2, 3)))
    with pytest.raises(Refusal, match="NS605"):
        Arrays({}).array(t)
    with pytest.raises(Refusal, match="NS604"):
        Arrays({"w": value.T}).array(t)
