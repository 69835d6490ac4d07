"""The spec of a sweep: compiled anew for every trial, with the trial's values for the net's parameters and the section's settings."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any, Iterator, Mapping

from netspec.diagnostics.model import Refusal, Report, SpecError
from netspec.limits import DEFAULT_LIMITS, Limits
from netspec.record import record
from netspec.source import Place, Source
from netspec.syntax import tree
from netspec.training import sections
from netspec.training.sweep.ranges import Range, between

if TYPE_CHECKING:
    from netspec.elaborate.expand import Expander
    from netspec.elaborate.values import Definition
    from netspec.graph import Graph
    from netspec.recipe.section import Section


@record
class Spec:
    """A net of a source, and what the command line says besides: its parameters, typical sizes, which `train` section is meant (`name`,
    None for the only one), and other values of the section's settings by name (`sections.override`). It can be pickled."""

    source: Source
    net: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    limits: Limits = DEFAULT_LIMITS
    name: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def module(self) -> tree.Module:
        """The syntax tree. Raises `SpecError`."""
        from netspec.syntax.parse import parse

        report = Report()
        module = parse(self.source, report, self.limits)
        return _accepted(report, module)

    def graph(self, arguments: Mapping[str, Any], module: tree.Module | None = None) -> "Graph":
        """The network with these parameters besides those of the command line. Raises `SpecError`."""
        from netspec.analyses.field import smallest_field
        from netspec.elaborate.expand import expand

        report = Report()
        given = {**self.arguments, **arguments}
        expansion = expand(module or self.module(), self.net, given, dict(self.sizes), report, self.limits)
        expansion.settle(smallest_field)
        return _accepted(report, expansion.graph)

    def section(self, graph: "Graph") -> "Section":
        """The section that is swept, with the settings of the command line. Raises `Refusal`: NS350, NS353, NS354, NS356, NS820, NS830."""
        found = sections.chosen(graph, self.name)
        if self.name is None and len(found) > 1:
            found = tuple(section for section in found if section.search)
        if len(found) != 1:
            titles = [sections.title(graph, section) for section in graph.training]
            helps = (f"name one: `--section {titles[-1]}`",)
            raise Refusal("NS830", f"net `{graph.name}` has several `train` sections: {', '.join(titles)}", helps=helps, status=2)
        sections.check_complete(found[0])
        section = sections.overridden(found[0], self.settings)
        sections.check_fits(graph, section)
        return section

    def parameters(self, module: tree.Module) -> dict[str, tree.Parameter]:
        """The net's parameters by name, with the places where they are declared: its own, then those that its base leaves open."""
        from netspec.elaborate.context import Failed

        expander, definition = self._definition(module)
        try:
            found: dict[str, tree.Parameter] = expander.parameters(definition)
        except Failed:
            raise SpecError(expander.report.errors) from None
        return found

    def is_word(self, module: tree.Module, text: str) -> bool:
        """Whether a string given for a parameter means what the file calls so, such as an operator (`relu`), and not the string."""
        from netspec.elaborate.environment import MISSING

        expander, definition = self._definition(module)
        return expander.find(text, Place(self.source, 0, 0), definition.home) is not MISSING

    def _definition(self, module: tree.Module) -> "tuple[Expander, Definition]":
        """The net's definition, and what looks names up for it."""
        from netspec.elaborate.expand import Expander
        from netspec.elaborate.modules import Modules

        expander = Expander(Report(), self.limits)
        names = Modules(expander.report, self.limits, expander.default_pairs, expander.run).enter(module).names
        return expander, names[self.net]


def _accepted(report: Report, result: Any) -> Any:
    if not report.ok or result is None:
        raise SpecError(report.errors)
    return result


# ------------------------------------------------------------------------------------------------------- search tables
def range_of(name: str, text: str) -> Range:
    """The range that a text means, as in a `search` table. Raises `Refusal` (NS833) for what is none.

    >>> range_of("lr", "log(1e-4, 1)").low
    0.0001
    """
    source = Source(f"--search {name}", f'net a {{ input x: [1]; output y = x; train {{ search {{ "{name}": {text} }} }} }}')
    try:
        return Spec(source, "a").graph({}).training[0].search[0][1]  # type: ignore[no-any-return]
    except (SpecError, IndexError) as error:
        reason = f": {error.diagnostics[0].message}" if isinstance(error, SpecError) and error.diagnostics else ""
        helps = ("write `log(1e-4, 1)`, `uniform(0, 0.5)`, `int(1, 8)`, or a list such as `[0, 0.9, 0.99]`",)
        raise Refusal("NS833", f"`{name} = {text}` is nothing to search in{reason}", helps=helps, status=2) from None


def compile_once(spec: Spec, module: tree.Module, given: Mapping[str, Range]) -> "Graph":
    """The network as it stands before the first trial: a parameter without a default that is searched has the first of its values."""
    ranges = dict(given)
    missing = [n for n, p in spec.parameters(module).items() if p.default is None and n not in spec.arguments]
    for row in searched_rows(module):
        if row.selector in missing and row.selector not in ranges:
            ranges[row.selector] = range_of(row.selector, row.value.place.text)
    return spec.graph({name: between(ranges[name], 0) for name in missing if name in ranges}, module)


def searched_rows(module: tree.Module) -> Iterator[tree.Row]:
    """The rows of all `search` tables of a file."""
    for statement in train_statements(module):
        for item in statement.items:
            if isinstance(item, tree.Table) and item.name == "search":
                yield from item.rows


def train_statements(module: tree.Module) -> Iterator[tree.Train]:
    """The `train` sections of a file: at its top, and in its nets."""
    stack: list[tree.Stmt] = list(reversed(module.body))
    while stack:
        statement = stack.pop()
        if isinstance(statement, tree.Train):
            yield statement
        elif isinstance(statement, (tree.Net, tree.For)):
            stack.extend(reversed(statement.body))
        elif isinstance(statement, tree.If):
            stack.extend(s for _, body in reversed(statement.branches) for s in reversed(body))


def without_places(value: Any) -> Any:
    """A graph or section as data, without what only tells where it was written."""
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
    if isinstance(value, dict):
        return {k: without_places(v) for k, v in value.items() if k not in ("origin", "origins", "source", "digest")}
    return [without_places(item) for item in value] if isinstance(value, (list, tuple)) else value
