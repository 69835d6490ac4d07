"""Columns whose samples differ in length, held against the others sample by sample: a batch is padded to its longest sample, so that one
which is too short or too long would be compared with what belongs to no one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from netspec.diagnostics.model import Refusal
from netspec.record import record
from netspec.sizes.dim import Size, evaluate, names, show
from netspec.sizes.solve import Condition
from netspec.training.data.need import asked
from netspec.training.data.raw import Uneven
from netspec.training.data.table import Column, Table


@record
class Axis:
    """An axis of a column: what the network says of its size, and how long it is, a number for each sample or one for all."""

    column: Column
    number: int
    size: Size
    lengths: np.ndarray

    def at(self, row: int) -> int:
        """How long it is in a sample."""
        return int(self.lengths[row] if self.lengths.ndim else self.lengths)

    def told(self, row: int) -> str:
        """`length 5`, or `7 along axis 2`."""
        return f"length {self.at(row)}" if self.number == 1 else f"{self.at(row)} along axis {self.number}"


def check_alignment(table: Table, shapes: Mapping[str, Iterable[tuple[Size, ...]]]) -> dict[str, np.ndarray]:
    """Hold every axis behind the batch against the sizes that the columns before it tell, in every sample. `shapes` has what is declared
    of each column, by name, inputs first.

    Returns the open sizes, a number for each sample or one for all. Raises Refusal NS802 with the first sample that does not fit.
    """
    axes = [axis for name, some in shapes.items() for shape in some for axis in _axes(table.columns[name], shape)]
    sizes: dict[str, np.ndarray] = {}
    origin: dict[str, Axis] = {}
    for axis in axes:
        for name, values in _told(axis):
            if name not in sizes:
                sizes[name], origin[name] = values, axis
    for axis in axes:
        if names(axis.size) <= sizes.keys():
            wanted = _evaluated(axis.size, sizes)
            wrong = np.flatnonzero(np.atleast_1d(np.maximum(wanted, 0) != axis.lengths))
            if len(wrong):
                told = bool(wanted.ndim or axis.lengths.ndim)
                raise _misaligned(table, axis, sizes, [origin[name] for name in sorted(names(axis.size))], wrong, told)
    return sizes


def first_breach(conditions: Iterable[Condition], sizes: Mapping[str, np.ndarray], count: int) -> int | None:
    """The first of `count` samples whose sizes break a condition; one about sizes that are not known here is passed over."""
    found = []
    for condition in conditions:
        if condition.names() and condition.names() <= sizes.keys():
            rows, inverse = _different({name: np.maximum(sizes[name], 1) for name in condition.names()})
            broken = np.array([not condition.at(row) for row in rows])[inverse]
            found += list(np.flatnonzero(np.broadcast_to(broken, count))[:1])
    return int(min(found)) if found else None


def _axes(column: Column, shape: tuple[Size, ...]) -> Iterator[Axis]:
    for number, (size, length) in enumerate(zip(shape[1:], column.sample), 1):
        if length is not None:
            yield Axis(column, number, size, np.asarray(length, np.int64))
        elif isinstance(column.raw, Uneven):
            yield Axis(column, number, size, np.asarray(column.raw.lengths, np.int64))


def _told(axis: Axis) -> tuple[tuple[str, np.ndarray], ...]:
    """The open size that an axis tells: its own length, or `(length - b) / a` for an axis `a * H + b`."""
    if isinstance(axis.size, int) or len(axis.size.terms) != 1:
        return ()
    ((monomial, factor),) = axis.size.terms.items()
    if len(monomial) != 1 or not isinstance(monomial[0], str) or ((axis.lengths - axis.size.constant) % factor).any():
        return ()
    return ((monomial[0], (axis.lengths - axis.size.constant) // factor),)


def _evaluated(size: Size, sizes: Mapping[str, np.ndarray]) -> np.ndarray:
    """The number that a size is in each sample, or in all."""
    rows, inverse = _different({name: sizes[name] for name in names(size)})
    return np.array([evaluate(size, row) for row in rows], np.int64)[inverse]


def _different(sizes: Mapping[str, np.ndarray]) -> tuple[list[dict[str, int]], np.ndarray]:
    """The different sets of sizes that there are, and which of them each sample has (or all have)."""
    together = np.broadcast_arrays(*sizes.values()) if sizes else [np.zeros((), np.int64)]
    code = np.zeros(together[0].size, np.int64)
    for values in together:  # one number for each set: far faster than to sort rows
        distinct, place = np.unique(values.reshape(-1), return_inverse=True)
        _, code = np.unique(code * len(distinct) + place.reshape(-1), return_inverse=True)
    _, first = np.unique(code, return_index=True)
    rows = [dict(zip(sizes, (int(values.reshape(-1)[at]) for values in together))) for at in first]
    return rows, code.reshape(together[0].shape)


def _misaligned(
    table: Table, axis: Axis, sizes: Mapping[str, np.ndarray], others: list[Axis], wrong: np.ndarray, told: bool
) -> Refusal:  # fmt: skip
    """The refusal of an axis; `told`: it is one of some samples, and not of all."""
    row = int(wrong[0])
    values = {name: int(sizes[name][row] if sizes[name].ndim else sizes[name]) for name in names(axis.size)}
    wanted = max(evaluate(axis.size, values), 0)
    equal = show(axis.size) if isinstance(axis.size, int) else f"{show(axis.size)} = {wanted}"
    why = " and ".join(f"{other.column.title} has {other.told(row)}" for other in others)
    where = f" in {axis.column.raw.at(row)}" if told else ""
    many = f" ({len(wrong):,} of the {len(table):,} samples do not fit)" if told else ""
    needs = {column.name: column.need for column in (*(other.column for other in others), axis.column)}
    return Refusal(
        "NS802",
        f"{axis.column.title} has {axis.told(row)}{where}, and {equal} is needed{f': {why}' if why else ''}{many}",
        notes=tuple(note for need in needs.values() for note in asked(need)),
    )
