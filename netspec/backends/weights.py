"""Initial weights: every tensor a function of (seed, name), whatever the order, the thread, the process or the back end.

The draw, exactly. The key is the 128-bit BLAKE2b digest of `netspec weights 1`, the seed in decimal and the tensor's name
in UTF-8, joined by zero bytes; it keys NumPy's counter-based Philox4x64-10 (Salmon et al., "Parallel random numbers: as easy
as 1, 2, 3", SC 2011). Independent elements come in blocks of `BLOCK` in row-major order, block b with its counter starting at
b * 2^192, so that blocks can be drawn apart and never overlap. Elements are drawn in float32 (float64 for float64 tensors):
normals by NumPy's ziggurat, uniforms in steps of 2^-24. Structured laws (orthogonal, sparse) are drawn whole, in float64,
from block 0, and rounded once. Of repeated kernels (icnr) the first are drawn, as one smaller tensor of that name. NumPy
keeps streams within a version of its `Generator` (NEP 19); `tests/backends/weights` pins digests, so that a change is seen.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from netspec.backends.draw import derived, fill, structured
from netspec.diagnostics.model import Refusal
from netspec.graph import Graph, Tensor
from netspec.initializers import resolve
from netspec.initializers.distributions import (
    Constant,
    Distribution,
    Normal,
    NormOf,
    Repeated,
    SingularVector,
    TruncatedNormal,
    Uniform,
    Values,
)
from netspec.op import Reject
from netspec.record import record

if TYPE_CHECKING:
    from netspec.backends.span import Span

#: Elements drawn from one counter range: 4 MiB of float32.
BLOCK = 1 << 20


@record
class Piece:
    """A part of a tensor: the next `count` elements in row-major order, which `make` gives flat, in the tensor's dtype."""

    count: int
    make: Callable[[], np.ndarray]


class Weights(ABC):
    """Where a back end takes weights from: drawn, read from a file, or given."""

    @abstractmethod
    def pieces(self, tensor: Tensor) -> Iterator[Piece]:
        """The parts of the tensor, in order; each may be made in any thread, at any time."""

    def span(self, tensor: Tensor) -> Span | None:
        """Where the tensor lies in a file, in its own element type, just as it would be written; None where it lies nowhere so."""
        return None

    def array(self, tensor: Tensor) -> np.ndarray:
        """The whole tensor, in its shape and dtype (bfloat16 as the uint16 of its bits); the caller's own copy."""
        return _joined(tensor, self.pieces(tensor))


def _joined(tensor: Tensor, pieces: Iterator[Piece]) -> np.ndarray:
    out = np.empty(math.prod(tensor.shape), "uint16" if tensor.dtype == "bfloat16" else tensor.dtype)
    start = 0
    for piece in pieces:
        out[start : start + piece.count] = piece.make()
        start += piece.count
    return out.reshape(tensor.shape)


class _Key(np.random.bit_generator.ISeedSequence):
    """Hands Philox its key. (Its own `key` argument does the same after asking the system for entropy: four times as slow.)"""

    def __init__(self, digest: bytes) -> None:
        self.words = np.frombuffer(digest, "<u8").astype(np.uint64)

    def generate_state(self, n_words: int, dtype: type = np.uint64) -> np.ndarray:
        """The two words of the key, all that Philox asks for."""
        return self.words


