"""Losses and metrics of `train` sections: a sum of measures with factors, and the tensors that each is of."""

from __future__ import annotations

from typing import Any

from netspec import recipe
from netspec.diagnostics.nearest import suggestion
from netspec.elaborate.arithmetic import is_number
from netspec.elaborate.build import origin
from netspec.elaborate.context import Failed
from netspec.elaborate.environment import MISSING, Environment
from netspec.elaborate.recipe_words import RecipeWords, root_of, spelled
from netspec.elaborate.values import Definition, Tensor, describe
from netspec.graph import Graph
from netspec.op import Reject
from netspec.recipe.entry import Measure
from netspec.recipe.section import Reference, Term
from netspec.selection import GROUPS, selected
from netspec.sizes.tensor import TensorType
from netspec.source import Place
from netspec.syntax import tree


class LossTerms(RecipeWords):
    """Reading of `loss = …` and `metrics = […]`."""

    graph: Graph

    def loss_terms(self, e: tree.Expr, env: Environment, factor: float = 1.0) -> list[Term]:
        """The summands of a loss: sums, differences and multiples of calls. Raises `Failed` after reporting anything else."""
        if isinstance(e, tree.Conditional):
            return self.loss_terms(e.then if self.truth(e.condition, env) else e.otherwise, env, factor)
        if isinstance(e, tree.Unary) and e.op == "-":
            return self.loss_terms(e.operand, env, -factor)
        if isinstance(e, tree.Binary) and e.op in ("+", "-"):
            found = []
            for side, sign in ((e.left, 1), (e.right, -1 if e.op == "-" else 1)):
                try:
                    found += self.loss_terms(side, env, sign * factor)
                except Failed:
                    found.append(None)
            if None in found:
                raise Failed
            return [term for term in found if term is not None]
        if isinstance(e, tree.Binary) and e.op in ("*", "/"):
            return self._multiple(e, env, factor)
        if not isinstance(e, tree.Call) or not isinstance(e.function, tree.Name):
            helps = ("write `cross_entropy(logits, label)`, and sums of such with numbers before them",)
            self.fail("NS352", "a loss is a sum of calls of losses", e.place, helps=helps)
        return self._called_loss(e, env, factor)

    def _multiple(self, e: tree.Binary, env: Environment, factor: float) -> list[Term]:
        number, other = (e.right, e.left) if e.op == "/" or _has_measure(e.left, env) else (e.left, e.right)
        if _has_measure(number, env):
            self.fail("NS352", "losses are added, and multiplied by numbers alone", e.op_place)
        value = self.evaluate(number, env)
        if not is_number(value) or abs(value) == float("inf") or (e.op == "/" and value == 0):
            self.fail("NS353", f"the factor of a loss is a number, not {describe(value)}", number.place)
        return self.loss_terms(other, env, factor / value if e.op == "/" else factor * value)

    def _called_loss(self, e: tree.Call, env: Environment, factor: float) -> list[Term]:
        name = e.function.id  # type: ignore[attr-defined]
        bound = env.find(name)
        if isinstance(bound, Definition) and isinstance(bound.statement, tree.Def) and not recipe.is_known("loss", name):
            return self._defined(bound, e, env, factor)
        slot = "penalty" if _of_weights(e) and recipe.is_known("penalty", name) else "loss"
        if not recipe.is_known(slot, name):
            known = (*recipe.known()["loss"], *recipe.known()["penalty"])
            self.fail(
                "NS352", f"there is no loss `{name}`", e.function.place, helps=suggestion(name, known) or (f"known are {', '.join(known)}",)
            )
        return [self._measure(slot, name, e, env, factor)]

    def _defined(self, definition: Definition, e: tree.Call, env: Environment, factor: float) -> list[Term]:
        """A `def` that is a sum of losses, with its parameters bound to what the call gives them."""
        statement = definition.statement
        assert isinstance(statement, tree.Def)
        self.descend(definition, "losses", e.place)
        scope = definition.home.child()
        for parameter, argument in zip(statement.parameters, e.arguments):
            named = argument.name or parameter.name
            scope.names[named] = self._reference_or_value(argument.value, env)
        for parameter in statement.parameters:
            if parameter.name not in scope.names:
                if parameter.default is None:
                    self.fail("NS303", f"`{statement.name}` needs `{parameter.name}`", e.place)
                scope.names[parameter.name] = self.evaluate(parameter.default, definition.home)
        return self.loss_terms(statement.value, scope, factor)

    def _reference_or_value(self, e: tree.Expr, env: Environment) -> Any:
        return self._reference(e, env) if isinstance(e, tree.Name) and not _is_value(env.find(e.id)) else self.evaluate(e, env)

    def metric(self, e: tree.Expr, env: Environment) -> Term:
        """One metric: `accuracy`, `top_k(5)`, `accuracy(logits, label)`."""
        head = e.function if isinstance(e, tree.Call) else e
        if not isinstance(head, tree.Name) or not recipe.is_known("metric", head.id):
            known = recipe.known()["metric"]
            word = head.id if isinstance(head, tree.Name) else e.place.text
            self.fail("NS352", f"there is no metric `{word}`", e.place, helps=suggestion(word, known) or (f"known are {', '.join(known)}",))
        return self._measure("metric", head.id, e, env, 1.0)

    # ---------------------------------------------------------------------------------------------------- tensors
    def _measure(self, slot: str, name: str, e: tree.Expr, env: Environment, factor: float) -> Term:
        cls = recipe.lookup(slot, name)
        assert issubclass(cls, Measure)
        tensors: dict[str, Reference] = {}
        marks: dict[str, Place] = {}
        rest = []
        waiting = list(cls.TENSORS)
        for argument in e.arguments if isinstance(e, tree.Call) else ():
            if argument.name in cls.TENSORS or argument.name in cls.OPTIONAL:
                which = argument.name or ""
                if which in waiting:
                    waiting.remove(which)
            elif argument.name is None and waiting and self._may_be_tensor(argument.value, slot, env):
                which = waiting.pop(0)
            else:
                rest.append(argument)
                continue
            if which in tensors:
                self.fail("NS303", f"`{which}` is given twice", argument.place)
            tensors[which], marks[which] = self._reference(argument.value, env, slot == "penalty"), argument.value.place
        if waiting and (slot != "metric" or tensors):
            missing = " and ".join(f"`{w}`" for w in waiting)
            self.fail("NS303", f"`{name}` needs {missing}", e.place, helps=(spelled(cls),))
        values, places = self._given(cls, tuple(rest), env)
        made = self._made(slot, name, values, places, e)
        term = Term(factor=factor, measure=made, tensors=tuple(tensors.items()), origin=origin(e.place))
        if slot != "penalty":
            self._fits(term, marks, e)
        return term

    def _fits(self, term: Term, marks: dict[str, Place], e: tree.Expr) -> None:
        """Ask the measure whether the net's tensors suit it."""
        types = {which: type_ for which, reference in term.tensors if (type_ := _type_of(self.graph, reference)) is not None}
        if term.tensors and not types:
            outputs = ", ".join(port.name for port in self.graph.outputs)
            self.fail("NS354", "no tensor of the network is in this", e.place, helps=(f"the outputs are {outputs}",))
        if not term.tensors:
            return
        try:
            term.measure.wants(types)
        except Reject as reject:
            place = marks.get(reject.argument or "", e.place)
            notes = tuple(f"`{reference.name}` is {types[which]}" for which, reference in term.tensors if which in types)
            self.fail(reject.code, f"`{term.measure.NAME}`: {reject}", place, notes=notes, helps=(reject.help,) if reject.help else ())

    def _may_be_tensor(self, e: tree.Expr, slot: str, env: Environment) -> bool:
        if slot == "penalty":
            return True
        root = root_of(e)
        return isinstance(root, tree.Name) and not _is_value(env.find(root.id))

    def _reference(self, e: tree.Expr, env: Environment, of_weights: bool = False) -> Reference:
        """The tensor that an argument names."""
        if of_weights:
            return self._selector(e, env)
        if isinstance(e, tree.Attribute):
            return Reference(kind="target", name=e.place.text.replace(" ", ""))
        if not isinstance(e, tree.Name):
            self.fail("NS354", "a tensor is named here: an output, an input, or a column of the data", e.place)
        bound = env.find(e.id)
        if isinstance(bound, Reference):
            return bound
        for kind, ports in (("output", self.graph.outputs), ("input", self.graph.inputs)):
            if any(port.name == e.id for port in ports):
                return Reference(kind=kind, name=e.id)
        if isinstance(bound, Tensor):
            for port in self.graph.outputs:
                if port.value == bound.number:
                    return Reference(kind="output", name=port.name)
            self.fail("NS354", f"`{e.id}` is inside the network", e.place, helps=(f"make it an output: `output {e.id}`",))
        return Reference(kind="target", name=e.id)

    def _selector(self, e: tree.Expr, env: Environment) -> Reference:
        name = e.id if isinstance(e, tree.Name) and e.id in GROUPS else self.evaluate(e, env)
        if not isinstance(name, str):
            self.fail("NS354", "a penalty is of `weights`, of `parameters`, or of a selector in quotes", e.place)
        if not selected(self.graph, name):
            self.fail("NS354", f'"{name}" selects no parameter', e.place)
        return Reference(kind="weights", name=name)


