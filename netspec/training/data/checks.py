"""The data held against the spec before the first step: sizes that fit one another, labels in range, no NaN."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from netspec.diagnostics.model import Refusal
from netspec.graph import Graph
from netspec.recipe.section import Section
from netspec.record import record
from netspec.runtime.arguments import Signature
from netspec.sizes.tensor import TensorType
from netspec.training.data.need import asked
from netspec.training.data.raw import Uneven
from netspec.training.data.table import Column, Table
from netspec.training.data.values import examine

#: how many rows are looked at together, and of a column that is read piece by piece how many are at all
_AT_ONCE, _FIRST = 4096, 256
#: up to how many classes it is counted which of them no sample has
_COUNTED = 100_000

#: what `runtime.arguments` calls a misfit of inputs, and what it is called of data
_CODES = {"NS722": "NS802", "NS723": "NS809"}


@record
class Extent:
    """A shape without an array."""

    shape: tuple[int, ...]


def check_data(table: Table, graph: Graph, section: Section) -> list[str]:
    """Hold a table against a network and a section; what is no error, but may surprise, is added to `table.remarks` and returned.

    Columns that are in memory are looked at whole; of others the first samples are, and the rest as they are read. Raises Refusal:
    NS802 for axes that do not agree, NS805 for labels and indices out of range, NS806 for NaN and infinity, NS809 for sizes that
    break a condition of the network; NS803 for a value that cannot be converted.
    """
    check_sizes(table, graph, section.batch)
    for name, rows in embedded(graph).items():
        column = table.columns.get(name)
        if column is not None and column.form.kind == "integer":
            column.form = replace(column.form, below=rows)
    said: list[str] = []
    for column in table.columns.values():
        for values, rows in _pieces(column):
            examine(column, values, rows)
        said += _unseen(column)
    table.remarks += said
    return said


def check_sizes(table: Table, graph: Graph, batch: int) -> None:
    """The sizes of all columns, in batches of `batch`, agree with one another and with what the network asks of them. Samples of
    unequal length are tried with the longest and the shortest."""
    signature = Signature.of(graph)
    asked_for = {name: TensorType(column.form.shape) for name, column in table.columns.items()}
    inputs = {**{n: asked_for[n] for n in signature.inputs if n in asked_for}, **asked_for}
    whole = Signature(inputs, signature.requirements)
    for longest in (True, False):
        try:
            whole.check_sizes({name: Extent(_shape(column, min(batch, len(table)), longest)) for name, column in table.columns.items()})
        except Refusal as refusal:
            raise _of_data(refusal, table) from None


def _of_data(refusal: Refusal, table: Table) -> Refusal:
    """A misfit of inputs in the words for data, with the lines that ask for the columns it names."""
    found = refusal.diagnostic
    message = found.message.replace("the inputs do not fit", f"{table.source or 'the data'} does not fit the network")
    named = [column for name, column in table.columns.items() if f"`{name}`" in message]
    return Refusal(
        _CODES[found.code], message, notes=(*found.notes, *(note for column in named for note in asked(column.need))), helps=found.helps
    )


def _shape(column: Column, batch: int, longest: bool) -> tuple[int, ...]:
    """The shape of a batch of a column."""
    if not isinstance(column.raw, Uneven):
        return (batch, *(size or 0 for size in column.sample))
    lengths = column.raw.lengths
    return (batch, int(lengths.max() if longest else max(lengths.min(), 1)), *(size or 0 for size in column.sample[1:]))


def embedded(graph: Graph) -> dict[str, int]:
    """For each input of whole numbers that an embedding looks up, how many rows the smallest such table has."""
    names = {port.value: port.name for port in graph.inputs}
    found: dict[str, int] = {}
    for node in graph.nodes:
        if node.op.NAME == "embedding" and node.inputs[0] in names and node.weights:
            name, rows = names[node.inputs[0]], graph.weights[node.weights[0]].shape[0]
            found[name] = min(rows, found.get(name, rows))
    return found


def _pieces(column: Column) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Converted values with the row of each, a piece at a time."""
    if isinstance(column.raw, Uneven):
        yield column.raw.flat, np.repeat(np.arange(len(column)), column.raw.lengths)
        return
    for start in range(0, len(column) if column.array is not None else min(_FIRST, len(column)), _AT_ONCE):
        rows = np.arange(start, min(start + _AT_ONCE, len(column) if column.array is not None else _FIRST))
        yield column.take(rows), rows


def _unseen(column: Column) -> list[str]:
    """A remark where some classes have no sample."""
    below = column.form.below
    if column.form.kind != "index" or column.array is None or below is None or below > _COUNTED or column.array.ndim != 1:
        return []
    labels = column.array[column.array >= 0]
    missing = np.flatnonzero(np.bincount(labels[labels < below], minlength=below) == 0)
    shown = ", ".join(map(str, missing[:10])) + (", …" if len(missing) > 10 else "")
    return (
        [f"no sample of {column.title} has the label{'s' if len(missing) > 1 else ''} {shown} (of 0 to {below - 1})"]
        if len(missing)
        else []
    )
