"""The training loop: `train` runs one section in this process; `processes.launch` runs it in several."""

from __future__ import annotations

from netspec.training.loop.engine import Engine
from netspec.training.loop.interrupt import Interrupts
from netspec.training.loop.job import Job, Outcome
from netspec.training.loop.manners import manners
from netspec.training.loop.tally import Watch

__all__ = ["Job", "Outcome", "train"]


def train(job: Job, watch: Watch) -> Outcome:
    """Train one section, or go on with it, and tell `watch` of everything that happens.

    Ctrl-C and SIGTERM end it with a checkpoint. Raises `Refusal`: NS810 for a loss that is not finite, NS811 and NS812 for a
    checkpoint that is damaged or another run's, NS814 and NS815 for what cannot be trained so, NS020 where nothing can be written.
    """
    with manners(job), Interrupts(patient=job.place.world > 1) as interrupts:
        return Engine(job, watch, interrupts).run()
