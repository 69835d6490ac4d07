"""A course's numbers of gradient descent: one step of a net that is worked by hand, and momentum as textbooks print it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import netspec
from netspec.recipe import lookup
from netspec.recipe.section import Section

torch = pytest.importorskip("torch")

from netspec.training.optimizers import make_optimizer  # noqa: E402

#: the worked example: inputs, weights w1 to w8 and biases, targets
WORKED = {
    "hidden.weight": [[0.15, 0.20], [0.25, 0.30]],
    "hidden.bias": [0.35, 0.35],
    "out.weight": [[0.40, 0.45], [0.50, 0.55]],
    "out.bias": [0.60, 0.60],
}


SPEC = """
net worked {
  input x: [N, 2]
  output y = x -> linear(2) as hidden -> sigmoid -> linear(2) as out -> sigmoid

  train {
    loss      = squared_error(y, target)
    optimizer = sgd(lr = 0.5)
    batch     = 1
  }
}
"""


def test_one_step_of_the_two_two_two_net_gives_the_published_weights() -> None:
    from netspec.training.losses import make_objective

    net = netspec.loads(SPEC)
    (section,) = net.graph.training
    module = net.torch().double()
    module.load_state_dict({name: torch.tensor(value).double() for name, value in WORKED.items()})
    optimizer, objective = make_optimizer(net.graph, section, module), make_objective(net.graph, section)
    error = objective(module(torch.tensor([[0.05, 0.10]]).double()), torch.tensor([[0.01, 0.99]]).double())
    error.backward()
    optimizer.step()
    # what is published was worked by hand, with numbers rounded to nine digits
    assert error.item() == pytest.approx(0.298371109, abs=5e-9)
    hidden, out = module.hidden.weight.detach(), module.out.weight.detach()
    assert hidden.flatten().tolist() == pytest.approx([0.149780716, 0.19956143, 0.24975114, 0.29950229], abs=1.5e-8)
    assert out.flatten().tolist() == pytest.approx([0.35891648, 0.408666186, 0.511301270, 0.561370121], abs=1.5e-8)


def gradient(w: Any) -> Any:
    """Of a bent valley."""
    return np.array([2.0, 0.3]) * w + 0.4 * np.sin(2 * w[::-1])


def textbook(start: Any, rates: list[float], rho: float, ahead: bool) -> tuple[list[Any], list[Any]]:
    """θ and v after each step of v = ρ v - η ∇J(θ + ρ v), θ = θ + v; or with the gradient at θ."""
    theta, v = start, np.zeros(2)
    thetas, velocities = [], []
    for lr in rates:
        v = rho * v - lr * gradient(theta + rho * v if ahead else theta)
        theta = theta + v
        thetas.append(theta), velocities.append(v)
    return thetas, velocities


def ours(start: Any, rates: list[float], rho: float, ahead: bool, correct: bool = False) -> tuple[list[Any], list[Any]]:
    """Weights w and momentum buffers b after each step of `sgd`; `correct` multiplies b by old / new rate where that changes."""
    net = netspec.loads("net n { input x: [N, 1]; output y = x -> linear(2, bias = false) as fc }")
    module = net.torch().double()
    module.load_state_dict({"fc.weight": torch.tensor(start)[:, None]})
    entry = lookup("optimizer", "sgd")(lr=rates[0], momentum=rho, nesterov=ahead)
    optimizer, (w,) = make_optimizer(net.graph, Section(optimizer=entry), module), module.parameters()
    weights, buffers = [], []
    for before, lr in zip([rates[0], *rates], rates):
        if correct and lr != before:
            optimizer.state[w]["momentum_buffer"].mul_(before / lr)
        optimizer.param_groups[0]["lr"] = lr
        w.grad = torch.tensor(gradient(w.detach().numpy()[:, 0]))[:, None]
        optimizer.step()
        weights.append(w.detach().numpy()[:, 0].copy()), buffers.append(optimizer.state[w]["momentum_buffer"].numpy()[:, 0].copy())
    return weights, buffers


START = np.array([1.0, -2.0])
FALLING = [0.1] * 10 + [0.01] * 10


@pytest.mark.parametrize("ahead", [False, True], ids=["momentum", "nesterov"])
@pytest.mark.parametrize("rho", [0.5, 0.9])
def test_momentum_is_the_textbooks_at_a_learning_rate_that_stays(rho: float, ahead: bool) -> None:
    """v = -η b, and w = θ, with Nesterov's w = θ + ρ v: the point at which the gradient is taken."""
    lr = 0.1
    thetas, velocities = textbook(START, [lr] * 20, rho, ahead)
    weights, buffers = ours(START, [lr] * 20, rho, ahead)
    assert np.allclose(velocities, [-lr * b for b in buffers], rtol=0, atol=1e-13)
    assert np.allclose(weights, [t + rho * v if ahead else t for t, v in zip(thetas, velocities)], rtol=0, atol=1e-13)


@pytest.mark.parametrize("ahead", [False, True], ids=["momentum", "nesterov"])
def test_momentum_is_not_the_textbooks_where_the_learning_rate_changes(ahead: bool) -> None:
    """The first step at a new rate: the textbook's velocity keeps ρ times its last step, ours that at the new rate, a tenth."""
    thetas, velocities = textbook(START, FALLING, 0.9, False)
    weights, buffers = ours(START, FALLING, 0.9, False)
    assert np.allclose(weights[9], thetas[9], rtol=0, atol=1e-13)
    slope = gradient(thetas[9])
    assert np.allclose(thetas[10] - thetas[9], 0.9 * velocities[9] - 0.01 * slope, rtol=0, atol=1e-13)
    assert np.allclose(weights[10] - weights[9], 0.1 * 0.9 * velocities[9] - 0.01 * slope, rtol=0, atol=1e-13)
    thetas, velocities = textbook(START, FALLING, 0.9, ahead)
    corrected = ours(START, FALLING, 0.9, ahead, correct=True)[0]
    assert np.allclose(corrected, [t + 0.9 * v if ahead else t for t, v in zip(thetas, velocities)], rtol=0, atol=1e-13)
    assert not np.allclose(ours(START, FALLING, 0.9, ahead)[0], corrected, rtol=0, atol=1e-3)
