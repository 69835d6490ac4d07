"""Metrics of a `train` section, computed by torchmetrics: fed batch by batch, and over several processes summed by it."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any, Literal, Mapping

import torch
from torch import Tensor

from netspec.diagnostics.model import Refusal
from netspec.op import Reject
from netspec.recipe.metric import Metric
from netspec.recipe.section import Section, Term
from netspec.recipe.wanted import complete, given_types, judged
from netspec.training.losses.reading import Reader, Reading
from netspec.training.metrics.judges import Judge, make_judge
from netspec.training.metrics.seen import Seen, View

if TYPE_CHECKING:
    from netspec.graph import Graph

__all__ = ["Metrics", "make_metrics"]


def make_metrics(graph: "Graph", section: Section) -> "Metrics":
    """The metrics of a section. Raises ModuleNotFoundError where torchmetrics is missing, `Refusal` (NS354) where one does not fit."""
    return Metrics(graph, section)


class Metrics:
    """Some metrics of one network. `names` are those that they were written by: `accuracy`, `top_5`; a second one is `accuracy_2`."""

    def __init__(self, graph: "Graph", section: Section) -> None:
        try:
            terms = [(complete(term, section), judged(graph, section, complete(term, section))) for term in section.metrics]
        except Reject as reject:
            raise Refusal(reject.code, str(reject)) from None
        self._reading = Reading(graph)
        self._judges: dict[str, tuple[Judge, "_Source"]] = {}
        self._better: dict[str, Literal["min", "max"]] = {}
        sources: dict[Any, _Source] = {}
        for term, loss in terms:
            prediction = given_types(graph, term)[term.measure.TENSORS[0]]
            view = _view(term.measure, prediction, loss)
            optional = {name: reference for name, reference in term.tensors if name in term.measure.OPTIONAL}
            key = (view, term.tensors, tuple(optional), term.measure.OPTIONAL)
            source = sources.setdefault(key, _Source(view, self._reading, term))
            name = _free(term.measure.label(), self._judges)
            classes = prediction.shape[view.axis] if view.task in ("multiclass", "multilabel") else 1
            self._judges[name] = make_judge(term.measure, view, classes), source  # type: ignore[arg-type]
            self._better[name] = term.measure.BETTER
        self._sources = tuple(sources.values())
        self._device: torch.device | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in the order in which the section has the metrics."""
        return tuple(self._judges)

    def better(self, name: str) -> Literal["min", "max"]:
        """Whether small or large values of a metric are good. Raises KeyError for an unknown one."""
        return self._better[name]

    def to(self, device: torch.device | str) -> "Metrics":
        """Keep the counts on that device. `update` does so too; several processes need it where one may see no batch."""
        self._device = torch.device(device)
        for judge, _ in self._judges.values():
            judge.metric.to(self._device)
        return self

    @torch.no_grad()
    def update(self, outputs: Any, batch: Mapping[str, Tensor]) -> None:
        """Take a batch into account: what the network returned, and inputs and targets by name. An empty batch changes nothing."""
        seen: dict[_Source, Seen] = {source: source.see(outputs, batch) for source in self._sources}
        for judge, source in self._judges.values():
            tensors = judge.feed(seen[source])
            if not tensors[0].numel():
                continue
            if self._device != tensors[0].device:
                self.to(tensors[0].device)
            judge.metric.update(*tensors)

    def compute(self) -> dict[str, float]:
        """The value of each over all batches since `reset`, of all processes; NaN where there were none, or too few."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._speak_up()
            return {name: _value(judge) for name, (judge, _) in self._judges.items()}

    def _speak_up(self) -> None:
        """Where several processes put together all that they have seen, one that has seen nothing says of what type that is."""
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            for judge, _ in self._judges.values():
                if judge.nothing and not judge.metric.update_called:
                    judge.metric.update(*(tensor.to(self._device) for tensor in judge.nothing))

    def reset(self) -> None:
        """Forget all batches."""
        for judge, _ in self._judges.values():
            judge.metric.reset()


class _Source:
    """Where several metrics get their tensors from."""

    def __init__(self, view: View, reading: Reading, term: Term) -> None:
        self._view = view
        self._tensors: list[Reader] = reading.tensors(term)
        self._optional: dict[str, Reader] = reading.optional(term)

    def see(self, outputs: Any, batch: Mapping[str, Tensor]) -> Seen:
        """The tensors of a batch. Raises `Refusal` (NS354) for a missing one."""
        try:
            prediction, target = (read(outputs, batch) for read in self._tensors)
            return Seen(self._view, prediction, target, **{name: read(outputs, batch) for name, read in self._optional.items()})
        except KeyError as error:
            raise Refusal("NS354", f"a metric needs `{error.args[0]}`, and was not given it") from None


def _view(measure: Metric, prediction: Any, loss: Any) -> View:
    """How a metric reads predictions that a loss, if there is one, is of."""
    task = measure.task(prediction, loss)
    if task == "regression":
        return View(task, "values")
    if task == "sequence":
        return View(task, "values", loss.class_axis(prediction), loss.blank)
    ignore = getattr(measure, "ignore_index", None)
    ignore = getattr(loss, "ignore_index", None) if ignore is None else ignore
    meaning, pooled = (loss.meaning(prediction), loss.POOLED) if loss is not None else ("values", False)
    return View(task, meaning, measure.class_axis(prediction, loss), ignore, pooled)


def _free(label: str, taken: Mapping[str, Any]) -> str:
    """The label, with a number from 2 where it is taken."""
    number, name = 1, label
    while name in taken:
        number += 1
        name = f"{label}_{number}"
    return name


def _value(judge: Judge) -> float:
    try:
        return float(judge.finish(judge.metric.compute()))
    except ValueError:  # what torchmetrics raises of no, or of too few samples
        return math.nan
