"""Which initializer each stored tensor gets: torch's default, what `init { … }` says, or what the layer itself says."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any, TypeGuard

from netspec import graph as g
from netspec import ops
from netspec.diagnostics.model import Severity
from netspec.elaborate.context import Failed, InitRequest
from netspec.elaborate.environment import MISSING, Environment
from netspec.elaborate.statements import Statements
from netspec.elaborate.values import OperatorRef, describe
from netspec.initializers import INITIALIZERS, make, resolve
from netspec.op import Initializer, Operator, Reject
from netspec.syntax import tree


class Initialization(Statements):
    """Resolution of initializers, once the network stands."""

    def initialize(self) -> None:
        """Give every stored tensor the initializer that the most particular, latest statement asks for."""
        rules = sorted(self.rules, key=lambda r: r.path.count(".") + bool(r.path))
        if not rules and not self.layer_inits:
            return
        for node in self.builder.all_nodes():
            for name in node.weights:
                tensor = self.builder.weights[name]
                operators = _names_of(node.operator)
                request = self._request(tensor, node.label, operators, rules)
                if request is not None:
                    self._set(name, tensor, operators, request)
        for rule in rules:
            if not rule.matched:
                message = f"`{rule.selector}` selects no layer with such a parameter"
                self.report.error("NS610", message, rule.place, severity=Severity.WARNING)

    def _request(self, tensor: g.Tensor, label: str, operators: tuple[str, ...], rules: list[InitRequest]) -> InitRequest | None:
        main = tensor.trainable and tensor.role in ("weight", "scale") and tensor.init.name != "norm_of"
        # so that `bias` is also what a layer has several of, under longer names: `bias_ih_l0` of an LSTM, `out_proj.bias`
        kind = tensor.role if tensor.role == "bias" or (main and tensor.role == "weight") else None
        found = None
        for rule in rules:
            named = rule.parameter == tensor.local or rule.parameter == kind
            if (main if rule.parameter is None else named) and self._selects(rule, label, operators):
                rule.matched, found = True, rule
        own = self.layer_inits.get(label)
        return own if own is not None and main else found

    def _selects(self, rule: InitRequest, label: str, operators: tuple[str, ...]) -> bool:
        if rule.path:
            if not label.startswith(rule.path + "."):
                return False
            label = label[len(rule.path) + 1 :]
        if ops.ALIASES.get(rule.selector, rule.selector) in operators:
            return True
        return fnmatchcase(label, rule.selector)

    def _set(self, name: str, tensor: g.Tensor, operators: tuple[str, ...], request: InitRequest) -> None:
        scope = request.environment.child()
        scope.names.update({"n": tensor.fan_in, "fan_in": tensor.fan_in, "fan_out": tensor.fan_out})
        try:
            init = self._initializer(request.expression, scope)
            self._suits(init, tensor, operators, request)
        except Failed:
            return
        self.builder.weights[name] = tensor.model_copy(update={"init": init})

    def _suits(self, init: Initializer, tensor: g.Tensor, operators: tuple[str, ...], request: InitRequest) -> None:
        layers = INITIALIZERS[init.name].layers
        if layers and not set(layers) & set(operators):
            message = f"`{tensor.name}`: {init.name} is for the weight of {' or '.join(layers)}, not of {operators[-1]}"
            self.fail("NS332", message, request.expression.place)
        try:
            resolve(init, tensor.shape, tensor.fan_in, tensor.fan_out)
        except Reject as reject:
            helps = (reject.help,) if reject.help else ()
            self.fail(reject.code, f"`{tensor.name}`: {reject}", request.expression.place, helps=helps)

    def _initializer(self, expression: tree.Expr, env: Environment) -> Initializer:
        try:
            if isinstance(expression, tree.Name) and expression.id in INITIALIZERS:
                return make(expression.id, (), {})
            if _calls_initializer(expression):
                return self._called(expression, env)
            return self._from_value(expression, env)
        except Reject as reject:
            self.fail(reject.code, str(reject), expression.place, helps=(reject.help,) if reject.help else ())

    def _called(self, call: tree.Call, env: Environment) -> Initializer:
        positional = [self._init_argument(a.value, env) for a in call.arguments if a.name is None]
        keywords = {a.name: self._init_argument(a.value, env) for a in call.arguments if a.name is not None}
        return make(call.function.id, tuple(positional), keywords)  # type: ignore[attr-defined]

    def _init_argument(self, expression: tree.Expr, env: Environment) -> Any:
        if isinstance(expression, tree.Name):
            if expression.id in ("fan_in", "fan_out"):
                return expression.id
            if env.find(expression.id) is MISSING:
                return expression.id
        if _calls_initializer(expression):
            return self._called(expression, env)
        value = self.evaluate(expression, env)
        return value.operator.NAME if isinstance(value, OperatorRef) else value

    def _from_value(self, expression: tree.Expr, env: Environment) -> Initializer:
        if isinstance(expression, (tree.Name, tree.Call)):
            word = expression.id if isinstance(expression, tree.Name) else getattr(expression.function, "id", "")
            if word and env.find(word) is MISSING:
                helps = self.nearest(word, INITIALIZERS)
                self.fail("NS601", f"there is no initializer `{word}`", expression.place, helps=helps)
        value = self.evaluate(expression, env)
        if isinstance(value, str):
            return make(value, (), {})
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return make("constant", (float(value),), {})
        self.fail("NS601", f"an initializer is needed here, not {describe(value)}", expression.place)


def _calls_initializer(expression: tree.Expr) -> TypeGuard[tree.Call]:
    return isinstance(expression, tree.Call) and isinstance(expression.function, tree.Name) and expression.function.id in INITIALIZERS


def _names_of(operator: Operator) -> tuple[str, ...]:
    """What selectors may call an operator: its name, and that of the layer inside it (`weight_norm(conv(8, 3))`)."""
    inner = getattr(operator, "layer", None)
    return (operator.NAME, inner.NAME) if isinstance(inner, Operator) else (operator.NAME,)
