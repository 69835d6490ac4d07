"""Arrays in `.npz` archives, by name, each unpacked when it is asked for; checked as the weights in such files are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from netspec.backends.weight_files.npz import MOST_ARRAYS, NUMBERS, TEXT, read_entries

if TYPE_CHECKING:
    import numpy as np


class Archive(Mapping[str, "np.ndarray"]):
    """The arrays of one archive."""

    def __init__(self, path: str, most: int, kinds: str) -> None:
        self._entries = read_entries(path, most, kinds)

    def __getitem__(self, name: str) -> np.ndarray:
        return self._entries[name].load()

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def read_npz(path: str, most: int = MOST_ARRAYS, text: bool = False) -> Archive:
    """The arrays of a file: of numbers, or with `text` also of strings. Raises Refusal NS622 for a damaged or hostile one, NS625 past
    a bound."""
    return Archive(path, most, NUMBERS + TEXT if text else NUMBERS)
