"""Protocol-buffer bytes for the messages of ONNX that we write, from a table of their field numbers.

Importing `onnx` takes longer than writing a ResNet-50, and its classes copy every weight; what is needed of the format is
this page. The numbers are those of onnx/onnx.proto (stable by the rules of ONNX's IR); the encoding is described in
https://protobuf.dev/programming-guides/encoding. The same calls give the same bytes, always.
"""

from __future__ import annotations

import struct
from typing import Any, Callable, Iterable

from netspec.terms import ONNX_ELEMENT as ELEMENT

_VARINT, _BYTES, _FIXED32 = 0, 2, 5
_ONE_BYTE = tuple(bytes((n,)) for n in range(128))


def varint(value: int) -> bytes:
    """A non-negative integer in groups of seven bits, the lowest first; a negative one as its 64-bit two's complement."""
    if 0 <= value < 128:
        return _ONE_BYTE[value]
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


# How the value of one field goes to bytes, after the field's tag.
def _integer(value: int) -> bytes:
    return _ONE_BYTE[value] if 0 <= value < 128 else varint(int(value))


def _single(value: float) -> bytes:
    return struct.pack("<f", value)


def _block(value: bytes) -> bytes:
    size = len(value)
    return (_ONE_BYTE[size] if size < 128 else varint(size)) + value


def _string(value: str) -> bytes:
    # a lone surrogate, which UTF-8 cannot hold, becomes a question mark
    raw = value.encode("utf-8", "replace")
    size = len(raw)
    return (_ONE_BYTE[size] if size < 128 else varint(size)) + raw


class Message:
    """One message type: `Message(name=("string", 8), …)` lists its fields, `message.encode(name="x")` gives the bytes.

    A field given a list or tuple is repeated; one given None is left out.
    """

    _KINDS: dict[str, tuple[int, Callable[[Any], bytes]]] = {
        "int": (_VARINT, _integer),
        "float": (_FIXED32, _single),
        "bytes": (_BYTES, _block),
        "string": (_BYTES, _string),
        "message": (_BYTES, _block),
    }

    def __init__(self, **fields: tuple[str, int]) -> None:
        self._fields: dict[str, tuple[bytes, Callable[[Any], bytes]]] = {}
        for name, (kind, number) in fields.items():
            wire, write = self._KINDS[kind]
            self._fields[name] = varint(number << 3 | wire), write

    def encode(self, **values: Any) -> bytes:
        """The message's bytes, fields in the order in which they are given."""
        out = b""
        for name, value in values.items():
            if value is None:
                continue
            tag, write = self._fields[name]
            kind = type(value)
            if kind is not tuple and kind is not list:
                out += tag + write(value)
            elif len(value) > 100:  # adding to a long string of bytes over and over would take quadratic time
                out += b"".join([tag + write(item) for item in value])
            else:
                for item in value:
                    out += tag + write(item)
        return out

    def opening(self, name: str, length: int) -> bytes:
        """The tag and length that stand before a field's bytes, where those are written by someone else."""
        return self._fields[name][0] + varint(length)


MODEL = Message(
    ir_version=("int", 1),
    producer_name=("string", 2),
    producer_version=("string", 3),
    domain=("string", 4),
    model_version=("int", 5),
    doc_string=("string", 6),
    graph=("message", 7),
    opset_import=("message", 8),
    metadata_props=("message", 14),
    functions=("message", 25),
)
GRAPH = Message(
    node=("message", 1),
    name=("string", 2),
    initializer=("message", 5),
    doc_string=("string", 10),
    input=("message", 11),
    output=("message", 12),
    value_info=("message", 13),
)
NODE = Message(
    input=("string", 1),
    output=("string", 2),
    name=("string", 3),
    op_type=("string", 4),
    attribute=("message", 5),
    doc_string=("string", 6),
    domain=("string", 7),
)
FUNCTION = Message(
    name=("string", 1),
    input=("string", 4),
    output=("string", 5),
    node=("message", 7),
    doc_string=("string", 8),
    opset_import=("message", 9),
    domain=("string", 10),
)
ATTRIBUTE = Message(
    name=("string", 1),
    f=("float", 2),
    i=("int", 3),
    s=("string", 4),
    t=("message", 5),
    g=("message", 6),
    floats=("float", 7),
    ints=("int", 8),
    strings=("string", 9),
    type=("int", 20),
)
TENSOR = Message(
    dims=("int", 1),
    data_type=("int", 2),
    name=("string", 8),
    raw_data=("bytes", 9),
    external_data=("message", 13),
    data_location=("int", 14),
)
VALUE_INFO = Message(name=("string", 1), type=("message", 2))
TYPE = Message(tensor_type=("message", 1))
TENSOR_TYPE = Message(elem_type=("int", 1), shape=("message", 2))
SHAPE = Message(dim=("message", 1))
DIMENSION = Message(dim_value=("int", 1), dim_param=("string", 2))
OPSET = Message(domain=("string", 1), version=("int", 2))
ENTRY = Message(key=("string", 1), value=("string", 2))

