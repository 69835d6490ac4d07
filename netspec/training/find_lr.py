"""A learning rate by a range test: a few hundred updates in which the rate grows by the same factor each time, and what the loss does.

Smith 2015 (Cyclical Learning Rates, arXiv:1506.01186, section 3.3), with a rate that grows exponentially, so that every order of
magnitude has as many updates. The loss is smoothed to both sides, so that it does not lag: `sum_j k^|i-j| x_j / sum_j k^|i-j|`. The
suggestion is the rate at which it falls fastest over the logarithm of the rate. The test begins with the weights that the run would
begin with, and leaves nothing behind.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from netspec.diagnostics.model import Refusal
from netspec.record import record

if TYPE_CHECKING:
    from netspec.training.loop.job import Job

#: what a neighbour counts in the smoothed loss
_KEEP = 0.9
#: the test ends where the mean of so many losses is so many times that of the first ones
_LATELY, _BEYOND = 5, 4.0
#: the least number of updates from which a slope can be told
_LEAST = 10


@record
class RangeTest:
    """What the test saw. `rates` are those of the optimizer (`optimizer.lr`; a group's factor comes on top), each with the loss of its
    batch and that smoothed. `suggestion` is where it falls fastest, `lowest` where it is least."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    suggestion: float
    lowest: float

    def save(self, path: str | os.PathLike[str], title: str) -> None:
        """Draw it as `.png`, `.svg` or `.pdf`. Raises `Refusal`: NS015 for another end of the name, NS020."""
        _draw(self, path, title)


def range_test(job: "Job", low: float = 1e-7, high: float = 10.0, steps: int = 200) -> RangeTest:
    """Test rates from `low` to `high` in so many updates, on the training data in their order, with what the section does to them.

    Raises `Refusal`: NS015 for a range that is none, NS824 where the optimizer has no rate or the loss does not fall.
    """
    if not (0 < low < high < math.inf) or steps < _LEAST:
        raise Refusal("NS015", f"{steps} updates from {low:g} to {high:g} are no range test", helps=("--lr-range 1e-7,10",), status=2)
    rates = [low * (high / low) ** (step / (steps - 1)) for step in range(steps)]
    losses = list(_run(job, rates))
    return suggested(rates[: len(losses)], losses)


def suggested(rates: Sequence[float], losses: Sequence[float]) -> RangeTest:
    """What losses at growing rates tell. Raises `Refusal` (NS824) where they do not fall."""
    smoothed = _smoothed(losses)
    least = min(range(len(smoothed)), key=smoothed.__getitem__, default=0)
    slopes = [_slope(rates, smoothed, at) for at in range(2, least - 1)]
    if len(losses) < _LEAST or not slopes or min(slopes) >= 0:
        seen = f"{len(losses)} updates" + (f", the loss from {losses[0]:.4g} to {losses[-1]:.4g}" if losses else "")
        raise Refusal("NS824", f"the loss does not fall at any learning rate between {rates[0]:.2g} and {rates[-1]:.2g}", notes=(seen,))
    steepest = 2 + min(range(len(slopes)), key=slopes.__getitem__)
    return RangeTest(tuple(rates), tuple(losses), tuple(smoothed), rates[steepest], rates[least])


def _smoothed(losses: Sequence[float]) -> list[float]:
    """The loss, smoothed; what is further above the first ones than the least is below them counts as if it were just that far, so that
    one that explodes does not reach back."""
    first = sorted(losses[:_LEAST])[len(losses[:_LEAST]) // 2] if losses else 0.0
    most = 2 * first - min(losses, default=0.0)
    losses = [min(loss, most) for loss in losses]
    sums = [a + b - loss for a, b, loss in zip(_decayed(losses), _decayed(losses[::-1])[::-1], losses)]
    ones = [1.0] * len(losses)
    return [total / (a + b - 1) for total, a, b in zip(sums, _decayed(ones), _decayed(ones)[::-1])]


def _decayed(values: Sequence[float]) -> list[float]:
    """The sum of each value and those before it, each of which counts less the further back it is."""
    return list(accumulate(values, lambda total, value: _KEEP * total + value))


def _slope(rates: Sequence[float], values: Sequence[float], at: int) -> float:
    """The slope over the logarithm of the rate, of the line through five neighbours by least squares."""
    xs, ys = [math.log(rate) for rate in rates[at - 2 : at + 3]], values[at - 2 : at + 3]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    return sum((a - x) * (b - y) for a, b in zip(xs, ys)) / sum((a - x) ** 2 for a in xs)


# ------------------------------------------------------------------------------------------------------------ the updates
def _run(job: "Job", rates: Sequence[float]) -> Iterator[float]:
    """The loss at each rate; ends where it is no number, or far above the first ones."""
    from netspec.training.loop.manners import manners
    from netspec.training.loop.setup import prepare

    lr = getattr(job.section.optimizer, "lr", None)
    if not isinstance(lr, float) or lr <= 0:
        raise Refusal("NS824", f"`{job.section.optimizer.NAME}` has no learning rate to test")  # type: ignore[union-attr]
    with manners(job):
        setup = prepare(replace(job, section=job.section.with_settings(schedule=(), compile=False)))
        setup.train_mode()
        factors = [float(group["lr"]) / lr for group in setup.optimizer.param_groups]
        update, seen = _update_of(setup), list[float]()
        for rate, (batch, local, total) in zip(rates, _batches(setup)):
            for group, factor in zip(setup.optimizer.param_groups, factors):
                group["lr"] = rate * factor
            loss = float(update(batch, local, total).detach())
            if not math.isfinite(loss):
                return
            yield loss
            seen.append(loss)
            lately = sum(seen[-_LATELY:]) / _LATELY
            if len(seen) > _LEAST and lately > _BEYOND * abs(sum(seen[:_LATELY])) / _LATELY:
                return


def _update_of(setup: Any) -> Any:
    """The update of the run itself, on one device."""
    from netspec.training.loop.manners import Seeding
    from netspec.training.loop.update import Parts, make_update

    job, constraints = setup.job, setup.constraints
    seed, count = Seeding(job.section, job.number, job.place.rank, job.place.device), iter(range(1 << 40))
    parts = Parts(
        setup.module, setup.network, tuple(port.name for port in job.graph.inputs), setup.objective, setup.optimizer, setup.trained,
        before=constraints.before_step, after=constraints.after_step, autocast=setup.autocast, scaler=setup.scaler,
        piece=setup.piece, closure=job.section.optimizer.CLOSURE, seed=lambda: seed(next(count)),
    )  # fmt: skip
    return make_update(parts)


def _batches(setup: Any) -> Iterator[tuple[Any, int, int]]:
    """The training data, epoch after epoch, as the run sees them: each batch with its size, for one process."""
    job, epoch = setup.job, 0
    while True:
        for step, batch in enumerate(setup.batches.epoch(epoch)):
            if job.normalize is not None:
                batch = job.normalize(batch)
            if setup.augment is not None:
                batch = setup.augment(batch, job.section.seed, epoch, step, 0)
            yield batch, *setup.batches.sizes(step)
        epoch += 1


# ------------------------------------------------------------------------------------------------------------- the figure
def _draw(test: RangeTest, path: str | os.PathLike[str], title: str) -> None:
    from netspec.backends.plot.style import AMBER, BLUE, GREY, HAIR, check_format, new_figure, save, styled

    check_format(path)
    with styled():
        figure = new_figure(4.6, 2.6)
        figure.text(0.02, 0.96, title, fontsize=9, fontweight="bold", va="top")
        below = f"steepest at {test.suggestion:.2g}, least at {test.lowest:.2g}"
        figure.text(0.02, 0.885, below, fontsize=7, color=GREY, va="top")
        axes = figure.add_axes((0.13, 0.17, 0.84, 0.62))
        axes.plot(test.rates, test.losses, color=HAIR, linewidth=0.8)
        axes.plot(test.rates, test.smoothed, color=BLUE)
        axes.axvline(test.suggestion, color=AMBER, linewidth=1.0)
        axes.set_xscale("log")
        axes.set_xlabel("learning rate")
        axes.set_ylabel("loss")
        lowest, highest = min(test.losses), max(test.smoothed)
        room = (highest - lowest) * 0.08 + 1e-12
        axes.set_ylim(lowest - room, highest + room)
        save(figure, path)
