"""A model in float16 or bfloat16: every value's type is set here, one by one, from the model in float32.

What is computed in float32 all the same is decided in `float32_nodes`. Where a node reads a value in the other type, a `Cast` stands
behind the node that makes it: one a value, never two in a row; constants and weights are converted instead, weights while they are
written. Vectors (a norm's statistics and scale, a bias) are stored in the type of the nodes that read them, in both if need be; larger
weights in the low type, with a cast in front of a node in float32 (runtimes fold it when they load), and the file is half as large; but
those of layers that are kept for their digits (`kept`) in float32.

bfloat16 has float32's range and three digits. onnxruntime's CPU provider has hardly any kernels for it and does not fall back (float16
it computes in float32, with casts of its own): such a model runs on CUDA, TensorRT or OpenVINO, and `emulated` gives its numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from netspec.backends.onnx.float32_nodes import Plan, is_defined, operands
from netspec.backends.onnx.kept import NOTHING, Kept
from netspec.backends.onnx.model import Attributes, Body, Constant, OnnxModel, Operation
from netspec.backends.onnx.transposes import behind_products
from netspec.backends.span import Span
from netspec.backends.weights import Piece, Weights
from netspec.diagnostics.model import Refusal
from netspec.graph import Tensor, fresh
from netspec.record import record
from netspec.sizes.tensor import TensorType
from netspec.terms import ONNX_ELEMENT, Const

#: The element types by what `--precision` calls them.
LOW_TYPES = {"fp16": "float16", "bf16": "bfloat16"}


def lower_precision(
    model: OnnxModel, weights: Weights, precision: str, keep_ports: bool = True, kept: Kept = NOTHING
) -> tuple[OnnxModel, Weights]:  # fmt: skip
    """The model computed in `fp16` or `bf16`, and the weights to write it with. `keep_ports`: inputs and outputs stay float32, as do the
    layers `kept`.

    Values that are not float32 before (integers, float64) stay what they are. Raises Refusal NS750 for another precision; and, when
    weights are made, for one that the type cannot hold.
    """
    if precision not in LOW_TYPES:
        raise Refusal("NS750", f"there is no precision `{precision}`", helps=(f"choose one of {', '.join(LOW_TYPES)}",), status=2)
    lowering = _Lowering(behind_products(model), LOW_TYPES[precision], keep_ports, kept)
    return lowering.run(), _Converted(weights, lowering.originals)


def low_type(precision: str) -> str:
    """The element type of a precision."""
    return LOW_TYPES[precision]


def opset_for(precision: str) -> int:
    """The opset that a precision is best written in: convolutions and pools are defined for bfloat16 from 22 on, and stay in float32
    before."""
    return 22 if precision == "bf16" else 21


class _Lowering:
    """One model while its types are set. `stored` are the weights as they are written, by their names before; `originals` those
    before, by their names now."""

    def __init__(self, model: OnnxModel, low: str, keep_ports: bool, kept: Kept) -> None:
        self.model, self.low, self.keep_ports = model, low, keep_ports
        self.constants = {constant.name: constant for constant in model.constants}
        self.plan = Plan(model, low, keep_ports, lambda name: fits(self.constants[name], low), kept.nodes)
        self.types = self.plan.types
        self.weights = {tensor.name: tensor for tensor in model.weights if tensor.dtype == "float32"}
        self.originals: dict[str, Tensor] = {}
        self.stored: dict[str, list[Tensor]] = {}
        self.taken = set(self.types) | {node.name for node in model.nodes}
        self.both = self._stored_twice()
        self.exact = {name for node in model.nodes if node.node is not None and node.node.name in kept.exact for name in operands(node)}
        self.known: dict[tuple[str, str], str] = {}
        self.renamed: dict[str, str] = {}
        self.made: dict[str, Constant] = {}
        self.behind: dict[int, list[Operation]] = {}  # casts by the number of the node that makes what they read; -1: the inputs'
        self.bypassed: set[int] = set()

    def run(self) -> OnnxModel:
        """The model with its types."""
        self._rename_outputs()
        nodes = [self._operation(number, node) for number, node in enumerate(self.model.nodes)]
        placed = list(self.behind.get(-1, []))
        for number, node in enumerate(nodes):
            placed += (node, *self.behind.get(number, ()))
        placed = self._without_dead(placed)
        read = {name for node in placed for name in node.reads}
        made = {name for node in placed for name in node.outputs}
        return replace(
            self.model,
            nodes=placed,
            inputs=[self._port(*port) for port in self.model.inputs],
            outputs=[self._port(*port) for port in self.model.outputs],
            values=[self._value(*value) for value in self.model.values if value[0] in made],
            constants=[c for c in (*self.model.constants, *self.made.values()) if c.name in read],
            weights=[new for old in self.model.weights for new in self.stored.get(old.name, () if old.name in self.weights else (old,))],
        )

    # --------------------------------------------------------------------------------------------------------- nodes
    def _operation(self, number: int, node: Operation) -> Operation:
        """The node on values of its type."""
        low = number in self.plan.low
        outputs = tuple(self.renamed.get(name, name) for name in node.outputs)
        if not any(self.types.get(name) == "float32" for name in operands(node)):
            return replace(node, outputs=outputs) if outputs != node.outputs else node
        if self._is_indifferent(node):
            given = {node.inputs[0]: self._as_made(node.inputs[0])}
        else:
            given = {name: self._as(name, self.low if low else "float32") for name in operands(node) if name}
        inputs = tuple(given.get(name, name) for name in node.inputs)
        body = _reading(node.body, given) if node.body is not None else None
        attributes = node.attributes
        if low and node.op_type == "Cast" and self.types[node.outputs[0]] == "float32":
            attributes = Attributes([("to", ONNX_ELEMENT[self.low])])
        return replace(node, inputs=inputs, outputs=outputs, body=body, attributes=attributes)

    def _is_indifferent(self, node: Operation) -> bool:
        """Whether a node puts out no float and reads one: it may read it in either type."""
        return len(node.inputs) == 1 and not any(self.types[name] == "float32" for name in node.outputs if name)

    def _as_made(self, name: str) -> str:
        """The value as whoever makes it puts it out."""
        if name in self.weights or name in self.constants:
            return self._as(name, "float32")
        return self.renamed.get(name, name)

    # -------------------------------------------------------------------------------------------------------- values
    def _as(self, name: str, dtype: str) -> str:
        """The name of a value in float32 or in the low type; other values are as they are."""
        if self.types.get(name) != "float32":
            return name
        key = name, dtype
        if key not in self.known:
            if name in self.weights:
                self.known[key] = self._weight(self.weights[name], dtype)
            elif name in self.constants:
                self.known[key] = name if dtype == "float32" else self._constant(self.constants[name])
            elif self.plan.is_low(name) == (dtype != "float32"):
                self.known[key] = self.renamed.get(name, name)
            else:
                self.known[key] = self._converted(name, dtype)
        return self.known[key]

    def _weight(self, tensor: Tensor, dtype: str) -> str:
        """The name of a weight in a type: its own, or, of one in both, that with the type where it is float32."""
        name = tensor.name
        if dtype == "float32" and name not in self.exact and sum(length > 1 for length in tensor.shape) > 1:
            return self._cast(-1, self._as(name, self.low), fresh(f"{name}/float32", self.taken), dtype)
        if name in self.both and dtype == "float32":
            name = fresh(f"{name}/float32", self.taken)
        self.originals[name] = tensor
        self.stored.setdefault(tensor.name, []).append(tensor.model_copy(update={"name": name, "dtype": dtype}))
        return name

    def _constant(self, constant: Constant) -> str:
        """A constant in the low type."""
        name = fresh(constant.name.replace("float32", self.low, 1), self.taken)
        self.made[name] = Constant(name, self.low, constant.shape, _low_bits(_elements(constant), self.low).tobytes())
        return name

    def _converted(self, name: str, dtype: str) -> str:
        """A value in the other type: cast behind the node that makes it, from what that casts, if it does."""
        number = self.plan.maker.get(name, -1)
        node = self.model.nodes[number] if number >= 0 else None
        new = fresh(f"{name}/{dtype}", self.taken)
        source = self.renamed.get(name, name)
        if node is not None and node.op_type == "ConstantOfShape" and is_defined("ConstantOfShape", dtype, self.model.opset):
            self.bypassed.add(number)
            value = node.attributes.values.get("value")
            filled = Attributes([("value", Const(dtype, (1,), value.values if isinstance(value, Const) else (0.0,)))])
            made = replace(node, outputs=(new,), name=new, attributes=filled)
        else:
            return self._cast(number, self._cast_from(number) or source, new, dtype)
        self.behind.setdefault(number, []).append(made)
        return new

    def _cast_from(self, number: int) -> str | None:
        """What a node casts to float32, if it does: to be cast to the low type at once."""
        node = self.model.nodes[number] if number >= 0 else None
        if node is None or node.op_type != "Cast" or number in self.plan.low:
            return None
        self.bypassed.add(number)
        return self._as_made(node.inputs[0])

    def _cast(self, number: int, source: str, new: str, dtype: str) -> str:
        """A cast behind a node; the name of its result."""
        node = self.model.nodes[number].node if number >= 0 else None
        self.behind.setdefault(number, []).append(Operation("Cast", (source,), (new,), new, _to(dtype), node=node))
        return new

    def _without_dead(self, nodes: list[Operation]) -> list[Operation]:
        """The nodes without those that were bypassed and that nobody reads any more."""
        bypassed = {self.renamed.get(name, name) for number in self.bypassed for name in self.model.nodes[number].outputs}
        read = {name for node in nodes for name in node.reads} | {name for name, _ in self.model.outputs}
        return [node for node in nodes if node.outputs[0] not in bypassed or node.outputs[0] in read]

    # --------------------------------------------------------------------------------------------- ports and weights
    def _rename_outputs(self) -> None:
        """An output that is made in another type than it has is called otherwise inside, and cast."""
        made, wanted = (self.low, "float32") if self.keep_ports else ("float32", self.low)
        for name, _ in self.model.outputs:
            if self.types[name] == "float32" and self.plan.is_low(name) == (made == self.low):
                number = self.plan.maker[name]
                self.renamed[name] = inside = fresh(f"{name}/{made}", self.taken)
                self.known[name, wanted] = name
                source = self._cast_from(number)
                self._cast(number, source or inside, name, wanted)

    def _port(self, name: str, kind: TensorType) -> tuple[str, TensorType]:
        return name, kind if self.keep_ports or kind.dtype != "float32" else replace(kind, dtype=self.low)

    def _value(self, name: str, kind: TensorType) -> tuple[str, TensorType]:
        return name, replace(kind, dtype=self.low) if kind.dtype == "float32" and self.plan.is_low(name) else kind

    def _stored_twice(self) -> set[str]:
        """The names of the weights that nodes of both kinds read."""
        kinds: dict[str, set[bool]] = {}
        for number, node in enumerate(self.model.nodes):
            for name in operands(node):
                if name in self.weights and not self._is_indifferent(node):
                    kinds.setdefault(name, set()).add(number in self.plan.low)
        return {name for name, found in kinds.items() if len(found) == 2}


def _to(dtype: str) -> Attributes:
    return Attributes([("to", ONNX_ELEMENT[dtype])])


def _reading(body: Body, names: Mapping[str, str]) -> Body:
    """A body that reads what is around it under other names."""

    def renamed(node: Operation) -> Operation:
        inner = _reading(node.body, names) if node.body is not None else None
        return replace(node, inputs=tuple(names.get(name, name) for name in node.inputs), body=inner)

    return replace(body, nodes=tuple(map(renamed, body.nodes)))


# --------------------------------------------------------------------------------------------------------------- numbers
def fits(constant: Constant, dtype: str) -> bool:
    """Whether a type holds a constant's elements: none becomes infinite, and none but zero becomes zero."""
    if constant.dtype != "float32":
        return True
    values = _elements(constant)
    rounded = widened(_low_bits(values, dtype), dtype)
    return bool(np.array_equal(np.isinf(values), np.isinf(rounded)) and np.array_equal(values == 0, rounded == 0))


