"""Learning rates over time: the pieces of a `schedule`, joined, as one `torch.optim.lr_scheduler.LRScheduler`.

A piece is a plain function of the update's number since it began, so a run may resume at any update with no rounding; the one with a
memory is `plateau`. What does not change costs nothing, and what does about a microsecond for each parameter group.
"""

from __future__ import annotations

from bisect import bisect_right
from math import cos, inf, pi
from typing import Any, Callable, Sequence

import torch
from torch.optim.lr_scheduler import LRScheduler

from netspec.diagnostics.model import Refusal
from netspec.op import Reject
from netspec.recipe import schedules as recipe
from netspec.recipe.entry import Entry
from netspec.recipe.section import Section
from netspec.record import draft, record

#: from the number of an update within its piece, the factor and the offset of the rate: `base * factor + offset`
Rate = Callable[[int], tuple[float, float]]

_PLAIN = (1.0, 0.0)


@record
class Span:
    """A piece in its place: its updates are those from `start` up to, and without, `end`; the last one goes on past it."""

    entry: Entry
    start: int
    end: int

    @property
    def length(self) -> int:
        """How many updates it has."""
        return self.end - self.start


def spans(pieces: Sequence[Entry], epochs: int, steps_per_epoch: int) -> list[Span]:
    """The pieces in their places. One without `epochs` lasts to the end of the section, of `epochs` epochs."""
    found: list[Span] = []
    start, now, last = 0, 0.0, epochs * steps_per_epoch
    for piece in pieces:
        length = getattr(piece, "epochs", None)
        now += max(epochs - now, 0.0) if length is None else length
        end = last if length is None else round(now * steps_per_epoch)
        found.append(Span(piece, start, max(end, start)))
        start = found[-1].end
    return found


def rate_of(span: Span, steps_per_epoch: int) -> Rate | None:
    """The law of a piece, or None where the rate is the base rate throughout (`plateau` lowers it by itself)."""
    law = _LAWS.get(type(span.entry))
    return None if law is None else law(span.entry, max(span.length, 1), steps_per_epoch)


def _constant(entry: recipe.Constant, length: int, steps: int) -> Rate | None:
    fixed = (entry.factor, 0.0)
    return None if fixed == _PLAIN else lambda update: fixed


def _step(entry: recipe.Step, length: int, steps: int) -> Rate:
    every = entry.every * steps
    return lambda update: (entry.factor ** int(update / every + 1e-9), 0.0)


def _multi_step(entry: recipe.MultiStep, length: int, steps: int) -> Rate:
    at = [round(epoch * steps) for epoch in entry.at]
    return lambda update: (entry.factor ** bisect_right(at, update), 0.0)


def _exponential(entry: recipe.Exponential, length: int, steps: int) -> Rate:
    return lambda update: (entry.gamma ** (update / steps), 0.0)


def _polynomial(entry: recipe.Polynomial, length: int, steps: int) -> Rate:
    power, least = entry.power, entry.eta_min

    def law(update: int) -> tuple[float, float]:
        left = (1 - min(update, length) / length) ** power
        return left, least * (1 - left)

    return law


def _cosine(entry: recipe.Cosine, length: int, steps: int) -> Rate:
    least = entry.eta_min

    def law(update: int) -> tuple[float, float]:
        left = (1 + cos(pi * min(update, length) / length)) / 2
        return left, least * (1 - left)

    return law


def _warmup(entry: recipe.Warmup, length: int, steps: int) -> Rate:
    start, rest = entry.start, 1 - entry.start
    return lambda update: (start + rest * min(update + 1, length) / length, 0.0)


_LAWS: dict[type[Entry], Callable[[Any, int, int], Rate | None]] = {
    recipe.Constant: _constant,
    recipe.Step: _step,
    recipe.MultiStep: _multi_step,
    recipe.Exponential: _exponential,
    recipe.Polynomial: _polynomial,
    recipe.Cosine: _cosine,
    recipe.Warmup: _warmup,
}


