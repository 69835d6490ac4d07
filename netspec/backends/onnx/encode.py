"""Nodes and types of a model as bytes, in the model itself and in the bodies of its nodes."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.backends.onnx import wire
from netspec.backends.onnx.model import Operation
from netspec.sizes.dim import Size, show
from netspec.sizes.tensor import TensorType


def node_bytes(node: Operation) -> bytes:
    """A NodeProto."""
    return wire.NODE.encode(
        input=node.inputs,
        output=node.outputs,
        name=node.name,
        op_type=node.op_type,
        attribute=node.attributes.encoded,
        domain=node.domain or None,
    )


class Types:
    """Encoded types, each once: a network has thousands of values and a handful of types."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, tuple[Size, ...]], bytes] = {}

    def value(self, name: str, kind: TensorType) -> bytes:
        """A ValueInfoProto. An open size is a `dim_param` in the language's own syntax."""
        key = kind.dtype, kind.shape
        if key not in self._known:
            sizes = [
                wire.DIMENSION.encode(dim_value=s) if isinstance(s, int) else wire.DIMENSION.encode(dim_param=show(s)) for s in kind.shape
            ]
            inner = wire.TENSOR_TYPE.encode(elem_type=wire.ELEMENT[kind.dtype], shape=wire.SHAPE.encode(dim=sizes))
            self._known[key] = wire.TYPE.encode(tensor_type=inner)
        return wire.VALUE_INFO.encode(name=name, type=self._known[key])


def body_bytes(
    name: str, nodes: Sequence[Operation], inputs: Sequence[tuple[str, TensorType]], outputs: Sequence[tuple[str, TensorType]]
) -> bytes:  # fmt: skip
    """The GraphProto of a body, whose weights and constants are those of the model around it."""
    types = Types()
    return wire.GRAPH.encode(
        node=[node_bytes(node) for node in nodes],
        name=name,
        input=[types.value(*port) for port in inputs],
        output=[types.value(*port) for port in outputs],
    )
