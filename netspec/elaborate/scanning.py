"""`scan(block, over = T)`: a block applied step by step along an axis, whose states go from one step to the next.

The block's own names give the roles: an input called as an output is a state, any other is what a step is given. A step becomes a
graph of its own. It knows the sizes around it by the names that the shapes of its inputs tell; what it asks of them, the network
around it asks of the sizes that they are there.
"""

from __future__ import annotations

from itertools import repeat
from typing import Any, Iterator

from netspec.diagnostics.model import Mark
from netspec.elaborate.application import Application, plain
from netspec.elaborate.arithmetic import is_size
from netspec.elaborate.build import Builder, RequirementDraft, ScopeDraft, Slot
from netspec.elaborate.context import Activation, Failed, alive
from netspec.elaborate.environment import MISSING, Environment
from netspec.elaborate.step import Inside, aligned
from netspec.elaborate.values import (
    BlockLayer,
    Chain,
    Definition,
    DefLayer,
    Labelled,
    OperatorLayer,
    ScanLayer,
    SharedLayer,
    Tensor,
    Tensors,
    describe,
)  # fmt: skip
from netspec.op import Operator, Reject
from netspec.sizes.dim import Dim, Size, names, show, substitute, total
from netspec.sizes.solve import Condition
from netspec.sizes.tensor import TensorType
from netspec.source import Place
from netspec.syntax import tree

#: the arguments of `scan`, in order
ARGUMENTS = ("block", "over", "axis", "reverse", "states")


