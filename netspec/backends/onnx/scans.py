"""A scan in ONNX: a `Scan` node, whose body is lowered as the network is; of a known, small number of steps, the steps themselves.

`Scan` can take its inputs apart along any axis and from either end; the steps are brought to the first axis, and into their order,
before it all the same, since not every runtime can. Weights and constants are those of the model around the body, by name.
"""

from __future__ import annotations

from typing import Any, Protocol

from netspec.backends.onnx.extents import Constants, Extents
from netspec.backends.onnx.model import Attributes, Body, OnnxModel, Operation
from netspec.graph import Graph, Node
from netspec.sizes.dim import Size
from netspec.sizes.tensor import TensorType
from netspec.terms import Const

#: The most steps that are written one after the other.
MOST_STEPS = 64
#: Before the first element of any axis.
_BEFORE_ALL = -(1 << 62)


class Lowering(Protocol):
    """What is needed of the lowering of a graph: of the one around the scan, and of one for its body."""

    graph: Graph
    model: OnnxModel
    constants: Constants
    extents: Extents
    names: dict[int, str]
    types: list[TensorType]

    def inside(self, body: Graph, model: OnnxModel) -> Lowering:
        """A lowering of a body into a model, its names apart from all others."""

    def begin(self, inputs: dict[int, str]) -> None:
        """Lower the graph anew, its inputs called so."""

    def nodes(self) -> None:
        """Lower every node, in order."""

    def unique(self, name: str) -> str:
        """A name that nothing else has."""

    def node_name(self, name: str) -> str:
        """A node's name that no other has."""


