"""A stretch of a file that holds elements as memory does, read in parts: never mapped.

A mapped page counts as the process's own memory for as long as it stays, and a map of a file that somebody cuts off kills the process;
a read gives fewer bytes, which can be told.
"""

from __future__ import annotations

import os

import numpy as np

from netspec.diagnostics.model import Refusal
from netspec.record import record

#: Which file it is, and in what state: device, number, bytes, and when it was last written to, in nanoseconds.
Stamp = tuple[int, int, int, int]


def stamp(status: os.stat_result) -> Stamp:
    """The stamp of a file, of its status."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


@record
class Span:
    """The bytes of a tensor in a file: little-endian elements, row by row. `stamp` is the file's when its header was read."""

    path: str
    offset: int
    nbytes: int
    stamp: Stamp

    def elements(self, dtype: str, start: int, count: int) -> np.ndarray:
        """So many elements from the `start`-th on (bfloat16 as the uint16 of its bits), flat; the caller's own copy.

        Raises Refusal: NS622 for a truth value that is neither 0 nor 1, NS634 for a file that is not the one it was.
        """
        found = np.empty(count, np.dtype("uint16" if dtype == "bfloat16" else dtype).newbyteorder("<"))
        self._read(memoryview(found.view("uint8")), start * found.itemsize)
        if dtype == "bool" and count and found.view("uint8").max() > 1:
            raise Refusal("NS622", f"{self.path} is damaged: a truth value is neither 0 nor 1")
        return found

    def _read(self, room: memoryview, start: int) -> None:
        """Fill `room` from a place in the span. A file opened for each part needs no closing later, and threads share no position."""
        try:
            with open(self.path, "rb", buffering=0) as file:
                file.seek(self.offset + start)
                while room and (count := file.readinto(room)):  # type: ignore[attr-defined]
                    room = room[count:]
                now = stamp(os.fstat(file.fileno()))
        except OSError as error:
            raise Refusal("NS620", f"{self.path} cannot be read: {error.strerror or error}", status=2) from error
        if room or now != self.stamp:
            helps = ("write it whole under another name first, then rename it",)
            raise Refusal("NS634", f"{self.path} changed while it was read", helps=helps)
