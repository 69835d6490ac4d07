"""Layers that sum products with stored weights.

`q' = terms · (Var w · q + …) + E b²`: second moments, not variances, go through zero-mean weights (He et al., arXiv:1502.01852;
Poole et al., arXiv:1606.05340). Backwards each input collects `outputs that it reaches · E w²`.
"""

from __future__ import annotations

import math
from math import prod

from netspec.analyses.signal.borders import forward
from netspec.analyses.signal.law import Law
from netspec.analyses.signal.moments import Moments, Profile
from netspec.analyses.signal.rule import Effect, Place, Rule
from netspec.reach import AxisReach

_NO_BIAS = Law(0.0, 0.0, drawn=False)


def summed(x: Moments, terms: float, shared: float, weight: Law, bias: Law) -> Moments:
    """The moments of `Σ w x + b` over so many terms, of which two positions have `shared` in common."""
    if weight.passes is not None:
        kept = weight.passes
        mean, second, varying = kept * x.mean, kept * x.second, kept * x.varying
    else:
        mean = terms * weight.mean * x.mean
        together = terms * x.spread + (terms * x.mean) ** 2
        second = terms * weight.variance * x.second + weight.mean**2 * together
        varying = weight.second * (terms * x.varying + (terms - shared) * x.common)
    return Moments(mean + bias.mean, second + 2 * bias.mean * mean + bias.second, varying)


def _affine(
    place: Place,
    weight: Law,
    terms: tuple[float, float],
    outputs: float,
    unit: int,
    profile: Profile = (),
    looks: tuple[AxisReach, ...] = (),
) -> Effect:
    """A layer of so many terms a sum (and so many that two positions share), each input of which reaches so many outputs (before
    the borders, see `Effect.gains`)."""
    bias = place.law("bias") if "bias" in place.weights else _NO_BIAS
    if bias is None:
        return Effect((None,) * len(place.outputs), (None,), (None,), "unknown", unit)
    output = summed(place.x, *terms, weight, bias)
    note = "means" if weight.mean and weight.passes is None else ""
    if weight.passes is not None:
        gain, carry, looks = weight.passes * place.ratio, weight.passes, ()
    else:
        gain, carry = outputs * weight.second, 0.0
    if profile and bias.second and output.second > 0:
        share = 1 - bias.second / output.second
        profile = tuple(row and tuple(share * p + 1 - share for p in row) for row in profile)
    energy = terms[0] * weight.second if weight.passes is None else weight.passes
    return Effect(
        (output,),
        (gain,),
        (carry,),
        note,
        unit,
        profile,
        looks,
        energy=energy,
        normal=weight.passes is None or place.normal,
        harmonic=_uneven(weight, terms[0]),
    )


def _uneven(weight: Law, terms: float) -> float | None:
    """A unit's variance is a sum of so many squares: of n normals its inverse is n / (n - 2) times as large as expected."""
    return None if weight.passes is not None else 1 / (1 - min(weight.tails / max(terms, 1.0), 0.75))


def _weight(place: Place) -> Law | None:
    return place.law("weight")


def _conv(place: Place) -> Effect | None:
    return _sliding(place, _weight(place), place.op.groups)  # type: ignore[attr-defined]


def _local_conv(place: Place) -> Effect | None:
    return _sliding(place, _weight(place), 1)


def _sliding(place: Place, weight: Law | None, groups: int) -> Effect | None:
    """A convolution, transposed or not: the looks of its axes say which. Borders decide how many taps there are."""
    if weight is None:
        return None
    looks, (before, after) = place.looks(), (place.before, place.after)
    terms = shared = before[1] / groups
    rows = []
    for axis, look in enumerate(looks):
        row = place.profiles[0][axis] if place.profiles[0] else None
        taps = forward(look, before[axis + 2], after[axis + 2], row)
        terms, shared = terms * taps.count, shared * taps.shared
        rows.append(taps.row)
    profile = tuple(rows) if any(row is not None for row in rows) else ()
    return _affine(place, weight, (terms, shared), after[1] / groups, 1, profile, looks)


