"""What a stored tensor starts as, resolved: plain distributions with their numbers, nothing left to look up.

`initializers` makes these from an initializer, a shape and fans; the back ends draw from them.
"""

from __future__ import annotations

from typing import Union

from netspec.record import record


@record
class Constant:
    """Every element is `value`."""

    value: float


@record
class Uniform:
    """Independent, uniform in [low, high)."""

    low: float
    high: float


@record
class Normal:
    """Independent, normal; but row `zero_row` is zero."""

    mean: float
    std: float
    zero_row: int | None = None


@record
class TruncatedNormal:
    """Independent, normal, drawn again until it lies in [low, high]. `mean` and `std` are those before the cut."""

    mean: float
    std: float
    low: float
    high: float


@record
class Orthogonal:
    """Flattened to `shape[0]` rows: orthonormal rows or columns (whichever are fewer), times `gain`."""

    gain: float


@record
class Sparse:
    """A matrix `[out, in]` of independent normals with most of them zero.

    `zeros_per_column`: that many of each column's elements are zero (torch's rule). `kept_per_row`: that many of each
    row's elements are not (Martens' rule). Exactly one of the two is given.
    """

    std: float
    zeros_per_column: int | None = None
    kept_per_row: int | None = None


@record
class Dirac:
    """The convolution kernel that hands its input through, in each of `groups`: 1 at the centre tap of equal channels."""

    groups: int


@record
class Eye:
    """The identity matrix, cut or filled with zeros to the shape."""


@record
class Values:
    """These numbers, in row-major order."""

    values: tuple[float, ...]


@record
class Repeated:
    """Along the first axis in runs of `copies` that are equal: a tensor of so many times fewer rows of `law`, spread out."""

    law: Distribution
    copies: int


@record
class NormOf:
    """The Euclidean lengths of a sibling tensor's slices along `axis` (None: of the whole)."""

    tensor: str
    axis: int | None


@record
class SingularVector:
    """The first singular vector (left or right) of a sibling tensor, a matrix whose rows are the indices along `axis`."""

    tensor: str
    axis: int
    left: bool


Distribution = Union[Constant, Uniform, Normal, TruncatedNormal, Orthogonal, Sparse, Dirac, Eye, Values, Repeated, NormOf, SingularVector]
