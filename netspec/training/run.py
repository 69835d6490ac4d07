"""From a request to weights: data are opened, checked, divided and normalized, and each section is trained from where the one before
left the network."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from netspec.backends.normalization import KEY, Facts, check_facts, facts_of, parse_facts
from netspec.backends.weight_files import match, read_entries, weights_of
from netspec.backends.weights import arrays_of
from netspec.diagnostics.model import Refusal
from netspec.graph import Graph
from netspec.recipe.section import Section
from netspec.selection import all_selected
from netspec.training import loop
from netspec.training.data import Options, Table, check_data, open_for, split
from netspec.training.devices import check_hardware
from netspec.training.loop import processes
from netspec.training.loop.checkpoint import WEIGHTS, fingerprint, identity, write_tensors
from netspec.training.loop.events import Event
from netspec.training.loop.job import Data, Job, Outcome, Part, Place, Request, folder_of
from netspec.training.normalization import Normalization, inherited, measure
from netspec.training.sections import title

if TYPE_CHECKING:
    from netspec.backends.weights import Weights
    from netspec.training.loop.tally import Watch

#: what the metadata of weights say of classes, by column
CLASSES = "netspec.classes"
#: how many rows tell data from others
_ROWS = 64


def nobody(event: Event) -> None:
    """A watcher that does not look."""


def train(request: Request, watch: "Watch" = nobody) -> Outcome:
    """Train all sections of a request, one after the other, in as many processes as it asks for; the outcome of the last one that ran.

    Sections after one that was interrupted, or pruned, are not begun. Raises `Refusal`: what opening and checking data does (NS80x),
    what the loop does (`loop.train`), NS82x for hardware that there is not, NS813 for a process that failed.
    """
    check_hardware(request.hardware)
    if not processes.is_shared(request.hardware):
        return train_here(request, Place(device_of(request)), watch)
    found = processes.launch(request, watch, train_here)
    if found is None:  # on a machine that the first process is not on
        return Outcome(request.sections[-1].name, "finished", {}, {}, (), 0, 0)
    outcome: Outcome = found
    return outcome


def train_here(request: Request, place: Place, watch: "Watch") -> Outcome:
    """Train all sections in this process, one of those that share the work."""
    done: list[Outcome] = []
    for job in jobs(request, place, done):
        done.append(loop.train(job, watch))
        if done[-1].reason in ("interrupted", "pruned"):
            break
    else:
        if request.out is not None and len(done) > 1 and place.first:
            write_tensors(os.path.join(request.out, WEIGHTS), done[-1].weights, job.metadata)
    return replace(done[-1], before=tuple(done[:-1]))


def jobs(request: Request, place: Place = Place(), done: "list[Outcome] | None" = None) -> Iterator[Job]:
    """The sections of a request as jobs, made one by one: each begins with the weights of the last of `done`, if there are any."""
    before: Job | None = None
    for number in range(len(request.sections)):
        before = job_of(request, number, place, before, done[-1].weights if done else None)
        yield before


def job_of(request: Request, number: int, place: Place, before: Job | None = None, weights: Mapping[str, Any] | None = None) -> Job:
    """Section `number` of a request, from 0, its data opened. `before` is the one before it, `weights` what that left."""
    graph, section = request.graph, request.sections[number]
    table = open_table(request.data, graph, section, request)
    check_data(table, graph, section)
    parts = _parts(request, section, table)
    facts, source = _normalization(request, number, table, parts["train"].indices, before)
    resident = not section.augment and all(part.table.resident for part in parts.values())  # what is augmented is normalized after that
    known = {"examples": {name: len(part) for name, part in parts.items()}, "rows": _some_rows(parts)}
    known |= {"normalization": facts.metadata()} if source else {}
    digest, settings = identity(graph, section, known, place.world, before.digest if before else "")
    tables = {id(part.table): part.table for part in parts.values()}
    normal = {key: facts.apply_table(one) if resident and facts.inputs else one for key, one in tables.items()}
    ready = {name: Part(normal[id(part.table)], part.indices) for name, part in parts.items()}
    classes = {name: list(found) for name, found in table.classes.items()}
    metadata = {KEY: facts.metadata()} if facts.facts.inputs else {}
    return Job(
        graph, section, ready["train"], start_weights(graph, section, request, number, weights),
        title(graph, section), ready.get("val"), ready.get("test"), number + 1, len(request.sections), place,
        folder_of(request, number), request.resume, request.every, request.seconds, request.interval, request.log_every,
        _threads(request, place), request.hardware.deterministic, request.allow_code, digest, settings,
        normalize=facts.apply if facts.inputs and not resident else None,
        metadata=metadata | ({CLASSES: json.dumps(classes, ensure_ascii=False)} if classes else {}),
        remarks=tuple(dict.fromkeys(remark for one in tables.values() for remark in one.remarks)) + _remark(facts, source),
    )  # fmt: skip


def _normalization(
    request: Request, number: int, table: Table, rows: np.ndarray, before: Job | None
) -> tuple[Normalization, str]:  # fmt: skip
    """How the inputs of a section are normalized: as it says itself, measured on its training data; else as the weights that it begins
    with were trained, those of a file or of the section before, and then whose that is."""
    section = request.sections[number]
    facts, source = (None, "") if section.normalize else _stored_normalization(request, number, before)
    if facts is None or not any(one.steps for one in facts.inputs.values()):
        return measure(table, rows, request.graph, section), ""
    return inherited(facts, table, request.graph), source


def _stored_normalization(request: Request, number: int, before: Job | None) -> tuple[Facts | None, str]:
    """The normalization that goes with the weights that a section begins with, and where it is stored: in their file, or, where that has
    only some of them, or there is none, with the section before. None of a file of another network, of which there are some."""
    path, some = file_of(request, number), _has_only_some(request, number)
    if before is not None and (path is None or some):
        return parse_facts(before.metadata[KEY]) if KEY in before.metadata else None, before.name
    if path is None:
        return None, ""
    try:
        facts = facts_of(path)
        check_facts(request.graph, facts)
    except Refusal as refusal:
        if refusal.diagnostic.code == "NS841" or some and refusal.diagnostic.code == "NS840":
            return None, ""
        raise
    return facts, path


def _remark(facts: Normalization, source: str) -> tuple[str, ...]:
    names = ", ".join(f"`{name}`" for name in facts.inputs)
    return (f"the section has no `normalize`: {names} as in the training of the weights that it begins with ({source})",) if source else ()


def device_of(request: Request) -> str:
    """The device of a run in one process: `cpu`, `cuda:0`."""
    device = request.hardware.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return "cuda:0" if device == "cuda" else device


def _threads(request: Request, place: Place) -> int | None:
    """How many threads a process has: several on one machine share its cores."""
    if request.hardware.threads is not None or request.hardware.devices == 1:
        return request.hardware.threads
    return max(1, (os.cpu_count() or 1) // request.hardware.devices)


# --------------------------------------------------------------------------------------------------------------- data
def open_table(data: Data, graph: Graph, section: Section, request: Request, like: Table | None = None) -> Table:
    """Open data as a section needs them; classes are those of `like`, where other data have said what they are."""
    options = Options(
        **{"allow_code": request.allow_code, "allow_pickle": request.allow_pickle, **request.options},
        **({"classes": like.classes} if like is not None else {}),
    )
    return open_for(data, graph, section, options)


def _parts(request: Request, section: Section, table: Table) -> dict[str, Part]:
    """What is trained on, and what is kept apart: shares of one table, or tables of their own."""
    given: dict[str, Data] = {name: data for name, data in (("val", request.val), ("test", request.test)) if data is not None}
    indices = dict(zip(("train", "val", "test"), split(len(table), _shares(section.split, given), section.seed)))
    parts = {name: Part(table, rows) for name, rows in indices.items() if len(rows)}
    for name, data in given.items():
        other = open_table(data, request.graph, section, request, table)
        check_data(other, request.graph, section)
        parts[name] = Part(other, np.arange(len(other)))
    if "train" not in parts:
        raise Refusal("NS808", "the split leaves nothing to train on", helps=("split = [0.8, 0.2]",), status=2)
    return parts


def _shares(shares: tuple[float, ...], given: Mapping[str, Any]) -> tuple[float, ...]:
    """The shares of the data, without those of parts that are given apart; the others keep their proportions."""
    kept = [0.0 if name in given else share for name, share in zip(("train", "val", "test"), shares)]
    if kept == list(shares) or not sum(kept):
        return shares
    return tuple(share / sum(kept) for share in kept)


def _some_rows(parts: Mapping[str, Part]) -> str:
    """A digest of rows spread over all data, as they are before they are normalized."""
    found = {}
    for name, part in parts.items():
        rows = part.indices[np.unique(np.linspace(0, len(part) - 1, min(_ROWS, len(part))).astype(np.int64))]
        for column in part.table.columns:
            if not part.table.columns[column].uneven:
                found[f"{name}.{column}"] = part.table.columns[column].take(rows)
    return fingerprint(found, found)


# ------------------------------------------------------------------------------------------------------------ weights
def start_weights(
    graph: Graph, section: Section, request: Request, number: int = 0, before: Mapping[str, Any] | None = None
) -> dict[str, np.ndarray]:  # fmt: skip
    """The weights that a section begins with: those of the section before, or of the seed; on them, those of its file.

    Raises Refusal: NS620 to NS625 for a file that cannot be read or does not hold them, NS816 where its selectors select nothing of it.
    """
    file = section.weights
    if number == 0 and request.weights is not None:
        return arrays_of(graph, weights_of(graph, section.seed, request.weights))
    if file is not None and file.only is None:
        return arrays_of(graph, weights_of(graph, section.seed, _path(file.path, request.base), file.strip))
    start = {name: tensor.numpy() for name, tensor in before.items()} if before else arrays_of(graph, weights_of(graph, section.seed))
    return start if file is None else {**start, **_selected(graph, _path(file.path, request.base), file)}


def file_of(request: Request, number: int) -> str | None:
    """The path of the file of weights that a section begins with, all or some of them; None without one."""
    file = request.sections[number].weights
    if number == 0 and request.weights is not None:
        return request.weights
    return None if file is None else _path(file.path, request.base)


def _has_only_some(request: Request, number: int) -> bool:
    """Whether the file is of some weights alone, beside others."""
    file = request.sections[number].weights
    return file is not None and file.only is not None and not (number == 0 and request.weights is not None)


def _path(path: str, base: str) -> str:
    return os.path.join(base, path)


def _selected(graph: Graph, path: str, file: Any) -> dict[str, np.ndarray]:
    """The tensors of a file that selectors select in the network. Raises Refusal: NS624, NS816."""
    wanted = all_selected(graph, file.only)
    tensors = tuple(tensor for tensor in graph.weights if tensor.name in wanted)
    if not tensors:
        helps = ("a selector is the label of a layer or block, a parameter's name, or an operator",)
        raise Refusal("NS816", f"{', '.join(file.only)} select none of the network's tensors to be read from {path}", helps=helps)
    part = graph.model_copy(update={"weights": tensors})
    found = match(part, read_entries(path, len(graph.weights) + 10_000), file.strip)
    found = replace(found, unexpected=())
    found.require(path)
    return arrays_of(part, _stored(found))


def _stored(found: Any) -> "Weights":
    from netspec.backends.weight_files import Stored

    return Stored(found)
