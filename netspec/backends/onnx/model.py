"""An ONNX model as plain records: what `lower` makes, what `fold` rewrites and `write` puts to bytes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from typing import Any

from netspec.backends.onnx import wire
from netspec.graph import Tensor
from netspec.record import draft, record
from netspec.sizes.tensor import TensorType
from netspec.terms import Const


class Attributes:
    """A node's attributes by name, and their bytes in that order. A network repeats the same few: make them once."""

    __slots__ = ("values", "encoded")

    def __init__(self, items: Iterable[tuple[str, Any]] = ()) -> None:
        self.values = dict(sorted(items))
        self.encoded = tuple(_encode(name, value) for name, value in self.values.items())


@record
class Subgraph:
    """The body of a node, as an encoded GraphProto."""

    encoded: bytes


def _encode(name: str, value: Any) -> bytes:
    if isinstance(value, Subgraph):
        return wire.body(name, value.encoded)
    if isinstance(value, Const):
        value = wire.tensor(None, value.dtype, value.shape, wire.pack(value.dtype, value.values))
    return wire.attribute(name, value)


NO_ATTRIBUTES = Attributes()


@record
class Operation:
    """One node; an empty input is one left out. `captures` are the names from around it that its body reads."""

    op_type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    name: str
    attributes: Attributes = NO_ATTRIBUTES
    domain: str = ""
    captures: tuple[str, ...] = ()

    @property
    def reads(self) -> tuple[str, ...]:
        """Everything that it reads, itself or in its body."""
        return self.inputs + self.captures


@record
class Constant:
    """A small initializer that is known now."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    raw: bytes


@draft
class OnnxModel:
    """A whole model; the weights are named, not held. `values` are the intermediate ones that carry a type."""

    opset: int
    inputs: list[tuple[str, TensorType]] = field(default_factory=list)
    outputs: list[tuple[str, TensorType]] = field(default_factory=list)
    values: list[tuple[str, TensorType]] = field(default_factory=list)
    nodes: list[Operation] = field(default_factory=list)
    weights: list[Tensor] = field(default_factory=list)
    constants: list[Constant] = field(default_factory=list)
    domains: set[str] = field(default_factory=set)
