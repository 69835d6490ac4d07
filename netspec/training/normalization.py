"""Normalization of inputs by statistics of the training data: measured once, applied to columns or batches, stored with the weights.

Statistics are of the training indices alone, in float64: pieces of the data are summed about their own mean and joined by the formula of
Chan, Golub and LeVeque (1979, "Updating formulae and a pairwise algorithm for computing sample variances"), which is as exact for a mean
of a million as for one of zero. The numbers are applied in the element type of the input, by the operations that `backends.normalization`
puts into a graph, so that both give the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from netspec.backends.normalization import FLOATS, Affine, Facts, Log, Normalized, Step, check_facts, parse_facts
from netspec.diagnostics.model import Refusal
from netspec.graph import Graph
from netspec.recipe import normalizations as recipe
from netspec.recipe.entry import Entry
from netspec.recipe.section import Section
from netspec.sizes.tensor import TensorType

if TYPE_CHECKING:
    from netspec.training.data.table import Column, Table

#: how many numbers are read at a time
_PIECE = 1 << 22
#: deviations and ranges that are smaller are none: float32 has no more of them
_LEAST = 1e-30


class Normalization:
    """What is done to each input. It changes nothing where the section asks for nothing."""

    def __init__(self, facts: Facts) -> None:
        """`facts` are the steps by input; what training has already done to pixels is among them, and not done again."""
        self.facts = facts
        self._steps = {name: one.steps for name, one in facts.inputs.items() if one.steps}
        self._constants: dict[tuple[str, int, torch.device, torch.dtype], tuple[torch.Tensor, torch.Tensor]] = {}

    @classmethod
    def parse(cls, text: str) -> Normalization:
        """From the metadata of a weights file. Raises Refusal NS840 for anything that `metadata` did not write."""
        return cls(parse_facts(text))

    def metadata(self) -> str:
        """As JSON, for the metadata of a weights file (`backends.normalization.KEY`)."""
        return self.facts.write()

    @property
    def inputs(self) -> tuple[str, ...]:
        """The inputs whose numbers are changed."""
        return tuple(self._steps)

    def apply(self, batch: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The batch with its inputs normalized; the tensors given are left as they are."""
        made = dict(batch)
        for name, steps in self._steps.items():
            if name in made:
                for number, step in enumerate(steps):
                    made[name] = self._tensor(made[name], (name, number), step)
        return made

    def apply_column(self, name: str, array: np.ndarray) -> np.ndarray:
        """A column `[N, …]`, or a part of one, normalized: a new array. Raises Refusal NS842 for a number that has no logarithm."""
        for step in self._steps.get(name, ()):
            array = _applied(array, step, name)
        return array

    def apply_table(self, table: Table) -> Table:
        """The table with its columns normalized, which must all be in memory (`table.resident`)."""
        arrays = {name: table.columns[name].array for name in self._steps if name in table.columns}
        return table.with_arrays({name: self.apply_column(name, array) for name, array in arrays.items() if array is not None})

    def _tensor(self, x: torch.Tensor, key: tuple[str, int], step: Step) -> torch.Tensor:
        if isinstance(step, Log):
            return torch.log(x + step.offset)
        place = (*key, x.device, x.dtype)
        if place not in self._constants:
            shift, scale = (torch.from_numpy(part.copy()).to(x.device, x.dtype) for part in step.along(x.dim()))
            self._constants[place] = shift, scale
        shift, scale = self._constants[place]
        return torch.sub(x, shift).div_(scale)


def _applied(array: np.ndarray, step: Step, name: str) -> np.ndarray:
    if isinstance(step, Log):
        moved = array + array.dtype.type(step.offset)
        if not (moved > 0).all():
            least = float(array[~(moved > 0)].min(initial=np.inf))
            helps = (f"log(offset = …) with more than {-least:g}",) if np.isfinite(least) else ()
            raise Refusal("NS842", f"`{name}` has numbers such as {least:g}, and `log` is of x + {step.offset:g}", helps=helps)
        return np.log(moved, out=moved)
    shift, scale = (part.astype(array.dtype) for part in step.along(array.ndim))
    moved = array - shift
    return np.divide(moved, scale, out=moved)


