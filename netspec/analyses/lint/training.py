"""What `train` sections say, as far as advice needs it: their batch, and which losses take which outputs."""

from __future__ import annotations

from collections.abc import Iterator

from netspec.analyses.lint.facts import Facts
from netspec.graph import Origin, Port
from netspec.record import record


@record
class Taken:
    """An output that a loss of a `train` section takes: the loss's name, what it takes (`logits`, `one logit`, `log probabilities`),
    the output, and where that is written."""

    name: str
    takes: str
    port: Port
    origin: Origin | None


def batch(net: Facts) -> int | None:
    """How many examples a training step sees, where a `train` section says it; or the first axis of the first input, where that
    is a number."""
    for section in net.graph.training:
        if section.where("batch") is not None:
            return section.batch
    first = net.graph.values[net.graph.inputs[0].value].shape if net.graph.inputs else ()
    return first[0] if first and isinstance(first[0], int) else None


def losses(net: Facts) -> Iterator[Taken]:
    """The outputs that losses of the network's `train` sections take, where their numbers have a meaning."""
    outputs = {port.name: port for port in net.graph.outputs}
    for term in (term for section in net.graph.training for term in section.loss):
        reference = dict(term.tensors).get(term.measure.TENSORS[0])
        port = outputs.get(reference.name) if reference is not None and reference.kind == "output" else None
        if port is None:
            continue
        type_ = net.graph.values[port.value].type
        meaning = term.measure.meaning(type_)
        one = meaning == "logits" and term.measure.task(type_) in ("binary", "multilabel")
        takes = {"logits": "one logit" if one else "logits", "log_probabilities": "log probabilities"}.get(meaning)
        if takes is not None:
            yield Taken(term.measure.NAME, takes, port, term.origin)
