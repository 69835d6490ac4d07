"""Names and calls: what a name means, and what a call of an operator, block, def or built-in function gives."""

from __future__ import annotations

from typing import Any, Iterable

from pydantic import ValidationError

from netspec import ops
from netspec.diagnostics.model import Mark
from netspec.diagnostics.nearest import suggestion
from netspec.elaborate import arithmetic
from netspec.elaborate.context import Failed, InitRequest, alive
from netspec.elaborate.environment import MISSING, Environment
from netspec.elaborate.extern import operator_of
from netspec.elaborate.scanning import ARGUMENTS, Scanning
from netspec.elaborate.values import (
    LAYERS,
    POISON,
    BlockLayer,
    Chain,
    Definition,
    DefLayer,
    Native,
    OperatorLayer,
    OperatorRef,
    Tensor,
    Tensors,
    describe,
    parts,
)  # fmt: skip
from netspec.elaborate.wording import all_words, arguments_of, in_words, literals, signature, words_of
from netspec.op import Operator
from netspec.source import Place
from netspec.syntax import tree

#: values of the language whose `repr` says everything about them
_PLAIN = frozenset((int, float, bool, str, type(None)))


class Calls(Scanning):
    """Names, calls and the binding of arguments."""

    def evaluate(self, expression: tree.Expr, env: Environment) -> Any:
        """The value of an expression; defined further up."""
        raise NotImplementedError

    def attempt(self, expression: tree.Expr, env: Environment) -> Any:
        """The value of an expression, or `POISON`; defined further up."""
        raise NotImplementedError

    # ------------------------------------------------------------------------------------------------------ names
    def find(self, name: str, place: Place, env: Environment) -> Any:
        """What a name means: what is bound, else an operator, else a number such as `pi`; `MISSING` where it means nothing."""
        value = env.find(name)
        if value is not MISSING:
            return value
        if ops.known(name):
            return OperatorRef(ops.lookup(name), self._defaults_for(ops.lookup(name), env), place)
        return arithmetic.CONSTANTS.get(name, MISSING)

    def nearest(self, name: str, known: Iterable[str]) -> tuple[str, ...]:
        """A help line with the known name that was probably meant."""
        return suggestion(name, known)

    def unknown_name(self, e: tree.Name, env: Environment) -> Any:
        """Report a name that means nothing here."""
        known = env.visible() | set(ops.names()) | set(ops.ALIASES) | set(arithmetic.FUNCTIONS) | {"chain", "scan"}
        self.fail("NS201", f"nothing is called `{e.id}`", e.place, "unknown name", helps=suggestion(e.id, known))

    def unpack(self, targets: tuple[tree.Name, ...], value: Any, env: Environment, place: Place) -> None:
        """Bind the targets of a `for` or a comprehension."""
        if len(targets) == 1:
            env.names[targets[0].id] = value
            return
        if not isinstance(value, (list, tuple)) or len(value) != len(targets):
            self.fail("NS308", f"{len(targets)} names, and {describe(value)} for them", place)
        for target, item in zip(targets, value):
            env.names[target.id] = item

    def items_of(self, expression: tree.Expr, env: Environment) -> list[Any]:
        """What a loop goes over."""
        value = self.evaluate(expression, env)
        if isinstance(value, Tensors):
            return list(value.items)
        if not isinstance(value, (list, tuple)):
            helps = (f"write `0..{value}`",) if isinstance(value, int) else ()
            self.fail("NS308", f"a loop goes over a range or a list, not {describe(value)}", expression.place, helps=helps)
        return list(value)

    # ------------------------------------------------------------------------------------------------------ calls
    def call(self, e: tree.Call, env: Environment) -> Any:
        """The value of `function(arguments)`."""
        self.step()
        if isinstance(e.function, tree.Name) and env.find(e.function.id) is MISSING:
            name = e.function.id
            of_numbers = bool(e.arguments) and all(a.name is None for a in e.arguments)
            if name == "chain" or (name in arithmetic.FUNCTIONS and (of_numbers or not ops.known(name))):
                return self._builtin(name, e, env)
            if name == "scan":
                return self._scan(e, env)
        callee = self.attempt(e.function, env)
        if callee is POISON:
            self._try_arguments(e.arguments, env)
            raise Failed
        if isinstance(callee, OperatorRef):
            return self.call_operator(callee, e, env)
        if isinstance(callee, Definition):
            return self.call_definition(callee, e.arguments, e.place, env)
        if isinstance(callee, Native):
            return self._call_native(callee, e, env)
        if isinstance(callee, LAYERS):
            self.fail("NS302", "this layer has its arguments already", e.place)
        self.fail("NS302", f"{describe(callee)} cannot be called", e.function.place)

    def _call_native(self, native: Native, e: tree.Call, env: Environment) -> Any:
        values = [self.attempt(a.value, env) for a in e.arguments]
        alive(values)
        try:
            return native.function(*values)
        except (TypeError, ValueError, AttributeError):
            self.fail("NS307", f"`{native.name}` does not take these arguments", e.place)

    def _try_arguments(self, arguments: tuple[tree.Argument, ...], env: Environment) -> None:
        """Evaluate arguments of a callee that is unknown, for the mistakes in them alone (a lone word may be one of its own)."""
        for argument in arguments:
            if not isinstance(argument.value, tree.Name):
                self.attempt(argument.value, env)

    def _builtin(self, name: str, e: tree.Call, env: Environment) -> Any:
        values = [self.attempt(a.value, env) for a in e.arguments]
        alive(values)
        if any(a.name for a in e.arguments):
            self.fail("NS303", f"`{name}` takes no named arguments", e.place)
        if name == "chain":
            return self._chain(values, e)
        if any(isinstance(v, Tensor) for v in values) or any(
            isinstance(v, (list, tuple)) and any(isinstance(t, Tensor) for t in v) for v in values
        ):
            return self._builtin_on_tensors(name, values, e)
        try:
            return arithmetic.function(name, tuple(values))
        except arithmetic.Wrong as wrong:
            self.fail(wrong.code, str(wrong), e.place)

    def _scan(self, e: tree.Call, env: Environment) -> Any:
        values: dict[str, Any] = {}
        marks: dict[str, Place] = {}
        if self._gather("scan", e.arguments, list(ARGUMENTS), frozenset(), env, values, marks):
            raise Failed
        return self.scan_layer(e, values, marks, env)

    def _chain(self, values: list[Any], e: tree.Call) -> Any:
        layers = values[0] if len(values) == 1 and isinstance(values[0], (list, tuple)) else values
        for layer in layers:
            if layer is not None and not isinstance(layer, LAYERS):
                self.fail("NS302", f"`chain` joins layers, and this is {describe(layer)}", e.place)
        return Chain(tuple(p for layer in layers for p in parts(layer)), e.place)

    def _builtin_on_tensors(self, name: str, values: list[Any], e: tree.Call) -> Any:
        if name == "len":
            return (
                len(values[0])
                if isinstance(values[0], (list, tuple))
                else self.fail("NS304", "a tensor has no `len`; write `.shape[i]`", e.place)
            )
        if name in ("reversed", "zip", "enumerate"):
            return arithmetic.function(name, tuple(values))
        elementwise = {"sum": "add", "max": "maximum", "min": "minimum"}.get(name)
        if elementwise is None:
            return self.apply_named(name, values, {}, e.place)
        tensors = self.as_tensors(values, e.place)
        result = tensors[0]
        for tensor in tensors[1:]:
            result = self.apply_named(elementwise, [result, tensor], {}, e.place)
        return result

    # -------------------------------------------------------------------------------------------------- operators
    def instantiate(self, reference: OperatorRef) -> OperatorLayer:
        """An operator with every argument at its default."""
        call = tree.Call(reference.place, tree.Name(reference.place, reference.operator.NAME), ())
        return self.call_operator(reference, call, None)

    def call_operator(self, reference: OperatorRef, e: tree.Call, env: Environment | None) -> OperatorLayer:
        """The layer; remembered by place where only literals are given, for loops and blocks make the same one again."""
        if reference.defaults or not all(isinstance(a.value, tree.Literal) for a in e.arguments):
            return self._make_operator(reference, e, env)
        key = (e.place.source, e.place.start, reference.operator)
        layer = self.layers.get(key)
        if layer is None:
            layer = self.layers[key] = self._make_operator(reference, e, env)
        return layer

    def _make_operator(self, reference: OperatorRef, e: tree.Call, env: Environment | None) -> OperatorLayer:
        operator = reference.operator
        values: dict[str, Any] = {argument.name or "": value for argument, value in reference.defaults}
        marks: dict[str, Place] = {argument.name or "": argument.place for argument, _ in reference.defaults}
        fields, required = arguments_of(operator)
        failed = self._gather(operator.NAME, e.arguments, [*fields, "init"], words_of(operator), env, values, marks)
        missing = [name for name in required if name not in values]
        if missing and not failed:
            needed = " and ".join(f"`{m}`" for m in missing)
            self.fail("NS303", f"`{operator.NAME}` needs {needed}", e.place, helps=(signature(operator),))
        if failed:
            raise Failed
        return self._build(operator, values, marks, e.place, env)

    def _defaults_for(self, operator: type[Operator], env: Environment) -> tuple[tuple[tree.Argument, Any], ...]:
        """What `default` statements say of an operator where its name is written (not where it is applied)."""
        if not env.has_defaults():
            return ()
        return tuple(pair for name in (operator.NAME, *operator.ALIASES) for pair in env.defaults_of(name))

    def _gather(
        self, callee: str, arguments: tuple[tree.Argument, ...], known: list[str], words: frozenset[str], env: Environment | None,
        values: dict[str, Any], marks: dict[str, Place],
    ) -> bool:  # fmt: skip
        """Evaluate the arguments of a call into `values` and their places into `marks`; whether any of them failed."""
        failed = False
        positional = [k for k in known if k != "init"]
        given: set[str] = set()
        for index, argument in enumerate(arguments):
            name = argument.name
            try:
                if name is None:
                    if index >= len(positional):
                        self.fail("NS303", f"`{callee}` takes {len(positional)} arguments at most", argument.place)
                    name = positional[index]
                elif name not in known:
                    self.fail("NS303", f"`{callee}` has no argument `{name}`", argument.place, helps=suggestion(name, known))
                if name in given:
                    self.fail("NS303", f"`{name}` is given twice", argument.place)
                given.add(name)
                marks[name] = argument.value.place
                assert env is not None
                values[name] = self._init_value(argument, env) if name == "init" else self.argument(argument.value, words, env)
            except Failed:
                failed = True
        return failed

    def argument(self, expression: tree.Expr, words: frozenset[str], env: Environment) -> Any:
        """An argument's value; a lone word that nothing is called may be one of the operator's own (`padding = same`)."""
        if isinstance(expression, tree.Name):
            bound = env.find(expression.id)
            if expression.id in words and (bound is MISSING or isinstance(bound, Definition)):
                return expression.id
            if bound is MISSING and not ops.known(expression.id) and expression.id in all_words():
                return expression.id
        return self.evaluate(expression, env)

    def _init_value(self, argument: tree.Argument, env: Environment) -> InitRequest:
        return InitRequest(argument.value, env, "", None, "", argument.value.place)

    def _build(
        self, operator: type[Operator], values: dict[str, Any], marks: dict[str, Place], place: Place, env: Environment | None
    ) -> OperatorLayer:
        init = values.pop("init", None)
        given: dict[str, list[Tensor]] = {}
        for name, value in values.items():
            if name in operator.TENSOR_ARGUMENTS and value is not None and value is not False:
                given[name] = self.as_tensors(value, marks[name])
                if len(given[name]) != 1:
                    self.fail("NS310", f"`{name}` is one tensor, and this is {describe(value)}", marks[name])
                values[name] = True
            elif name in operator.TENSOR_ARGUMENTS and value is None:
                values[name] = False
            else:
                if init is None and isinstance(value, OperatorLayer):
                    init = value.init  # what a layer that is wrapped starts with: `weight_norm(conv(8, 3, init = orthogonal))`
                values[name] = self._field(value, marks.get(name, place))
        try:
            made = self._operator(operator, values)
        except ValidationError as error:
            self._invalid(operator, error, values, marks, place)
        tensors = tuple(t for name in operator.TENSOR_ARGUMENTS for t in given.get(name, ()))
        return OperatorLayer(made, place, tensors, init, tuple(marks.items()))

    def _operator(self, operator: type[Operator], values: dict[str, Any]) -> Operator:
        """The operator with these arguments, the same object for the same ones: later stages go by identity.

        The arguments' text tells them apart, for 1, 1.0 and True are equal, as are 0.0 and -0.0.
        """
        if not all(type(value) in _PLAIN for value in values.values()):
            return operator(**values)
        key = operator, repr(values)
        made = self.operators.get(key)
        if made is None:
            made = self.operators[key] = operator(**values)
        return made

    def _field(self, value: Any, place: Place) -> Any:
        """A value of the language as an operator's field takes it."""
        if isinstance(value, (list, tuple)):
            return tuple(self._field(v, place) for v in value)
        if isinstance(value, OperatorRef):
            return self.instantiate(value).operator
        if isinstance(value, OperatorLayer):
            return value.operator
        if isinstance(value, (Tensor, Tensors)):
            self.fail("NS310", f"a number is needed here, not {describe(value)}", place)
        return value

    def _invalid(
        self, operator: type[Operator], error: ValidationError, values: dict[str, Any], marks: dict[str, Place], place: Place
    ) -> Any:
        seen: set[str] = set()
        for detail in error.errors(include_url=False):
            name = str(detail["loc"][0]) if detail["loc"] else ""
            if name in seen:
                continue
            seen.add(name)
            value = values.get(name, detail.get("input"))
            words = sorted(literals(operator.model_fields[name].annotation)) if name in operator.model_fields else []
            helps = suggestion(value, words) if isinstance(value, str) else ()
            message = f"`{name}` of `{operator.NAME}` cannot be {describe(value)}: {in_words(detail, words)}"
            self.report.error("NS310", message, marks.get(name, place), helps=helps, trail=tuple(self.trail))
        raise Failed

    def default_pairs(self, s: tree.Default, env: Environment) -> tuple[tuple[tree.Argument, Any], ...]:
        """The arguments of a `default` statement, evaluated, with their places."""
        words, known = frozenset[str](), None
        if ops.known(s.operator):
            operator = ops.lookup(s.operator)
            words, known = words_of(operator), [*operator.model_fields, "init"]
        elif env.find(s.operator) is MISSING:
            self.fail("NS201", f"nothing is called `{s.operator}`", s.place, helps=suggestion(s.operator, [*ops.names(), *env.visible()]))
        pairs = []
        for argument in s.arguments:
            if argument.name is None:
                self.fail("NS303", "a default is given by name (`default conv(bias = false)`)", argument.place)
            if known is not None and argument.name not in known:
                self.fail(
                    "NS303", f"`{s.operator}` has no argument `{argument.name}`", argument.place, helps=suggestion(argument.name, known)
                )
            value = self._init_value(argument, env) if argument.name == "init" else self.argument(argument.value, words, env)
            pairs.append((argument, value))
        return tuple(pairs)

    # ------------------------------------------------------------------------------------- blocks, defs, nets, externs
    def call_definition(self, definition: Definition, arguments: tuple[tree.Argument, ...], place: Place, env: Environment | None) -> Any:
        """What a block, net, def or extern is with these arguments."""
        statement = definition.statement
        values = self.bind(definition, arguments, place, env)
        bound = tuple(values.items())
        if isinstance(statement, tree.Extern):
            layer = self._build(operator_of(statement), values, {}, place, env)
            return layer
        if isinstance(statement, tree.Def):
            return self._call_def(definition, statement, bound, place)
        if isinstance(statement, tree.Net) and statement.variant is not None:
            return self.variant_layer(definition, values, place)
        return BlockLayer(definition, bound, place, definition.name)

    def variant_layer(self, definition: Definition, values: dict[str, Any], place: Place) -> Any:
        """The net that a variant (`net a = base(…)`) is; defined further up."""
        raise NotImplementedError

    def bind(self, definition: Definition, arguments: tuple[tree.Argument, ...], place: Place, env: Environment | None) -> dict[str, Any]:
        """The parameters of a definition, by name, from a call's arguments and the defaults."""
        statement = definition.statement
        known = self.parameters(definition)
        values: dict[str, Any] = {}
        marks: dict[str, Place] = {}
        for argument, value in env.defaults_of(statement.name) if env is not None else ():
            values[argument.name or ""] = value
        failed = self._gather(statement.name, arguments, list(known), frozenset(), env, values, marks)
        missing = [p.name for p in known.values() if p.default is None and p.name not in values and p.name not in marks]
        if missing and not failed:
            needed = " and ".join(f"`{m}`" for m in missing)
            also = (Mark(statement.place, "defined here"),)
            self.fail("NS303", f"`{statement.name}` needs {needed}", place, also=also)
        if failed:
            raise Failed
        return self._with_defaults(definition, known, values)

    def _with_defaults(self, definition: Definition, known: dict[str, tree.Parameter], values: dict[str, Any]) -> dict[str, Any]:
        scope = definition.home.child()
        for name, parameter in known.items():
            if name not in values:
                assert parameter.default is not None
                values[name] = self.argument(parameter.default, frozenset(), scope)
            scope.names[name] = values[name]
        return {name: values[name] for name in known}

    def parameters(self, definition: Definition) -> dict[str, tree.Parameter]:
        """A definition's parameters, by name, in order."""
        return {p.name: p for p in definition.statement.parameters}

    def _call_def(self, definition: Definition, statement: tree.Def, bound: tuple[tuple[str, Any], ...], place: Place) -> Any:
        self.descend(definition, "definitions", place)
        env = definition.home.child()
        env.names.update(bound)
        self.trail.append(Mark(place, f"in `{statement.name}`"))
        try:
            value = self.evaluate(statement.value, env)
        finally:
            self.trail.pop()
        if isinstance(value, (Definition, *LAYERS)) and not isinstance(value, OperatorRef):
            return DefLayer(statement.name, value, bound, place)
        return value
