"""Batch norms, scales and shifts of channels, computed into the convolution or linear layer beside them.

A norm with scale s, shift b, mean m and variance v is `x * f + t`, f = s / sqrt(v + eps) and t = b - m * f (Jacob et al. 2018,
arXiv:1712.05877, section 3.2); so is a product or sum with a stored array that has one element a channel. Behind a layer,
`W' = W * f` along its outputs and `bias' = bias * f + t`. Before one, `W' = W * f` along its inputs and `bias' = bias + sum of W * t`;
with padding only where t is nothing, for what is padded is no `t`. All in float64, rounded once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from netspec.backends.onnx.model import Operation
from netspec.backends.onnx.rewriting import Rewriting
from netspec.backends.onnx.stored import Stored, computed
from netspec.record import record

_LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_AFFINE = ("BatchNormalization", "Mul", "Div", "Add", "Sub")


@record
class _Affine:
    """`x * factor + shift`, a number a channel or one for all, made of `sources`; None is 1, and 0."""

    sources: tuple[Stored, ...]
    factor: Callable[..., np.ndarray] | None
    shift: Callable[..., np.ndarray] | None


@record
class _Layer:
    """A layer: the node of its product, its weight and bias by name; `adder` is the node of the sum, where that is another."""

    number: int
    node: Operation
    weight: str
    bias: str
    adder: int | None = None

    @property
    def groups(self) -> int:
        """How many parts of its own the layer's channels are in."""
        return int(self.node.attributes.values.get("group", 1))

    def axes(self, net: Rewriting) -> tuple[int, int]:
        """The axes of the weight over outputs and inputs (of a group)."""
        if self.node.op_type == "Conv" or self.node.attributes.values.get("transB"):
            return 0, 1
        return 1, 0

    def channels(self, net: Rewriting, outputs: bool) -> int:
        """How many channels come out, or go in."""
        size = net.stored[self.weight].shape[self.axes(net)[0 if outputs else 1]]
        parts = self.node.op_type == ("ConvTranspose" if outputs else "Conv")
        return size * self.groups if parts else size

    def places(self, net: Rewriting) -> int | None:
        """How many axes stand behind that of the channels; None where they are the last of a value of any rank."""
        return None if self.node.op_type == "MatMul" else len(net.stored[self.weight].shape) - 2


def fold_affine(net: Rewriting) -> bool:
    """Fold every norm, scale and shift that stands alone beside a layer whose numbers no other reads. Whether there was any."""
    changed = False
    for number, node in net:
        if node.op_type in _AFFINE and not node.domain:
            changed |= _fold_behind(net, number, node)
    for number, node in net:
        if node.op_type in ("Conv", "Gemm", "MatMul") and not node.domain:
            changed |= _fold_before(net, number, node)
    return changed


# ------------------------------------------------------------------------------------------------------------- the layer
def _layer(net: Rewriting, number: int, node: Operation) -> _Layer | None:
    """The layer that a node is, if its weight is stored in float32 for it alone."""
    weight = net.stored.get(node.inputs[1]) if len(node.inputs) > 1 else None
    bias = node.inputs[2] if len(node.inputs) > 2 else ""
    keys = node.attributes.values
    if weight is None or weight.dtype != "float32" or not net.is_read_once(node.inputs[1]):
        return None
    if bias and (bias not in net.stored or not net.is_read_once(bias)):
        return None
    if node.op_type == "Gemm" and (keys.get("alpha", 1) != 1 or keys.get("beta", 1) != 1 or keys.get("transA")):
        return None
    if node.op_type == "Gemm" and bias and len(net.stored[bias].shape) != 1:
        return None
    if node.op_type == "MatMul" and len(weight.shape) != 2:
        return None
    return _Layer(number, node, node.inputs[1], bias)


def _layer_behind(net: Rewriting, name: str) -> _Layer | None:
    """The layer that makes a value, with the sum that is its bias, for one reader alone."""
    found = net.sole_maker(name, *_LAYERS)
    if found is not None:
        return _layer(net, *found)
    added = net.sole_maker(name, "Add")
    if added is None:
        return None
    for data, bias in (added[1].inputs, added[1].inputs[::-1]):
        product = net.sole_maker(data, "MatMul")
        layer = _layer(net, *product) if product is not None and bias in net.stored and net.is_read_once(bias) else None
        if layer is not None and net.stored[bias].shape == (layer.channels(net, True),):
            return replace(layer, bias=bias, adder=added[0])
    return None


