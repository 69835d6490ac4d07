"""Compares numbers of three engines: torch in float64 is the truth, torch in float32 says how far rounding goes."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.ops.harness import Case, Data, random_data
from tests.ops.onnx_terms import onnx_model, session
from tests.ops.torch_terms import run_torch

#: How often torch's own rounding error, or two units in the last place of the largest output, onnxruntime may be off.
ALLOWANCE = 8.0


def compare(truth: Any, torch32: Any, other: Any) -> str:
    """What is wrong with `other`: empty where it agrees. NaN must meet NaN, infinities their like; integers are exact."""
    truth, torch32, other = (np.asarray(a) for a in (truth, torch32, other))
    if other.shape != torch32.shape or other.dtype != torch32.dtype:
        return f"{other.dtype} {other.shape} instead of {torch32.dtype} {torch32.shape}"
    if not np.issubdtype(other.dtype, np.floating):
        return "" if np.array_equal(torch32, other) else f"{np.sum(torch32 != other)} values differ"
    finite = np.isfinite(torch32)
    if not np.array_equal(torch32[~finite], other[~finite], equal_nan=True) or not np.all(np.isfinite(other[finite])):
        return "infinities or NaN differ"
    if not finite.any():
        return ""
    exact = truth[finite].astype(np.float64)
    ulp = float(np.spacing(np.abs(torch32[finite]).max()))
    own = float(np.abs(torch32[finite] - exact).max())
    error = float(np.abs(other[finite] - exact).max())
    bound = ALLOWANCE * max(own, 2 * ulp)
    return "" if error <= bound else f"off by {error:.3g} where {bound:.3g} is allowed (torch float32 is off by {own:.3g})"


def disagreements(case: Case, env: dict[str, int], opset: int, seed: int = 0, data: Data | None = None) -> list[str]:
    """Where onnxruntime, optimized or not, gives other numbers than torch at these sizes."""
    site = case.site(opset)
    data = data or random_data(case, env, seed)
    truth = run_torch(case.operator, site, data.arrays, data.weights, double=True)
    single = run_torch(case.operator, site, data.arrays, data.weights)
    model = onnx_model(case.operator, site, data.weights)
    found = []
    for optimize in (False, True):
        running = session(model, optimize)
        wanted = {i.name for i in running.get_inputs()}
        results = running.run(None, {f"x{i}": a for i, a in enumerate(data.arrays) if f"x{i}" in wanted})
        for index, result in enumerate(results):
            wrong = compare(truth[index].detach().numpy(), single[index].detach().numpy(), result)
            if wrong:
                found.append(f"{case.text} at {env}, opset {opset}, optimize {optimize}, output {index}: {wrong}")
    return found
