"""What folding does to the layers of the language: which nodes are left, and that the numbers are the same up to rounding."""

from __future__ import annotations

from math import prod
from pathlib import Path

import onnx
import pytest

import netspec
from netspec.backends.onnx import OnnxOptions, model_bytes
from netspec.runtime.cases import inputs, size_cases
from tests.backends.onnx.forms import FORMS, Telling, distance, hollow, outputs

IMAGE = "input x: [N, 4, H = 9, W = 7]"
SCALE = "param([{}], init = normal(std = 1))"


def folded(text: str) -> list[str]:
    """Check that folding changes numbers by rounding only; the operators that are left."""
    graph = netspec.loads("net n {\n" + text.replace("; ", "\n") + "\n}").graph
    feeds = inputs(graph, size_cases(graph, 1)[0], "normal")
    assert distance(outputs(graph, FORMS["plain"], feeds), outputs(graph, FORMS["fold"], feeds)) <= 3e-6
    model = onnx.load_from_string(model_bytes(graph, Telling(), OnnxOptions(fold=True)))
    onnx.checker.check_model(model, full_check=True)
    return [node.op_type for node in model.graph.node]


@pytest.mark.parametrize("layer", ["conv(6, 3)", "conv(6, 3, groups = 2, padding = 1)", "conv(6, 3, bias = false)"])
def test_behind_a_convolution(layer: str) -> None:
    s, b = SCALE.format("6, 1, 1"), SCALE.format("1, 6, 1, 1")
    assert folded(f"{IMAGE}; y = x -> {layer} -> batch_norm; s = {s} as s; b = {b} as b; output z = y * s + b") == ["Conv"]
    assert folded(f"{IMAGE}; y = x -> {layer}; output z = 1 - y / 4") == ["Conv"]


def test_weights_that_are_computed_of_others() -> None:
    assert folded(f"{IMAGE}; output y = x -> spectral_norm(conv(6, 3)) -> weight_norm(conv(4, 1))") == ["Conv", "Conv"]
    assert folded("input x: [N, 8]; output y = x -> spectral_norm(linear(4)) -> spectral_norm(linear(8))") == ["Gemm", "Gemm"]
    a, b = SCALE.format("5, 3"), SCALE.format("3, 4")
    assert folded(f"input x: [N, 4]; a = {a} as a; b = {b} as b; output y = x + ((a, b) -> matmul -> mean(0) -> sigmoid)") == ["Add"]


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_behind_a_transposed_convolution(groups: int) -> None:
    assert folded(f"{IMAGE}; output y = x -> conv_transpose(8, 3, stride = 2, groups = {groups}) -> batch_norm") == ["ConvTranspose"]


def test_before_a_convolution_without_padding() -> None:
    s = SCALE.format("4, 1, 1")
    for layer in ("conv(6, 3)", "conv(6, 3, groups = 2)"):
        assert folded(f"{IMAGE}; output y = x -> batch_norm -> {layer}") == ["Conv"]
        assert folded(f"{IMAGE}; output y = x -> batch_norm -> {layer} -> batch_norm") == ["Conv"]
    assert folded(f"{IMAGE}; output y = x -> batch_norm -> conv(6, 3, padding = 1)") == ["BatchNormalization", "Conv"]
    assert folded(f"{IMAGE}; s = {s} as s; output y = x * s -> conv(6, 3, padding = 1)") == ["Conv"]
    assert folded(f"{IMAGE}; output y = x / 4 -> conv_transpose(6, 3) -> relu") == ["Div", "ConvTranspose", "Relu"]


def test_beside_a_linear_layer() -> None:
    s, b = SCALE.format("5"), SCALE.format("6")
    assert folded(f"input x: [N, 6]; s = {s} as s; output y = s * (x -> batch_norm -> linear(5) -> batch_norm)") == ["Gemm"]
    assert folded(f"input x: [N, T = 5, 6]; s = {s} as s; output y = s * (x -> linear(5))") == ["MatMul", "Add"]
    assert folded(f"input x: [N, T = 5, 6]; b = {b} as b; output y = x * b -> linear(5, bias = false)") == ["MatMul"]
    assert folded("input x: [N, 5, 6]; output y = x -> linear(6) -> batch_norm") == ["MatMul", "Add", "BatchNormalization"]


