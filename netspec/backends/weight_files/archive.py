"""A pass over a zip archive before anything in it is read: `.npz` and `.pt` are such archives, and anybody may have made them."""

from __future__ import annotations

import os
import zipfile

from netspec.backends.weight_files.entry import malformed, too_much

#: How many members an archive may have, and how much larger than the file they may be.
MOST_MEMBERS = 100_000
MOST_RATIO = 100
#: Archives that unpack to less are let through: a megabyte of zeros packs into a kilobyte, and harms nobody.
HARMLESS = 64 << 20


def inspect(path: str, stored: bool = False) -> list[zipfile.ZipInfo]:
    """The members of an archive whose names and sizes are sane. `stored` asks that none is compressed.

    Raises Refusal: NS622 for what is no such archive, NS625 past a bound. OSError where it cannot be opened.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RecursionError):
        raise malformed(path, "it is no zip archive") from None
    if len(members) > MOST_MEMBERS:
        raise too_much(path, f"it has {len(members):,} members, more than {MOST_MEMBERS:,}")
    names = [member.filename for member in members]
    if len(set(names)) != len(names):
        raise malformed(path, "it has two members of one name")
    for member in members:
        name = member.filename.replace("\\", "/")
        if name.startswith("/") or ".." in name.split("/") or ":" in name or "\0" in name:
            raise malformed(path, "a member's name leads out of it")
        if member.flag_bits & 1:
            raise malformed(path, "it is encrypted")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) or stored and member.compress_type:
            raise malformed(path, "a member is compressed in a way that such files do not use")
    total, size = sum(member.file_size for member in members), os.path.getsize(path)
    if total > HARMLESS and total > MOST_RATIO * size:
        raise too_much(path, f"it unpacks to {total:,} bytes, more than {MOST_RATIO} times its size")
    return members