def _type_of(graph: Graph, reference: Reference) -> TensorType | None:
    ports = {"output": graph.outputs, "input": graph.inputs}.get(reference.kind, ())
    return next((graph.values[port.value].type for port in ports if port.name == reference.name), None)


def _is_value(bound: Any) -> bool:
    return bound is not MISSING and (bound is None or isinstance(bound, (bool, int, float, str, list, tuple)))


def _of_weights(e: tree.Call) -> bool:
    """Whether a call is of the network's weights: `l1(weights)`, `l2("fc.*")`."""
    first = e.arguments[0].value if len(e.arguments) == 1 else None
    return isinstance(first, tree.Name) and first.id in GROUPS or isinstance(first, tree.Literal) and isinstance(first.value, str)


def _has_measure(e: tree.Expr, env: Environment) -> bool:
    """Whether an expression has a call of a loss in it."""
    stack: list[Any] = [e]
    while stack:
        node = stack.pop()
        if isinstance(node, tree.Call) and isinstance(node.function, tree.Name):
            name = node.function.id
            if recipe.is_known("loss", name) or recipe.is_known("penalty", name):
                return True
            bound = env.find(name)
            if isinstance(bound, Definition) and _names_tensors(node, env):
                return True
        stack.extend(getattr(node, side) for side in ("left", "right", "operand", "then", "otherwise") if hasattr(node, side))
    return False


def _names_tensors(call: tree.Call, env: Environment) -> bool:
    """Whether a call of a `def` is given names that are no values: then it is a loss, else it may be a number."""
    return any(isinstance(a.value, tree.Name) and not _is_value(env.find(a.value.id)) for a in call.arguments)
