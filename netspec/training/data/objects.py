"""Data that Python code makes, `module:object`, and data that was pickled: both run code, and only where that is allowed."""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from netspec.diagnostics.model import Refusal
from netspec.training.data.archives import pickled
from netspec.training.data.options import Options
from netspec.training.data.source import Source, from_arrays


def read_object(where: str, options: Options) -> Source:
    """The data that `module:object` names: a dict of arrays, a map-style `torch.utils.data.Dataset`, or a callable that returns one.
    Modules are looked for in the current folder, too. Raises Refusal NS807 where code is not allowed, or fails."""
    module, _, path = where.partition(":")
    if not options.allow_code:
        helps = ("`--allow-code`, once you have read it",)
        raise Refusal("NS807", f"{where} names Python code, which runs only where that is allowed", helps=helps)
    sys.path.insert(0, os.getcwd())
    try:
        found = importlib.import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
        if callable(found) and (isinstance(found, type) or not hasattr(found, "__getitem__")):
            found = found()
    except Exception as error:  # whatever the code of others raises
        raise _failed(where, error) from None
    finally:
        sys.path.remove(os.getcwd())
    return source_of(where, found, options)


def read_pickle(path: str, options: Options) -> Source:
    """A pickled dict of arrays or tensors, or data set: `.pkl`, or what `torch.save` wrote. Raises Refusal NS807 where it is not
    allowed, NS713 where it fails."""
    if not options.allow_pickle:
        raise pickled(path, "Python objects")
    try:
        if os.path.splitext(path)[1].lower() in (".pt", ".pth"):
            import torch

            return source_of(path, torch.load(path, map_location="cpu", weights_only=False), options)
        import pickle

        with open(path, "rb") as file:
            return source_of(path, pickle.load(file), options)
    except Refusal:
        raise
    except Exception as error:
        raise Refusal("NS713", f"{path} cannot be unpickled: {type(error).__name__}") from None


def source_of(where: str, found: Any, options: Options) -> Source:
    """The columns of a dict of arrays or tensors, or of a map-style data set. Raises Refusal NS807 for anything else, or what fails."""
    if isinstance(found, Mapping) and all(isinstance(name, str) for name in found):
        return from_arrays(where, {name: as_array(value) for name, value in found.items()})
    if hasattr(found, "__getitem__") and hasattr(found, "__len__") and not isinstance(found, (str, bytes)):
        return _of_items(where, found, options)
    helps = ("a dict of arrays by name, or a data set with `__len__` and `__getitem__`, is needed",)
    raise Refusal("NS807", f"{where} gives a {type(found).__name__}, which is no data", helps=helps)


def _of_items(where: str, dataset: Any, options: Options) -> Source:
    """A map-style data set: read once if it fits into memory, and item by item otherwise."""
    items = Items(where, dataset)
    if not len(items):
        raise Refusal("NS804", f"{where} has no samples")
    first = items.item(0)
    positional = all(name.isdigit() for name in first)
    if sum(value.nbytes for value in first.values()) * len(items) > options.memory:
        return Source(where, {name: Field(items, name, value) for name, value in first.items()}, positional=positional)
    whole = [items.item(row) for row in range(len(items))]
    return _replaced(from_arrays(where, {name: _stacked([item[name] for item in whole]) for name in first}), positional)


def _replaced(source: Source, positional: bool) -> Source:
    return Source(source.where, source.columns, loose=source.loose, positional=positional)


def _stacked(values: list[np.ndarray]) -> np.ndarray:
    """Samples as one array; of objects where they are strings, or differ in shape."""
    if len({value.shape for value in values}) == 1 and values[0].dtype.kind not in "OU":
        return np.stack(values)
    made = np.empty(len(values), object)
    for at, value in enumerate(values):
        made[at] = value.item() if value.ndim == 0 else value
    return made


class Items:
    """A data set of others, item by item, as dicts of arrays. The last items that a thread read are kept: its columns come from them."""

    def __init__(self, where: str, dataset: Any) -> None:
        self.where, self._dataset, self._kept = where, dataset, threading.local()

    def __len__(self) -> int:
        return len(self._dataset)

    def item(self, row: int) -> dict[str, np.ndarray]:
        """One item: a dict by name, the fields of a named tuple, or the places of a tuple. Raises Refusal NS807 where it fails."""
        try:
            value = self._dataset[row]
        except Exception as error:  # whatever the code of others raises
            raise _failed(f"sample {row} of {self.where}", error) from None
        if hasattr(value, "_asdict"):
            value = value._asdict()
        if not isinstance(value, Mapping):
            value = {str(at): part for at, part in enumerate(value if isinstance(value, (tuple, list)) else (value,))}
        return {str(name): as_array(part) for name, part in value.items()}

    def rows(self, rows: np.ndarray) -> list[dict[str, np.ndarray]]:
        """Several items."""
        key = rows.tobytes()
        if getattr(self._kept, "key", None) != key:
            self._kept.key, self._kept.items = key, [self.item(int(row)) for row in rows]
        return self._kept.items


class Field:
    """One field of the items of a data set, as a raw column; all items have the shape of the first."""

    pixels, resident, block, window = True, False, 0, 0

    def __init__(self, items: Items, name: str, first: np.ndarray) -> None:
        self._items, self._name, self.dtype, self.sample = items, name, first.dtype, first.shape

    def __len__(self) -> int:
        return len(self._items)

    def at(self, row: int) -> str:
        """`sample 17`, from 0."""
        return f"sample {row}"

    def read(self, rows: np.ndarray) -> np.ndarray:
        """The field of these items, [len(rows), …]. Raises Refusal NS802 for one of another shape."""
        made = [item[self._name] for item in self._items.rows(rows)]
        for row, value in zip(rows, made):
            if value.shape != self.sample:
                told = f"`{self._name}` of sample {row} of {self._items.where} has shape {list(value.shape)}, the first {list(self.sample)}"
                raise Refusal("NS802", told)
        return np.stack(made) if made else np.zeros((0, *self.sample), self.dtype)


def as_array(value: Any) -> np.ndarray:
    """An array of what data sets hold: arrays, tensors, numbers, strings, and Pillow's images, whose channels come first."""
    if hasattr(value, "detach"):
        return value.detach().cpu().numpy()
    if hasattr(value, "convert") and hasattr(value, "getbands"):
        pixels = np.asarray(value)
        return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return np.asarray(value, object) if isinstance(value, str) else np.asarray(value)


def _failed(what: str, error: BaseException) -> Refusal:
    said = str(error).splitlines()[0][:200] if str(error) else ""
    return Refusal("NS807", f"{what} fails: {type(error).__name__}" + (f": {said}" if said else ""))
