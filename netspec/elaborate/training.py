"""`train` sections: from expressions to the section of the graph, every word of it looked up, every tensor named.

A section is read when the network stands, for it speaks of outputs and of labels. A name in it is a value of the spec (`epochs =
rounds`), or one of the words that the setting knows (`sgd`, `cosine`), or, in a loss, a tensor: an output or input of the net, or
else a column of the data.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any, Iterator

from pydantic import ValidationError

from netspec import recipe
from netspec.diagnostics.model import Severity
from netspec.diagnostics.nearest import suggestion
from netspec.elaborate.arithmetic import is_number
from netspec.elaborate.build import origin
from netspec.elaborate.context import Failed
from netspec.elaborate.environment import MISSING, Environment
from netspec.elaborate.terms_of_loss import LossTerms
from netspec.elaborate.values import describe
from netspec.graph import Graph
from netspec.op import Reject
from netspec.recipe.section import Section
from netspec.selection import selected
from netspec.source import Place, Source
from netspec.syntax import tree

#: settings that are one entry of a slot, and the entry that a bare number or string stands for
_ENTRIES: dict[str, tuple[str, str]] = {
    "optimizer": ("optimizer", ""), "stop": ("stop", ""), "clip": ("clip", "norm"), "max_norm": ("constraint", "max_norm"),
    "scale_lr": ("scaling", ""), "weights": ("pretrained", "file"),
}  # fmt: skip
#: settings that are plain values, with what they are
_PLAIN: dict[str, str] = {
    "batch": "a whole number from 1", "epochs": "a whole number from 1", "accumulate": "a whole number from 1", "seed": "a whole number",
    "precision": "fp32, bf16 or fp16", "compile": "true or false", "split": "shares of the data, such as [0.8, 0.1, 0.1]",
}  # fmt: skip
#: settings that are lists of selectors, or of columns
_SELECTORS = ("no_decay", "freeze", "only")
_LISTS = (*_SELECTORS, "one_hot")
#: settings that are written as tables
_TABLES = ("rates", "search", "normalize")

SETTINGS = ("loss", "schedule", "augment", "normalize", "metrics", *_ENTRIES, *_PLAIN, *_LISTS, "rates", "search")


class Training(LossTerms):
    """Reading of `train` sections, once the network stands."""

    def train_sections(self, graph: Graph, names: set[str], source: Source) -> tuple[Section, ...]:
        """The sections that stand in the net, or at the top of its file for a net of one of these names, in the order of the text.

        `names` are the net's own and those of the nets that it is a variant of. Errors are in the report."""
        self.graph = graph
        found: list[Section] = []
        for statement, env in sorted(self.trainings, key=lambda pair: (pair[0].place.source is source, pair[0].place.start)):
            if statement.net is None or statement.net in names and env.source is source:
                section = self._section(statement, env)
                if any(section.name == other.name for other in found):
                    what = f"`{section.name}`" if section.name else "without a name"
                    helps = ("name them: `train first of net { … }`, at the top of the file",) if not section.name else ()
                    self.report.error("NS202", f"two `train` sections {what} are for this net", statement.place, helps=helps)
                found.append(section)
        return tuple(found)

    def _section(self, statement: tree.Train, env: Environment) -> Section:
        values: dict[str, Any] = {}
        origins: dict[str, Any] = {}
        for item in statement.items:
            try:
                self._item(item, env, values, origins)
            except Failed:
                values.setdefault(item.name, None)
        values = {name: value for name, value in values.items() if value is not None}
        self._hold_together(statement, values)
        made = Section(name=statement.name or "", origin=origin(statement.place), origins=tuple(origins.items()), **values)
        self._warn_of_selectors(statement, made)
        self._judge(statement, made)
        return made

    def _item(self, item: tree.Setting | tree.Table, env: Environment, values: dict[str, Any], origins: dict[str, Any]) -> None:
        if item.name not in SETTINGS:
            self.fail("NS350", f"a `train` section has no setting `{item.name}`", item.place, helps=suggestion(item.name, SETTINGS))
        if item.name in values:
            self.fail("NS351", f"`{item.name}` is given twice", item.place)
        values[item.name] = None  # a second one is one too many, even if the first is broken
        origins[item.name] = origin(item.place)
        if isinstance(item, tree.Table):
            if item.name not in _TABLES:
                self.fail("NS353", f"`{item.name}` is no table", item.place, helps=(f"write `{item.name} = …`",))
            values[item.name] = tuple(self._row(item.name, row, env) for row in item.rows)
            return
        if item.name in ("rates", "search"):
            self.fail("NS353", f"`{item.name}` is a table", item.place, helps=(f"write `{item.name} {{ name: value }}`",))
        values[item.name] = self._value(item.name, item.value, env)

    def _row(self, table: str, row: tree.Row, env: Environment) -> tuple[str, Any]:
        if table == "rates":
            value = self.evaluate(row.value, env)
            if not is_number(value) or not 0 <= value < float("inf"):
                self.fail("NS353", f"a rate is a factor from 0, not {describe(value)}", row.value.place)
            return row.selector, float(value)
        if table == "normalize":
            return row.selector, self.entry("normalization", row.value, env)
        if _is_entry(row.value, "search", env):
            return row.selector, self.entry("search", row.value, env)
        items = row.value.items if isinstance(row.value, tree.ListExpr) else None
        value = self.evaluate(row.value, env) if items is None else [self._searched(item, env) for item in items]
        if not isinstance(value, (list, tuple)):
            self.fail("NS353", "what is searched is a list, or a range such as `log(1e-4, 1)`", row.value.place)
        return row.selector, self._made("search", "choice", {"values": _frozen(value)}, {}, row.value)

    def _searched(self, e: tree.Expr, env: Environment) -> Any:
        """One value of a list that is searched: a name that is no value (`[relu, gelu]`) stands for itself, as on the command line."""
        found = self.find(e.id, e.place, env) if isinstance(e, tree.Name) else None
        is_word = isinstance(e, tree.Name) and not isinstance(found, (bool, int, float, str, list, tuple, type(None)))
        return e.id if is_word and isinstance(e, tree.Name) else self.evaluate(e, env)

    # --------------------------------------------------------------------------------------------------- settings
    def _value(self, name: str, e: tree.Expr, env: Environment) -> Any:
        if name == "loss":
            return tuple(self.loss_terms(e, env))
        if name == "metrics":
            return tuple(self.metric(item, env) for item in self._items(e, env))
        if name == "schedule":
            return tuple(self.entry("schedule", part, env) for part in (e.parts if isinstance(e, tree.Then) else (e,)))
        if name == "augment":
            return tuple(self.entry("augmentation", item, env) for item in self._items(e, env))
        if name == "normalize":
            return tuple(("", self.entry("normalization", item, env)) for item in self._items(e, env))
        if name in _ENTRIES:
            slot, short = _ENTRIES[name]
            if short and not _is_entry(e, slot, env):
                value = self.evaluate(e, env)
                if isinstance(value, str) or is_number(value):
                    return self._made(slot, short, {"path" if short == "file" else "most": value}, {}, e)
            return self.entry(slot, e, env)
        return self._plain(name, e, env)

    def _items(self, e: tree.Expr, env: Environment) -> Iterator[tree.Expr]:
        """The expressions of a list; one that is no list stands for itself."""
        if isinstance(e, tree.Conditional):
            e = e.then if self.truth(e.condition, env) else e.otherwise
        yield from e.items if isinstance(e, (tree.ListExpr, tree.TupleExpr)) else (e,)

    def _selectors(self, name: str, e: tree.Expr, env: Environment) -> tuple[str, ...]:
        """A list of strings. A name that is no value here is itself a selector (`[fc, bn]`)."""
        found: list[Any] = []
        for item in self._items(e, env):
            bound = env.find(item.id) if isinstance(item, tree.Name) else None
            if isinstance(item, tree.Name) and not isinstance(bound, (str, list, tuple)):
                found.append(item.id if not is_number(bound) else bound)
                continue
            value = self.evaluate(item, env)
            found.extend(value if isinstance(value, (list, tuple)) else [value])
        if not all(isinstance(item, str) for item in found):
            self.fail("NS353", f'`{name}` is a list of strings, such as ["fc", "*.bias"]', e.place)
        return tuple(found)

    def _plain(self, name: str, e: tree.Expr, env: Environment) -> Any:
        if name in _LISTS:
            return self._selectors(name, e, env)
        word = isinstance(e, tree.Name) and env.find(e.id) is MISSING
        value = e.id if word and isinstance(e, tree.Name) else _frozen(self.evaluate(e, env))
        if isinstance(value, tuple):
            value = tuple(float(v) if is_number(v) else v for v in value)
        try:
            Section.__pydantic_validator__.validate_assignment(Section.model_construct(), name, value)
        except ValidationError:
            self.fail("NS353", f"`{name}` is {_PLAIN[name]}, not {describe(value)}", e.place)
        if name in ("batch", "epochs", "accumulate", "seed") and type(value) is not int:
            self.fail("NS353", f"`{name}` is {_PLAIN[name]}, not {describe(value)}", e.place)
        if name == "split" and not (2 <= len(value) <= 3 and min(value) >= 0 and value[0] > 0 and abs(sum(value) - 1) < 1e-9):
            self.fail("NS353", "the shares of training, validation and test data are two or three numbers whose sum is 1", e.place)
        return value

    # ---------------------------------------------------------------------------------------------------- wholes
    def _hold_together(self, statement: tree.Train, values: dict[str, Any]) -> None:
        """What settings cannot say together."""
        if "freeze" in values and "only" in values:
            self.report.error("NS353", "`freeze` and `only` say the same thing twice: give one of them", statement.place)
            values.pop("freeze")
        if values.get("schedule"):
            from netspec.recipe.schedules import check_schedule  # few specs have a section, and pay for what it needs

            try:
                check_schedule(values["schedule"], values.get("optimizer"))
            except Reject as reject:
                place = next(item.place for item in statement.items if item.name == "schedule")
                self.report.error(reject.code, str(reject), place, helps=(reject.help,) if reject.help else ())

    def _judge(self, statement: tree.Train, section: Section) -> None:
        """Losses and metrics suit one another, and the columns that they share."""
        from netspec.recipe.wanted import misfits  # few specs have a section, and pay for what it needs

        for term, reject in misfits(self.graph, section):
            place = Place(statement.place.source, term.origin.start, term.origin.end) if term.origin else statement.place
            self.report.error(reject.code, f"`{term.measure.NAME}`: {reject}", place, helps=(reject.help,) if reject.help else ())

    def _warn_of_selectors(self, statement: tree.Train, section: Section) -> None:
        places = {item.name: item.place for item in statement.items}
        given = [(name, selector) for name in _SELECTORS for selector in getattr(section, name) or ()]
        given += [("rates", selector) for selector, _ in section.rates]
        for name, selector in given:
            if not selected(self.graph, selector):
                labels = [w.name.rpartition(".")[0] or w.name for w in self.graph.weights]
                message = f'"{selector}" selects no parameter'
                self.report.error("NS355", message, places[name], helps=suggestion(selector, labels), severity=Severity.WARNING)
        inputs = [port.name for port in self.graph.inputs]
        for name, _ in section.normalize:
            if name and not any(fnmatchcase(port, name) for port in inputs):
                self.report.error("NS353", f"there is no input `{name}`", places["normalize"], helps=suggestion(name, inputs))


def _is_entry(e: tree.Expr, slot: str, env: Environment) -> bool:
    """Whether an expression is a word of the slot, or a call of one."""
    head = e.function if isinstance(e, tree.Call) else e
    if not isinstance(head, tree.Name) or not recipe.is_known(slot, head.id):
        return False
    return isinstance(e, tree.Call) or env.find(head.id) is MISSING or not isinstance(env.find(head.id), (int, float, str, list))


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, (list, tuple)) else value
