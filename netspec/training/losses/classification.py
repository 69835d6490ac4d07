"""How losses of classification are computed: by PyTorch's own functions, which are told what counts."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from netspec.diagnostics.model import Refusal
from netspec.recipe import losses as recipe
from netspec.training.losses.reduction import Computation, Constants, fitted, kept, kept_whole, mean_of, widened
from netspec.training.losses.regression import differences


def cross_entropy(measure: recipe.CrossEntropy) -> Computation:
    """Of logits, with classes or with probabilities."""
    function = F.cross_entropy
    if measure.label_smoothing:
        function = partial(F.cross_entropy, label_smoothing=measure.label_smoothing)
    return _of_classes(function, measure)


def nll(measure: recipe.Nll) -> Computation:
    """Of logarithms of probabilities, with classes."""
    return _of_classes(F.nll_loss, measure)


def _of_classes(function: Any, measure: recipe.CrossEntropy | recipe.Nll) -> Computation:
    """A loss of a function that knows PyTorch's `weight`, `ignore_index` and `reduction`, with classes along axis 1."""
    axis, ignored = measure.axis, measure.ignore_index
    function = _explained(function, axis)
    weight = None if measure.weight is None else Constants(measure.weight)
    plain = axis == 1 and ignored is None and weight is None
    options = {} if ignored is None else {"ignore_index": ignored}
    counted = ignored is None and (weight is None or 0 not in measure.weight)  # whether each element counts: PyTorch's mean of none is NaN

    def loss(input: Tensor, target: Tensor, mask: Tensor | None = None, lengths: Tensor | None = None) -> Tensor:
        if plain and target.dtype is torch.int64 and mask is None and lengths is None and input.dtype is torch.float32:
            return function(input, target)  # every step of most networks: nothing else is asked
        input = widened(input)
        if axis != 1:
            input = input.movedim(axis, 1)
        target = _classes(target, input, axis)
        weights = None if weight is None else weight.like(input)
        if mask is None and lengths is None and (counted or target.dim() == input.dim()):
            return function(input, target, weights)
        elements = function(input, target, weights, reduction="none", **options)
        keep = kept(elements, mask, lengths)
        if target.dim() == input.dim():
            return mean_of(elements, keep)
        keep = keep if ignored is None else keep & (target != ignored)
        return mean_of(elements, keep) if weights is None else _weighted(elements, keep, weights, target)

    return loss


def _explained(function: Any, axis: int) -> Any:
    """The function, which raises `Refusal` (NS354) for a target of another shape than the prediction's."""

    def call(input: Tensor, target: Tensor, *weights: Tensor | None, **options: Any) -> Tensor:
        try:
            return function(input, target, *weights, **options)
        except (RuntimeError, ValueError, IndexError):
            if target.shape in (input.shape, input.shape[:1] + input.shape[2:]):
                raise
            target, input = (tensor.movedim(1, axis) if tensor.dim() == input.dim() else tensor for tensor in (target, input))
            shapes = f"a target of shape {list(target.shape)} does not fit a prediction of shape {list(input.shape)}"
            raise Refusal("NS354", f"{shapes} with the classes along axis {axis}") from None

    return call


def _classes(target: Tensor, input: Tensor, axis: int) -> Tensor:
    """A target as PyTorch takes it: class numbers of 64 bits, or probabilities with the classes along axis 1, like the input."""
    if target.dtype is torch.int64 and target.dim() < input.dim():
        return target
    if target.dim() < input.dim():
        return target.long()
    return (target if axis == 1 else target.movedim(axis, 1)).to(input.dtype)


def _weighted(elements: Tensor, keep: Tensor, weights: Tensor, target: Tensor) -> Tensor:
    """The sum of what counts, divided by the weights of its classes: PyTorch's weighted mean, 0 of nothing."""
    zero = torch.zeros((), dtype=elements.dtype, device=elements.device)
    shares = torch.where(keep, weights[torch.where(keep, target, 0)], zero).sum()
    return torch.where(keep, elements, zero).sum() / torch.where(shares > 0, shares, 1.0)


def binary_cross_entropy(measure: recipe.BinaryCrossEntropy) -> Computation:
    """Of probabilities."""
    return differences(_exact_binary_cross_entropy, measure.over)


