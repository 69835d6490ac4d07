"""Numbers for one distribution: the arithmetic under `weights`, on a generator that the caller has keyed."""

from __future__ import annotations

import math

import numpy as np

from netspec.initializers.distributions import (
    Constant,
    Dirac,
    Eye,
    Normal,
    NormOf,
    Orthogonal,
    SingularVector,
    Sparse,
    TruncatedNormal,
    Uniform,
)  # fmt: skip

#: Below this share of accepted draws, a truncated normal is drawn from its tail's own envelope instead.
_SELDOM = 0.25
#: Steps of the power iteration towards a singular vector; torch takes fifteen.
_POWER_STEPS = 30


def fill(out: np.ndarray, law: Constant | Uniform | Normal | TruncatedNormal, rng: np.random.Generator) -> None:
    """Fill a contiguous float32 or float64 array with independent draws, in row-major order."""
    kind = out.dtype.type
    match law:
        case Constant(value):
            out.fill(value)
        case Uniform(low, high):
            rng.random(out=out, dtype=kind)
            out *= kind(high - low)
            out += kind(low)
        case Normal(mean, std, _):
            rng.standard_normal(out=out, dtype=kind)
            out *= kind(std)
            if mean:
                out += kind(mean)
        case TruncatedNormal():
            flat = out.reshape(-1)
            flat[:] = _truncated(flat.size, law, rng)
            np.clip(flat, law.low, law.high, out=flat)  # rounding to float32 may step over a bound


def structured(shape: tuple[int, ...], law: Orthogonal | Sparse | Dirac | Eye, rng: np.random.Generator) -> np.ndarray:
    """A float64 array of a distribution whose elements depend on each other."""
    match law:
        case Orthogonal(gain):
            return gain * _orthogonal(shape, rng)
        case Sparse():
            return _sparse(shape, law, rng)
        case Dirac(groups):
            return _dirac(shape, groups)
        case Eye():
            return np.eye(*shape)


def _orthogonal(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """QR of a normal matrix, signs fixed by R's diagonal, so that Q is uniform over the orthogonal matrices and unique
    (Mezzadri, "How to generate random matrices from the classical compact groups", 2007, arXiv:math-ph/0609050)."""
    rows, columns = shape[0], math.prod(shape[1:])
    normal = rng.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(normal)
    q *= np.where(np.diag(r) < 0, -1.0, 1.0)
    return np.ascontiguousarray(q if rows >= columns else q.T).reshape(shape)


def _sparse(shape: tuple[int, ...], law: Sparse, rng: np.random.Generator) -> np.ndarray:
    rows, columns = shape
    values = law.std * rng.standard_normal((rows, columns))
    order = rng.random((rows, columns))
    if law.zeros_per_column is not None:
        rank = order.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable")
        values[rank < law.zeros_per_column] = 0
    else:
        rank = order.argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
        values[rank >= law.kept_per_row] = 0
    return values


def _dirac(shape: tuple[int, ...], groups: int) -> np.ndarray:
    values = np.zeros(shape)
    per_group = shape[0] // groups
    centre = tuple(size // 2 for size in shape[2:])
    for group in range(groups):
        for channel in range(min(per_group, shape[1])):
            values[(group * per_group + channel, channel, *centre)] = 1
    return values


def _truncated(count: int, law: TruncatedNormal, rng: np.random.Generator) -> np.ndarray:
    """Draws by rejection. Where the bounds leave little of the bell, from a uniform over what is left of it, accepted by the
    density's ratio to its peak (Robert, "Simulation of truncated normal variables", 1995, arXiv:0907.4010)."""
    low, high = (law.low - law.mean) / law.std, (law.high - law.mean) / law.std
    accepted = (math.erf(high / math.sqrt(2)) - math.erf(low / math.sqrt(2))) / 2
    if accepted > _SELDOM:
        return law.mean + law.std * _rejected(count, lambda n: _bell(n, low, high, rng))
    mirrored = high <= 0
    if mirrored:
        low, high = -high, -low
    # within (low, high), density falls by e^-40 over this reach: beyond it lies nothing that a double could show
    high = min(high, math.sqrt(max(low, 0.0) ** 2 + 80))
    peak = min(max(low, 0.0), high)
    draws = _rejected(count, lambda n: _tail(n, low, high, peak, rng))
    return law.mean + law.std * (-draws if mirrored else draws)


def _bell(count: int, low: float, high: float, rng: np.random.Generator) -> np.ndarray:
    draws = rng.standard_normal(count)
    return draws[(draws >= low) & (draws <= high)]


def _tail(count: int, low: float, high: float, peak: float, rng: np.random.Generator) -> np.ndarray:
    draws = low + (high - low) * rng.random(count)
    return draws[rng.random(count) <= np.exp((peak * peak - draws * draws) / 2)]


def _rejected(count: int, attempt) -> np.ndarray:
    """`count` draws from attempts that keep only some; always asked for in the same amounts, so always the same."""
    kept: list[np.ndarray] = []
    missing = count
    while missing > 0:
        drawn = attempt(max(64, missing + missing // 4))
        kept.append(drawn[:missing])
        missing -= len(kept[-1])
    return np.concatenate(kept) if kept else np.empty(0)


def derived(shape: tuple[int, ...], law: NormOf | SingularVector, sibling: np.ndarray) -> np.ndarray:
    """What follows from another tensor: nothing is drawn here."""
    values = sibling.astype(np.float64)
    if isinstance(law, NormOf):
        axes = tuple(a for a in range(values.ndim) if a != law.axis)
        return np.sqrt((values * values).sum(axis=axes)).reshape(shape)
    matrix = np.moveaxis(values, law.axis, 0).reshape(values.shape[law.axis], -1)
    right = np.ones(matrix.shape[1]) / math.sqrt(matrix.shape[1])
    left = matrix @ right
    for _ in range(_POWER_STEPS):
        left = _unit(matrix @ right)
        right = _unit(matrix.T @ left)
    return left if law.left else right


def _unit(vector: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(vector)
    return vector / length if length else np.full_like(vector, 1 / math.sqrt(vector.size))
