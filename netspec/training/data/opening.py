"""`--data WHERE`: from a path, or the name of an object, to a table of the columns that training needs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Union

from netspec.diagnostics.model import Refusal
from netspec.diagnostics.nearest import suggestion
from netspec.graph import Graph
from netspec.recipe.entry import Wanted
from netspec.recipe.section import Section
from netspec.sizes.tensor import TensorType
from netspec.training.data.matching import match
from netspec.training.data.need import Need, needs_for, needs_of
from netspec.training.data.options import Options
from netspec.training.data.source import Source
from netspec.training.data.table import Table

#: what `--data` takes, for messages
KINDS = ".npz, .npy, .h5, .hdf5, .csv, .parquet, a folder of images or of .npy files, or module:object"


#: a path or `module:object`; or arrays and tensors by name, or a map-style data set, that the caller has at hand
Where = Union[str, "os.PathLike[str]", Mapping[str, Any], Any]


def open_data(
    where: Where, wanted: Mapping[str, tuple[Wanted, ...]], inputs: Mapping[str, TensorType], *, options: Options = Options()
) -> Table:  # fmt: skip
    """The columns of `where` for these inputs of a network and these targets. `open_for` says besides where the spec asks for them.

    Raises Refusal: NS711 to NS713 (and NS622, NS625 for archives) for what is not there or cannot be read, NS801 for a column that
    is not there, NS802 to NS804 for one that does not fit, NS807 for data that would run code, unless that is allowed.
    """
    return open_needs(where, needs_of(wanted, inputs), options)


def open_for(where: Where, graph: Graph, section: Section, options: Options = Options()) -> Table:
    """The columns of `where` that a section needs to train a network; refuses as `open_data` does, with the line of the spec."""
    hot = tuple(dict.fromkeys((*section.one_hot, *options.one_hot)))
    return open_needs(where, needs_for(graph, section), replace(options, one_hot=hot))


def open_needs(where: Where, needs: Sequence[Need], options: Options) -> Table:
    """The columns of `where` for these needs, in their order."""
    if not needs:
        raise Refusal("NS801", "the network has no inputs, so no data can train it")
    where = os.fspath(where) if isinstance(where, os.PathLike) else where
    title = os.path.basename(where.rstrip("/\\")) or where if isinstance(where, str) else "the data"
    try:
        source = read_source(where, options, [options.columns.get(need.name, need.name) for need in needs])
        columns = match(source, needs, options)
        _same_length(source, {name: len(column) for name, column in columns.items()})
        table = Table(columns, title, bucket=options.bucket)
        _hold(table, options.memory)
    except MemoryError:
        raise Refusal("NS713", f"{title} does not fit into memory", helps=("HDF5 and .npy are read piece by piece",)) from None
    return table


def read_source(where: Where, options: Options, names: Sequence[str] = ()) -> Source:
    """What `where` holds: arrays by name, or what a path or an object's name means. `names` are the columns that are looked for, which
    tells folders of columns from folders of classes. Raises Refusal: NS711 for what is not there, NS712 for what is of no known kind."""
    if not isinstance(where, str):
        from netspec.training.data.objects import source_of

        return source_of("the data", where, options)
    if os.path.isdir(where):
        from netspec.training.data.folders import read_folder

        return read_folder(where, names, options)
    if os.path.isfile(where):
        return _read_file(where, options)
    module, colon, _ = where.partition(":")
    if colon and all(part.isidentifier() for part in module.split(".")):
        from netspec.training.data.objects import read_object

        return read_object(where, options)
    folder = os.path.dirname(where) or "."
    near = suggestion(os.path.basename(where), os.listdir(folder)) if os.path.isdir(folder) else ()
    raise Refusal("NS711", f"there is no file or folder {where}", helps=near, status=2)


def _read_file(where: str, options: Options) -> Source:
    """What a file holds, by its ending. What reads it is imported when it is needed: some of it is an extra."""
    kind = os.path.splitext(where)[1].lower()
    if kind in (".npz", ".npy"):
        from netspec.training.data import archives

        return archives.read_npz(where, options) if kind == ".npz" else archives.read_npy(where, options)
    if kind in (".h5", ".hdf5"):
        from netspec.training.data import hdf5

        return hdf5.read_hdf5(where)
    if kind in (".csv", ".tsv", ".parquet"):
        from netspec.training.data import tabular

        return tabular.read_parquet(where) if kind == ".parquet" else tabular.read_csv(where)
    if kind in (".pkl", ".pickle", ".pt", ".pth"):
        from netspec.training.data import objects

        return objects.read_pickle(where, options)
    raise Refusal("NS712", f"{where} is no data that can be read", helps=(f"data is {KINDS}",), status=2)


def _same_length(source: Source, lengths: Mapping[str, int]) -> None:
    """All columns have one number of samples, and it is not 0."""
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"`{name}` has {length:,}" for name, length in lengths.items())
        raise Refusal("NS804", f"the columns of {source.where} differ in their number of samples: {told}")
    if not next(iter(lengths.values())):
        raise Refusal("NS804", f"{source.where} has no samples")


def _hold(table: Table, memory: int) -> None:
    """Load what fits into memory all together; columns whose samples are small, such as labels, are loaded in any case."""
    sizes = {name: column.nbytes for name, column in table.columns.items()}
    whole = sum(sizes.values()) <= memory
    for name, column in table.columns.items():
        if whole or sizes[name] <= memory >> 4 or column.uneven:
            column.load()
