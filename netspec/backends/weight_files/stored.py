"""The weights of a file that fits: read in parts, widened where nothing is lost, and refused where they are no numbers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import prod

import numpy as np

from netspec.backends.span import Span
from netspec.backends.weight_files.entry import Entry
from netspec.backends.weight_files.match import Match
from netspec.backends.weights import BLOCK, Piece, Weights
from netspec.diagnostics.model import Refusal
from netspec.graph import Tensor
from netspec.record import record


@record
class Stored(Weights):
    """Weights from a file that was matched; each tensor is read when it is written or asked for, and its values are looked at then.

    Not a number is refused (NS633) wherever it stands, and an infinity in a parameter: what is computed from them says nothing. (A buffer
    may hold infinities: masks do.)
    """

    match: Match

    def pieces(self, tensor: Tensor) -> Iterator[Piece]:
        """Parts of at most `BLOCK` elements. A counter that the file lacks is 0."""
        count = prod(tensor.shape)
        entry = self.match.taken.get(tensor.name)
        if entry is None:
            yield Piece(count, lambda: np.zeros(count, tensor.dtype))
            return
        whole = None if entry.span is not None else entry.load().reshape(-1)
        for start in range(0, count, BLOCK):
            size = min(BLOCK, count - start)
            yield Piece(size, partial(_part, entry, whole, tensor, start, size))

    def span(self, tensor: Tensor) -> Span | None:
        """The file's own bytes, of a tensor that is not widened."""
        entry = self.match.taken.get(tensor.name)
        return entry.span if entry is not None and entry.dtype == tensor.dtype else None


def _part(entry: Entry, whole: np.ndarray | None, tensor: Tensor, start: int, size: int) -> np.ndarray:
    if whole is not None:
        part = whole[start : start + size]
    else:
        assert entry.span is not None
        part = entry.span.elements(entry.dtype, start, size)
    odd = _first_odd(part, entry.dtype, infinities=not tensor.trainable)
    if odd is not None:
        raise _no_number(tensor, start + odd)
    return _widened(part, entry.dtype, tensor.dtype)


def _first_odd(part: np.ndarray, dtype: str, infinities: bool) -> int | None:
    """The place of the first element that is no number, or infinite where that is not allowed.

    A sum that is finite has finite terms: adding up is several times as fast as looking at each.
    """
    if dtype == "bfloat16":
        bits = part & np.uint16(0x7FFF)
        odd = bits > 0x7F80 if infinities else bits >= 0x7F80
        return int(odd.argmax()) if odd.any() else None
    if part.dtype.kind != "f":
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(np.add.reduce(part, dtype="float32" if dtype == "float16" else None)):
            return None
    odd = np.isnan(part) if infinities else ~np.isfinite(part)
    return int(odd.argmax()) if odd.any() else None


def _no_number(tensor: Tensor, place: int) -> Refusal:
    index = ", ".join(map(str, np.unravel_index(place, tensor.shape)))
    what = "a value that is no number, or infinite" if tensor.trainable else "a value that is no number"
    note = "a training that diverged leaves such weights; everything computed from them is no number either"
    return Refusal("NS633", f"the weights hold {what}: `{tensor.name}` at [{index}]", notes=(note,))


def _widened(part: np.ndarray, stored: str, wanted: str) -> np.ndarray:
    if stored == wanted:
        return part
    if stored == "bfloat16":  # the upper half of a float32
        part = (part.astype("uint32") << 16).view("float32")
    return part.astype(wanted)
