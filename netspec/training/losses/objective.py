"""The loss of a `train` section, as something to call: every term prepared once, then summed at every step."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Callable, Mapping

import torch
from torch import Tensor, nn

from netspec.diagnostics.model import Refusal
from netspec.recipe.entry import Measure
from netspec.recipe.section import Section, Term
from netspec.training.losses.counting import count_of
from netspec.training.losses.penalties import prepare_penalty
from netspec.training.losses.reading import Reader, Reading, may_lack
from netspec.training.losses.reduction import Computation

if TYPE_CHECKING:
    from netspec.graph import Graph

#: a term, or a sum of them: of the module's outputs, the batch by column, and the module
Value = Callable[[Any, Mapping[str, Tensor], "nn.Module | None"], Tensor]

#: where the computation of a loss is, by the file of `recipe` that it is described in
_FILES = {"losses": "classification", "regression_losses": "regression", "image_losses": "image"}


def prepare(measure: Measure) -> Computation:
    """What computes a loss: called with its tensors in order, and its optional ones by name; gives a scalar."""
    file = _FILES[type(measure).__module__.rpartition(".")[2]]
    return getattr(import_module(f"netspec.training.losses.{file}"), measure.NAME)(measure)


class Objective:
    """The loss of a `train` section. Call it with what the module returned and with the targets; it gives a scalar.

    `targets` are the columns of the data that it needs besides the inputs, in the order in which the loss mentions them.
    """

    def __init__(self, graph: "Graph", section: Section) -> None:
        """Raises `Refusal`: NS356 for a section without a loss, NS355 for a penalty of nothing."""
        if not section.loss:
            raise Refusal("NS356", f"the training section of {graph.name} has no loss", helps=("loss = cross_entropy(logits, label)",))
        references = [reference for term in section.loss for _, reference in term.tensors]
        columns = [r for r in references if r.kind in ("input", "target") and not may_lack(r)]
        self.targets: tuple[str, ...] = tuple(dict.fromkeys(r.name for r in columns if r.kind == "target"))
        self._needs = tuple(r.name for r in columns)
        self._inputs = tuple(port.name for port in graph.inputs)
        self._reading = Reading(graph)
        self._terms = dict(zip(_names(section.loss), (self._term(graph, term) for term in section.loss)))
        self._value = _sum(list(self._terms.values()))
        self._counts = [count_of(term, self._reading) for term in section.loss]

    def __call__(
        self,
        outputs: Any,
        targets: Tensor | tuple[Tensor, ...] | Mapping[str, Tensor] | None = None,
        *,
        inputs: Tensor | tuple[Tensor, ...] | Mapping[str, Tensor] | None = None,
        module: nn.Module | None = None,
        **named: Tensor,
    ) -> Tensor:
        """The loss. `targets` is a tensor where there is one target, a tuple in the order of `targets`, or a dict by name.

        `inputs` are needed where the loss names one (an autoencoder's), `module` where it has a penalty of weights; `named` are
        further columns. Raises `Refusal` (NS354) for what is missing.
        """
        batch = {**_by_name(targets, self.targets, "target"), **_by_name(inputs, self._inputs, "input"), **named}
        return self.compute(outputs, batch, module)

    def compute(self, outputs: Any, batch: Mapping[str, Tensor], module: nn.Module | None = None) -> Tensor:
        """The loss, of a batch that has inputs and targets by name. Raises `Refusal` (NS354) for what is missing."""
        try:
            return self._value(outputs, batch, module)
        except KeyError:
            self._complain(batch)
            raise

    def terms(self, outputs: Any, batch: Mapping[str, Tensor], module: nn.Module | None = None) -> dict[str, Tensor]:
        """Every summand by the name of its measure, with its factor: together they are the loss."""
        try:
            return {name: term(outputs, batch, module) for name, term in self._terms.items()}
        except KeyError:
            self._complain(batch)
            raise

    def counts(self, batch: Mapping[str, Tensor]) -> Tensor | None:
        """How much of the batch each term's mean is over, a number a term; None where that is its samples, of all terms.

        The loss of a whole batch is that of its parts, on several devices or one after the other, where they are weighed by it:
        `Σ compute_shared(outputs, part, module, counts(part) / Σ counts(part))`.
        """
        found = [count(batch) for count in self._counts]
        if all(count is None for count in found):
            return None
        column = next(iter(batch.values()))
        samples = torch.tensor(float(len(column)), device=column.device)
        return torch.stack([samples if count is None else count.to(samples) for count in found])

    def compute_shared(self, outputs: Any, batch: Mapping[str, Tensor], module: nn.Module | None, shares: Tensor) -> Tensor:
        """The sum of the terms, each by its share: what a part of a batch contributes to the loss of the whole."""
        return torch.stack([term.to(shares.dtype) for term in self.terms(outputs, batch, module).values()]).mul(shares).sum()

    def sums(self, device: torch.device | str = "cpu") -> Tensor:
        """Where `add` puts the terms of several batches: sums, and amounts that they are of, a column a term; float64."""
        return torch.zeros(2, len(self._terms), dtype=torch.float64, device=device)

    def add(self, sums: Tensor, outputs: Any, batch: Mapping[str, Tensor], module: nn.Module | None = None) -> None:
        """Add a batch; `loss_of` then tells the loss of all batches, of all processes whose sums were added."""
        terms = torch.stack([term.detach().double() for term in self.terms(outputs, batch, module).values()])
        counts = self.counts(batch)
        counts = torch.full_like(terms, len(next(iter(batch.values())))) if counts is None else counts.double()
        sums += torch.stack((terms * counts, counts))

    @staticmethod
    def loss_of(sums: Tensor) -> Tensor:
        """The loss of all that was added, 0 of a term that was over nothing."""
        return (sums[0] / torch.where(sums[1] > 0, sums[1], 1.0)).sum()

    def _complain(self, batch: Mapping[str, Tensor]) -> None:
        missing = [name for name in self._needs if name not in batch]
        if missing:
            raise Refusal(
                "NS354", f"the loss needs `{missing[0]}`, and was not given it", notes=(f"given: {', '.join(batch) or 'nothing'}",)
            )

    def _term(self, graph: "Graph", term: Term) -> Value:
        """One summand, ready to be called."""
        if term.measure.SLOT == "penalty":
            penalty = prepare_penalty(graph, term.measure, term.tensors[0][1].name)
            return _scaled(lambda outputs, batch, module: penalty(module), term.factor)
        tensors = self._reading.tensors(term)
        optional = self._reading.optional(term)
        return _scaled(_called(prepare(term.measure), tensors, optional), term.factor)


def _called(function: Computation, tensors: list[Reader], optional: dict[str, Reader]) -> Value:
    """A computation that gets its tensors; optional ones that a batch lacks are left out."""
    if len(tensors) == 2 and not optional:
        first, second = tensors
        return lambda outputs, batch, module: function(first(outputs, batch), second(outputs, batch))
    if len(tensors) == 2 and len(optional) == 1:
        first, second = tensors
        ((name, third),) = optional.items()

        def pair(outputs: Any, batch: Mapping[str, Tensor], module: nn.Module | None) -> Tensor:
            found = third(outputs, batch)
            if found is None:
                return function(first(outputs, batch), second(outputs, batch))
            return function(first(outputs, batch), second(outputs, batch), **{name: found})

        return pair

    def call(outputs: Any, batch: Mapping[str, Tensor], module: nn.Module | None) -> Tensor:
        found = {name: value for name, read in optional.items() if (value := read(outputs, batch)) is not None}
        return function(*(read(outputs, batch) for read in tensors), **found)

    return call


def _scaled(value: Value, factor: float) -> Value:
    return value if factor == 1 else lambda outputs, batch, module: factor * value(outputs, batch, module)


def _sum(terms: list[Value]) -> Value:
    """The sum of terms; one alone is itself."""
    if len(terms) == 1:
        return terms[0]

    def total(outputs: Any, batch: Mapping[str, Tensor], module: nn.Module | None) -> Tensor:
        found = terms[0](outputs, batch, module)
        for term in terms[1:]:
            found = found + term(outputs, batch, module)
        return found

    return total


def _names(terms: tuple[Term, ...]) -> list[str]:
    """A name for each term: its measure's, with a number from 2 where it is not the first of it."""
    names: list[str] = []
    for term in terms:
        count = sum(1 for earlier in terms[: len(names)] if earlier.measure.NAME == term.measure.NAME)
        names.append(term.measure.NAME if not count else f"{term.measure.NAME}_{count + 1}")
    return names


def _by_name(given: Any, names: tuple[str, ...], what: str) -> dict[str, Tensor]:
    """Tensors by name, of one, a tuple in that order, or a dict. Raises `Refusal` where the count does not fit."""
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return dict(given)
    given = (given,) if isinstance(given, torch.Tensor) else tuple(given)
    if len(given) != len(names):
        wanted = ", ".join(f"`{name}`" for name in names) or "none"
        raise Refusal("NS354", f"{len(given)} tensors were given as the {what}s: they are {wanted}")
    return dict(zip(names, given))
