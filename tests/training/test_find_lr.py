"""The range test of the learning rate."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path

import numpy as np
import pytest

from netspec import Refusal
from netspec.cli.main import main
from netspec.training.find_lr import range_test, suggested
from netspec.training.loop.job import Request

SPEC = """\
net line {
  input x: [N, 8]
  output y: [N, 1] = x -> linear(1)
  train {
    loss      = mse(y, t)
    optimizer = sgd(lr = 0.3)
    schedule  = warmup(5)
    batch     = 10
    rates     { bias: 0.5 }
  }
}
"""


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(100, 8)).astype(np.float32)
    np.savez("d.npz", x=x, t=(x @ rng.normal(size=(8, 1)) + 1).astype(np.float32))
    Path("line.net").write_text(SPEC)
    return "line.net"


def curve(noise: float, low: float = 1e-6, high: float = 10.0, steps: int = 200) -> tuple[list[float], list[float]]:
    """The loss of `w^2 / 2` by gradient descent at growing rates: it is stable up to 2."""
    draw, w, losses = random.Random(0), 3.0, []
    rates = [low * (high / low) ** (n / (steps - 1)) for n in range(steps)]
    for rate in rates:
        losses.append(w * w / 2 + draw.gauss(0, noise))
        w -= rate * w
    return rates, losses


# -------------------------------------------------------------------------------------------------------- the suggestion
@pytest.mark.parametrize("noise", [0.0, 0.1, 0.3])
def test_the_suggestion_is_where_the_loss_falls_fastest(noise: float) -> None:
    rates, exact = curve(0.0)
    slopes = [exact[n + 1] - exact[n - 1] for n in range(1, len(rates) - 1)]
    steepest = rates[1 + slopes.index(min(slopes))]
    found = suggested(*curve(noise))
    assert steepest / 2 < found.suggestion < steepest * 2 and found.suggestion < found.lowest


def test_a_loss_that_explodes_does_not_reach_back() -> None:
    rates, losses = curve(0.05, high=1.0)
    calm, wild = suggested(rates, losses), suggested([*rates, 1.1, 1.2, 1.3], [*losses, 1e3, 1e6, 1e9])
    assert wild.suggestion == pytest.approx(calm.suggestion, rel=0.1)


@pytest.mark.parametrize("losses", [[], [1.0] * 5, [1.0] * 100, [float(n) for n in range(100)]])
def test_a_loss_that_does_not_fall_suggests_nothing(losses: list[float]) -> None:
    with pytest.raises(Refusal) as caught:
        suggested([1e-6 * 1.1**n for n in range(max(len(losses), 1))], losses)
    assert caught.value.diagnostic.code == "NS824"


# -------------------------------------------------------------------------------------------------------------- the runs
def test_rates_are_those_of_the_optimizer_and_groups_keep_their_factors(spec: str) -> None:
    from netspec import load
    from netspec.training.run import jobs

    graph = load(spec).graph
    (job,) = jobs(Request(graph, graph.training, "d.npz"))
    found, again = (range_test(job, 1e-4, 1.0, 60) for _ in range(2))
    assert found == again and found.rates[0] == 1e-4 and found.rates[1] / found.rates[0] == pytest.approx(10 ** (4 / 59))
    assert all(map(math.isfinite, found.losses)) and 1e-3 < found.suggestion < 0.5
    w, b = (np.asarray(job.start[name], np.float64) for name in ("linear1.weight", "linear1.bias"))
    first = _expected(job, w, b, found.rates[:4])
    assert found.losses[:4] == pytest.approx(first, rel=1e-4)


def _expected(job: object, w: np.ndarray, b: np.ndarray, rates: tuple[float, ...]) -> list[float]:
    """The losses of plain gradient descent on the same batches, the bias at half the rate."""
    from netspec.training.data import Batches

    losses = []
    batches = Batches(job.train.table, job.train.indices, 10, seed=0, shuffle=True)  # type: ignore[attr-defined]
    for rate, batch in zip(rates, batches.epoch(0)):
        x, t = batch["x"].double().numpy(), batch["t"].double().numpy()
        error = x @ w.T + b - t
        losses.append(float((error**2).mean()))
        w, b = w - rate * 2 * error.T @ x / len(x), b - 0.5 * rate * 2 * error.mean(0)
    return losses


def test_the_command_leaves_nothing_but_its_figure(spec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    before = {p.name for p in tmp_path.iterdir()}
    given = ["train", spec, "--data", "d.npz", "--find-lr", "--lr-range", "1e-4,1", "--lr-steps", "60"]
    assert main([*given, "--format", "json", "--plot", "lr.png"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert 1e-3 < facts["suggestion"] < 0.5 and len(facts["rates"]) == len(facts["losses"]) == len(facts["smoothed"])
    assert {p.name for p in tmp_path.iterdir()} == before | {"lr.png"}
    assert main(given) == 0
    assert f"--set optimizer.lr={facts['suggestion']:.2g}" in capsys.readouterr().out
