"""Applying layers to tensors: labels are taken, scopes opened, nodes added, block bodies run."""

from __future__ import annotations

from typing import Any

from netspec.diagnostics.model import Mark
from netspec.elaborate.build import DuplicateLabel, Slot
from netspec.elaborate.context import Activation, Context, Failed, alive
from netspec.elaborate.environment import Environment
from netspec.elaborate.values import (
    LAYERS,
    POISON,
    BlockLayer,
    Chain,
    Definition,
    DefLayer,
    Labelled,
    OperatorLayer,
    OperatorRef,
    ScanLayer,
    SharedLayer,
    Tensor,
    Tensors,
    describe,
)  # fmt: skip
from netspec.elaborate.violations import Violation
from netspec.op import Reject
from netspec.ops import lookup
from netspec.sizes.dim import Dim, show
from netspec.sizes.solve import Condition
from netspec.source import Place
from netspec.syntax import tree


class Application(Context):
    """Application of layers. What it needs of the rest of the expansion is declared here and defined further up."""

    def instantiate(self, reference: OperatorRef) -> OperatorLayer:
        """An operator with its arguments at their defaults."""
        raise NotImplementedError

    def call_definition(self, definition: Definition, arguments: tuple[tree.Argument, ...], place: Place, env: Environment | None) -> Any:
        """What a block, net, def or extern is with these arguments."""
        raise NotImplementedError

    def apply_scan(self, layer: ScanLayer, inputs: list[Tensor], slot: Slot) -> Any:
        """Apply a block step by step."""
        raise NotImplementedError

    def run_body(self, activation: Activation, body: tuple[tree.Stmt, ...]) -> None:
        """Execute statements inside an activation."""
        raise NotImplementedError

    # ------------------------------------------------------------------------------------------------- coercions
    def as_tensors(self, value: Any, place: Place) -> list[Tensor]:
        """A value as the inputs of a layer: one tensor, several outputs, or a list of tensors."""
        if isinstance(value, Tensor):
            return [value]
        if isinstance(value, Tensors):
            alive(value.items)
            return list(value.items)  # type: ignore[arg-type]
        if isinstance(value, (list, tuple)):
            return [t for v in value for t in self.as_tensors(v, place)]
        operand = self.as_operand(value, place)
        if isinstance(operand, Tensor):
            return [operand]
        self.fail("NS301", f"a tensor is needed here, and this is {describe(value)}", place)

    def as_operand(self, value: Any, place: Place) -> Any:
        """A layer without inputs (`param([64])`) as the tensor that it makes; everything else as it is."""
        core = value
        while isinstance(core, (Labelled, DefLayer)):
            core = core.layer
        if isinstance(core, (OperatorRef, OperatorLayer)) and core.operator.ARITY == 0:
            return self.apply(value, [], None, place)
        return value

    # ----------------------------------------------------------------------------------------------- application
    def apply(self, layer: Any, inputs: list[Tensor], label: str | None, place: Place) -> Any:
        """Apply a layer; a `Tensor`, or `Tensors` for several outputs. `label` is what the place around it says."""
        if self.activation is None:
            self.fail(
                "NS107",
                "layers are applied inside a net or a block",
                place,
                helps=("at the top of a file stand numbers, lists and layers",),
            )
        if layer is None:
            return self._whole(inputs)
        if isinstance(layer, Labelled):
            return self.apply(layer.layer, inputs, label or layer.label, layer.place)
        if isinstance(layer, OperatorRef):
            layer = self.instantiate(layer)
        if isinstance(layer, Definition):
            layer = self.call_definition(layer, (), place, self.activation.environment if self.activation else None)
        if isinstance(layer, OperatorLayer):
            return self._apply_operator(layer, inputs, self._take(label, layer.operator.LABEL or layer.operator.NAME, layer.place))
        if isinstance(layer, DefLayer):
            return self._apply_def(layer, inputs, label, place)
        if isinstance(layer, BlockLayer):
            return self._apply_block(layer, inputs, self._take(label, layer.name, layer.place))
        if isinstance(layer, Chain):
            return self._apply_chain(layer, inputs, label)
        if isinstance(layer, SharedLayer):
            return self._apply_shared(layer, inputs, place)
        if isinstance(layer, ScanLayer):
            return self.apply_scan(layer, inputs, self._take(label or layer.label, "scan", layer.place))
        if isinstance(layer, LAYERS):
            return self.apply(layer, inputs, label, place)
        self.fail("NS302", f"`->` applies a layer, and this is {describe(layer)}", place)

    def apply_named(self, name: str, inputs: list[Any], arguments: dict[str, Any], place: Place, whole: Place | None = None) -> Tensor:
        """Apply the operator that a sign of the language stands for (`+` is `add`)."""
        operator = lookup(name)(**arguments)
        layer = OperatorLayer(operator, place, marks=())
        flat = [t for value in inputs for t in self.as_tensors(value, whole or place)]
        return self.apply(layer, flat, None, place)

    def _whole(self, inputs: list[Tensor]) -> Any:
        return inputs[0] if len(inputs) == 1 else Tensors((None,) * len(inputs), tuple(inputs))

    def _take(self, label: str | None, stem: str, place: Place) -> Slot:
        try:
            return self.builder.take(self.frame, label, stem, place)
        except DuplicateLabel as twice:
            self._duplicate(twice, place)

    def _duplicate(self, twice: DuplicateLabel, place: Place) -> Any:
        also = (Mark(twice.first, "the first is here"),) if twice.first else ()
        self.fail(
            "NS208", f"two layers are labelled `{twice.path}`", place, "and the second here", also=also,
            helps=("label one of them with `as`; in a loop, `as name[i]`",),
        )  # fmt: skip

    def _apply_operator(self, layer: OperatorLayer, inputs: list[Tensor], slot: Slot) -> Any:
        operator = layer.operator
        given = [*inputs, *layer.tensors]
        self._check_arity(layer, inputs)
        if any(t.step != self.builder.step for t in given):
            message = f"`{operator.NAME}` would take a tensor from outside into what is scanned"
            self.fail("NS312", message, layer.place, helps=("make it an input of the block: one without steps is the same at every step",))
        try:
            numbers = self.builder.apply(operator, tuple(t.number for t in given), slot, self.frame, layer.place)
        except Reject as reject:
            self._rejected(layer, inputs, reject)
        self._note_violations(layer, inputs)
        if layer.init is not None and slot.path not in self.layer_inits:
            self.layer_inits[slot.path] = layer.init
        tensors = tuple(self.tensor(n) for n in numbers)
        return tensors[0] if len(tensors) == 1 else Tensors(operator.OUTPUTS or (None,) * len(tensors), tensors)

    def _check_arity(self, layer: OperatorLayer, inputs: list[Tensor]) -> None:
        arity = layer.operator.ARITY
        least, most = arity if isinstance(arity, tuple) else (arity, arity)
        if len(inputs) < least or (most is not None and len(inputs) > most):
            wanted = f"{least}" if least == most else f"at least {least}" if most is None else f"{least} to {most}"
            plural = "" if wanted == "1" else "s"
            self.fail("NS311", f"`{layer.operator.NAME}` takes {wanted} tensor{plural}, and {len(inputs)} are given", layer.place)

    def _rejected(self, layer: OperatorLayer, inputs: list[Tensor], reject: Reject) -> Any:
        self._note_violations(layer, inputs)
        place = dict(layer.marks).get(reject.argument or "", layer.place)
        place, also, notes = self._shown(place, inputs)
        self.fail(reject.code, str(reject), place, also=also, notes=notes, helps=(reject.help,) if reject.help else ())

    def _shown(self, place: Place, inputs: list[Tensor]) -> tuple[Place, tuple[Mark, ...], tuple[str, ...]]:
        """Where to show what is wrong with a layer, what else to mark there, and what its inputs are."""
        many = len(inputs) > 1
        notes = tuple(f"input {i + 1}: {t.type}" if many else f"input: {t.type}" for i, t in enumerate(inputs[:6]))
        return (place, (), notes) if self.again is None else (self.again, (Mark(place, "the layer that is shared"),), notes)

    def _note_violations(self, layer: OperatorLayer, inputs: list[Tensor]) -> None:
        """Keep what the typical sizes have just broken, to be reported with all that the network asks for."""
        if self.builder.broken:
            place, also, notes = self._shown(layer.place, inputs)
            self.violations += [Violation(broken, place, also, notes, tuple(self.trail)) for broken in self.builder.broken]
            self.builder.broken.clear()

    def _apply_def(self, layer: DefLayer, inputs: list[Tensor], label: str | None, place: Place) -> Any:
        inner = layer.layer
        if isinstance(inner, Labelled):
            return self.apply(inner, inputs, label, place)
        if not isinstance(inner, Chain):
            written = label or self._take_name(layer)
            return self.apply(inner, inputs, written, layer.place)
        facts = {"definition": layer.name, "arguments": plain(layer.arguments)}
        return self._apply_parts(inner, inputs, self._take(label, layer.name, layer.place), "def", facts)

    def _take_name(self, layer: DefLayer) -> str:
        """The label that a def's single layer gets when nothing labels it: the def's name and a number."""
        frame = self.frame
        frame.counters[layer.name] = frame.counters.get(layer.name, 0) + 1
        return f"{layer.name}{frame.counters[layer.name]}"

    def _apply_chain(self, chain: Chain, inputs: list[Tensor], label: str | None) -> Any:
        if label is not None:
            return self._apply_parts(chain, inputs, self._take(label, "chain", chain.place), "chain", {})
        value: Any = self._whole(inputs)
        for part in chain.parts:
            value = self.apply(part, self.as_tensors(value, chain.place), None, chain.place)
        return value

    def _apply_parts(self, chain: Chain, inputs: list[Tensor], slot: Slot, kind: Any, facts: dict[str, Any]) -> Any:
        outer = self.activation
        assert outer is not None
        scope = self.builder.open_scope(slot, kind, chain.place, **facts)
        frame = self.builder.open_frame(scope, outer.frame, chain.place, slot.replay)
        frame.inputs = _ports("input", inputs)
        self.activation = Activation(outer.definition, frame, outer.environment)
        try:
            value: Any = self._whole(inputs)
            for index, part in enumerate(chain.parts):
                label = part.label if isinstance(part, Labelled) else str(index)
                value = self.apply(part, self.as_tensors(value, chain.place), label, chain.place)
        finally:
            self.activation = outer
        frame.outputs = _ports("output", self.as_tensors(value, chain.place))
        return value

    def _apply_shared(self, shared: SharedLayer, inputs: list[Tensor], place: Place) -> Any:
        if self.frame.scope != shared.frame.scope or self.builder.frames[shared.frame.number : shared.frame.number + 1] != [shared.frame]:
            message = f"the shared layer `{shared.label}` can be applied only in the block that made it"
            self.fail("NS209", message, place, helps=("pass the tensors that it makes instead of the layer",))
        shared.applications += 1
        frame = self.frame
        was, frame.replay = frame.replay, frame.replay or shared.applications > 1
        before, self.again = self.again, place if shared.applications > 1 else self.again
        if shared.applications > 1:
            frame.labels.pop(shared.label, None)
        try:
            return self.apply(shared.layer, inputs, shared.label, place)
        finally:
            frame.replay, self.again = was, before

    # ---------------------------------------------------------------------------------------------------- blocks
    def _apply_block(self, layer: BlockLayer, inputs: list[Tensor], slot: Slot) -> Any:
        definition, statement = layer.definition, layer.definition.statement
        self.step()
        self.descend(definition, "blocks", layer.place)
        outer = self.activation
        assert outer is not None
        assert isinstance(statement, (tree.Block, tree.Net))
        facts = {"definition": definition.name, "arguments": plain(layer.arguments), "doc": statement.doc or ""}
        scope = self.builder.open_scope(slot, "block" if isinstance(statement, tree.Block) else "net", layer.place, **facts)
        frame = self.builder.open_frame(scope, outer.frame, layer.place, slot.replay)
        env = Environment(definition.home.source, definition.home, dict(layer.arguments))
        self.trail.append(Mark(layer.place, f"in `{definition.name}`, applied to {', '.join(str(t.type) for t in inputs)}"))
        self.activation = Activation(definition, frame, env, list(inputs))
        try:
            self.run_block(layer, self.activation)
            return self._finish_block(self.activation, layer, len(inputs))
        finally:
            self.activation = outer
            self.trail.pop()

    def run_block(self, layer: BlockLayer, activation: Activation) -> None:
        """Run a block's body, then what variants of it add."""
        statement = layer.definition.statement
        assert isinstance(statement, (tree.Block, tree.Net))
        self.run_body(activation, statement.body)
        for body, written_in in layer.after:
            scope = Environment(written_in.source, activation.environment, dict(written_in.names))
            self.run_body(Activation(activation.definition, activation.frame, scope), body)

    def _finish_block(self, done: Activation, layer: BlockLayer, given: int) -> Any:
        if done.broken and (done.waiting or not done.outputs):
            raise Failed
        if done.waiting:
            name = layer.name
            self.fail("NS311", f"`{name}` takes {done.inputs} tensors, and {given} are given", layer.place)
        if not done.outputs:
            self.fail("NS210", f"`{done.definition.name}` has no `output`", done.definition.statement.place)
        names = tuple(name for name, _, _ in done.outputs)
        items = tuple(value for _, value, _ in done.outputs)
        alive(items if len(items) == 1 else ())
        for index, (name, item) in enumerate(zip(names, items)):
            if item is not POISON:
                done.frame.outputs.append((name or (f"output{index + 1}" if len(items) > 1 else "output"), item.number))
        return items[0] if len(items) == 1 else Tensors(names, items)

    # ------------------------------------------------------------------------------------------------ conditions
    def require(self, condition: Condition, code: str, reason: str, place: Place, node: str = "") -> None:
        """Keep a condition on the open sizes; an error, once everything is known, where the typical sizes break it."""
        self.builder.require(condition, code, reason, node, place)
        self.violations += [Violation(broken, place, trail=tuple(self.trail)) for broken in self.builder.broken]
        self.builder.broken.clear()


def _ports(stem: str, tensors: list[Tensor]) -> list[tuple[str, int]]:
    if len(tensors) == 1:
        return [(stem, tensors[0].number)]
    return [(f"{stem}{i + 1}", t.number) for i, t in enumerate(tensors)]


def plain(arguments: tuple[tuple[str, Any], ...]) -> tuple[tuple[str, Any], ...]:
    """Arguments as the graph keeps them: numbers, strings, lists; layers by their names, sizes in words."""
    return tuple((name, _plain(value)) for name, value in arguments)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Dim):
        return show(value)
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, OperatorRef):
        return value.operator.NAME
    if isinstance(value, OperatorLayer):
        return value.operator.NAME
    if isinstance(value, (Definition, DefLayer, BlockLayer)):
        return value.name if not isinstance(value, BlockLayer) else value.definition.name
    return describe(value)
