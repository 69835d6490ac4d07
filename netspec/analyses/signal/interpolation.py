"""The weights of interpolation: what part of the variance of independent positions a mean of neighbours keeps."""

from __future__ import annotations

import math
from functools import lru_cache

from netspec import reach as r

#: positions along an axis from which on a sample of the outputs, evenly spread, stands for all
_SAMPLE = 64


def _cubic(x: float, a: float) -> float:
    """Keys' kernel, doi:10.1109/TASSP.1981.1163711."""
    x = abs(x)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


def _weights(look: r.Resample, n: int, m: int, position: int) -> list[float]:
    """The weights of the inputs that one output position is the mean of."""
    ratio = float(1 / look.scale) if look.scale else n / m
    if look.mode == "area":
        return [1.0] * (math.ceil((position + 1) * n / m) - math.floor(position * n / m))
    x = position * (n - 1) / max(m - 1, 1) if look.align_corners else (position + 0.5) * ratio - 0.5
    cubic = look.mode == "cubic"
    wide = max(ratio, 1.0) if look.antialias else 1.0
    reach = (2 if cubic else 1) * wide
    if not cubic and not look.antialias:
        x = max(x, 0.0)
    found: dict[int, float] = {}
    for i in range(math.floor(x - reach) + 1, math.ceil(x + reach)):
        distance = (i - x) / wide
        weight = _cubic(distance, -0.5 if look.antialias else -0.75) if cubic else max(1 - abs(distance), 0.0)
        if look.antialias and not 0 <= i < n:
            continue
        inside = min(max(i, 0), n - 1)
        found[inside] = found.get(inside, 0.0) + weight
    return list(found.values())


@lru_cache(maxsize=1024)
def kept(look: r.AxisReach, n: int, m: int) -> float:
    """The mean over outputs of the sum of squared weights: 1 for a copy, 1/k for a mean of k."""
    if isinstance(look, r.Adaptive):
        look = r.Resample(look.axis, "area")
    if not isinstance(look, r.Resample) or look.mode in ("nearest", "nearest-exact"):
        return 1.0
    step = max(1, m // _SAMPLE)
    squares = []
    for position in range(0, m, step):
        weights = _weights(look, n, m, position)
        total = sum(weights) or 1.0
        squares.append(sum((w / total) ** 2 for w in weights))
    return sum(squares) / len(squares)
