"""Numbers that a course on neural networks works out by hand, from texts written the way its exercises are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import netspec


def weights(net: Any) -> dict[str, tuple[int, ...]]:
    """What a network stores, by name."""
    return {w.name: w.shape for w in net.graph.weights}


def parameters(net: Any) -> int:
    """How many numbers training may change."""
    return net.summary().parameters


def forward(net: Any, values: dict[str, Any], **inputs: Any) -> np.ndarray:
    """What the network computes in PyTorch with these weights, in eval mode."""
    import torch

    module = net.torch(seed=0).eval()
    state = {name: torch.tensor(value, dtype=torch.float32) for name, value in values.items()}
    module.load_state_dict(state, strict=True)
    with torch.no_grad():
        return module(**{name: torch.tensor(x, dtype=torch.float32) for name, x in inputs.items()}).numpy()


# ----------------------------------------------------------------------------------------------------- convolution
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"),
    [(7, 3, 1, 0), (7, 3, 2, 0), (7, 3, 1, 1), (32, 5, 1, 2), (227, 11, 4, 0), (224, 7, 2, 3), (6, 3, 3, 0), (5, 5, 1, 0), (28, 2, 2, 0)],
)
def test_a_convolution_has_w_minus_f_plus_2p_over_s_plus_1_positions(size: int, kernel: int, stride: int, padding: int) -> None:
    net = netspec.loads(
        f"net n {{ input x: [N, 1, {size}, {size}]; output y = x -> conv(1, {kernel}, stride = {stride}, padding = {padding}) }}"
    )
    positions = (size - kernel + 2 * padding) // stride + 1
    assert net.graph.types((net.graph.outputs[0].value,))[0].shape[2:] == (positions, positions)


def test_a_stride_that_does_not_divide_drops_the_last_pixels() -> None:
    """W = 10, F = 3, S = 3 has (10 - 3) / 3 + 1 = 3.33 positions: three fit."""
    net = netspec.loads("net n { input x: [N, 1, 10, 10]; output y: [N, 1, 3, 3] = x -> conv(1, 3, stride = 3) }")
    assert not [d for d in net.check() if d.severity == "error"]


def test_two_filters_over_three_channels_have_56_parameters() -> None:
    net = netspec.loads("net n { input x: [N, 3, 5, 5]; output y: [N, 2, 3, 3] = x -> conv(2, 3, stride = 2, padding = 1) }")
    assert parameters(net) == (3 * 3 * 3 + 1) * 2 == 56


def test_sharing_weights_saves_what_it_is_said_to() -> None:
    """AlexNet's first layer: 96 filters of 11×11×3 are 34,944 parameters; with weights of their own for each of the 55×55
    positions there would be 105,415,200 weights (without biases)."""
    shared = netspec.loads("net n { input x: [N, 3, 227, 227]; output y: [N, 96, 55, 55] = x -> conv(96, 11, stride = 4) }")
    assert parameters(shared) == (11 * 11 * 3 + 1) * 96 == 34_944


def test_ten_filters_of_three_by_three_by_three_have_280_parameters() -> None:
    net = netspec.loads("net n { input x: [N, 3, 39, 39]; output y: [N, 10, 37, 37] = x -> conv(10, 3) }")
    assert parameters(net) == 280


@pytest.mark.parametrize(("layers", "pixels"), [("conv(1, 5)", 5), ("2 * conv(1, 3)", 5), ("3 * conv(1, 3)", 7), ("conv(1, 7)", 7)])
def test_small_kernels_in_a_row_see_as_much_as_a_large_one(layers: str, pixels: int) -> None:
    text = "net n {{ input x: [N, 1, H = 32, W = 32]; y = x -> {}; output y; expect receptive_field(y) == {} }}"
    assert netspec.loads(text.format(layers, pixels)).graph.outputs
    with pytest.raises(netspec.SpecError):
        netspec.loads(text.format(layers, pixels + 2))


def test_a_hidden_layer_of_fifteen_on_digits_has_11935_parameters() -> None:
    """784 inputs, 15 hidden units, 10 outputs: 784·15 + 15 + 15·10 + 10."""
    net = netspec.loads("net n { input x: [N, 784]; output y = x -> linear(15) -> sigmoid -> linear(10) -> sigmoid }")
    assert parameters(net) == 11_935


# ------------------------------------------------------------------------------------------ transposed convolution
def test_a_transposed_convolution_of_ones_adds_up_its_overlaps() -> None:
    net = netspec.loads("net n { input x: [N, 1, 4, 4]; output y: [N, 1, 6, 6] = x -> conv_transpose(1, 3, bias = false) as up }")
    result = forward(net, {"up.weight": np.ones((1, 1, 3, 3))}, x=np.ones((1, 1, 4, 4)))
    row = np.array([1, 2, 3, 3, 2, 1])
    assert np.array_equal(result[0, 0], np.outer(row, row))
    assert result[0, 0, 2].tolist() == [3, 6, 9, 9, 6, 3]


@pytest.mark.parametrize(("size", "kernel", "stride", "padding"), [(4, 3, 1, 0), (4, 2, 2, 0), (5, 3, 2, 1), (7, 4, 2, 1), (2, 4, 4, 0)])
def test_a_transposed_convolution_undoes_the_sizes_of_its_convolution(size: int, kernel: int, stride: int, padding: int) -> None:
    call = f"conv_transpose(1, {kernel}, stride = {stride}, padding = {padding})"
    net = netspec.loads(f"net n {{ input x: [N, 1, {size}, {size}]; output y = x -> {call} }}")
    expected = (size - 1) * stride + kernel - 2 * padding
    assert net.graph.types((net.graph.outputs[0].value,))[0].shape[2:] == (expected, expected)


# --------------------------------------------------------------------------------------------------------- neurons
def test_a_perceptron_computes_nand() -> None:
    """Weights −2, −2 and bias 3 (Nielsen, "Neural networks and deep learning", chapter 1)."""
    net = netspec.load("zoo.perceptron:perceptron")
    inputs = [[0, 0], [0, 1], [1, 0], [1, 1]]
    result = forward(net, {"linear1.weight": [[-2, -2]], "linear1.bias": [3]}, x=inputs)
    assert result.ravel().tolist() == [1, 1, 1, 0]


def test_nand_ships_with_its_weights() -> None:
    session = netspec.load("zoo.perceptron:nand").session()
    result = session(x=np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=np.float32))["y"]
    assert result.ravel().tolist() == [1, 1, 1, 0]


HALF_ADDER = """
net gate { input x: [N, 2]; output y: [N, 1] = x -> linear(1) -> relu -> cast(bool) -> cast(float32) }
net half_adder {
  input x: [N, 2]
  a = x -> slice(0, 1, axis = 1)
  b = x -> slice(1, 2, axis = 1)
  layer nand = gate()
  m = x -> nand
  output sum   = (a ++ m -> nand) ++ (m ++ b -> nand) -> nand
  output carry = m ++ m -> nand
}
"""


def test_nand_gates_add_two_bits() -> None:
    """Five NAND gates that share one pair of weights make a half adder (Nielsen, chapter 1)."""
    import torch

    net = netspec.loads(HALF_ADDER, "half_adder")
    assert sorted(weights(net)) == ["nand.linear1.bias", "nand.linear1.weight"]
    module = net.torch(seed=0)
    module.load_state_dict({"nand.linear1.weight": torch.tensor([[-2.0, -2.0]]), "nand.linear1.bias": torch.tensor([3.0])})
    out = module(torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]]))
    assert out[0].ravel().tolist() == [0, 1, 1, 0]
    assert out[1].ravel().tolist() == [0, 0, 0, 1]


MAZUR = "net n { input x: [N, 2]; h = x -> linear(2) -> sigmoid; output y: [N, 2] = h -> linear(2) -> sigmoid }"
MAZUR_WEIGHTS = {
    "linear1.weight": [[0.15, 0.20], [0.25, 0.30]],
    "linear1.bias": [0.35, 0.35],
    "linear2.weight": [[0.40, 0.45], [0.50, 0.55]],
    "linear2.bias": [0.60, 0.60],
}


def test_two_layers_of_sigmoids_go_forward_as_worked_out_by_hand() -> None:
    """Mazur, "A step by step backpropagation example" (2015)."""
    result = forward(netspec.loads(MAZUR), MAZUR_WEIGHTS, x=[[0.05, 0.10]])[0]
    assert result == pytest.approx([0.75136507, 0.772928465], abs=1e-7)
    assert ((np.array([0.01, 0.99]) - result) ** 2 / 2).sum() == pytest.approx(0.298371109, abs=1e-7)


def test_their_first_hidden_unit_is_0_593269992() -> None:
    text = "net n { input x: [N, 2]; output y: [N, 2] = x -> linear(2) -> sigmoid }"
    first = {name: value for name, value in MAZUR_WEIGHTS.items() if name.startswith("linear1")}
    assert forward(netspec.loads(text), first, x=[[0.05, 0.10]])[0, 0] == pytest.approx(0.593269992, abs=1e-7)


def test_a_step_down_their_gradient_is_the_one_worked_out_by_hand() -> None:
    """With learning rate 0.5: w5 becomes 0.35891648, w1 becomes 0.149780716 (same source)."""
    import torch

    module = netspec.loads(MAZUR).torch(seed=0)
    module.load_state_dict({name: torch.tensor(value) for name, value in MAZUR_WEIGHTS.items()})
    y = module(torch.tensor([[0.05, 0.10]]))
    ((torch.tensor([[0.01, 0.99]]) - y) ** 2 / 2).sum().backward()
    stepped = {name: (p - 0.5 * p.grad).detach() for name, p in module.named_parameters()}
    assert stepped["linear2.weight"][0, 0].item() == pytest.approx(0.35891648, abs=1e-7)
    assert stepped["linear1.weight"][0, 0].item() == pytest.approx(0.149780716, abs=1e-7)
