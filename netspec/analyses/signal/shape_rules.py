"""What moves numbers and leaves them as they are: shapes, pieces, borders, resolutions; and tensors that come from nowhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from netspec import reach as r
from netspec.analyses.signal.interpolation import kept
from netspec.analyses.signal.moments import Moments, Profile
from netspec.analyses.signal.rule import Effect, Place, Rule, pointwise


def _identity(place: Place) -> Effect:
    return pointwise(place, place.x, 1.0, 1.0, curve=place.curves[0])


def _cast(place: Place) -> Effect | None:
    floats = [t.dtype.startswith(("float", "bfloat")) for t in (place.types[0], place.outputs[0])]
    return _identity(place) if all(floats) else None


def _moved(place: Place, unit: int | None, profile: Profile = ()) -> Effect:
    """The same numbers elsewhere; each input is used as often as there are outputs for it."""
    return Effect((place.x,) * len(place.outputs), (place.ratio,), (None,), "", unit, profile, normal=place.normal)


def _flatten(place: Place) -> Effect:
    rank, unit, op = place.types[0].rank, place.unit(), place.op
    start, end = op.start % rank, op.end % rank  # type: ignore[attr-defined]
    return _moved(place, None if unit is None else unit if unit < start else start if unit <= end else unit - (end - start))


def _reshape(place: Place) -> Effect:
    """Axes that keep their size at the front and at the back keep their meaning."""
    before, after, unit = place.before, place.after, place.unit()
    if unit is not None and before[: unit + 1] == after[: unit + 1]:
        return _moved(place, unit)
    if unit is not None and before[unit:] == after[len(after) - (len(before) - unit) :]:
        return _moved(place, len(after) - (len(before) - unit))
    return _moved(place, None)


def _permute(place: Place) -> Effect:
    rank, unit = place.types[0].rank, place.unit()
    order = [a % rank for a in place.op.axes]  # type: ignore[attr-defined]
    return _moved(place, None if unit is None else order.index(unit))


def _without_axis(place: Place) -> Effect:
    axis, unit = place.op.axis % place.types[0].rank, place.unit()  # type: ignore[attr-defined]
    return _moved(place, None if unit is None or unit == axis else unit - (unit > axis))


def _with_axis(place: Place) -> Effect:
    axis, unit = place.op.axis % place.outputs[0].rank, place.unit()  # type: ignore[attr-defined]
    return _moved(place, None if unit is None else unit + (unit >= axis))


def _expand(place: Place) -> Effect:
    new, unit = place.outputs[0].rank - place.types[0].rank, place.unit()
    return _moved(place, None if unit is None else unit + new)


def _pieces(place: Place) -> Effect:
    """Every element goes to one piece: the gains of the pieces are their shares (see `propagate`)."""
    return Effect((place.x,) * len(place.outputs), (1.0,), (None,), "", place.unit(), normal=place.normal)


def _piece(place: Place) -> Effect:
    return _moved(place, place.unit())


#: Which of n positions is seen where a border looks back inside: position i, which may lie outside.
_INSIDE: Mapping[str, Callable[[int, int], int]] = {
    "reflect": lambda i, n: n - 1 - abs(n - 1 - abs(i)),
    "replicate": lambda i, n: min(max(i, 0), n - 1),
    "circular": lambda i, n: i % n,
}


def _border(place: Place) -> Effect:
    """Zeros (or a value) around, or a border cut away: a share of the output is the input. What looks back inside is a copy."""
    x, shape, after = place.x, place.before, place.after
    mode = getattr(place.op, "mode", "zeros")
    filled = mode in ("zeros", "constant")
    share, used, strength = 1.0, 1.0, 1.0
    rows: list[tuple[float, ...] | None] = []
    looks: list[r.AxisReach] = []
    for axis, look in enumerate(place.op.reach(place.types, place.outputs)[0].inputs[0]):
        n, m = shape[axis], after[axis]
        offset = look.offset if isinstance(look, r.Shift) else 0
        moved = filled and (n != m or offset != 0)
        row = place.profiles[0][axis - 2] if place.profiles[0] and axis >= 2 else None
        inside = range(max(0, -offset), min(m, n - offset))
        if moved:
            share *= len(inside) / m
        if row and moved and inside:  # what is cut away may be weaker than what stays
            strength *= sum(row[o + offset] for o in inside) / len(inside)
        if row and not filled:
            inner, row = row, tuple(row[_INSIDE[mode](o + offset, n)] for o in range(m))
            strength *= sum(row) / m
            row = _placed(0, m, m, row) if row != inner else inner
        if axis < 2 or not filled:
            used *= (len(inside) if filled else m) / n
        if axis >= 2:
            rows.append(_placed(offset, n, m, row) if moved else row)
            looks.append(r.Shift(axis, offset) if moved else r.Same(axis))
    value = float(getattr(place.op, "value", 0))
    output = Moments(
        share * x.mean + (1 - share) * value,
        share * strength * x.second + (1 - share) * value * value,
        share * strength * x.varying,
    )
    profile = tuple(rows) if not value and any(rows) else ()
    rest = len(place.inputs) - 1
    return Effect(
        (output,), (used,) + (0.0,) * rest, (None,) * (rest + 1), "", place.unit(), profile,
        tuple(looks) if filled else (), normal=place.normal,
    )  # fmt: skip


def _placed(offset: int, n: int, m: int, row: tuple[float, ...] | None) -> tuple[float, ...] | None:
    """A profile moved by `offset`, with zeros where nothing stands, of mean 1."""
    found = [(row[o + offset] if row else 1.0) if 0 <= o + offset < n else 0.0 for o in range(m)]
    mean = sum(found) / m
    return tuple(p / mean for p in found) if mean > 0 and max(found) > min(found) else None


def _interpolate(place: Place) -> Effect:
    """A copy keeps everything; a mean of independent neighbours keeps the sum of its squared weights of their variance."""
    x, share = place.x, 1.0
    looks = place.looks()
    for axis, look in enumerate(looks, start=2):
        share *= kept(look, place.before[axis], place.after[axis])
    varying = share * x.varying
    output = Moments(x.mean, x.common + varying, varying)
    note = "positions" if share < 1 else ""
    rest = len(place.inputs) - 1
    return Effect((output,), (place.ratio * share,) + (0.0,) * rest, (None,) * (rest + 1), note, place.unit(), normal=place.normal)


# ---------------------------------------------------------------------------------------------------------------- sources
def _param(place: Place) -> Effect | None:
    law = place.law("")
    if law is None or law.passes is not None:
        return None
    return Effect((Moments(law.mean, law.second, 0.0),), unit=place.outputs[0].rank - 1 if place.outputs[0].rank else None)


def _numbers(value: Any) -> list[float]:
    return [n for v in value for n in _numbers(v)] if isinstance(value, tuple) else [float(value)]


def _constant(place: Place) -> Effect:
    found = _numbers(place.op.value)  # type: ignore[attr-defined]
    mean, second = sum(found) / len(found), sum(n * n for n in found) / len(found)
    return Effect((Moments(mean, second, 0.0),))


def _one_hot(place: Place) -> Effect:
    share = 1 / place.op.classes  # type: ignore[attr-defined]
    return Effect((Moments(share, share, share - share * share),), (0.0,), (0.0,), "", place.outputs[0].rank - 1)


RULES: dict[str, Rule] = {
    "identity": _identity,
    "cast": _cast,
    "flatten": _flatten,
    "reshape": _reshape,
    "permute": _permute,
    "squeeze": _without_axis,
    "select": _without_axis,
    "unsqueeze": _with_axis,
    "expand": _expand,
    "split": _pieces,
    "chunk": _pieces,
    "slice": _piece,
    "roll": _piece,
    "flip": _piece,
    "pad": _border,
    "crop": _border,
    "resize": _interpolate,
    "upsample": _interpolate,
    "pixel_shuffle": _piece,
    "pixel_unshuffle": _piece,
    "param": _param,
    "constant": _constant,
    "buffer": _constant,
    "one_hot": _one_hot,
}
