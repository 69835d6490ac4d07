"""A model in float16 or bfloat16, emulated in float32: each low value is computed in float32 and rounded.

So do the matrix units of GPUs, which multiply low numbers and add in float32. onnxruntime's CPU provider has no kernels for bfloat16, and
leaves out roundings of float16 where it falls back to float32; this form runs anywhere, and shows what the rounding costs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from netspec.backends.onnx.element_types import element_types
from netspec.backends.onnx.float32_nodes import MOVES
from netspec.backends.onnx.model import Attributes, Constant, OnnxModel, Operation
from netspec.backends.onnx.precision import widened
from netspec.backends.weights import Piece, Weights
from netspec.graph import Tensor, fresh
from netspec.record import record
from netspec.sizes.tensor import TensorType
from netspec.terms import ONNX_ELEMENT, Const

#: Operators whose results are elements of what they read, or as few digits: they need no rounding.
_EXACT = MOVES | {"Abs", "Concat", "GlobalMaxPool", "Max", "MaxPool", "Min", "Neg", "Pad", "ReduceMax", "ReduceMin", "Relu", "Where"}


def emulated(model: OnnxModel, weights: Weights, low: str) -> tuple[OnnxModel, Weights]:
    """The model that `lower_precision` made, with `low` (float16, bfloat16) emulated, and the weights to write it with."""
    types = element_types(model)
    taken = set(types)
    nodes: list[Operation] = []
    for node in model.nodes:
        wide = _in_float32(node, low)
        rounded = [name for name in node.outputs if types.get(name) == low and node.op_type not in _EXACT]
        inside = {name: fresh(f"{name}/exact", taken) for name in rounded}
        nodes.append(replace(wide, outputs=tuple(inside.get(name, name) for name in node.outputs)))
        for name, exact in inside.items():
            between = fresh(f"{name}/rounded", taken)
            nodes.append(Operation("Cast", (exact,), (between,), between, _to(low), node=node.node))
            nodes.append(Operation("Cast", (between,), (name,), f"{between}/Cast", _to("float32"), node=node.node))
    originals = {tensor.name: tensor for tensor in model.weights if tensor.dtype == low}
    wide_model = replace(
        model,
        nodes=nodes,
        inputs=[_wide(*port, low) for port in model.inputs],
        outputs=[_wide(*port, low) for port in model.outputs],
        values=[_wide(*value, low) for value in model.values],
        constants=[_constant(one) if one.dtype == low else one for one in model.constants],
        weights=[one.model_copy(update={"dtype": "float32"}) if one.name in originals else one for one in model.weights],
    )
    return wide_model, _Widened(weights, originals)


def _in_float32(node: Operation, low: str) -> Operation:
    """The node with its attributes in float32."""
    values = node.attributes.values
    if node.op_type == "Cast" and values["to"] in (low, ONNX_ELEMENT[low]):
        return replace(node, attributes=_to("float32"))
    filled = values.get("value") if node.op_type == "ConstantOfShape" else None
    if isinstance(filled, Const) and filled.dtype == low:
        return replace(node, attributes=Attributes([("value", Const("float32", filled.shape, filled.values))]))
    return node


def _to(dtype: str) -> Attributes:
    return Attributes([("to", ONNX_ELEMENT[dtype])])


def _wide(name: str, kind: TensorType, low: str) -> tuple[str, TensorType]:
    return name, replace(kind, dtype="float32") if kind.dtype == low else kind


def _constant(constant: Constant) -> Constant:
    bits = np.frombuffer(constant.raw, "<f2" if constant.dtype == "float16" else "<u2")
    return Constant(constant.name, "float32", constant.shape, widened(bits, constant.dtype).astype("<f4").tobytes())


@record
class _Widened(Weights):
    """Weights in a low type, as the float32 of their rounded values. `originals` are those in the low type, by name."""

    original: Weights
    originals: Mapping[str, Tensor]

    def pieces(self, tensor: Tensor) -> Iterator[Piece]:
        """The parts of the tensor, rounded."""
        low = self.originals.get(tensor.name)
        if low is None:
            yield from self.original.pieces(tensor)
            return
        for piece in self.original.pieces(low):
            yield Piece(piece.count, lambda piece=piece, dtype=low.dtype: widened(piece.make(), dtype))  # type: ignore[misc]