class Scanned:
    """One scan while it is lowered."""

    def __init__(self, around: Lowering, node: Node, wanted: list[str]) -> None:
        self.around, self.node, self.op, self.wanted = around, node, node.op, wanted
        self.step = node.op.step
        self.body = around.graph.bodies[node.body]  # type: ignore[index]
        self.given = [around.types[number] for number in node.inputs]
        self.inputs = [around.names[number] for number in node.inputs]
        self.values = [port.value for port in self.body.inputs]
        self.results = [port.value for port in self.body.outputs]

    def lower(self) -> list[str]:
        """Write the scan; the names of its outputs."""
        steps = self.op.length(self.given)
        outputs = self.unrolled(steps) if isinstance(steps, int) and steps <= MOST_STEPS else self.looped()
        return outputs[: len(self.wanted)]

    # -------------------------------------------------------------------------------------------------- the Scan node
    def looped(self) -> list[str]:
        """The `Scan` node, and what brings its steps to the first axis and back."""
        carried = range(len(self.step.sliced), len(self.values))
        taken_apart = [i for i, sliced in enumerate(self.step.sliced) if sliced]
        body = self._step([*carried, *taken_apart])
        inputs = (*(self.initial(i) for i in carried), *(self.steps_first(i) for i in taken_apart))
        last = [self._result(self.step.stacked + k, "last") for k in range(len(carried))]
        moved = bool(self.op.axis or self.op.reverse)
        found = [self.around.unique(f"{self.node.name}/steps") if moved else self._result(i, "steps") for i in range(self.step.stacked)]
        attributes = Attributes({"num_scan_inputs": len(taken_apart)}.items())
        name = self.around.node_name(self.node.name)
        self.around.model.nodes.append(Operation("Scan", inputs, (*last, *found), name, attributes, node=self.node, body=body))
        return [*(self.steps_back(name, i) for i, name in enumerate(found)), *last]

    def _step(self, own: list[int]) -> Body:
        """The body, whose inputs are `own`; all others are read from around it, as weights and constants are."""
        model = OnnxModel(self.around.model.opset)
        inner = self.around.inside(self.body, model)
        inner.begin({value: self._inside(i) if i in own else self.inputs[i] for i, value in enumerate(self.values)})
        self._learn(inner)
        inner.nodes()
        self.around.model.domains.update(model.domains)
        ports = [(inner.names[self.values[i]], self._type(self.values[i])) for i in own]
        results = self._of_body(inner, model)
        results = [*results[self.step.stacked :], *results[: self.step.stacked]]
        return Body(f"{self.node.name}/step", tuple(model.nodes), tuple(ports), tuple(results))

    def _result(self, number: int, otherwise: str) -> str:
        """What an output of the scan is called, if somebody wants it."""
        return self.wanted[number] if number < len(self.wanted) else self.around.unique(f"{self.node.name}/{otherwise}")

    def _inside(self, index: int) -> str:
        """What an input of the body is called in it."""
        return self.around.unique(f"{self.node.name}/{self.body.inputs[index].name}")

    def _of_body(self, inner: Lowering, model: OnnxModel) -> list[tuple[str, TensorType]]:
        """What the body puts out: each made in it, under a name of its own."""
        made = {name for node in model.nodes for name in node.outputs}
        results: list[tuple[str, TensorType]] = []
        for value in self.results:
            name = inner.names[value]
            if name not in made or any(name == other for other, _ in results):
                copy = self.around.unique(f"{self.node.name}/{name}")
                model.nodes.append(
                    Operation("Identity", (name,), (copy,), self.around.node_name(f"{self.node.name}/Identity"), node=self.node)
                )
                name = copy
            results.append((name, self._type(value)))
        return results

    def steps_first(self, index: int) -> str:
        """An input with its steps along the first axis, the first that is run first."""
        name, rank = self.inputs[index], self.given[index].rank
        if self.op.axis:
            name = self._write("Transpose", (name,), perm=(self.op.axis, *(a for a in range(rank) if a != self.op.axis)))
        return self._reversed(name) if self.op.reverse else name

    def steps_back(self, name: str, index: int) -> str:
        """A stacked output with its steps where they belong."""
        rank = 1 + len(self.step.outputs[index][1])
        if self.op.reverse:
            name = self._reversed(name, "" if self.op.axis else self.wanted[index])
        if self.op.axis:
            order = list(range(1, rank))
            order.insert(self.op.axis, 0)
            name = self._write("Transpose", (name,), self.wanted[index], perm=tuple(order))
        return name

    def _reversed(self, name: str, called: str = "") -> str:
        vector = self.around.constants.vector
        return self._write("Slice", (name, vector(-1), vector(_BEFORE_ALL), vector(0), vector(-1)), called)

    # ---------------------------------------------------------------------------------------------- step after step
    def unrolled(self, steps: int) -> list[str]:
        """The body once for every step, on the weights that all share."""
        carried = [self.initial(i) for i in range(len(self.step.sliced), len(self.values))]
        found: dict[int, list[str]] = {}
        inner = self.around.inside(self.body, self.around.model)
        for number in reversed(range(steps)) if self.op.reverse else range(steps):
            given = [self._pick(i, number) if cut else self.inputs[i] for i, cut in enumerate(self.step.sliced)]
            inner.begin(dict(zip(self.values, [*given, *carried])))
            if not found:
                self._learn(inner)
            inner.nodes()
            found[number] = [inner.names[value] for value in self.results]
            carried = found[number][self.step.stacked :]
        stacked = [self._stack([found[number][i] for number in range(steps)], i) for i in range(self.step.stacked)]
        return [*stacked, *carried]

    def _pick(self, index: int, number: int) -> str:
        """One step of an input."""
        position = self.around.constants.name("int64", (), (number,))
        return self._write("Gather", (self.inputs[index], position), axis=self.op.axis)

    def _stack(self, names: list[str], index: int) -> str:
        """The results of all steps along the axis."""
        axis = self.around.constants.vector(self.op.axis)
        parts = tuple(self._write("Unsqueeze", (name, axis), self.wanted[index] if len(names) == 1 else "") for name in names)
        return parts[0] if len(parts) == 1 else self._write("Concat", parts, self.wanted[index], axis=self.op.axis)

    # ------------------------------------------------------------------------------------------------------ both ways
    def initial(self, index: int) -> str:
        """The state before the first step: what was given, or zeros."""
        if self.op.initial:
            return self.inputs[index]
        kind = self.step.type(self.step.inputs[index], self.op.sizes(self.given))
        shape: tuple[Size, ...] = kind.shape
        return self._write("ConstantOfShape", (self.around.extents.vector(shape),), value=Const(kind.dtype, (1,), (0,)))

    def _learn(self, inner: Lowering) -> None:
        """The sizes of a step are read off its inputs."""
        ports = [(inner.names[value], self._type(value)) for value in self.values]
        inner.extents = Extents(inner.model, inner.constants, inner.unique, ports)

    def _type(self, value: int) -> TensorType:
        return self.body.values[value].type

    def _write(self, op_type: str, inputs: tuple[str, ...], called: str = "", **attributes: Any) -> str:
        """A node around the scan; the name of its result."""
        name = called or self.around.unique(f"{self.node.name}/{op_type}")
        node = self.around.node_name(f"{self.node.name}/{op_type}")
        self.around.model.nodes.append(Operation(op_type, inputs, (name,), node, Attributes(attributes.items()), node=self.node))
        return name
