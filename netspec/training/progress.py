"""How far a run is, on standard error: a bar that moves where that is a terminal, a line now and then where it is not.

Colours are left out under `NO_COLOR`, and where the terminal knows none. Results are the command's business; nothing here is one.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from netspec.record import draft
from netspec.training.loop.events import EpochEnd, Evaluated, Event, Remark, Started, Step, Stopped

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

#: seconds between two lines on what is no terminal: of steps, and of epochs that are shorter
_STEP_EVERY, _EPOCH_EVERY = 10.0, 1.0

_REASONS = {
    "finished": "done", "early": "stopped early", "interrupted": "interrupted", "pruned": "ended by the search", "predicted": "predicted",
}  # fmt: skip


class Progress:
    """A watcher of runs that shows how far they are; a context, at whose end the bar is gone.

    `live` says whether to draw a bar; it is so on a terminal. `quiet` leaves remarks alone.
    """

    def __init__(
        self, stream: TextIO | None = None, live: bool | None = None, clock: Callable[[], float] = time.monotonic, quiet: bool = False
    ) -> None:
        self._stream = stream if stream is not None else sys.stderr
        terminal = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._view: _Bar | _Lines = (
            _Bar(self._stream) if (terminal if live is None else live) and not quiet else _Lines(self._stream, clock)
        )
        self._quiet = quiet
        self._clock = clock
        self._pace: _Pace | None = None

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None) -> None:
        self._view.close()

    def __call__(self, event: Event) -> None:
        """Show an event."""
        if isinstance(event, Remark):
            self._view.say(f"note{f'[{event.code}]' if event.code else ''}: {event.text}")
        if self._quiet:
            return
        if isinstance(event, Started):
            self._pace = _Pace(event, self._clock())
            self._begin(event)
        elif self._pace is not None and isinstance(event, Step):
            self._view.step(event, self._pace, self._pace.left(event.step, self._clock()))
        elif self._pace is not None and isinstance(event, EpochEnd):
            self._view.epoch(event, self._pace, self._pace.left(event.step, self._clock()))
        elif isinstance(event, Evaluated):
            self._view.say(numbers(event.metrics))
        elif isinstance(event, Stopped):
            self._view.end()
            self._view.say(_ending(event))

    def _begin(self, event: Started) -> None:
        self._view.say(beginning(event))
        if event.groups:
            self._view.say(event.groups)
        self._view.begin(event)


@draft
class _Pace:
    """How fast a section has been since it began, or went on, evaluation included."""

    started: Started
    since: float

    @property
    def total(self) -> int:
        """All steps of the section."""
        return self.started.steps * self.started.epochs

    def left(self, step: int, now: float) -> float | None:
        """Seconds that the rest will take; None before the first step."""
        done = step - self.started.step
        return (now - self.since) / done * (self.total - step) if done > 0 else None


# --------------------------------------------------------------------------------------------------------------- words
def beginning(event: Started) -> str:
    """What is begun, in a line or two."""
    several = f" ({event.number} of {event.sections})" if event.sections > 1 else ""
    again = f", goes on after epoch {event.epoch}, step {event.step}" if event.resumed else ""
    where = event.device + (f", {event.processes} processes" if event.processes > 1 else "")
    what = (
        f"{counted(event.epochs, 'epoch')} of {counted(event.steps, 'step')}, batch {event.batch}" if event.epochs else "nothing is trained"
    )
    data = counted(event.examples, "example") + (f", {event.validation:,} for validation" if event.validation else "")
    weights = f"{event.parameters:,} parameters" + (f", {event.trainable:,} trained" if event.trainable != event.parameters else "")
    return f"{event.section or 'train'}{several}: {what}; {data}; {weights}; {where}{again}"


def counted(number: int, thing: str) -> str:
    """`1 epoch`, `1,200 steps`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def numbers(metrics: Mapping[str, float]) -> str:
    """Metrics in a row."""
    return "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())


def duration(seconds: float | None) -> str:
    """`0:01:12`; empty where it is not known."""
    if seconds is None:
        return ""
    whole = int(seconds + 0.5)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def fitting(parts: Sequence[str], order: Sequence[int], room: int) -> str:
    """As many of the parts, side by side, as there is room for; `order` has the numbers of those that matter most first.

    >>> fitting(["loss 0.1", "lr 0.01", "0:10 left"], (0, 2, 1), 20)
    'loss 0.1  0:10 left'
    """
    kept: list[int] = []
    for number in order:
        if sum(len(parts[n]) + 2 for n in (*kept, number)) - 2 <= room:
            kept.append(number)
    return "  ".join(parts[number] for number in sorted(kept))


def _speed(event: Step, pace: _Pace) -> str:
    per_step = max(pace.started.batch, 1)
    return f"{event.rate / per_step:.4g} steps/s  {event.rate:,.0f} examples/s"


