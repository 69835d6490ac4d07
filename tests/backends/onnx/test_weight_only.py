"""Linear layers in 8 and 4 bits: the bytes that onnxruntime's own quantizer lays out, the product that they stand for, and streaming."""

from __future__ import annotations

from math import ceil

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper
from onnxruntime.quantization.matmul_nbits_quantizer import DefaultWeightOnlyQuantConfig, DefaultWeightOnlyQuantizer

from netspec.api import loads
from netspec.backends.onnx import OnnxOptions, model_bytes, weight_only
from netspec.backends.onnx.lower import lower
from netspec.backends.onnx.weight_only import BLOCK_SIZE, pack, store_in_blocks
from netspec.backends.weights import Arrays, Initial

FLAT = "net a { input x: [N, 70]\n output y: [N, 5] = x -> linear(96) -> relu -> linear(64, bias = false) -> tanh -> linear(5) }"
DEEP = "net a { input x: [N, T = 3, 70]\n output y: [N, T, 33] = x -> linear(96, bias = false) -> relu -> linear(33) }"


def opened(values: np.ndarray, scales: np.ndarray, zeros: np.ndarray, k: int, bits: int) -> np.ndarray:
    """The weight `[N, K]` that packed blocks stand for, by the definition of MatMulNBits."""
    n, blocks = scales.shape
    if bits == 4:
        values = np.stack((values & 15, values >> 4), -1)
        zeros = np.stack((zeros & 15, zeros >> 4), -1)
    whole = values.reshape(n, blocks, BLOCK_SIZE).astype(np.float32) - zeros.reshape(n, -1)[:, :blocks, None]
    return (whole * scales[..., None]).reshape(n, -1)[:, :k]


