"""The optimizers once more, in NumPy and float64, one tensor at a time, as the papers and PyTorch's pages write them.

Each takes its arguments and gives `step(w, g, t, lr) -> w`, with t from 1.
"""

from __future__ import annotations

from typing import Any, Callable

import numpy as np

Step = Callable[[Any, Any, int, float], Any]


def sgd(momentum: float = 0, dampening: float = 0, weight_decay: float = 0, nesterov: bool = False) -> Step:
    b: Any = None

    def step(w: Any, g: Any, t: int, lr: float) -> Any:
        nonlocal b
        g = g + weight_decay * w
        if not momentum:
            return w - lr * g
        b = g if b is None else momentum * b + (1 - dampening) * g
        return w - lr * (g + momentum * b if nesterov else b)

    return step


def adagrad(lr_decay: float = 0, weight_decay: float = 0, initial_accumulator_value: float = 0, eps: float = 1e-10) -> Step:
    s: Any = initial_accumulator_value

    def step(w: Any, g: Any, t: int, lr: float) -> Any:
        nonlocal s
        g = g + weight_decay * w
        s = s + g * g
        return w - lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(s) + eps)

    return step


def adadelta(rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0) -> Step:
    s: Any = 0.0
    u: Any = 0.0

    def step(w: Any, g: Any, t: int, lr: float) -> Any:
        nonlocal s, u
        g = g + weight_decay * w
        s = rho * s + (1 - rho) * g * g
        d = np.sqrt(u + eps) / np.sqrt(s + eps) * g
        u = rho * u + (1 - rho) * d * d
        return w - lr * d

    return step


def rmsprop(alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0, momentum: float = 0, centered: bool = False) -> Step:
    s: Any = 0.0
    mean: Any = 0.0
    b: Any = 0.0

    def step(w: Any, g: Any, t: int, lr: float) -> Any:
        nonlocal s, mean, b
        g = g + weight_decay * w
        s = alpha * s + (1 - alpha) * g * g
        mean = alpha * mean + (1 - alpha) * g
        b = momentum * b + g / (np.sqrt(s - mean**2 if centered else s) + eps)
        return w - lr * b

    return step


def adam(
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0,
    amsgrad: bool = False,
    decoupled_weight_decay: bool = False,
) -> Step:
    m: Any = 0.0
    s: Any = 0.0
    largest: Any = 0.0

    def step(w: Any, g: Any, t: int, lr: float) -> Any:
        nonlocal m, s, largest
        if decoupled_weight_decay:
            w = w - lr * weight_decay * w
        else:
            g = g + weight_decay * w
        m = betas[0] * m + (1 - betas[0]) * g
        s = betas[1] * s + (1 - betas[1]) * g * g
        largest = np.maximum(largest, s)
        unbiased = (largest if amsgrad else s) / (1 - betas[1] ** t)
        return w - lr * m / (1 - betas[0] ** t) / (np.sqrt(unbiased) + eps)

    return step


def adamw(weight_decay: float = 1e-2, **arguments: Any) -> Step:
    return adam(weight_decay=weight_decay, decoupled_weight_decay=True, **arguments)


def nadam(
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0,
    momentum_decay: float = 4e-3,
    decoupled_weight_decay: bool = False,
) -> Step:
    m: Any = 0.0
    s: Any = 0.0
    product = 1.0

    def step(w: Any, g: Any, t: int, lr: float) -> Any:
        nonlocal m, s, product
        if decoupled_weight_decay:
            w = w - lr * weight_decay * w
        else:
            g = g + weight_decay * w
        now, following = (betas[0] * (1 - 0.5 * 0.96 ** (n * momentum_decay)) for n in (t, t + 1))
        product *= now
        m = betas[0] * m + (1 - betas[0]) * g
        s = betas[1] * s + (1 - betas[1]) * g * g
        ahead = following * m / (1 - product * following) + (1 - now) * g / (1 - product)
        return w - lr * ahead / (np.sqrt(s / (1 - betas[1] ** t)) + eps)

    return step


def radam(
    betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0, decoupled_weight_decay: bool = False
) -> Step:
    m: Any = 0.0
    s: Any = 0.0
    limit = 2 / (1 - betas[1]) - 1

    def step(w: Any, g: Any, t: int, lr: float) -> Any:
        nonlocal m, s
        if decoupled_weight_decay:
            w = w - lr * weight_decay * w
        else:
            g = g + weight_decay * w
        m = betas[0] * m + (1 - betas[0]) * g
        s = betas[1] * s + (1 - betas[1]) * g * g
        mean = m / (1 - betas[0] ** t)
        length = limit - 2 * t * betas[1] ** t / (1 - betas[1] ** t)
        if length <= 5:
            return w - lr * mean
        rectification = np.sqrt((length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length))
        return w - lr * mean * rectification * np.sqrt(1 - betas[1] ** t) / (np.sqrt(s) + eps)

    return step


def adamax(betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0) -> Step:
    m: Any = 0.0
    u: Any = 0.0

    def step(w: Any, g: Any, t: int, lr: float) -> Any:
        nonlocal m, u
        g = g + weight_decay * w
        m = betas[0] * m + (1 - betas[0]) * g
        u = np.maximum(betas[1] * u, np.abs(g) + eps)
        return w - lr / (1 - betas[0] ** t) * m / u

    return step


