"""The numbers of a column: in range, and numbers at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from netspec.diagnostics.model import Refusal
from netspec.training.data.need import asked
from netspec.training.data.raw import Uneven

if TYPE_CHECKING:
    from netspec.training.data.table import Column


def examine(column: Column, values: np.ndarray, rows: np.ndarray) -> None:
    """Hold converted values of a column, one row of them for each of `rows`, against its form. Raises Refusal: NS805 for labels and
    indices out of range and shares that are none, NS806 for NaN and infinity."""
    form = column.form
    if values.dtype.kind == "f":
        _require(column, np.isfinite(values), values, rows, "NS806", "is no number to train with")
        if form.kind == "share":
            _require(column, (values >= 0) & (values <= 1), values, rows, "NS805", "is not from 0 to 1")
    elif values.dtype.kind in "iu":
        fine = values >= 0 if form.kind != "integer" or form.below is not None else None
        if fine is None:
            return
        if form.below is not None:
            fine &= values < form.below
        if form.ignore is not None:
            fine |= values == form.ignore
        bound = f"is not from 0 to {form.below - 1}" if form.below is not None else "is below 0"
        _require(column, fine, values, rows, "NS805", bound + (f", nor {form.ignore}" if form.ignore is not None else ""))


def _require(column: Column, fine: np.ndarray, values: np.ndarray, rows: np.ndarray, code: str, why: str) -> None:
    """Refuse where anything is not fine: the first such value, its sample, its place in it, and how many there are."""
    if fine.all():
        return
    wrong = ~fine
    place = tuple(int(index) for index in np.argwhere(wrong)[0])
    value, row, inside = values[place], int(rows[place[0]]), list(place[1:])
    if isinstance(column.raw, Uneven) and len(values) == len(rows) == len(column.raw.flat):
        inside = [int(place[0] - (column.raw.ends[row] - column.raw.lengths[row])), *inside]
    where = column.raw.at(row) + (f" at {inside}" if inside else "")
    count = int(wrong.sum())
    more = f"; {count:,} of the {wrong.size:,} values looked at are so" if count > 1 else ""
    helps = ("labels that count from 1 must count from 0: `labels - 1`",) if _from_one(column, values) else ()
    said = f"the value {value.item()!r} of {column.title}, in {where}, {why}{more}"
    raise Refusal(code, said, notes=asked(column.need), helps=helps)


def _from_one(column: Column, values: np.ndarray) -> bool:
    """Whether labels look as if they counted from 1."""
    return column.form.kind == "index" and column.form.below is not None and values.min() == 1 and values.max() == column.form.below
