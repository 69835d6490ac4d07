"""How losses of regression and of embeddings are computed: by PyTorch's own functions, which are told what counts."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from netspec.recipe import regression_losses as recipe
from netspec.training.losses.reduction import Computation, fitted, kept, mean_of, per_batch, widened


def differences(function: Any, over: str, channel: int = 1) -> Computation:
    """A loss of prediction and target, number by number, of a function that knows PyTorch's `reduction`; channels are along `channel`."""

    plain = over == "all"

    def loss(input: Tensor, target: Tensor, mask: Tensor | None = None, lengths: Tensor | None = None) -> Tensor:
        if plain and mask is None and lengths is None and input.dtype is target.dtype is torch.float32 and input.shape == target.shape:
            return function(input, target)  # every step of most networks: nothing else is asked
        input, target = fitted(input, target)
        if mask is not None or lengths is not None:
            elements = function(input, target, reduction="none")
            return mean_of(elements, kept(elements, mask, lengths, channel), over)
        return function(input, target) if plain else per_batch(function(input, target, reduction="sum"), input)

    return loss


def mse(measure: recipe.Mse) -> Computation:
    """The mean square."""
    return differences(F.mse_loss, measure.over)


def squared_error(measure: recipe.SquaredError) -> Computation:
    """Half of the sum of squares, a sample."""
    whole = differences(F.mse_loss, "batch")
    return lambda *tensors, **optional: 0.5 * whole(*tensors, **optional)


def l1(measure: recipe.L1) -> Computation:
    """The mean absolute difference."""
    return differences(F.l1_loss, measure.over)


def huber(measure: recipe.Huber) -> Computation:
    """Huber's."""
    return differences(partial(F.huber_loss, delta=measure.delta), measure.over)


def smooth_l1(measure: recipe.SmoothL1) -> Computation:
    """Girshick's."""
    return differences(partial(F.smooth_l1_loss, beta=measure.beta), measure.over)


def cosine(measure: recipe.Cosine) -> Computation:
    """Of the angle between embeddings."""

    def loss(input: Tensor, target: Tensor, sign: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        input, target = fitted(input, target)
        signs = torch.ones_like(input[:, 0]) if sign is None else torch.where(sign.reshape(-1) > 0, 1.0, -1.0).to(input.dtype)
        if mask is None:
            return F.cosine_embedding_loss(input, target, signs, margin=measure.margin)
        elements = F.cosine_embedding_loss(input, target, signs, margin=measure.margin, reduction="none")
        return mean_of(elements, kept(elements, mask, None))

    return loss


def triplet(measure: recipe.Triplet) -> Computation:
    """Of an anchor, what is alike, and what is not."""
    function = partial(F.triplet_margin_loss, margin=measure.margin, p=measure.p, swap=measure.swap)

    def loss(anchor: Tensor, positive: Tensor, negative: Tensor, mask: Tensor | None = None) -> Tensor:
        anchor, positive, negative = widened(anchor), widened(positive), widened(negative)
        if mask is None:
            return function(anchor, positive, negative)
        elements = function(anchor, positive, negative, reduction="none")
        return mean_of(elements, kept(elements, mask, None))

    return loss
