"""Weights into the places of a file that are kept for them, by several threads, a few megabytes in memory at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Lock, Thread
from typing import BinaryIO

import numpy as np

from netspec.backends.weights import Piece, Weights
from netspec.diagnostics.model import Refusal
from netspec.files import write_all
from netspec.graph import Tensor
from netspec.sizes.tensor import DTYPES

#: Below this many bytes, starting threads costs more than it gives.
_WORTH_THREADS = 4 << 20


@dataclass(frozen=True, slots=True)
class Slot:
    """The place of a tensor in a file: its first byte and how many."""

    tensor: Tensor
    start: int
    nbytes: int

    def __len__(self) -> int:
        return self.nbytes


def reserve(file: BinaryIO, nbytes: int) -> None:
    """Make a new file that long, for its parts to be written in any order."""
    if nbytes:
        file.seek(nbytes - 1)
        file.write(b"\0")


def stream(file: BinaryIO, slots: Sequence[Slot], weights: Weights, threads: int | None = None) -> None:
    """Write every tensor to its place. The file must have room for them; the order of writing does not matter."""
    jobs = _jobs(slots, weights)
    reading, writing = Lock(), Lock()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            while not failures:
                with reading:
                    job = next(jobs, None)
                if job is None:
                    return
                start, piece, tensor = job
                data = _raw(piece, tensor)
                with writing:
                    file.seek(start)
                    write_all(file, data)
        except BaseException as error:
            failures.append(error)

    count = threads or min(8, os.cpu_count() or 1)
    if sum(slot.nbytes for slot in slots) < _WORTH_THREADS:
        count = 1
    workers = [Thread(target=work, daemon=True) for _ in range(count - 1)]
    for worker in workers:
        worker.start()
    work()  # this thread is one of them
    for worker in workers:
        worker.join()
    if failures:
        raise failures[0]


def _jobs(slots: Sequence[Slot], weights: Weights) -> Iterator[tuple[int, Piece, Tensor]]:
    for slot in slots:
        position, size = slot.start, DTYPES[slot.tensor.dtype]
        for piece in weights.pieces(slot.tensor):
            yield position, piece, slot.tensor
            position += piece.count * size
        if position != slot.start + slot.nbytes:
            raise Refusal("NS604", f"{slot.tensor.name} was given {position - slot.start} bytes in place of {slot.nbytes}")


def _raw(piece: Piece, tensor: Tensor) -> memoryview:
    """The piece's bytes, little-endian. A bfloat16 comes as the uint16 of its bits."""
    made = piece.make()
    if made.size != piece.count or made.dtype.itemsize != DTYPES[tensor.dtype]:
        raise Refusal("NS604", f"{tensor.name} was given {made.size} elements of {made.dtype} in place of {piece.count} of {tensor.dtype}")
    return memoryview(np.ascontiguousarray(made, made.dtype.newbyteorder("<"))).cast("B")
