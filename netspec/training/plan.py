"""What a training would do, without doing it: what is trained at which rates, on which data, in how many steps, in how much memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from netspec.record import record

if TYPE_CHECKING:
    from netspec.graph import Graph
    from netspec.recipe.section import Section
    from netspec.training.loop.job import Job, Request

#: at how many epochs, evenly spaced, the learning rate is told, beside the beginnings of the schedule's pieces
_POINTS = 8


@record
class ColumnPlan:
    """A column: its name in the spec, whether it is an input of the network or a target, what the data have for it, and what is wanted."""

    name: str
    kind: str
    found: str
    wanted: str


@record
class Plan:
    """One section. `parts` are the numbers of examples by split, `rates` pairs of an epoch and the learning rate of the first group then
    (`plateau` depends on what happens, and is not foreseen). `memory` is in bytes, by what it is for, for one process."""

    section: str
    epochs: int
    steps: int
    batch: int
    parts: Mapping[str, int]
    columns: tuple[ColumnPlan, ...]
    groups: str
    rates: tuple[tuple[float, float], ...]
    memory: Mapping[str, int]
    folder: str | None


def plans(request: "Request") -> list[Plan]:
    """The plan of every section of a request, whose data are opened and checked as for the run itself. Raises what the run would."""
    from netspec.training.loop.job import Place
    from netspec.training.run import device_of, jobs

    return [plan_of(job, request) for job in jobs(request, Place(device_of(request)))]


def plan_of(job: "Job", request: "Request") -> Plan:
    """The plan of one section, its data opened."""
    from netspec.training.loop.setup import prepare

    setup = prepare(job)
    section, steps = job.section, setup.batches.steps
    parts = {"train": job.train, "val": job.val, "test": job.test}
    world = request.hardware.devices * request.hardware.nodes
    return Plan(
        section.name or job.graph.name, section.epochs, steps, section.batch,
        {name: len(part) for name, part in parts.items() if part is not None}, columns_of(job), setup.table,
        rates_of(section, setup, steps), memory_of(job.graph, section, world), job.folder,
    )  # fmt: skip


def columns_of(job: "Job") -> tuple[ColumnPlan, ...]:
    """The columns of the data, as they will be fed."""
    found = []
    for name, column in job.train.table.columns.items():
        need = column.need
        shape = ", ".join("?" if size is None else str(size) for size in ("N", *column.sample))
        found.append(ColumnPlan(name, "input" if need.is_input else "target", f"{column.title} as {column.dtype} [{shape}]", str(need)))
    return tuple(found)


def rates_of(section: "Section", setup: Any, steps: int) -> tuple[tuple[float, float], ...]:
    """Epochs, and the learning rate of the first parameter group at the first update after each; of no training, none."""
    if setup.optimizer is None:
        return ()
    if setup.schedule is None:
        return ((0.0, float(setup.optimizer.param_groups[0]["lr"])),)
    from netspec.training.schedules import spans

    state, last = setup.schedule.state_dict(), section.epochs * steps - 1
    updates = {round(last * point / _POINTS) for point in range(_POINTS + 1)}
    updates |= {span.start for span in spans(section.schedule, section.epochs, steps) if span.start <= last}
    found = []
    for update in sorted(updates):
        setup.schedule.load_state_dict({**state, "updates": update})
        found.append((update / steps, float(setup.optimizer.param_groups[0]["lr"])))
    return tuple(found)


# ----------------------------------------------------------------------------------------------------------------- memory
def memory_of(graph: "Graph", section: "Section", processes: int = 1) -> dict[str, int]:
    """Bytes that one of several processes needs at the typical sizes, in float32: parameters, gradients, what the backward pass keeps of
    its share of a batch (`analyses.cost`), and what the optimizer keeps. Frozen parameters have no gradients; what is kept of
    activations counts as if none were frozen."""
    from math import prod

    from netspec.analyses.cost import batch_sizes, cost
    from netspec.sizes.tensor import DTYPES
    from netspec.training.groups import frozen_names

    share = -(-section.batch // (processes * section.accumulate))
    found = cost(graph, dict.fromkeys(batch_sizes(graph), share)).memory
    frozen = frozen_names(graph, section)
    sizes = [prod(w.shape) * DTYPES[w.dtype] for w in graph.weights if w.trainable and w.name not in frozen]
    trained = sum(sizes)
    return {
        "parameters": found.parameters + found.buffers, "gradients": trained, "activations": found.kept,
        "optimizer": copies(section) * trained,
    }  # fmt: skip


def copies(section: "Section") -> int:
    """How many numbers the optimizer keeps for every one that it trains, its gradient not among them."""
    entry = section.optimizer
    kept = {
        "sgd": 0, "adagrad": 1, "adadelta": 2, "rmsprop": 1, "adam": 2, "adamw": 2, "nadam": 2, "radam": 2, "adamax": 2, "rprop": 2,
        "asgd": 1, "adagrad_da": 2, "ftrl": 2, "proximal_gradient_descent": 0, "proximal_adagrad": 1, "lars": 1, "lion": 1,
    }  # fmt: skip
    if entry is None:
        return 0
    if entry.NAME == "lbfgs":
        return 2 * int(entry.history_size) + 2
    more = [entry.NAME in ("sgd", "rmsprop") and getattr(entry, "momentum", 0) > 0, getattr(entry, "centered", False)]
    return kept.get(entry.NAME, 2) + sum(map(bool, more)) + bool(getattr(entry, "amsgrad", False))
