"""A table of data as training reads it: columns by the names of the spec, all of one length, rows by number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from netspec.diagnostics.model import Refusal
from netspec.training.data.conversion import Conversion, Inexact
from netspec.training.data.need import Form, Need, asked
from netspec.training.data.raw import Raw, Stored, Uneven
from netspec.training.data.source import described
from netspec.training.data.values import examine


class Column:
    """One column: what the data holds (`raw`), what was asked for (`need`, of whose forms `form` was met), and how one becomes the
    other. `title` is what messages call it: its name in the data, with the file. `fill` is behind the ends of samples of unequal
    length. Where all of it is in memory, `array` is the whole column, converted, [N, …]."""

    def __init__(self, name: str, raw: Raw, need: Need, form: Form, conversion: Conversion, title: str = "", fill: float = 0) -> None:
        self.name, self.raw, self.need, self.form, self.conversion = name, raw, need, form, conversion
        self.title, self.fill = title or f"`{name}`", fill
        self.array: np.ndarray | None = None
        self.remarks = _remarks(self)

    def __len__(self) -> int:
        return len(self.raw)

    @property
    def dtype(self) -> str:
        """The element type that the network is fed, by PyTorch's name."""
        return self.conversion.dtype

    @property
    def sample(self) -> tuple[int | None, ...]:
        """The shape of one sample; None for an axis that differs from sample to sample."""
        if self.array is not None:
            return self.array.shape[1:]
        sample = tuple(self.raw.sample)
        if self.conversion.hot:
            return (len(self.conversion.classes or ()),)
        return (*sample[: self.conversion.axis - 1], 1, *sample[self.conversion.axis - 1 :]) if self.conversion.axis else sample

    @property
    def uneven(self) -> bool:
        """Whether samples differ in length, so that batches are padded."""
        return isinstance(self.raw, Uneven)

    @property
    def nbytes(self) -> int:
        """What the whole column takes as it is fed; 0 where that cannot be said."""
        if isinstance(self.raw, Uneven):
            return self.raw.flat.size * self.conversion.numpy.itemsize
        sizes = [size for size in self.sample if size is not None]
        return int(np.prod([len(self), *sizes], dtype=np.float64)) * self.conversion.numpy.itemsize if len(sizes) == len(self.sample) else 0

    def take(self, rows: np.ndarray) -> np.ndarray:
        """The samples of these rows as the network is fed, [len(rows), …]. Raises Refusal NS803 for a value that cannot be converted."""
        if self.array is not None:
            return self.array[rows]
        if isinstance(self.raw, Uneven):
            return self.raw.padded(rows, self.fill)
        values = self.converted(self.raw.read(rows), rows)
        examine(self, values, rows)
        return values

    def converted(self, values: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Values of these rows (of all) as the network is fed. Raises Refusal NS803 for a value that cannot be converted."""
        try:
            return self.conversion.apply(values)
        except Inexact as inexact:
            row = self.raw.at(int(rows[inexact.row]) if rows is not None else inexact.row)
            nothing = bool(inexact.value != inexact.value)
            why = "no value (NaN)" if nothing else f"{str(inexact.value):.40}, which {inexact.why}"
            raise Refusal("NS806" if nothing else "NS803", f"{self.title} has {why}, in {row}", notes=asked(self.need)) from None

    def load(self) -> None:
        """Hold the whole column in memory, converted."""
        if isinstance(self.raw, Uneven):
            raw = self.raw
            self.raw = Uneven(self.converted(raw.flat), raw.lengths)
            self.conversion = Conversion(self.conversion.dtype)
        elif self.array is None:
            rows = None if isinstance(self.raw, Stored) else np.arange(len(self.raw))
            values = self.raw.array if isinstance(self.raw, Stored) else self.raw.read(rows)  # type: ignore[arg-type]
            self.array = np.require(self.converted(np.asarray(values), rows), requirements="CW")
            if type(self.raw) is Stored:  # what was read is let go of
                self.raw = Stored(self.array)


class Table:
    """Columns of one length. `remarks` say what was done to the data that its reader may want to know; `classes` are those of columns
    of strings and of one-hot columns, in the order of their indices; `source` is where the data came from; `bucket`: whether shuffled
    batches are to be of samples of about one length."""

    def __init__(self, columns: Mapping[str, Column], source: str = "", remarks: list[str] | None = None, bucket: bool = False) -> None:
        self.columns, self.source, self.bucket = dict(columns), source, bucket
        self.remarks = [said for column in self.columns.values() for said in column.remarks] if remarks is None else remarks

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    @property
    def classes(self) -> dict[str, tuple[Any, ...]]:
        """The classes of columns that have some."""
        found = {name: c.conversion.classes for name, c in self.columns.items() if c.conversion.classes is not None}
        for column in self.columns.values():
            found.update(getattr(column.raw, "classes", {}))
        return found

    @property
    def resident(self) -> bool:
        """Whether all columns are whole arrays in memory."""
        return all(column.array is not None for column in self.columns.values())

    @property
    def blocks(self) -> tuple[int, int]:
        """How many rows are read together from the file, and how many such blocks are held at a time; 0 where any row is as near as
        any other. Of several columns, those of the largest."""
        read = [column for column in self.columns.values() if column.array is None]
        largest = max(read, key=lambda column: column.nbytes, default=None)
        return (largest.raw.block, largest.raw.window) if largest is not None else (0, 0)

    def take(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        """The samples of these rows, a column [len(indices), …] each; those of unequal length padded to the longest among them."""
        rows = np.asarray(indices, np.int64)
        return {name: column.take(rows) for name, column in self.columns.items()}

    def with_arrays(self, arrays: Mapping[str, np.ndarray]) -> Table:
        """The table with other numbers in some columns that are whole in memory: what a normalization makes of them, once."""
        columns = dict(self.columns)
        for name, array in arrays.items():
            old = columns[name]
            columns[name] = Column(name, Stored(array), old.need, old.form, old.conversion, old.title, old.fill)
            columns[name].array = array
        return Table(columns, self.source, self.remarks, self.bucket)


def _remarks(column: Column) -> list[str]:
    """What is done to a column that its owner may want to know."""
    said, conversion = [], column.conversion
    if conversion.scale:
        said.append(f"the uint8 values of {column.title} are divided by 255")
    if conversion.axis is not None:
        said.append(f"{column.title} is {described(column.raw)}: it gets an axis {conversion.axis} of size 1")
    for name, classes in {column.name: conversion.classes, **getattr(column.raw, "classes", {})}.items():
        if classes is not None:
            shown = ", ".join(map(str, classes[:10])) + (", …" if len(classes) > 10 else "")
            said.append(f"the {len(classes)} classes of `{name}` are {shown}")
    return said
