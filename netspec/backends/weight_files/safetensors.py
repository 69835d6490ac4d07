"""Reading and writing `.safetensors`: eight bytes of length, a JSON header, and the tensors' bytes end to end.

The header is parsed and checked here, before anything else sees it: the format's own rules (no duplicate names, no overlap,
no hole, sizes that match) are what makes such a file safe. See https://github.com/huggingface/safetensors, "Format".
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, BinaryIO

import numpy as np

from netspec.backends.span import Span, stamp
from netspec.backends.stream import Slot, write_parts
from netspec.backends.weight_files.entry import Entry, at, malformed, too_much
from netspec.backends.weights import Weights
from netspec.files import write_all, write_atomic
from netspec.graph import Tensor
from netspec.sizes.tensor import DTYPES

#: The largest header that the format allows; and of one of so many tensors, the most bytes a tensor and besides, and brackets a tensor and
#: besides: a table of a few megabytes may stand for a gigabyte of empty lists.
HEADER_LIMIT = 100_000_000
_BYTES, _BRACKETS = (1 << 10, 16 << 20), (6, 1 << 10)
#: How axes and sizes may be written: more is no tensor that anybody stores.
_MOST_AXES = 64
#: How many tensors a file may have of which the metadata alone is read.
_MOST_TENSORS = 200_000

_NAMES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}
#: Element types that the format has and we do not: readable names, and bytes of an element.
_FOREIGN = {"I16": 2, "U16": 2, "U32": 4, "U64": 8, "F8_E4M3": 1, "F8_E5M2": 1, "C64": 8}
_CODES = {ours: theirs for theirs, ours in _NAMES.items()}


def read_safetensors(path: str, most: int) -> dict[str, Entry]:
    """The tensors of a file, by name; at most that many. Nothing but the header is read yet.

    Raises Refusal: NS622 where the file breaks a rule of the format, NS625 past a bound. OSError where it cannot be opened.
    """
    entries, lacking = read_header(path, most)
    if lacking:
        raise malformed(path, "its tensors do not fill it")
    return entries


def read_header(path: str, most: int) -> tuple[dict[str, Entry], int]:
    """As `read_safetensors`, of a file that may be cut off after its header; and how many bytes of data are missing then."""
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        size, state = status.st_size, stamp(status)
        if not stat.S_ISREG(status.st_mode):
            raise malformed(path, "it is no regular file")
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, HEADER_LIMIT):
            raise malformed(path, "its header is longer than the file")
        header = _parse(path, file.read(_bounded(path, length, most)), most)[0]
    if len(header) > most:
        raise too_much(path, f"it has {len(header):,} tensors, more than {most:,}")
    found = {name: _entry(path, name, value) for name, value in header.items()}
    lacking = _tile(path, found) - (size - 8 - length)
    if lacking < 0:
        raise malformed(path, "its tensors do not fill it")
    entries = {
        name: at(dtype, shape, Span(path, 8 + length + start, stop - start, state)) for name, (dtype, shape, start, stop) in found.items()
    }
    return entries, lacking


def read_metadata(path: str) -> dict[str, str]:
    """The metadata in the header of a file: facts by name. Raises Refusal NS622; OSError where it cannot be opened."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(os.fstat(file.fileno()).st_size - 8, HEADER_LIMIT):
            raise malformed(path, "its header is longer than the file")
        return _parse(path, file.read(length), _MOST_TENSORS)[1]


def _bounded(path: str, length: int, most: int) -> int:
    if length > most * _BYTES[0] + _BYTES[1]:
        raise too_much(path, f"its header has {length:,} bytes, too many for {most:,} tensors")
    return length


def _parse(path: str, raw: bytes, most: int) -> tuple[dict[str, Any], dict[str, str]]:
    """The header's tensors, and its metadata."""
    if raw.count(b"[") + raw.count(b"{") > most * _BRACKETS[0] + _BRACKETS[1]:
        raise too_much(path, f"its header has more brackets than {most:,} tensors need")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) != len(pairs):
            raise malformed(path, "its header names something twice")
        return table

    try:
        header = json.loads(raw.decode("utf-8"), object_pairs_hook=unique)
    except (ValueError, RecursionError):
        raise malformed(path, "its header is not JSON") from None
    if not isinstance(header, dict) or not raw.startswith(b"{"):
        raise malformed(path, "its header is no table")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise malformed(path, "its metadata is no table of strings")
    return header, metadata


