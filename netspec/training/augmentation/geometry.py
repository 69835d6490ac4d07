"""Moving pictures, and what belongs to their pixels. Flips and crops are indexing; everything else is Kornia's warping by a matrix that
says for each sample where a pixel goes (pixel coordinates, x before y, the first pixel's middle at 0)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import log
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from netspec.diagnostics.model import Refusal
from netspec.recipe import augmentations as recipe
from netspec.training.augmentation.draws import Draws
from netspec.training.augmentation.members import Batch, Members, Moving

_PADDING = {"zeros": "constant", "border": "replicate", "reflection": "reflect"}
#: how often an area and an aspect ratio are drawn, until they fit
_TRIES = 10


class Flip:
    """Left and right, or top and bottom, change places."""

    width = 1

    def __init__(self, entry: recipe.Hflip | recipe.Vflip, members: Members) -> None:
        self.p, self.axis = entry.p, -1 if isinstance(entry, recipe.Hflip) else -2
        self.moving = members.moving(entry, any_size=True)

    def __call__(self, batch: Batch, draws: Draws) -> None:
        """Change the batch."""
        chosen = draws.each[:, 0] < self.p
        for member in self.moving:
            x = batch[member.name]
            batch[member.name] = torch.where(_like(chosen, x), x.flip(self.axis), x)


class Crop:
    """A part of the picture with a border, at a place of its own for each sample."""

    width = 2

    def __init__(self, entry: recipe.RandomCrop, members: Members) -> None:
        self.entry, self.size = entry, _extent(entry.size)
        self.moving = members.moving(entry)
        _declared(entry, members, self.moving[0], self.size)

    def __call__(self, batch: Batch, draws: Draws) -> None:
        """Change the batch. Raises Refusal NS843 for a picture that is too small."""
        (height, width), around = self.size, self.entry.padding
        rows, columns = (n + 2 * around for n in _one_size(batch, self.moving, self.entry))
        if rows < height or columns < width:
            raise Refusal("NS843", f"`random_crop` of {height} by {width} is larger than the picture and its border, {rows} by {columns}")
        top = (draws.each[:, 0] * (rows - height + 1)).long()
        left = (draws.each[:, 1] * (columns - width + 1)).long()
        for member in self.moving:
            x = _bordered(batch[member.name], around, self.entry.border, member.fill)
            batch[member.name] = cut(x, top, left, height, width)


class _Warp:
    """Base of what moves pixels by a matrix for each sample; `p` is the share of samples that it moves."""

    width = 1
    flat = True

    def __init__(self, entry: Any, members: Members) -> None:
        self.entry, self.p = entry, getattr(entry, "p", 1.0)
        self.border = getattr(entry, "border", "zeros")
        self.moving = members.moving(entry)
        self.size: tuple[int, int] | None = None

    def matrix(self, u: Tensor, height: int, width: int) -> Tensor:
        """Where pixels go: [N, 3, 3], from random numbers [N, width - 1] and the size of the picture."""
        raise NotImplementedError

    def __call__(self, batch: Batch, draws: Draws) -> None:
        """Change the batch."""
        from kornia.geometry.transform import warp_affine, warp_perspective

        height, width = _one_size(batch, self.moving, self.entry)
        chosen = draws.each[:, 0] < self.p
        matrix = self.matrix(draws.each[:, 1:], height, width)
        for member in self.moving:
            x = batch[member.name]
            planes = (x.unsqueeze(1) if x.dim() == 3 else x).to(torch.float32)
            planes = planes - member.fill if member.fill else planes
            mode = "nearest" if member.nearest or not x.is_floating_point() else "bilinear"
            size = self.size or (height, width)
            if self.flat:
                moved = warp_affine(planes, matrix[:, :2], size, mode, self.border)
            else:
                moved = warp_perspective(planes, matrix, size, mode, self.border)
            moved = moved + member.fill if member.fill else moved
            moved = _as(moved.squeeze(1) if x.dim() == 3 else moved, x.dtype)
            batch[member.name] = moved if self.p >= 1 else torch.where(_like(chosen, x), moved, x)


class Affine(_Warp):
    """Rotation, shift, scaling and shear about the middle."""

    width = 6

    def __init__(self, entry: recipe.Affine | recipe.Rotation, members: Members) -> None:
        super().__init__(entry, members)
        self.whole = entry if isinstance(entry, recipe.Affine) else recipe.Affine(degrees=entry.degrees)

    def matrix(self, u: Tensor, height: int, width: int) -> Tensor:
        """By Kornia's `get_affine_matrix2d`, whose angles are clockwise."""
        from kornia.geometry.transform import get_affine_matrix2d

        entry, middle = self.whole, u.new_tensor([(width - 1) / 2, (height - 1) / 2]).expand(len(u), 2)
        shifts = (2 * u[:, 1:3] - 1) * u.new_tensor([entry.translate[0] * width, entry.translate[1] * height])
        scale = _between(u[:, 3:4], entry.scale).expand(-1, 2)
        shear = torch.deg2rad(_between(u[:, 4], _symmetric(entry.shear)))
        return get_affine_matrix2d(shifts, middle, scale, -_between(u[:, 0], _symmetric(entry.degrees)), shear, torch.zeros_like(shear))


