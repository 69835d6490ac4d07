"""The data held against the spec before the first step: sizes that fit one another, labels in range, no NaN."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from netspec.diagnostics.model import Refusal
from netspec.graph import Graph
from netspec.recipe.section import Section
from netspec.record import record
from netspec.runtime.arguments import Signature
from netspec.sizes.dim import Dim, Size, names, substitute
from netspec.sizes.tensor import TensorType
from netspec.training.data.alignment import check_alignment, first_breach
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
    """The sizes of all columns, in batches of `batch`, agree with one another and with what the network asks of them; those of samples
    of unequal length do in every sample. Raises Refusal NS802, and NS809 for sizes that break a condition of the network."""
    signature = Signature.of(graph)
    shapes = _declared(table, signature)
    row = 0
    if any(column.uneven for column in table.columns.values()):
        sizes = check_alignment(table, shapes)
        sizes |= {name: np.array(min(batch, len(table))) for kind in signature.inputs.values() for name in names(kind.shape[0])}
        row = first_breach((requirement.condition for requirement in signature.requirements), sizes, len(table)) or 0
    extents = {name: Extent(_shape(column, min(batch, len(table)), row)) for name, column in table.columns.items()}
    first = {name: TensorType(some[0]) for name, some in shapes.items()}
    further = [{**first, name: TensorType(shape)} for name, some in shapes.items() for shape in some[1:]]
    for kinds in (first, *further):
        try:
            Signature(kinds, signature.requirements).check_sizes(extents)
        except Refusal as refusal:
            raise _of_data(refusal, table, extents, row) from None


def _declared(table: Table, signature: Signature) -> dict[str, tuple[tuple[Size, ...], ...]]:
    """What each column's shape must be, inputs first: of targets that are compared with several outputs there are several. Sizes of
    targets that no input has (how many labels a text has) are each column's own."""
    named = frozenset(name for kind in signature.inputs.values() for size in kind.shape for name in names(size))
    order = [name for name in signature.inputs if name in table.columns]
    found: dict[str, tuple[tuple[Size, ...], ...]] = {}
    for place, name in enumerate(dict.fromkeys((*order, *table.columns))):
        form = table.columns[name].form
        free = {size: Dim.name(f"{size}_of_{place}") for shape in (form.shape, *form.also) for size in _free(shape, named)}
        found[name] = tuple(tuple(substitute(size, free) for size in shape) for shape in (form.shape, *form.also))
    return found


def _free(shape: tuple[Size, ...], named: frozenset[str]) -> Iterator[str]:
    """The names in sizes behind the batch that are not among these."""
    for size in shape[1:]:
        yield from names(size) - named


def _of_data(refusal: Refusal, table: Table, extents: Mapping[str, Extent], row: int) -> Refusal:
    """A misfit of inputs in the words for data, with the lines that ask for the columns it names, and the sample where samples differ."""
    found = refusal.diagnostic
    message = found.message.replace("the inputs do not fit", f"{table.source or 'the data'} does not fit the network")
    named = [column for name, column in table.columns.items() if f"`{name}`" in message]
    for column in named:
        message = message.replace(f"it has shape {list(extents[column.name].shape)}", f"it has shape {[len(table), *column.sample]}")
    uneven = next((column for column in named if column.uneven), None)
    return Refusal(
        _CODES[found.code],
        message if uneven is None else f"{message}, in {uneven.raw.at(row)}",
        notes=(*found.notes, *(note for column in named for note in asked(column.need))),
        helps=found.helps,
    )


def _shape(column: Column, batch: int, row: int) -> tuple[int, ...]:
    """The shape of a batch of a column, of samples as long as that of a row."""
    if not isinstance(column.raw, Uneven):
        return (batch, *(size or 0 for size in column.sample))
    return (batch, max(int(column.raw.lengths[row]), 1), *(size or 0 for size in column.sample[1:]))


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
