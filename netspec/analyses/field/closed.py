"""A graph at concrete sizes: the types of its values, and how each operator looks at its inputs there.

Closed, because what depends on a size (`same_upper` at a stride, `pad(-H % 32)`, a crop to another tensor) then has an answer.
"""

from __future__ import annotations

from typing import Any, Mapping

from netspec.diagnostics.model import Refusal
from netspec.diagnostics.nearest import suggestion
from netspec.graph import Graph
from netspec.op import Operator
from netspec.reach import AxisReach, Reach
from netspec.record import record
from netspec.sizes.dim import Dim, Size, evaluate, show
from netspec.sizes.tensor import TensorType

_NONE: dict[int, int] = {}


@record
class Read:
    """One tensor that a node reads: its value, how each axis of the output looks at it, and of axes of which one index is
    picked, which."""

    value: int
    looks: tuple[AxisReach | None, ...]
    picked: Mapping[int, int]


class Closed:
    """A graph at the typical sizes, with `sizes` in their place where given.

    Raises `Refusal`: NS014 for a size that the network does not have, NS723 for sizes that break a condition of it.
    """

    def __init__(self, graph: Graph, sizes: Mapping[str, int] | None = None) -> None:
        self.graph = graph
        self.sizes = {**graph.typical, **(sizes or {})}
        self._numbers: dict[Size, int] = {}
        if sizes:
            self._check(sizes)
        self.types = [TensorType(tuple(map(self.number, v.shape)), v.dtype) for v in graph.values]
        self._reaches: dict[int, tuple[Reach, ...]] = {}
        self._known: dict[Any, tuple[Reach, ...]] = {}  # by operator and types: layers of a kind look alike

    def _check(self, sizes: Mapping[str, int]) -> None:
        known = [s.name for s in self.graph.sizes]
        for name in sizes:
            if name not in known:
                raise Refusal("NS014", f"{self.graph.name} has no open size `{name}`", helps=suggestion(name, known), status=2)
        for asked in self.graph.requirements:
            left, right = self.number(asked.left), self.number(asked.right)
            if left < right or (asked.relation == "==" and left != right):
                text = ", ".join(f"{name} = {size}" for name, size in sizes.items())
                raise Refusal(
                    "NS723", f"{show(asked.left)} {asked.relation} {show(asked.right)} is needed, but {text}", notes=(asked.reason,)
                )

    def number(self, size: Size) -> int:
        """A size as a number."""
        if isinstance(size, int):
            return size
        if size not in self._numbers:
            self._numbers[size] = evaluate(size, self.sizes)
        return self._numbers[size]

    def shape(self, value: int) -> tuple[int, ...]:
        """The shape of a value."""
        return self.types[value].shape  # type: ignore[return-value]

    def reach(self, index: int) -> tuple[Reach, ...]:
        """How each output of the node of that number looks at its inputs."""
        if index not in self._reaches:
            node = self.graph.nodes[index]
            site = (node.op, self._types(node.inputs), self._types(node.outputs))
            if site not in self._known:
                self._known[site] = self._fixed(node.op).reach(*site[1:])
            self._reaches[index] = self._known[site]
        return self._reaches[index]

    def reads(self, index: int, output: int) -> list[Read]:
        """What an output of the node of that number reads. Left out are inputs of which only the size matters
        (`resize(like = e)`)."""
        node, reach = self.graph.nodes[index], self.reach(index)[output]
        rank = self.types[node.outputs[output]].rank
        found = []
        for place, (value, looks) in enumerate(zip(node.inputs, reach.inputs)):
            if len(looks) == rank:
                found.append(Read(value, looks, {axis: at for i, axis, at in reach.picked if i == place} if reach.picked else _NONE))
        return found

    def _types(self, numbers: tuple[int, ...]) -> tuple[TensorType, ...]:
        return tuple([self.types[n] for n in numbers])

    def _fixed(self, operator: Operator) -> Operator:
        """The operator with numbers for the open sizes among its arguments."""
        open_ones = {name: self._argument(value) for name, value in operator.__dict__.items() if _is_open(value)}
        return operator.model_copy(update=open_ones) if open_ones else operator

    def _argument(self, value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(self._argument, value))
        return self.number(value) if isinstance(value, Dim) else value


def _is_open(value: Any) -> bool:
    return isinstance(value, Dim) or (isinstance(value, tuple) and any(map(_is_open, value)))