class Cycle:
    """The one-cycle policy: knots `(update, rate as a factor of the peak, momentum)`, and what lies between them."""

    def __init__(self, entry: recipe.OneCycle, length: int) -> None:
        """The knots are where phases meet, in torch's count of updates: the first is 0."""
        first, low, high = 1 / entry.div_factor, entry.base_momentum, entry.max_momentum
        self.entry = entry
        self.knots = [(0.0, first, high), (entry.pct_start * length - 1, 1.0, low)]
        if entry.three_phase:
            self.knots.append((2 * entry.pct_start * length - 2, first, high))
        self.knots.append((length - 1.0, first / entry.final_div_factor, high))

    def at(self, update: int) -> tuple[float, float]:
        """The factor of the peak rate, and the momentum."""
        number = 1
        while update > self.knots[number][0] and number < len(self.knots) - 1:
            number += 1
        start, rate, momentum = self.knots[number - 1]
        end, next_rate, next_momentum = self.knots[number]
        share = min((update - start) / ((end - start) or 1.0), 1.0)
        left = 1 - share if self.entry.anneal_strategy == "linear" else (1 + cos(pi * share)) / 2
        return next_rate + (rate - next_rate) * left, next_momentum + (momentum - next_momentum) * left


@draft
class Plateau:
    """The memory of `plateau`: each group's rate, the best value, and how many epochs ago that was."""

    entry: recipe.Plateau
    largest: bool
    rates: list[float]
    best: float | None = None
    bad: int = 0
    cooldown: int = 0

    def observe(self, value: float) -> None:
        """One more epoch's value; lowers the rates where too many were no better."""
        if self._better(value):
            self.best, self.bad = value, 0
        else:
            self.bad += 1
        if self.cooldown > 0:
            self.cooldown, self.bad = self.cooldown - 1, 0
        if self.bad > self.entry.patience:
            self.cooldown, self.bad = self.entry.cooldown, 0
            self.rates = [self._lower(rate) for rate in self.rates]

    def _better(self, value: float) -> bool:
        if self.best is None:
            return value == value
        margin = self.entry.threshold * (self.best if self.entry.threshold_mode == "rel" else 1.0)
        return value > self.best + margin if self.largest else value < self.best - margin

    def _lower(self, rate: float) -> float:
        lower = max(rate * self.entry.factor, self.entry.min_lr)
        return lower if rate - lower > self.entry.eps else rate


