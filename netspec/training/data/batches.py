"""Batches of a table in an order that is a function of seed and epoch alone, from any step on, for any rank of several."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from netspec.diagnostics.model import Refusal
from netspec.training.data.ahead import read_ahead
from netspec.training.data.order import by_length, in_windows, permutation
from netspec.training.data.table import Column, Table

#: whole tables are put on a device up to this many bytes: an `index_select` there takes microseconds
_ON_DEVICE = 4 << 30


class Batches:
    """Batches of `batch` of the rows `indices` of a table, as dicts of tensors on `device` by column.

    With `world` ranks a batch is the *global* one: `rank` gets its contiguous share of each, shares differing by one at most (so a
    rank may get none of a last batch that is smaller than `world`). The order of epoch e is a function of `seed` and e; without
    `shuffle` it is that of `indices`. `drop_last` leaves out a last batch that is not full. `bucket` (as the table says) puts shuffled
    samples of about one length together (`order.by_length`). Samples of unequal length are padded to the longest of the rank's share.

    Columns in memory are gathered with `index_select`; others are read ahead by threads. A batch may be changed in place.
    """

    def __init__(
        self, table: Table, indices: np.ndarray, batch: int, *, seed: int, shuffle: bool, rank: int = 0, world: int = 1,
        device: str | torch.device = "cpu", drop_last: bool = False, bucket: bool | None = None,
    ) -> None:  # fmt: skip
        self.table, self.indices, self.batch = table, np.asarray(indices, np.int64), batch
        self.seed, self.shuffle, self.rank, self.world = seed, shuffle, rank, world
        self.bucket = shuffle and (table.bucket if bucket is None else bucket)
        self.device, self.drop_last = torch.device(device), drop_last
        count = len(self.indices)
        if count < 1 or (drop_last and count < batch):
            raise Refusal("NS808", f"{count} samples of {table.source or 'the data'} are no batch of {batch}")
        self.steps = count // batch if drop_last else -(-count // batch)
        self._resident = self._tensors() if table.resident else None

    def sizes(self, step: int) -> tuple[int, int]:
        """How many samples of a step are this rank's, and how many there are on all ranks together."""
        start, end = self._share(step)
        return end - start, min(self.batch, len(self.indices) - step * self.batch)

    def rows(self, number: int) -> np.ndarray:
        """The rows of the table in the order of an epoch, all ranks', int64; what `drop_last` leaves out stands last."""
        rows, (block, window) = self.indices, self.table.blocks
        if self.shuffle and block:
            rows = in_windows(rows, block, window, self.seed, number)
        elif self.shuffle:
            rows = rows[permutation(len(rows), self.seed, epoch=number)]
        lengths = self._lengths() if self.bucket else None
        return rows if lengths is None else by_length(rows, lengths, self.batch, self.seed, number)

    def epoch(self, number: int, start: int = 0) -> Iterator[dict[str, torch.Tensor]]:
        """The batches of an epoch, from step `start` on."""
        rows = self.rows(number)
        return self._selected(rows, start) if self._resident is not None else self._read(rows, start)

    def _share(self, step: int) -> tuple[int, int]:
        """From where to where in the order of an epoch this rank's part of a step goes."""
        first = step * self.batch
        whole = min(self.batch, len(self.indices) - first)
        return first + whole * self.rank // self.world, first + whole * (self.rank + 1) // self.world

    def _selected(self, rows: np.ndarray, start: int) -> Iterator[dict[str, torch.Tensor]]:
        """Batches out of tensors. The row numbers of all steps are cut in one call, and each column gathered."""
        order, columns = torch.from_numpy(self._mine(rows, start)).to(self.device), tuple((self._resident or {}).items())
        if not columns or start >= self.steps:
            return
        (name, tensor), others = columns[0], columns[1:]
        for picked in order.split([self.sizes(step)[0] for step in range(start, self.steps)] if self.world > 1 else self.batch):
            made = {name: tensor.index_select(0, picked)}
            for other, column in others:
                made[other] = column.index_select(0, picked)
            yield made

    def _mine(self, rows: np.ndarray, start: int) -> np.ndarray:
        """This rank's rows of all steps from `start` on, end to end."""
        if self.world == 1:
            return rows[start * self.batch : self.steps * self.batch]
        return np.concatenate([rows[slice(*self._share(step))] for step in range(start, self.steps)] or [rows[:0]])

    def _read(self, rows: np.ndarray, start: int) -> Iterator[dict[str, torch.Tensor]]:
        """Batches out of files: read and converted by threads while the network is busy with those before."""
        shares = (rows[slice(*self._share(step))] for step in range(start, self.steps))
        pinned = self.device.type == "cuda"
        for tensors in read_ahead(lambda share: self._loaded(share, pinned), shares):
            yield {name: tensor.to(self.device, non_blocking=pinned) for name, tensor in tensors.items()}

    def _loaded(self, rows: np.ndarray, pinned: bool) -> dict[str, torch.Tensor]:
        made = {name: as_tensor(array, self.table.columns[name]) for name, array in self.table.take(rows).items()}
        return {name: tensor.pin_memory() for name, tensor in made.items()} if pinned else made

    def _tensors(self) -> dict[str, torch.Tensor] | None:
        """The columns as tensors on the device; None where they are too much for it, so that they are read batch by batch."""
        if self.device.type != "cpu" and sum(column.nbytes for column in self.table.columns.values()) > _ON_DEVICE:
            return None
        return {name: as_tensor(column.array, column).to(self.device) for name, column in self.table.columns.items()}

    def _lengths(self) -> np.ndarray | None:
        """The lengths of the first column of unequal ones."""
        return next((c.raw.lengths for c in self.table.columns.values() if c.uneven), None)  # type: ignore[attr-defined]


def as_tensor(array: Any, column: Column) -> torch.Tensor:
    """An array of a column as a tensor of its element type, sharing memory where that is possible."""
    array = array if array.flags.writeable else array.copy()
    tensor = torch.from_numpy(array)
    return tensor.to(torch.bfloat16) if column.dtype == "bfloat16" else tensor
