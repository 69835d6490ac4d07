"""Nodes that do nothing, do again what was done, or undo it: left out, and the numbers are the same to the bit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from netspec.backends.onnx.model import Attributes, Operation
from netspec.backends.onnx.rewriting import Rewriting

#: What gives another result each time, or is told apart by its name.
_RANDOM = frozenset(("Bernoulli", "Dropout", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"))


def remove_moves(net: Rewriting) -> bool:
    """Take away what need not be done. Whether there was anything."""
    changed = _remove_twins(net)
    for number, node in net:
        if node.domain:
            continue
        if not any(name in net.results or net.readers(name) for name in node.outputs):
            net.drop(number)
            changed = True
        elif node.op_type == "Identity" or _is_still(node) or _is_same_type(net, node):
            changed |= _bypass(net, number, node, node.inputs[0])
        elif node.op_type == "Transpose":
            changed |= _transposed_twice(net, number, node)
        elif node.op_type == "Reshape":
            changed |= _reshaped_twice(net, number, node)
    return changed


def _remove_twins(net: Rewriting) -> bool:
    """Of nodes with the same operator, inputs and attributes the first alone."""
    seen: dict[Any, Operation] = {}
    changed = False
    for number, node in net:
        if node.body is not None or node.op_type in _RANDOM:
            continue
        key = node.domain, node.op_type, node.inputs, node.attributes.encoded, len(node.outputs)
        first = seen.setdefault(key, node)
        if first is node or net.results.intersection(node.outputs):
            continue
        net.drop(number)
        for old, new in zip(node.outputs, first.outputs):
            net.redirect(old, new)
        changed = True
    return changed


def _bypass(net: Rewriting, number: int, node: Operation, source: str) -> bool:
    """Let the node's readers read `source`; where it makes a result of the network, let its maker make that."""
    (name,) = node.outputs
    if name not in net.results:
        net.drop(number)
        net.redirect(name, source)
        return True
    maker = net.maker(source)
    if maker is None or source in net.results:
        return False
    net.drop(number)
    place, made = maker
    net.put(place, replace(made, outputs=tuple(name if one == source else one for one in made.outputs)))
    net.redirect(source, name)
    return True


def _is_still(node: Operation) -> bool:
    order = node.attributes.values.get("perm") if node.op_type == "Transpose" else None
    return order is not None and tuple(order) == tuple(range(len(order)))


def _is_same_type(net: Rewriting, node: Operation) -> bool:
    """Whether a node changes the shape of a value to the one that it has."""
    if node.op_type not in ("Reshape", "Squeeze", "Unsqueeze", "Expand"):
        return False
    before, after = net.types.get(node.inputs[0]), net.types.get(node.outputs[0])
    return before is not None and before == after


def _transposed_twice(net: Rewriting, number: int, node: Operation) -> bool:
    maker = net.maker(node.inputs[0])
    first, second = (maker[1].attributes.values.get("perm") if maker else None), node.attributes.values.get("perm")
    if maker is None or maker[1].op_type != "Transpose" or first is None or second is None:
        return False
    order = tuple(first[axis] for axis in second)
    net.put(number, replace(node, inputs=maker[1].inputs, attributes=Attributes((("perm", order),))))
    return True


def _reshaped_twice(net: Rewriting, number: int, node: Operation) -> bool:
    """A shape given twice: the second alone, if the axes that it keeps are those that the first keeps."""
    maker, sizes = net.maker(node.inputs[0]), net.numbers(node.inputs[1])
    if maker is None or maker[1].op_type not in ("Reshape", "Flatten", "Squeeze", "Unsqueeze") or sizes is None:
        return False
    if node.attributes.values.get("allowzero"):
        return False
    source = maker[1].inputs[0]
    before, between = net.types.get(source), net.types.get(node.inputs[0])
    for axis in (axis for axis, size in enumerate(sizes) if size == 0):
        if before is None or between is None or before.shape[axis : axis + 1] != between.shape[axis : axis + 1]:
            return False
    net.put(number, replace(node, inputs=(source, node.inputs[1])))
    return True
