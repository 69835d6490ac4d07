"""Lints about losses: what they are given, against what they take."""

from __future__ import annotations

from collections.abc import Iterator

from netspec.analyses.lint.activation import LOGITS
from netspec.analyses.lint.facts import Facts
from netspec.analyses.lint.flow import maker
from netspec.analyses.lint.kinds import ACTIVATIONS, DROPOUTS, NORMS, SHAPES, is_affine
from netspec.analyses.lint.rule import Finding, rule
from netspec.analyses.lint.training import losses
from netspec.diagnostics.model import Severity
from netspec.graph import Node

_KEEPING = SHAPES | DROPOUTS
_SOFTMAX, _SIGMOID = ("softmax", "log_softmax"), ("sigmoid", "hard_sigmoid", "log_sigmoid")


@rule("NS524", Severity.ERROR)
def softmax_into_logits(net: Facts) -> Iterator[Finding]:
    """A softmax (or log softmax) behind which, through reshapes and dropout, comes an output that the `train` section gives to a
    loss on logits (`cross_entropy(y, …)`, `bce_with_logits(y, …)`), which has the softmax inside. And a warning: such an output
    that is called `logits`, whatever the loss."""
    yield from _activated(net, _SOFTMAX, "logits", "one logit")


@rule("NS525", Severity.ERROR)
def sigmoid_into_logits(net: Facts) -> Iterator[Finding]:
    """The same of a sigmoid (or hard or log sigmoid), which the loss on logits has inside."""
    yield from _activated(net, _SIGMOID, "one logit", "logits")


def _activated(net: Facts, names: tuple[str, ...], *takes: str) -> Iterator[Finding]:
    told: set[str] = set()
    for loss in losses(net):
        if loss.takes not in takes:
            continue
        node = maker(net, loss.port.value, _KEEPING)
        if node is not None and node.op.NAME in names and node.name not in told:
            told.add(node.name)
            yield Finding(
                f"`{loss.name}` takes logits, and `{loss.port.name}` has been through this {node.op.NAME}",
                node,
                also=((loss.origin, "takes logits"),) if loss.origin else (),
                helps=(f"leave the {node.op.NAME} out: the loss has one inside", "take the activation where probabilities are wanted"),
            )
    for port in net.graph.outputs:
        node = maker(net, port.value, _KEEPING)
        if port.name in LOGITS[:2] and node is not None and node.op.NAME in names and node.name not in told:
            yield Finding(
                f"`{port.name}` are no logits: they have been through this {node.op.NAME}",
                node,
                also=((port.origin, "is called so here"),) if port.origin else (),
                helps=(f"leave the {node.op.NAME} out, or call the output `probabilities`",),
                severity=Severity.WARNING,
            )


@rule("NS526", Severity.ERROR)
def likelihood_of_no_logarithm(net: Facts) -> Iterator[Finding]:
    """An output that the `train` section gives to a negative log likelihood (`nll_loss(y, …)`), and that comes, through reshapes
    and dropout, out of an affine layer, a norm or an activation other than log softmax and log sigmoid."""
    for loss in losses(net):
        if loss.takes != "log probabilities":
            continue
        node = maker(net, loss.port.value, _KEEPING)
        if node is not None and _is_no_logarithm(node):
            yield Finding(
                f"`{loss.name}` takes log probabilities, and `{loss.port.name}` comes out of this {node.op.NAME}",
                node,
                also=((loss.origin, "takes log probabilities"),) if loss.origin else (),
                helps=("end in `log_softmax`, or take `cross_entropy`, which has it inside",),
            )


def _is_no_logarithm(node: Node) -> bool:
    return is_affine(node) or node.op.NAME in NORMS or node.op.NAME in ACTIVATIONS - {"log_softmax", "log_sigmoid"}
