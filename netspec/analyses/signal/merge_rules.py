"""Where tensors meet: sums, products, extremes, joins.

`q = q_a + q_b + 2 E ab`: what two branches share was followed back to where they part (`covariance`). A branch that ends in
freshly drawn weights of mean zero is uncorrelated with its skip; a value added to itself is not.
"""

from __future__ import annotations

import math

from netspec.analyses.signal.activation import Curve
from netspec.analyses.signal.moments import Moments, Profile, mixture
from netspec.analyses.signal.rule import Effect, Place, Rule


def _both(place: Place) -> tuple[Moments, Moments] | None:
    a, b = place.inputs
    return (a, b) if a is not None and b is not None else None


def _copies(place: Place) -> tuple[float, float]:
    """How often each operand's elements are used: more than once where it is stretched."""
    elements = place.elements(place.outputs[0])
    return elements / place.elements(place.types[0]), elements / place.elements(place.types[1])


def _widest(place: Place) -> tuple[int | None, Profile]:
    """Unit axis of the operand of more axes, and the profile where both have one."""
    full = 0 if place.types[0].rank >= place.types[1].rank else 1
    a, b = place.inputs
    if a is None or b is None or place.before != place.types[1].shape or not (any(place.profiles[0]) or any(place.profiles[1])):
        return place.units[full], ()
    total = a.second + b.second
    rows: list[tuple[float, ...] | None] = []
    for axis in range(max(len(p) for p in place.profiles)):
        one, two = (p[axis] if p else None for p in place.profiles)
        if one is None and two is None or total <= 0:
            rows.append(None)
            continue
        length = len(one or two or ())
        one, two = one or (1.0,) * length, two or (1.0,) * length
        rows.append(tuple((a.second * p + b.second * q) / total for p, q in zip(one, two)))
    return place.units[full], tuple(rows)


def _sum(place: Place, sign: float) -> Effect | None:
    both = _both(place)
    if both is None:
        return None
    a, b = both[0], both[1].scaled(sign)
    total, varying, note = place.covariance(0, 1)
    second = a.second + b.second + 2 * (sign * total + a.mean * b.mean)
    output = Moments(a.mean + b.mean, max(second, 0.0), max(a.varying + b.varying + 2 * sign * varying, 0.0))
    unit, profile = _widest(place)
    spreads = [m.spread if normal else 0.0 for m, normal in zip((a, b), place.normals)]
    return Effect(
        (output,), _copies(place), _aligned(place, 1.0, sign), note, unit, profile, harmonic=_together(place, a, b),
        normal=sum(spreads) > 0.9 * (a.spread + b.spread), mixture=_mixture(place, a, b, sign) if not total else None,
    )  # fmt: skip


def _mixture(place: Place, a: Moments, b: Moments, sign: float) -> tuple[Curve, Moments, Moments] | None:
    """A skip that has been through an activation, plus a normal branch."""
    one, two = place.curves
    if one is not None and place.normals[1]:
        return one[0], one[1], b
    if two is not None and place.normals[0] and sign > 0:
        return two[0], two[1], a
    return None


def _together(place: Place, a: Moments, b: Moments) -> float:
    """How uneven the units of a sum are: the relative variances of the operands', weighed by their squares."""
    total = a.varying + b.varying
    uneven = (1 - 1 / h for h in place.harmonics)
    return 1 / (1 - sum(u * (m.varying / total) ** 2 for u, m in zip(uneven, (a, b)))) if total > 0 else 1.0


def _aligned(place: Place, first: float, second: float) -> tuple[float | None, float | None]:
    """Regressions on the operands; not worked out for one that is stretched."""
    copies = _copies(place)
    return (first if copies[0] == 1 else None, second if copies[1] == 1 else None)


def add(place: Place) -> Effect | None:
    """`a + b`."""
    return _sum(place, 1.0)


def sub(place: Place) -> Effect | None:
    """`a - b`."""
    return _sum(place, -1.0)


def product(a: Moments, b: Moments, total: float) -> tuple[Moments, float]:
    """The moments of `a b` for jointly normal factors of that covariance (Isserlis, 1918), and the mean of the product."""
    mean = a.mean * b.mean + total
    second = (
        (a.mean * b.mean) ** 2
        + a.mean**2 * b.spread
        + b.mean**2 * a.spread
        + a.spread * b.spread
        + 4 * a.mean * b.mean * total
        + 2 * total * total
    )
    common = a.common * b.common + 2 * a.mean * b.mean * total + total * total
    return Moments(mean, second, max(second - common, 0.0)), mean


