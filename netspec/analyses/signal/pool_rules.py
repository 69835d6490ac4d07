"""Pools and reductions: the mean and the maximum of several numbers.

The elements of a window share their unit's mean, and otherwise are as independent as examples are. Of a function that rises
(`relu`) of normal numbers the maximum is the function of their maximum.
"""

from __future__ import annotations

import math
from functools import lru_cache
from math import prod

from netspec import reach as r
from netspec.analyses.signal.activation import Curve, rectifier
from netspec.analyses.signal.borders import forward
from netspec.analyses.signal.interpolation import kept
from netspec.analyses.signal.moments import Moments
from netspec.analyses.signal.quadrature import nodes
from netspec.analyses.signal.rule import Effect, Place, Rule

_IDENTITY = rectifier(1.0)


@lru_cache(maxsize=4096)
def maximum(curve: Curve, x: Moments, count: float) -> tuple[Moments, float]:
    """The maximum of `count` values f(x) whose x share their unit's mean, and E f'² at it, for f that rises.

    The density of the largest of k standard normals is `k φ Φ^(k-1)`; k need not be whole.
    """
    own, units = math.sqrt(max(x.varying, 0.0)), math.sqrt(max(x.spread - x.varying, 0.0))
    outer = _coarse(units > 1e-6 * own)
    mean = second = slope = common = 0.0
    for z, weight in outer:
        centre = x.mean + units * z
        first = 0.0
        for t, w in _points(centre, own, curve.knots):
            density = w * count * (math.erfc(-t / math.sqrt(2)) / 2) ** (count - 1)
            value, rise = curve.function(centre + own * t)
            first += density * value
            second += weight * density * value * value
            slope += weight * density * rise * rise
        mean += weight * first
        common += weight * first * first
    return Moments(mean, second, max(second - common, 0.0)), slope


def _points(centre: float, deviation: float, knots: tuple[float, ...]) -> list[tuple[float, float]]:
    return nodes(centre, deviation, knots) if deviation > 0 else [(0.0, 1.0)]


def _coarse(spread: bool) -> list[tuple[float, float]]:
    """Five-point Gauss-Hermite quadrature for the units' means; one point where they are all alike."""
    if not spread:
        return [(0.0, 1.0)]
    outer, inner = math.sqrt(5 + math.sqrt(10)), math.sqrt(5 - math.sqrt(10))
    far, near = (7 - 2 * math.sqrt(10)) / 60, (7 + 2 * math.sqrt(10)) / 60
    return [(0.0, 8 / 15), (inner, near), (-inner, near), (outer, far), (-outer, far)]


# ------------------------------------------------------------------------------------------------------------------ pools
def _taps(place: Place) -> float:
    """How many elements a window has on its input, on average over the outputs."""
    shape, after = place.before, place.after
    looks = place.looks()
    count = float(prod(shape[2 + len(looks) :]))  # axes that are gone were pooled whole
    for axis, look in enumerate(looks, start=2):
        n = shape[axis]
        if isinstance(look, r.Window):
            count *= forward(look, n, after[axis], None).count
        elif isinstance(look, r.All):
            count *= n
        elif isinstance(look, r.Adaptive):
            count /= kept(look, n, after[axis])
    return count


def _largest(place: Place, count: float, unit: int | None) -> Effect:
    """The maximum of `count` elements. The gradient goes to the one that was chosen."""
    curve, x = place.curves[0] or (_IDENTITY, place.x)
    if not curve.rising:
        curve, x = _IDENTITY, place.x
    output, selected = maximum(curve, x, count)
    chosen = selected if curve is not _IDENTITY else None
    return Effect((output,), (place.ratio,), (None,), "positions", unit, selected=chosen)


def _max_pool(place: Place) -> Effect:
    return _largest(place, max(_taps(place), 1.0), 1)


def _averaged(place: Place, count: float, share: float, unit: int | None) -> Effect:
    """The mean of `count` elements, of which a share is on the input."""
    x = place.x
    varying = share * x.varying / count
    output = Moments(share * x.mean, share * share * x.common + varying, varying)
    return Effect((output,), (place.ratio * share / count,), (None,), "positions", unit)


def _avg_pool(place: Place) -> Effect:
    op, taps = place.op, _taps(place)
    windows = [look for look in place.looks() if isinstance(look, r.Window)]
    whole = prod(w.kernel for w in windows)
    if op.divisor_override is not None:  # type: ignore[attr-defined]
        return _weighed(_averaged(place, whole, taps / whole, 1), whole / op.divisor_override)  # type: ignore[attr-defined]
    if op.count_include_pad:  # type: ignore[attr-defined]
        return _averaged(place, whole, taps / whole, 1)
    return _averaged(place, taps, 1.0, 1)


