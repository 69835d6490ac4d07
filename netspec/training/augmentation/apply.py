"""The augmentation of a section: its steps in order, each with its own columns of the batch's random numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from netspec.diagnostics.model import Refusal
from netspec.graph import Graph
from netspec.op import Reject
from netspec.recipe import augmentations as moving
from netspec.recipe import more_augmentations as recipe
from netspec.recipe.entry import Entry
from netspec.recipe.section import Section
from netspec.training.augmentation import colours, geometry, mixing
from netspec.training.augmentation.draws import Draws, draws_of, table
from netspec.training.augmentation.members import Batch, Members, members_of

if TYPE_CHECKING:
    from netspec.training.data.table import Table

#: how many pixels are read at a time to measure colours
_PIECE = 1 << 20


class Step(Protocol):
    """One augmentation, made for a network: it replaces tensors of a batch, and needs `width` columns of random numbers."""

    width: int

    def __call__(self, batch: Batch, draws: Draws) -> None:
        """Change the batch."""


_STEPS: dict[type[Entry], Any] = {
    moving.RandomCrop: geometry.Crop,
    moving.RandomResizedCrop: geometry.ResizedCrop,
    moving.Hflip: geometry.Flip,
    moving.Vflip: geometry.Flip,
    moving.Rotation: geometry.Affine,
    moving.Affine: geometry.Affine,
    moving.Perspective: geometry.Perspective,
    recipe.ColorJitter: colours.ColorJitter,
    recipe.Grayscale: colours.Grayscale,
    recipe.GaussianBlur: colours.GaussianBlur,
    recipe.PcaJitter: colours.PcaJitter,
    recipe.RandomErasing: colours.Erasing,
    recipe.Cutout: colours.Erasing,
    recipe.Noise: colours.Noise,
    recipe.Masking: colours.Masking,
    recipe.Mixup: mixing.Mixup,
    recipe.Cutmix: mixing.Cutmix,
}


class Augment:
    """A function of batches: `augment(batch, seed, epoch, step, offset)`.

    Tensors of the batch are not changed, but replaced in the dict that comes back. `offset` is the place of the first sample in the
    batch of all processes together.
    """

    def __init__(self, steps: list[Step]) -> None:
        self.steps = steps
        self._widths = [step.width for step in steps]

    def __call__(self, batch: Mapping[str, torch.Tensor], seed: int, epoch: int, step: int, offset: int = 0) -> Batch:
        """The batch augmented. Raises Refusal NS843 for pictures of a size that does not suit."""
        made = dict(batch)
        some = next(iter(made.values()))
        if not len(some):
            return made
        bits = table(seed, epoch, step, offset, len(some), sum(self._widths))
        with torch.no_grad():
            for one, draws in zip(self.steps, draws_of(bits, self._widths, offset, some.device)):
                one(made, draws)
        return made

    def measure(self, data: Table, indices: np.ndarray) -> None:
        """Measure on the training rows what is to be measured: the colours of `pca_jitter`, whose components are not given."""
        for step in self.steps:
            if isinstance(step, colours.PcaJitter) and step.amounts is None:
                step.measure(covariance(data, np.sort(np.asarray(indices, np.int64)), step.names))


def make_augment(graph: Graph, section: Section, data: Table | None = None, indices: np.ndarray | None = None) -> Augment | None:
    """The augmentation that a section asks for, measured on the rows `indices` of the training data where those are given; None where it
    asks for nothing. Raises Refusal NS843 for what does not suit the network's inputs or the section's targets."""
    if not section.augment:
        return None
    try:
        members: Members = members_of(graph, section)
    except Reject as error:
        raise Refusal(error.code, str(error)) from None
    found = Augment([_STEPS[type(entry)](entry, members) for entry in section.augment])
    _mixed_last(section)
    if data is not None and indices is not None:
        found.measure(data, indices)
    return found


def _mixed_last(section: Section) -> None:
    """What comes after mixing would move pixels of targets that are no class numbers any more. Raises Refusal NS843."""
    names = [type(entry) for entry in section.augment]
    mixing_at = [at for at, kind in enumerate(names) if kind in (recipe.Mixup, recipe.Cutmix)]
    moved_after = [e for e in section.augment[mixing_at[0] :] if type(e).__module__ == moving.__name__] if mixing_at else []
    if moved_after:
        first = section.augment[mixing_at[0]].NAME
        raise Refusal("NS843", f"`{moved_after[0].NAME}` moves pictures that `{first}` has mixed", helps=(f"put `{first}` behind it",))


def covariance(data: Table, rows: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """The covariance of the channels over all pixels of the pictures in these rows, float64 [C, C]."""
    count, mean, square = 0, 0.0, 0.0
    for name in names:
        column = data.columns[name]
        many = max(1, _PIECE // max(1, column.nbytes // max(len(column), 1) // column.conversion.numpy.itemsize))
        for start in range(0, len(rows), many):
            picture = column.take(rows[start : start + many])
            pixels = np.moveaxis(picture, 1, 0).reshape(picture.shape[1], -1).astype(np.float64)
            own, total = pixels.mean(1), count + pixels.shape[1]
            pixels -= own[:, None]
            square = square + pixels @ pixels.T + np.outer(own - mean, own - mean) * (count * pixels.shape[1] / total)
            mean = mean + (own - mean) * (pixels.shape[1] / total)
            count = total
    return np.asarray(square) / max(count, 1)
