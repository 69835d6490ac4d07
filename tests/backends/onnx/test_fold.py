"""Folding batch norms: fewer nodes, the same function up to rounding, and only where it is allowed."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort

from netspec.backends.onnx import OnnxOptions, model_bytes
from netspec.backends.weights import Arrays, Initial
from netspec.sizes.dim import Dim
from tests.backends import networks as nets


def random_weights(graph) -> Arrays:
    """Weights that hide nothing: statistics and affine parameters are random, variances in [0.01, 3]."""
    rng = np.random.default_rng(0)
    arrays = {}
    for t in graph.weights:
        value = rng.uniform(0.01, 3, t.shape) if t.local == "running_var" else rng.standard_normal(t.shape)
        arrays[t.name] = np.asarray(value).astype(t.dtype)
    return Arrays(arrays)


def folded(graph, feeds) -> list[str]:
    """Check that folding changes numbers by rounding only; the operators that are left."""
    weights = random_weights(graph)
    plain, fold = model_bytes(graph, weights), model_bytes(graph, weights, OnnxOptions(fold=True))
    model = onnx.load_from_string(fold)
    onnx.checker.check_model(model, full_check=True)
    for a, b in zip(*(ort.InferenceSession(m).run(None, feeds) for m in (plain, fold))):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4 * np.abs(a).max())
    return [n.op_type for n in model.graph.node]


IMAGE = np.random.default_rng(1).standard_normal((2, 3, 6, 5)).astype("float32")


def image(b: nets.Builder) -> int:
    return b.input("image", Dim.name("N"), 3, 6, 5)


def test_convolution_with_and_without_bias():
    for bias in (False, True):
        b = nets.Builder()
        y = b.add("bn", nets.Norm(), b.add("conv", nets.Conv(channels=4, bias=bias), image(b)))
        assert folded(b.graph(y=b.add("relu", nets.Plain(), y)), {"image": IMAGE}) == ["Conv", "Relu"]


def test_linear():
    b = nets.Builder()
    x = b.input("x", Dim.name("N"), 6)
    graph = b.graph(y=b.add("bn", nets.Norm(), b.add("fc", nets.Linear(features=4), x)))
    assert folded(graph, {"x": IMAGE.reshape(-1, 6)}) == ["Gemm"]


def test_a_result_that_others_read_is_not_folded():
    b = nets.Builder()
    y = b.add("conv", nets.Conv(channels=4), image(b))
    z = b.add("bn", nets.Norm(), y)
    assert folded(b.graph(y=b.add("add", nets.Plain(what="Add"), y, z)), {"image": IMAGE}) == ["Conv", "BatchNormalization", "Add"]
    b = nets.Builder()
    y = b.add("conv", nets.Conv(channels=4), image(b))
    assert folded(b.graph(y=b.add("bn", nets.Norm(), y), raw=y), {"image": IMAGE}) == ["Conv", "BatchNormalization"]


def test_shared_weights_are_not_folded():
    b = nets.Builder()
    x = b.add("stem", nets.Conv(channels=4), image(b))
    y = b.add("bn", nets.Norm(), b.add("conv", nets.Conv(channels=4), x))
    y = b.add("conv", nets.Conv(channels=4), y)
    assert "BatchNormalization" in folded(b.graph(y=y), {"image": IMAGE})


def test_fold_keeps_the_seed():
    graph = nets.small()
    assert model_bytes(graph, Initial(1), OnnxOptions(fold=True)) == model_bytes(graph, Initial(1), OnnxOptions(fold=True))
