"""From one number for each element to one number: means over what counts, in float32 at least."""

from __future__ import annotations

from typing import Callable

import torch
from torch import Tensor

from netspec.diagnostics.model import Refusal
from netspec.recipe.loss import lacks_channel

#: a loss ready to be called: tensors in the order of the measure's `TENSORS`, its optional ones by name
Computation = Callable[..., Tensor]

_HALF = frozenset((torch.float16, torch.bfloat16))


def fitted(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Prediction and target of one shape and one floating type, of 32 bits at least.

    `[N]` fits `[N, 1]`; nothing else is made to fit: broadcasting would compare every sample with every other. Raises `Refusal`.
    """
    if target.shape != input.shape:
        target = _shaped(target, input)
    if input.dtype in _HALF:
        input = input.float()
    if target.dtype is not input.dtype:
        if target.dtype is torch.float64:
            input = input.double()
        target = target.to(input.dtype)
    return input, target


def _shaped(target: Tensor, input: Tensor) -> Tensor:
    """The target with an axis of size 1 more or less, where that makes it the prediction's shape. Raises `Refusal`."""
    shape = tuple(size for size in input.shape if size != 1)
    if input.shape[:1] == target.shape[:1] and tuple(size for size in target.shape if size != 1) == shape:
        return target.reshape(input.shape)
    raise Refusal("NS354", f"a target of shape {list(target.shape)} does not fit a prediction of shape {list(input.shape)}")


def widened(input: Tensor) -> Tensor:
    """A tensor of 32 bits at least."""
    return input.float() if input.dtype in _HALF else input


def kept(elements: Tensor, mask: Tensor | None, lengths: Tensor | None, channel: int | None = None) -> Tensor:
    """Which elements count, as booleans of their shape.

    A mask is one of `recipe.loss.mask_shapes`, where `channel` is the elements' axis of channels, if they have one; `lengths` says how
    many along axis 1 count in each sample. Raises `Refusal` for a mask of another shape.
    """
    found = torch.ones((), dtype=torch.bool, device=elements.device)
    if mask is not None:
        found = _spread(mask if mask.dtype is torch.bool else mask != 0, elements, channel)
    if lengths is not None:
        steps = torch.arange(elements.shape[1], device=elements.device)
        found = found & _trailing(steps < lengths.to(elements.device).unsqueeze(1), elements.dim())
    return found.expand_as(elements)


def kept_whole(elements: Tensor, mask: Tensor) -> Tensor:
    """The same by a mask of samples or pixels, all channels (axis 1) of it together. Raises `Refusal` for a mask of another shape."""
    if elements.dim() < 2:
        return kept(elements, mask, None)
    return kept(elements[:, 0], mask, None).unsqueeze(1).expand_as(elements)


def _spread(mask: Tensor, elements: Tensor, channel: int | None) -> Tensor:
    """A mask with the axes that it lacks, of size 1. Raises `Refusal` for one of another shape."""
    rank, shaped = elements.dim(), mask
    if channel is None:
        shaped = mask.squeeze(1) if mask.dim() == rank + 1 and mask.shape[1] == 1 else mask
    elif lacks_channel(mask.dim(), rank) or (mask.dim() == rank - 1 and _is_of_the_rest(mask, elements, channel)):
        shaped = mask.unsqueeze(channel)  # counted from the end or not: the mask then has all axes
    shaped = _trailing(shaped, rank)
    if shaped.dim() != rank or any(m not in (1, e) for m, e in zip(shaped.shape, elements.shape)):
        raise Refusal("NS354", f"a mask of shape {list(mask.shape)} does not fit elements of shape {list(elements.shape)}")
    return shaped


def _is_of_the_rest(mask: Tensor, elements: Tensor, channel: int) -> bool:
    """Whether a mask leaves out an axis of one channel, and is no mask of that channel."""
    return elements.shape[channel] == 1 and mask.shape != elements.shape[:-1]


def _trailing(mask: Tensor, rank: int) -> Tensor:
    """A mask with axes of size 1 at its end, so that it has so many."""
    return mask.reshape(*mask.shape, *(1 for _ in range(rank - mask.dim())))


def mean_of(elements: Tensor, keep: Tensor, over: str = "all") -> Tensor:
    """The sum of what counts, divided by how many count (0 of none), or with `over="batch"` by the number of samples."""
    total = torch.where(keep, elements, torch.zeros((), dtype=elements.dtype, device=elements.device)).sum()
    return total / (elements.shape[0] if over == "batch" else keep.sum().clamp(min=1))


def per_batch(total: Tensor, input: Tensor) -> Tensor:
    """A sum over everything, divided by the number of samples."""
    return total / input.shape[0]


class Constants:
    """Numbers of a loss (class weights) as a tensor, kept on each device and in each type in which they were asked for."""

    def __init__(self, values: tuple[float, ...] | float) -> None:
        self._values = values
        self._made: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def like(self, tensor: Tensor) -> Tensor:
        """The numbers where that tensor is, in its type."""
        key = (tensor.device, tensor.dtype)
        if key not in self._made:
            self._made[key] = torch.tensor(self._values, device=tensor.device, dtype=tensor.dtype)
        return self._made[key]