def _linear(place: Place) -> Effect | None:
    weight = _weight(place)
    return _dense(place, weight) if weight is not None else None


def _dense(place: Place, weight: Law) -> Effect:
    into, out = place.before[-1], place.after[-1]
    return _affine(place, weight, (into, into), out, place.outputs[0].rank - 1)


def _embedding(place: Place) -> Effect | None:
    weight = _weight(place)
    if weight is None:
        return None
    count = place.op.count  # type: ignore[attr-defined]
    output = Moments(weight.mean, weight.second, weight.variance * (1 - 1 / count))
    return Effect((output,), (0.0,), (0.0,), "", place.outputs[0].rank - 1)


def _matmul(place: Place) -> Effect | None:
    """`Σ_k a_ik b_kj` of independent factors."""
    a, b = place.inputs
    if a is None or b is None:
        return None
    k, means = place.before[-1], a.mean * b.mean
    excess = k * (k - 1) * means * means
    second = k * a.second * b.second + excess
    common = k * a.common * b.common + excess
    output = Moments(k * means, second, max(second - common, 0.0))
    met = place.elements(place.outputs[0]) * k  # products in all, each of one element of either factor
    gains = met / place.elements(place.types[0]) * b.second, met / place.elements(place.types[1]) * a.second
    return Effect((output,), gains, (0.0, 0.0), "independent", place.outputs[0].rank - 1, normal=True)


# ------------------------------------------------------------------------------------------------- reparametrized layers
def _weight_norm(place: Place) -> Effect | None:
    """Starts as the plain layer, for its length starts as its direction's."""
    return _inner(place, place.law("parametrizations.weight.original1"))


def _spectral_norm(place: Place) -> Effect | None:
    """The largest singular value of a random matrix of rows and columns is `std · (√rows + √columns)` (Geman, "A limit theorem
    for the norm of random matrices", 1980); rows that come several times over are as many times as many columns."""
    tensor = place.weights["parametrizations.weight.original"]
    weight = place.law("parametrizations.weight.original")
    if weight is None or weight.passes is not None or weight.mean:
        return None
    axis = place.op.axis  # type: ignore[attr-defined]
    rows = tensor.shape[axis if axis is not None else int(place.op.layer.NAME == "conv_transpose")]  # type: ignore[attr-defined]
    largest = math.sqrt(rows) + math.sqrt(weight.copies * prod(tensor.shape) / rows)
    if tensor.init.name == "orthogonal":
        largest = math.sqrt(max(rows, prod(tensor.shape) / rows))
    return _inner(place, Law(0.0, 1 / largest**2 if weight.variance else 0.0), "edge")


def _inner(place: Place, weight: Law | None, note: str = "") -> Effect | None:
    """The wrapped layer's own rule, its weight being of another law."""
    if weight is None:
        return None
    layer = place.op.layer  # type: ignore[attr-defined]
    if layer.NAME == "linear":
        found: Effect | None = _dense(place, weight)
    elif layer.NAME in ("conv", "conv_transpose", "local_conv"):
        found = _sliding(place, weight, getattr(layer, "groups", 1))
    elif layer.NAME == "embedding":
        found = Effect((Moments(weight.mean, weight.second, weight.variance),), (0.0,), (0.0,), "", place.outputs[0].rank - 1)
    else:
        return None
    return found if found is None or not note else _noted(found, note)


def _noted(effect: Effect, note: str) -> Effect:
    return Effect(
        effect.outputs,
        effect.gains,
        effect.carries,
        note,
        effect.unit,
        effect.profile,
        effect.looks,
        energy=effect.energy,
        normal=True,
        harmonic=effect.harmonic,
    )


RULES: dict[str, Rule] = {
    "conv": _conv,
    "conv_transpose": _conv,
    "local_conv": _local_conv,
    "linear": _linear,
    "embedding": _embedding,
    "matmul": _matmul,
    "weight_norm": _weight_norm,
    "spectral_norm": _spectral_norm,
}