@record
class Initial(Weights):
    """The weights that a seed gives (any integer). `siblings` are the network's tensors by name: some follow from others."""

    seed: int = 0
    siblings: Mapping[str, Tensor] = field(default_factory=dict)

    def pieces(self, tensor: Tensor) -> Iterator[Piece]:
        """One part for a small or structured tensor, else one for every `BLOCK` elements."""
        return self._pieces(tensor, distribution(tensor))

    def _pieces(self, tensor: Tensor, law: Distribution) -> Iterator[Piece]:
        count = math.prod(tensor.shape)
        if isinstance(law, Values):
            yield Piece(count, lambda: np.array(law.values, tensor.dtype))
            return
        if isinstance(law, Repeated):
            yield Piece(count, lambda: self._repeated(tensor, law).reshape(-1))
            return
        if isinstance(law, (NormOf, SingularVector)):
            yield Piece(count, lambda: self._derived(tensor, law).astype(tensor.dtype).reshape(-1))
            return
        if not isinstance(law, (Constant, Uniform, Normal, TruncatedNormal)):
            yield Piece(count, lambda: structured(tensor.shape, law, self._stream(tensor, 0)).astype(tensor.dtype).reshape(-1))
            return
        for block in range(math.ceil(count / BLOCK)):
            size = min(BLOCK, count - block * BLOCK)
            yield Piece(size, partial(self._block, tensor, law, block, size))

    def _block(self, tensor: Tensor, law: Constant | Uniform | Normal | TruncatedNormal, block: int, count: int) -> np.ndarray:
        if isinstance(law, Constant):
            return np.full(count, law.value, tensor.dtype)
        drawn = np.empty(count, "float64" if tensor.dtype == "float64" else "float32")
        fill(drawn, law, self._stream(tensor, block))
        if isinstance(law, Normal) and law.zero_row is not None:
            width = math.prod(tensor.shape[1:])
            start = law.zero_row * width - block * BLOCK
            drawn[max(start, 0) : max(start + width, 0)] = 0
        return drawn.astype(tensor.dtype, copy=False)

    def _repeated(self, tensor: Tensor, law: Repeated) -> np.ndarray:
        smaller = tensor.model_copy(update={"shape": (tensor.shape[0] // law.copies, *tensor.shape[1:])})
        return np.repeat(_joined(smaller, self._pieces(smaller, law.law)), law.copies, axis=0)

    def _derived(self, tensor: Tensor, law: NormOf | SingularVector) -> np.ndarray:
        name = tensor.name.removesuffix(tensor.local) + law.tensor
        if name not in self.siblings:
            raise Refusal("NS602", f"{tensor.name} starts from {name}, which is not there")
        return derived(tensor.shape, law, self.array(self.siblings[name]))

    def _stream(self, tensor: Tensor, block: int) -> np.random.Generator:
        label = b"\0".join((b"netspec weights 1", str(self.seed).encode(), tensor.name.encode()))
        key = _Key(blake2b(label, digest_size=16).digest())
        return np.random.Generator(np.random.Philox(key, counter=np.array((0, 0, 0, block), np.uint64)))


@record
class Arrays(Weights):
    """Weights that the caller has, by name; what is missing is drawn from `otherwise`, or refused (NS605)."""

    arrays: Mapping[str, np.ndarray]
    otherwise: Weights | None = None

    def pieces(self, tensor: Tensor) -> Iterator[Piece]:
        """One part. Raises Refusal: NS605 for a missing tensor, NS604 for one of another shape or dtype."""
        array = self.arrays.get(tensor.name)
        if array is None:
            if self.otherwise is None:
                raise Refusal("NS605", f"no value was given for {tensor.name}")
            yield from self.otherwise.pieces(tensor)
            return
        if array.shape != tensor.shape or str(array.dtype) != tensor.dtype:
            theirs = f"{array.dtype} {list(array.shape)}"
            raise Refusal("NS604", f"{tensor.name} is {tensor.dtype} {list(tensor.shape)}, but {theirs} was given")
        yield Piece(array.size, lambda: np.ascontiguousarray(array).reshape(-1))


def arrays_of(graph: Graph, weights: Weights) -> dict[str, np.ndarray]:
    """All tensors of a network by name, in the order of its state dict."""
    return {tensor.name: weights.array(tensor) for tensor in graph.weights}


def generate(tensor: Tensor, seed: int) -> np.ndarray:
    """The initial value of a tensor, as an array of its shape and dtype."""
    return Initial(seed).array(tensor)


def distribution(tensor: Tensor) -> Distribution:
    """What the tensor is drawn from. Raises Refusal NS602 where its initializer does not fit it."""
    if tensor.dtype == "bfloat16":
        raise Refusal(
            "NS603", f"{tensor.name} is bfloat16, which cannot be drawn", helps=("keep weights in float32 and convert the model",)
        )
    try:
        return resolve(tensor.init, tensor.shape, tensor.fan_in, tensor.fan_out)
    except Reject as error:
        helps = (error.help,) if error.help else ()
        raise Refusal("NS602", f"{tensor.name} cannot start as {tensor.init}: {error}", helps=helps) from None
