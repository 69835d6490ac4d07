"""Nodes and types of a model as bytes, in the model itself and in the bodies of its nodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netspec.backends.onnx import wire
from netspec.backends.onnx.model import Body, Function, Operation
from netspec.sizes.dim import Size, show
from netspec.sizes.tensor import TensorType


def node_bytes(node: Operation) -> bytes:
    """A NodeProto; its documentation says where in the source it was written."""
    attributes = node.attributes.encoded
    if node.body is not None:  # in the order of names, as all attributes are
        attributes = (wire.body("body", body_bytes(node.body)), *attributes)
    origin = node.origin or (node.node.origin if node.node is not None else None)
    return wire.NODE.encode(
        input=node.inputs,
        output=node.outputs,
        name=node.name,
        op_type=node.op_type,
        attribute=attributes,
        doc_string=f"{file_name(origin.file)}:{origin.line}" if origin is not None else None,
        domain=node.domain or None,
    )


def file_name(path: str) -> str:
    """The file alone: the folder is not part of a network."""
    return path.replace("\\", "/").rsplit("/", 1)[-1]


def opset_bytes(opset: int, domains: Iterable[str]) -> list[bytes]:
    """The operator sets that a model or a function imports."""
    return [wire.OPSET.encode(domain=domain, version=1 if domain else opset) for domain in ("", *sorted(domains))]


def function_bytes(function: Function, opset: int) -> bytes:
    """A FunctionProto."""
    return wire.FUNCTION.encode(
        name=function.name,
        input=function.inputs,
        output=function.outputs,
        node=[node_bytes(node) for node in function.nodes],
        doc_string=function.doc or None,
        opset_import=opset_bytes(opset, set(_domains(function.nodes)) - {""}),
        domain=function.domain,
    )


def _domains(nodes: Iterable[Operation]) -> Iterator[str]:
    for node in nodes:
        yield node.domain
        if node.body is not None:
            yield from _domains(node.body.nodes)


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


def body_bytes(body: Body) -> bytes:
    """The GraphProto of a body, whose weights and constants are those of the model around it."""
    types = Types()
    return wire.GRAPH.encode(
        node=[node_bytes(node) for node in body.nodes],
        name=body.name,
        input=[types.value(*port) for port in body.inputs],
        output=[types.value(*port) for port in body.outputs],
    )