def _entry(path: str, name: str, value: Any) -> tuple[str, tuple[int, ...], int, int]:
    """Dtype, shape, first byte and byte after the last of one tensor."""
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise malformed(path, f"{name!r} is not described by dtype, shape and data_offsets")
    code, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(code, str) or code not in _NAMES and code not in _FOREIGN:
        raise malformed(path, f"{name!r} has an unknown dtype")
    if not _sizes(shape) or len(shape) > _MOST_AXES or not _sizes(offsets) or len(offsets) != 2:
        raise malformed(path, f"the shape or place of {name!r} is not a list of sizes")
    dtype = _NAMES.get(code, code.lower())
    width = DTYPES[dtype] if code in _NAMES else _FOREIGN[code]
    if offsets[1] - offsets[0] != prod(shape) * width:
        raise malformed(path, f"{name!r} has another number of bytes than its shape says")
    return dtype, tuple(shape), offsets[0], offsets[1]


def _sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(size) is int and 0 <= size < 1 << 62 for size in value)


def _tile(path: str, found: dict[str, tuple[str, tuple[int, ...], int, int]]) -> int:
    """Check that the tensors lie one after the other; how many bytes they come to."""
    end = 0
    for name, (_, _, start, stop) in sorted(found.items(), key=lambda item: item[1][2:]):
        if start != end:
            raise malformed(path, f"{name!r} overlaps another tensor, or leaves a hole before it")
        end = stop
    return end


def write_safetensors(
    path: str | os.PathLike[str], tensors: Sequence[Tensor], weights: Weights, metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors, atomically, the same bytes every time: wider elements first, so that all are aligned.

    `metadata` are facts to be kept with them, by name. Raises Refusal NS020 where the file cannot be written.
    """
    head, slots = laid_out(tensors, metadata)
    write_atomic(path, lambda file: write_parts(file, [head, *slots], weights))


def laid_out(tensors: Sequence[Tensor], metadata: Mapping[str, str] | None = None) -> tuple[bytes, list[Slot]]:
    """The first bytes of a file with these tensors, and behind them the tensors in their order in the file."""
    ordered = sorted(tensors, key=lambda tensor: -DTYPES[tensor.dtype])
    head, places = _head([(tensor.name, tensor.dtype, tensor.shape) for tensor in ordered], metadata or {})
    return head, [Slot(tensor, len(head) + start, end - start) for tensor, (start, end) in zip(ordered, places)]


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, tuple[str, np.ndarray]], metadata: Mapping[str, str]) -> None:
    """Write arrays that are all in memory, with their element types by our names (bfloat16 comes as the uint16 of its bits).

    Atomically, and the same bytes every time. Raises Refusal NS020 where the file cannot be written.
    """
    ordered = sorted(arrays.items(), key=lambda item: -DTYPES[item[1][0]])
    head, _ = _head([(name, dtype, array.shape) for name, (dtype, array) in ordered], metadata)

    def produce(file: BinaryIO) -> None:
        write_all(file, head)
        for _, (_, array) in ordered:
            if array.size:
                flat = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1)
                write_all(file, memoryview(flat.view("uint8")))

    write_atomic(path, produce)


def _head(tensors: Sequence[tuple[str, str, Sequence[int]]], metadata: Mapping[str, str]) -> tuple[bytes, list[tuple[int, int]]]:
    """The first bytes of a file with tensors of these names, types and shapes; and for each, its first byte and the one after its last.

    Of metadata there is one key, unless there is something to tell: readers that sort keys at random then keep the file as it is.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt", **metadata}}
    places, end = [], 0
    for name, dtype, shape in tensors:
        places.append((end, end + prod(shape) * DTYPES[dtype]))
        end = places[-1][1]
        header[name] = {"dtype": _CODES[dtype], "shape": list(shape), "data_offsets": list(places[-1])}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text, places
