"""A pass over a zip archive before anything in it is read: `.npz` and `.pt` are such archives, and anybody may have made them."""

from __future__ import annotations

import os
import zipfile

from netspec.backends.weight_files.entry import malformed, too_much
from netspec.diagnostics.model import Refusal

#: How many members an archive may have, and how much larger than the file they may be.
MOST_MEMBERS = 100_000
MOST_RATIO = 100
#: Archives that unpack to less are let through: a megabyte of zeros packs into a kilobyte, and harms nobody.
HARMLESS = 64 << 20
#: What the table of members has for each, in bytes: names are short.
_RECORD = 256
#: The records at the end of an archive: that of the table (its length at 12), and that which leads to the 64-bit one (its length at 40).
_END, _END_BYTES, _LOCATOR, _END64, _END64_BYTES = b"PK\5\6", 22, b"PK\6\7", b"PK\6\6", 56
#: How files of `torch.save` before PyTorch 1.6 begin: the pickle of a number.
_OLD = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")


def _no_archive(path: str) -> Refusal:
    """The refusal of a file that is no zip archive: what `torch.save` wrote before PyTorch 1.6 is one pickle after another."""
    with open(path, "rb") as file:
        if file.read(len(_OLD)) != _OLD:
            return malformed(path, "it is no zip archive")
    helps = ("write it again with PyTorch: `torch.save(torch.load(path, weights_only=True), path)`",)
    return malformed(path, "it is of PyTorch's format before 1.6, which is pickles alone", helps)


def inspect(path: str, stored: bool = False) -> list[zipfile.ZipInfo]:
    """The members of an archive whose names and sizes are sane. `stored` asks that none is compressed.

    Raises Refusal: NS622 for what is no such archive, NS625 past a bound. OSError where it cannot be opened.
    """
    directory = _directory_bytes(path)
    if directory > MOST_MEMBERS * _RECORD:
        raise too_much(path, f"its table of members has {directory:,} bytes")
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RecursionError):
        raise _no_archive(path) from None
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


def _directory_bytes(path: str) -> int:
    """The length of an archive's table of members, by its last record: `zipfile` would read the whole table, however long; 0 without one.

    See the ZIP file format specification (APPNOTE.TXT), 4.3.14 to 4.3.16.
    """
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        first = max(0, size - _END_BYTES - 0xFFFF)
        file.seek(first)
        tail = file.read(size - first)
        end = tail.rfind(_END)
        if end < 0 or len(tail) - end < _END_BYTES:
            return 0
        directory = int.from_bytes(tail[end + 12 : end + 16], "little")
        if tail[max(0, end - 20) : end][:4] == _LOCATOR:
            file.seek(int.from_bytes(tail[end - 12 : end - 4], "little") % (1 << 63))
            record = file.read(_END64_BYTES)
            if record[:4] == _END64:
                directory = max(directory % 0xFFFFFFFF, int.from_bytes(record[40:48], "little"))
    return directory