def rprop(etas: tuple[float, float] = (0.5, 1.2), step_sizes: tuple[float, float] = (1e-6, 50)) -> Step:
    before: Any = None
    sizes: Any = None

    def step(w: Any, g: Any, t: int, lr: float) -> Any:
        nonlocal before, sizes
        if before is None:
            before, sizes = np.zeros_like(g), np.full_like(g, lr)
        turned = before * g
        sizes = np.clip(sizes * np.select([turned > 0, turned < 0], [etas[1], etas[0]], 1.0), *step_sizes)
        before = np.where(turned < 0, 0.0, g)
        return w - np.sign(before) * sizes

    return step


def asgd(lambd: float = 1e-4, alpha: float = 0.75, t0: float = 1e6, weight_decay: float = 0) -> Step:
    eta: Any = None

    def step(w: Any, g: Any, t: int, lr: float) -> Any:
        nonlocal eta
        eta = lr if eta is None else eta
        w = w * (1 - lambd * eta) - eta * (g + weight_decay * w)
        eta = lr / (1 + lambd * lr * t) ** alpha
        return w

    return step


def adagrad_da(initial_gradient_squared_accumulator_value: float = 0.1, l1: float = 0, l2: float = 0) -> Step:
    total: Any = 0.0
    s: Any = initial_gradient_squared_accumulator_value

    def step(w: Any, g: Any, t: int, lr: float) -> Any:
        nonlocal total, s
        total = total + g
        s = s + g * g
        return -lr * np.sign(total) * np.maximum(np.abs(total) - l1 * t, 0) / (l2 * t * lr + np.sqrt(s))

    return step


def ftrl(
    learning_rate_power: float = -0.5,
    initial_accumulator_value: float = 0.1,
    l1: float = 0,
    l2: float = 0,
    l2_shrinkage: float = 0,
    beta: float = 0,
) -> Step:
    n: Any = initial_accumulator_value
    z: Any = 0.0

    def step(w: Any, g: Any, t: int, lr: float) -> Any:
        nonlocal n, z
        before, n = n, n + g**2
        sigma = (n**-learning_rate_power - before**-learning_rate_power) / lr
        z = z + g + 2 * l2_shrinkage * w - sigma * w
        return np.where(np.abs(z) <= l1, 0, (np.sign(z) * l1 - z) / ((beta + n**-learning_rate_power) / lr + 2 * l2))

    return step


def proximal_gradient_descent(l1: float = 0, l2: float = 0) -> Step:
    def step(w: Any, g: Any, t: int, lr: float) -> Any:
        v = w - lr * g
        return np.sign(v) * np.maximum(np.abs(v) - lr * l1, 0) / (1 + lr * l2)

    return step


def proximal_adagrad(initial_accumulator_value: float = 0.1, l1: float = 0, l2: float = 0) -> Step:
    s: Any = initial_accumulator_value

    def step(w: Any, g: Any, t: int, lr: float) -> Any:
        nonlocal s
        s = s + g * g
        eta = lr / np.sqrt(s)
        v = w - eta * g
        return np.sign(v) * np.maximum(np.abs(v) - eta * l1, 0) / (1 + eta * l2)

    return step


def lars(momentum: float = 0.9, weight_decay: float = 5e-4, trust: float = 1e-3, eps: float = 0) -> Step:
    v: Any = 0.0

    def step(w: Any, g: Any, t: int, lr: float) -> Any:
        nonlocal v
        weight, gradient = np.linalg.norm(w), np.linalg.norm(g)
        rate = trust * weight / (gradient + weight_decay * weight + eps) if weight and gradient else 1.0
        v = momentum * v + lr * rate * (g + weight_decay * w)
        return w - v

    return step


def lion(betas: tuple[float, float] = (0.9, 0.99), weight_decay: float = 0) -> Step:
    m: Any = 0.0

    def step(w: Any, g: Any, t: int, lr: float) -> Any:
        nonlocal m
        direction = np.sign(betas[0] * m + (1 - betas[0]) * g)
        m = betas[1] * m + (1 - betas[1]) * g
        return w - lr * (direction + weight_decay * w)

    return step


def lbfgs(gradient: Callable[[Any], Any], w: Any, lr: float, steps: int) -> list[Any]:
    """The weights after each of so many iterations without a line search: two-loop recursion over all pairs (Nocedal and Wright 7.4)."""
    pairs: list[tuple[Any, Any]] = []
    path, g = [], gradient(w)
    for k in range(steps):
        q, chosen = g.copy(), []
        for s, y in reversed(pairs):
            chosen.append(s @ q / (y @ s))
            q = q - chosen[-1] * y
        r = q * (pairs[-1][0] @ pairs[-1][1] / (pairs[-1][1] @ pairs[-1][1]) if pairs else 1.0)
        for (s, y), a in zip(pairs, reversed(chosen)):
            r = r + (a - y @ r / (y @ s)) * s
        s = -r * (lr * min(1.0, 1 / np.abs(g).sum()) if k == 0 else lr)
        w, before, g = w + s, g, gradient(w + s)
        pairs.append((s, g - before))
        path.append(w)
    return path
