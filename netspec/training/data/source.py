"""What a file or folder turned out to hold: raw columns by the names they have there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from netspec.diagnostics.model import Refusal
from netspec.record import record
from netspec.training.data.raw import Raw, Stored, Uneven


@record
class Source:
    """Raw columns of `where`. `tabular`: they are columns of a table, of which several may make one input. `loose`: the file gives them
    no names, so each is what it alone can be (a single `.npy`, a folder a class). `positional`: they have numbers for names, and are
    the inputs in their order, then the targets."""

    where: str
    columns: Mapping[str, Raw]
    tabular: bool = False
    loose: bool = False
    positional: bool = False


class Lazy(Mapping[str, Raw]):
    """Raw columns by name, each made when it is first asked for; `NAME.lengths` besides for those of unequal length."""

    def __init__(self, names: Iterable[str], make: Callable[[str], Raw]) -> None:
        self._names, self._make = tuple(names), make
        self._made: dict[str, Raw] = {}

    def __getitem__(self, name: str) -> Raw:
        if name not in self._made:
            stem = name.removesuffix(".lengths")
            if name in self._names:
                self._made[name] = self._make(name)
            elif stem != name and stem in self._names and isinstance(whole := self[stem], Uneven):
                self._made[name] = Stored(whole.lengths, pixels=False)
            else:
                raise KeyError(name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._names
        yield from (f"{n}.lengths" for n in self._names if isinstance(self._made.get(n), Uneven) and f"{n}.lengths" not in self._names)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def from_arrays(where: str, arrays: Mapping[str, Any], plain: Callable[[str, Any], Raw] | None = None) -> Source:
    """Arrays by name, samples first. `tokens` with `tokens.lengths`, whose sum is its length, are samples of unequal length laid end
    to end. `plain` makes the raw column of what is no NumPy array. A column raises Refusal when it is asked for: NS804 for lengths
    that fit nothing, NS802 for a scalar, NS803 for objects that are neither strings nor arrays."""

    def make(name: str) -> Raw:
        array, lengths = arrays[name], arrays.get(f"{name}.lengths")
        if array.ndim == 0:
            raise Refusal("NS802", f"`{name}` of {where} is a single value, with no axis of samples")
        if lengths is not None and len(lengths) != len(array):
            return laid_out(where, name, np.asarray(array), np.asarray(lengths))
        if plain is not None:
            return plain(name, array)
        return of_objects(where, name, array) if array.dtype.hasobject else Stored(array, resident=not isinstance(array, np.memmap))

    return Source(where, Lazy(arrays, make), loose=len(arrays) == 1)


def laid_out(where: str, name: str, flat: np.ndarray, lengths: np.ndarray) -> Uneven:
    """Samples laid end to end, with their lengths, which are held against each other."""
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or (lengths < 0).any() or int(lengths.sum()) != len(flat):
        said = f"`{name}.lengths` of {where} does not tell the lengths of `{name}`, which has {len(flat):,} elements"
        raise Refusal("NS804", said, helps=("lengths are whole numbers, one a sample, whose sum is the number of elements",))
    return Uneven(flat, lengths.astype(np.int64))


def of_objects(where: str, name: str, objects: np.ndarray) -> Raw:
    """An array of strings, or of arrays that differ in the length of their first axis."""
    if objects.ndim == 1 and all(isinstance(item, str) for item in objects):
        return Stored(objects)
    try:
        parts = [np.asarray(item) for item in objects]
        flat = np.concatenate(parts) if parts else np.zeros(0)
        if flat.dtype.hasobject:
            raise ValueError
        return Uneven(flat, np.array([len(part) for part in parts], np.int64))
    except (ValueError, TypeError):
        raise Refusal("NS803", f"`{name}` of {where} holds objects that are neither strings nor arrays of one kind") from None


def described(raw: Raw) -> str:
    """A column in a word: `float32 [1797, 8, 8]`."""
    kind = "strings" if raw.dtype.kind in "OUS" else str(raw.dtype)
    return f"{kind} [{', '.join(['?' if size is None else str(size) for size in (len(raw), *raw.sample)])}]"
