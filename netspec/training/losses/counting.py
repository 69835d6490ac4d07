"""How much of a batch a term's mean is over: what the parts of a batch, on several devices or one after the other, are weighed by.

The mean over a batch is the mean of its parts' means only where every sample counts the same. With masks, padded samples, ignored or
weighted classes it does not: then a part counts as much as what its mean is over.
"""

from __future__ import annotations

from typing import Any, Callable, Mapping

import torch
from torch import Tensor

from netspec.recipe.section import Term
from netspec.training.losses.reading import Reading
from netspec.training.losses.reduction import Constants, kept

#: of a batch, the amount that a term's mean is over, up to a factor that is the same for all batches; None: its samples
Count = Callable[[Mapping[str, Tensor]], "Tensor | None"]


def count_of(term: Term, reading: Reading) -> Count:
    """How a term's batches count."""
    measure = term.measure
    optional = reading.optional(term)
    mask, lengths, target = (optional.get("mask"), optional.get("lengths"), dict(term.tensors).get("target"))
    weight = None if getattr(measure, "weight", None) is None or measure.NAME not in ("cross_entropy", "nll") else Constants(measure.weight)
    ignored = getattr(measure, "ignore_index", None)
    by_class = (weight is not None or ignored is not None) and target is not None and target.kind != "output"
    if _of_samples(measure) or (mask is None and lengths is None and not by_class):
        return lambda batch: None

    def count(batch: Mapping[str, Tensor]) -> Tensor | None:
        masked = None if mask is None else mask(None, batch)
        long = None if lengths is None else lengths(None, batch)
        classes = batch[target.name] if by_class else None  # type: ignore[union-attr]
        if classes is not None and not classes.is_floating_point():
            return _of_classes(classes, masked, long, weight, ignored)
        if masked is not None and long is not None and target is not None and target.kind != "output" and batch[target.name].dim() > 1:
            return _of_both(measure, batch[target.name], masked, long)
        return _of_elements(masked, long)

    return count


def _of_samples(measure: Any) -> bool:
    """Whether a loss is a mean over samples, whatever of them counts."""
    return getattr(measure, "over", "") == "batch" or measure.NAME in ("squared_error", "dice", "jaccard", "gaussian_kl", "ctc")


def _of_classes(classes: Tensor, mask: Tensor | None, lengths: Tensor | None, weight: Constants | None, ignored: int | None) -> Tensor:
    """The number of elements whose class counts, or the sum of the weights of their classes."""
    keep = kept(classes, mask, lengths)
    keep = keep if ignored is None else keep & (classes != ignored)
    if weight is None:
        return keep.sum()
    weights = weight.like(torch.zeros((), device=classes.device))
    return torch.where(keep, weights[torch.where(keep, classes, 0)], 0.0).sum()


def _of_both(measure: Any, target: Tensor, mask: Tensor, lengths: Tensor) -> Tensor:
    """The number of elements that a mask has and lengths leave: the target's, less the classes where they are one number of the loss."""
    axis = getattr(measure, "axis", 1)
    if not measure.POOLED:
        return kept(target, mask, lengths, axis).sum()
    return kept(target.select(axis, 0) if target.is_floating_point() else target, mask, lengths).sum()


def _of_elements(mask: Tensor | None, lengths: Tensor | None) -> Tensor | None:
    """The number of elements that a mask has, and lengths leave."""
    if mask is None:
        return None if lengths is None else lengths.sum()
    if lengths is None:
        return (mask != 0).sum()
    return kept(mask, mask, lengths).sum() if mask.dim() > 1 else ((mask != 0) * lengths).sum()
