"""Expectations of a function of a normal variable, by Gauss-Legendre quadrature between the places where the function bends.

Gauss-Hermite quadrature takes the function for a polynomial over the whole line. A rectifier is none, nor is a sigmoid under a
normal that is a hundred times as wide as it: so the line is cut at the function's knots and at multiples of the deviation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

from netspec.record import record

#: where the normal's own shape asks for a cut, in deviations; beyond the last nothing is left
_CUTS = (-9.0, -5.0, -2.5, -1.0, 1.0, 2.5, 5.0, 9.0)
_NODES = 9
#: terms of the Hermite expansion that are kept; the rest is one term of a fitted degree
_DEGREE = 10

Function = Callable[[float], "tuple[float, float]"]


@lru_cache(maxsize=None)
def legendre(count: int) -> tuple[tuple[float, float], ...]:
    """Nodes and weights of Gauss-Legendre quadrature on [-1, 1], by Newton's method on the Legendre polynomial."""
    found = []
    for index in range(count):
        x = math.cos(math.pi * (index + 0.75) / (count + 0.5))
        slope = 1.0
        for _ in range(100):
            before, value = 1.0, x
            for degree in range(2, count + 1):
                before, value = value, ((2 * degree - 1) * x * value - (degree - 1) * before) / degree
            slope = count * (x * value - before) / (x * x - 1)
            step = value / slope
            x -= step
            if abs(step) < 1e-15:
                break
        found.append((x, 2 / ((1 - x * x) * slope * slope)))
    return tuple(found)


def nodes(mean: float, deviation: float, knots: Sequence[float] = ()) -> list[tuple[float, float]]:
    """Standardized points z and weights that integrate against the standard normal density, with a cut wherever
    `mean + deviation * z` is a knot."""
    inner = ((knot - mean) / deviation for knot in knots)
    edges = sorted({*_CUTS, *(z for z in inner if _CUTS[0] < z < _CUTS[-1])})
    rule, found, norm = legendre(_NODES), [], 1 / math.sqrt(2 * math.pi)
    for low, high in zip(edges, edges[1:]):
        centre, half = (low + high) / 2, (high - low) / 2
        for x, weight in rule:
            z = centre + half * x
            found.append((z, half * weight * norm * math.exp(-z * z / 2)))
    return found


@record
class Response:
    """A function of a normal variable x with mean m: E f, E f², E f'², E f', and the part of E f² that differs between two
    examples whose x share a part of their variance."""

    mean: float
    second: float
    slope_second: float
    slope: float
    variance: float


def response(function: Function, knots: Sequence[float], mean: float, spread: float, varying: float) -> Response:
    """The response to x ~ N(mean, spread), of whose variance `varying` differs between examples. `function` gives f and f'.

    The covariance of f between two examples is `Σ a_k² ρ^k / k!`, a_k the Hermite coefficients of f and ρ the correlation of
    x (Poole et al., arXiv:1606.05340; Daniely et al., arXiv:1602.05897). Beyond degree 10 the terms are taken together,
    with the degree that gives the right sum and the right slope at ρ = 1.
    """
    if spread <= 0:
        value, slope = function(mean)
        return Response(value, value * value, slope * slope, slope, 0.0)
    deviation = math.sqrt(spread)
    points = nodes(mean, deviation, knots)
    values = [(z, weight, *function(mean + deviation * z)) for z, weight in points]
    first = sum(w * f for _, w, f, _ in values)
    second = sum(w * f * f for _, w, f, _ in values)
    slope_second = sum(w * d * d for _, w, _, d in values)
    coefficients = _hermite([(z, w * f) for z, w, f, _ in values])
    variance = _differing(coefficients, second - first * first, spread * slope_second, varying / spread)
    return Response(first, second, slope_second, coefficients[0] / deviation, variance)


def _hermite(weighted: list[tuple[float, float]]) -> list[float]:
    """`E f He_k / sqrt(k!)` for k from 1, from points z and weights times f, by the three-term recurrence."""
    found = [0.0] * _DEGREE
    roots = [math.sqrt(k) for k in range(_DEGREE + 1)]
    for z, wf in weighted:
        before, value = wf, wf * z
        found[0] += value
        for k in range(2, _DEGREE + 1):
            before, value = value, (z * value - roots[k - 1] * before) / roots[k]
            found[k - 1] += value
    return found


def _differing(coefficients: list[float], variance: float, slope: float, share: float) -> float:
    """`Σ a_k² (1 - ρ^k)` where `share` = 1 - ρ: the variance of f that two examples do not share."""
    if share >= 1:
        return max(variance, 0.0)
    logarithm = math.log1p(-share)
    total = 0.0
    for k, a in enumerate(coefficients, start=1):
        total -= a * a * math.expm1(k * logarithm)
        variance -= a * a
        slope -= k * a * a
    if variance > 1e-12 * abs(total) and slope > 0:
        total -= variance * math.expm1(max(slope / variance, _DEGREE + 1) * logarithm)
    return max(total, 0.0)
