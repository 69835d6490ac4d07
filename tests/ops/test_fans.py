"""Fans against measured variance: unit normal weights and inputs give outputs of variance `fan_in`, gradients of `fan_out`."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.ops.harness import accept, random_data
from tests.ops.torch_terms import Runner

CASES = (
    ("linear(300, bias = false)", "[64, 200]"),
    ("conv(48, 3, bias = false)", "[4, 32, 14, 14]"),
    ("conv(48, 3, stride = 2, bias = false)", "[4, 32, 20, 20]"),
    ("conv(64, 5, groups = 4, dilation = 2, bias = false)", "[8, 64, 60]"),
    ("conv(600, 4, stride = 3, groups = 600, bias = false)", "[2, 600, 60]"),
    ("conv(16, (1, 3, 2), bias = false)", "[2, 16, 6, 10, 10]"),
    ("conv_transpose(48, 4, stride = 2, bias = false)", "[4, 32, 10, 10]"),
    ("conv_transpose(48, 3, stride = 2, bias = false)", "[8, 32, 40]"),
    ("conv_transpose(64, 6, stride = 2, groups = 4, padding = 2, bias = false)", "[4, 64, 40]"),
    ("local_conv(32, 3, bias = false)", "[8, 24, 14, 14]"),
    ("local_conv(32, 4, stride = 2, bias = false)", "[8, 24, 40]"),
)


def _interior(values: np.ndarray) -> np.ndarray:
    """The middle of every spatial axis, which no border reaches: on a long one whole periods of any stride here."""

    def middle(n: int) -> slice:
        margin = n // 4 // 6 * 6 if n >= 24 else n // 3
        return slice(margin, n - margin - (n % 6 if n >= 24 else 0))

    return values[(slice(None), slice(None), *map(middle, values.shape[2:]))]


@pytest.mark.parametrize(("call", "inputs"), CASES)
def test_fans(call: str, inputs: str) -> None:
    """Within six percent, over three draws."""
    case = accept(call, inputs)
    weight = case.weights[0]
    forward, backward = [], []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        data = random_data(case, case.typical, seed)
        x = torch.from_numpy(rng.normal(size=data.arrays[0].shape)).requires_grad_()
        runner = Runner(case.operator, case.site(), {weight.name: rng.normal(size=weight.shape)}, double=True)
        (y,) = runner(x)
        y.backward(torch.from_numpy(rng.normal(size=tuple(y.shape))))
        assert x.grad is not None
        forward.append(np.mean(_interior(y.detach().numpy()) ** 2))
        backward.append(np.mean(_interior(x.grad.numpy()) ** 2))
    assert np.mean(forward) == pytest.approx(float(weight.fan_in), rel=0.06)
    rank = len(case.site().inputs[0].shape) - 2
    skipped = (
        getattr(case.operator, "stride", 1) ** rank if case.operator.NAME != "conv_transpose" else 1
    )  # a stride visits some inputs less
    assert np.mean(backward) == pytest.approx(float(weight.fan_out) / skipped, rel=0.06)