def theirs(weight: np.ndarray, bits: int, symmetric: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The weight as onnxruntime's quantizer packs it."""
    config = DefaultWeightOnlyQuantConfig(block_size=BLOCK_SIZE, is_symmetric=symmetric, bits=bits)
    values, scales, zeros = DefaultWeightOnlyQuantizer(config).qbits_block_quant(np.ascontiguousarray(weight.T))
    return values, scales.reshape(len(weight), -1), zeros.reshape(len(weight), -1)


@pytest.mark.parametrize("bits", [4, 8])
def test_the_bytes_are_those_of_onnxruntimes_quantizer(bits: int) -> None:
    """On weights that lie on a grid there is one right answer, with odd numbers of blocks too, and blocks that are not full."""
    rng = np.random.default_rng(0)
    levels = (1 << bits) - 1
    for n, k in ((3, 96), (5, 70), (2, 32)):
        grid = rng.integers(0, levels + 1, (n, ceil(k / BLOCK_SIZE), BLOCK_SIZE))
        grid[..., 0], grid[..., 1] = 0, levels  # every block spans its range
        zero = rng.integers(1, 6, (n, ceil(k / BLOCK_SIZE), 1))
        weight = ((grid - zero) * np.float32(2**-6)).astype(np.float32).reshape(n, -1)[:, :k]
        (ours, *rest), (expected, *others) = pack(weight, bits), theirs(weight, bits)
        used = k * bits // 8  # what fills the last block up is never read: zero here, the lowest level there
        np.testing.assert_array_equal(ours.reshape(n, -1)[:, :used], expected.reshape(n, -1)[:, :used])
        for one, other in zip(rest, others):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("bits", [4, 8])
def test_no_block_is_stored_worse_than_by_onnxruntimes_quantizer(bits: int) -> None:
    rng = np.random.default_rng(1)
    weight = (rng.standard_normal((40, 100)) * np.exp(rng.standard_normal((40, 1)))).astype(np.float32)
    weight[3], weight[4], weight[5] = 0, np.abs(weight[4]), 7.0

    def errors(packed: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
        squares = np.zeros((40, 128))
        squares[:, :100] = (opened(*packed, 100, bits) - weight) ** 2
        return squares.reshape(40, 4, BLOCK_SIZE).sum(-1)

    ours, middle = errors(pack(weight, bits)), 128 if bits == 8 else 0x88
    for symmetric in (False, True):
        values, scales, zeros = theirs(weight, bits, symmetric)
        other = errors((values, scales, np.full_like(zeros, middle) if symmetric else zeros))
        assert (ours <= other * 1.0001 + 1e-9).all()
        assert ours.sum() < other.sum()


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("fold", [False, True])
@pytest.mark.parametrize("text", [FLAT, DEEP])
def test_onnxruntime_computes_the_product_with_the_opened_weights(text: str, fold: bool, bits: int) -> None:
    graph = loads(text).graph
    arrays = {tensor.name: Initial(3).array(tensor) for tensor in graph.weights}
    stored = model_bytes(graph, Arrays(arrays), OnnxOptions(precision=f"int{bits}-weights", fold=fold))
    model = onnx.load_from_string(stored)
    onnx.checker.check_model(model)
    assert [node.op_type for node in model.graph.node].count("MatMulNBits") == sum(len(a.shape) == 2 for a in arrays.values())
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "MatMulNBits":
            name = f"{node.name.split('/')[0]}.weight"
            arrays[name] = opened(*(held[part] for part in node.input[1:4]), arrays[name].shape[1], bits)
    shape = (4, 70) if text is FLAT else (4, 3, 70)
    feed = {"x": np.random.default_rng(0).standard_normal(shape).astype(np.float32)}
    ours, exact = (ort.InferenceSession(m).run(None, feed)[0] for m in (stored, model_bytes(graph, Arrays(arrays))))
    np.testing.assert_allclose(ours, exact, atol=1e-5 * np.abs(exact).max(), rtol=1e-4)


def test_what_is_no_linear_layer_stays_and_is_the_same_to_the_bit() -> None:
    """A narrow layer and a convolution keep their weights; a table that is read by its rows does, too."""
    text = """
    net a {
      input image: [N, 8, 8, 8]
      output y: [N, 40] = image -> conv(48, 3, padding = 1) -> global_avg_pool -> flatten
        -> linear(16) as wide -> relu -> linear(40) as narrow
    }
    """
    graph = loads(text).graph
    model, weights = store_in_blocks(lower(graph), Initial(0), 4)
    names = [tensor.name for tensor in model.weights]
    assert [name for name in names if name.startswith("wide")] == [
        "wide.weight.q4",
        "wide.weight.scales",
        "wide.weight.zero_points",
        "wide.bias",
    ]
    kept = [tensor for tensor in model.weights if not tensor.name.startswith("wide.weight")]
    assert {tensor.name for tensor in kept} == {"conv1.weight", "conv1.bias", "wide.bias", "narrow.weight", "narrow.bias"}
    for tensor in kept:
        np.testing.assert_array_equal(weights.array(tensor), Initial(0).array(tensor))


def test_a_weight_that_others_read_as_numbers_stays() -> None:
    graph = loads("net a { input x: [N, 64]\n output y: [N, 64] = x -> weight_norm(linear(64)) }").graph
    before = lower(graph)
    model, _ = store_in_blocks(before, Initial(0), 8)
    assert model.weights == before.weights and model.nodes == before.nodes


def test_weights_are_packed_by_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A weight that is drawn in blocks is packed in stretches, which give the bytes of the whole; nothing is kept in the end."""
    monkeypatch.setattr("netspec.backends.weights.BLOCK", 1000)
    monkeypatch.setattr(weight_only, "STRETCH", 700)
    graph = loads("net a { input x: [N, 70]\n output y: [N, 91] = x -> linear(91) }").graph
    model, weights = store_in_blocks(lower(graph), Initial(0), 4)
    whole = pack(Initial(0).array(next(tensor for tensor in graph.weights if tensor.local == "weight")), 4)
    for tensor, expected in zip(model.weights, whole):
        assert len(list(weights.pieces(tensor))) == 10
        np.testing.assert_array_equal(weights.array(tensor), expected)
    assert weights.known == {}  # type: ignore[attr-defined]
