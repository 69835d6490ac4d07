"""A lock on a file that ends with the process that holds it, however that ends."""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import Any


class Held:
    """A file of which one process at a time has the lock. The system takes it back when the process dies, even by `kill -9`.

    `take` says whether it was free. As a context, it is given back at the end.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: Any = None

    def take(self) -> bool:
        """Take the lock if nobody has it."""
        file = open(self._path, "ab")  # noqa: SIM115  (held open as long as the lock is)
        try:
            _lock(file.fileno())
        except OSError:
            file.close()
            return False
        self._file = file
        return True

    def give_back(self) -> None:
        """Let others have it; nothing, where it is not held."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> "Held":
        return self

    def __exit__(self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None) -> None:
        self.give_back()


def is_held(path: str) -> bool:
    """Whether some process, this one included, has the lock of a file."""
    if not os.path.exists(path):
        return False
    with Held(path) as probe:
        return not probe.take()


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