def _exact_binary_cross_entropy(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
    """PyTorch's, which autocast refuses to run; its tensors have 32 bits at least here."""
    if not torch.is_autocast_enabled(input.device.type):
        return F.binary_cross_entropy(input, target, reduction=reduction)
    with torch.autocast(input.device.type, enabled=False):
        return F.binary_cross_entropy(input, target, reduction=reduction)


def binary_cross_entropy_with_logits(measure: recipe.BinaryCrossEntropyWithLogits) -> Computation:
    """Of logits."""
    if measure.pos_weight is None:
        return differences(F.binary_cross_entropy_with_logits, measure.over)
    weight, several = Constants(measure.pos_weight), isinstance(measure.pos_weight, tuple)

    def function(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
        factor = weight.like(input)
        factor = factor.reshape(-1, *(1 for _ in range(input.dim() - 2))) if several else factor
        return F.binary_cross_entropy_with_logits(input, target, pos_weight=factor, reduction=reduction)

    return differences(function, measure.over)


def kl_div(measure: recipe.KlDiv) -> Computation:
    """Of logarithms of probabilities, or logits."""

    def divergence(input: Tensor, target: Tensor, reduction: str = "mean") -> Tensor:
        if reduction == "none":
            return F.kl_div(input, target, reduction="none", log_target=measure.log_target)
        total = F.kl_div(input, target, reduction="sum", log_target=measure.log_target)  # PyTorch's own mean is to change
        return total / input.numel() if reduction == "mean" else total

    function = differences(divergence, measure.over, measure.axis)
    if not measure.logits:
        return function

    def loss(input: Tensor, target: Tensor, **optional: Tensor) -> Tensor:
        return function(F.log_softmax(widened(input), measure.axis), target, **optional)

    return loss


def focal(measure: recipe.Focal) -> Computation:
    """Of logits or probabilities, with classes, or with a yes or no for each channel."""
    alpha = None if measure.alpha is None else Constants(measure.alpha)

    def loss(input: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        input = widened(input)
        single = input.dim() < 2 or input.shape[1] == 1
        if single or measure.activation == "sigmoid":
            input, target = fitted(input, target)
            elements = _focal_of_channels(measure, alpha, input, target)
            return elements.mean() if mask is None else mean_of(elements, kept_whole(elements, mask))
        elements, keep = _focal_of_classes(measure, alpha, input, target)
        keep = keep if mask is None else keep & kept(elements, mask, None)
        return mean_of(elements, keep)

    return loss


def _focal_of_channels(measure: recipe.Focal, alpha: Constants | None, input: Tensor, target: Tensor) -> Tensor:
    """Equation 4 (5 with α) for every number: p is that of what is true."""
    plain = _exact_binary_cross_entropy if measure.activation == "none" else F.binary_cross_entropy_with_logits
    p = input if measure.activation == "none" else input.sigmoid()
    missing = p + target - 2 * p * target
    elements = plain(input, target, reduction="none") * _power(missing, measure.gamma)
    if alpha is None:
        return elements
    share = alpha.like(input)
    return elements * (share * target + (1 - share) * (1 - target))


def _focal_of_classes(measure: recipe.Focal, alpha: Constants | None, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Equation 4 (5 with α) for every element, and which of them have a class."""
    tiny = torch.finfo(input.dtype).tiny
    logs = input.clamp_min(tiny).log() if measure.activation == "none" else F.log_softmax(input, 1)
    if target.dim() == input.dim():
        elements = -target.to(input.dtype) * _power(1 - logs.exp(), measure.gamma) * logs
        elements = elements if alpha is None else elements * alpha.like(input).reshape(-1, *(1 for _ in range(input.dim() - 2)))
        return elements.sum(1), torch.ones_like(elements[:, 0], dtype=torch.bool)
    target = target.long()
    keep = torch.ones_like(target, dtype=torch.bool) if measure.ignore_index is None else target != measure.ignore_index
    target = torch.where(keep, target, 0)
    true = logs.gather(1, target.unsqueeze(1)).squeeze(1)
    elements = -_power(1 - true.exp(), measure.gamma) * true
    return (elements if alpha is None else elements * alpha.like(input)[target]), keep


def _power(base: Tensor, exponent: float) -> Tensor:
    """A power whose gradient is finite at 0 for exponents below 1 too."""
    return base.clamp_min(torch.finfo(base.dtype).eps) ** exponent if 0 < exponent < 1 else base**exponent


def ctc(measure: recipe.Ctc) -> Computation:
    """Of a label sequence shorter than the prediction."""

    def loss(
        input: Tensor, target: Tensor, input_lengths: Tensor | None = None, target_lengths: Tensor | None = None
    ) -> Tensor:  # fmt: skip
        logs = widened(input).movedim(measure.axis, 2).transpose(0, 1)
        logs = F.log_softmax(logs, 2) if measure.logits else logs
        steps = _lengths(input_lengths, logs.shape[1], logs.shape[0], logs)
        symbols = _lengths(target_lengths, target.shape[0], target.shape[1], logs)
        return F.ctc_loss(logs, target.long(), steps, symbols, blank=measure.blank, zero_infinity=measure.zero_infinity)

    return loss


def _lengths(given: Tensor | None, samples: int, most: int, like: Tensor) -> Tensor:
    """How many count in each sample: what was given, or all."""
    return torch.full((samples,), most, dtype=torch.int64, device=like.device) if given is None else given.long()
