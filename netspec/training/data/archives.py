"""NumPy's own files: `.npz` archives and `.npy` arrays."""

from __future__ import annotations

import os
import zipfile
from typing import IO

import numpy as np
from numpy.lib import format as npy

from netspec.backends.archive import read_npz as open_archive
from netspec.diagnostics.model import Refusal
from netspec.training.data.guard import reading
from netspec.training.data.options import Options
from netspec.training.data.source import Source, from_arrays

#: `.npy` files up to this size are read at once, larger ones are mapped into memory
_SMALL = 64 << 20


def read_npz(path: str, options: Options) -> Source:
    """The arrays of an archive, which are unpacked as they are asked for. Raises Refusal NS622, NS625; NS807 for arrays of objects,
    which would have to be unpickled."""
    try:
        archive = open_archive(path, text=True)
    except Refusal as refusal:
        if refusal.diagnostic.code != "NS622" or not holds_objects(path):
            raise
        if not options.allow_pickle:
            raise pickled(path, "arrays of objects") from None
        with reading(path, " as an archive"), np.load(path, allow_pickle=True) as loaded:
            return from_arrays(path, {name: loaded[name] for name in loaded.files})
    return from_arrays(path, archive)


def read_npy(path: str, options: Options) -> Source:
    """The one array of a file, called as the file is. Raises Refusal NS713, NS807."""
    return from_arrays(path, {os.path.splitext(os.path.basename(path))[0]: load_npy(path, options)})


def load_npy(path: str, options: Options = Options()) -> np.ndarray:
    """The array of a file; a large one is mapped, not read. Raises Refusal NS713, NS807 for objects."""
    mapped = os.path.getsize(path) > _SMALL
    with reading(path, " as an array"):
        with open(path, "rb") as file:
            kind = _header(file)[2].kind
        if kind != "O":
            return np.load(path, mmap_mode="r" if mapped and kind not in "US" else None, allow_pickle=False)
        if not options.allow_pickle:
            raise pickled(path, "an array of objects")
        return np.load(path, allow_pickle=True)


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, order and element type from the head of a `.npy` file. Raises KeyError for another version, ValueError for no such file."""
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[npy.read_magic(file)]
    return read(file)


def holds_objects(path: str) -> bool:
    """Whether an array of an archive is of objects, by its header; False of a damaged archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                with archive.open(member) as file:
                    if _header(file)[2].hasobject:
                        return True
    except Exception:  # a damaged archive has been refused by then: this only finds the better word for it
        pass
    return False


def pickled(path: str, what: str) -> Refusal:
    """The refusal of what only unpickling reads."""
    helps = ("save plain arrays, strings as numbers", "`--allow-pickle`, if you trust who made the file: unpickling runs what it says")
    return Refusal("NS807", f"{path} holds {what}, which are pickled", helps=helps)
