"""Arrays that a model stores, and those that can be computed from them now: what `fold` puts in place of nodes.

What is computed from weights is described, not made: a network's weights may be larger than memory. It is made when it is written, a
tensor at a time, from the tensors that it follows from; in the element type that the nodes had computed in, or rounded to it once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from math import prod

import numpy as np

from netspec.backends.onnx.model import Constant
from netspec.backends.span import Span
from netspec.backends.weights import Piece, Weights
from netspec.graph import Tensor
from netspec.record import record

#: The most elements of an array that is made now, where no weights are needed for it.
MOST_NOW = 1 << 16


@record
class Stored:
    """An array of known type and shape."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many elements it has."""
        return prod(self.shape)


@record
class Given(Stored):
    """A weight as it is."""

    tensor: Tensor


@record
class Known(Stored):
    """An array that is known now."""

    values: np.ndarray


@record
class Computed(Stored):
    """What `compute` makes of the arrays of `sources`."""

    sources: tuple[Stored, ...]
    compute: Callable[..., np.ndarray]


def given(tensor: Tensor) -> Given:
    """A weight of the network."""
    return Given(tensor.dtype, tensor.shape, tensor)


def known(constant: Constant) -> Known | None:
    """A constant of the model; None for one of an element type that NumPy has not."""
    if constant.dtype == "bfloat16":
        return None
    values = np.frombuffer(constant.raw, np.dtype(constant.dtype).newbyteorder("<")).astype(constant.dtype)
    return Known(constant.dtype, constant.shape, values.reshape(constant.shape))


def computed(dtype: str, shape: tuple[int, ...], sources: tuple[Stored, ...], compute: Callable[..., np.ndarray]) -> Stored:
    """What `compute` makes of other arrays: made now, where all of them are known and the result is small."""
    promise = Computed(dtype, shape, sources, compute)
    if prod(shape) > MOST_NOW or not all(isinstance(source, Known) for source in sources):
        return promise
    return Known(dtype, shape, _made(promise, {}, None))


def constant(name: str, array: Known) -> Constant:
    """A known array as a constant of the model."""
    raw = np.ascontiguousarray(array.values).astype(np.dtype(array.dtype).newbyteorder("<")).tobytes()
    return Constant(name, array.dtype, array.shape, raw)


def origins(array: Stored) -> Iterator[Tensor]:
    """The weights that an array follows from."""
    if isinstance(array, Given):
        yield array.tensor
    elif isinstance(array, Computed):
        for source in array.sources:
            yield from origins(source)


def _made(array: Stored, done: dict[int, np.ndarray], weights: Weights | None) -> np.ndarray:
    """The array itself; `done` are those that were made on the way."""
    if isinstance(array, Known):
        return array.values
    found = done.get(id(array))
    if found is None:
        if isinstance(array, Given):
            assert weights is not None
            found = weights.array(array.tensor)
        else:
            assert isinstance(array, Computed)
            with np.errstate(all="ignore"):  # as in the runtime: an infinity is a value like any other
                found = array.compute(*(_made(source, done, weights) for source in array.sources))
            found = np.asarray(found).astype(array.dtype, copy=False).reshape(array.shape)
        done[id(array)] = found
    return found


@record
class Folded(Weights):
    """The weights of a model of which some are computed from those that were."""

    original: Weights
    computed: Mapping[str, Stored]

    def pieces(self, tensor: Tensor) -> Iterator[Piece]:
        """A computed tensor in one part, others as they were."""
        array = self.computed.get(tensor.name)
        if array is None:
            yield from self.original.pieces(tensor)
        else:
            yield Piece(prod(tensor.shape), lambda: np.ascontiguousarray(_made(array, {}, self.original)).reshape(-1))

    def span(self, tensor: Tensor) -> Span | None:
        """Where an unchanged tensor lies in a file."""
        return None if tensor.name in self.computed else self.original.span(tensor)
