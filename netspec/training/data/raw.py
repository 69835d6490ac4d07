"""Columns as files hold them, behind one interface: rows are read by number, from memory, a mapped file, or piece by piece."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Raw(Protocol):
    """A column of a source.

    `dtype` is NumPy's (`O` for strings). `sample` is the shape of one sample, None for an axis that differs from sample to sample.
    `pixels` says that uint8 numbers in it are grey values. `resident`: reading a row costs no more than a copy. `block`: how many rows
    lie together in the file and are read together, 0 where that does not matter; `window`: how many such blocks are held at a time.
    `at` is what messages call a row.
    """

    dtype: np.dtype
    sample: tuple[int | None, ...]
    pixels: bool
    resident: bool
    block: int
    window: int

    def __len__(self) -> int: ...

    def read(self, rows: np.ndarray) -> np.ndarray:
        """The samples of these rows, [len(rows), …]; those of unequal length filled up with zeros to the longest."""
        ...

    def at(self, row: int) -> str:
        """What a message calls a row: `sample 17`, or the name of its file."""
        ...


class Stored:
    """An array in memory, or a mapped one (`resident` False)."""

    block, window = 0, 0

    def __init__(self, array: np.ndarray, *, pixels: bool = True, resident: bool = True) -> None:
        self.array, self.pixels, self.resident = array, pixels, resident
        self.dtype, self.sample = array.dtype, array.shape[1:]

    def __len__(self) -> int:
        return len(self.array)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Rows of the array."""
        return self.array[rows]

    def at(self, row: int) -> str:
        """`sample 17`, from 0."""
        return f"sample {row}"


class Gathered(Stored):
    """Several columns of a table side by side, [N, k], with the classes of those that are one-hot."""

    def __init__(self, array: np.ndarray, classes: dict[str, tuple[Any, ...]]) -> None:
        super().__init__(array, pixels=False)
        self.classes = classes


class Uneven:
    """Samples whose first axis differs in length: laid end to end in `flat`, [sum of lengths, …], with the length of each."""

    block, window = 0, 0

    def __init__(self, flat: np.ndarray, lengths: np.ndarray, *, resident: bool = True) -> None:
        self.flat, self.lengths, self.resident, self.pixels = flat, lengths, resident, False
        self.ends = np.cumsum(lengths)
        self.dtype, self.sample = flat.dtype, (None, *flat.shape[1:])

    def __len__(self) -> int:
        return len(self.lengths)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """The samples of these rows, filled up with zeros."""
        return self.padded(rows, 0)

    def padded(self, rows: np.ndarray, fill: float) -> np.ndarray:
        """The samples of these rows, [len(rows), longest, …], filled up behind their ends."""
        lengths = self.lengths[rows]
        made = np.full((len(rows), int(lengths.max(initial=0)), *self.flat.shape[1:]), fill, self.flat.dtype)
        for at, (row, length) in enumerate(zip(rows, lengths)):
            made[at, :length] = self.flat[self.ends[row] - length : self.ends[row]]
        return made

    def at(self, row: int) -> str:
        """`sample 17`, from 0."""
        return f"sample {row}"
