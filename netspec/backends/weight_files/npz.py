"""Reading `.npz`: a zip archive of `.npy` arrays, whose headers are read here; nothing in it is ever unpickled."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from netspec.backends.weight_files.archive import inspect
from netspec.backends.weight_files.entry import Entry, malformed, too_much
from netspec.diagnostics.model import Refusal

#: The longest `.npy` header that is read; NumPy's own limit, too.
_HEADER_LIMIT = 10_000
#: How many arrays an archive of data may have.
MOST_ARRAYS = 10_000
#: The kinds of elements, as NumPy calls them, that are numbers, and that are text.
NUMBERS, TEXT = "fiub", "US"


def read_entries(path: str, most: int, kinds: str = NUMBERS) -> dict[str, Entry]:
    """The arrays of a file, by name; at most that many, of elements of these kinds. Each is unpacked when it is asked for.

    Raises Refusal: NS622 for what is no archive of plain arrays, NS625 past a bound. OSError where it cannot be opened.
    """
    members = inspect(path)
    if len(members) > most:
        raise too_much(path, f"it has {len(members):,} arrays, more than {most:,}")
    archive = zipfile.ZipFile(path)
    entries: dict[str, Entry] = {}
    for member in members:
        if not member.filename.endswith(".npy"):
            raise malformed(path, f"its member {member.filename!r} is no array")
        shape, fortran, dtype = _guarded(path, member, partial(_header, archive, path, member, kinds))
        load = partial(_guarded, path, member, partial(_load, archive, path, member, kinds))
        entries[member.filename[:-4]] = Entry(dtype.newbyteorder("=").name, shape, load)
    return entries


def _guarded(path: str, member: zipfile.ZipInfo, work: Callable[[], Any]) -> Any:
    """Do the work; whatever zip or NumPy raise over a hostile member is one refusal."""
    try:
        return work()
    except Refusal:
        raise
    except Exception as error:
        raise malformed(path, f"its member {member.filename!r} cannot be read") from error


def _header(archive: zipfile.ZipFile, path: str, member: zipfile.ZipInfo, kinds: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    with archive.open(member) as file:
        return _checked(path, member, file, kinds)  # type: ignore[arg-type]


def _checked(path: str, member: zipfile.ZipInfo, file: BinaryIO, kinds: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, order and dtype from the header of an open member, held against its size."""
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise malformed(path, f"its member {member.filename!r} is of another .npy version")
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read(file, max_header_size=_HEADER_LIMIT)
    if dtype.hasobject or dtype.kind not in kinds or dtype.subdtype is not None:
        raise malformed(path, f"its member {member.filename!r} holds no plain numbers")
    if any(size < 0 for size in shape) or file.tell() + prod(shape) * dtype.itemsize != member.file_size:
        raise malformed(path, f"its member {member.filename!r} has another size than its shape says")
    return shape, fortran, dtype


def _load(archive: zipfile.ZipFile, path: str, member: zipfile.ZipInfo, kinds: str) -> np.ndarray:
    with archive.open(member) as file:
        shape, fortran, dtype = _checked(path, member, file, kinds)  # type: ignore[arg-type]
        wanted = prod(shape) * dtype.itemsize
        raw = file.read(wanted + 1)
    if len(raw) != wanted:
        raise malformed(path, f"its member {member.filename!r} is cut off")
    array = np.frombuffer(raw, dtype).reshape(shape, order="F" if fortran else "C")
    return np.ascontiguousarray(array, dtype.newbyteorder("=")).reshape(shape)
