"""What statements do: bind names, loop, decide, declare; and what written shapes ask."""

from __future__ import annotations

from typing import Any, Callable

from netspec.elaborate import arithmetic
from netspec.elaborate.context import Activation, Deferred, Failed, InitRequest
from netspec.elaborate.environment import MISSING, Environment
from netspec.elaborate.expressions import Expressions
from netspec.elaborate.names import bound_names
from netspec.elaborate.shapes import WrittenShapes
from netspec.elaborate.values import LAYERS, POISON, Definition, Family, Labelled, SharedLayer, Tensor, Tensors, describe
from netspec.source import Place
from netspec.syntax import tree

#: names that only the finished network can answer
_LATE = frozenset({"params", "parameters", "macs", "receptive_field"})


class Statements(WrittenShapes, Expressions):
    """Execution of statements inside an activation."""

    def run_body(self, activation: Activation, body: tuple[tree.Stmt, ...]) -> None:
        """Execute statements in the activation's environment; a failed one costs itself and what depends on it."""
        self.run(body, activation.environment)

    def run(self, body: tuple[tree.Stmt, ...], env: Environment) -> None:
        """Execute statements; `default` lasts until the end of these braces."""
        kept = env.defaults
        for statement in body:
            self.step()
            try:
                _EXECUTE[type(statement)](self, statement, env)
            except Failed:
                self._poison(statement, env)
        env.defaults = kept

    def _poison(self, statement: tree.Stmt, env: Environment) -> None:
        """Bind what a failed statement would have bound, so that nothing else complains of it."""
        if isinstance(statement, tree.Bind):
            for target in statement.targets:
                if target.index is None:
                    env.names[target.name] = POISON
                elif not isinstance(env.names.get(target.name), Family):
                    env.names[target.name] = POISON
                else:
                    self._poison_member(env.names[target.name], target, env)
        elif isinstance(statement, (tree.LayerBind, tree.Input)):
            env.names[statement.name] = POISON
        elif isinstance(statement, (tree.For, tree.If)):
            env.names.update(dict.fromkeys(bound_names((statement,)), POISON))
        elif isinstance(statement, tree.Output) and self.activation is not None:
            self.activation.outputs.append((statement.name, POISON, statement.place))

    def _poison_member(self, family: Family, target: tree.Target, env: Environment) -> None:
        assert target.index is not None
        try:
            family.members[self.evaluate(target.index, env)] = POISON
        except Failed:
            env.names[target.name] = POISON

    # --------------------------------------------------------------------------------------------------- bindings
    def _bind(self, s: tree.Bind, env: Environment) -> None:
        value = self.as_operand(self.evaluate(s.value, env), s.value.place)  # `s = param([8])` is one tensor, however often used
        if len(s.targets) == 1:
            if s.shape is not None:
                value = self.check_shape(s.shape, value, env, s.value.place)
            self._assign(s.targets[0], value, env)
            return
        items = value.items if isinstance(value, Tensors) else value
        if not isinstance(items, (list, tuple)) or len(items) != len(s.targets):
            self.fail("NS308", f"{len(s.targets)} names, and {describe(value)} for them", s.place)
        for target, item in zip(s.targets, items):
            self._assign(target, item, env)

    def _assign(self, target: tree.Target, value: Any, env: Environment) -> None:
        index = None if target.index is None else self.evaluate(target.index, env)
        if isinstance(value, Tensor):
            self.builder.hints[value.number] = target.name if index is None else f"{target.name}{index}"
        if index is None:
            env.names[target.name] = value
            return
        family = env.names.get(target.name)
        if family is POISON:
            return
        if not isinstance(family, Family):
            if isinstance(family, (list, tuple)):
                self.fail("NS308", f"`{target.name}` is a list; lists do not change", target.place)
            family = env.names[target.name] = Family(target.name)
        family.members[index] = value

    def _layer(self, s: tree.LayerBind, env: Environment) -> None:
        layer = self.evaluate(s.value, env)
        if not isinstance(layer, LAYERS):
            self.fail("NS302", f"`layer` keeps a layer, not {describe(layer)}", s.value.place)
        if s.index is None:
            env.names[s.name] = self._shared(layer, s.name, s.place)
            return
        index = self.evaluate(s.index, env)
        family = env.names.get(s.name)
        if not isinstance(family, Family):
            family = env.names[s.name] = Family(s.name)
        family.members[index] = self._shared(layer, f"{s.name}.{index}", s.place)

    def _shared(self, layer: Any, name: str, place: Place) -> SharedLayer:
        """The layer, to be stored under its own label, or else under the name that it is given."""
        label = layer.label if isinstance(layer, Labelled) else name
        self.builder.declare(self.frame, label)
        return SharedLayer(label, layer, self.frame, place)

    # ----------------------------------------------------------------------------------------------- control flow
    def _for(self, s: tree.For, env: Environment) -> None:
        for item in self.items_of(s.over, env):
            self.unpack(s.targets, item, env, s.place)
            self.run(s.body, env)

    def _if(self, s: tree.If, env: Environment) -> None:
        for condition, body in s.branches:
            if condition is None or self.truth(condition, env):
                self.run(body, env)
                return

    def _default(self, s: tree.Default, env: Environment) -> None:
        pairs = self.default_pairs(s, env)
        env.defaults = {**env.defaults, s.operator: env.defaults.get(s.operator, ()) + pairs}

    # ------------------------------------------------------------------------------------------ inputs and outputs
    def _input(self, s: tree.Input, env: Environment) -> None:
        activation = self.activation
        assert activation is not None
        activation.inputs += 1
        if activation.is_root:
            value = self.open_input(s, env)
        else:
            value = self._next_input(s, activation, env)
            if s.shape is not None:
                value = self.check_shape(s.shape, value, env, s.place)
        activation.frame.inputs.append((s.name, value.number))
        env.names[s.name] = value

    def _next_input(self, s: tree.Input, activation: Activation, env: Environment) -> Tensor:
        if not activation.waiting:
            name = activation.definition.name
            self.fail("NS311", f"`{name}` takes a tensor `{s.name}` that is not given", self.trail[-1].place if self.trail else s.place)
        given = activation.waiting.pop(0)
        return self.zero_state(s, env) if given is None else given

    def _output(self, s: tree.Output, env: Environment) -> None:
        activation = self.activation
        assert activation is not None
        value = self.evaluate(s.value, env)
        if activation.is_root and s.name is not None and s.name in self.builder.input_names:
            helps = (f"call it something else: `output {s.name}_out = …`",)
            self.fail("NS215", f"the output `{s.name}` has the name of an input", s.place, helps=helps)
        name = s.name or (s.value.id if isinstance(s.value, tree.Name) and (activation.is_root or activation.is_step) else None)
        if isinstance(value, Tensors) and s.name is None:
            activation.outputs.extend((n, t, s.place) for n, t in zip(value.names, value.items))
            return
        (tensor,) = self._one_tensor(value, s)
        if s.shape is not None:
            tensor = self.check_shape(s.shape, tensor, env, s.value.place)
        activation.outputs.append((name, tensor, s.place))
        if s.name is not None:
            self.builder.hints.setdefault(tensor.number, s.name)
            env.names[s.name] = tensor

    def _one_tensor(self, value: Any, s: tree.Output) -> list[Tensor]:
        tensors = self.as_tensors(value, s.value.place)
        if len(tensors) != 1:
            self.fail("NS301", f"an output is one tensor, and this is {len(tensors)}", s.value.place)
        return tensors

    # --------------------------------------------------------------------------------------------------- promises
    def _expect(self, s: tree.Expect, env: Environment) -> None:
        if _mentions(s.condition, _LATE, env):
            if self.activation is None:
                self.fail("NS107", "what a network costs and sees can be asked for in a net or a block, not at the top of a file", s.place)
            frame = Environment(env.source, env.parent, dict(env.names), env.defaults)
            self.deferred.append(Deferred(s, frame, self.path, self.builder.outer is not None))
            return
        self.decide(s.condition, env, "NS501", "expected")

    def _where(self, s: tree.Where, env: Environment) -> None:
        self.decide(s.condition, env, "NS414", "stated by `where`")

    def decide(self, condition: tree.Expr, env: Environment, code: str, reason: str) -> None:
        """Hold a condition: what depends on open sizes becomes a requirement, what is false an error."""
        if isinstance(condition, tree.Binary) and condition.op == "and":
            self.decide(condition.left, env, code, reason)
            self.decide(condition.right, env, code, reason)
            return
        if isinstance(condition, tree.Binary) and condition.op in ("==", "<", "<=", ">", ">="):
            left, right = self.evaluate(condition.left, env), self.evaluate(condition.right, env)
            if arithmetic.is_size(left) and arithmetic.is_size(right):
                self._decide_sizes(condition, left, right, code, reason)
                return
            if not self._compare_values(condition, left, right):
                self._disappointed(condition, code, f"{_show(left)} {condition.op} {_show(right)}")
            return
        if not self.truth(condition, env):
            self._disappointed(condition, code, "")

    def _decide_sizes(self, condition: tree.Binary, left: Any, right: Any, code: str, reason: str) -> None:
        verdict = arithmetic.compare(condition.op, left, right)
        if isinstance(verdict, tuple):
            self.require(verdict[0], code, f"`{condition.place.text}` is {reason}", condition.place)
        elif not verdict:
            self._disappointed(condition, code, f"{_show(left)} {condition.op} {_show(right)}")

    def _compare_values(self, condition: tree.Binary, left: Any, right: Any) -> bool:
        try:
            return self._compare(condition, left, right)
        except arithmetic.Wrong as wrong:
            self.fail(wrong.code, str(wrong), condition.op_place)

    def _disappointed(self, condition: tree.Expr, code: str, fact: str) -> None:
        place: Place = condition.place
        self.fail(code, f"`{place.text}` does not hold", place, notes=(f"it is {fact}",) if fact else ())

    def _init(self, s: tree.Init, env: Environment) -> None:
        for rule in s.rules:
            for argument in rule.arguments:
                request = InitRequest(argument.value, env, rule.selector, argument.name, self.path, rule.place)
                self.rules.append(request)

    def _def(self, s: tree.Def, env: Environment) -> None:
        env.names[s.name] = Definition(s, env)

    def _train(self, s: tree.Train, env: Environment) -> None:
        """A `train` section is read when the network stands. That of a net which another one applies is not meant."""
        if s.net is not None or self.activation is None or self.activation.is_root:
            self.trainings.append((s, env))

    def _weights(self, s: tree.Weights, env: Environment) -> None:
        """A `weights` section, too. The names in it are those of a file for this network, not for one that has it as a part."""
        if self.activation is None or self.activation.is_root:
            self.weight_sections.append((s, env))

    def _unreadable(self, s: tree.Hole, env: Environment) -> None:
        """What could not be read has been reported; what it may have bound is poison."""
        env.names.update(dict.fromkeys(s.names, POISON))
        if self.activation is not None:
            self.activation.broken = True


def _show(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _mentions(expression: Any, names: frozenset[str], env: Environment) -> bool:
    """Whether a tree uses one of `names` unbound."""
    stack: list[Any] = [expression]
    while stack:
        node = stack.pop()
        if isinstance(node, tree.Name) and node.id in names and env.find(node.id) is MISSING:
            return True
        if isinstance(node, tree.Node):
            stack.extend(getattr(node, slot) for slot in node.__dataclass_fields__ if slot != "place")
        elif isinstance(node, tuple) and not hasattr(node, "_fields"):
            stack.extend(node)
    return False


_EXECUTE: dict[type, Callable[[Any, Any, Environment], None]] = {
    tree.Bind: Statements._bind,
    tree.LayerBind: Statements._layer,
    tree.For: Statements._for,
    tree.If: Statements._if,
    tree.Default: Statements._default,
    tree.Input: Statements._input,
    tree.Output: Statements._output,
    tree.Expect: Statements._expect,
    tree.Where: Statements._where,
    tree.Init: Statements._init,
    tree.Def: Statements._def,
    tree.Train: Statements._train,
    tree.Weights: Statements._weights,
    tree.Hole: Statements._unreadable,
}
