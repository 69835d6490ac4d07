"""Mean and variance of a stored tensor's elements, from the distribution that its initializer comes to."""

from __future__ import annotations

import math
from functools import lru_cache

from netspec.graph import Tensor
from netspec.initializers import resolve
from netspec.initializers.distributions import (
    Constant,
    Dirac,
    Distribution,
    Eye,
    Normal,
    Orthogonal,
    Repeated,
    Sparse,
    TruncatedNormal,
    Uniform,
    Values,
)
from netspec.op import Initializer, Reject
from netspec.record import record


@record
class Law:
    """How a tensor starts: mean and variance of its elements; `drawn` where they are independent draws around their mean.

    `tails` is the relative variance of w²: 2 for normals, 0.8 for uniforms, 0 for rows of fixed length.
    `passes` is set for a kernel that hands its input through: the share of the outputs that receive one.
    `copies` is how many rows in succession are one and the same.
    """

    mean: float
    variance: float
    drawn: bool = True
    passes: float | None = None
    tails: float = 0.0
    copies: int = 1

    @property
    def second(self) -> float:
        """`E w²`."""
        return self.variance + self.mean * self.mean


def law_of(tensor: Tensor) -> Law | None:
    """The law of a stored tensor; None where its initializer does not fit it, or follows from another tensor."""
    return _law(tensor.init, tensor.shape, tensor.fan_in, tensor.fan_out)


@lru_cache(maxsize=4096)
def _law(init: Initializer, shape: tuple[int, ...], fan_in: float, fan_out: float) -> Law | None:
    try:
        found = resolve(init, shape, fan_in, fan_out)
    except Reject:
        return None
    return _moments(found, shape)


def _moments(law: Distribution, shape: tuple[int, ...]) -> Law | None:
    if isinstance(law, Constant):
        return Law(law.value, 0.0, drawn=False)
    if isinstance(law, Values):
        mean = sum(law.values) / len(law.values)
        return Law(mean, sum((value - mean) ** 2 for value in law.values) / len(law.values), drawn=False)
    if isinstance(law, Uniform):
        return Law((law.low + law.high) / 2, (law.high - law.low) ** 2 / 12, tails=0.8)
    if isinstance(law, Normal):
        return _with_zero_row(law, shape)
    if isinstance(law, TruncatedNormal):
        return _truncated(law)
    if isinstance(law, Orthogonal):
        rows = shape[0]
        return Law(0.0, law.gain**2 / max(rows, math.prod(shape[1:])))
    if isinstance(law, Sparse):
        kept = law.kept_per_row / shape[1] if law.kept_per_row is not None else 1 - (law.zeros_per_column or 0) / shape[0]
        return Law(0.0, law.std**2 * kept, tails=3 / kept - 1 if kept else 0.0)
    if isinstance(law, Dirac):
        rows = shape[0] // law.groups
        return Law(0.0, 0.0, drawn=False, passes=min(rows, shape[1]) / rows)
    if isinstance(law, Eye):
        return Law(0.0, 0.0, drawn=False, passes=min(shape) / shape[0])
    if isinstance(law, Repeated):
        one = _moments(law.law, (shape[0] // law.copies, *shape[1:]))
        return one and Law(one.mean, one.variance, one.drawn, one.passes, one.tails, law.copies)
    return None


def _with_zero_row(law: Normal, shape: tuple[int, ...]) -> Law:
    kept = 1.0 if law.zero_row is None else 1 - 1 / shape[0]
    mean = kept * law.mean
    return Law(mean, kept * (law.std**2 + law.mean**2) - mean * mean, drawn=law.std > 0, tails=2.0)


def _truncated(law: TruncatedNormal) -> Law:
    """Johnson, Kotz and Balakrishnan, "Continuous Univariate Distributions" 1, 1994, section 13.10."""
    low, high = (law.low - law.mean) / law.std, (law.high - law.mean) / law.std
    mass = (math.erf(high / math.sqrt(2)) - math.erf(low / math.sqrt(2))) / 2
    if mass <= 0:
        return Law(min(max(law.mean, law.low), law.high), 0.0, drawn=False)
    left, right = (math.exp(-z * z / 2) / math.sqrt(2 * math.pi) for z in (low, high))
    shift = (left - right) / mass
    variance = 1 + (low * left - high * right) / mass - shift * shift
    return Law(law.mean + law.std * shift, law.std**2 * max(variance, 0.0), tails=1.37 if mass < 0.98 else 2.0)
