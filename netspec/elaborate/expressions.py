"""What an expression is worth.

Every part of an expression is tried even after another has failed, so that independent mistakes are all reported;
a value that depends on a failed one is never made.
"""

from __future__ import annotations

from typing import Any, Callable

from netspec import ops
from netspec.elaborate import arithmetic
from netspec.elaborate.arithmetic import Divides, Wrong
from netspec.elaborate.build import TooLarge
from netspec.elaborate.calls import Calls
from netspec.elaborate.context import Failed, alive
from netspec.elaborate.environment import MISSING, Environment
from netspec.elaborate.values import LAYERS, POISON, Chain, Family, Labelled, OperatorRef, Poison, Tensor, Tensors, describe, parts
from netspec.sizes.dim import Dim
from netspec.sizes.solve import Condition
from netspec.source import Place
from netspec.syntax import tree

#: how an operator sign is called as an operator of the graph
_ELEMENTWISE = {
    "+": "add", "-": "sub", "*": "mul", "/": "div", "^": "pow", "//": "floor_divide", "%": "remainder",
    "==": "equal", "!=": "not_equal", "<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal",
}  # fmt: skip

_TENSOR_FACTS = ("channels", "height", "width", "length", "rank", "shape", "dtype")


class Expressions(Calls):
    """Evaluation of expressions; calls and applications are the business of the classes it builds on."""

    def attempt(self, expression: tree.Expr, env: Environment) -> Any:
        """The value, or `POISON` where it could not be made (and that has been reported)."""
        try:
            return self.evaluate(expression, env)
        except Failed:
            return POISON

    def evaluate(self, expression: tree.Expr, env: Environment) -> Any:
        """The value of an expression. Raises `Failed` after reporting what is wrong with it."""
        return _EVALUATE[type(expression)](self, expression, env)

    # ----------------------------------------------------------------------------------------------------- leaves
    def _literal(self, e: tree.Literal, env: Environment) -> Any:
        return e.value

    def _hole(self, e: tree.ExprHole, env: Environment) -> Any:
        raise Failed

    def _name(self, e: tree.Name, env: Environment) -> Any:
        value = self.find(e.id, e.place, env)
        if value is MISSING and e.id in ("chain", "scan"):
            self.fail("NS303", f"`{e.id}` is called, with what it is made of", e.place, helps=(f"`{e.id}(…)`",))
        if value is MISSING:
            self.unknown_name(e, env)
        if value is POISON:
            raise Failed
        return value

    def _list(self, e: tree.ListExpr, env: Environment) -> Any:
        values = [self.attempt(item, env) for item in e.items]
        alive(values)
        return values

    def _tuple(self, e: tree.TupleExpr, env: Environment) -> Any:
        return tuple(self._list(e, env))  # type: ignore[arg-type]

    def _comprehension(self, e: tree.Comprehension, env: Environment) -> Any:
        inner, found = env.child(), []
        for item in self.items_of(e.over, env):
            self.step()
            self.unpack(e.targets, item, inner, e.place)
            if e.condition is None or self.truth(e.condition, inner):
                found.append(self.evaluate(e.item, inner))
        return found

    def _range(self, e: tree.Range, env: Environment) -> Any:
        start, stop = self.attempt(e.start, env), self.attempt(e.stop, env)
        alive((start, stop))
        for value, part in ((start, e.start), (stop, e.stop)):
            if not isinstance(value, int) or isinstance(value, bool):
                self.fail("NS308", f"a range counts in whole numbers, not {describe(value)}", part.place)
        if abs(stop - start) > self.limits.loop:
            message = f"{abs(stop - start):,} rounds are more than {self.limits.loop:,} (limit `loop`)"
            self.fail("NS006", message, e.place)
        return list(range(start, stop)) if start <= stop else list(range(start - 1, stop - 1, -1))

    # ------------------------------------------------------------------------------------------------- operations
    def _unary(self, e: tree.Unary, env: Environment) -> Any:
        if e.op == "not":
            return not self.truth(e.operand, env)
        value = self.evaluate(e.operand, env)
        if isinstance(value, (Tensor, Tensors)):
            return self.apply_named("neg", [value], {}, e.place)
        if arithmetic.is_number(value) or isinstance(value, Dim):
            return -value
        self.fail("NS304", f"`-` does not apply to {describe(value)}", e.place)

    def _binary(self, e: tree.Binary, env: Environment) -> Any:
        if e.op in ("and", "or"):
            return self._logical(e, env)
        spine: list[tree.Binary] = []
        left: tree.Expr = e
        while isinstance(left, tree.Binary) and left.op not in ("and", "or"):
            spine.append(left)
            left = left.left
        value = self.attempt(left, env)
        for node in reversed(spine):
            right = self.attempt(node.right, env)
            if value is not POISON and right is not POISON:
                try:
                    value = self._operate(node, value, right)
                except Failed:
                    value = POISON
            else:
                value = POISON
        alive((value,))
        return value

    def _operate(self, e: tree.Binary, left: Any, right: Any) -> Any:
        left, right = self.as_operand(left, e.left.place), self.as_operand(right, e.right.place)
        if isinstance(left, Tensor) or isinstance(right, Tensor):
            return self._on_tensors(e, left, right)
        if e.op == "*" and isinstance(right, (*LAYERS, type(None))) and isinstance(left, int):
            return self._repeat(left, right, e.place)
        try:
            if e.op in ("==", "!=", "<", "<=", ">", ">="):
                return self._compare(e, left, right)
            return arithmetic.binary(e.op, left, right, self.limits)
        except Divides as quotient:
            self.require(quotient.condition, "NS404", f"`{e.place.text}` must be a whole number", e.place)
            return quotient.value
        except Wrong as wrong:
            notes = (f"left: {describe(left)}", f"right: {describe(right)}") if wrong.code == "NS304" else ()
            self.fail(wrong.code, str(wrong), e.op_place, notes=notes, helps=(wrong.help,) if wrong.help else ())

    def _compare(self, e: tree.Binary, left: Any, right: Any) -> bool:
        if isinstance(left, LAYERS) or isinstance(right, LAYERS):
            if e.op not in ("==", "!="):
                raise Wrong("NS304", f"`{e.op}` compares numbers")
            same = _same_layer(left, right)
            return same if e.op == "==" else not same
        verdict = arithmetic.compare(e.op, left, right)
        if isinstance(verdict, tuple):
            return self.undecided(verdict[0], verdict[1], e.place)
        return verdict

    def undecided(self, condition: Condition, negated: bool, place: Place) -> bool:
        """A comparison that holds for some open sizes only: a failure here; `expect` and `where` make conditions of it."""
        names = ", ".join(sorted(condition.names()))
        self.fail(
            "NS309", f"this depends on {names}, which is open until the network runs", place,
            helps=("state a restriction with `where`, or pass the number as a parameter of the net",),
        )  # fmt: skip

    def _logical(self, e: tree.Binary, env: Environment) -> bool:
        left = self.truth(e.left, env)
        if left == (e.op == "or"):
            return left
        return self.truth(e.right, env)

    def truth(self, expression: tree.Expr, env: Environment) -> bool:
        """The value as a condition: booleans, and as in Python numbers, lists, strings, `none` and layers."""
        value = self.evaluate(expression, env)
        if isinstance(value, (Tensor, Tensors, Dim)):
            self.fail("NS309", f"a condition is decided while compiling; this is {describe(value)}", expression.place)
        return bool(value)

    def _conditional(self, e: tree.Conditional, env: Environment) -> Any:
        return self.evaluate(e.then if self.truth(e.condition, env) else e.otherwise, env)

    def _repeat(self, count: int, layer: Any, place: Place) -> Any:
        if count < 0:
            self.fail("NS308", f"a layer cannot be repeated {count} times", place)
        once = parts(layer)
        if count * max(len(once), 1) > self.limits.nodes:
            raise TooLarge(f"a chain of more than {self.limits.nodes:,} layers (limit `nodes`)")
        return Chain(once * count, place)

    def _on_tensors(self, e: tree.Binary, left: Any, right: Any) -> Any:
        operator = _ELEMENTWISE.get(e.op)
        if operator is None:
            self.fail(
                "NS304", f"`{e.op}` does not join tensors", e.op_place, notes=(f"left: {describe(left)}", f"right: {describe(right)}")
            )
        if isinstance(left, Tensor) and isinstance(right, Tensor):
            return self.apply_named(operator, [left, right], {}, e.op_place, e.place)
        number, side = (right, "right") if isinstance(left, Tensor) else (left, "left")
        if not (arithmetic.is_number(number) or isinstance(number, Dim)):
            if number is None and e.op in ("==", "!="):  # whether a block was given a tensor at all
                return e.op == "!="
            self.fail("NS304", f"`{e.op}` joins a tensor with a tensor or a number, not with {describe(number)}", e.op_place)
        return self.apply_named(operator, [left if isinstance(left, Tensor) else right], {side: number}, e.op_place, e.place)

    def _concat(self, e: tree.Concat, env: Environment) -> Any:
        values = [self.attempt(item, env) for item in e.items]
        alive(values)
        tensors: list[Any] = []
        for value, item in zip(values, e.items):
            tensors.extend(self.as_tensors(value, item.place))
        return self.apply_named("concat", tensors, {}, e.op_place, e.place)

    # ----------------------------------------------------------------------------------------------------- access
    def _attribute(self, e: tree.Attribute, env: Environment) -> Any:
        value = self.evaluate(e.value, env)
        if isinstance(value, Tensors):
            return self._output_of(value, e)
        value = self.as_operand(value, e.value.place)
        if not isinstance(value, Tensor):
            self.fail("NS204", f"{describe(value)} has no `{e.name}`", e.place)
        if e.name not in _TENSOR_FACTS:
            self.fail("NS204", f"a tensor has no `{e.name}`", e.place, helps=self.nearest(e.name, _TENSOR_FACTS))
        found = getattr(value.type, e.name) if e.name not in ("channels", "height", "width", "length") else self._extent(value, e)
        return list(found) if e.name == "shape" else found

    def _extent(self, value: Tensor, e: tree.Attribute) -> Any:
        least = {"channels": 2, "height": 4, "width": 4, "length": 3}[e.name]
        if value.type.rank < least:
            self.fail("NS204", f"a tensor {value.type} has no {e.name}", e.place, helps=("write `.shape[i]` for its axes",))
        shape = value.type.shape
        return {"channels": shape[1], "height": shape[-2], "width": shape[-1], "length": shape[-1]}[e.name]

    def _output_of(self, value: Tensors, e: tree.Attribute) -> Any:
        if e.name not in value.names:
            known = [n for n in value.names if n]
            self.fail("NS204", f"there is no output `{e.name}` here", e.place, helps=self.nearest(e.name, known))
        found = value.items[value.names.index(e.name)]
        alive((found,))
        return found

    def _index(self, e: tree.Index, env: Environment) -> Any:
        value = self.attempt(e.value, env)
        if isinstance(e.index, tree.Range):
            return self._run(e, value, env)
        index = self.attempt(e.index, env)
        alive((value, index))
        if isinstance(value, Family):
            if index not in value.members:
                known = ", ".join(str(k) for k in value.members) or "none yet"
                self.fail("NS205", f"`{value.name}[{index}]` has not been given", e.place, notes=(f"given: {known}",))
            alive((value.members[index],))
            return value.members[index]
        items = value.items if isinstance(value, Tensors) else value
        if not isinstance(items, (list, tuple)):
            self.fail(
                "NS205",
                f"{describe(value)} has no items",
                e.place,
                helps=("`-> slice(…)` or `-> select(…)` cuts tensors",) if isinstance(value, Tensor) else (),
            )
        if not isinstance(index, int) or isinstance(index, bool) or not -len(items) <= index < len(items):
            self.fail("NS205", f"there is no item {index} in {describe(value)}", e.place)
        alive((items[index],))
        return items[index]

    def _run(self, e: tree.Index, value: Any, env: Environment) -> Any:
        indices = self.evaluate(e.index, env)
        alive((value,))
        if isinstance(value, Tensors):
            value = list(value.items)
        lookup = value.members if isinstance(value, Family) else dict(enumerate(value)) if isinstance(value, (list, tuple)) else None
        if lookup is None:
            self.fail("NS205", f"{describe(value)} has no items", e.place)
        for index in indices:
            if index not in lookup:
                self.fail("NS205", f"there is no item {index} here", e.place)
        alive([lookup[i] for i in indices])
        return [lookup[i] for i in indices]

    # ----------------------------------------------------------------------------------------------------- layers
    def layer_behind(self, e: tree.Expr, env: Environment) -> Any:
        """What stands behind `->`, or `POISON`: there `max(2)` is the operator, and not the function of numbers."""
        try:
            if isinstance(e, tree.Label):
                return self._labelled(e, self.layer_behind(e.value, env), env)
            if isinstance(e, tree.Call) and isinstance(e.function, tree.Name) and env.find(e.function.id) is MISSING:
                if e.function.id in arithmetic.FUNCTIONS and ops.known(e.function.id):
                    return self.call_operator(self.find(e.function.id, e.place, env), e, env)
            return self.evaluate(e, env)
        except Failed:
            return POISON

    def _label(self, e: tree.Label, env: Environment) -> Any:
        return self._labelled(e, self.attempt(e.value, env), env)

    def _labelled(self, e: tree.Label, value: Any, env: Environment) -> Any:
        label = self._label_text(e, env)
        alive((value,))
        if value is None:
            return None
        if isinstance(value, (Tensor, Tensors)):
            self.fail("NS206", "`as` labels a layer, and this is a tensor already", e.place, helps=("write `x -> layer as name`",))
        if not isinstance(value, LAYERS):
            self.fail("NS206", f"`as` labels a layer, not {describe(value)}", e.place)
        return Labelled(value, label, e.place)

    def _label_text(self, e: tree.Label, env: Environment) -> str:
        if e.name is not None:
            if e.index is None:
                return e.name
            return f"{e.name}.{self.evaluate(e.index, env)}"
        text = "".join(p if isinstance(p, str) else str(self.evaluate(p, env)) for p in e.pieces)
        if not all(part and all(c.isalnum() or c in "_-" for c in part) and part.isascii() for part in text.split(".")):
            self.fail("NS207", f'"{text}" cannot be a label: letters, digits, `_` and `-`, joined by dots', e.place)
        return text

    def _arrow(self, e: tree.Arrow, env: Environment) -> Any:
        items: list[tree.Expr] = []
        left: tree.Expr = e
        while isinstance(left, tree.Arrow):
            items.append(left.right)
            left = left.left
        value = self.as_operand(self.attempt(left, env), left.place)
        if isinstance(value, (Tensor, Tensors, Poison)) or _holds_tensors(value):
            return self._pipe(value, left.place, list(reversed(items)), env)
        layers = [value] + [self.layer_behind(item, env) for item in reversed(items)]
        alive(layers)
        for layer, item in zip(layers, [left, *reversed(items)]):
            if layer is not None and not isinstance(layer, LAYERS):
                self.fail("NS302", f"`->` joins layers, and this is {describe(layer)}", item.place)
        return Chain(tuple(p for layer in layers for p in parts(layer)), e.place)

    def _pipe(self, value: Any, place: Place, items: list[tree.Expr], env: Environment) -> Any:
        for item in items:
            layer = self.layer_behind(item, env)
            if value is POISON or layer is POISON:
                value = POISON
                continue
            try:
                value = self.apply(layer, self.as_tensors(value, place), None, item.place)
            except Failed:
                value = POISON
        alive((value,))
        return value


def _holds_tensors(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and any(isinstance(v, (Tensor, Tensors)) for v in value)


def _same_layer(left: Any, right: Any) -> bool:
    if isinstance(left, OperatorRef) and isinstance(right, OperatorRef):
        return left.operator is right.operator
    return left == right if type(left) is type(right) else False


_EVALUATE: dict[type, Callable[[Any, Any, Environment], Any]] = {
    tree.Literal: Expressions._literal,
    tree.Name: Expressions._name,
    tree.ListExpr: Expressions._list,
    tree.TupleExpr: Expressions._tuple,
    tree.Comprehension: Expressions._comprehension,
    tree.Range: Expressions._range,
    tree.Unary: Expressions._unary,
    tree.Binary: Expressions._binary,
    tree.Concat: Expressions._concat,
    tree.Conditional: Expressions._conditional,
    tree.Call: Expressions.call,
    tree.Attribute: Expressions._attribute,
    tree.Index: Expressions._index,
    tree.Arrow: Expressions._arrow,
    tree.Label: Expressions._label,
    tree.ExprHole: Expressions._hole,
}
