"""What our own optimizers share: a step takes all tensors of a group at once, in PyTorch's functions on lists of tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor


class Listwise(torch.optim.Optimizer):
    """Base of optimizers whose step is said on lists: `update` gets parameters of a group, their gradients, and the lists of state.

    State is made by `start` for a parameter when it first has a gradient, so that state dicts are those of PyTorch's own.
    """

    def __init__(self, params: Iterable[Any], **defaults: Any) -> None:
        super().__init__(params, defaults)

    def start(self, parameter: Tensor, group: dict[str, Any]) -> dict[str, Tensor]:
        """The state of a parameter before its first step."""
        return {}

    def update(self, group: dict[str, Any], parameters: list[Tensor], gradients: list[Tensor], state: dict[str, list[Tensor]]) -> None:
        """Change parameters and state in place. `state` has a list for each name, in the parameters' order."""
        raise NotImplementedError

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """One step along the gradients; with `closure`, which must set them, its loss is returned. Raises RuntimeError for sparse ones."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameters in _portions([p for p in group["params"] if p.grad is not None]):
                self._update(group, parameters)
        return loss

    def _update(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        gradients = [p.grad for p in parameters if p.grad is not None]
        if any(g.is_sparse for g in gradients):
            raise RuntimeError(f"{type(self).__name__} takes no sparse gradients")
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter].update(self.start(parameter, group))
        state = {name: [self.state[p][name] for p in parameters] for name in self.state[parameters[0]]}
        self.update(group, parameters, gradients, state)


#: how many numbers of one tensor are too many for it to be worked on together with others, on a CPU: a step has several passes over
#: what it works on, and each is to find it in the cache
_LARGE = 2**14


def _portions(parameters: list[Tensor]) -> list[list[Tensor]]:
    """What is to be worked on at once: on a CPU every large tensor by itself, and else all of them."""
    large = [p for p in parameters if p.numel() > _LARGE and p.device.type == "cpu"]
    alone = set(map(id, large))
    small = [p for p in parameters if id(p) not in alone]
    return [portion for portion in (small, *([p] for p in large)) if portion]


def shrink(tensors: list[Tensor], thresholds: float | list[Tensor]) -> None:
    """Soft thresholding in place, `sign(x) max(|x| - threshold, 0)`: what is within the threshold becomes exactly 0."""
    if isinstance(thresholds, list):
        within = list(torch._foreach_minimum(tensors, thresholds))
        torch._foreach_maximum_(within, torch._foreach_neg(thresholds))
    else:
        within = list(torch._foreach_clamp_max(tensors, thresholds))
        torch._foreach_clamp_min_(within, -thresholds)
    torch._foreach_sub_(tensors, within)
