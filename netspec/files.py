"""Writing files so that nobody ever sees half of one: the old file or the new one, whatever happens in between."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO, cast

from netspec.diagnostics.model import Refusal

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be removed either
    fcntl = None  # type: ignore[assignment]

#: How much is handed to the system at once. For a call of megabytes Linux looks for memory in one piece as large, which on a busy machine
#: takes it five times as long as the writing (ext4, Linux 6.18: 3.0 s of the processor for a gigabyte by 4 MiB, 0.6 s by 256 KiB).
_STRETCH = 256 << 10
#: Of renameat2(2): paths are as the process sees them; both names are kept.
_HERE, _EXCHANGE = -100, 2
#: Writes a file's whole content to an unbuffered binary file that can seek.
Producer = Callable[[BinaryIO], None]


def write_atomic(path: str | os.PathLike[str], producer: Producer | bytes) -> None:
    """Write a file by a unique temporary one in the same folder, synced to disk and renamed over `path`.

    On any exception, Ctrl-C included, the temporary file is removed and the old file is as it was. A link is followed; what
    is no regular file (a pipe, `/dev/stdout`) is written straight. What a writer of the file that was killed left is removed
    first. Raises Refusal NS020 where the system says no.
    """
    write_together([(path, producer)])


def write_together(files: Sequence[tuple[str | os.PathLike[str], Producer | bytes]]) -> None:
    """Write several files of which each makes sense only with the others.

    All are complete on disk before the first takes its name; they take their names in order, the last being the one that
    readers open. Should a renaming fail, those before it are put back. (Only a machine or process that is
    stopped between two renamings leaves a mixed set.) Raises Refusal NS020 where the system says no.
    """
    path = Path(files[0][0])
    ready: list[tuple[Path, Path]] = []
    with ExitStack() as claims:
        try:
            for name, producer in files:
                path = Path(os.path.realpath(name))
                if path.exists() and not path.is_file():
                    _write_straight(path, producer)
                    continue
                _clear(path)
                temporary = _hidden(path, "tmp")
                ready.append((temporary, path))
                _write_temporary(temporary, path, producer, claims)
            _rename(ready, claims)
        except OSError as error:
            raise Refusal("NS020", f"{path} cannot be written: {error.strerror or error}") from error
        finally:
            for temporary, _ in ready:
                temporary.unlink(missing_ok=True)


def _write_straight(path: Path, producer: Producer | bytes) -> None:
    with open(path, "wb", buffering=0) as file:
        _produce(cast("BinaryIO", file), producer)


def _write_temporary(temporary: Path, path: Path, producer: Producer | bytes, claims: ExitStack) -> None:
    """Write the temporary file, with the mode of the file it replaces, and sync it. It stays claimed until `claims` are closed."""
    descriptor = _claimed(temporary)
    if fcntl is not None:
        claims.callback(os.close, descriptor)
    with open(descriptor, "r+b", buffering=0, closefd=fcntl is None) as file:
        if path.exists() and hasattr(os, "fchmod"):
            os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
        _produce(cast("BinaryIO", file), producer)
        os.fsync(file.fileno())


# ------------------------------------------------------------------------------------------- what a killed process leaves
def _hidden(path: Path, suffix: str) -> Path:
    """A name beside a file's, for the time of a writing."""
    return path.with_name(f".{path.name[:100]}.{os.urandom(8).hex()}.{suffix}")


def _claimed(temporary: Path) -> int:
    """A new file, locked for as long as it is open: the system takes the lock from a process that dies, however it does.

    Whoever clears up locks before removing, so that a file which was removed before our lock is one without a name; then, once more.
    """
    while True:
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        if _lock(descriptor, wait=True) and os.fstat(descriptor).st_nlink == 0:
            os.close(descriptor)
            continue
        return descriptor


def _lock(descriptor: int, wait: bool) -> bool:
    """Lock an open file, if it is free and its system can: over a network, some cannot."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


def _clear(path: Path) -> None:
    """Remove what writers of this file left behind that were killed: gigabytes, it may be. Those that live hold locks."""
    left = re.compile(re.escape(f".{path.name[:100]}.") + r"[0-9a-f]{16}\.(tmp|old)")
    with suppress(OSError):
        for entry in os.scandir(path.parent):
            if left.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                _remove_if_dead(entry.path)


def _remove_if_dead(path: str) -> None:
    with suppress(OSError), ExitStack() as opened:
        descriptor = os.open(path, os.O_RDONLY)
        opened.callback(os.close, descriptor)
        if _lock(descriptor, wait=False):
            os.unlink(path)


def _produce(file: BinaryIO, producer: Producer | bytes) -> None:
    if callable(producer):
        producer(file)
    else:
        write_all(file, producer)


def write_all(file: BinaryIO, data: bytes | memoryview) -> None:
    """Write every byte: one call may take only some of them, and is given no more than a stretch."""
    rest = memoryview(data).cast("B")
    while rest:
        rest = rest[file.write(rest[:_STRETCH]) :]


def _rename(ready: Sequence[tuple[Path, Path]], claims: ExitStack) -> None:
    """Give the temporary files their names; on an exception, give back what was replaced."""
    kept: list[tuple[Path | None, Path]] = []
    try:
        for temporary, path in ready[:-1]:
            if path.exists():
                _claim(path, claims)
                if _exchange(temporary, path):
                    kept.append((temporary, path))
                    continue
                kept.append((_second_name(path), path))
            else:
                kept.append((None, path))
            os.replace(temporary, path)
        for temporary, path in ready[-1:]:
            os.replace(temporary, path)
    except BaseException:
        for old, path in reversed(kept):
            if old is not None:
                os.replace(old, path)
            elif not _still_temporary(ready, path):
                path.unlink(missing_ok=True)
        raise
    finally:
        for old, _ in kept:
            if old is not None:
                old.unlink(missing_ok=True)
    for folder in {path.parent for _, path in ready}:
        _sync_folder(folder)


def _still_temporary(ready: Sequence[tuple[Path, Path]], path: Path) -> bool:
    """Whether the file that was to be called `path` has not taken that name."""
    return any(temporary.exists() for temporary, name in ready if name == path)


def _claim(path: Path, claims: ExitStack) -> None:
    """Claim the file that is about to be replaced, as the new one is: it is kept until all have their names."""
    if fcntl is not None and os.access(path, os.R_OK):
        descriptor = os.open(path, os.O_RDONLY)
        claims.callback(os.close, descriptor)
        _lock(descriptor, wait=False)


def _exchange(one: Path, other: Path) -> bool:
    """Let two files of a folder swap their names in one step, where the system can: Linux, by renameat2(2).

    A second name for the old file would do, but should the process be killed then, onnx would take the file for an attack ("hard links").
    """
    import ctypes

    try:
        swap = ctypes.CDLL(None).renameat2
    except (AttributeError, OSError, TypeError):
        return False
    return bool(swap(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0)


def _second_name(path: Path) -> Path:
    """Another name for the file that is about to be replaced."""
    old = _hidden(path, "old")
    try:
        os.link(path, old)
    except OSError:  # a file system without hard links
        os.replace(path, old)
    return old


def _sync_folder(folder: Path) -> None:
    """Put the folder's new entries on disk; systems that cannot do so on a folder (Windows) do it themselves."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
