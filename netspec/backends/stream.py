"""Files whose greater part is weights: several threads draw them, a few megabytes in memory at a time."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from threading import Lock, Thread
from typing import BinaryIO, Union

import numpy as np

from netspec.backends.weights import Piece, Weights
from netspec.diagnostics.model import Refusal
from netspec.files import write_all
from netspec.graph import Tensor
from netspec.record import record
from netspec.sizes.tensor import DTYPES

#: Below this many bytes, starting threads costs more than it gives.
_WORTH_THREADS = 4 << 20
#: Parts smaller than this are gathered and written together: a network of thousands of layers has mostly such.
_SMALL = 256 << 10


@record
class Slot:
    """The place of a tensor in a file: its first byte and how many."""

    tensor: Tensor
    start: int
    nbytes: int

    def __len__(self) -> int:
        return self.nbytes


#: What a file is made of: bytes that are known, and places for tensors.
Part = Union[bytes, Slot]
_Job = tuple[int, list[Union[bytes, tuple[Piece, Tensor]]]]


def write_parts(file: BinaryIO, parts: Sequence[Part], weights: Weights, threads: int | None = None) -> None:
    """Write a file that is these parts, one after the other, into one that can seek. (A slot's `start` is for its maker.)"""
    total = sum(map(len, parts))
    _make_room(file, total)
    jobs = _jobs(parts, weights)
    count = threads or (min(8, os.cpu_count() or 1) if total >= _WORTH_THREADS else 1)
    _Crew(file, jobs).run(count)


def _make_room(file: BinaryIO, total: int) -> None:
    """Make the file that long, for its parts to be written in any order. Raises OSError where the disk has no room for it: now, and not
    after minutes of writing."""
    if total >= _WORTH_THREADS and hasattr(os, "fstatvfs"):
        try:
            disk = os.fstatvfs(file.fileno())
        except (OSError, AttributeError):  # what is no file of the system's
            disk = None
        if disk is not None and disk.f_blocks and disk.f_bavail * disk.f_frsize < total:
            raise OSError(
                errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: it needs {total:,} bytes, and {disk.f_bavail * disk.f_frsize:,} are free"
            )
    if total:
        file.seek(total - 1)
        file.write(b"\0")


class _Crew:
    """Threads that take jobs from one list and write to one file; the first failure ends the work of all."""

    def __init__(self, file: BinaryIO, jobs: Iterator[_Job]) -> None:
        self.file, self.jobs = file, jobs
        self.reading, self.writing = Lock(), Lock()
        self.failures: list[BaseException] = []

    def run(self, count: int) -> None:
        """Work with that many threads, of which the caller's is one. Raises what any of them raised."""
        others = [Thread(target=self._work, daemon=True) for _ in range(count - 1)]
        for other in others:
            other.start()
        self._work()
        while others:  # none may be left at work on a file that is given up, however often somebody presses Ctrl-C
            try:
                others[-1].join()
                others.pop()
            except BaseException as error:
                self.failures.append(error)
        if self.failures:
            raise self.failures[0]

    def _work(self) -> None:
        try:
            while not self.failures:
                with self.reading:
                    job = next(self.jobs, None)
                if job is None:
                    return
                start, content = job
                data = [item if isinstance(item, bytes) else _raw(*item) for item in content]
                whole = data[0] if len(data) == 1 else b"".join(data)
                with self.writing:
                    self.file.seek(start)
                    write_all(self.file, whole)
        except BaseException as error:
            self.failures.append(error)


def _jobs(parts: Sequence[Part], weights: Weights) -> Iterator[_Job]:
    """Stretches of the file, with where each begins: small neighbours together, large pieces alone and not copied."""
    start = position = 0
    gathered: list[Union[bytes, tuple[Piece, Tensor]]] = []
    for item, size in _items(parts, weights):
        if gathered and position + size - start > _SMALL:
            yield start, gathered
            gathered = []
        if not gathered:
            start = position
        gathered.append(item)
        position += size
    if gathered:
        yield start, gathered


def _items(parts: Sequence[Part], weights: Weights) -> Iterator[tuple[Union[bytes, tuple[Piece, Tensor]], int]]:
    """The parts with their lengths in bytes, tensors by their pieces."""
    for part in parts:
        if isinstance(part, bytes):
            yield part, len(part)
            continue
        given, size = 0, DTYPES[part.tensor.dtype]
        for piece in weights.pieces(part.tensor):
            given += piece.count * size
            yield (piece, part.tensor), piece.count * size
        if given != part.nbytes:
            raise Refusal("NS604", f"{part.tensor.name} was given {given} bytes in place of {part.nbytes}")


def _raw(piece: Piece, tensor: Tensor) -> memoryview:
    """The piece's bytes, little-endian. A bfloat16 comes as the uint16 of its bits."""
    made = piece.make()
    if made.size != piece.count or made.dtype.itemsize != DTYPES[tensor.dtype]:
        raise Refusal("NS604", f"{tensor.name} was given {made.size} elements of {made.dtype} in place of {piece.count} of {tensor.dtype}")
    return memoryview(np.ascontiguousarray(made, made.dtype.newbyteorder("<"))).cast("B")
