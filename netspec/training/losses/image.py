"""How losses of images are computed: overlaps of regions, total variation, and the divergence of a code."""

from __future__ import annotations

from typing import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from netspec.recipe import image_losses as recipe
from netspec.training.losses.reduction import Computation, Constants, fitted, kept, widened

#: intersection, size of the prediction and of the target: the overlap of each class, from 0 to 1
Score = Callable[[Tensor, Tensor, Tensor], Tensor]


def dice(measure: recipe.Dice) -> Computation:
    """Dice's coefficient, and 1 less it."""
    smooth = measure.smooth
    return _overlap(measure, lambda both, left, right: _ratio(2 * both + smooth, left + right + smooth), measure.squared)


def jaccard(measure: recipe.Jaccard) -> Computation:
    """Intersection over union, and 1 less it."""
    smooth = measure.smooth
    return _overlap(measure, lambda both, left, right: _ratio(both + smooth, left + right - both + smooth), False)


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """A quotient; 1 where there is nothing on either side."""
    empty = below == 0
    return torch.where(empty, 1.0, above / torch.where(empty, 1.0, below))


def _overlap(measure: recipe.Dice | recipe.Jaccard, score: Score, squared: bool) -> Computation:
    weight = None if measure.weight is None else Constants(measure.weight)

    def loss(input: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        p, t, keep = _regions(measure, widened(input), target)
        if mask is not None:
            spread = kept(p[:, 0], mask, None)
            keep = spread if keep is None else keep & spread
        if keep is not None:
            p, t = (torch.where(keep.unsqueeze(1), values, torch.zeros_like(values)) for values in (p, t))
        axes = (0, *range(2, p.dim())) if measure.per == "batch" else tuple(range(2, p.dim()))
        left, right = (p * p, t * t) if squared else (p, t)
        overlaps = score(*(_sum(values, axes) for values in (p * t, left, right)))
        first = 0 if measure.background else 1
        lost = 1 - overlaps[..., first:]
        if weight is None:
            return lost.mean()
        weights = weight.like(input)[first:]
        return (lost * weights).sum() / (weights.sum() * (lost.numel() / weights.numel()))

    return loss


def _sum(values: Tensor, axes: tuple[int, ...]) -> Tensor:
    """A sum over axes; over none of them, the values (PyTorch would sum over all)."""
    return values.sum(axes) if axes else values


def _regions(measure: recipe.Dice | recipe.Jaccard, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """Probabilities of every class, the target as a mask of every class, and which pixels have a class."""
    single = input.shape[1] == 1
    if single or measure.activation == "sigmoid":
        keep = None if measure.ignore_index is None else (target != measure.ignore_index).reshape(input[:, 0].shape)
        p = input if measure.activation == "none" else input.sigmoid()
        return (*fitted(p, target), keep)
    p = input if measure.activation == "none" else F.softmax(input, 1)
    if target.dim() == input.dim():
        return (*fitted(p, target), None)
    keep, target = None, target.long()
    if measure.ignore_index is not None:
        keep = target != measure.ignore_index
        target = torch.where(keep, target, 0)
    return p, torch.zeros_like(p).scatter_(1, target.unsqueeze(1), 1.0), keep


def total_variation(measure: recipe.TotalVariation) -> Computation:
    """Of neighbours along every spatial axis."""

    def loss(input: Tensor) -> Tensor:
        input = widened(input)
        total = torch.stack([input.diff(dim=axis).abs().sum() for axis in range(2, input.dim())]).sum()
        return total / (input.shape[0] if measure.over == "batch" else input.numel())

    return loss


def gaussian_kl(measure: recipe.GaussianKl) -> Computation:
    """Of a code's Gaussian from the standard one."""

    def loss(mu: Tensor, logvar: Tensor) -> Tensor:
        mu, logvar = widened(mu), widened(logvar)
        return -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum() / mu.shape[0]

    return loss
