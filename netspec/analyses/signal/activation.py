"""The activations as functions of one number: f, its derivative, and where it bends.

A table by operator name: what an operator of a family of its own computes is known to its lowerings; here it is needed as plain
numbers, with the derivative. Rectifiers have closed forms, the others are integrated (`quadrature`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from netspec.analyses.signal.moments import Moments
from netspec.analyses.signal.quadrature import Function, Response, nodes, response
from netspec.op import Operator
from netspec.record import record


@record
class Curve:
    """An activation: `function` gives f and f'; `knots` are the places between which it is smooth at its own scale.

    `slopes` are those left and right of zero where f is a rectifier (`relu`: 0 and 1); `rising`: f never falls.
    """

    function: Function
    knots: tuple[float, ...]
    slopes: tuple[float, float] | None = None
    rising: bool = True


_SMOOTH = (-16.0, -6.0, -2.0, 0.0, 2.0, 6.0, 16.0)


def _sigmoid(x: float) -> float:
    if x >= 0:
        return 1 / (1 + math.exp(-x))
    e = math.exp(max(x, -700.0))
    return e / (1 + e)


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


@lru_cache(maxsize=256)
def rectifier(below: float, above: float = 1.0) -> Curve:
    """`above * x` above zero, `below * x` below."""

    def value(x: float) -> tuple[float, float]:
        return (above * x, above) if x > 0 else (below * x, below)

    return Curve(value, (0.0,), (below, above), below >= 0 <= above)


def linear_pieces(*corners: tuple[float, float], left: float = 0.0, right: float = 0.0) -> Curve:
    """Straight lines between corners (x, y), going on with the slopes `left` and `right`."""

    def value(x: float) -> tuple[float, float]:
        if x <= corners[0][0]:
            return corners[0][1] + left * (x - corners[0][0]), left
        for (x0, y0), (x1, y1) in zip(corners, corners[1:]):
            if x <= x1:
                slope = (y1 - y0) / (x1 - x0)
                return y0 + slope * (x - x0), slope
        return corners[-1][1] + right * (x - corners[-1][0]), right

    return Curve(value, tuple(x for x, _ in corners))


def exponential(alpha: float, scale: float = 1.0, rate: float = 1.0) -> Curve:
    """`scale * x` above zero, `scale * alpha * (exp(rate * x) - 1)` below."""

    def value(x: float) -> tuple[float, float]:
        if x > 0:
            return scale * x, scale
        return scale * alpha * math.expm1(rate * x), scale * alpha * rate * math.exp(max(rate * x, -700.0))

    return Curve(value, tuple(k / rate for k in (-16.0, -6.0, -2.0, 0.0)), rising=alpha >= 0)


def _gated(gate: Callable[[float], tuple[float, float]]) -> Curve:
    """`x * gate(x)`."""

    def value(x: float) -> tuple[float, float]:
        g, slope = gate(x)
        return x * g, g + x * slope

    return Curve(value, _SMOOTH, rising=False)


def _logistic(x: float) -> tuple[float, float]:
    s = _sigmoid(x)
    return s, s * (1 - s)


def _tanh(x: float) -> tuple[float, float]:
    t = math.tanh(x)
    return t, 1 - t * t


def _normal_gate(x: float) -> tuple[float, float]:
    return math.erfc(-x / math.sqrt(2)) / 2, math.exp(-min(x * x, 1400.0) / 2) / math.sqrt(2 * math.pi)


def _tanh_gate(x: float) -> tuple[float, float]:
    rate = math.sqrt(2 / math.pi)
    t = math.tanh(rate * (x + 0.044715 * x**3))
    return (1 + t) / 2, (1 - t * t) / 2 * rate * (1 + 3 * 0.044715 * x * x)


def _mish_gate(x: float) -> tuple[float, float]:
    t = math.tanh(_softplus(x))
    return t, (1 - t * t) * _sigmoid(x)


def _sharp_softplus(beta: float, threshold: float) -> Curve:
    def value(x: float) -> tuple[float, float]:
        return (x, 1.0) if beta * x > threshold else (_softplus(beta * x) / beta, _sigmoid(beta * x))

    return Curve(value, (*(k / beta for k in _SMOOTH), threshold / beta))


def _above(threshold: float, filler: float) -> Curve:
    def value(x: float) -> tuple[float, float]:
        return (x, 1.0) if x > threshold else (filler, 0.0)

    return Curve(value, (threshold,), rising=filler <= threshold)


def _softsign(x: float) -> tuple[float, float]:
    return x / (1 + abs(x)), 1 / (1 + abs(x)) ** 2


def _hard_swish(x: float) -> tuple[float, float]:
    if abs(x) >= 3:
        return (x, 1.0) if x > 0 else (0.0, 0.0)
    return x * (x + 3) / 6, (2 * x + 3) / 6


def _clamped(low: float | None, high: float | None) -> Curve:
    if low is None or high is None:
        corner = high if low is None else low
        assert corner is not None
        return linear_pieces((corner, corner), left=float(low is None), right=float(high is None))
    return linear_pieces((low, low), (high, high)) if low < high else linear_pieces((high, high))


@lru_cache(maxsize=256)
def power(exponent: float) -> Curve:
    """`x ** exponent`; NaN where that is no real number."""

    def value(x: float) -> tuple[float, float]:
        if x == 0 or (x < 0 and exponent != int(exponent)):
            return (0.0, float(exponent == 1)) if x == 0 < exponent else (math.nan, math.nan)
        return x**exponent, exponent * x ** (exponent - 1)

    return Curve(value, (0.0,), rising=exponent > 0 and exponent % 2 != 0)


@lru_cache(maxsize=256)
def exponent(base: float) -> Curve:
    """`base ** x`."""
    rate = math.log(base) if base > 0 else math.nan

    def value(x: float) -> tuple[float, float]:
        y = math.exp(min(rate * x, 350.0))
        return y, rate * y

    return Curve(value, (0.0,), rising=base >= 1)


def _logarithm(x: float) -> tuple[float, float]:
    return (math.log(x), 1 / x) if x > 0 else (math.nan, math.nan)


def _negative_softplus(x: float) -> tuple[float, float]:
    return -_softplus(-x), _sigmoid(-x)


_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805
_CUBE_ROOTS = (-16.0, -6.0, -3.0, -1.0, 0.0, 1.0, 3.0, 6.0, 16.0)

#: the curve of an operator, by its name
CURVES: dict[str, Callable[[Any], Curve]] = {
    "relu": lambda op: rectifier(0.0),
    "leaky_relu": lambda op: rectifier(op.negative_slope),
    "abs": lambda op: rectifier(-1.0),
    "relu6": lambda op: linear_pieces((0.0, 0.0), (6.0, 6.0)),
    "hard_tanh": lambda op: linear_pieces((op.min, op.min), (op.max, op.max)),
    "hard_sigmoid": lambda op: linear_pieces((-3.0, 0.0), (3.0, 1.0)),
    "hard_swish": lambda op: Curve(_hard_swish, (-3.0, 0.0, 3.0), rising=False),
    "threshold": lambda op: _above(op.threshold, op.value),
    "clamp": lambda op: _clamped(op.min, op.max),
    "elu": lambda op: exponential(op.alpha),
    "celu": lambda op: exponential(op.alpha, rate=1 / op.alpha),
    "selu": lambda op: exponential(_SELU_ALPHA, _SELU_SCALE),
    "softplus": lambda op: _sharp_softplus(op.beta, op.threshold),
    "gelu": lambda op: _gated(_tanh_gate if op.approximate == "tanh" else _normal_gate),
    "silu": lambda op: _gated(_logistic),
    "mish": lambda op: _gated(_mish_gate),
    "sigmoid": lambda op: Curve(_logistic, _SMOOTH),
    "tanh": lambda op: Curve(_tanh, _SMOOTH),
    "softsign": lambda op: Curve(_softsign, _CUBE_ROOTS),
    "log_sigmoid": lambda op: Curve(_negative_softplus, _SMOOTH),
    "exp": lambda op: exponent(math.e),
    "log": lambda op: Curve(_logarithm, (0.0, 0.1, 1.0, 10.0)),
    "sqrt": lambda op: power(0.5),
}


@lru_cache(maxsize=1024)
def curve_of(op: Operator) -> Curve:
    """The curve of an activation. Raises KeyError for an operator that is none."""
    return CURVES[op.NAME](op)


@lru_cache(maxsize=8192)
def respond(curve: Curve, x: Moments) -> Response:
    """What a curve makes of numbers with these moments, taken for normal."""
    spread = x.spread
    if curve.slopes is not None and abs(x.mean) < 1e-9 * math.sqrt(x.second):
        return _rectified(*curve.slopes, spread, min(x.varying, spread))
    return response(curve.function, curve.knots, x.mean, spread, min(x.varying, spread))


@lru_cache(maxsize=4096)
def respond_to_sum(curve: Curve, inner: Curve, x: Moments, noise: Moments) -> Response:
    """What a curve makes of `inner(x) + noise`, both normal and independent: a skip that has been through an activation, and a
    branch. Normal numbers of the same moments would be out by a tenth behind a few blocks. The part that differs between
    examples is taken in proportion to theirs."""
    mean = second = slope_second = slope = 0.0
    for z, weight in nodes(x.mean, math.sqrt(x.spread), inner.knots) if x.spread > 0 else [(0.0, 1.0)]:
        at = inner.function(x.mean + math.sqrt(x.spread) * z)[0] + noise.mean
        if curve.slopes is not None:
            one = _rectified_around(*curve.slopes, at, noise.spread)
        else:
            one = response(curve.function, curve.knots, at, noise.spread, noise.spread)
        mean += weight * one.mean
        second += weight * one.second
        slope_second += weight * one.slope_second
        slope += weight * one.slope
    passed = respond(inner, x)
    whole = Moments(passed.mean + noise.mean, passed.second + noise.second + 2 * passed.mean * noise.mean, passed.variance + noise.varying)
    plain = respond(curve, whole)
    share = plain.variance / (plain.second - plain.mean**2) if plain.second > plain.mean**2 else 0.0
    return Response(mean, second, slope_second, slope, share * max(second - mean * mean, 0.0))


def _rectified_around(below: float, above: float, mean: float, spread: float) -> Response:
    """A rectifier of N(mean, spread) in closed form, by the moments of the normal's two halves."""
    if spread <= 0:
        slope = above if mean > 0 else below
        return Response(slope * mean, (slope * mean) ** 2, slope * slope, slope, 0.0)
    deviation = math.sqrt(spread)
    z = mean / deviation
    chance, density = math.erfc(-z / math.sqrt(2)) / 2, math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    first = mean * chance + deviation * density
    square = (mean * mean + spread) * chance + mean * deviation * density
    low, low_square = mean - first, mean * mean + spread - square
    return Response(
        above * first + below * low,
        above * above * square + below * below * low_square,
        above * above * chance + below * below * (1 - chance),
        above * chance + below * (1 - chance),
        0.0,
    )


def _rectified(below: float, above: float, spread: float, varying: float) -> Response:
    """A rectifier of N(0, spread) in closed form; between two examples by the arc-cosine kernel of degree 1 (Cho and Saul,
    "Kernel Methods for Deep Learning", 2009)."""
    mean = (above - below) * math.sqrt(spread / (2 * math.pi))
    second = (above * above + below * below) * spread / 2
    rho = 1 - varying / spread if spread > 0 else 0.0
    kernel = (math.sqrt(max(1 - rho * rho, 0.0)) + rho * (math.pi - math.acos(min(max(rho, -1.0), 1.0)))) / (2 * math.pi)
    bend = above - below
    shared = (below * below * rho + below * bend * rho + bend * bend * kernel) * spread
    return Response(mean, second, (above * above + below * below) / 2, (above + below) / 2, max(second - shared, 0.0))
