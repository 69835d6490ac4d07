"""Random numbers of a batch: the same for the same seed, epoch, step and place, on any number of processes.

They are bits of the counter-based generator Philox (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): the seed is
the key, and epoch and step are in the counter. A batch has a table of them, one row for each of its samples and one before them for the
batch itself; a process reads on from the row of its first sample. No other random state is read or changed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

_WORD = (1 << 64) - 1
#: the key's second word, so that these bits are not those of splits and orders
_PURPOSE = 0x6175676D656E74
#: normal numbers are drawn for so many samples at a time, counted from the first of the batch
_BLOCK = 16


class Draws:
    """The random numbers of one step of an augmentation: `each`, [samples, width] uniform in [0, 1) as float32 on the batch's device;
    `once`, as many for the whole batch; and normal numbers without limit."""

    def __init__(self, rows: torch.Tensor, bits: np.ndarray, offset: int) -> None:
        self.each, self._bits, self.offset = rows, bits, offset

    @property
    def once(self) -> list[float]:
        """Numbers in [0, 1) for the whole batch, as many as `each` has columns."""
        return _uniform(self._bits).tolist()

    def normal(self, like: torch.Tensor, stream: int = 0) -> torch.Tensor:
        """Standard normal numbers of the shape of `like`, [samples, …], as float32 on its device."""
        return self._drawn(torch.randn, like, stream)

    def uniform(self, like: torch.Tensor, stream: int = 0) -> torch.Tensor:
        """As `normal`, uniform in [0, 1)."""
        return self._drawn(torch.rand, like, stream)

    def _drawn(self, draw: Callable[..., torch.Tensor], like: torch.Tensor, stream: int) -> torch.Tensor:
        generator = torch.Generator(like.device)
        first, end = self.offset, self.offset + len(like)
        blocks = []
        for block in range(first // _BLOCK, -(-end // _BLOCK)):
            generator.manual_seed(_mixed(int(self._bits[0]), stream, block))
            whole = draw((_BLOCK, *like.shape[1:]), generator=generator, device=like.device, dtype=torch.float32)
            blocks.append(whole[max(first - block * _BLOCK, 0) : end - block * _BLOCK])
        return torch.cat(blocks)

    def beta(self, alpha: float) -> float:
        """One number of Beta(alpha, alpha) for the whole batch."""
        return float(np.random.default_rng(int(self._bits[0])).beta(alpha, alpha))

    def partners(self, count: int) -> torch.Tensor:
        """For each of `count` samples another one of them (itself, where it is alone), int64."""
        order = np.random.default_rng([int(self._bits[0]), self.offset]).permutation(count)
        found = np.empty(count, np.int64)
        found[order] = np.roll(order, 1)
        return torch.from_numpy(found)


def table(seed: int, epoch: int, step: int, offset: int, count: int, width: int) -> np.ndarray:
    """Random bits, uint64 [1 + count, width]: a row for the batch, and one for each of `count` samples from place `offset` on."""
    generator = np.random.Philox(key=[seed & _WORD, _PURPOSE], counter=[0, 0, step & _WORD, epoch & _WORD])
    bits = generator.random_raw((1 + offset + count) * width).reshape(-1, width)
    return np.concatenate([bits[:1], bits[1 + offset :]]) if offset else bits


def draws_of(bits: np.ndarray, widths: list[int], offset: int, device: torch.device) -> list[Draws]:
    """A table's columns dealt out: so many to each step."""
    rows = torch.from_numpy(_uniform(bits[1:])).to(device)
    found, start = [], 0
    for width in widths:
        found.append(Draws(rows[:, start : start + width], bits[0, start : start + width], offset))
        start += width
    return found


def _uniform(bits: np.ndarray) -> np.ndarray:
    """The upper 24 bits as float32 in [0, 1), all of which it can have."""
    return (bits >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)


def _mixed(seed: int, stream: int, block: int) -> int:
    """One seed of three numbers, by the finalizer of SplitMix64 (Steele, Lea, Flood 2014)."""
    word = (seed + 0x9E3779B97F4A7C15 * (1 + block) + 0xD1B54A32D192ED03 * stream) & _WORD
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & _WORD
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & _WORD
    return word ^ (word >> 31)
