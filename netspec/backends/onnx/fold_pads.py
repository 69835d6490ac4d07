"""Zeros put around a value by a node of their own: put there by the convolution or average pool that reads it.

Not by a max pool, which pads with what is smaller than all numbers; nor by a transposed convolution, whose `pads` take away.
"""

from __future__ import annotations

from dataclasses import replace

from netspec.backends.onnx.model import Attributes, Operation
from netspec.backends.onnx.rewriting import Rewriting
from netspec.backends.onnx.stored import Known


def fold_pads(net: Rewriting) -> bool:
    """Fold every pad of zeros that one layer reads alone. Whether there was any."""
    changed = False
    for number, node in net:
        if node.op_type not in ("Conv", "AveragePool") or node.domain:
            continue
        found = net.sole_maker(node.inputs[0], "Pad")
        around = _zeros(net, found[1], len(_kernel(net, node))) if found is not None else None
        attributes = _padded(net, node, around) if around is not None else None
        if found is None or attributes is None:
            continue
        net.drop(found[0])
        net.put(number, replace(node, inputs=(found[1].inputs[0], *node.inputs[1:]), attributes=attributes))
        changed = True
    return changed


def _kernel(net: Rewriting, node: Operation) -> tuple[int, ...]:
    """The sizes of a layer's window."""
    size = node.attributes.values.get("kernel_shape")
    weight = net.stored.get(node.inputs[1]) if len(node.inputs) > 1 else None
    return tuple(size) if size is not None else weight.shape[2:] if weight is not None else ()


def _zeros(net: Rewriting, pad: Operation, axes: int) -> tuple[int, ...] | None:
    """How many zeros a Pad puts before and behind each of the last axes, if it does nothing else."""
    if pad.attributes.values.get("mode", "constant") != "constant" or not axes:
        return None
    value = net.stored.get(pad.inputs[2]) if len(pad.inputs) > 2 and pad.inputs[2] else None
    if len(pad.inputs) > 2 and pad.inputs[2] and not (isinstance(value, Known) and not value.values.any()):
        return None
    amounts = net.numbers(pad.inputs[1])
    if amounts is None or min(amounts, default=-1) < 0:
        return None
    if len(pad.inputs) > 3:
        chosen, rank = net.numbers(pad.inputs[3]), axes + 2
        if chosen is None:
            return None
        before = {axis % rank: amounts[place] for place, axis in enumerate(chosen)}
        behind = {axis % rank: amounts[len(chosen) + place] for place, axis in enumerate(chosen)}
        amounts = tuple(before.get(axis, 0) for axis in range(rank)) + tuple(behind.get(axis, 0) for axis in range(rank))
    if len(amounts) != 2 * (axes + 2) or any((*amounts[:2], *amounts[axes + 2 : axes + 4])):
        return None
    return (*amounts[2 : axes + 2], *amounts[axes + 4 :])


def _padded(net: Rewriting, node: Operation, around: tuple[int, ...]) -> Attributes | None:
    """The attributes of the layer that pads itself."""
    keys = dict(node.attributes.values)
    own = tuple(keys.get("pads") or (0,) * len(around))
    if keys.pop("auto_pad", "NOTSET") != "NOTSET":
        return None
    pads = tuple(a + b for a, b in zip(own, around))
    if node.op_type == "AveragePool":
        kernel = _kernel(net, node)
        if keys.get("ceil_mode") or (any(own) and not keys.get("count_include_pad")) or any(p >= k for p, k in zip(pads, kernel * 2)):
            return None
        keys["count_include_pad"] = 1
    return Attributes({**keys, "pads": pads}.items())
