"""Mixing samples of a batch with one another, and their targets with them."""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor
from torch.nn import functional

from netspec.backends.normalization import FLOATS
from netspec.diagnostics.model import Refusal
from netspec.recipe import more_augmentations as recipe
from netspec.recipe.entry import Wanted
from netspec.record import record
from netspec.training.augmentation.draws import Draws
from netspec.training.augmentation.members import Batch, Members


@record
class Target:
    """A target that is mixed. Class numbers become probabilities of `classes` along `axis` first, those that are `ignored` zeros."""

    name: str
    classes: int | None = None
    axis: int = 1
    ignored: int | None = None

    def floats(self, y: Tensor) -> Tensor:
        """The target as numbers that can be averaged."""
        if y.is_floating_point():
            return y
        if y.dtype == torch.bool or self.classes is None:
            return y.to(torch.float32)
        known = y if self.ignored is None else y.where(y != self.ignored, torch.zeros_like(y))
        found = functional.one_hot(known.long(), self.classes).movedim(-1, self.axis).to(torch.float32)
        return found if self.ignored is None else found * (y != self.ignored).unsqueeze(self.axis)


class Mixup:
    """All inputs of floating-point numbers, and all targets, are averaged with those of another sample."""

    width = 2

    def __init__(self, entry: recipe.Mixup, members: Members) -> None:
        self.entry = entry
        self.inputs = members.floats(entry)
        whole = [name for name, kind in members.inputs.items() if kind.dtype not in FLOATS]
        if whole:
            raise Refusal("NS843", f"`mixup` averages inputs, and the numbers of `{whole[0]}` are {members.inputs[whole[0]].dtype}")
        self.targets = [_target(entry.NAME, name, forms) for name, forms in members.targets.items()]

    def __call__(self, batch: Batch, draws: Draws) -> None:
        """Change the batch."""
        share = draws.beta(self.entry.alpha) if draws.once[1] < self.entry.p else 1.0
        partners = draws.partners(len(draws.each)).to(draws.each.device)
        for name in self.inputs:
            x = batch[name]
            batch[name] = torch.lerp(x[partners], x, share)
        for target in self.targets:
            y = target.floats(batch[target.name])
            batch[target.name] = torch.lerp(y[partners], y, share)


class Cutmix:
    """A rectangle of every picture comes from another one; targets of pixels with it, and others by its share of the area."""

    width = 4

    def __init__(self, entry: recipe.Cutmix, members: Members) -> None:
        self.entry = entry
        self.moving = members.moving(entry)
        self.spatial = {member.name for member in self.moving}
        self.targets = [_target(entry.NAME, name, forms) for name, forms in members.targets.items() if name not in self.spatial]

    def __call__(self, batch: Batch, draws: Draws) -> None:
        """Change the batch."""
        _, applied, row, column = draws.once
        picture = batch[self.moving[0].name]
        height, width = picture.shape[-2:]
        side = sqrt(1 - draws.beta(self.entry.alpha)) if applied < self.entry.p else 0.0
        middle, centre = int(row * height), int(column * width)
        tall, wide = int(height * side), int(width * side)
        top, left = max(middle - tall // 2, 0), max(centre - wide // 2, 0)
        bottom, right = min(middle - tall // 2 + tall, height), min(centre - wide // 2 + wide, width)
        partners = draws.partners(len(draws.each)).to(draws.each.device)
        for member in self.moving:
            made = batch[member.name].clone()
            made[..., top:bottom, left:right] = batch[member.name][partners][..., top:bottom, left:right]
            batch[member.name] = made
        share = 1 - (bottom - top) * (right - left) / (height * width)
        for target in self.targets:
            y = target.floats(batch[target.name])
            batch[target.name] = torch.lerp(y[partners], y, share)


def _target(name: str, column: str, forms: tuple[Wanted, ...]) -> Target:
    """How a target is mixed. Raises Refusal NS843 where the loss takes class numbers alone, or they are no classes."""
    numbers = next((form for form in forms if form.kind == "index"), None)
    shares = next((form for form in forms if form.kind in ("share", "float")), None)
    if any(form.kind == "count" for form in forms):
        raise Refusal("NS843", f"`{name}` cannot mix `{column}`: it holds lengths")
    if numbers is None:
        return Target(column)
    if numbers.below is None or shares is None or len(shares.shape) != len(numbers.shape) + 1:
        message = f"`{name}` makes probabilities of the classes in `{column}`, and the loss takes class numbers alone"
        raise Refusal("NS843", message, helps=("cross_entropy, without ignore_index, takes both",))
    axis = next(axis for axis in range(1, len(shares.shape)) if (*shares.shape[:axis], *shares.shape[axis + 1 :]) == numbers.shape)
    return Target(column, numbers.below, axis, numbers.ignore)
