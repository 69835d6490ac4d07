"""The weights of interpolation along one axis: whose squares say how much of a gradient comes through."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache

from netspec import reach as r


@lru_cache(maxsize=4096)
def interpolation_weights(look: r.Resample, position: int, taps: tuple[int, ...], n: int, m: int) -> tuple[float, ...]:
    """The weights of an interpolation's taps at an output position, borders aside; they sum to 1.

    Cubic: Keys 1981, doi:10.1109/TASSP.1981.1163711, with a = -0.75, and -0.5 where antialiased, as in PyTorch.
    """
    if look.mode not in ("linear", "cubic"):
        return (1 / len(taps),) * len(taps)
    if look.align_corners:
        ratio = Fraction(n - 1, max(m - 1, 1))
    else:
        ratio = 1 / look.scale if look.scale is not None else Fraction(n, m)
    centred = not look.align_corners or look.antialias
    x = (position + Fraction(1, 2)) * ratio - Fraction(1, 2) if centred else position * ratio
    width = max(float(ratio), 1.0) if look.antialias else 1.0
    kernel = _linear if look.mode == "linear" else _cubic
    weights = [kernel(abs(float(tap - x)) / width, look.antialias) for tap in taps]
    total = math.fsum(weights)
    return tuple(w / total for w in weights)


def _linear(t: float, _: bool) -> float:
    return max(0.0, 1.0 - t)


def _cubic(t: float, antialias: bool) -> float:
    a = -0.5 if antialias else -0.75
    if t < 1:
        return ((a + 2) * t - (a + 3)) * t * t + 1
    return (((t - 5) * t + 8) * t - 4) * a if t < 2 else 0.0