class Perspective(_Warp):
    """Each corner goes inwards by itself."""

    width = 9
    flat = False

    def matrix(self, u: Tensor, height: int, width: int) -> Tensor:
        """By Kornia's `get_perspective_transform` of the corners."""
        from kornia.geometry.transform import get_perspective_transform

        right, bottom = width - 1.0, height - 1.0
        corners = u.new_tensor([[0, 0], [right, 0], [right, bottom], [0, bottom]])
        inwards = u.new_tensor([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * u.new_tensor([width, height]) * (self.entry.distortion / 2)
        return get_perspective_transform(corners.expand(len(u), 4, 2), corners + u.reshape(-1, 4, 2) * inwards)


class ResizedCrop(_Warp):
    """A part of random area and aspect ratio, resized: pixels are squares, whose middles are half a pixel within the part's border."""

    width = 3 + 2 * _TRIES

    def __init__(self, entry: recipe.RandomResizedCrop, members: Members) -> None:
        super().__init__(entry, members)
        self.size, self.border = _extent(entry.size), "border"
        _declared(entry, members, self.moving[0], self.size)

    def matrix(self, u: Tensor, height: int, width: int) -> Tensor:
        """Scaling and shift."""
        assert self.size is not None
        tall, wide = fitting(u[:, 2:], height, width, self.entry.scale, self.entry.ratio)
        top, left = (u[:, 0] * (height - tall + 1)).floor(), (u[:, 1] * (width - wide + 1)).floor()
        x, y = self.size[1] / wide, self.size[0] / tall
        zero, one = torch.zeros_like(x), torch.ones_like(x)
        across = torch.stack([x, zero, x * (0.5 - left) - 0.5], 1)
        down = torch.stack([zero, y, y * (0.5 - top) - 0.5], 1)
        return torch.stack([across, down, torch.stack([zero, zero, one], 1)], 1)


def fitting(u: Tensor, height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Height and width of a rectangle for each row of random numbers, [N, 2 * tries], whole numbers: the first whose area (a share of the
    picture) and aspect ratio (its logarithm uniform) fit into the picture, or the largest within the ratios."""
    area = _between(u[:, 0::2], scale) * (height * width)
    aspect = torch.exp(_between(u[:, 1::2], (log(ratio[0]), log(ratio[1]))))
    wide, tall = torch.sqrt(area * aspect).round(), torch.sqrt(area / aspect).round()
    fits = (wide >= 1) & (tall >= 1) & (wide <= width) & (tall <= height)
    first = fits.to(torch.uint8).argmax(1, keepdim=True)
    nearest = min(max(width / height, ratio[0]), ratio[1])
    most = (float(min(height, round(width / nearest))), float(min(width, round(height * nearest))))
    any_fits = fits.any(1)
    return (
        torch.where(any_fits, tall.gather(1, first)[:, 0], most[0]),
        torch.where(any_fits, wide.gather(1, first)[:, 0], most[1]),
    )


def cut(x: Tensor, top: Tensor, left: Tensor, height: int, width: int) -> Tensor:
    """The part of each sample of `x`, [N, …, H, W], that begins at a row and column of its own: rows are copied whole, out of a view of
    memory in which every run of `width` numbers is one."""
    x = x.contiguous()
    rows, columns = x.shape[-2:]
    runs = x.as_strided((x.numel() - width + 1, width), (1, 1))
    picked = _starts(len(x), x.shape[1:-2].numel(), rows * columns, height, columns, x.device) + (top * columns + left)[:, None]
    return runs.index_select(0, picked.reshape(-1)).reshape(*x.shape[:-2], height, width)


@lru_cache(maxsize=8)
def _starts(count: int, planes: int, size: int, height: int, columns: int, device: torch.device) -> Tensor:
    """Where the first `height` rows of every plane of every sample begin, [count, planes * height]."""
    plane = torch.arange(count * planes, device=device).reshape(count, planes, 1) * size
    return (plane + torch.arange(height, device=device) * columns).reshape(count, -1)


def _extent(size: int | tuple[int, int]) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else size


def _symmetric(spread: float | tuple[float, float]) -> tuple[float, float]:
    return spread if isinstance(spread, tuple) else (-spread, spread)


def _between(u: Tensor, ends: tuple[float, float]) -> Tensor:
    return ends[0] + u * (ends[1] - ends[0])


def _declared(entry: Any, members: Members, member: Moving, size: tuple[int, int]) -> None:
    """A crop has the size that the network declares. Raises Refusal NS843."""
    kind = members.inputs[member.name]
    if any(isinstance(declared, int) and declared != made for declared, made in zip(kind.shape[-2:], size)):
        raise Refusal("NS843", f"`{entry.NAME}` makes pictures of {size[0]} by {size[1]}, and `{member.name}` is {kind}")


def _one_size(batch: Batch, moving: Sequence[Moving], entry: Any) -> tuple[int, int]:
    """Height and width of all. Raises Refusal NS843 where they differ."""
    sizes = {tuple(batch[member.name].shape[-2:]): member.name for member in moving}
    if len(sizes) > 1:
        shown = ", ".join(f"`{name}` is {size[0]} by {size[1]}" for size, name in sizes.items())
        raise Refusal("NS843", f"`{entry.NAME}` moves what is of one size: {shown}")
    return next(iter(sizes))  # type: ignore[return-value]


def _bordered(x: Tensor, around: int, border: str, fill: float) -> Tensor:
    if not around:
        return x
    sides = (around,) * 4
    if border == "zeros":
        return functional.pad(x, sides, value=fill)
    planes = (x.unsqueeze(1) if x.dim() == 3 else x).to(torch.float32)
    made = functional.pad(planes, sides, _PADDING[border])
    return _as(made.squeeze(1) if x.dim() == 3 else made, x.dtype)


def _like(chosen: Tensor, x: Tensor) -> Tensor:
    return chosen.reshape(-1, *(1 for _ in range(x.dim() - 1)))


def _as(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Numbers made of whole ones or truth values, as those again."""
    if dtype == torch.bool:
        return x > 0.5
    return x.to(dtype) if dtype.is_floating_point else x.round().to(dtype)