def _elements(constant: Constant) -> np.ndarray:
    return np.frombuffer(constant.raw, "<f4")


def _low_bits(values: np.ndarray, dtype: str) -> np.ndarray:
    """float32 rounded to even in float16, or in bfloat16 as the uint16 of its bits; infinite where it is too large."""
    if dtype == "float16":
        with np.errstate(over="ignore"):
            return values.astype(np.float16)
    bits = np.ascontiguousarray(values, "<f4").view("<u4")
    rounded = ((bits + (np.uint32(0x7FFF) + (bits >> 16 & 1))) >> 16).astype("<u2")
    quiet = (bits >> 16 | 0x40).astype("<u2")  # a NaN's bits are not rounded: they might overflow to infinity
    return np.where(np.isnan(values), quiet, rounded)


def widened(bits: np.ndarray, dtype: str) -> np.ndarray:
    """The float32 of what `_low_bits` gives."""
    if dtype == "float16":
        return bits.astype(np.float32)
    return (bits.astype("<u4") << 16).view("<f4")


@record
class _Converted(Weights):
    """The weights of a model whose types were set. `originals` are those of the model before, by the new names."""

    original: Weights
    originals: Mapping[str, Tensor]

    def pieces(self, tensor: Tensor) -> Iterator[Piece]:
        """The parts of the tensor as it was, each rounded when it is made."""
        before = self.originals.get(tensor.name, tensor)
        for piece in self.original.pieces(before):
            yield piece if before.dtype == tensor.dtype else Piece(piece.count, partial(_rounded, piece, tensor))

    def span(self, tensor: Tensor) -> Span | None:
        """Where a tensor lies that has kept its type."""
        before = self.originals.get(tensor.name, tensor)
        return self.original.span(before) if before.dtype == tensor.dtype else None


def _rounded(piece: Piece, tensor: Tensor) -> np.ndarray:
    """A part of a weight in the low type. Raises Refusal NS750 where a number becomes infinite."""
    values = piece.make()
    bits = _low_bits(values, tensor.dtype)
    lost = np.isinf(widened(bits, tensor.dtype)) & np.isfinite(values)
    if lost.any():
        worst = float(np.abs(values[lost]).max())
        helps = ("write it in bf16, which has the range of float32, or in fp32",) if tensor.dtype == "float16" else ()
        raise Refusal("NS750", f"{tensor.name} holds {worst:.6g}, which is infinite in {tensor.dtype}", helps=helps)
    return bits