def test_a_scale_of_more_than_channels_stays() -> None:
    s = SCALE.format("6, 7, 5")
    assert folded(f"{IMAGE}; s = {s} as s; output y = (x -> conv(6, 3) -> slice(axis = 3, stop = 5)) * s")[-1] == "Mul"
    assert "Mul" in folded(f"input x: [N, 6]; s = {SCALE.format('2, 1, 5')} as s; output y = s * (x -> linear(5))")


def test_pads() -> None:
    assert folded(f"{IMAGE}; output y = x -> pad(1) -> conv(6, 3)") == ["Conv"]
    assert folded(f"{IMAGE}; output y = x -> pad((0, 1)) -> conv(6, 3, padding = 1) -> relu") == ["Conv", "Relu"]
    assert folded(f"{IMAGE}; output y = x -> pad(1) -> avg_pool(3)") == ["AveragePool"]
    assert folded(f"{IMAGE}; output y = x -> pad(1) -> max_pool(3)")[0] == "Pad"
    assert folded(f"{IMAGE}; output y = x -> pad(1, mode = reflect) -> conv(6, 3)") == ["Pad", "Conv"]
    assert folded(f"{IMAGE}; output y = x -> pad(1, mode = constant, value = 2) -> conv(6, 3)") == ["Pad", "Conv"]
    assert folded(f"{IMAGE}; output y = x -> pad(1) -> conv_transpose(6, 3)") == ["Pad", "ConvTranspose"]


def test_recurrent_weights_are_put_in_order() -> None:
    for layer in ("lstm(3)", "gru(3, bidirectional = true)", "rnn(3)"):
        assert not {"Split", "Concat", "Unsqueeze"} & set(folded(f"input x: [N, T = 5, 6]; output y = x -> {layer}"))


def test_weight_norm_is_computed() -> None:
    assert folded("input x: [N, 6, T = 9]; output y = x -> pad((2, 0)) -> weight_norm(conv(5, 3))") == ["Conv"]


def test_a_table_that_is_read_twice_is_stored_once(tmp_path: Path) -> None:
    graph = netspec.load("zoo.gpt2:gpt2").graph  # whose words are its last layer's rows
    sizes = []
    for form in ("plain", "fold"):
        model = onnx.load(str(hollow(graph, FORMS[form], tmp_path)), load_external_data=False)
        sizes.append(sum(prod(stored.dims) for stored in model.graph.initializer))
    assert sizes[1] <= sizes[0]


def test_what_is_done_twice_is_done_once() -> None:
    assert folded(f"{IMAGE}; a = x -> relu; b = x -> relu; output y = a + b") == ["Relu", "Add"]
    assert folded(f"{IMAGE}; output y = x -> permute([0, 2, 3, 1]) -> permute([0, 3, 1, 2]) -> relu") == ["Relu"]
    assert folded(f"{IMAGE}; output a = x -> relu; output b = x -> relu") == ["Relu", "Relu"]
    assert folded(f"{IMAGE}; output y = x -> flatten -> reshape([N, 2, 2 * H * W]) -> tanh") == ["Reshape", "Tanh"]


def test_activations_are_the_runtimes_own() -> None:
    for activation, kernels in (("sigmoid", ["Sigmoid"]), ("silu", ["Sigmoid", "Mul"]), ("elu(0.7)", ["Elu"]), ("selu", ["Selu"])):
        assert folded(f"{IMAGE}; output y = x -> {activation}") == kernels
    assert folded(f"{IMAGE}; output y = x -> glu(axis = 1)") == ["Split", "Sigmoid", "Mul"]


def test_the_body_of_a_scan() -> None:
    model = onnx.load_from_string(model_bytes(netspec.load("zoo.recurrent:jordan").graph, Telling(), OnnxOptions(fold=True)))
    (body,) = [attribute.g for node in model.graph.node for attribute in node.attribute if attribute.HasField("g")]
    assert [node.op_type for node in body.node].count("Sigmoid") == 2
