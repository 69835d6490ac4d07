"""Loss and metrics of the weights as they are, on data that nothing is learned from."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, Callable

import torch

from netspec.training.data import Batches
from netspec.training.loop.setup import Setup
from netspec.training.loop.update import everywhere, forward_of


class Interrupted(Exception):
    """Somebody does not want to wait for the end of an evaluation."""


def evaluate(setup: Setup, batches: Batches, name: str, asked: Callable[[], bool] = lambda: False) -> dict[str, float]:
    """`NAME.loss` and `NAME.METRIC` over all batches, the network in evaluation mode: as of one batch of all examples, of all processes.

    Batch norms take the statistics that were gathered, dropout does nothing. Raises Interrupted where `asked` says so in between.
    """
    module, metrics, normalize = setup.module, setup.metrics, setup.job.normalize
    forward, objective = forward_of(module, tuple(port.name for port in setup.job.graph.inputs)), setup.objective
    autocast: Callable[[], Any] = setup.autocast or nullcontext
    module.eval()
    metrics.reset()
    sums = objective.sums(setup.job.place.device)
    with torch.no_grad():
        for step, batch in enumerate(batches.epoch(0)):
            if asked():
                raise Interrupted
            if not batches.sizes(step)[0]:
                continue
            if normalize is not None:
                batch = normalize(batch)
            with autocast():
                outputs = forward(batch)
                objective.add(sums, outputs, batch, module)
            metrics.update(outputs, batch)
    loss = objective.loss_of(sums if setup.job.place.world == 1 else everywhere(sums))
    found = {"loss": loss.item(), **metrics.compute()}
    metrics.reset()
    return {f"{name}.{what}": float(value) for what, value in found.items()}
