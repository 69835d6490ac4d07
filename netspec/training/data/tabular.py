"""Tables of named columns: CSV, and Parquet with its lists. They are read into memory, the columns that are used."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from netspec.diagnostics.model import Refusal
from netspec.training.data.guard import reading
from netspec.training.data.raw import Raw, Stored, Uneven
from netspec.training.data.source import Lazy, Source

if TYPE_CHECKING:
    import pyarrow

#: the most cells of a table: numbers of eight bytes then take 32 GiB
_MOST_CELLS = 1 << 32


def read_csv(path: str) -> Source:
    """The columns of a file whose first line names them, parted by commas (`.tsv`: by tabs). Raises Refusal NS713 for what is no such
    table, NS712 for one without names."""
    from pyarrow import csv

    delimiter = "\t" if os.path.splitext(path)[1].lower() == ".tsv" else ","
    with reading(path, " as a table"):
        table = csv.read_csv(path, parse_options=csv.ParseOptions(delimiter=delimiter))
        names = table.column_names
    if all(_is_number(name) for name in names):
        raise Refusal("NS712", f"the first line of {path} must name the columns, and is numbers", helps=("put a line of names above it",))
    if len(names) == 1 and any(mark in names[0] for mark in ";\t|"):
        raise Refusal("NS712", f"{path} has one column, `{names[0]:.60}`", helps=("columns are parted by commas; in .tsv by tabs",))
    return _source(path, names, table.column)


def read_parquet(path: str) -> Source:
    """The columns of a file. Raises Refusal NS713 for what is none, or holds too much."""
    from pyarrow import parquet

    with reading(path, " as a table"):
        file = parquet.ParquetFile(path)
        facts, names = file.metadata, file.schema_arrow.names
    if facts.num_rows * max(1, len(names)) > _MOST_CELLS:
        raise Refusal("NS713", f"{path} has {facts.num_rows:,} rows of {len(names):,} columns: more than fit into memory")
    return _source(path, names, lambda name: file.read(columns=[name]).column(name))


def _source(path: str, names: list[str], column: Callable[[str], Any]) -> Source:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Refusal("NS713", f"{path} has two columns `{twice[0]}`")

    def make(name: str) -> Raw:
        with reading(f"{path}:{name}"):
            return _raw(path, name, column(name).combine_chunks())

    return Source(path, Lazy(names, make), tabular=True)


def _raw(path: str, name: str, column: "pyarrow.Array") -> Raw:
    """An Arrow array as a raw column: missing numbers are NaN, missing strings None; lists are samples of unequal length, or of one."""
    import pyarrow
    from pyarrow import types

    if isinstance(column, pyarrow.ChunkedArray):
        column = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    kind = column.type
    if types.is_dictionary(kind):
        column = column.dictionary_decode()
        kind = column.type
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return _lists(path, name, column)
    if types.is_string(kind) or types.is_large_string(kind):
        return Stored(column.to_numpy(zero_copy_only=False), pixels=False)
    if types.is_boolean(kind) and column.null_count:
        column = column.cast(pyarrow.float64())
    if types.is_null(kind):
        return Stored(np.full(len(column), np.nan), pixels=False)
    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_temporal(kind):
        return Stored(column.to_numpy(zero_copy_only=False), pixels=False)
    return Stored(np.zeros(len(column), "V1"), pixels=False)


def _lists(path: str, name: str, column: Any) -> Raw:
    if column.null_count:
        raise Refusal("NS806", f"`{name}` of {path} has no value in {column.null_count:,} samples")
    lengths = column.value_lengths().to_numpy(zero_copy_only=False) if hasattr(column, "value_lengths") else None
    flat = _raw(path, name, column.flatten())
    if lengths is None:
        lengths = np.full(len(column), column.type.list_size)
    if isinstance(flat, Uneven):
        raise Refusal("NS803", f"`{name}` of {path} has lists of lists of unequal length")
    values = flat.array  # type: ignore[attr-defined]
    if len(lengths) and (lengths == lengths[0]).all():
        return Stored(values.reshape(len(lengths), int(lengths[0]), *values.shape[1:]), pixels=False)
    return Uneven(values, lengths.astype(np.int64))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