class Scanning(Application):
    """What `scan` is, and its application."""

    def attempt(self, expression: tree.Expr, env: Environment) -> Any:
        """The value of an expression, or `POISON`; defined further up."""
        raise NotImplementedError

    def evaluate(self, expression: tree.Expr, env: Environment) -> Any:
        """The value of an expression; defined further up."""
        raise NotImplementedError

    # ------------------------------------------------------------------------------------------------------- the call
    def scan_layer(self, e: tree.Call, values: dict[str, Any], marks: dict[str, Place], env: Environment) -> ScanLayer:
        """The layer that a call of `scan` with these arguments is."""
        if "block" not in values:
            self.fail("NS303", "`scan` needs a block", e.place, helps=("scan(block, over = T)",))
        block, label = self._scanned(values["block"], marks["block"], env)
        over, axis = values.get("over"), values.get("axis")
        if over is not None and not is_size(over):
            self.fail("NS310", f"`over` of `scan` is a size, not {describe(over)}", marks["over"], helps=("scan(block, over = T)",))
        if axis is not None and (not isinstance(axis, int) or isinstance(axis, bool)):
            self.fail("NS310", f"`axis` of `scan` is a whole number, not {describe(axis)}", marks["axis"])
        if over is not None and axis is not None:
            self.fail("NS303", "`over` and `axis` of `scan` both say where the steps are", marks["axis"], helps=("leave one of them out",))
        for name in ("reverse", "states"):
            if not isinstance(values.get(name, False), bool):
                self.fail("NS310", f"`{name}` of `scan` is true or false, not {describe(values[name])}", marks[name])
        reverse, states = values.get("reverse", False), values.get("states", False)
        return ScanLayer(block, axis, over, reverse, states, e.place, label, tuple(marks.items()))

    def _scanned(self, layer: Any, place: Place, env: Environment) -> tuple[BlockLayer, str | None]:
        """The block to be scanned, and the label that it was given."""
        label = None
        while isinstance(layer, (Labelled, DefLayer, Definition)):
            if isinstance(layer, Definition):
                layer = self.call_definition(layer, (), place, env)
                continue
            label = layer.label if isinstance(layer, Labelled) and label is None else label
            layer = layer.layer
        if not isinstance(layer, BlockLayer):
            helps = ("a block names what a step takes and gives: `input x`, `input h`, `output h = …`",)
            self.fail("NS302", f"`scan` steps through a block, and this is {describe(layer)}", place, helps=helps)
        for name, value in layer.arguments:
            if any(isinstance(part, (Tensor, Tensors, SharedLayer)) for part in _inside(value)):
                message = f"`{name}` brings a tensor, or a shared layer, from outside into what is scanned"
                self.fail("NS312", message, place, helps=("make it an input of the block: one without steps is the same at every step",))
        return layer, label

    # ------------------------------------------------------------------------------------------------------ its roles
    def apply_scan(self, layer: ScanLayer, inputs: list[Tensor], slot: Slot) -> Any:
        """Apply a scan: its step becomes the body of one node."""
        states, given = self._roles(layer, inputs)
        initial = len(inputs) > given
        axis = self._axis(layer, inputs[0])
        steps = inputs[0].type.shape[axis]
        sliced = [axis < t.type.rank and t.type.shape[axis] == steps for t in inputs[:given]]
        types = [_without(t.type, axis) if cut else t.type for t, cut in zip(inputs, sliced)]
        types += [t.type for t in inputs[given:]]
        step = Inside(self.builder, types)
        fresh = iter(step.inputs[:given])
        carried: Iterator[Tensor | None] = iter(step.inputs[given:]) if initial else repeat(None)
        waiting = [next(carried if s.name in states else fresh) for s in _declared(layer)]
        step.name_inputs(waiting, [s.name for s in _declared(layer)])
        done = self._run_step(layer, step.builder, waiting, slot, inputs)
        outputs = self._outputs(layer, step, done, states)
        operator = self._scan_operator(layer, step, axis, sliced, outputs, initial)
        return self._scan_node(layer, operator, step, inputs, slot, [name for name, _ in outputs])

    def _roles(self, layer: ScanLayer, inputs: list[Tensor]) -> tuple[list[str], int]:
        """The names of the block's states, and how many tensors it takes beside them."""
        body = layer.block.definition.statement.body  # type: ignore[union-attr]
        declared = [s.name for s in _declared(layer)]
        inner = next((s for s in _statements(body) if isinstance(s, tree.Input) and s not in body), None)
        if inner is not None:
            self.fail(
                "NS312", "what is scanned declares its inputs outside of `if` and `for`", layer.place, also=(Mark(inner.place, "this"),)
            )
        put_out = {_called(s) for s in _statements(body) if isinstance(s, tree.Output)}
        states = [name for name in declared if name in put_out]
        free = len(declared) - len(states)
        if free == 0:
            helps = ("an input that no output is called as is what a step is given",)
            self.fail("NS312", f"`{layer.block.name}` takes nothing but states: there are no steps to go through", layer.place, helps=helps)
        if len(inputs) not in (free, free + len(states)):
            also = f" (and {len(states)} states to start with, or none)" if states else ""
            plural = "s" if free > 1 else ""
            message = f"a scan of `{layer.block.name}` takes {free} tensor{plural}{also}, and {len(inputs)} are given"
            self.fail("NS311", message, layer.place)
        return states, free

    def _axis(self, layer: ScanLayer, first: Tensor) -> int:
        """The axis of the first tensor along which the steps are."""
        shape = first.type.shape
        place = dict(layer.marks).get("over" if layer.over is not None else "axis", layer.place)
        if layer.over is None:
            axis = 1 if layer.axis is None else layer.axis
            if not -len(shape) <= axis < len(shape):
                self.fail("NS406", f"there is no axis {axis} in {first.type}", place)
            return axis % len(shape)
        found = [axis for axis, size in enumerate(shape) if size == layer.over]
        if not found:
            self.fail("NS406", f"no axis of {first.type} is of the size {show(layer.over)}", place)
        if len(found) > 1:
            helps = tuple(f"axis = {axis}" for axis in found)
            self.fail("NS406", f"several axes of {first.type} are of the size {show(layer.over)}", place, helps=helps)
        return found[0]

    # ------------------------------------------------------------------------------------------------------- one step
    def _run_step(self, layer: ScanLayer, inner: Builder, waiting: list[Any], slot: Slot, inputs: list[Tensor]) -> Activation:
        """Run the block in a graph of its own. The labels in it are those of the network around it."""
        block, statement = layer.block, layer.block.definition.statement
        assert isinstance(statement, (tree.Block, tree.Net))
        self.step()
        self.descend(block.definition, "blocks", layer.place)
        kind: Any = "block" if isinstance(statement, tree.Block) else "net"
        facts: dict[str, Any] = {"definition": block.definition.name, "arguments": plain(block.arguments), "doc": statement.doc or ""}
        inner.scopes.append(ScopeDraft(slot.label, slot.path, None, kind, place=layer.place, **facts))
        frame = inner.open_frame(0, None, layer.place)
        env = Environment(block.definition.home.source, block.definition.home, dict(block.arguments))
        outer, around = self.builder, self.activation
        self.trail.append(Mark(layer.place, f"in a step of `{block.name}`, scanned over {', '.join(str(t.type) for t in inputs)}"))
        self.builder, self.activation = inner, Activation(block.definition, frame, env, waiting, is_step=True)
        try:
            self.run_block(block, self.activation)
            return self.activation
        finally:
            self.builder, self.activation = outer, around
            outer.total_parameters = inner.total_parameters
            self.trail.pop()

    def zero_state(self, s: tree.Input, env: Environment) -> Tensor:
        """A state that nothing was given for: zeros of the shape that the block declares."""
        message = f"the state `{s.name}` is to start as zeros, and its shape is not known"
        if s.shape is None:
            helps = (f"declare it: `input {s.name}: [N, 64]`", "or give the states to start with after the other tensors")
            self.fail("NS312", message, s.place, helps=helps)
        for dim in s.shape.dims:
            if isinstance(dim.size, tree.Name) and env.find(dim.size.id) is MISSING:
                helps = (f"bind {dim.size.id} in an input above it", "or give the states to start with after the other tensors")
                self.fail("NS312", message, dim.place, f"{dim.size.id} is not bound here", helps=helps)
        shape = tuple(self.evaluate(dim.size, env) for dim in s.shape.dims)
        if not all(map(is_size, shape)):
            self.fail("NS213", "a size is a whole number", s.shape.place)
        floats = [t.dtype for t in self.builder.types if t.dtype.startswith(("float", "bfloat"))]
        return self.tensor(self.builder.value(TensorType(shape, s.shape.dtype or (floats or ["float32"])[0]), s.name))

    def _outputs(self, layer: ScanLayer, step: Inside, done: Activation, states: list[str]) -> list[tuple[str, Tensor]]:
        """What a step gives, by name: what is stacked, then the new states. The step's ports are set."""
        if done.waiting or len(done.frame.inputs) < len(_declared(layer)) or (done.broken and not done.outputs):
            raise Failed  # an input could not be made, and that has been reported
        alive([value for _, value, _ in done.outputs])
        many = sum(name is None for name, _, _ in done.outputs) > 1
        called = [(name or (f"output{i}" if many else "output"), value) for i, (name, value, _) in enumerate(done.outputs, 1)]
        if len(dict(called)) < len(called):
            self.fail("NS215", f"two outputs of `{layer.block.name}` have one name", layer.place)
        named = {name: value for name, value in called if name in states}
        missing = [name for name in states if name not in named]
        if missing or not done.outputs:
            what = f"gives no new state `{missing[0]}`" if missing else "has no `output`"
            self.fail("NS210", f"`{layer.block.name}` {what}", layer.place)
        stacked = [(name, value) for name, value in called if name not in states]
        before = {name: number for name, number in done.frame.inputs}
        order = [*(n for n in before if n not in states), *states]
        inner = step.builder
        inner.inputs = [(name, before[name], layer.place) for name in order]
        for name in states:
            self._same_type(layer, inner, name, before[name], named[name])
        found = [*stacked, *((name, named[name]) for name in states)]
        inner.outputs = [(name, value.number, layer.place) for name, value in found]
        done.frame.outputs = [(name, value.number) for name, value in called]
        return [(name, Tensor(value.number, inner.types[value.number], inner.step)) for name, value in found]

    def _same_type(self, layer: ScanLayer, inner: Builder, name: str, before: int, after: Tensor) -> None:
        """A state's new value can only take the place of the old one if it is of its type."""
        old, new = inner.types[before], inner.types[after.number]
        message = f"the state `{name}` is {old} before a step of `{layer.block.name}`, and {new} after it"
        conditions = [Condition("==", a, b) for a, b in zip(new.shape, old.shape) if a != b]
        if old.dtype != new.dtype or old.rank != new.rank or any(c.status() is False for c in conditions):
            self.fail("NS415", message, layer.place, helps=(f"`output {name}` has the type of `input {name}`",))
        for condition in conditions:
            inner.require(condition, "NS415", message, "", layer.place)

    # ------------------------------------------------------------------------------------------------------- the node
    def _scan_operator(
        self, layer: ScanLayer, step: Inside, axis: int, sliced: list[bool], outputs: list[tuple[str, Tensor]], initial: bool
    ) -> Operator:
        """The operator that knows of the step what passes ask."""
        from netspec.ops.scan import Scan, Step, plain_name, written

        inner = step.builder
        takes, gives = [n for _, n, _ in inner.inputs], [t for _, t in outputs]
        foreign = _sizes_used(inner) - {plain_name(size) for n in takes for size in inner.types[n].shape}
        if foreign:
            name = show(step.around.get(min(foreign), Dim.name(min(foreign))))
            message = f"`{layer.block.name}` uses the size {name}, which is not to be read off what a step is given"
            self.fail("NS312", message, layer.place, helps=("give it a tensor with an axis of that size",))
        macs = total(n.operator.macs(_types(inner, n.inputs), _types(inner, n.outputs)) for n in inner.nodes)
        facts = Step(
            NAME=layer.block.name, inputs=tuple(written(inner.types[n]) for n in takes), outputs=tuple(written(t.type) for t in gives),
            sliced=tuple(sliced), aligned=aligned(inner, takes, [t.number for t in gives], len(takes) - len(sliced)), macs=macs,
        )  # fmt: skip
        last = layer.states or facts.stacked == 0
        return Scan(step=facts, axis=axis, reverse=layer.reverse, states=last and facts.states > 0, initial=initial)

    def _scan_node(
        self, layer: ScanLayer, operator: Operator, step: Inside, inputs: list[Tensor], slot: Slot, outputs: list[str]
    ) -> Tensor | Tensors:
        """The node in the network around, which asks what its steps ask."""
        try:
            numbers = self.builder.apply(operator, tuple(t.number for t in inputs), slot, self.frame, layer.place)
        except Reject as reject:
            self.fail(reject.code, str(reject), layer.place, helps=(reject.help,) if reject.help else ())
        self.builder.nodes[-1].body = step.builder
        for asked in step.builder.requirements.values():
            self._ask(asked, step.around)
        tensors = tuple(self.tensor(n) for n in numbers)
        return tensors[0] if len(tensors) == 1 else Tensors(tuple(outputs[: len(tensors)]), tensors)

    def _ask(self, asked: RequirementDraft, around: dict[str, Size]) -> None:
        """A condition of a step, in the sizes of the network around it."""
        left, right = (substitute(side, around) for side in (asked.condition.left, asked.condition.right))
        condition = Condition(asked.condition.relation, left, right)
        if condition.status() is not True:
            self.require(condition, asked.code, asked.reason, asked.place, asked.node)


