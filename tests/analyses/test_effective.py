"""The effective field: against measured gradients of randomly initialized layers, and against the theory of deep stacks."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call, grad, vmap

from netspec.analyses.effective import EffectiveField, effective_field
from netspec.api import load, loads

#: how many draws of the weights a measurement averages over, and channels a layer
DRAWS, CHANNELS = 600, 8

CHAINS = {
    "plain": "8 * conv(8, 3, padding = 1, bias = false)",
    "dilated": "conv(8, 3, padding = 2, dilation = 2, bias = false) -> conv(8, 3, padding = 4, dilation = 4, bias = false)",
    "even": "3 * conv(8, 4, padding = 2, bias = false)",
    "strided": "conv(8, 5, stride = 2, padding = 2, bias = false) -> 2 * conv(8, 3, padding = 1, bias = false)",
    "pooled": "conv(8, 3, padding = 1, bias = false) -> avg_pool(3, stride = 2) -> conv(8, 3, padding = 1, bias = false)",
    "circular": "4 * conv(8, 5, padding = 2, padding_mode = circular, bias = false)",
    "transposed": "conv(8, 3, padding = 1, bias = false) -> conv_transpose(8, 4, stride = 2, padding = 1, bias = false)",
    "checkerboard": "conv_transpose(8, 3, stride = 2, bias = false) -> conv(8, 3, padding = 1, bias = false)",
    "interpolated": "conv(8, 3, padding = 1, bias = false) -> resize(1.5, mode = linear) -> conv(8, 3, padding = 1, bias = false)",
    "nearest": "conv(8, 3, padding = 1, bias = false) -> upsample(2) -> conv(8, 3, padding = 1, bias = false)",
}


def _measured(module: torch.nn.Module, position: int, length: int) -> list[float]:
    """The share of the mean square of the gradient at every input position, over draws of the weights: all drawn at once."""
    drawn = {name: torch.randn(DRAWS, *weight.shape) / math.sqrt(CHANNELS * weight.shape[-1]) for name, weight in module.named_parameters()}

    def output(x: Tensor, weights: dict[str, Tensor], seed: Tensor) -> Tensor:
        return (functional_call(module, weights, (x,))[0, :, position] * seed).sum()

    gradients = vmap(grad(output), in_dims=(None, 0, 0))(torch.zeros(1, CHANNELS, length), drawn, torch.randn(DRAWS, CHANNELS))
    total = gradients.square().sum((0, 1, 2))
    return (total / total.sum()).tolist()


@pytest.mark.parametrize("name", CHAINS)
def test_it_is_the_mean_squared_gradient_of_drawn_weights(name: str) -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    net = loads(f"net chain {{ input x: [N, {CHANNELS}, T = 40]; output y = x -> {CHAINS[name]} }}")
    field = effective_field(net.graph)["y"]["T"]
    measured = _measured(net.torch(0), field.position, 40)
    assert max(abs(a - b) for a, b in zip(measured, field.mass)) < 0.15 * max(field.mass)
    assert {i for i, m in enumerate(measured) if m > 0} == {i for i, m in enumerate(field.mass) if m > 0}
    assert math.sqrt(sum((i - field.centre) ** 2 * m for i, m in enumerate(measured))) == pytest.approx(field.deviation, rel=0.05)


def test_a_relu_and_a_residual_change_nothing_and_add_up() -> None:
    """At a residual block half of the gradient takes the skip, and half the branch."""
    torch.manual_seed(0)
    net = loads("net a { input x: [N, 64, T = 21]; output y = x + (x -> relu -> conv(64, 5, padding = 2, bias = false)) }")
    field = effective_field(net.graph)["y"]["T"]
    middle = field.position
    assert field.mass[middle] == pytest.approx(0.5 + 0.1) and field.mass[middle + 2] == pytest.approx(0.1)
    module, x = net.torch(0), torch.randn(200, 64, 21, requires_grad=True)
    torch.nn.init.normal_(module.conv1.weight, std=math.sqrt(2 / (64 * 5)))
    (gradient,) = torch.autograd.grad((module(x)[:, :, middle] * torch.randn(200, 64)).sum(), x)
    measured = gradient.square().sum((0, 1))
    assert float(measured[middle] / measured.sum()) == pytest.approx(0.6, rel=0.1)


@pytest.mark.parametrize("depth", (5, 20, 80))
def test_a_deep_stack_is_a_gaussian_that_grows_as_the_root_of_its_depth(depth: int) -> None:
    """Each layer adds the variance (k² - 1) / 12 of its taps (Luo et al., arXiv:1701.04128, section 2)."""
    net = loads(f"net deep {{ input x: [N, 1, T = 401]; output y = x -> {depth} * conv(1, 5, padding = 2) }}")
    field = effective_field(net.graph)["y"]["T"]
    assert field.deviation == pytest.approx(math.sqrt(2 * depth))
    assert field.within(0.6827) == pytest.approx(2 * field.deviation, abs=1.5)
    assert sum(field.mass) == pytest.approx(1)


def test_a_gate_that_sees_everything_leaves_the_field_local() -> None:
    plain = loads("net a { input x: [N, 4, H = 64, W = 64]; output y = x -> conv(4, 5, padding = 2) }")
    gated = loads(
        "net a { input x: [N, 4, H = 64, W = 64]\n y = x -> conv(4, 5, padding = 2)\n"
        " output z = y * (y -> global_avg_pool -> conv(4, 1) -> sigmoid) }"
    )
    assert effective_field(plain.graph)["y"]["H"].within(0.9) == effective_field(gated.graph)["z"]["H"].within(0.9) == 5


def test_published_networks_see_far_less_than_their_fields() -> None:
    """A field of 427, of which a sixth holds most of the gradient."""
    field = effective_field(load("zoo.resnet:resnet50").graph, "layer4.2.relu3", sizes={"H": 448, "W": 448})["layer4.2.relu3"]["H"]
    assert 427 / 9 < field.within() < 427 / 4


def test_the_shortest_stretch_that_holds_a_share() -> None:
    field = EffectiveField("x", 2, 0, (0.1, 0.0, 0.5, 0.2, 0.2))
    assert [field.within(share) for share in (0.4, 0.5, 0.6, 0.9, 1.0)] == [1, 1, 2, 3, 5]
    assert EffectiveField("x", 2, 0, (0.0, 0.0)).within() == 0


@pytest.mark.parametrize("mode", ("linear", "bilinear", "bicubic", "nearest", "area"))
@pytest.mark.parametrize("align_corners", (False, True))
def test_interpolation_weights_are_those_of_torch(mode: str, align_corners: bool) -> None:
    """Away from the borders, squared: a layer of interpolation alone."""
    if align_corners and mode in ("nearest", "area"):
        return
    shape, size = ("T = 30", "size = 47") if mode == "linear" else ("T = 30, W = 8", "size = (47, W)")
    corners = ", align_corners = true" if align_corners else ""
    net = loads(f"net a {{ input x: [N, 1, {shape}]; output y = x -> resize({size}, mode = {mode}{corners}) }}")
    for position in (20, 21, 22, 23):
        at = {"T": position} if mode == "linear" else {"T": position, "W": 4}
        field = effective_field(net.graph, at=at)["y"]["T"]
        weights = _row(mode, align_corners or None, position).square()
        assert field.mass == pytest.approx((weights / weights.sum()).tolist(), abs=1e-9)


def _row(mode: str, align_corners: bool | None, position: int) -> Tensor:
    basis = torch.eye(30, dtype=torch.float64)[:, None]
    if mode == "linear":
        return F.interpolate(basis, size=47, mode=mode, align_corners=align_corners)[:, 0, position]
    return F.interpolate(basis[..., None].expand(-1, -1, -1, 8), size=(47, 8), mode=mode, align_corners=align_corners)[:, 0, position, 4]