# ------------------------------------------------------------------------------------------------------------ the affine
def _affine(net: Rewriting, node: Operation, data: str, channels: int, places: int | None) -> _Affine | None:
    """What a node does to the channels of `data`; None for anything else. `places` as a layer has them."""
    if node.op_type == "BatchNormalization":
        statistics = tuple(net.stored[name] for name in node.inputs[1:] if name in net.stored)
        keys = node.attributes.values
        if len(statistics) != 4 or node.inputs[0] != data or len(node.outputs) != 1 or keys.get("training_mode"):
            return None
        if any(one.shape != (channels,) or one.dtype != "float32" for one in statistics):
            return None
        factor = partial(_norm_factor, epsilon=keys.get("epsilon", 1e-5))
        return _Affine(statistics, factor, lambda *four: four[1] - four[2] * factor(*four))
    if node.op_type not in _AFFINE or len(node.inputs) != 2 or node.inputs.count(data) != 1:
        return None
    first = node.inputs[0] == data
    other = net.stored.get(node.inputs[1 if first else 0])
    if other is None or other.dtype != "float32" or not _is_of_channels(other, channels, places):
        return None
    return _of_arithmetic(node.op_type, first, other)


def _of_arithmetic(op_type: str, first: bool, other: Stored) -> _Affine | None:
    if op_type == "Mul":
        return _Affine((other,), lambda c: c, None)
    if op_type == "Div":
        return _Affine((other,), lambda c: 1 / c, None) if first else None
    if op_type == "Add":
        return _Affine((other,), None, lambda c: c)
    return _Affine((other,), None, lambda c: -c) if first else _Affine((other,), lambda c: np.full_like(c, -1), lambda c: c)


def _norm_factor(scale: np.ndarray, _shift: np.ndarray, _mean: np.ndarray, variance: np.ndarray, epsilon: float) -> np.ndarray:
    return scale / np.sqrt(variance + epsilon)


def _is_of_channels(array: Stored, channels: int, places: int | None) -> bool:
    """Whether an array has one number, or one for each channel and all places of it, and no more axes than the value."""
    shape = array.shape
    if len(shape) > (1 if places is None else places + 2):
        return False
    place = len(shape) - 1 - (places or 0)
    return array.count == 1 or (array.count == channels and place >= 0 and shape[place] == channels)


# ---------------------------------------------------------------------------------------------------------------- behind
def _fold_behind(net: Rewriting, number: int, node: Operation) -> bool:
    for data in node.inputs[:2]:
        layer = _layer_behind(net, data) if data else None
        if layer is None:
            continue
        affine = _affine(net, node, data, layer.channels(net, True), layer.places(net))
        if affine is None or (layer.node.op_type == "MatMul" and layer.adder is None and affine.shift is not None):
            continue
        if node.op_type == "BatchNormalization" and layer.adder is not None and not _is_matrix(net, data):
            continue
        net.drop(number)
        _scale(net, layer, affine, outputs=True)
        _shift(net, layer, affine)
        place = layer.number if layer.adder is None else layer.adder
        maker = net.nodes[place]
        assert maker is not None
        net.put(place, replace(maker, outputs=node.outputs))
        return True
    return False


def _is_matrix(net: Rewriting, name: str) -> bool:
    return name in net.types and len(net.types[name].shape) == 2


def _scale(net: Rewriting, layer: _Layer, affine: _Affine, outputs: bool) -> None:
    """Multiply the weight by the factor, along its outputs or inputs."""
    factor = affine.factor
    if factor is None:
        return
    weight = net.stored[layer.weight]
    spread = _spread(net, layer, outputs)

    def scaled(array: np.ndarray, *sources: np.ndarray) -> np.ndarray:
        return array * spread(factor(*map(_flat, sources)))

    net.store(layer.weight, computed("float32", weight.shape, (weight, *affine.sources), scaled))


