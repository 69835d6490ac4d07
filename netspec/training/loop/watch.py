"""Where a NaN came from: the run is done again from its last checkpoint, looked at closely, until the step in which it appears.

A loss that is not a number says nothing of its origin, and a gradient that is none has spoilt the weights by the time the loss shows
it. Since a run is a function of its job, it can be repeated; each gradient is then checked before it is used. At the step in question
the network is run node by node, first forward, then back, every value between two nodes watched: the first that is not finite, made of
values that are, is what is to blame.
"""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from netspec.backends.torch_module import build_module
from netspec.backends.torch_source import write_source
from netspec.diagnostics.model import Refusal
from netspec.graph import Node
from netspec.origin import Origin
from netspec.record import record
from netspec.runtime.arguments import Signature
from netspec.runtime.isolate import isolate
from netspec.training.loop.processes import agree, first_of
from netspec.training.loop.tally import NonFinite

if TYPE_CHECKING:
    from netspec.training.loop.engine import Engine


@record
class Culprit:
    """What was the first to be not finite. `kind` is `data`, `weights`, `activation`, `loss` or `gradient`; `where` its name."""

    kind: str
    where: str
    message: str
    notes: tuple[str, ...] = ()
    helps: tuple[str, ...] = ()


def finite(tensor: Tensor) -> bool:
    """Whether every number of a tensor is one."""
    return not (tensor.is_floating_point() or tensor.is_complex()) or bool(torch.isfinite(tensor).all())


def all_finite(tensors: Any) -> bool:
    """Whether all numbers of several tensors are."""
    return all(finite(tensor) for tensor in tensors if tensor is not None)


def refusal(engine: "Engine", culprit: Culprit | None) -> Refusal:
    """What is said of a NaN: Refusal NS810."""
    progress, kept = engine.progress, engine.store.path if engine.store.path and os.path.exists(engine.store.path) else None
    when = f"at update {progress.total + 1}, in epoch {progress.epoch + 1}"
    notes = (f"the checkpoint {kept} is of before that, and is as it was",) if kept else ()
    if culprit is None:
        message = f"the loss is not finite {when}"
        return Refusal("NS810", message, notes=("the network alone, node by node, does not show where that begins", *notes), helps=_CALMER)
    return Refusal("NS810", f"{culprit.message} {when}", notes=(*culprit.notes, *notes), helps=culprit.helps)


_CALMER = ("a smaller learning rate, a warm-up, or `clip = norm(1.0)`",)


# ------------------------------------------------------------------------------------------------------ node by node
def find(engine: "Engine", batch: Mapping[str, Tensor]) -> Culprit | None:
    """The first value that is not finite when this batch goes through the network as its weights are now."""
    return _in_data(batch) or _in_weights(engine) or _Walk(engine, batch).culprit()


def _in_data(batch: Mapping[str, Tensor]) -> Culprit | None:
    for name, column in batch.items():
        if not finite(column):
            example = int((~torch.isfinite(column)).reshape(len(column), -1).any(1).nonzero()[0])
            message = f"the data have {_kind(column)} in `{name}`"
            notes = (f"it is example {example} of the batch, counted from 0, after augmentation and normalization",)
            return Culprit("data", name, message, notes, ("clean the data, or give their gaps a value of their own",))
    return None


def _in_weights(engine: "Engine") -> Culprit | None:
    for name, tensor in engine.setup.module.state_dict().items():
        if not finite(tensor):
            origin = next((weight.origin for weight in engine.job.graph.weights if weight.name == name), None)
            return Culprit("weights", name, f"`{name}`{_at(origin)} has {_kind(tensor)} among its weights", _share(tensor), _CALMER)
    return None


