"""LARS: layer-wise adaptive rate scaling."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from netspec.training.optimizers.listwise import Listwise


class Lars(Listwise):
    """`λ = trust ‖w‖ / (‖g‖ + weight_decay ‖w‖ + eps)`, or 1 where a norm is 0 or the group has `adapt` False;
    `v = momentum v + lr λ (g + weight_decay w)`, `w = w - v` (You et al. 2017)."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 5e-4,
        trust: float = 1e-3,
        eps: float = 0.0,
        adapt: bool = True,
    ) -> None:
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay, trust=trust, eps=eps, adapt=adapt)

    def start(self, parameter: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        """The velocity, at rest."""
        return {"velocity": torch.zeros_like(parameter)}

    def update(self, group: dict[str, Any], parameters: list[Tensor], gradients: list[Tensor], state: dict[str, list[Tensor]]) -> None:
        """One step of a group. The norms stay on the device: nothing waits for them."""
        velocity, decay = state["velocity"], group["weight_decay"]
        steps = list(torch._foreach_add(gradients, parameters, alpha=decay) if decay else torch._foreach_mul(gradients, 1.0))
        torch._foreach_mul_(steps, group["lr"])
        if group["adapt"]:
            torch._foreach_mul_(steps, self._rates(group, torch._foreach_norm(parameters), torch._foreach_norm(gradients)))
        torch._foreach_mul_(velocity, group["momentum"])
        torch._foreach_add_(velocity, steps)
        torch._foreach_sub_(parameters, velocity)

    def _rates(self, group: dict[str, Any], weights: Any, gradients: Any) -> list[Tensor]:
        """λ of every tensor, from the norms of its weights and of its gradients."""
        weight, gradient = torch.stack(list(weights)), torch.stack(list(gradients))
        rates = group["trust"] * weight / (gradient + group["weight_decay"] * weight + group["eps"])
        return list(torch.where((weight > 0) & (gradient > 0), rates, 1.0).unbind())
