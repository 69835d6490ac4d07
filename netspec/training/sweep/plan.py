"""What a sweep is: a spec, a space, data, and how the space is searched. All that a process needs to take part in it."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
from typing import TYPE_CHECKING, Any, Literal, Mapping

from netspec.diagnostics.model import Refusal
from netspec.diagnostics.nearest import suggestion
from netspec.record import record
from netspec.training.loop.job import Request
from netspec.training.sweep.ranges import shown, stored, values
from netspec.training.sweep.space import Space
from netspec.training.sweep.spec import Spec, without_places

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

    from netspec.graph import Graph
    from netspec.recipe.section import Section

Sampler = Literal["grid", "random", "bayesian"]
Pruner = Literal["none", "median", "halving"]
#: more places than this are not made for one sweep
MOST = 10_000


@record
class Sweep:
    """A whole sweep; it can be pickled. `request` is what every trial is trained with, but for its network, section and folder.

    `trials` are all of it, over all processes and sessions; `points` is how many values a grid takes of a continuous range; `seed` is
    that of the drawing. `monitor` is what a trial's final weights are worth, and `mode` says whether small (`min`) or large (`max`) is
    good. `storage` and `study` say where trials are kept, `folder` where their files are; after `deadline` (seconds since 1970) no
    trial is begun.
    """

    spec: Spec
    space: Space
    request: Request
    monitor: str
    mode: str
    trials: int
    sampler: Sampler
    pruner: Pruner
    storage: str
    study: str
    folder: str
    points: int | None = None
    seed: int = 0
    deadline: float | None = None

    def facts(self) -> dict[str, Any]:
        """What must be equal in all sessions of a sweep, as JSON. The network counts, not how its text is laid out."""
        section = self.request.sections[0].with_settings(search=())
        graph = self.request.graph.model_copy(update={"training": (section,)})
        data = {name: _named(getattr(self.request, name)) for name in ("data", "val", "test")}
        return {
            "network and section": _digest(without_places(graph)),
            "parameters": {name: repr(value) for name, value in self.spec.arguments.items()},
            "search": {one.target.path: shown(one.range) for one in self.space},
            "monitor": f"{self.mode} {self.monitor}",
            "sampler": "grid" if self.sampler == "grid" else "drawn",
            "grid points": self.points if self.sampler == "grid" else None,
            "seed": self.seed,
            **{name: where for name, where in data.items() if where is not None},
        }

    def grid(self) -> list[dict[str, Any]] | None:
        """All combinations of a grid as the storage holds them, in an order that the seed shuffles; None where it is no grid."""
        if self.sampler != "grid":
            return None
        axes = [[(one.name, stored(one.range, value)) for value in values(one.range, self.points) or ()] for one in self.space]
        combinations = [dict(combination) for combination in itertools.product(*axes)]
        random.Random(self.seed).shuffle(combinations)
        return combinations

    def make_sampler(self, place: int) -> "BaseSampler":
        """What draws the values of the trial at a place. Its random stream is the place's own, so that neither the processes that
        take part nor a sweep's being interrupted change what is drawn."""
        from optuna import samplers

        seed = int(_digest([self.seed, place])[:8], 16)
        if self.sampler == "bayesian":
            return samplers.TPESampler(seed=seed, n_startup_trials=max(4, min(10, self.trials // 4)))
        return samplers.RandomSampler(seed=seed)

    def make_pruner(self) -> "BasePruner":
        """What ends hopeless trials: none before a tenth of the epochs (median), or their sixteenth (halving, which then keeps the best
        quarter, and again at four times as many epochs)."""
        from optuna import pruners

        epochs = self.request.sections[0].epochs
        if self.pruner == "median":
            return pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=epochs // 10)
        if self.pruner == "halving":
            return pruners.SuccessiveHalvingPruner(min_resource=max(1, epochs // 16))
        return pruners.NopPruner()


def total_of(space: Space, sampler: str, trials: int | None, points: int | None) -> int:
    """How many trials a sweep has: all of a grid, or of another sampler 20, unless fewer or more are asked for.

    Raises `Refusal` (NS837): a grid of a continuous range, no trials, or too many.
    """
    if trials is not None and not 1 <= trials <= MOST:
        raise Refusal("NS837", f"a sweep has from 1 to {MOST:,} trials, not {trials}", status=2)
    if sampler != "grid":
        return 20 if trials is None else trials
    count = 1
    for one in space:
        found = values(one.range, points)
        if found is None:
            message = f"a grid has finitely many points, and `{one.name}: {shown(one.range)}` has no end of values"
            helps = ("--grid-points 5 takes five of each such range", "--sampler random and bayesian need no grid", "a list, or `step = …`")
            raise Refusal("NS837", message, helps=helps, status=2)
        count *= len(found)
    if count > MOST:
        message = f"the grid has {count:,} points; at most {MOST:,} are searched"
        raise Refusal("NS837", message, helps=("--sampler random", "search fewer names, or fewer values of each"), status=2)
    return count if trials is None else min(trials, count)


def mode_of(graph: "Graph", section: "Section", monitor: str, validation: bool = False) -> str:
    """Whether a monitored value is good when small (`min`) or large (`max`). Raises `Refusal` (NS839) where there is no such value.

    `validation` says whether there are validation data of their own, besides what `split` sets apart."""
    from netspec.training.metrics import make_metrics

    split, _, what = monitor.partition(".")
    metrics = make_metrics(graph, section)
    known = ["loss", *metrics.names]
    if split not in ("val", "train") or what not in known:
        every = [f"{part}.{name}" for part in ("val", "train") for name in known]
        helps = (*suggestion(monitor, every), f"there are {', '.join(every)}")
        raise Refusal("NS839", f"nothing is measured that is called `{monitor}`", helps=helps, status=2)
    if split == "val" and not validation and sum(section.split[1:2]) == 0:
        helps = ("`split = [0.8, 0.2]` in the section, or --val DATA", f"or --monitor train.{what}")
        raise Refusal("NS839", f"there are no validation data to measure `{monitor}` on", helps=helps, status=2)
    return "min" if what == "loss" else metrics.better(what)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=repr).encode()).hexdigest()[:16]


def _named(data: Any) -> Any:
    """What data are called: a path without what depends on the folder one stands in; arrays are of a process alone, and have no name."""
    if isinstance(data, Mapping):
        return "arrays"
    return os.path.abspath(data) if data and os.path.exists(data) else data
