"""The tensors that a model file stores: whether each has as many bytes as its shape says, here or in a file beside the model.

What lies in another file is given by a location, an offset and a length ("External Data",
https://onnx.ai/onnx/repo-docs/ExternalData.html). The location must stay in the model's folder: a file that anybody sent must not
make its reader open any other.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import field
from math import prod
from pathlib import PureWindowsPath

import numpy as np

from netspec.record import draft, record
from netspec.runtime.wire_reader import VARINT, WireReader, damaged

#: The most axes, and the most elements that a tensor can claim.
MOST_AXES, MOST_ELEMENTS = 64, 1 << 62
#: A sparse tensor is made a dense one when the model is loaded: the most elements of that.
MOST_DENSE = 1 << 28
#: How often the bytes of the files beside a model can be referred to, all tensors together.
MOST_SHARED = 16
#: Bits of an element by ONNX's number of its type (onnx.proto, TensorProto.DataType).
BITS = {
    1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64, 15: 128, 16: 16, 17: 8, 18: 8, 19: 8,
    20: 8, 21: 4, 22: 4, 23: 4, 24: 8, 25: 2, 26: 2,
}  # fmt: skip
_STRING = 8
#: How arrays hold the floating element types.
_FLOATS = {1: "<f4", 10: "<f2", 11: "<f8", 16: "<u2"}
_BFLOAT16 = 16
#: The fields that hold values one by one: how many bytes each takes, at least.
_TYPED = {4: 4, 5: 1, 7: 1, 10: 8, 11: 1}
_CHUNK = 1 << 20


@draft
class StoredTensor:
    """What a TensorProto says. `raw` is the place of its bytes in the file, `external` the entries that tell of another file, `typed`
    how many bytes and `strings` how many texts it has in the other fields."""

    name: str = ""
    dims: list[int] = field(default_factory=list)
    dtype: int = 0
    raw: tuple[int, int] | None = None
    typed: int = 0
    smallest: int = 0
    strings: int = 0
    elsewhere: bool = False
    external: dict[str, str] = field(default_factory=dict)

    @property
    def elements(self) -> int:
        """How many elements its shape has."""
        return prod(self.dims)

    @property
    def nbytes(self) -> int | None:
        """How many bytes that is; None where an element has no fixed size."""
        return -(-self.elements * BITS[self.dtype] // 8) if self.dtype in BITS else None


@record
class Stretch:
    """The bytes of a tensor of floating element type: in which file, from where to where."""

    name: str
    dtype: int
    path: str
    start: int
    end: int


def read_tensor(reader: WireReader, start: int, end: int) -> StoredTensor:
    """The tensor between two places. Raises Refusal NS756 where it breaks a rule of the encoding."""
    found = StoredTensor()
    for number, kind, value, at, after in reader.fields(start, end):
        if number == 1:
            found.dims += [value] if kind == VARINT else reader.packed(at, after, MOST_AXES)
        elif number == 2:
            found.dtype = value
        elif number == 6:
            found.strings += 1
        elif number in _TYPED:
            found.typed += after - at
            found.smallest = _TYPED[number] if kind != VARINT else 1
        elif number == 8:
            found.name = reader.text(at, after)
        elif number == 9:
            found.raw = at, after
        elif number == 13:
            key, text = _entry(reader, at, after)
            found.external[key] = text
        elif number == 14:
            found.elsewhere = value == 1
    _check_shape(reader.path, found)
    return found


def _entry(reader: WireReader, start: int, end: int) -> tuple[str, str]:
    both = {number: reader.text(at, after) for number, _, _, at, after in reader.fields(start, end) if number in (1, 2)}
    return both.get(1, ""), both.get(2, "")


def _check_shape(path: str, tensor: StoredTensor) -> None:
    if len(tensor.dims) > MOST_AXES or any(size >= 1 << 62 for size in tensor.dims) or tensor.elements > MOST_ELEMENTS:
        raise damaged(path, f"the tensor {tensor.name[:80]!r} has a shape that nothing can have")


def check_inline(path: str, tensor: StoredTensor) -> None:
    """Check that a tensor in the model itself has as many bytes as its shape says. Raises Refusal NS756."""
    given, wanted = None if tensor.raw is None else tensor.raw[1] - tensor.raw[0], tensor.nbytes
    if tensor.dtype == _STRING:
        fits = tensor.strings == tensor.elements
    elif wanted is None:  # an element type of a later release: onnxruntime says so itself
        fits = True
    elif given is not None:
        fits = given == wanted
    else:  # one by one, several of fewer than 8 bits together
        fits = tensor.typed * 8 >= tensor.elements * min(tensor.smallest * 8, BITS[tensor.dtype]) if tensor.typed else not tensor.elements
    if not fits:
        raise damaged(path, f"the tensor {tensor.name[:80]!r} has another number of bytes than its shape {tensor.dims[:8]} says")


class Beside:
    """The files beside a model that it refers to."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._folder = os.path.realpath(os.path.dirname(os.path.abspath(path)))
        self._sizes: dict[str, tuple[str, int]] = {}
        self._referred = 0

    @property
    def files(self) -> tuple[str, ...]:
        """Their paths."""
        return tuple(path for path, _ in self._sizes.values())

    def stretch(self, tensor: StoredTensor) -> Stretch:
        """Where the bytes of a tensor lie. Raises Refusal NS756 where that is outside of the folder, or of the file."""
        name = repr(tensor.name[:80])
        location = tensor.external.get("location", "")
        file, size = self._file(location, name)
        start, length = self._number(tensor.external, "offset", name), self._number(tensor.external, "length", name)
        wanted = tensor.nbytes
        start = start or 0
        length = length if length is not None else wanted if wanted is not None else max(0, size - start)
        if start + length > size:
            what = f"the tensor {name} lies at bytes {start:,} to {start + length:,} of {location[:80]}, which ends at {size:,}"
            raise damaged(self.path, what)
        if wanted is not None and length != wanted:
            raise damaged(self.path, f"the tensor {name} has another number of bytes than its shape {tensor.dims[:8]} says")
        self._referred += length
        if self._referred > MOST_SHARED * sum(size for _, size in self._sizes.values()):
            raise damaged(self.path, "its tensors refer to the same bytes over and over")
        return Stretch(tensor.name, tensor.dtype, file, start, start + length)

    def _file(self, location: str, name: str) -> tuple[str, int]:
        """The path and size of a file that a tensor refers to."""
        if location not in self._sizes:
            parts = location.replace("\\", "/").split("/")
            outside = not location or "\0" in location or ".." in parts or location[0] in "/\\" or bool(PureWindowsPath(location).drive)
            path = "" if outside else os.path.realpath(os.path.join(self._folder, *parts))
            if outside or os.path.commonpath((path, self._folder)) != self._folder:
                raise damaged(self.path, f"the tensor {name} is to be read from {location[:80]!r}, outside of the model's folder")
            try:
                found = os.stat(path)
            except (OSError, ValueError):
                what = f"{self.path} needs the file {location[:80]} beside it, which is not there"
                from netspec.diagnostics.model import Refusal

                raise Refusal("NS756", what, helps=("keep the two together; their names are part of the model",)) from None
            if not stat.S_ISREG(found.st_mode):
                raise damaged(self.path, f"the tensor {name} is to be read from {location[:80]}, which is no regular file")
            self._sizes[location] = path, found.st_size
        return self._sizes[location]

    def _number(self, entries: Mapping[str, str], key: str, name: str) -> int | None:
        text = entries.get(key)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) <= 18):
            raise damaged(self.path, f"the {key} of the tensor {name} is {text[:40]!r}")
        return int(text)


def without_number(stretches: list[Stretch]) -> dict[str, int]:
    """The tensors with values that are no numbers, and how many each has. Reads them in small pieces. A lone number may be none: some
    models hold one to compare with."""
    found: dict[str, int] = {}
    for one in stretches:
        if one.dtype not in _FLOATS:
            continue
        element = np.dtype(_FLOATS[one.dtype])
        if one.end - one.start <= element.itemsize:
            continue
        with open(one.path, "rb") as file:
            file.seek(one.start)
            left = one.end - one.start
            while left and (data := file.read(min(left, _CHUNK))):
                left -= len(data)
                values = np.frombuffer(data[: len(data) // element.itemsize * element.itemsize], element)
                bad = (values & 0x7FFF) > 0x7F80 if one.dtype == _BFLOAT16 else np.isnan(values)
                if bad.any():
                    found[one.name] = found.get(one.name, 0) + int(bad.sum())
    return found
