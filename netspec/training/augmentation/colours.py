"""Changing numbers where they are: colours, blur, erasing, noise. Each input has random numbers of its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from netspec.diagnostics.model import Refusal
from netspec.recipe import more_augmentations as recipe
from netspec.training.augmentation.draws import Draws
from netspec.training.augmentation.geometry import fitting
from netspec.training.augmentation.members import Batch, Members

#: the orders in which colours can be changed
_ORDERS = [(a, b, c, 6 - a - b - c) for a in range(4) for b in range(4) for c in range(4) if len({a, b, c}) == 3]


class _Painting:
    """Base of what changes each picture by itself, with `columns` random numbers for it; `p` is the share of pictures that change."""

    columns = 0
    channels: tuple[int, ...] | None = None

    def __init__(self, entry: Any, members: Members) -> None:
        self.entry, self.p = entry, getattr(entry, "p", 1.0)
        self.names = members.pictures(entry, self.channels)
        self.width = len(self.names) * (1 + self.columns)

    def painted(self, x: Tensor, u: Tensor, draws: Draws, number: int) -> Tensor:
        """The pictures changed: by random numbers [N, columns], and those of the batch."""
        raise NotImplementedError

    def __call__(self, batch: Batch, draws: Draws) -> None:
        """Change the batch."""
        for number, name in enumerate(self.names):
            x, start = batch[name], number * (1 + self.columns)
            made = self.painted(x, draws.each[:, start + 1 : start + 1 + self.columns], draws, start)
            batch[name] = made if self.p >= 1 else torch.where(_planes(draws.each[:, start] < self.p), made, x)


class ColorJitter(_Painting):
    """Brightness, contrast, saturation and hue, in a random order."""

    columns = 4

    def __init__(self, entry: recipe.ColorJitter, members: Members) -> None:
        self.channels = (3,) if entry.saturation or entry.hue else None
        super().__init__(entry, members)
        self.factors = [_factors(value) for value in (entry.brightness, entry.contrast, entry.saturation)]

    def painted(self, x: Tensor, u: Tensor, draws: Draws, number: int) -> Tensor:
        """One change after the other; only those that are asked for."""
        least = x.amin((1, 2, 3), keepdim=True).clamp_(max=0.0)
        most = x.amax((1, 2, 3), keepdim=True).clamp_(min=1.0)
        for kind in _ORDERS[int(draws.once[number] * len(_ORDERS))]:
            if kind == 3:
                x = self._turned(x, u[:, 3]) if self.entry.hue else x
            elif self.factors[kind] != (1.0, 1.0):
                low, high = self.factors[kind]
                factor = _planes(low + u[:, kind] * (high - low)).to(x.dtype)
                other = _luminance(x) if kind and x.shape[1] == 3 else x
                other = torch.zeros_like(x) if kind == 0 else other.mean((1, 2, 3), keepdim=True) if kind == 1 else other
                x = torch.clamp(torch.lerp(other, x, factor), least, most)
        return x

    def _turned(self, x: Tensor, u: Tensor) -> Tensor:
        from kornia.enhance import adjust_hue

        return adjust_hue(x, (2 * u - 1) * (2 * torch.pi * self.entry.hue))


class Grayscale(_Painting):
    """The luminance of the three channels in each."""

    channels = (3,)

    def painted(self, x: Tensor, u: Tensor, draws: Draws, number: int) -> Tensor:
        """Nothing random but which pictures."""
        return _luminance(x).expand_as(x)


class GaussianBlur(_Painting):
    """Kornia's blur, its deviation drawn for each picture."""

    columns = 1

    def painted(self, x: Tensor, u: Tensor, draws: Draws, number: int) -> Tensor:
        """Raises Refusal NS843 for a picture that is no larger than half of the kernel."""
        from kornia.filters import gaussian_blur2d

        kernel, (low, high) = self.entry.kernel, self.entry.sigma
        if kernel // 2 >= min(x.shape[-2:]):
            raise Refusal("NS843", f"`gaussian_blur({kernel})` has a kernel too large for pictures of {x.shape[-2]} by {x.shape[-1]}")
        sigma = (low + u * (high - low)).expand(-1, 2)
        return gaussian_blur2d(x, (kernel, kernel), sigma.to(x.dtype))


