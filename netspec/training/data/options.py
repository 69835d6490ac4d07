"""How data is to be read: what the caller allows, what columns are called, and how much is held in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from netspec.record import record


@record
class Options:
    """How `open_data` reads. Every field has the default of the command.

    `columns` are names of the data by names of the spec (`{"image": "X"}`). `allow_code` lets `module:object` import code,
    `allow_pickle` unpickle (`.pkl`, `.pt`, arrays of objects): both run what the file's author wrote. Columns named in `one_hot`
    become one number a class. `classes` are the classes of columns by name, where they are known already: data for validation and
    testing takes them from the training data (`Table.classes`). What takes at most `memory` bytes as the network is fed is held in
    memory, and read batch by batch otherwise: a fixed number, since the order of the samples of an HDF5 file depends on it.
    `pad` is what fills up columns of unequal length, by name, where neither 0 nor the loss's `ignore_index` is wanted; with `bucket`,
    shuffled batches are of samples of about one length.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    allow_code: bool = False
    allow_pickle: bool = False
    one_hot: tuple[str, ...] = ()
    classes: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    pad: Mapping[str, float] = field(default_factory=dict)
    memory: int = 1 << 30
    bucket: bool = False
