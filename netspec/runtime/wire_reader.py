"""Reading protocol buffers field by field, without holding them: what is long (a tensor's bytes) is passed over, not read.

The encoding is described in https://protobuf.dev/programming-guides/encoding. Every length is held against what is around it before it
is believed, and the number of fields is bounded: a file can cost neither memory nor time beyond that, whatever it says.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from netspec.diagnostics.model import Refusal

#: The most fields of a file. A network of a hundred thousand nodes has some three million.
MOST_FIELDS = 10_000_000
#: The longest text that is read: names, and what documents them.
LONGEST_TEXT = 1 << 20

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_WINDOW = 1 << 16

#: A field: its number, its wire type, its value if that is a varint, and where its content starts and ends in the file.
Field = tuple[int, int, int, int, int]


def damaged(path: str, why: str) -> Refusal:
    """The refusal of a model file (NS756)."""
    helps = ("a download that broke off is the usual reason: fetch it again",) if "ends" in why else ()
    return Refusal("NS756", f"{path} is damaged, or was made to do harm: {why}", helps=helps)


class WireReader:
    """A file of `size` bytes that holds one message."""

    def __init__(self, file: BinaryIO, path: str, size: int) -> None:
        self.path, self.size = path, size
        self._file = file
        self._start, self._data = 0, b""
        self._left = MOST_FIELDS

    def fields(self, start: int, end: int) -> Iterator[Field]:
        """The fields of the message between two places. Raises Refusal NS756 where it breaks a rule of the encoding."""
        at = start
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise damaged(self.path, f"it has more than {MOST_FIELDS:,} fields")
            tag, at = self._varint(at, end)
            number, kind = tag >> 3, tag & 7
            value, after = 0, at
            if kind == VARINT:
                value, after = self._varint(at, end)
            elif kind == BYTES:
                length, at = self._varint(at, end)
                after = at + length
            elif kind == FIXED32 or kind == FIXED64:
                after = at + (4 if kind == FIXED32 else 8)
            else:
                raise damaged(self.path, f"at byte {at:,} is no field that ONNX has")
            if after > end or not number:
                raise damaged(
                    self.path, f"a field at byte {at:,} ends {after - end:,} bytes after what it is in" if number else "a field 0"
                )
            yield number, kind, value, at, after
            at = after

    def bytes(self, start: int, end: int) -> bytes:
        """What stands between two places; for short stretches."""
        offset = start - self._start
        if 0 <= offset and end - self._start <= len(self._data):
            return self._data[offset : offset + end - start]
        self._file.seek(start)
        found = self._file.read(end - start)
        if len(found) != end - start:
            raise damaged(self.path, "it ends while it is read")
        return found

    def text(self, start: int, end: int) -> str:
        """A text. Raises Refusal NS756 for one that is longer than any name, or no UTF-8."""
        if end - start > LONGEST_TEXT:
            raise damaged(self.path, f"a text has {end - start:,} bytes")
        try:
            return self.bytes(start, end).decode("utf-8")
        except UnicodeDecodeError:
            raise damaged(self.path, f"the text at byte {start:,} is no UTF-8") from None

    def packed(self, start: int, end: int, most: int) -> list[int]:
        """Varints end to end; at most so many."""
        found: list[int] = []
        while start < end:
            value, start = self._varint(start, end)
            found.append(value)
            if len(found) > most:
                raise damaged(self.path, f"a list of sizes has more than {most} entries")
        return found

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        """A varint, and where it ends. The window is read on only where it may not hold the ten bytes that it can have."""
        offset = at - self._start
        if not 0 <= offset <= len(self._data) - 10:
            self._fill(at)
            offset = 0
        data = self._data
        if offset < len(data) and at < end:
            value = data[offset]
            if value < 128:
                return value, at + 1
            value &= 127
            for number, byte in enumerate(data[offset + 1 : offset + min(10, end - at)], 1):
                value |= (byte & 127) << 7 * number
                if byte < 128:
                    return value & 0xFFFF_FFFF_FFFF_FFFF, at + number + 1
        raise damaged(self.path, f"it ends within a number at byte {at:,}" if end - at < 10 else f"the number at byte {at:,} has no end")

    def _fill(self, at: int) -> None:
        self._file.seek(at)
        self._start, self._data = at, self._file.read(_WINDOW)
