"""The losses of an epoch, summed as it goes, on one device or over several processes; and the watch for numbers that are not finite.

Sums are float64 and always added in the same order, however often they are looked at, so that a resumed run's are equal to the last bit.
On a GPU nothing waits for a number until it is needed: losses are summed there, and looked at every `beat` steps.
"""

from __future__ import annotations

from typing import Callable

import torch
from torch import Tensor

from netspec.training.loop.events import Event
from netspec.training.loop.state import Progress

#: after so many steps losses are read from a GPU: reading one waits for all that was asked of it
GPU_BEAT = 16


class NonFinite(Exception):
    """A loss is NaN or infinite. The watch finds out where that came from."""


class Tally:
    """Losses on the CPU, one process: each is read when it is there."""

    beat = 1

    def __init__(self, progress: Progress) -> None:
        self.progress, self.last = progress, 0.0
        #: whether some process was asked to stop, and whether the first wants a checkpoint, as known to all of them
        self.stop = self.save = False

    def add(self, loss: Tensor, local: int, total: int) -> None:
        """Note the mean loss of a batch of `total` examples, of which this process has `local`. Raises NonFinite."""
        value = loss.item()
        if value - value != 0.0:
            raise NonFinite
        progress = self.progress
        progress.loss += value * total
        progress.examples += total
        self.last = value

    def settle(self, asked: bool, due: bool) -> None:
        """Make `progress.loss`, `last`, `stop` and `save` those of all that was added. `asked`: whether this process was asked to stop;
        `due`: whether it is time for a checkpoint."""
        self.stop, self.save = asked, due


class DeviceTally(Tally):
    """Losses on a GPU, one process."""

    beat = GPU_BEAT

    def __init__(self, progress: Progress, device: str) -> None:
        super().__init__(progress)
        self._sum = torch.tensor(progress.loss, dtype=torch.float64, device=device)
        self._loss: Tensor | None = None

    def add(self, loss: Tensor, local: int, total: int) -> None:
        """Note a loss, without waiting for it."""
        if not self.progress.examples:
            self._sum.zero_()
        self._loss = loss.detach()
        self._sum.add_(self._loss, alpha=total)
        self.progress.examples += total

    def settle(self, asked: bool, due: bool) -> None:
        """Wait for all that was added. Raises NonFinite."""
        self.stop, self.save = asked, due
        if self._loss is None:
            return
        self.progress.loss, self.last = torch.stack((self._sum, self._loss.double())).tolist()
        if self.progress.loss - self.progress.loss != 0.0:
            raise NonFinite


class SharedTally(Tally):
    """Losses of several processes, which agree on their sum and on whether to stop: on CPUs every step, on GPUs every beat."""

    def __init__(self, progress: Progress, device: str) -> None:
        super().__init__(progress)
        self.beat = 1 if device == "cpu" else GPU_BEAT
        #: this process's sum since the last agreement, that of its last batch, and what it wants: to stop, to save
        self._own = torch.zeros(4, dtype=torch.float64, device=device)
        self._first = torch.distributed.get_rank() == 0
        self._total = 1

    def add(self, loss: Tensor, local: int, total: int) -> None:
        """Note this process's share of a loss."""
        own = loss.detach() * local
        self._own[0] += own
        self._own[1] = own
        self._total = total
        self.progress.examples += total

    def settle(self, asked: bool, due: bool) -> None:
        """Agree with the others: all processes call this after the same steps. Raises NonFinite in all of them."""
        self._own[2], self._own[3] = float(asked), float(due and self._first)
        torch.distributed.all_reduce(self._own)
        added, last, stop, save = self._own.tolist()
        self._own.zero_()
        self.progress.loss += added
        self.last, self.stop, self.save = last / self._total, stop > 0, save > 0
        if added - added != 0.0:
            raise NonFinite


def make_tally(progress: Progress, device: str, world: int) -> Tally:
    """The one for this device and number of processes."""
    if world > 1:
        return SharedTally(progress, device)
    return Tally(progress) if device == "cpu" else DeviceTally(progress, device)


#: who is told of events
Watch = Callable[[Event], None]