def measure(table: Table, indices: np.ndarray, graph: Graph, section: Section) -> Normalization:
    """The normalization that a section asks for, by the rows `indices` of the training data. Raises Refusal NS842 where it cannot be.

    An entry is for the inputs whose name its pattern matches, or, without one, for all of floating-point numbers."""
    kinds = {port.name: graph.values[port.value].type for port in graph.inputs}
    for pattern, entry in section.normalize:
        meant = [name for name in kinds if fnmatchcase(name, pattern)]
        if pattern and not any(kinds[name].dtype in FLOATS for name in meant):
            what = f"whose numbers are {kinds[meant[0]].dtype}" if meant else f"which is no input of {graph.name}"
            raise Refusal("NS842", f"`{entry.NAME}` is asked for `{pattern}`, {what}")
    rows = np.sort(np.asarray(indices, np.int64))
    found = {}
    for name, kind in kinds.items():
        if kind.dtype in FLOATS:
            column, steps = table.columns[name], []
            for entry in (entry for to, entry in section.normalize if not to or fnmatchcase(name, to)):
                steps.append(_step(entry, name, kind, column, rows, tuple(steps)))
            one = Normalized(tuple(steps), column.conversion.scale)
            if not one.nothing:
                found[name] = one
    return Normalization(Facts(found))


def inherited(facts: Facts, table: Table, graph: Graph) -> Normalization:
    """The normalization that weights were trained with, for a section that goes on from them. Raises Refusal NS840 where it is of other
    inputs. Whether numbers are grey values, divided by 255 before the first step, is what these data say."""
    check_facts(graph, facts)
    found = {}
    for port in graph.inputs:
        if graph.values[port.value].type.dtype in FLOATS:
            steps = facts.inputs[port.name].steps if port.name in facts.inputs else ()
            one = Normalized(steps, table.columns[port.name].conversion.scale)
            if not one.nothing:
                found[port.name] = one
    return Normalization(Facts(found))


def _step(entry: Entry, name: str, kind: TensorType, column: Column, rows: np.ndarray, before: tuple[Step, ...]) -> Step:
    """One step, measured on what those before it make of the data."""
    if isinstance(entry, recipe.Log):
        return Log(entry.offset)
    assert isinstance(entry, (recipe.Standardize, recipe.MinMax))
    axis = _axis(entry.per, name, kind)
    if isinstance(entry, recipe.Standardize) and entry.mean is not None:
        return _given(entry, name, kind, axis)
    moments = Moments(axis if axis is None or axis == 1 else -1)
    for piece in _pieces(column, rows):
        for step in before:
            piece = _applied(piece, step, name)
        moments.add(piece)
    if not np.isfinite(moments.variance).all() or moments.count == 0:
        raise Refusal("NS842", f"`{entry.NAME}` of `{name}` cannot be measured: its numbers are not all finite")
    return moments.standard(axis) if isinstance(entry, recipe.Standardize) else moments.spread(axis, entry.low, entry.high)


def _axis(per: str, name: str, kind: TensorType) -> int | None:
    """The axis whose positions have statistics of their own."""
    if per == "all" or kind.rank < 2:
        return None
    axis = 1 if per == "channel" else kind.rank - 1
    if not isinstance(kind.shape[axis], int):
        message = f"`{name}` is {kind}, and statistics for each position of axis {axis} need a size that does not change"
        raise Refusal("NS842", message, helps=("per = feature, for [N, T, F]; or per = all",))
    return axis


