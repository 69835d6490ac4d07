"""Lion: evolved sign momentum."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from netspec.training.optimizers.listwise import Listwise


class Lion(Listwise):
    """`c = β₁ m + (1 - β₁) g`, `w = w - lr (sign(c) + weight_decay w)`, `m = β₂ m + (1 - β₂) g` (Chen et al. 2023)."""

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-4, betas: tuple[float, float] = (0.9, 0.99), weight_decay: float = 0.0
    ) -> None:  # fmt: skip
        super().__init__(params, lr=lr, betas=betas, weight_decay=weight_decay)

    def start(self, parameter: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        """The momentum, at rest."""
        return {"momentum": torch.zeros_like(parameter)}

    def update(self, group: dict[str, Any], parameters: list[Tensor], gradients: list[Tensor], state: dict[str, list[Tensor]]) -> None:
        """One step of a group."""
        lr, (first, second), momentum = group["lr"], group["betas"], state["momentum"]
        directions = torch._foreach_lerp(momentum, gradients, 1 - first)
        torch._foreach_sign_(directions)
        if group["weight_decay"]:
            torch._foreach_mul_(parameters, 1 - lr * group["weight_decay"])
        torch._foreach_add_(parameters, directions, alpha=-lr)
        torch._foreach_lerp_(momentum, gradients, 1 - second)
