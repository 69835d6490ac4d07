"""Whether two engines computed the same: a benchmark of wrong numbers is worth nothing.

Outputs are compared on the inputs that are then timed, in up to a million places each, relative to the output's largest magnitude.
`verify` is the exact instrument (node by node, in float64); this one catches what is broken.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from netspec.record import record

#: in so many places of an output, evenly spread
PLACES = 1 << 20
#: how far outputs may be apart, in shares of the largest magnitude, by precision: a hundred roundings of the type, or so
ALLOWED: Mapping[str, float] = {"fp32": 1e-3, "tf32": 2e-2, "fp16": 2e-2, "bf16": 1e-1, "file": 1.0}

Sample = dict[str, "np.ndarray"]


@record
class Difference:
    """The worst place of all outputs: `share` is the error over the largest magnitude (of whole numbers, the share that differs)."""

    output: str
    share: float
    expected: float
    found: float


def sample(outputs: Mapping[str, np.ndarray]) -> Sample:
    """Evenly spread entries of each output, flat: the same places for equal shapes."""
    found = {}
    for name, array in outputs.items():
        flat = np.ascontiguousarray(array).reshape(-1)
        step = -(-flat.size // PLACES)
        picked = flat[:: max(step, 1)]
        found[name] = picked.astype("float32") if picked.dtype.kind not in "iub" else picked.copy()
    return found


def difference(expected: Sample, found: Sample) -> Difference:
    """The largest difference over all outputs. Another name, or another number of entries, is an infinite one."""
    worst = Difference("", 0.0, 0.0, 0.0)
    for name, wanted in expected.items():
        given = found.get(name)
        if given is None or given.shape != wanted.shape:
            return Difference(name, float("inf"), float(wanted.size), float(0 if given is None else given.size))
        one = _apart(name, wanted, given)
        if one.share > worst.share:
            worst = one
    return worst


def _apart(name: str, wanted: np.ndarray, given: np.ndarray) -> Difference:
    if not wanted.size:
        return Difference(name, 0.0, 0.0, 0.0)
    if wanted.dtype.kind in "iub":
        unequal = wanted != given
        place = int(unequal.argmax())
        return Difference(name, float(unequal.mean()), float(wanted[place]), float(given[place]))
    a, b = wanted.astype("float64"), given.astype("float64")
    with np.errstate(invalid="ignore"):
        apart = np.abs(a - b)
    apart[(a == b) | (np.isnan(a) & np.isnan(b))] = 0.0  # equal infinities, and NaN in both
    apart[np.isnan(apart)] = np.inf
    finite = np.abs(a[np.isfinite(a)])
    scale = float(finite.max()) if finite.size else 0.0
    place = int(apart.argmax())
    error = float(apart[place])
    share = 0.0 if error == 0 else error / scale if scale else float("inf")
    return Difference(name, share, float(a[place]), float(b[place]))
