"""Entries of `train` sections from their calls: `sgd(lr = 0.1, momentum = 0.9)`, `cosine`, `early(monitor = val.loss)`."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from netspec import recipe
from netspec.diagnostics.nearest import suggestion
from netspec.elaborate.context import Failed
from netspec.elaborate.environment import MISSING, Environment
from netspec.elaborate.initial import Initialization
from netspec.elaborate.values import Tensor, Tensors, describe
from netspec.elaborate.wording import in_words, literals, spell
from netspec.op import Reject
from netspec.recipe.entry import Entry, Measure
from netspec.source import Place
from netspec.syntax import tree


class RecipeWords(Initialization):
    """Calls of the vocabulary of `train` sections."""

    def entry(self, slot: str, e: tree.Expr, env: Environment) -> Entry:
        """The entry of a slot that an expression calls, or names. Raises `Failed` after reporting what is wrong."""
        if isinstance(e, tree.Conditional):
            return self.entry(slot, e.then if self.truth(e.condition, env) else e.otherwise, env)
        head = e.function if isinstance(e, tree.Call) else e
        if not isinstance(head, tree.Name):
            self.fail("NS352", f"{_a(slot)} is needed here", e.place, helps=(f"known are {_listed(slot)}",))
        name = head.id
        if not recipe.is_known(slot, name):
            bound = env.find(name)
            if isinstance(bound, str) and not isinstance(e, tree.Call):
                name = bound  # `-p method=adam`, or a name bound to a string
        if not recipe.is_known(slot, name):
            helps = suggestion(name, recipe.known()[slot]) or (f"known are {_listed(slot)}",)
            self.fail("NS352", f"there is no {slot} `{name}`", head.place, helps=helps)
        cls = recipe.lookup(slot, name)
        values, marks = self._given(cls, e.arguments if isinstance(e, tree.Call) else (), env)
        return self._made(slot, name, values, marks, e)

    def _given(self, cls: type[Entry], arguments: tuple[tree.Argument, ...], env: Environment) -> tuple[dict[str, Any], dict[str, Place]]:
        """The values of a call's arguments by their fields' names, and their places."""
        fields = list(cls.model_fields)
        values: dict[str, Any] = {}
        marks: dict[str, Place] = {}
        failed = False
        for index, argument in enumerate(arguments):
            try:
                name = self._field_name(cls, fields, index, argument, values)
                marks[name] = argument.value.place
                values[name] = None
                values[name] = self._word(argument.value, env)
            except Failed:
                failed = True
        if failed:
            raise Failed
        return values, marks

    def _field_name(self, cls: type[Entry], fields: list[str], index: int, argument: tree.Argument, given: dict[str, Any]) -> str:
        name = argument.name
        if name is None:
            if index >= len(fields):
                self.fail("NS303", f"`{cls.NAME}` takes {len(fields)} arguments at most", argument.place, helps=(spelled(cls),))
            name = fields[index]
        elif name not in fields:
            self.fail("NS303", f"`{cls.NAME}` has no argument `{name}`", argument.place, helps=suggestion(name, fields) or (spelled(cls),))
        if name in given:
            self.fail("NS303", f"`{name}` is given twice", argument.place)
        return name

    def _word(self, e: tree.Expr, env: Environment) -> Any:
        """An argument's value; names that nothing in the spec is called are words (`max`, `val.loss`)."""
        root = root_of(e)
        if isinstance(root, tree.Name) and (root is not e or env.find(root.id) is MISSING):
            return e.place.text.replace(" ", "")
        if isinstance(e, (tree.ListExpr, tree.TupleExpr)):
            return tuple(self._word(item, env) for item in e.items)
        value = self.evaluate(e, env)
        if isinstance(value, (Tensor, Tensors)) and isinstance(e, tree.Name):
            return e.id  # for arguments that name one (`input = image`); others refuse a word
        if isinstance(value, (Tensor, Tensors)):
            self.fail("NS353", f"a value is needed here, not {describe(value)}", e.place)
        return tuple(value) if isinstance(value, list) else value

    def _made(self, slot: str, name: str, values: dict[str, Any], marks: dict[str, Place], e: tree.Expr) -> Entry:
        """The entry, checked."""
        cls = recipe.lookup(slot, name)
        missing = [n for n, f in cls.model_fields.items() if f.is_required() and n not in values]
        if missing:
            self.fail("NS303", f"`{cls.NAME}` needs {' and '.join(f'`{m}`' for m in missing)}", e.place, helps=(spelled(cls),))
        try:
            made = cls(**values)
            made.check()
            return made
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                field = str(detail["loc"][0]) if detail["loc"] else ""
                words = sorted(literals(cls.model_fields[field].annotation)) if field in cls.model_fields else []
                given = values.get(field, detail.get("input"))
                helps = suggestion(given, words) if isinstance(given, str) else ()
                message = f"`{field}` of `{cls.NAME}` cannot be {describe(given)}: {in_words(detail, words)}"
                self.report.error("NS353", message, marks.get(field, e.place), helps=helps)
            raise Failed from None
        except Reject as reject:
            place = marks.get(reject.argument or "", e.place)
            self.fail(reject.code, f"`{cls.NAME}`: {reject}", place, helps=(reject.help,) if reject.help else ())


def spelled(cls: type[Entry]) -> str:
    """An entry's call in words: `sgd(lr = 0.01, momentum = 0, …)`; of a loss, its tensors first."""
    tensors = list(cls.TENSORS) if issubclass(cls, Measure) else []
    fields = [n if f.is_required() else f"{n} = {spell(f.default)}" for n, f in cls.model_fields.items()]
    return f"{cls.NAME}({', '.join(tensors + fields)})"


def root_of(e: tree.Expr) -> tree.Expr:
    """What dots are behind: `val` of `val.loss`; an expression without dots itself."""
    while isinstance(e, tree.Attribute):
        e = e.value
    return e


def _listed(slot: str) -> str:
    return ", ".join(recipe.known()[slot])


def _a(slot: str) -> str:
    return f"{'an' if slot[0] in 'aeiou' else 'a'} {slot}"
