"""Norms and noise: what has a second moment of its own, whatever comes in.

Backwards a norm multiplies by `γ² / variance`. It also takes out the parts of the gradient along the mean and along the input
itself, two of as many dimensions as the statistics are over; but over n values of one example the mean of `1 / variance` is larger
than the inverse of the mean, by as much (n / (n - 3) for normals): the two are left out together, from four values on.
"""

from __future__ import annotations

import math
from math import prod

from netspec.analyses.signal.law import Law
from netspec.analyses.signal.moments import NOTHING, Moments
from netspec.analyses.signal.rule import Effect, Place, Rule, pointwise

_ONE, _ZERO = Law(1.0, 0.0, drawn=False), Law(0.0, 0.0, drawn=False)
#: SELU's limit far below zero
_SATURATED = -1.0507009873554805 * 1.6732632423543772


def _scale_and_bias(place: Place) -> tuple[Law, Law] | None:
    scale = place.law("weight") if "weight" in place.weights else _ONE
    bias = place.law("bias") if "bias" in place.weights else _ZERO
    return None if scale is None or bias is None else (scale, bias)


def _normalized(place: Place, centre: float, variance: float, varying: float, count: float) -> Effect | None:
    """`(x - …) / sqrt(variance + eps) · γ + β`: `centre` is the mean that stays, in deviations; `varying` what of the unit
    variance that comes out differs between examples; the statistics are over `count` values."""
    found = _scale_and_bias(place)
    if found is None:
        return None
    scale, bias = found
    eps, alone = place.op.eps or 0.0, varying >= 1 and centre == 0  # type: ignore[attr-defined]
    kept = variance / (variance + eps) if variance > 0 else 0.0
    mean = scale.mean * centre + bias.mean
    second = scale.second * kept * (1 + centre * centre) + 2 * scale.mean * centre * bias.mean + bias.second
    left = 1.0 if count > 3 else max(1 - 2 / count, 0.0)
    gain = scale.second * left * (place.harmonics[0] if alone else 1.0) / (variance + eps) if variance + eps > 0 else None
    carry = scale.mean / math.sqrt(variance + eps) if variance + eps > 0 else None
    return pointwise(place, Moments(mean, second, scale.second * kept * varying), gain, carry, centred=alone, harmonic=1.0)


def _batch_norm(place: Place) -> Effect | None:
    if not place.train and place.op.track_running_stats:  # type: ignore[attr-defined]
        return _tracked(place)
    x = place.x
    return _normalized(place, 0.0, x.varying, 1.0, math.inf)


def _tracked(place: Place) -> Effect | None:
    """Evaluation: the stored mean and variance, which are constants."""
    found, mean, variance = _scale_and_bias(place), place.law("running_mean"), place.law("running_var")
    if found is None or mean is None or variance is None:
        return None
    scale, bias = found
    factor = 1 / math.sqrt(variance.mean + place.op.eps)  # type: ignore[attr-defined]
    x = place.x.shifted(-mean.mean).scaled(factor)
    second = scale.second * x.second + 2 * scale.mean * x.mean * bias.mean + bias.second
    output = Moments(scale.mean * x.mean + bias.mean, second, scale.second * x.varying)
    return pointwise(place, output, scale.second * factor * factor, scale.mean * factor)


def _instance_norm(place: Place) -> Effect | None:
    if not place.train and place.op.track_running_stats:  # type: ignore[attr-defined]
        return _tracked(place)
    x, count = place.x, prod(place.before[2:])
    return _normalized(place, 0.0, x.varying * (1 - 1 / count), 1.0, count)


def _grouped(place: Place, units: int, positions: int) -> Effect | None:
    """Statistics of one example over so many units, at so many positions of each."""
    x = place.x
    means = max(x.spread - x.varying, 0.0) * (1 - 1 / units)
    varying = x.varying * (1 - 1 / (units * positions))
    total = means + varying
    return _normalized(place, 0.0, total, varying / total if total > 0 else 0.0, units * positions)


def _group_norm(place: Place) -> Effect | None:
    shape = place.before
    return _grouped(place, shape[1] // place.op.groups, prod(shape[2:]))  # type: ignore[attr-defined]


def _over(place: Place) -> tuple[int, int]:
    """How many units, and positions of each, a norm over the last axes takes together."""
    shape, unit = place.before, place.unit()
    first = place.op.axis % len(shape)  # type: ignore[attr-defined]
    count = prod(shape[first:])
    units = shape[unit] if unit is not None and unit >= first else count if unit is None else 1
    return units, count // units


def _layer_norm(place: Place) -> Effect | None:
    return _grouped(place, *_over(place))


def _rms_norm(place: Place) -> Effect | None:
    found = _scale_and_bias(place)
    units, positions = _over(place)
    x, scale = place.x, found[0] if found else None
    if scale is None or x.second <= 0:
        return None
    factor = 1 / math.sqrt(x.second + (place.op.eps or 0.0))  # type: ignore[attr-defined]
    y = x.scaled(factor)
    output = Moments(scale.mean * y.mean, scale.second * y.second, scale.second * y.varying)
    left = max(1 - 1 / (units * positions), 0.0)
    return pointwise(place, output, scale.second * factor * factor * left, scale.mean * factor)


def _local_response_norm(place: Place) -> Effect:
    """The energy of the neighbours is taken for its mean; channels at the ends have fewer."""
    op, x, channels = place.op, place.x, place.before[1]
    size = op.size  # type: ignore[attr-defined]
    reached = sum(min(c + (size - 1) // 2, channels - 1) - max(c - size // 2, 0) + 1 for c in range(channels)) / channels
    factor = (op.k + op.alpha * x.second * reached / size) ** -op.beta  # type: ignore[attr-defined]
    return pointwise(place, x.scaled(factor), factor * factor, factor, "concentrated")


# ------------------------------------------------------------------------------------------------------------------ noise
def _dropout(place: Place) -> Effect:
    x, p = place.x, place.op.p if place.train else 0.0  # type: ignore[attr-defined]
    if p >= 1:
        return pointwise(place, NOTHING, 0.0, 0.0)
    second = x.second / (1 - p)
    return pointwise(place, Moments(x.mean, second, second - x.common), 1 / (1 - p), 1.0, normal=place.normal and p == 0)


def _alpha_dropout(place: Place) -> Effect:
    """`a · (x or the limit) + b` with the a and b that keep mean 0 and variance 1 (Klambauer et al., arXiv:1706.02515, 3)."""
    x, p = place.x, place.op.p if place.train else 0.0  # type: ignore[attr-defined]
    if p >= 1:
        return pointwise(place, NOTHING, 0.0, 0.0)
    a = ((1 - p) * (1 + p * _SATURATED**2)) ** -0.5
    b = -a * p * _SATURATED
    dropped = a * _SATURATED + b
    kept = x.scaled(a).shifted(b)
    mean, second = (1 - p) * kept.mean + p * dropped, (1 - p) * kept.second + p * dropped * dropped
    units = (1 - p) ** 2 * a * a * max(x.spread - x.varying, 0.0)  # what is left of the units' own means
    return pointwise(place, Moments(mean, second, second - mean * mean - units), a * a * (1 - p), a * (1 - p))


RULES: dict[str, Rule] = {
    "batch_norm": _batch_norm,
    "instance_norm": _instance_norm,
    "group_norm": _group_norm,
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "local_response_norm": _local_response_norm,
    "dropout": _dropout,
    "channel_dropout": _dropout,
    "alpha_dropout": _alpha_dropout,
    "drop_path": _dropout,
}
