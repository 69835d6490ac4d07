"""Lints about activations: missing between layers, one too many, over the wrong axis, or where logits are wanted."""

from __future__ import annotations

from collections.abc import Iterator

from netspec.analyses.lint.facts import Facts
from netspec.analyses.lint.flow import ahead, behind, maker
from netspec.analyses.lint.kinds import DROPOUTS, RECTIFIERS, SHAPES, SQUASHING, inner, is_affine
from netspec.analyses.lint.rule import Finding, rule
from netspec.analyses.lint.training import losses
from netspec.diagnostics.model import Severity
from netspec.graph import Node

_NOTHING = SHAPES | DROPOUTS | {"batch_norm"}
_KEEPING = SHAPES | DROPOUTS
_POOLS = frozenset({"global_avg_pool", "global_max_pool", "adaptive_avg_pool", "adaptive_max_pool", "avg_pool", "max_pool", "mean"})
#: what networks call scores that no activation has touched
LOGITS = ("logits", "logit", "scores", "score")


# ------------------------------------------------------------------------------------------------ nothing in between
@rule("NS520", Severity.WARNING)
def affine_pair(net: Facts) -> Iterator[Finding]:
    """Two affine layers, the second the only reader of the first, with nothing between but reshapes, dropout and batch norm:
    together they are one affine layer. Not where that is the point: a grouped convolution (depthwise separable), kernels that are
    1 along different axes (1×k and k×1), a transposed convolution, and a middle with fewer channels than both ends (low rank)."""
    for first in net.nodes:
        if not is_affine(first):
            continue
        second = behind(net, first, _NOTHING)
        if second is not None and is_affine(second) and not _is_factorization(net, first, second):
            yield Finding(
                f"there is nothing between this {first.op.NAME} and the {second.op.NAME} behind it: the two are one affine layer",
                first,
                also=((second.origin, "follows it"),) if second.origin and second.origin != first.origin else (),
                helps=("put an activation between them: `-> relu`", "or leave one of them out"),
            )


def _is_factorization(net: Facts, first: Node, second: Node) -> bool:
    """Whether two affine layers in a row are cheaper, or can do other things, than one would be."""
    one, two = inner(first), inner(second)
    if "conv_transpose" in (one.NAME, two.NAME) or getattr(one, "groups", 1) > 1 or getattr(two, "groups", 1) > 1:
        return True
    kernels = _kernel(net, first), _kernel(net, second)
    if any(a > b for a, b in zip(*kernels)) and any(a < b for a, b in zip(*kernels)) and 1 in kernels[0] and 1 in kernels[1]:
        return True
    middle = _width(net, first, first.outputs[0])
    return middle < _width(net, first, first.inputs[0]) and middle < _width(net, second, second.outputs[0])


def _kernel(net: Facts, node: Node) -> tuple[int, ...]:
    """The size of a layer's kernel along each axis; of a linear layer, none."""
    kernel = getattr(inner(node), "kernel", ())
    rank = len(net.shape(node.inputs[0])) - 2
    return kernel if isinstance(kernel, tuple) else (kernel,) * rank


def _width(net: Facts, node: Node, value: int) -> int:
    """How many features a layer's input or output has: channels, or the last axis of a linear layer."""
    return net.shape(value)[-1 if inner(node).NAME == "linear" else 1]


# ------------------------------------------------------------------------------------------------------ one too many
_NONNEGATIVE = frozenset({"relu", "relu6", "sigmoid", "hard_sigmoid", "softmax", "softplus"})
_NONPOSITIVE = frozenset({"log_softmax", "log_sigmoid"})
_IN_UNIT = frozenset({"sigmoid", "hard_sigmoid", "softmax"})
_BOUNDED = _IN_UNIT | {"tanh", "hard_tanh", "softsign"}
_IDENTITY_ABOVE_ZERO = frozenset({"relu", "leaky_relu", "prelu", "elu", "celu"})


@rule("NS521", Severity.WARNING)
def activation_pair(net: Facts) -> Iterator[Finding]:
    """An activation whose input comes straight from another (through reshapes and dropout), where one of the two does nothing or
    spoils what the other gives. `_effect` has the pairs. Not `softplus` into `tanh` (the inside of Mish)."""
    for second in net.of(*RECTIFIERS, *SQUASHING):
        first = ahead(net, second, _KEEPING)
        effect = _effect(first.op.NAME, second.op.NAME) if first is not None else ""
        if first is not None and effect:
            yield Finding(
                f"this {second.op.NAME} stands behind a {first.op.NAME}: {effect}",
                second,
                also=((first.origin, "the first of the two"),) if first.origin else (),
                helps=("leave one of the two out",),
            )


