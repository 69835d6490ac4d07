"""Proximal gradient descent and proximal Adagrad: a gradient step, then the exact minimum with the penalties in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from netspec.training.optimizers.listwise import Listwise, shrink


class ProximalGradientDescent(Listwise):
    """`v = w - lr g`, `w = sign(v) max(|v| - lr l1, 0) / (1 + lr l2)` (Duchi and Singer 2009)."""

    def __init__(self, params: Iterable[Any], lr: float, l1: float = 0.0, l2: float = 0.0) -> None:
        super().__init__(params, lr=lr, l1=l1, l2=l2)

    def update(self, group: dict[str, Any], parameters: list[Tensor], gradients: list[Tensor], state: dict[str, list[Tensor]]) -> None:
        """One step of a group."""
        lr = group["lr"]
        torch._foreach_add_(parameters, gradients, alpha=-lr)
        if group["l1"]:
            shrink(parameters, lr * group["l1"])
        if group["l2"]:
            torch._foreach_div_(parameters, 1 + lr * group["l2"])


class ProximalAdagrad(Listwise):
    """`s = s + g²`, `η = lr / √s`, `v = w - η g`, `w = sign(v) max(|v| - η l1, 0) / (1 + η l2)` (Duchi et al. 2011)."""

    def __init__(self, params: Iterable[Any], lr: float, initial_accumulator_value: float = 0.1, l1: float = 0.0, l2: float = 0.0) -> None:
        super().__init__(params, lr=lr, initial_accumulator_value=initial_accumulator_value, l1=l1, l2=l2)

    def start(self, parameter: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        """The sum of squared gradients, at its first value."""
        return {"sum": torch.full_like(parameter, group["initial_accumulator_value"])}

    def update(self, group: dict[str, Any], parameters: list[Tensor], gradients: list[Tensor], state: dict[str, list[Tensor]]) -> None:
        """One step of a group."""
        sums = state["sum"]
        torch._foreach_addcmul_(sums, gradients, gradients)
        rates = list(torch._foreach_sqrt(sums))
        torch._foreach_reciprocal_(rates)
        torch._foreach_mul_(rates, group["lr"])
        torch._foreach_addcmul_(parameters, rates, gradients, value=-1)
        if group["l1"]:
            shrink(parameters, list(torch._foreach_mul(rates, group["l1"])))
        if group["l2"]:
            torch._foreach_mul_(rates, group["l2"])
            torch._foreach_add_(rates, 1)
            torch._foreach_div_(parameters, rates)