def _weighed(effect: Effect, factor: float) -> Effect:
    output, gain = effect.outputs[0], effect.gains[0]
    assert output is not None and gain is not None
    return Effect((output.scaled(factor),), (gain * factor * factor,), effect.carries, effect.note, effect.unit)


def _lp_pool(place: Place) -> Effect | None:
    """The root of the sum of squares, for p = 2; the sum, for p = 1."""
    count, x = max(_taps(place), 1.0), place.x
    if place.op.p == 1:  # type: ignore[attr-defined]
        return _weighed(_averaged(place, count, 1.0, 1), count)
    if place.op.p != 2:  # type: ignore[attr-defined]
        return None
    second = count * x.second
    fluctuation = (x.second**2 * 2) / count if x.second else 0.0  # of the mean square of normals: 2 q² / k
    mean = math.sqrt(second) * max(1 - fluctuation / (8 * x.second**2), 0.0) if x.second else 0.0
    return Effect((Moments(mean, second),), (place.ratio / count,), (None,), "concentrated", 1)


def _adaptive_avg(place: Place) -> Effect:
    return _averaged(place, _taps(place), 1.0, 1)


# ------------------------------------------------------------------------------------------------------------- reductions
def _reduced(place: Place) -> tuple[int, int, int | None]:
    """Units and positions that are reduced to one, and where the axis of units is then."""
    shape, unit, op = place.before, place.unit(), place.op
    rank, axis = len(shape), op.axis  # type: ignore[attr-defined]
    axes = set(range(rank)) if axis is None else {a % rank for a in ((axis,) if isinstance(axis, int) else axis)}
    units = shape[unit] if unit in axes else 1  # type: ignore[index]
    after = None if unit is None or unit in axes else unit if op.keepdim else unit - sum(a < unit for a in axes)  # type: ignore[attr-defined]
    return units, prod(shape[a] for a in axes) // units, after


def _mean_of(x: Moments, units: int, positions: int) -> Moments:
    varying = x.varying / (units * positions)
    return Moments(x.mean, x.mean**2 + max(x.spread - x.varying, 0.0) / units + varying, varying)


def _mean(place: Place) -> Effect:
    units, positions, unit = _reduced(place)
    count = units * positions
    return Effect((_mean_of(place.x, units, positions),), (1 / count**2,), (None,), "positions", unit)


def _sum(place: Place) -> Effect:
    units, positions, unit = _reduced(place)
    return Effect((_mean_of(place.x, units, positions).scaled(units * positions),), (1.0,), (None,), "positions", unit)


def _max(place: Place) -> Effect:
    units, positions, unit = _reduced(place)
    return _largest(place, units * positions, unit)


def _min(place: Place) -> Effect:
    """The least is minus the largest of what is turned around."""
    units, positions, unit = _reduced(place)
    x = place.x
    output, _ = maximum(_IDENTITY, x.scaled(-1.0), units * positions)
    return Effect((output.scaled(-1.0),), (place.ratio,), (None,), "gaussian", unit)


def _prod(place: Place) -> Effect | None:
    units, positions, unit = _reduced(place)
    x, count = place.x, units * positions
    if x.second <= 0 or abs(count * math.log(x.second)) > 600:
        return None
    second = x.second**count
    output = Moments(x.mean**count, second, max(second - x.common**count, 0.0))
    return Effect((output,), (x.second ** (count - 1),), (None,), "positions", unit)


def _logsumexp(place: Place) -> Effect | None:
    units, positions, unit = _reduced(place)
    x, count = place.x, units * positions
    if x.spread > 20:
        return None
    mean = math.log(count) + x.mean + x.spread / 2
    varying = math.expm1(x.spread) / count
    gain = min(math.exp(x.spread) / count**2, 1 / count)
    return Effect((Moments(mean, mean * mean + varying, varying),), (gain,), (None,), "concentrated", unit)


def _argmax(place: Place) -> Effect:
    return Effect((None,), (0.0,), (0.0,), "unknown")


RULES: dict[str, Rule] = {
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "lp_pool": _lp_pool,
    "adaptive_avg_pool": _adaptive_avg,
    "adaptive_max_pool": _max_pool,
    "global_avg_pool": _adaptive_avg,
    "global_max_pool": _max_pool,
    "mean": _mean,
    "sum": _sum,
    "max": _max,
    "min": _min,
    "prod": _prod,
    "logsumexp": _logsumexp,
    "argmax": _argmax,
}
