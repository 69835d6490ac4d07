"""What a course says of maxout, dropout and the four norms, held by numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import netspec
from tests.course.test_worked_numbers import forward


def test_maxout_with_two_pieces_contains_relu() -> None:
    """max(w x, 0 x) = relu(w x): of two pieces one is the linear unit, the other zero. (Three make any convex function that
    has two kinks, two already |x|.)"""
    net = netspec.loads("net n { input x: [N, 3]; output y = x -> linear(4, bias = false) -> maxout(2) }")
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(20, 3)), rng.normal(size=(2, 3))
    both = np.zeros((4, 3))
    both[0::2] = w  # the pieces of a unit lie side by side
    found = forward(net, {"linear1.weight": both}, x=x)
    assert np.allclose(found, np.maximum(x @ w.T, 0), atol=1e-6)
    both[1::2] = -w
    assert np.allclose(forward(net, {"linear1.weight": both}, x=x), np.abs(x @ w.T), atol=1e-6)


@pytest.mark.parametrize("p", [0.2, 0.5, 0.8])
def test_dropout_at_test_time_is_one_minus_p_of_what_training_keeps(p: float) -> None:
    """Units kept in training are 1 / (1 - p) of what they are at test time (so at test time nothing needs scaling by 1 - p),
    a share p of them is zero, and the mean is the same."""
    import torch

    net = netspec.loads(f"net n {{ input x: [N, 1000]; output y = x -> dropout({p}) }}")
    module, x = net.torch(seed=0), torch.rand(200, 1000) + 1
    torch.manual_seed(0)
    trained, tested = module.train()(x), module.eval()(x)
    kept = trained != 0
    assert torch.equal(tested, x)
    assert torch.allclose(tested[kept], (1 - p) * trained[kept], rtol=1e-6)
    assert float(kept.float().mean()) == pytest.approx(1 - p, abs=0.01)
    assert float(trained.mean()) == pytest.approx(float(x.mean()), rel=0.01)


#: the axes of [N, C, H, W] over which each takes mean and variance; group norm those of C in its group, too
AXES = {"bn": (0, 2, 3), "instance_norm": (2, 3), "layer_norm(axis = 1)": (1, 2, 3)}


def normalized(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """(x - mean) / sqrt(variance + eps), the statistics taken over these axes."""
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - mean) / np.sqrt(var + 1e-5)


def trained(layer: str, x: np.ndarray) -> np.ndarray:
    """What a layer puts out in training mode, its scale 1 and its shift 0 as they start."""
    import torch

    net = netspec.loads(f"net n {{ input x: [N, 6, 5, 7]; output y = x -> {layer} }}")
    return net.torch(seed=0).train()(torch.from_numpy(x)).detach().numpy()


@pytest.mark.parametrize("layer", AXES)
def test_the_norms_differ_only_in_their_axes(layer: str) -> None:
    x = np.random.default_rng(0).normal(2, 3, (4, 6, 5, 7)).astype(np.float32)
    assert np.allclose(trained(layer, x), normalized(x, AXES[layer]), atol=1e-5)


@pytest.mark.parametrize(("groups", "same"), [(1, (1, 2, 3)), (6, (2, 3)), (2, None)])
def test_group_norm_lies_between_layer_and_instance_norm(groups: int, same: Any) -> None:
    """One group is layer norm, a group a channel is instance norm; in between, the axes of a group."""
    x = np.random.default_rng(0).normal(2, 3, (4, 6, 5, 7)).astype(np.float32)
    found = trained(f"gn({groups})", x)
    grouped = normalized(x.reshape(4, groups, 6 // groups, 5, 7), (2, 3, 4)).reshape(x.shape)
    assert np.allclose(found, grouped, atol=1e-5)
    if same is not None:
        assert np.allclose(found, normalized(x, same), atol=1e-5)
