"""The lint about attention that is written out: products of queries and keys need a scale."""

from __future__ import annotations

from collections.abc import Iterator

from netspec.analyses.lint.facts import Facts
from netspec.analyses.lint.kinds import DROPOUTS, MOVES, NORMS
from netspec.analyses.lint.rule import Finding, rule
from netspec.diagnostics.model import Severity
from netspec.graph import Node

#: between product and softmax: masks and biases are added, infinities cut, axes moved
_MASKS = MOVES | DROPOUTS | {"add", "sub", "maximum", "minimum", "clamp", "cast"}
#: what gives a product or its operands another scale; norms of queries and keys do as well
_SCALES = NORMS | {"mul", "div", "pow", "tanh", "softmax", "sigmoid"}
_FAR = 16


@rule("NS529", Severity.WARNING)
def unscaled_attention(net: Facts) -> Iterator[Finding]:
    """A matmul of two computed tensors, then (through masks that are added, and moved axes) a softmax, then (through dropout
    and moved axes) another matmul, where nothing multiplies, divides or norms: neither the product before the softmax, nor either
    operand between the layer that made it and the product. Products of d terms have d times the variance, and softmax saturates:
    Vaswani et al., "Attention is all you need", arXiv:1706.03762, section 3.2.1. Not where d is 1. The same of
    `scaled_dot_product(scale = 1)`."""
    for node in net.of("scaled_dot_product"):
        terms = net.shape(node.inputs[0])[-1]
        if node.op.scale == 1 and terms > 1 and not any(_is_scaled(net, i) for i in node.inputs[:2]):
            message = f"these products of {terms} terms go without a scale into the softmax: at {terms} times the variance, it saturates"
            yield Finding(message, node, helps=(f"leave `scale` out, for 1 / sqrt({terms})",))
    for softmax in net.of("softmax"):
        product = _product(net, softmax) if _goes_into_product(net, softmax) else None
        if product is None or any(_is_scaled(net, i) for i in product.inputs):
            continue
        terms = net.shape(product.inputs[0])[-1]
        if terms > 1:
            yield Finding(
                f"these products of {terms} terms go into a softmax without a scale: at {terms} times the variance, it saturates",
                product,
                also=((softmax.origin, "saturates"),) if softmax.origin else (),
                helps=(f"divide by the root of their number: `/ {terms**0.5:.4g}`",),
            )


def _goes_into_product(net: Facts, softmax: Node) -> bool:
    """Whether weights go, perhaps through dropout and moved axes, into a matmul; they may be an output of the network, too."""
    waiting = [softmax]
    while waiting:
        for node in net.after(waiting.pop()):
            if node.op.NAME == "matmul":
                return True
            if node.op.NAME in MOVES | DROPOUTS | {"cast"}:
                waiting.append(node)
    return False


def _product(net: Facts, softmax: Node) -> Node | None:
    """The matmul of two computed tensors whose result goes into a softmax unscaled; None where there is none."""
    waiting, seen = [softmax.inputs[0]], 0
    while waiting and seen < _FAR:
        node = net.producer.get(waiting.pop())
        seen += 1
        if node is None or node.op.NAME in _SCALES:
            continue
        if node.op.NAME == "matmul":
            return node if all(_is_computed(net, i) for i in node.inputs) else None
        if node.op.NAME in _MASKS:
            waiting.extend(reversed(node.inputs))
    return None


def _is_computed(net: Facts, value: int) -> bool:
    node = net.producer.get(value)
    return node is None or node.op.NAME not in ("param", "buffer", "constant")


def _is_scaled(net: Facts, value: int) -> bool:
    """Whether something multiplies, divides or norms an operand since the layer that made it."""
    waiting, seen = [value], 0
    while waiting and seen < _FAR:
        node = net.producer.get(waiting.pop())
        seen += 1
        if node is not None and node.op.NAME in _SCALES:
            return True
        if node is not None and node.op.NAME in MOVES | DROPOUTS | {"add", "sub", "cast"}:
            waiting.extend(node.inputs)
    return False
