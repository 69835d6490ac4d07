"""From what a file holds to what the network is fed: which conversions are allowed, and that none of them loses anything.

Floats become floats of another width, as everywhere in the field; whole numbers become floats, and floats whole numbers, where every
single value stays what it is; an axis of one channel is put in; uint8 pixels become numbers from 0 to 1; strings become the index of
their class. Everything else is refused.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from netspec.record import record
from netspec.sizes.dim import Size, show
from netspec.training.data.need import Form
from netspec.training.data.raw import Raw, Uneven

#: how many rows of a column that is not in memory show whether its pixels are 0 and 1, or grey values
_SHOWN = 256


class Inexact(Exception):
    """A value that cannot become what is asked for: `row` counts within the rows at hand, `value` is what stands there."""

    def __init__(self, row: int, value: Any, why: str) -> None:
        super().__init__(why)
        self.row, self.value, self.why = row, value, why


@record
class Conversion:
    """How rows of a column become an array of element type `dtype`. `axis` is where an axis of one is put in, `scale` says that grey
    values are divided by 255; `classes` are the values whose index is taken, or which each become one number (`hot`)."""

    dtype: str
    axis: int | None = None
    scale: bool = False
    classes: tuple[Any, ...] | None = None
    hot: bool = False

    @property
    def numpy(self) -> np.dtype:
        """The element type in NumPy, which has no bfloat16: float32 stands for it until rows are tensors."""
        return np.dtype("float32" if self.dtype == "bfloat16" else self.dtype)

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Rows as the network takes them. Raises Inexact where a value would change."""
        if self.classes is not None:
            values = _classified(values, self.classes)
        if self.hot:
            values = np.eye(len(self.classes or ()), dtype=self.numpy)[values]
        elif self.scale:
            values = np.multiply(values, self.numpy.type(1 / 255), dtype=self.numpy)
        else:
            values = _exactly(values, self.numpy)
        return np.expand_dims(values, self.axis) if self.axis is not None else values


def plan(raw: Raw, form: Form, classes: tuple[Any, ...] | None, hot: bool) -> Conversion | str:
    """The conversion of a column to a form, or the reason why there is none. `classes` are the column's own, if it is of classes."""
    shape = (len(classes or ()),) if hot and raw.sample == () else raw.sample
    axis = _axis(shape, form.shape)
    if isinstance(axis, str):
        return axis
    if axis is not None and isinstance(raw, Uneven):
        return f"its samples are of unequal length along axis 1, and {show(form.shape[1])} is asked for"
    if hot:
        return Conversion(form.dtype, classes=classes, hot=True) if form.kind in ("float", "share") else "one-hot columns are floats"
    if classes is not None:
        if form.kind not in ("index", "integer"):
            return "it holds strings, and numbers are asked for"
        return Conversion(form.dtype, axis, classes=classes)
    if raw.dtype.kind not in "fiub":
        return f"{_named(raw.dtype)} are no numbers"
    return Conversion(form.dtype, axis, scale=_scaled(raw, form))


def _axis(sample: tuple[int | None, ...], shape: tuple[Size, ...]) -> int | None | str:
    """Where an axis of one is put in, None if nowhere; or how the shape of a sample does not fit the axes behind the batch."""
    rest = shape[1:]
    if len(sample) == len(rest) - 1 and rest[0] == 1:
        return 1 if _fits(sample, rest[1:]) is None else _fits(sample, rest[1:], 2)
    if len(sample) != len(rest):
        return f"it has {len(sample) + 1} axes, and {len(shape)} are asked for"
    return _fits(sample, rest)


def _fits(sample: tuple[int | None, ...], rest: tuple[Size, ...], first: int = 1) -> str | None:
    for at, (found, size) in enumerate(zip(sample, rest), first):
        if isinstance(size, int) and found != size:
            return f"its axis {at} is {'of unequal length' if found is None else found}, and {show(size)} is asked for"
    return None


def _scaled(raw: Raw, form: Form) -> bool:
    """Whether grey values are to become numbers from 0 to 1: those of inputs always, those of targets of shares unless they are 0 and 1."""
    if raw.dtype != np.uint8 or not raw.pixels or form.kind not in ("float", "share") or len(form.shape) < 2:
        return False
    if form.kind == "float":
        return True
    shown = raw.read(np.arange(len(raw) if raw.resident else min(len(raw), _SHOWN)))
    return bool(shown.max(initial=0) > 1)


def _exactly(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The same numbers in another element type; between floats, the nearest. Raises Inexact."""
    if values.dtype == dtype:
        return values
    if dtype == np.bool_:
        return _as_mask(values)
    if values.dtype.kind == "f" and dtype.kind == "f":
        with np.errstate(over="ignore"):
            made = values.astype(dtype)
        _all(np.isfinite(made) | ~np.isfinite(values), values, f"is too large for {dtype}")
        return made
    if np.can_cast(values.dtype, dtype, "safe") and not (values.dtype.kind in "iu" and dtype.kind == "f"):
        return values.astype(dtype)
    if values.dtype.kind == "f":
        _all(np.isfinite(values), values, "is no whole number")
        _all((values == np.rint(values)) & (np.abs(values) < 2.0**63), values, "is no whole number")
    with np.errstate(over="ignore", invalid="ignore"):
        made = values.astype(dtype)
    _all(made.astype(values.dtype) == values, values, f"is not exactly a number of {dtype}")
    return made


def _as_mask(values: np.ndarray) -> np.ndarray:
    """0 and 1, or in pixels 0 and 255, as booleans."""
    most = 255 if values.dtype == np.uint8 and values.max(initial=0) > 1 else 1
    _all((values == 0) | (values == most), values, "is neither 0 nor 1")
    return values != 0


def _classified(values: np.ndarray, classes: tuple[Any, ...]) -> np.ndarray:
    """The place of each value among sorted classes."""
    ordered = np.array(classes)
    given = values.astype(ordered.dtype) if values.dtype == object else values
    place = np.minimum(np.searchsorted(ordered, given), max(len(ordered) - 1, 0))
    _all(ordered[place] == given, values, "is no class of the training data")
    return place.astype(np.int64)


def _all(fine: np.ndarray, values: np.ndarray, why: str) -> None:
    if not fine.all():
        first = tuple(np.argwhere(~np.asarray(fine))[0])
        raise Inexact(int(first[0]) if first else 0, values[first], why)


def _named(dtype: np.dtype) -> str:
    return {"O": "strings", "U": "strings", "S": "strings", "M": "dates", "m": "durations", "c": "complex numbers"}.get(
        dtype.kind, str(dtype)
    )