class _Walk:
    """One pass through a network, node by node, with what each gives and what comes back to it."""

    def __init__(self, engine: "Engine", batch: Mapping[str, Tensor]) -> None:
        self.engine, self.graph, self.batch = engine, engine.job.graph, dict(batch)
        self.module: nn.Module = engine.setup.module
        self.state = self.module.state_dict()
        self.sizes = Signature.of(self.graph).sizes(self.batch)
        self.gradient: Culprit | None = None

    def culprit(self) -> Culprit | None:
        """What is to blame, if anything is."""
        setup = self.engine.setup
        autocast: Callable[[], Any] = setup.autocast or nullcontext
        with torch.enable_grad(), autocast():
            values: dict[int, Tensor] = {port.value: self.batch[port.name] for port in self.graph.inputs}
            for node in self.graph.nodes:
                found = self._forward(node, values)
                if found is not None:
                    return found
            outputs = {port.name: self._watched(values[port.value], None) for port in self.graph.outputs}
            loss = setup.objective.compute(outputs, self.batch, self.module)
        if not finite(loss):
            return Culprit("loss", "loss", f"the loss is {_kind(loss)}{_at(self._origin_of_loss())}", self._largest(outputs), _LOSS)
        if loss.requires_grad:
            loss.backward()
        return self.gradient

    def _forward(self, node: Node, values: dict[int, Tensor]) -> Culprit | None:
        """Run a node on what came before it, and look at what it gives."""
        one = isolate(self.graph, node, self.sizes)
        alone = build_module(write_source(one), one, allow_extern=True).to(self.engine.place.device)
        with torch.no_grad():
            stored = alone.state_dict(keep_vars=True)
            for mine, number in zip(one.weights, node.weights):
                stored[mine.name].copy_(self.state[self.graph.weights[number].name])
        alone.train(self._trains(node.label))
        for name, parameter in alone.named_parameters():
            parameter.register_hook(lambda gradient, name=name: self._note(gradient, node, f"its {name.rpartition('.')[2]}"))
        feed = [self._watched(values[number], node) for number in node.inputs]
        found = alone(*feed)
        for number, value in zip(node.outputs, found if isinstance(found, (tuple, list)) else (found,)):
            values[number] = value
            if not finite(value):
                what = f"`{node.name}` ({node.op.NAME}){_at(node.origin)}"
                largest = max((float(f.detach().abs().max()) for f in feed if f.is_floating_point() and f.numel()), default=0.0)
                notes = (*_share(value), f"what goes in is finite, at most {largest:.6g}")
                return Culprit("activation", node.name, f"{what} gives {_kind(value)}", notes, _FORWARD)
        return None

    def _trains(self, label: str) -> bool:
        try:
            return self.module.get_submodule(label).training
        except AttributeError:
            return True

    def _watched(self, value: Tensor, node: Node | None) -> Tensor:
        """The value as one reader gets it: what that reader sends back is seen apart from what others do."""
        if not (value.requires_grad and value.is_floating_point()):
            return value
        seen = value.view_as(value)
        seen.register_hook(lambda gradient: self._note(gradient, node, "its input"))
        return seen

    def _note(self, gradient: Tensor, node: Node | None, what: str) -> None:
        """Keep the first gradient that is not finite: all that it was made of are."""
        if self.gradient is not None or finite(gradient):
            return
        if node is None:
            where, name = f"of the loss{_at(self._origin_of_loss())}", "loss"
            helps: tuple[str, ...] = _LOSS
        else:
            where, name, helps = f"of `{node.name}` ({node.op.NAME}){_at(node.origin)} by {what}", node.name, _BACKWARD
        notes = (*_share(gradient), "all values on the way forward are finite, and so are the gradients that reach it")
        self.gradient = Culprit("gradient", name, f"the gradient {where} has {_kind(gradient)}", notes, helps)

    def _origin_of_loss(self) -> Origin | None:
        section = self.engine.section
        return section.where("loss") or (section.loss[0].origin if section.loss else None)

    @staticmethod
    def _largest(outputs: Mapping[str, Tensor]) -> tuple[str, ...]:
        return tuple(f"`{name}` is finite, at most {float(value.detach().abs().max()):.6g}" for name, value in outputs.items())


_FORWARD = (*_CALMER, "a square root, a logarithm or a quotient near 0 wants a small number added")
_BACKWARD = ("a square root or a norm has no slope at 0, and a quotient none near it: add a small number inside", *_CALMER)
_LOSS = ("a loss of logits (`cross_entropy`, `binary_cross_entropy_with_logits`) cannot overflow as one of probabilities does", *_CALMER)


def _kind(tensor: Tensor) -> str:
    return "NaN" if bool(torch.isnan(tensor).any()) else "infinity"


def _share(tensor: Tensor) -> tuple[str, ...]:
    bad = int((~torch.isfinite(tensor)).sum())
    return (f"{bad:,} of {tensor.numel():,} numbers of it are not finite",)


def _at(origin: Origin | None) -> str:
    return f", {origin.file}:{origin.line}," if origin else ""


# -------------------------------------------------------------------------------------------------------- once more
def explain(engine: "Engine") -> Refusal:
    """Why the loss of a run is not finite. Looks at the step at hand where the weights are still whole, else repeats the run from its
    last checkpoint up to where the first gradient, or loss, is not finite."""
    setup, repeated = engine.setup, engine.limit is not None
    spoilt = agree(setup, not all_finite(setup.module.parameters()))[0] > 0
    if engine.batch is not None and (repeated or not spoilt):
        found = first_of(setup, find(engine, engine.batch))
        if found is not None or repeated:
            return refusal(engine, found)
    return refusal(engine, None) if repeated else engine.again().seek()


def is_finite(loss: Tensor) -> None:
    """Look at a loss before its gradients are used. Raises NonFinite."""
    value = loss.item()
    if value - value != 0.0:
        raise NonFinite


def all_gradients(parameters: Sequence[nn.Parameter]) -> Callable[[Tensor], None]:
    """What looks at loss and gradients before they are used, in a run that is repeated. Raises NonFinite."""

    def check(loss: Tensor) -> None:
        if not finite(loss) or not all_finite(parameter.grad for parameter in parameters):
            raise NonFinite

    return check