def mul(place: Place) -> Effect | None:
    """`a * b`."""
    both = _both(place)
    if both is None:
        return None
    a, b = both
    total, _, note = place.covariance(0, 1)
    output, _ = product(a, b, total)
    copies = _copies(place)
    unit, _ = _widest(place)
    if place.same:
        return Effect((output,), (4 * a.second, 0.0), (2 * a.mean, 0.0), "correlated", unit)
    gains = (b.second * copies[0], a.second * copies[1])
    return Effect((output,), gains, _aligned(place, b.mean, a.mean), note if note != "fresh" else "", unit)


def ratio(place: Place, a: Moments, b: Moments) -> Effect | None:
    """`a / b` of independent numbers where b stays away from zero: three terms of the series in its variance. None where it does not."""
    if b.mean == 0 or b.spread > 0.1 * b.mean**2:
        return None
    wide = b.spread / b.mean**2
    inverse = Moments((1 + wide) / b.mean, (1 + 3 * wide) / b.mean**2, b.varying / b.mean**4)
    output, _ = product(a, inverse, 0.0)
    slope = a.second * (1 + 10 * wide) / b.mean**4
    if len(place.inputs) == 1:
        return Effect((output,), (slope,), (-a.mean / b.mean**2,), "independent", place.unit())
    copies = _copies(place)
    unit, _ = _widest(place)
    carries = _aligned(place, inverse.mean, -a.mean / b.mean**2)
    return Effect((output,), (inverse.second * copies[0], slope * copies[1]), carries, "independent", unit)


def _extreme(place: Place, sign: float) -> Effect | None:
    """The larger of two normals: Clark, "The greatest of a finite set of random variables", 1961."""
    both = _both(place)
    if both is None:
        return None
    a, b = both[0].scaled(sign), both[1].scaled(sign)
    total, _, _ = place.covariance(0, 1)
    width = math.sqrt(max(a.spread + b.spread - 2 * total, 0.0))
    unit, _ = _widest(place)
    copies = _copies(place)
    if width <= 0:
        larger = a if a.mean >= b.mean else b
        return Effect((larger.scaled(sign),), copies, _aligned(place, 0.5, 0.5), "correlated", unit)
    alpha = (a.mean - b.mean) / width
    density, chance = math.exp(-alpha * alpha / 2) / math.sqrt(2 * math.pi), math.erfc(-alpha / math.sqrt(2)) / 2
    mean = a.mean * chance + b.mean * (1 - chance) + width * density
    second = a.second * chance + b.second * (1 - chance) + (a.mean + b.mean) * width * density
    part = (a.varying + b.varying) / (a.spread + b.spread) if a.spread + b.spread > 0 else 0.0
    output = Moments(mean, second, part * max(second - mean * mean, 0.0)).scaled(sign)
    gains = (chance * copies[0], (1 - chance) * copies[1])
    return Effect((output,), gains, _aligned(place, chance, 1 - chance), "gaussian", unit)


def _maximum(place: Place) -> Effect | None:
    return _extreme(place, 1.0)


def _minimum(place: Place) -> Effect | None:
    return _extreme(place, -1.0)


# ------------------------------------------------------------------------------------------------------------------ joins
def _joined(place: Place, unit: int | None) -> Effect | None:
    """Side by side: shares by size. A function of normals stays one where all parts are the same function."""
    known = [m for m in place.inputs if m is not None]
    if len(known) < len(place.inputs):
        return None
    sizes = [place.elements(t) for t in place.types]
    whole = sum(sizes)
    output = mixture([(size / whole, m) for size, m in zip(sizes, known)])
    curve = None
    first = place.curves[0]
    if first is not None and all(c is not None and c[0] is first[0] for c in place.curves):
        curve = first[0], mixture([(size / whole, c[1]) for size, c in zip(sizes, place.curves) if c is not None])
    return Effect(
        (output,),
        (1.0,) * len(known),
        (None,) * len(known),
        "",
        unit,
        curve=curve,
        normal=place.normal,
        harmonic=_mixed(place, known, sizes),
    )


def _mixed(place: Place, known: list[Moments], sizes: list[int]) -> float:
    """How uneven units are that were joined from parts of different variance."""
    if any(m.varying <= 0 for m in known):
        return 1.0
    whole = sum(sizes)
    mean = sum(n * m.varying for n, m in zip(sizes, known)) / whole
    return mean * sum(n * h / m.varying for n, m, h in zip(sizes, known, place.harmonics)) / whole


def _concat(place: Place) -> Effect | None:
    return _joined(place, place.unit())


def _stack(place: Place) -> Effect | None:
    rank, unit = place.outputs[0].rank, place.unit()
    new = place.op.axis % rank  # type: ignore[attr-defined]
    return _joined(place, unit if unit is None or unit < new else unit + 1)


RULES: dict[str, Rule] = {
    "maximum": _maximum,
    "minimum": _minimum,
    "concat": _concat,
    "stack": _stack,
}
