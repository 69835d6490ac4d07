"""An ONNX model as plain records: what `lower` makes, what `fold` rewrites and `write` puts to bytes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from typing import Any

from netspec.backends.onnx import wire
from netspec.graph import Node, Tensor
from netspec.origin import Origin
from netspec.record import draft, record
from netspec.sizes.tensor import TensorType
from netspec.terms import Const


class Attributes:
    """A node's attributes by name, and their bytes in that order. A network repeats the same few: make them once."""

    __slots__ = ("values", "encoded")

    def __init__(self, items: Iterable[tuple[str, Any]] = ()) -> None:
        self.values = dict(sorted(items))
        self.encoded = tuple(_encode(name, value) for name, value in self.values.items())


def _encode(name: str, value: Any) -> bytes:
    if isinstance(value, Const):
        value = wire.tensor(None, value.dtype, value.shape, wire.pack(value.dtype, value.values))
    return wire.attribute(name, value)


NO_ATTRIBUTES = Attributes()


@record
class Body:
    """The graph inside of a node. Weights and constants are those of the model around it: `captures` are the names that it reads."""

    name: str
    nodes: tuple["Operation", ...]
    inputs: tuple[tuple[str, TensorType], ...]
    outputs: tuple[tuple[str, TensorType], ...]

    @property
    def captures(self) -> tuple[str, ...]:
        """What it reads and does not make."""
        made = {name for node in self.nodes for name in node.outputs} | {name for name, _ in self.inputs}
        return tuple(dict.fromkeys(name for node in self.nodes for name in node.reads if name and name not in made))


@record
class Operation:
    """One node; an empty input is one left out. `node` is the graph's that it was lowered from, if it is of one (arithmetic of sizes
    is not); `body` what it runs inside; `origin` where it was written, if that is not where `node` was."""

    op_type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    name: str
    attributes: Attributes = NO_ATTRIBUTES
    domain: str = ""
    node: Node | None = None
    body: Body | None = None
    origin: Origin | None = None

    @property
    def reads(self) -> tuple[str, ...]:
        """Everything that it reads, itself or in its body."""
        return self.inputs if self.body is None else self.inputs + self.body.captures


@record
class Constant:
    """A small initializer that is known now."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    raw: bytes


@record
class Function:
    """A function of a model: nodes under a name of their own, which see nothing but `inputs`."""

    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Operation, ...]
    doc: str = ""


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
    functions: list[Function] = field(default_factory=list)
