"""Which epoch is the best, and when there is no hope of a better one."""

from __future__ import annotations

from typing import Mapping

from netspec.diagnostics.model import Refusal
from netspec.diagnostics.nearest import suggestion
from netspec.training.loop.setup import Setup
from netspec.training.loop.state import Progress


class Monitor:
    """Watches one value over epochs: that of `stop = early(…)`, or `val.loss` where there are validation data. `name` is None where
    nothing is watched. `restores` says whether the best weights are to be the final ones."""

    def __init__(self, setup: Setup) -> None:
        """Raises Refusal NS815 where `early` or `plateau` watch a value that there is not."""
        self.stop = setup.section.stop
        self.restores = self.stop is not None
        self.name = self.stop.monitor if self.stop is not None else "val.loss" if setup.val is not None else None
        self.others = [name for name in (getattr(setup.schedule, "monitor", None),) if name]
        for name, what in ((self.name, "stop"), *((other, "schedule") for other in self.others)):
            if name is not None and name not in setup.known:
                raise _unknown(name, what, setup)
        mode = self.stop.mode if self.stop is not None else "auto"
        self._largest = self.name is not None and (setup.better(self.name) if mode == "auto" else mode) == "max"

    @property
    def on_training_data(self) -> bool:
        """Whether something is watched for which the training data must be gone through once more."""
        return any(name.startswith("train.") and name != "train.loss" for name in (self.name, *self.others) if name)

    def note(self, metrics: Mapping[str, float], progress: Progress) -> tuple[bool, bool]:
        """Take note of an epoch that is just done; whether it was the best, and whether it is to be the last.

        The best is the best by any margin; patience is for epochs that are better by more than `min_delta`.
        """
        if self.name is None:
            return False, False
        value = metrics[self.name]
        best = value == value and (progress.value is None or self._better(value, progress.value, 0.0))
        if best:
            progress.best, progress.value = progress.epoch, value
        if self.stop is None:
            return best, False
        if value == value and (progress.mark is None or self._better(value, progress.mark, self.stop.min_delta)):
            progress.mark, progress.waiting = value, 0
        elif progress.epoch > self.stop.warmup:
            progress.waiting += 1
        return best, progress.waiting >= max(self.stop.patience, 1)

    def _better(self, value: float, than: float, margin: float) -> bool:
        return value > than + margin if self._largest else value < than - margin


def _unknown(name: str, what: str, setup: Setup) -> Refusal:
    where = setup.section.where(what)
    notes = (f"`{what}` is set at {where.file}:{where.line}",) if where else ()
    if name.startswith("val.") and setup.val is None:
        helps: tuple[str, ...] = ("--val DATA, or `split = [0.9, 0.1]` in the section", "monitor = train.loss")
        return Refusal("NS815", f"`{what}` watches {name}, and there are no validation data", notes=notes, helps=helps, status=2)
    helps = (*suggestion(name, setup.known), f"there are {', '.join(setup.known)}")
    return Refusal("NS815", f"`{what}` watches {name}, which is not measured", notes=notes, helps=helps, status=2)
