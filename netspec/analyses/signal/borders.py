"""How windows meet the borders: which share of the taps of a convolution lies on its input, position by position.

Zero padding makes the borders weaker. With all positions alike, a kernel of 3 on 7 positions keeps 19 of its 21 taps; but after
one such layer the borders are weaker already, and the second loses less of what there is. So the profile along each axis is
kept, as if the axes were independent, forwards for the signal and backwards for the gradient.

What two positions have in common they have through the taps that both have: of a tap that a share φ of the positions has, φ² of
the pairs. So borders, and the phases of a transposed convolution, make positions differ even where examples do not.
"""

from __future__ import annotations

from functools import lru_cache

from netspec import reach as r
from netspec.record import record

#: relative second moment by position (mean 1); None: the same everywhere
Row = "tuple[float, ...] | None"

#: axes longer than this are taken for uniform: the share of their borders is below a hundredth a layer
_LONGEST = 1024


def _flattened(found: list[float]) -> tuple[float, tuple[float, ...] | None]:
    """The mean, and the profile relative to it; None where it is flat."""
    mean = sum(found) / len(found)
    if mean <= 0 or max(found) - min(found) <= 1e-9 * mean:
        return mean, None
    return mean, tuple(p / mean for p in found)


@record
class Taps:
    """One axis of a window: the mean number of taps on the input, weighted by its profile; that of the taps which two positions
    share; the profile of the output."""

    count: float
    shared: float
    row: tuple[float, ...] | None = None


@lru_cache(maxsize=4096)
def forward(look: r.AxisReach, n: int, m: int, row: tuple[float, ...] | None) -> Taps:
    """What an axis of n positions makes of m. `look` is a window or a transposed window; anything else has one tap."""
    if isinstance(look, r.Same):
        return Taps(1.0, 1.0, row)
    if isinstance(look, r.Window):
        if look.mode != "zeros" or (row is None and max(n, m) > _LONGEST):
            return Taps(float(look.kernel), float(look.kernel))
        count, found = _flattened(_gathered(look, n, m, row))
        shares = (sum(1 for o in range(m) if 0 <= o * look.stride + t < n) / m for t in _offsets(look))
        return Taps(count, sum(share * share for share in shares), found)
    if isinstance(look, r.Transposed):
        if row is None and max(n, m) > _LONGEST:
            return Taps(n * look.kernel / m, look.kernel * (n / m) ** 2)
        count, found = _flattened(_scattered(look, n, m, row))
        shares = (sum(1 for i in range(n) if 0 <= i * look.stride + t < m) / m for t in _offsets(look))
        return Taps(count, sum(share * share for share in shares), found)
    return Taps(1.0, 1.0)


def _offsets(look: r.Window | r.Transposed) -> list[int]:
    return [look.dilation * j - look.padding for j in range(look.kernel)]


@lru_cache(maxsize=4096)
def backward(look: r.AxisReach, n: int, m: int, row: tuple[float, ...] | None) -> tuple[float, tuple[float, ...] | None]:
    """The same for the gradient: from the profile along the m outputs, how many outputs an input reaches, and its profile."""
    if isinstance(look, r.Same):
        return 1.0, row
    if isinstance(look, r.Window):
        if look.mode != "zeros" or (row is None and max(n, m) > _LONGEST):
            return look.kernel * m / n, None
        mirrored = r.Transposed(look.axis, look.kernel, look.stride, look.padding, look.dilation)
        return _flattened(_scattered(mirrored, m, n, row))
    if isinstance(look, r.Transposed):
        if row is None and max(n, m) > _LONGEST:
            return float(look.kernel), None
        mirrored_window = r.Window(look.axis, look.kernel, look.stride, look.padding, look.dilation)
        return _flattened(_gathered(mirrored_window, m, n, row))
    if isinstance(look, r.Shift) and look.mode == "zeros":
        return _flattened(_gathered(r.Window(look.axis, 1, look.step, look.offset), m, n, row))
    return m / n, None


def _gathered(look: r.Window, n: int, m: int, row: tuple[float, ...] | None) -> list[float]:
    """For each of m outputs the sum of the profile under its taps."""
    taps = _offsets(look)
    if row is None:
        return [float(sum(1 for t in taps if 0 <= o * look.stride + t < n)) for o in range(m)]
    return [sum(row[o * look.stride + t] for t in taps if 0 <= o * look.stride + t < n) for o in range(m)]


def _scattered(look: r.Transposed, n: int, m: int, row: tuple[float, ...] | None) -> list[float]:
    """For each of m outputs the sum of the profile of the inputs that write to it."""
    found = [0.0] * m
    for i in range(n):
        value = 1.0 if row is None else row[i]
        for j in range(look.kernel):
            o = i * look.stride - look.padding + look.dilation * j
            if 0 <= o < m:
                found[o] += value
    return found