class PcaJitter(_Painting):
    """Principal components of the colours, in random amounts. Krizhevsky et al. 2012, section 4.1."""

    def __init__(self, entry: recipe.PcaJitter, members: Members) -> None:
        self.columns = 0
        super().__init__(entry, members)
        counts = {members.inputs[name].shape[1] for name in self.names}
        if not all(isinstance(count, int) for count in counts) or len(counts) > 1:
            raise Refusal("NS843", "`pca_jitter` is for pictures of one number of channels", helps=("name one: input = …",))
        count = next(iter(counts))
        assert isinstance(count, int)
        self.columns, self.width = count, len(self.names) * (1 + count)
        self.amounts: Tensor | None = None
        if entry.eigenvalues is not None and entry.eigenvectors is not None:
            if len(entry.eigenvalues) != count:
                raise Refusal("NS843", f"`pca_jitter` has {len(entry.eigenvalues)} eigenvalues, and `{self.names[0]}` {count} channels")
            self._set(np.array(entry.eigenvalues), np.array(entry.eigenvectors))

    def measure(self, covariance: np.ndarray) -> None:
        """Take eigenvalues and eigenvectors of the covariance of the channels, [C, C]; signs are such that each vector's largest
        number is positive."""
        values, vectors = np.linalg.eigh(covariance)
        vectors = vectors.T * np.sign(vectors.T[np.arange(len(values)), np.abs(vectors.T).argmax(1)])[:, None]
        self._set(np.maximum(values, 0), vectors)

    def _set(self, values: np.ndarray, vectors: np.ndarray) -> None:
        self.amounts = torch.from_numpy(values[:, None] * vectors * self.entry.std).to(torch.float32)

    def painted(self, x: Tensor, u: Tensor, draws: Draws, number: int) -> Tensor:
        """Plus `sum_i alpha_i lambda_i p_i`. Raises Refusal NS843 where nothing was measured or given."""
        if self.amounts is None:
            raise Refusal("NS843", "`pca_jitter` has neither measured nor given components")
        alpha = torch.special.ndtri((u.double() + 2.0**-25)).float()
        return x + _planes(alpha @ self.amounts.to(x.device)).reshape(len(x), -1, 1, 1).to(x.dtype)


class Erasing(_Painting):
    """A rectangle of random area and aspect ratio, or a square, becomes one value."""

    def __init__(self, entry: recipe.RandomErasing | recipe.Cutout, members: Members) -> None:
        self.columns = 2 if isinstance(entry, recipe.Cutout) else 22
        super().__init__(entry, members)

    def painted(self, x: Tensor, u: Tensor, draws: Draws, number: int) -> Tensor:
        """Where a row and a column are both within the rectangle."""
        (height, width), entry = x.shape[-2:], self.entry
        if isinstance(entry, recipe.Cutout):
            top, left = ((u * u.new_tensor([height, width])).floor() - entry.size // 2).unbind(1)
            bottom, right = top + entry.size, left + entry.size
        else:
            tall, wide = fitting(u[:, 2:], height, width, entry.scale, entry.ratio)
            top, left = (u[:, 0] * (height - tall + 1)).floor(), (u[:, 1] * (width - wide + 1)).floor()
            bottom, right = top + tall, left + wide
        return x.masked_fill(inside(x, top, left, bottom, right), entry.value)


class Noise:
    """Normal numbers are added to every number."""

    width = 1

    def __init__(self, entry: recipe.Noise, members: Members) -> None:
        self.std, self.names = entry.std, members.floats(entry)

    def __call__(self, batch: Batch, draws: Draws) -> None:
        """Change the batch."""
        for number, name in enumerate(self.names):
            x = batch[name]
            noise = draws.normal(x, number)
            batch[name] = noise.mul_(self.std).add_(x) if x.dtype == torch.float32 else x + noise.to(x.dtype) * self.std


class Masking:
    """Numbers, or all of a position along an axis, become one value."""

    width = 1

    def __init__(self, entry: recipe.Masking, members: Members) -> None:
        self.entry, self.names = entry, members.floats(entry)
        for name in self.names:
            if entry.axis is not None and entry.axis >= members.inputs[name].rank:
                raise Refusal("NS843", f"`masking` is along axis {entry.axis}, and `{name}` is {members.inputs[name]}")

    def __call__(self, batch: Batch, draws: Draws) -> None:
        """Change the batch."""
        for number, name in enumerate(self.names):
            x, axis = batch[name], self.entry.axis
            like = x if axis is None else _along(x, axis)
            batch[name] = x.masked_fill(draws.uniform(like, number) < self.entry.p, self.entry.value)


def inside(x: Tensor, top: Tensor, left: Tensor, bottom: Tensor, right: Tensor) -> Tensor:
    """Which pixels of `x` are in a rectangle that each sample has, [N, 1, H, W]; its end is outside."""
    rows, columns = (torch.arange(size, device=x.device) for size in x.shape[-2:])
    tall = (rows >= top[:, None]) & (rows < bottom[:, None])
    wide = (columns >= left[:, None]) & (columns < right[:, None])
    return (tall[:, :, None] & wide[:, None, :])[:, None]


def _along(x: Tensor, axis: int) -> Tensor:
    """As much of `x` as has one number for each sample and position of an axis, and broadcasts against it."""
    return x[tuple(slice(None) if number in (0, axis) else slice(0, 1) for number in range(x.dim()))]


def _factors(value: float | tuple[float, float]) -> tuple[float, float]:
    return value if isinstance(value, tuple) else (max(1 - value, 0.0), 1 + value)


def _luminance(x: Tensor) -> Tensor:
    from kornia.color import rgb_to_grayscale

    return rgb_to_grayscale(x)


def _planes(values: Tensor) -> Tensor:
    return values.reshape(-1, 1, 1, 1) if values.dim() == 1 else values