class Schedule(LRScheduler):
    """The rates of all parameter groups over a section. `last_epoch` counts updates, as in torch's schedulers that step once each."""

    def __init__(
        self, optimizer: torch.optim.Optimizer, places: Sequence[Span], steps_per_epoch: int, better: Callable[[str], str]
    ) -> None:
        """`better` says of a monitored value whether `min` or `max` is good, for a `plateau` that does not."""
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", float(group["lr"]))
        self.optimizer = optimizer
        self.base_lrs = [float(group["initial_lr"]) for group in optimizer.param_groups]
        self.last_epoch = 0
        self._places = list(places)
        self._laws = [rate_of(span, steps_per_epoch) for span in places]
        self._cycles = {i: Cycle(s.entry, max(s.length, 1)) for i, s in enumerate(places) if isinstance(s.entry, recipe.OneCycle)}
        self._memories: dict[int, Plateau] = {}
        for number, span in enumerate(places):
            if isinstance(span.entry, recipe.Plateau):
                mode = better(span.entry.monitor) if span.entry.mode == "auto" else span.entry.mode
                self._memories[number] = Plateau(span.entry, mode == "max", list(self.base_lrs))
        self._enter()

    @property
    def monitor(self) -> str | None:
        """The value that `observe` is to be given at the end of every epoch, if there is one."""
        return next((memory.entry.monitor for memory in self._memories.values()), None)

    def step(self, metric: float | None = None) -> None:  # type: ignore[override]
        """Go on by one update; `metric` is observed first, as by torch's ReduceLROnPlateau."""
        if metric is not None:
            self.observe(metric)
        self.last_epoch += 1
        if self.last_epoch >= self._until:
            self._enter()
        elif self._move is not None:
            self._move(self.last_epoch - self._start)

    def observe(self, value: float) -> None:
        """The monitored value after an epoch: a `plateau` whose turn it is may lower the rates at once."""
        memory = self._memories.get(self._number)
        if memory is not None:
            memory.observe(float(value))
            self._write(memory.rates)

    def get_last_lr(self) -> list[float]:
        """The rate of each group now."""
        return [float(group["lr"]) for group in self.optimizer.param_groups]

    def get_lr(self) -> list[float]:
        """As `get_last_lr`."""
        return self.get_last_lr()

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs, as plain numbers: the update, base rates, and what each `plateau` remembers."""
        memories = {str(n): [m.rates, m.best, m.bad, m.cooldown] for n, m in self._memories.items()}
        return {"updates": self.last_epoch, "base_lrs": list(self.base_lrs), "plateaus": memories}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there, before or after the optimizer's own state was loaded. Raises ValueError where it is another schedule's."""
        bases, memories = state_dict["base_lrs"], state_dict["plateaus"]
        if len(bases) != len(self.base_lrs) or memories.keys() != {str(n) for n in self._memories}:
            raise ValueError("the state is that of another schedule, or of other parameter groups")
        self.last_epoch, self.base_lrs = int(state_dict["updates"]), [float(base) for base in bases]
        for group, base in zip(self.optimizer.param_groups, self.base_lrs):
            group["initial_lr"] = base
        for number, (rates, best, bad, cooldown) in memories.items():
            memory = self._memories[int(number)]
            memory.rates, memory.best, memory.bad, memory.cooldown = list(rates), best, bad, cooldown
        self._enter()

    def _enter(self) -> None:
        """Begin with the piece whose turn it is, and set its rates."""
        late = [n for n, span in enumerate(self._places) if span.start <= self.last_epoch]
        self._number = late[-1] if late else -1
        span = self._places[self._number] if late else Span(recipe.Constant(), 0, 0)
        self._start = span.start
        self._until: float = self._places[self._number + 1].start if self._number + 1 < len(self._places) else inf
        self._move = self._mover()
        if self._number in self._memories:
            self._write(self._memories[self._number].rates)
        elif self._move is None:
            self._write(self.base_lrs)
        else:
            self._applied = _PLAIN
            self._write(self.base_lrs)
            self._move(self.last_epoch - self._start)

    def _mover(self) -> Callable[[int], None] | None:
        """What sets the rates of an update in this piece; None where they stay."""
        if self._number in self._cycles:
            return self._cycle
        self._law = self._laws[self._number] if self._places else None
        return None if self._law is None else self._scale

    def _scale(self, update: int) -> None:
        assert self._law is not None
        now = self._law(update)
        if now != self._applied:
            self._applied = factor, offset = now
            for group, base in zip(self.optimizer.param_groups, self.base_lrs):
                if isinstance(group["lr"], float):
                    group["lr"] = base * factor + offset
                else:
                    _put(group, base * factor + offset)

    def _cycle(self, update: int) -> None:
        cycle = self._cycles[self._number]
        factor, momentum = cycle.at(update)
        peak = cycle.entry.max_lr
        groups = self.optimizer.param_groups
        peaks = self.base_lrs if peak is None else [peak * group.get("factor", 1.0) for group in groups]
        self._write([rate * factor for rate in peaks])
        if cycle.entry.cycle_momentum:
            for group in groups:
                if "betas" in group:
                    group["betas"] = (momentum, *group["betas"][1:])
                elif "momentum" in group:
                    group["momentum"] = momentum

    def _write(self, rates: Sequence[float]) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates):
            _put(group, rate)


def _put(group: dict[str, Any], rate: float) -> None:
    """Set a group's rate; in place where it is a tensor, which a compiled optimizer keeps."""
    if isinstance(group["lr"], torch.Tensor):
        group["lr"].fill_(rate)
    else:
        group["lr"] = rate


def make_schedule(
    section: Section, optimizer: torch.optim.Optimizer, steps_per_epoch: int = 1, better: Callable[[str], str] | None = None
) -> Schedule:
    """The schedule of a section, which sets the optimizer's rates to those of the first update. Call `step` after each update.

    `steps_per_epoch` is the number of updates in an epoch; with 1, `step` goes on by an epoch. `better` tells of a metric whether
    its `min` or `max` is good (a name that ends in `loss` or `error` is otherwise small where it is good, and any other large).
    Raises Refusal NS353 for pieces that do not fit one another or the optimizer.
    """
    try:
        recipe.check_schedule(section.schedule, section.optimizer)
    except Reject as error:
        raise Refusal("NS353", str(error), helps=(error.help,) if error.help else ()) from None
    places = spans(section.schedule, section.epochs, steps_per_epoch)
    return Schedule(optimizer, places, steps_per_epoch, better or _by_name)


def _by_name(monitor: str) -> str:
    return "min" if monitor.endswith(("loss", "error")) else "max"