def _effect(first: str, second: str) -> str:
    """What comes of an activation behind another; empty where they may stand so."""
    if first not in RECTIFIERS | SQUASHING or (first, second) == ("softplus", "tanh"):
        return ""
    if first in _NONNEGATIVE and second in _IDENTITY_ABOVE_ZERO or first in _IN_UNIT and second in ("relu6", "hard_tanh"):
        return "it changes nothing, for its input is never negative"
    if first == second and first in ("relu6", "hard_tanh", "log_softmax"):
        return "a second one changes nothing"
    if first == "log_softmax" and second == "softmax":
        return "the two are one softmax"
    if first in _NONPOSITIVE and second in ("relu", "relu6"):
        return "its input is never positive, so it gives zero everywhere"
    if first == "relu" and second == "relu6":
        return "the first changes nothing"
    if first in ("relu", "relu6", "softplus") and second in SQUASHING:
        return "its input is never negative, so half of what it can give is lost"
    if first in _BOUNDED and second in SQUASHING:
        return "its input is already in a small interval, so what it gives hardly varies"
    return "two activations in a row" if second in RECTIFIERS and first in RECTIFIERS else ""


@rule("NS522", Severity.WARNING)
def relu_on_logits(net: Facts) -> Iterator[Finding]:
    """An output that holds logits and comes out of a relu or relu6 behind an affine layer, through nothing but reshapes, dropout
    and pools. It holds logits where it is called logits, logit, scores or score, or where the `train` section gives it to a
    cross entropy. No score can then fall below zero, and where all are zero none of them learns."""
    relus = [node for node in net.of("relu", "relu6")]
    scores = [port for port in net.graph.outputs if relus and _holds_logits(net, port.name)]
    for port in scores:
        node = maker(net, port.value, _KEEPING | _POOLS)
        before = ahead(net, node, _KEEPING | {"batch_norm"}) if node in relus and node is not None else None
        if node is not None and before is not None and is_affine(before):
            yield Finding(
                f"`{port.name}` are scores, and this {node.op.NAME} lets none of them fall below zero",
                node,
                also=((port.origin, "the scores"),) if port.origin else (),
                helps=("leave the activation behind the last layer out",),
            )


def _holds_logits(net: Facts, name: str) -> bool:
    return name in LOGITS or any(loss.port.name == name and loss.takes != "log probabilities" for loss in losses(net))


# ------------------------------------------------------------------------------------------------------------ softmax
@rule("NS527", Severity.ERROR)
def softmax_of_one(net: Facts) -> Iterator[Finding]:
    """Softmax or log softmax along an axis whose size is the number 1: it is 1 (or 0) whatever the input."""
    for node in net.of("softmax", "log_softmax"):
        if net.graph.values[node.inputs[0]].shape[node.op.axis] == 1:
            always = "1" if node.op.NAME == "softmax" else "0"
            yield Finding(
                f"{node.op.NAME} over one element is always {always}",
                node,
                notes=(f"along axis {node.op.axis} of {net.graph.values[node.inputs[0]].type}",),
                helps=("`sigmoid`, where one score decides between two classes; or another `axis`",),
            )


@rule("NS528", Severity.WARNING)
def softmax_over_batch(net: Facts) -> Iterator[Finding]:
    """Softmax or log softmax along axis 0 of a tensor that begins with the batch of an input of the network: the examples of a
    batch compete with one another, and what one gets depends on its neighbours."""
    batches = {net.graph.values[port.value].shape[0] for port in net.graph.inputs if net.graph.values[port.value].shape}
    for node in net.of("softmax", "log_softmax"):
        shape = net.graph.values[node.inputs[0]].shape
        if node.op.axis in (0, -len(shape)) and shape[0] in batches and not isinstance(shape[0], int):
            yield Finding(
                f"this {node.op.NAME} is over the batch: the examples share one sum",
                node,
                notes=(f"along axis {node.op.axis} of {net.graph.values[node.inputs[0]].type}",),
                helps=("`axis = 1` is the axis of channels or classes",),
            )
