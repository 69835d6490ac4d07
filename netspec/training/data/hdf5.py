"""HDF5 files: the datasets that a file itself holds, read block by block and kept for as long as the shuffled order needs them."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import numpy as np

from netspec.diagnostics.model import Refusal
from netspec.training.data.guard import reading
from netspec.training.data.raw import Raw, Stored
from netspec.training.data.source import Source, from_arrays, of_objects

#: how many datasets a file may have
_MOST = 10_000
#: rows are read together until they are so many bytes, and blocks are mixed until they are so many
_BLOCK, _WINDOW = 256 << 10, 128 << 20
#: the most bytes that are read together; and of what is read whole, how many values there may be to a byte in the file
_MOST_TOGETHER, _MOST_RATIO = 1 << 30, 100
#: deflate, shuffle, Fletcher's checksum, szip, n-bit, scale-offset, and h5py's own lzf; others are plugins, that is, code
_FILTERS = frozenset((1, 2, 3, 4, 5, 6, 32000))
#: reads a dataset and forgets it; the folder that one happens to be in is no place to import from
_TRIAL = "import sys; sys.path[:] = filter(None, sys.path); import h5py; h5py.File(sys.argv[1], 'r')[sys.argv[2]][...]"
#: how many seconds that may take: some, and one for so many bytes of the file
_SECONDS, _BYTES_A_SECOND = 30.0, 4 << 20


class Blocks:
    """A dataset, read a block of rows at a time. Blocks of two windows are kept, so that an order by windows reads each of them once."""

    pixels, resident = True, False

    def __init__(self, path: str, name: str, dataset: Any) -> None:
        self._path, self._name, self._dataset = path, name, dataset
        self.dtype, self.sample = dataset.dtype, tuple(dataset.shape[1:])
        row = max(1, int(np.prod(self.sample, dtype=np.float64)) * self.dtype.itemsize)
        chunk = dataset.chunks[0] if dataset.chunks else 1
        self.block = chunk * max(1, _BLOCK // (chunk * row))
        self.window = max(4, _WINDOW // (self.block * row))
        if self.block * row > _MOST_TOGETHER:
            raise Refusal("NS713", f"{path}:{name} has chunks of {self.block * row:,} bytes, more than {_MOST_TOGETHER:,}")
        self._kept: OrderedDict[int, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._dataset)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Rows of the dataset, [len(rows), …]."""
        made = np.empty((len(rows), *self.sample), self.dtype)
        blocks = rows // self.block
        for block in np.unique(blocks):
            here = blocks == block
            made[here] = self._piece(int(block))[rows[here] - block * self.block]
        return made

    def at(self, row: int) -> str:
        """`sample 17`, from 0."""
        return f"sample {row}"

    def _piece(self, block: int) -> np.ndarray:
        """A block of rows, from those that are kept or from the file."""
        with self._lock:
            piece = self._kept.get(block)
            if piece is None:
                with reading(f"{self._path}:{self._name}"):
                    piece = self._dataset[block * self.block : (block + 1) * self.block]
                self._kept[block] = piece
                while len(self._kept) > 2 * self.window:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(block)
            return piece


def read_hdf5(path: str) -> Source:
    """The datasets of a file, those in groups as `group/name`. Links to other places are not followed. Raises Refusal NS713."""
    import h5py

    with reading(path):
        datasets = dict(_datasets(path, h5py.File(path, "r")))
    return from_arrays(path, datasets, lambda name, dataset: _guarded(path, name, dataset))


def _datasets(path: str, file: Any) -> Iterator[tuple[str, Any]]:
    """Every dataset under a hard link, once, by its path in the file."""
    import h5py

    seen, open_groups, count = set(), [("", file)], 0
    while open_groups:
        prefix, group = open_groups.pop()
        for name in group:
            count += 1
            if count > _MOST:
                raise Refusal("NS713", f"{path} has more than {_MOST:,} datasets and groups")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                continue
            item = group[name]
            address = h5py.h5o.get_info(item.id).addr
            if address in seen:
                continue
            seen.add(address)
            if isinstance(item, h5py.Dataset):
                yield prefix + name, item
            elif isinstance(item, h5py.Group):
                open_groups.append((f"{prefix}{name}/", item))


def _guarded(path: str, name: str, dataset: Any) -> Raw:
    with reading(f"{path}:{name}"):
        return _raw(path, name, dataset)


def _raw(path: str, name: str, dataset: Any) -> Raw:
    """A dataset as a raw column: strings and samples of unequal length are read whole, numbers block by block."""
    import h5py

    if dataset.external or dataset.is_virtual:
        raise Refusal("NS713", f"{path}:{name} points outside of the file")
    settings = dataset.id.get_create_plist()
    if any(settings.get_filter(number)[0] not in _FILTERS for number in range(settings.get_nfilters())):
        raise Refusal("NS713", f"{path}:{name} is packed by a filter that is no standard one")
    if dataset.dtype.hasobject and dataset.size > max(1 << 20, _MOST_RATIO * dataset.id.get_storage_size()):
        raise Refusal("NS713", f"{path}:{name} claims {dataset.size:,} values, which the file does not hold")
    if dataset.dtype.hasobject:
        _try(path, name, dataset.id.get_storage_size())
    if h5py.check_string_dtype(dataset.dtype) is not None:
        return Stored(np.asarray(dataset.asstr()[...], object))
    if h5py.check_vlen_dtype(dataset.dtype) is not None:
        return of_objects(path, name, dataset[...])
    if dataset.dtype.hasobject:
        raise Refusal("NS713", f"{path}:{name} holds references to other objects")
    return Blocks(path, name, dataset)


def _try(path: str, name: str, size: int) -> None:
    """Read a dataset of unequal lengths in a process of its own first: over a damaged one the HDF5 library may hang, or end the process.

    Raises Refusal NS713 where it does not come back."""
    limit = _SECONDS + size / _BYTES_A_SECOND
    try:
        done = subprocess.run([sys.executable, "-c", _TRIAL, path, name], timeout=limit, capture_output=True)
    except subprocess.TimeoutExpired:
        raise Refusal("NS713", f"{path}:{name} cannot be read: the HDF5 library does not come back within {limit:.0f} s") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or [f"the HDF5 library ended with status {done.returncode}"]
        raise Refusal("NS713", f"{path}:{name} cannot be read: {said[0][:200]}")
