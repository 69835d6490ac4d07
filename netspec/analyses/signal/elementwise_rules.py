"""Functions of each element: activations, arithmetic with numbers, gates, and what shares a whole out along an axis."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

from netspec.analyses.signal.activation import CURVES, Curve, curve_of, exponent, power, rectifier, respond, respond_to_sum
from netspec.analyses.signal.merge_rules import product, ratio
from netspec.analyses.signal.moments import Moments
from netspec.analyses.signal.pool_rules import maximum
from netspec.analyses.signal.quadrature import nodes
from netspec.analyses.signal.rule import Effect, Place, Rule, pointwise


def through(place: Place, curve: Curve) -> Effect | None:
    """A curve applied to the first input, taken for normal."""
    x = place.x
    found = respond(curve, x) if place.mixture is None else respond_to_sum(curve, *place.mixture)
    if not math.isfinite(found.second) or not math.isfinite(found.slope_second):
        return None
    output = Moments(found.mean, found.second, found.variance)
    note = "" if place.normal or place.mixture else "gaussian"
    profile = place.profiles[0] if curve.slopes is not None else _bent(place, curve, found.second)
    return pointwise(place, output, found.slope_second, found.slope, note, profile=profile, curve=(curve, x), normal=False)


def _bent(place: Place, curve: Curve, second: float) -> tuple[tuple[float, ...] | None, ...]:
    """The profile behind a curve that is not homogeneous: raised to its elasticity, `d log E f² / d log q`."""
    if not any(place.profiles[0]) or second <= 0:
        return ()
    less = respond(curve, Moments(place.x.mean * 0.95, place.x.second * 0.9025, place.x.varying * 0.9025)).second
    elasticity = math.log(second / less) / -math.log(0.9025) if less > 0 else 1.0
    rows = (row and tuple(p**elasticity for p in row) for row in place.profiles[0])
    return tuple(row and tuple(p * len(row) / sum(row) for p in row) for row in rows)


def _activation(place: Place) -> Effect | None:
    return through(place, curve_of(place.op))


def _prelu(place: Place) -> Effect | None:
    slope = place.law("weight")
    return through(place, rectifier(slope.mean)) if slope is not None else None


def _maxout(place: Place) -> Effect:
    """The largest of neighbouring units."""
    pieces, x = place.op.pieces, place.x  # type: ignore[attr-defined]
    output, _ = maximum(rectifier(1.0), Moments(x.mean, x.second), pieces)
    return Effect((output,), (1 / pieces,), (None,), "" if place.normal else "gaussian", place.unit())


def _glu(place: Place) -> Effect | None:
    """One half times the sigmoid of the other: two independent halves."""
    x, gate = place.x, respond(_SIGMOID, place.x)
    opened = Moments(gate.mean, gate.second, gate.variance)
    output, _ = product(x, opened, 0.0)
    gain = (gate.second + x.second * gate.slope_second) / 2
    return Effect((output,), (gain,), (None,), "", place.unit())


_SIGMOID = CURVES["sigmoid"](None)


# --------------------------------------------------------------------------------------------------- along an axis
@lru_cache(maxsize=2048)
def shares(spread: float, count: int) -> tuple[float, float]:
    """Second and third moment of the shares `exp x_i / Σ exp x_j` of `count` independent normals: the others' sum is taken for
    its expectation, and the result scaled so that the shares add up to 1."""
    deviation = math.sqrt(spread)
    logarithm = math.log(max(count - 1, 1e-12)) + spread / 2
    moments = [0.0, 0.0, 0.0]
    for z, weight in nodes(0.0, max(deviation, 1e-12), (logarithm,)):
        share = 1 / (1 + math.exp(min(logarithm - deviation * z, 700.0)))
        for k in range(3):
            moments[k] += weight * share ** (k + 1)
    scale = 1 / (count * moments[0]) if moments[0] > 0 else 0.0
    return min(moments[1] * scale**2, 1 / count), min(moments[2] * scale**3, 1 / count)


def _axis(place: Place) -> tuple[int, float]:
    """How many elements share, and their variance: along positions of one unit, or over units."""
    shape, unit = place.before, place.unit()
    axis = place.op.axis % len(shape)  # type: ignore[attr-defined]
    return shape[axis], place.x.spread if unit is None or unit == axis else place.x.varying


def _softmax(place: Place) -> Effect:
    count, spread = _axis(place)
    second, third = shares(spread, count)
    gain = max(second * (1 + count * second) - 2 * third, 0.0)
    part = place.x.varying / place.x.spread if place.x.spread > 0 else 0.0
    output = Moments(1 / count, second, part * max(second - 1 / count**2, 0.0))
    return pointwise(place, output, gain, None, "concentrated", profile=(), normal=False)


def _log_softmax(place: Place) -> Effect:
    count, spread = _axis(place)
    second, _ = shares(spread, count)
    mean = -math.log(count) - spread / 2 if spread < 20 else -math.sqrt(2 * spread * math.log(count))
    output = Moments(mean, mean * mean + spread, min(place.x.varying, spread))
    return pointwise(place, output, 1 - 2 / count + count * second, 1.0, "concentrated", profile=(), normal=False)


# --------------------------------------------------------------------------------------------------------- arithmetic
def _number(place: Place) -> float | None:
    """The number that stands in the place of an operand."""
    given = place.op.left if place.op.right is None else place.op.right  # type: ignore[attr-defined]
    return float(given) if isinstance(given, (int, float)) else None


def _scaled(place: Place, factor: float, constant: float = 0.0) -> Effect:
    output = place.x.scaled(factor).shifted(constant)
    return pointwise(place, output, factor * factor, factor, profile=place.profiles[0] if not constant else ())


def with_number(two: Callable[[Place], Effect | None], one: Callable[[Place, float, bool], Effect | None]) -> Rule:
    """The rule of an operator of two tensors, or of a tensor and a number (which stands left where the flag is set)."""

    def rule(place: Place) -> Effect | None:
        if len(place.inputs) == 2:
            return two(place)
        number = _number(place)
        return one(place, number, place.op.right is None) if number is not None else None  # type: ignore[attr-defined]

    return rule


def _divided(place: Place, number: float, left: bool) -> Effect | None:
    if not left:
        return _scaled(place, 1 / number) if number else None
    return ratio(place, Moments(number, number * number, 0.0), place.x)


def _raised(place: Place, number: float, left: bool) -> Effect | None:
    return through(place, exponent(number) if left else power(number))


def _neg(place: Place) -> Effect:
    return _scaled(place, -1.0)


def added(place: Place, number: float, left: bool) -> Effect:
    """`x + number`."""
    return _scaled(place, 1.0, number)


def subtracted(place: Place, number: float, left: bool) -> Effect:
    """`x - number`, or `number - x`."""
    return _scaled(place, -1.0, number) if left else _scaled(place, 1.0, -number)


def multiplied(place: Place, number: float, left: bool) -> Effect:
    """`x * number`."""
    return _scaled(place, number)


def _quotient(place: Place) -> Effect | None:
    a, b = place.inputs
    return ratio(place, a, b) if a is not None and b is not None else None


def _no_rule(place: Place) -> None:
    return None


RULES: dict[str, Rule] = {
    **dict.fromkeys(CURVES, _activation),
    "prelu": _prelu,
    "maxout": _maxout,
    "glu": _glu,
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "neg": _neg,
    "div": with_number(_quotient, _divided),
    "pow": with_number(_no_rule, _raised),
}
