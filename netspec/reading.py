"""Reading spec text from files: bounded, UTF-8, and with a coded refusal for everything else."""

from __future__ import annotations

import os
import stat

from netspec.diagnostics.model import Refusal
from netspec.limits import DEFAULT_LIMITS, Limits
from netspec.source import Source


class Files:
    """Where the files that a source imports lie: on the disk. What else has files (a revision of a repository) answers the same."""

    def read(self, path: str, limits: Limits, name: str) -> Source:
        """The text of a file, called `name` in messages; see `read_source`."""
        return read_source(path, limits, name)

    def real(self, path: str) -> str:
        """The one path of a file that may have several."""
        return os.path.realpath(path)

    def exists(self, path: str) -> bool:
        """Whether there is such a file or folder."""
        return os.path.exists(path)


#: the disk
DISK = Files()


def read_source(path: str, limits: Limits = DEFAULT_LIMITS, name: str | None = None) -> Source:
    """The text of a `.net` file. Raises `Refusal` (NS001 to NS004) where it is missing, no file, too large or no UTF-8."""
    shown = name or path
    try:
        with open(path, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Refusal("NS001", f"{shown} is not a regular file", status=2)
            data = file.read(limits.file_bytes + 1)
    except FileNotFoundError:
        raise Refusal("NS001", f"there is no file {shown}", status=2) from None
    except IsADirectoryError:
        raise Refusal("NS001", f"{shown} is a folder", status=2) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Refusal("NS001", f"{shown} cannot be read: {reason}", status=2) from None
    return decode(data, shown, path, limits)


def decode(data: bytes, name: str, path: str | None, limits: Limits = DEFAULT_LIMITS) -> Source:
    """A source from bytes; see `read_source`."""
    if len(data) > limits.file_bytes:
        raise Refusal("NS003", f"{name} is larger than {limits.file_bytes:,} bytes (limit `file_bytes`)", status=1)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refusal("NS002", f"{name} is not UTF-8 text (byte {error.start})", status=1) from None
    return Source(name, text.replace("\r\n", "\n"), path)
