"""The optimizer of a section: the class that its entry names, on the section's parameter groups, in the fastest way that there is."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import torch

from netspec.diagnostics.model import Refusal
from netspec.training.groups import Groups, parameter_groups

if TYPE_CHECKING:
    from torch import nn

    from netspec.graph import Graph
    from netspec.recipe._optimizer import Optimizer
    from netspec.recipe.section import Section


def make_optimizer(
    graph: "Graph", section: "Section", module: "nn.Module", batch: int | None = None, *, groups: Groups | None = None
) -> torch.optim.Optimizer:  # fmt: skip
    """The optimizer that a section asks for, on the parameters of a module of that graph, where they now lie (CPU or GPU).

    Every group in `param_groups` has a `name`. `batch` is the global batch, for `scale_lr` (the section's, unless given); `groups`
    are those of `parameter_groups`, where they have been made already. One whose entry has `CLOSURE` takes a step as
    `optimizer.step(closure)`, where `closure()` sets the gradients anew and returns the loss. Raises `Refusal`: NS353 for several
    groups in an optimizer that has but one, NS356 as in `parameter_groups`.
    """
    found = parameter_groups(graph, section, module, batch) if groups is None else groups
    entry: Any = section.optimizer
    kind, arguments = _class_of(entry), entry.model_dump()
    if not entry.GROUPS:
        return kind(_only_group(entry, found), **{**arguments, "lr": found[0].lr})
    parts = [{"params": list(g.parameters), "name": g.name, "lr": g.lr, **g.options} for g in found]
    return kind(parts, **arguments, **_fastest(entry, [p for g in found for p in g.parameters]))


def _class_of(entry: "Optimizer") -> Any:
    file, _, name = entry.CLASS.partition(":")
    return getattr(import_module(file), name)


def _only_group(entry: "Optimizer", groups: Groups) -> list[dict[str, Any]]:
    """The one group of an optimizer that cannot have several."""
    if len(groups) > 1:
        message = f"{entry.NAME} has one learning rate for all parameters, and the section asks for {len(groups)} groups"
        notes = tuple(f"{g.name}: {len(g.parameters)} tensors at {g.lr:g}" for g in groups)
        raise Refusal("NS353", message, notes=notes, helps=("leave out `rates`, or freeze what is not to move",))
    return [{"params": list(groups[0].parameters), "name": groups[0].name}]


def _fastest(entry: "Optimizer", parameters: list[Any]) -> dict[str, bool]:
    """The argument for the fastest step: one kernel for all tensors, where PyTorch has one; elsewhere its own choice is the best known
    (lists of tensors on a GPU; on a CPU one tensor after the other, which stays in the cache)."""
    fused = {p.device.type for p in parameters} <= set(entry.FUSED) and all(p.is_floating_point() for p in parameters)
    return {"fused": True} if fused else {}
