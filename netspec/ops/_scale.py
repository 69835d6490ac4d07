"""Scale factors as torch understands them: in doubles for sizes, in single precision for positions.

A factor is a decimal in the spec, a double in torch. As long as the two agree for every size, an open size scales by an
exact fraction. Positions are rounded to float32 by both engines, each in its own way: on whole-numbered positions that
decides between two neighbours, so it is computed here, not assumed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction
from functools import lru_cache
from itertools import islice

from netspec.sizes.dim import Size

#: up to which length of an axis an open size is promised to scale as torch does
LONGEST = 1 << 16
#: up to which position both engines are compared where the size is open
_POSITIONS = 1 << 12
_SHORT = 40


def single(value: float) -> float:
    """The float32 nearest to a number."""
    rounded: float = struct.unpack("f", struct.pack("f", value))[0]
    return rounded


def _above(value: float, steps: int) -> float:
    """The float32 that lies `steps` above (below, if negative) a positive float32."""
    (bits,) = struct.unpack("i", struct.pack("f", value))
    neighbour: float = struct.unpack("f", struct.pack("i", bits + steps))[0]
    return neighbour


@lru_cache(maxsize=None)
def fraction(scale: float) -> Fraction:
    """The simplest fraction that rounds to the double `scale`: 2.3 is 23/10, 0.333… is 1/3."""
    low, high = Fraction(0), None
    exact = Fraction(scale)
    whole = exact.numerator // exact.denominator
    low, high = Fraction(whole), Fraction(whole + 1)
    if float(low) == scale:
        return low
    while True:  # the Stern-Brocot tree, where simpler fractions come first
        middle = Fraction(low.numerator + high.numerator, low.denominator + high.denominator)
        if float(middle) == scale:
            return middle
        low, high = (middle, high) if middle < exact else (low, middle)


def scaled(size: Size, scale: float) -> Size:
    """`floor(size * scale)`, in doubles as torch does for a number, by the exact fraction for an open size."""
    if isinstance(size, int):
        return int(size * float(scale))
    factor = fraction(float(scale))
    return factor.numerator * size // factor.denominator


@lru_cache(maxsize=None)
def first_disagreement(scale: float) -> int | None:
    """The least size up to `LONGEST` for which torch's double and the exact fraction give other lengths.

    Only multiples of the denominator can differ: there the product is whole, and the double may fall short of it.
    """
    factor = fraction(float(scale))
    sizes = range(factor.denominator, LONGEST + 1, factor.denominator)
    return next((n for n in sizes if int(n * float(scale)) != factor * n), None)


def onnx_scale(scale: float, size: Size, length: Size) -> float | None:
    """A float32 nearest to `scale` for which onnxruntime's `floor(size * scale)` in float32 is `length`; None if none is.

    For an open size it is not below the exact fraction: then the product never falls short of a whole number.
    """
    nearest = single(scale)
    if isinstance(size, int):
        candidates = (_above(nearest, steps) for steps in (0, 1, -1, 2, -2, 3, -3))
        return next((c for c in candidates if int(single(size * c)) == length), None)
    return nearest if Fraction(nearest) >= fraction(float(scale)) else _above(nearest, 1)


def torch_positions(size: int, length: int, scale: float | None, exact: bool, picture: bool) -> Iterator[int]:
    """For each output position, which input position torch's `nearest` (`nearest-exact`) takes.

    On a `picture` (rank 4) `nearest` looks at the lengths before it looks at the factor: equal and doubled ones are exact.
    PyTorch, aten/src/ATen/native/UpSample.h: `nearest_idx` and `nearest_neighbor_exact_compute_source_index`.
    """
    ratio = single(size / length if scale is None else 1 / scale)
    if picture and not exact and length in (size, 2 * size):
        ratio = 1.0 if length == size else 0.5
    for position in range(length):
        yield min(int(single((position + 0.5 if exact else position) * ratio)), size - 1)


def onnx_positions(size: int, length: int, factor: float, exact: bool) -> Iterator[int]:
    """The same of onnxruntime's Resize: asymmetric and floor, or half_pixel and round_prefer_ceil."""
    for position in range(length):
        if exact:
            centre = single(single((position + 0.5) / factor) - 0.5)
            yield min(max(int(centre + 0.5), 0), size - 1)
        else:
            yield min(int(single(position / factor)), size - 1)


@lru_cache(maxsize=4096)
def nearest_agrees(size: int | None, length: int | None, scale: float | None, factor: float, exact: bool, picture: bool) -> bool:
    """Whether Resize by `factor` takes the positions that torch takes; for every size and length where they are None."""
    if size is not None and length is not None:
        return _same(size, length, scale, factor, exact, picture)
    if scale is None:
        return False
    lengths = ((n, int(n * scale)) for n in (*range(1, _SHORT), _POSITIONS))
    return all(_same(n, m, scale, factor, exact, picture) for n, m in lengths if m)


def _same(size: int, length: int, scale: float | None, factor: float, exact: bool, picture: bool) -> bool:
    wanted = tuple(islice(torch_positions(size, length, scale, exact, picture), _POSITIONS))
    if length == size and wanted != tuple(range(len(wanted))):  # where no axis changes its length, onnxruntime copies
        return False
    return wanted == tuple(islice(onnx_positions(size, length, factor, exact), _POSITIONS))