def _ending(event: Stopped) -> str:
    kept = f"; the weights are those of epoch {event.best}, the best" if event.best and event.best != event.epoch else ""
    far = f" after epoch {event.epoch}, {counted(event.step, 'step')}" if event.reason != "predicted" else ""
    return f"{_REASONS[event.reason]}{far}, {event.seconds:.1f} s{kept}"


# ------------------------------------------------------------------------------------------------------- no terminal
class _Lines:
    """Lines, at most so many: of epochs that are short, one a second; of steps, one in ten seconds. The last epoch always has one."""

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self._stream, self._clock = stream, clock
        self._last = -1e9

    def say(self, text: str) -> None:
        """A line at once."""
        print(text, file=self._stream, flush=True)

    def begin(self, event: Started) -> None:
        """A section begins: the first epoch has a line, and steps wait their time."""
        self._last = self._clock() - _EPOCH_EVERY

    def step(self, event: Step, pace: _Pace, left: float | None) -> None:
        """A line for a step, if it is time."""
        now = self._clock()
        if now - self._last >= _STEP_EVERY:
            self._last = now
            at = event.step - event.epoch * pace.started.steps
            head = f"epoch {event.epoch + 1}/{pace.started.epochs}  step {at}/{pace.started.steps}"
            self.say(f"{head}  loss {event.mean:.4g}  lr {event.lr:.4g}  {_speed(event, pace)}  {duration(left)} left")

    def epoch(self, event: EpochEnd, pace: _Pace, left: float | None) -> None:
        """A line for an epoch, if it is time or the last."""
        now = self._clock()
        if now - self._last >= _EPOCH_EVERY or event.epoch == pace.started.epochs:
            self._last = now
            self.say(_epoch_line(event, pace) + (f"  {duration(left)} left" if left else ""))

    def end(self) -> None:
        """A section is over."""

    def close(self) -> None:
        """All is over."""


def _epoch_line(event: EpochEnd, pace: _Pace) -> str:
    width = len(str(pace.started.epochs))
    mark = " *" if event.best else ""
    return f"epoch {event.epoch:>{width}}/{pace.started.epochs}  {numbers(event.metrics)}  {event.seconds:.2f} s{mark}"


# ---------------------------------------------------------------------------------------------------------- a terminal
class _Bar:
    """A bar with what changes, and above it a line for every epoch; of epochs that are shorter than a tenth of a second, some."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console

        self._console = Console(file=stream, highlight=False, markup=False, emoji=False)
        self._bar: Bar | None = None
        self._task: Any = None
        self._told = 0.0
        self._width = 24 if self._console.width >= 100 else 12

    def say(self, text: str) -> None:
        """A line above the bar."""
        self._console.print(text, soft_wrap=True)

    def begin(self, event: Started) -> None:
        """Draw the bar of a section."""
        from rich.progress import BarColumn, Progress, TextColumn

        self.end()
        self._bar = Progress(
            TextColumn("{task.fields[epoch]}"), BarColumn(bar_width=self._width), TextColumn("{task.fields[step]} {task.fields[more]}"),
            console=self._console, transient=True, refresh_per_second=5,
        )  # fmt: skip
        total = event.steps * event.epochs
        at = f"epoch {min(event.epoch + 1, event.epochs)}/{event.epochs}"
        self._task = self._bar.add_task("", total=total or None, completed=event.step, epoch=at, step="", more="")
        self._bar.start()

    def step(self, event: Step, pace: _Pace, left: float | None) -> None:
        """Move the bar."""
        if self._bar is not None:
            steps = pace.started.steps
            epoch, step = f"epoch {event.epoch + 1}/{pace.started.epochs}", f"{event.step - event.epoch * steps}/{steps}"
            speed = _speed(event, pace).split("  ")
            room = self._console.width - self._width - len(epoch) - len(step) - 4
            more = fitting([f"loss {event.mean:.4g}", f"lr {event.lr:.4g}", *speed, f"{duration(left)} left"], (0, 4, 1, 2, 3), room)
            self._bar.update(self._task, completed=event.step, epoch=epoch, step=step, more=more)

    def epoch(self, event: EpochEnd, pace: _Pace, left: float | None) -> None:
        """Move the bar, and leave a line above it."""
        if self._bar is None:
            return
        self._bar.update(self._task, completed=event.step)
        now = time.monotonic()
        if now - self._told >= 0.1 or event.epoch == pace.started.epochs:
            self._told = now
            from rich.text import Text

            self._console.print(Text(_epoch_line(event, pace), "bold" if event.best else ""), soft_wrap=True)

    def end(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def close(self) -> None:
        """Take the bar away, whatever happened."""
        self.end()