#: Attributes that are floats in every operator of ONNX that has them, and those that name an element type.
_FLOATS_BY_NAME = frozenset(
    "activation_alpha activation_beta alpha beta bias clip cubic_coeff_a epsilon extrapolation_value gamma high lambd low mean "
    "momentum ratio scale softcap spatial_scale value_float value_floats".split()
)
_ELEMENTS_BY_NAME = frozenset(("to", "dtype", "output_dtype", "stash_type", "softmax_precision"))

#: AttributeProto.AttributeType.
_FLOAT, _INT, _STRING, _TENSOR, _GRAPH, _FLOATS, _INTS, _STRINGS = 1, 2, 3, 4, 5, 6, 7, 8

_PACKED = {"float32": "f", "float64": "d", "float16": "e", "int64": "q", "int32": "i", "int8": "b", "uint8": "B", "bool": "?"}


def pack(dtype: str, values: Iterable[Any]) -> bytes:
    """Elements as a tensor's raw data: little-endian, one after the other."""
    flat = tuple(values)
    if dtype == "bfloat16":
        return b"".join(_bfloat16(value) for value in flat)
    if dtype not in ("float16", "float32", "float64", "bool"):
        flat = tuple(map(int, flat))
    return struct.pack(f"<{len(flat)}{_PACKED[dtype]}", *flat)


def _bfloat16(value: float) -> bytes:
    """The upper half of the float32, rounded to even."""
    (bits,) = struct.unpack("<I", struct.pack("<f", value))
    if value == value:  # a NaN's bits are not rounded: they might overflow to infinity
        bits += 0x7FFF + (bits >> 16 & 1)
    return struct.pack("<H", bits >> 16 & 0xFFFF)


def tensor(name: str | None, dtype: str, shape: tuple[int, ...], raw: bytes) -> bytes:
    """A whole TensorProto."""
    return TENSOR.encode(dims=shape, data_type=ELEMENT[dtype], name=name, raw_data=raw)


def body(name: str, graph: bytes) -> bytes:
    """An AttributeProto that holds an encoded GraphProto."""
    return ATTRIBUTE.encode(name=name, g=graph, type=_GRAPH)


def attribute(name: str, value: Any) -> bytes:
    """An AttributeProto. The kind follows the Python type; a tuple with a float in it is one of floats.

    Where ONNX wants a float a whole number will do, and the name of an element type where it wants its number. A tensor is
    given as its encoded TensorProto. Raises TypeError for what an attribute cannot hold.
    """
    if name in _FLOATS_BY_NAME:
        value = tuple(map(float, value)) if isinstance(value, (tuple, list)) else float(value)
    elif name in _ELEMENTS_BY_NAME and isinstance(value, str):
        value = ELEMENT[value]
    if isinstance(value, (bool, int)):
        return ATTRIBUTE.encode(name=name, i=value, type=_INT)
    if isinstance(value, float):
        return ATTRIBUTE.encode(name=name, f=value, type=_FLOAT)
    if isinstance(value, str):
        return ATTRIBUTE.encode(name=name, s=value, type=_STRING)
    if isinstance(value, bytes):
        return ATTRIBUTE.encode(name=name, t=value, type=_TENSOR)
    if isinstance(value, (tuple, list)):
        if all(isinstance(item, int) for item in value):
            return ATTRIBUTE.encode(name=name, ints=value, type=_INTS)
        if all(isinstance(item, (int, float)) for item in value):
            return ATTRIBUTE.encode(name=name, floats=value, type=_FLOATS)
        if all(isinstance(item, str) for item in value):
            return ATTRIBUTE.encode(name=name, strings=value, type=_STRINGS)
    raise TypeError(f"attribute {name} cannot hold {value!r}")