def _spread(net: Rewriting, layer: _Layer, outputs: bool) -> Callable[[np.ndarray], np.ndarray]:
    """How a number for each channel is laid along the weight. Where each group has channels of its own on an axis that all groups
    share, the other axis tells the groups apart."""
    shape, groups = net.stored[layer.weight].shape, layer.groups
    over, under = layer.axes(net)
    axis, other = (over, under) if outputs else (under, over)
    ones = [1] * len(shape)
    ones[axis] = -1
    if groups == 1 or outputs == (layer.node.op_type == "Conv"):
        return lambda numbers: numbers.reshape(ones)

    def of_groups(numbers: np.ndarray) -> np.ndarray:
        parts = np.broadcast_to(numbers, (groups * shape[axis],)).reshape(groups, shape[axis])
        rows = np.repeat(parts, shape[other] // groups, axis=0)
        return (rows if other < axis else rows.T).reshape([shape[a] if a in (axis, other) else 1 for a in range(len(shape))])

    return of_groups


def _shift(net: Rewriting, layer: _Layer, affine: _Affine) -> None:
    """`bias * factor + shift` in place of the bias."""
    factor, shift = affine.factor, affine.shift
    if shift is None and not layer.bias:
        return
    channels = layer.channels(net, True)
    old = (net.stored[layer.bias],) if layer.bias else ()

    def shifted(*arrays: np.ndarray) -> np.ndarray:
        bias = arrays[0].astype("float64") if old else np.zeros(channels)
        sources = [_flat(array) for array in arrays[len(old) :]]
        bias = bias * factor(*sources) if factor is not None else bias
        return bias + shift(*sources) if shift is not None else bias

    _put_bias(net, layer, computed("float32", (channels,), (*old, *affine.sources), shifted))


def _put_bias(net: Rewriting, layer: _Layer, array: Stored) -> None:
    if layer.bias:
        net.store(layer.bias, array)
        return
    name = net.unique(f"{layer.weight.removesuffix('weight')}bias")
    net.stored[name] = array
    net.put(layer.number, replace(layer.node, inputs=(*layer.node.inputs[:2], name)))


def _flat(array: np.ndarray) -> np.ndarray:
    return array.astype("float64").reshape(-1)


# ---------------------------------------------------------------------------------------------------------------- before
def _fold_before(net: Rewriting, number: int, node: Operation) -> bool:
    found = net.sole_maker(node.inputs[0], *_AFFINE)
    layer = _layer(net, number, node) if found is not None else None
    if found is None or layer is None:
        return False
    for data in found[1].inputs[:2]:
        if data in net.stored:
            continue
        affine = _affine(net, found[1], data, layer.channels(net, False), layer.places(net))
        if affine is None or not _may_go_in(net, layer, affine, found[1]):
            continue
        net.drop(found[0])
        if affine.shift is not None:
            _shift_inputs(net, layer, affine)
        _scale(net, layer, affine, outputs=False)
        put = net.nodes[number]
        assert put is not None
        net.put(number, replace(put, inputs=(data, *put.inputs[1:])))
        return True
    return False


def _may_go_in(net: Rewriting, layer: _Layer, affine: _Affine, node: Operation) -> bool:
    keys: dict[str, Any] = layer.node.attributes.values
    if node.op_type == "BatchNormalization" and layer.node.op_type == "MatMul":
        return False  # its channels may be on another axis
    if any(len(one.shape) > len(net.stored[layer.weight].shape) for one in affine.sources):
        return False  # it may have given the value more axes
    if affine.shift is None:
        return True
    padded = any(keys.get("pads") or ()) or keys.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID")
    return not padded and layer.node.op_type != "MatMul"


def _shift_inputs(net: Rewriting, layer: _Layer, affine: _Affine) -> None:
    """Add what the shift of the inputs comes to, to the bias."""
    weight, shift = net.stored[layer.weight], affine.shift
    assert shift is not None
    over = layer.axes(net)[0]
    spread = _spread(net, layer, outputs=False)
    others = tuple(axis for axis in range(len(weight.shape)) if axis != over)
    old = (net.stored[layer.bias],) if layer.bias else ()

    def summed(array: np.ndarray, *rest: np.ndarray) -> np.ndarray:
        bias = rest[0].astype("float64") if old else 0.0
        return bias + (array * spread(shift(*map(_flat, rest[len(old) :])))).sum(axis=others)

    _put_bias(net, layer, computed("float32", (layer.channels(net, True),), (weight, *old, *affine.sources), summed))