def _given(entry: recipe.Standardize, name: str, kind: TensorType, axis: int | None) -> Affine:
    """Statistics that the section has itself."""
    mean = entry.mean if isinstance(entry.mean, tuple) else (entry.mean,)
    std = entry.std if isinstance(entry.std, tuple) else (entry.std,)
    count = max(len(mean), len(std))
    if count > 1 and (axis is None or kind.shape[axis] != count):
        raise Refusal("NS842", f"`standardize` has {count} means or deviations, and `{name}` is {kind}")
    one = len(mean) == len(std) == 1
    return Affine(_repeated(mean, count), _repeated(std, count), None if one else axis)  # type: ignore[arg-type]


def _repeated(values: tuple[Any, ...], count: int) -> tuple[float, ...]:
    return tuple(map(float, values * count if len(values) == 1 else values))


def _pieces(column: Column, rows: np.ndarray) -> Iterator[np.ndarray]:
    """The column piece by piece, as the network is fed; without what fills up samples of unequal length: `[positions, …]` then."""
    per_sample = max(1, column.nbytes // max(len(column), 1) // column.conversion.numpy.itemsize)
    many = max(1, _PIECE // per_sample)
    lengths = getattr(column.raw, "lengths", None) if column.uneven else None
    for start in range(0, len(rows), many):
        some = rows[start : start + many]
        values = column.take(some)
        yield values if lengths is None else values[np.arange(values.shape[1]) < lengths[some][:, None]]


class Moments:
    """Mean, variance, least and largest of numbers that come in pieces, along an axis (None: of all).

    They are counted from the mean of the first piece, so that a mean far from 0 costs no digits of the variance.
    """

    def __init__(self, axis: int | None) -> None:
        self.axis, self.count = axis, 0
        self._origin: Any = None
        self._mean: Any = 0.0
        self.squares: Any = 0.0
        self.least: Any = np.inf
        self.largest: Any = -np.inf

    def add(self, piece: np.ndarray) -> None:
        """One more piece."""
        if not piece.size:
            return
        axis = None if self.axis is None else self.axis % piece.ndim
        others = tuple(a for a in range(piece.ndim) if a != axis)
        values = piece.astype(np.float64)
        count = values.size // (1 if axis is None else values.shape[axis])
        self.least = np.minimum(self.least, values.min(axis=others))
        self.largest = np.maximum(self.largest, values.max(axis=others))
        if self._origin is None:
            self._origin = values.mean(axis=others, keepdims=True)
        values -= self._origin
        mean = values.mean(axis=others, keepdims=True)
        values -= mean
        squares, mean = np.square(values, out=values).sum(axis=others), mean.reshape(-1) if axis is not None else mean.reshape(())
        total = self.count + count
        distance = mean - self._mean
        self._mean = self._mean + distance * (count / total)
        self.squares = self.squares + squares + distance**2 * (self.count * count / total)
        self.count = total

    @property
    def mean(self) -> Any:
        """The mean; 0 of nothing."""
        return 0.0 if self._origin is None else self._origin.reshape(np.shape(self._mean)) + self._mean

    @property
    def variance(self) -> np.ndarray:
        """Of the population: divided by the count."""
        return np.asarray(self.squares / max(self.count, 1))

    def standard(self, axis: int | None) -> Affine:
        """The step to mean 0 and variance 1; numbers that are all equal, to within rounding, are moved to 0 alone."""
        eps = np.finfo(np.float64).eps
        constant = self.variance <= self.count * eps * self.variance + (self.count * self.mean * eps) ** 2
        return _affine(self.mean, np.where(constant | (self.variance < _LEAST**2), 1.0, np.sqrt(self.variance)), axis)

    def spread(self, axis: int | None, low: float, high: float) -> Affine:
        """The step that moves the least number to `low` and the largest to `high`."""
        scale = np.asarray((self.largest - self.least) / (high - low))
        scale = np.where(scale > _LEAST, scale, 1.0)
        return _affine(self.least - low * scale, scale, axis)


def _affine(shift: Any, scale: Any, axis: int | None) -> Affine:
    return Affine(tuple(np.ravel(shift).tolist()), tuple(np.ravel(scale).tolist()), axis)
