"""Writing files so that nobody ever sees half of one: the old file or the new one, whatever happens in between."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from netspec.diagnostics.model import Refusal

#: Writes a file's whole content to an unbuffered binary file that can seek.
Producer = Callable[[BinaryIO], None]


def write_atomic(path: str | os.PathLike[str], producer: Producer | bytes) -> None:
    """Write a file by a unique temporary one in the same folder, synced to disk and renamed over `path`.

    On any exception, Ctrl-C included, the temporary file is removed and the old file is as it was. A link is followed; what
    is no regular file (a pipe, `/dev/stdout`) is written straight. Raises Refusal NS020 where the system says no.
    """
    write_together([(path, producer)])


def write_together(files: Sequence[tuple[str | os.PathLike[str], Producer | bytes]]) -> None:
    """Write several files of which each makes sense only with the others.

    All are complete on disk before the first takes its name; they take their names in order, the last being the one that
    readers open. Should a renaming fail, those before it are put back. (Only a machine that stops between two renamings
    leaves a mixed set.) Raises Refusal NS020 where the system says no.
    """
    path = Path(files[0][0])
    ready: list[tuple[Path, Path]] = []
    try:
        for name, producer in files:
            path = Path(os.path.realpath(name))
            if path.exists() and not path.is_file():
                _write_straight(path, producer)
                continue
            temporary = path.with_name(f".{path.name[:100]}.{os.urandom(8).hex()}.tmp")
            ready.append((temporary, path))
            _write_temporary(temporary, path, producer)
        _rename(ready)
    except OSError as error:
        raise Refusal("NS020", f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        for temporary, _ in ready:
            temporary.unlink(missing_ok=True)


def _write_straight(path: Path, producer: Producer | bytes) -> None:
    with open(path, "wb", buffering=0) as file:
        _produce(cast("BinaryIO", file), producer)


def _write_temporary(temporary: Path, path: Path, producer: Producer | bytes) -> None:
    """Write the temporary file, with the mode of the file it replaces, and sync it."""
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    with open(descriptor, "r+b", buffering=0) as file:
        if path.exists() and hasattr(os, "fchmod"):
            os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
        _produce(cast("BinaryIO", file), producer)
        os.fsync(file.fileno())


def _produce(file: BinaryIO, producer: Producer | bytes) -> None:
    if callable(producer):
        producer(file)
    else:
        write_all(file, producer)


def write_all(file: BinaryIO, data: bytes | memoryview) -> None:
    """Write every byte: one call may take only some of them."""
    rest = memoryview(data).cast("B")
    while rest:
        rest = rest[file.write(rest) :]


def _rename(ready: Sequence[tuple[Path, Path]]) -> None:
    """Give the temporary files their names; on an exception, give back what was replaced."""
    kept: list[tuple[Path | None, Path]] = []
    try:
        for number, (temporary, path) in enumerate(ready):
            if number < len(ready) - 1:
                kept.append((_keep(path), path))
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


def _keep(path: Path) -> Path | None:
    """A second name for the file that is about to be replaced; None if there is none."""
    if not path.exists():
        return None
    old = path.with_name(f".{path.name[:100]}.{os.urandom(8).hex()}.old")
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
