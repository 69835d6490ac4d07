"""Optimizers that follow the leader: weights are a function of the sum of all gradients so far, and sparse by `l1`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from netspec.training.optimizers.listwise import Listwise, shrink


class AdagradDA(Listwise):
    """`G = G + g`, `s = s + g²`, `w = -lr sign(G) max(|G| - l1 t, 0) / (√s + l2 t lr)` at step t (Duchi et al. 2011)."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        initial_gradient_squared_accumulator_value: float = 0.1,
        l1: float = 0.0,
        l2: float = 0.0,
    ) -> None:
        first = initial_gradient_squared_accumulator_value
        super().__init__(params, lr=lr, initial_gradient_squared_accumulator_value=first, l1=l1, l2=l2)

    def start(self, parameter: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        """The number of steps, and the sums of gradients and of their squares."""
        return {
            "step": torch.zeros((), dtype=torch.float64),
            "sum": torch.zeros_like(parameter),
            "square_sum": torch.full_like(parameter, group["initial_gradient_squared_accumulator_value"]),
        }

    def update(self, group: dict[str, Any], parameters: list[Tensor], gradients: list[Tensor], state: dict[str, list[Tensor]]) -> None:
        """One step of a group."""
        torch._foreach_add_(state["step"], 1)
        torch._foreach_add_(state["sum"], gradients)
        torch._foreach_addcmul_(state["square_sum"], gradients, gradients)
        bottoms = torch._foreach_sqrt(state["square_sum"])
        torch._foreach_copy_(parameters, torch._foreach_neg(state["sum"]))
        for steps in {float(step) for step in state["step"]}:
            same = [number for number, step in enumerate(state["step"]) if float(step) == steps]
            if group["l1"]:
                shrink([parameters[n] for n in same], group["l1"] * steps)
            if group["l2"]:
                torch._foreach_add_([bottoms[n] for n in same], group["l2"] * steps * group["lr"])
        torch._foreach_mul_(parameters, group["lr"])
        torch._foreach_div_(parameters, bottoms)


class Ftrl(Listwise):
    """`n' = n + g²`, `σ = (n'^-p - n^-p) / lr`, `z = z + g + 2 l2_shrinkage w - σ w`, `w = 0` where `|z| ≤ l1`, else
    `(sign(z) l1 - z) / ((beta + n'^-p) / lr + 2 l2)`, with p = `learning_rate_power` (McMahan et al. 2013)."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1: float = 0.0,
        l2: float = 0.0,
        l2_shrinkage: float = 0.0,
        beta: float = 0.0,
    ) -> None:
        given = {"learning_rate_power": learning_rate_power, "initial_accumulator_value": initial_accumulator_value}
        super().__init__(params, lr=lr, l1=l1, l2=l2, l2_shrinkage=l2_shrinkage, beta=beta, **given)

    def start(self, parameter: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        """The sums n (of squared gradients) and z."""
        return {"square_sum": torch.full_like(parameter, group["initial_accumulator_value"]), "linear": torch.zeros_like(parameter)}

    def update(self, group: dict[str, Any], parameters: list[Tensor], gradients: list[Tensor], state: dict[str, list[Tensor]]) -> None:
        """One step of a group."""
        lr, power, squares, linear = group["lr"], -group["learning_rate_power"], state["square_sum"], state["linear"]
        before = _powers(squares, power)
        torch._foreach_addcmul_(squares, gradients, gradients)
        after = _powers(squares, power)
        torch._foreach_sub_(before, after)  # -σ lr
        torch._foreach_mul_(before, 1 / lr)
        if group["l2_shrinkage"]:
            torch._foreach_add_(before, 2 * group["l2_shrinkage"])
        torch._foreach_add_(linear, gradients)
        torch._foreach_addcmul_(linear, before, parameters)
        torch._foreach_mul_(after, 1 / lr)
        torch._foreach_add_(after, group["beta"] / lr + 2 * group["l2"])
        torch._foreach_clamp_min_(after, torch.finfo(after[0].dtype).tiny)  # 0 / 0 where there was never a gradient is 0
        torch._foreach_copy_(parameters, torch._foreach_neg(linear))
        shrink(parameters, group["l1"])
        torch._foreach_div_(parameters, after)


def _powers(tensors: list[Tensor], power: float) -> list[Tensor]:
    """Every tensor to that power, from 0 up."""
    return list(torch._foreach_sqrt(tensors) if power == 0.5 else torch._foreach_pow(tensors, power))