def _without(type_: TensorType, axis: int) -> TensorType:
    return type_.with_shape((*type_.shape[:axis], *type_.shape[axis + 1 :]))


def _declared(layer: ScanLayer) -> list[tree.Input]:
    """The inputs of the block that is scanned, in order."""
    return [s for s in layer.block.definition.statement.body if isinstance(s, tree.Input)]  # type: ignore[union-attr]


def _statements(body: tuple[tree.Stmt, ...]) -> Iterator[tree.Stmt]:
    """All statements, those inside of `if` and `for` too."""
    for statement in body:
        yield statement
        for inner in [b for _, b in statement.branches] if isinstance(statement, tree.If) else []:
            yield from _statements(inner)
        if isinstance(statement, tree.For):
            yield from _statements(statement.body)


def _called(output: tree.Output) -> str | None:
    """The name of an output: the one written, or that of the tensor."""
    return output.name or (output.value.id if isinstance(output.value, tree.Name) else None)


def _inside(value: Any) -> Iterator[Any]:
    """A value of the language, and all that it is made of."""
    yield value
    parts: list[Any] = []
    if isinstance(value, (list, tuple)):
        parts = list(value)
    elif isinstance(value, OperatorLayer):
        parts = [*value.tensors, *(getattr(value.operator, name) for name in type(value.operator).model_fields)]
    elif isinstance(value, Operator):
        parts = [getattr(value, name) for name in type(value).model_fields]
    elif isinstance(value, Chain):
        parts = list(value.parts)
    elif isinstance(value, (Labelled, DefLayer)):
        parts = [value.layer]
    elif isinstance(value, BlockLayer):
        parts = [argument for _, argument in value.arguments]
    elif isinstance(value, ScanLayer):
        parts = [value.block]
    for part in parts:
        yield from _inside(part)


def _sizes_used(inner: Builder) -> set[str]:
    """The names in the types of a step's values, and in the arguments of its operators."""
    used = {name for t in inner.types for size in t.shape for name in names(size)}
    return used | {name for node in inner.nodes for part in _inside(node.operator) if isinstance(part, Dim) for name in names(part)}


def _types(builder: Builder, numbers: tuple[int, ...]) -> tuple[TensorType, ...]:
    return tuple(builder.types[n] for n in numbers)
