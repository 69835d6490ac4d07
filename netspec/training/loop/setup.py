"""A section made ready to run in this process: the module with its weights, what trains it, and its batches."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Callable

import torch
from torch import nn

from netspec.backends.torch_module import build_module, load_weights
from netspec.backends.torch_source import write_source
from netspec.diagnostics.model import Refusal
from netspec.graph import Graph, Node
from netspec.recipe.section import Section
from netspec.record import draft
from netspec.training import constraints, groups, metrics, optimizers, schedules
from netspec.training.data import Batches
from netspec.training.loop.job import Job, Part
from netspec.training.loop.update import ends_of
from netspec.training.losses import make_objective

_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@draft
class Setup:
    """Everything that one section in one process works with. `network` is what is called in training: the module itself, or what
    compiles or distributes it. Of a section that only predicts, there is no optimizer and no schedule."""

    job: Job
    module: nn.Module
    network: Any
    objective: Any
    batches: Batches
    val: Batches | None
    metrics: Any
    autocast: Callable[[], AbstractContextManager[Any]] | None
    table: str = ""
    trained: tuple[nn.Parameter, ...] = ()
    frozen: tuple[nn.Module, ...] = ()
    optimizer: Any = None
    schedule: Any = None
    constraints: Any = None
    augment: Any = None
    scaler: Any = None
    piece: int | None = None
    remarks: tuple[str, ...] = ()

    @property
    def section(self) -> Section:
        """The section."""
        return self.job.section

    def train_mode(self) -> None:
        """Put the network into training mode; the statistics of frozen parts stay as they are."""
        self.network.train()
        groups.freeze_statistics(self.frozen)

    def better(self, name: str) -> str:
        """Whether a value, `val.accuracy`, is good where it is large (`max`) or small (`min`)."""
        what = name.partition(".")[2] or name
        return "min" if what == "loss" else self.metrics.better(what)

    @property
    def known(self) -> list[str]:
        """The names of all values that there are at the end of an epoch, or that can be had."""
        names = ["loss", *self.metrics.names]
        return [f"{part}.{name}" for part in ("train", *(["val"] if self.val is not None else [])) for name in names]


def prepare(job: Job) -> Setup:
    """Make a section ready. Raises Refusal: NS814 for a precision that the device does not have, and what its parts refuse."""
    place, section = job.place, job.section
    _check_precision(section, place.device)
    module = build_module(write_source(job.graph), job.graph, allow_extern=job.allow_code)
    load_weights(module, job.start)
    module.to(place.device)
    made = Setup(
        job, module, module, make_objective(job.graph, section), _batches(job, job.train, True), None,
        metrics.make_metrics(job.graph, section), _autocast(section, place.device),
    )  # fmt: skip
    made.val = None if job.val is None else _batches(job, job.val, False)
    made.metrics.to(place.device)
    if job.trains:
        _prepare_training(made)
    return made


def _prepare_training(made: Setup) -> None:
    job, section = made.job, made.section
    if section.accumulate > 1:
        made.piece = -(-made.batches.sizes(0)[0] // section.accumulate)
    _check_sizes(made)
    found = groups.parameter_groups(job.graph, section, made.module, section.batch)
    made.table = groups.table(found)
    made.optimizer = optimizers.make_optimizer(job.graph, section, made.module, section.batch)
    made.trained = tuple(parameter for group in made.optimizer.param_groups for parameter in group["params"])
    made.schedule = schedules.make_schedule(section, made.optimizer, made.batches.steps, made.better) if section.schedule else None
    made.constraints = constraints.prepare(job.graph, section, made.module)
    made.frozen = tuple(groups.frozen_modules(job.graph, section, made.module))
    if section.augment:
        from netspec.training.augmentation import make_augment  # and with it a library that few sections need

        made.augment = make_augment(job.graph, section, job.train.table, job.train.indices)
    if section.precision == "fp16":
        made.scaler = torch.amp.GradScaler(torch.device(job.place.device).type)


def _batches(job: Job, part: Part, shuffle: bool, drop_last: bool = False) -> Batches:
    place = job.place
    return Batches(
        part.table, part.indices, job.section.batch, seed=job.section.seed, shuffle=shuffle,
        rank=place.rank, world=place.world, device=place.device, drop_last=drop_last,
    )  # fmt: skip


def test_batches(made: Setup) -> Batches | None:
    """The test data in batches, if there are any."""
    return None if made.job.test is None else _batches(made.job, made.job.test, False)


def _check_sizes(made: Setup) -> None:
    """See that every process has examples, and batch norms something to normalize over. A last batch of one example is left out where
    they could not. Raises Refusal NS817."""
    job, batch = made.job, made.section.batch
    world, count = job.place.world, len(job.train)
    if min(batch, count) < world:
        message = f"a batch of {min(batch, count)} cannot be shared among {world} processes"
        raise Refusal("NS817", message, helps=("a larger batch",), status=2)
    alone = _over_batch_alone(job.graph)
    if alone is None:
        return
    if count % batch == 1 and count > batch:
        made.batches = _batches(job, job.train, True, drop_last=True)
        made.remarks += (f"`{alone.name}` cannot normalize a batch of one example, so the one that is left over in each epoch is left out",)
    shares = {made.batches.sizes(step)[0] for step in (0, made.batches.steps - 1)} - {0}
    pieces = [end - start for share in shares for start, end in _pairs(ends_of(share, made.piece or share))]
    if 1 in pieces:
        where = f", {alone.origin.file}:{alone.origin.line}," if alone.origin else ""
        message = f"`{alone.name}`{where} would be given one example at a time, and cannot normalize that"
        notes = (f"{count} examples in batches of {batch}, by {world} processes in {made.section.accumulate} parts each",)
        raise Refusal("NS817", message, notes=notes, helps=("another batch", "a group norm or layer norm"), status=2)


def _pairs(ends: list[int]) -> zip[tuple[int, int]]:
    return zip(ends, ends[1:])


def _over_batch_alone(graph: Graph) -> Node | None:
    """The first batch norm whose input has no axis but those of examples and channels."""
    norms = (node for node in graph.nodes if node.op.NAME == "batch_norm")
    return next((norm for norm in norms if all(size == 1 for size in graph.values[norm.inputs[0]].shape[2:])), None)


def in_order(made: Setup) -> Batches:
    """The training data in their own order, to look at."""
    return _batches(made.job, made.job.train, False)


def _check_precision(section: Section, device: str) -> None:
    if section.precision == "fp16" and torch.device(device).type == "cpu":
        why = "half-precision numbers end at 65504, and the scaled losses that this needs are made for GPUs"
        raise Refusal("NS814", "fp16 is for GPUs: this runs on the CPU", notes=(why,), helps=("precision = bf16",), status=2)


def _autocast(section: Section, device: str) -> Callable[[], AbstractContextManager[Any]] | None:
    kind = _TYPES.get(section.precision)
    return None if kind is None else partial(torch.autocast, torch.device(device).type, kind)
