"""A tensor in a file: known by its header, read when it is needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from math import prod

import numpy as np

from netspec.backends.span import Span
from netspec.diagnostics.model import Refusal
from netspec.record import record


@record
class Entry:
    """A tensor in a weights file. `load` reads it in its shape (bfloat16 as the uint16 of its bits), in any thread. Where a file
    may hold one tensor under two names, `place` says where it lies; the two have the same. `span` is where its elements lie in the
    file as in memory, if they do: such a tensor need not be read whole."""

    dtype: str
    shape: tuple[int, ...]
    load: Callable[[], np.ndarray]
    place: Hashable = None
    span: Span | None = None

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


def at(dtype: str, shape: tuple[int, ...], span: Span, place: Hashable = None) -> Entry:
    """A tensor whose elements lie in a span of a file."""
    return Entry(dtype, shape, lambda: span.elements(dtype, 0, prod(shape)).reshape(shape), place, span)


def malformed(path: str | os.PathLike[str], why: str, helps: tuple[str, ...] = ()) -> Refusal:
    """The refusal of a file that is not what its name says."""
    return Refusal("NS622", f"{os.fspath(path)} is damaged or no {kind(path)} file: {why}", helps=helps)


def too_much(path: str | os.PathLike[str], why: str) -> Refusal:
    """The refusal of a file past a bound."""
    return Refusal("NS625", f"{os.fspath(path)} is refused: {why}")


def kind(path: str | os.PathLike[str]) -> str:
    """The file's suffix, in lower case: `.safetensors`."""
    return os.path.splitext(os.fspath(path))[1].lower()
