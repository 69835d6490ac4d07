"""Which positions an output position depends on: as a `Reach` says, spelt out as sets, and as torch shows.

Measured by moving the input at one index of one axis, far up and far down, and watching which outputs move.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from netspec import reach
from netspec.sizes.dim import evaluate
from netspec.sizes.tensor import TensorType
from tests.ops.harness import Case, random_data
from tests.ops.torch_terms import Runner

Positions = set[int]


def said(axis_reach: Any, o: int, n: int, m: int, env: dict[str, int]) -> Positions:
    """The positions of an input axis of length `n` that output `o` of `m` sees, by the definitions in `netspec.reach`."""
    return _SETS[type(axis_reach).__name__](axis_reach, o, n, m, env)


def _window(r: reach.Window, o: int, n: int, m: int, env: dict[str, int]) -> Positions:
    first = o * r.stride - evaluate(r.padding, env)
    return _inside([first + r.dilation * j for j in range(r.kernel)], n, r.mode)


def _transposed(r: reach.Transposed, o: int, n: int, m: int, env: dict[str, int]) -> Positions:
    starts = [o + evaluate(r.padding, env) - r.dilation * j for j in range(r.kernel)]
    return {s // r.stride for s in starts if s % r.stride == 0 and 0 <= s // r.stride < n}


def _shift(r: reach.Shift, o: int, n: int, m: int, env: dict[str, int]) -> Positions:
    return _inside([o * r.step + evaluate(r.offset, env)], n, r.mode)


def _resample(r: reach.Resample, o: int, n: int, m: int, env: dict[str, int]) -> Positions:
    step = float(1 / r.scale) if r.scale else n / m
    if r.mode == "area":
        return set(range(o * n // m, -(-(o + 1) * n // m)))
    if r.mode.startswith("nearest"):
        return {min(n - 1, math.floor((o if r.mode == "nearest" else o + 0.5) * step + 1e-9))}
    if r.align_corners:
        step = (n - 1) / (m - 1) if m > 1 else 0.0
    # torch's antialiased kernel keeps to half pixels and takes only the step of aligned corners
    x = o * step if r.align_corners and not r.antialias else (o + 0.5) * step - 0.5
    if r.antialias:
        half = (1 if r.mode == "linear" else 2) * max(step, 1.0)
        return {i for i in range(n) if abs(i - x) < half - 1e-9}
    if r.mode == "linear":
        x = max(0.0, x)
        low = math.floor(x + 1e-9)
        return {min(low, n - 1)} if abs(x - low) < 1e-9 else {min(low, n - 1), min(low + 1, n - 1)}
    low = math.floor(x + 1e-9)
    taps = [low] if abs(x - low) < 1e-9 else range(low - 1, low + 3)
    return {min(max(t, 0), n - 1) for t in taps}


def _blocks(r: reach.Blocks, o: int, n: int, m: int, env: dict[str, int]) -> Positions:
    return {o // r.factor} if r.up else set(range(o * r.factor, (o + 1) * r.factor))


_SETS: dict[str, Any] = {
    "Same": lambda r, o, n, m, env: {o} & set(range(n)),
    "Window": _window,
    "Transposed": _transposed,
    "Resample": _resample,
    "Adaptive": lambda r, o, n, m, env: set(range(o * n // m, -(-(o + 1) * n // m))),
    "Blocks": _blocks,
    "Shift": _shift,
    "Causal": lambda r, o, n, m, env: set(range(o + 1)),
    "All": lambda r, o, n, m, env: set(range(n)),
}


def _inside(positions: list[int], n: int, mode: str) -> Positions:
    """Where positions beyond the ends come from: nothing, a mirror, the last element, or the other end."""
    if mode == "reflect" and n > 1:
        period = 2 * (n - 1)
        return {min(p % period, period - p % period) for p in positions}
    if mode == "replicate":
        return {min(max(p, 0), n - 1) for p in positions}
    if mode == "circular":
        return {p % n for p in positions}
    return {p for p in positions if 0 <= p < n}


def seen(case: Case, env: dict[str, int], which: int, axis: int) -> list[list[np.ndarray]]:
    """For each index of input `which` along `axis`, and each output, which elements move."""
    data = random_data(case, env)
    weights = {k: np.abs(v) if v.dtype.kind == "f" else v for k, v in data.weights.items()}
    runner = Runner(case.operator, case.site(), weights, double=True)
    if runner.module is not None:
        runner.module.eval()
    arrays = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in data.arrays]
    arrays = [np.abs(a) * 0.1 + 0.05 if a.dtype.kind == "f" else a for a in arrays]
    with torch.no_grad():
        base = [_floats(t) for t in runner(*arrays)]
        return [_moved(runner, arrays, base, which, axis, i) for i in range(arrays[which].shape[axis])]


def _floats(tensor: torch.Tensor) -> np.ndarray:
    return tensor.double().numpy()


def _moved(runner: Runner, arrays: list[np.ndarray], base: list[np.ndarray], which: int, axis: int, index: int) -> list[np.ndarray]:
    moved = [np.zeros(b.shape, bool) for b in base]
    rng = np.random.default_rng(index)
    for sign in (50.0, -50.0):
        changed = [a.copy() for a in arrays]
        place = (slice(None),) * axis + (index,)
        spot = changed[which][place]
        changed[which][place] = spot + sign * rng.uniform(1.0, 2.0, spot.shape)
        for found, before, after in zip(moved, base, runner(*changed)):
            now = _floats(after)
            found |= np.isnan(now) != np.isnan(before)
            found |= np.abs(np.nan_to_num(now - before)) > 1e-10
    return moved


def wrong_reach(case: Case, env: dict[str, int]) -> list[str]:
    """Where what torch shows is not what the operator's `reach` says, asked at these sizes."""
    found = []
    declared = case.operator.reach(_closed(case.inputs, env), _closed(case.outputs, env))
    for which, kind in enumerate(case.inputs):
        if not kind.dtype.startswith("float"):
            continue
        for axis, size in enumerate(kind.shape):
            moved = list(zip(*seen(case, env, which, axis)))
            for index, output in enumerate(declared):
                for out_axis, axis_reach in enumerate(output.inputs[which]):
                    if axis_reach is not None and axis_reach.axis == axis:
                        others = tuple(a for a in range(moved[index][0].ndim) if a != out_axis)
                        hits = np.array([m.any(axis=others) for m in moved[index]])
                        wrong = _differences(axis_reach, hits, evaluate(size, env), env, not _chooses(case))
                        found += [f"{case.text} at {env}: {w}" for w in wrong]
    return found


def _closed(types: tuple[TensorType, ...], env: dict[str, int]) -> tuple[TensorType, ...]:
    return tuple(t.with_shape(tuple(evaluate(s, env) for s in t.shape)) for t in types)


def _chooses(case: Case) -> bool:
    """Whether the data decide what is looked at: a query that sees one key, or none, has no say in what it gets."""
    return case.operator.FAMILY == "attention" or any(t.dtype == "bool" for t in case.inputs)


def _differences(axis_reach: Any, hits: np.ndarray, n: int, env: dict[str, int], exact: bool) -> list[str]:
    """`All` and `Causal` are bounds, and so is everything where the output is constant; the rest must be exact
    where that is wanted."""
    exact = exact and hits.any() and not isinstance(axis_reach, (reach.All, reach.Causal))
    found = []
    m = hits.shape[1]
    for o in range(m):
        expected, actual = said(axis_reach, o, n, m, env), {int(i) for i in np.flatnonzero(hits[:, o])}
        if not actual <= expected or (exact and actual != expected):
            found.append(f"{axis_reach}: output {o} of {m} sees {sorted(actual)} of {n}, not {sorted(expected)}")
    return found
