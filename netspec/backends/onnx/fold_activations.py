"""Activations that are spelled out for the digits that onnxruntime's kernels lose, put back into one node.

Its Sigmoid is 0 below -18, where torch has 1.5e-8, and its Elu takes 1 from an exponential, which leaves nothing of an input near
1e-8. Beside 1 this is rounding; who folds asks for fewer nodes and less time, and gets the kernels.
"""

from __future__ import annotations

from dataclasses import replace

from netspec.backends.onnx.model import NO_ATTRIBUTES, Attributes, Operation
from netspec.backends.onnx.rewriting import Rewriting
from netspec.backends.onnx.stored import Known


def fold_activations(net: Rewriting) -> bool:
    """Put back every sigmoid, elu and selu, and what they gate. Whether there was any."""
    changed = False
    for number, node in net:
        if node.domain:
            continue
        rewrite = {"Reciprocal": _sigmoid, "Div": _gated, "Add": _elu, "Mul": _selu}.get(node.op_type)
        changed |= rewrite is not None and rewrite(net, number, node)
    return changed


def _number(net: Rewriting, name: str) -> float | None:
    """The one element of a known array."""
    array = net.stored.get(name)
    return float(array.values.reshape(())) if isinstance(array, Known) and array.shape == () else None


def _denominator(net: Rewriting, name: str) -> tuple[str, list[int]] | None:
    """x of `1 + exp(-x)`, and the places of its nodes."""
    places: list[int] = []
    for op_type in ("Add", "Exp", "Neg"):
        found = net.sole_maker(name, op_type)
        if found is None or (op_type == "Add" and _number(net, found[1].inputs[1]) != 1):
            return None
        places.append(found[0])
        name = found[1].inputs[0]
    return name, places


def _sigmoid(net: Rewriting, number: int, node: Operation) -> bool:
    """`1 / (1 + exp(-x))`."""
    found = _denominator(net, node.inputs[0])
    if found is None:
        return False
    for place in found[1]:
        net.drop(place)
    net.put(number, replace(node, op_type="Sigmoid", inputs=(found[0],), attributes=NO_ATTRIBUTES))
    return True


def _gated(net: Rewriting, number: int, node: Operation) -> bool:
    """`v / (1 + exp(-x))`: the sum's node becomes the sigmoid."""
    found = _denominator(net, node.inputs[1])
    if found is None:
        return False
    gate, places = found
    total = net.nodes[places[0]]
    assert total is not None
    for place in places:
        net.drop(place)
    name = total.name.replace("/Add", "/Sigmoid")
    net.put(places[0], replace(total, op_type="Sigmoid", inputs=(gate,), name=name))
    net.put(number, replace(node, op_type="Mul"))
    return True


def _elu(net: Rewriting, number: int, node: Operation) -> bool:
    """`relu(x) + 2 a t / (1 - t)` with `t = tanh(min(x, 0) / 2)`."""
    above, below = net.sole_maker(node.inputs[0], "Relu"), net.sole_maker(node.inputs[1], "Div")
    over = net.sole_maker(below[1].inputs[0], "Mul") if below is not None else None
    under = net.sole_maker(below[1].inputs[1], "Sub") if below is not None else None
    if above is None or below is None or over is None or under is None:
        return False
    tangent = over[1].inputs[0]
    factor = _number(net, over[1].inputs[1])
    squashed = net.maker(tangent)
    half = net.sole_maker(squashed[1].inputs[0], "Mul") if squashed is not None and squashed[1].op_type == "Tanh" else None
    least = net.sole_maker(half[1].inputs[0], "Min") if half is not None else None
    if squashed is None or half is None or least is None or factor is None or tangent in net.results:
        return False
    if under[1].inputs[1] != tangent or sorted(net.readers(tangent)) != sorted((over[0], under[0])):
        return False
    numbers = tuple(_number(net, name) for name in (under[1].inputs[0], half[1].inputs[1], least[1].inputs[1]))
    if numbers != (1, 0.5, 0) or least[1].inputs[0] != above[1].inputs[0]:
        return False
    for place, _ in (above, below, over, under, squashed, half, least):
        net.drop(place)
    net.put(number, replace(node, op_type="Elu", inputs=above[1].inputs, attributes=Attributes((("alpha", factor / 2),))))
    return True


def _selu(net: Rewriting, number: int, node: Operation) -> bool:
    """An Elu times a number."""
    found, gamma = net.sole_maker(node.inputs[0], "Elu"), _number(net, node.inputs[1])
    if found is None or gamma is None:
        return False
    net.drop(found[0])
    keys = Attributes((*found[1].attributes.values.items(), ("gamma", gamma)))
    net.put(number, replace(node, op_type="Selu", inputs=found[1].inputs, attributes=keys))
    return True
