"""The best spec as text: the file that was swept, with the values that were found where they belong.

An argument that is written is replaced, one that is not is added to its call; a parameter of the net gets another default in the
net's header, or, where a variant inherits it, stands in the variant's call. The `search` table goes. Everything else stays as it
is, comments too, and the formatter has the last word. What was written is compiled and held against the best trial.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Iterable, Mapping

from netspec.diagnostics.model import Refusal, Report, SpecError
from netspec.record import record
from netspec.source import Source
from netspec.syntax import tree
from netspec.training.sweep.call_text import Edit, argument_edits, paths_of, short, spelled_entry
from netspec.training.sweep.ranges import spelled
from netspec.training.sweep.space import Target, entries
from netspec.training.sweep.spec import Spec, train_statements, without_places

if TYPE_CHECKING:
    from netspec.graph import Graph
    from netspec.recipe.section import Section


@record
class Best:
    """What is to be written: the values of the net's parameters (those of the command line too), the section as the best trial
    had it, which of its settings are not those of the file, and the network."""

    parameters: Mapping[str, Any]
    section: "Section"
    changed: tuple[Target, ...]
    graph: "Graph"


def best_text(spec: Spec, section: "Section", best: Best, folder: str | None = None) -> str:
    """The text of the best spec, to be put into `folder` (that of the file, unless given). `section` is as the file has it.

    Raises `Refusal` (NS834) where the section stands in another file, or where what is written is not the best trial.
    """
    module = spec.module()
    statement = statement_of(spec, module, section)
    edits = [*_parameter_edits(spec, module, best.parameters), *_section_edits(statement, section, best)]
    text = _formatted(spec, applied(spec.source.text, edits))
    _check_same(spec, text, section, best)
    home = os.path.dirname(spec.source.path or "")
    if folder is None or os.path.realpath(folder) == os.path.realpath(home or "."):
        return text
    return _moved(spec, text, home, folder)


def statement_of(spec: Spec, module: tree.Module, section: "Section") -> tree.Train:
    """Where a section stands in the file. Raises `Refusal` (NS834) where it stands in another one."""
    origin = section.origin
    if origin is not None and origin.file == spec.source.name:
        for statement in train_statements(module):
            if statement.place.start == origin.start:
                return statement
    where = f"it stands in {origin.file}" if origin else "it stands in no file"
    helps = (f"write a section for this net into {spec.source.name}: `train best of {spec.net} {{ … }}`",)
    raise Refusal("NS834", "the best values cannot be written into the section", notes=(where,), helps=helps)


def applied(text: str, edits: Iterable[Edit]) -> str:
    """A text after edits that do not overlap; of those at the same place, the first one's text comes first."""
    for edit in sorted(reversed(list(edits)), key=lambda edit: edit.start, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


# ------------------------------------------------------------------------------------------------- the net's parameters
def _parameter_edits(spec: Spec, module: tree.Module, values: Mapping[str, Any]) -> list[Edit]:
    net = next(s for s in module.body if isinstance(s, tree.Net) and s.name == spec.net)
    own = {parameter.name: parameter for parameter in net.parameters}
    texts = {name: _word_or_value(spec, module, value) for name, value in values.items()}
    edits = []
    for name, parameter in own.items():
        if name in texts and parameter.default is not None:
            edits.append(Edit(parameter.default.place.start, parameter.default.place.end, texts[name]))
        elif name in texts:
            edits.append(Edit(parameter.place.end, parameter.place.end, f" = {texts[name]}"))
    inherited = ", ".join(f"{name} = {text}" for name, text in texts.items() if name not in own)
    if not inherited or net.variant is None:
        return edits
    call = net.variant
    if not isinstance(call, tree.Call):
        return [*edits, Edit(call.place.end, call.place.end, f"({inherited})")]
    if call.arguments:
        end = call.arguments[-1].place.end
        return [*edits, Edit(end, end, f", {inherited}")]
    return [*edits, Edit(call.place.end - 1, call.place.end - 1, inherited)]


def _word_or_value(spec: Spec, module: tree.Module, value: Any) -> str:
    return value if isinstance(value, str) and spec.is_word(module, value) else spelled(value)


# ------------------------------------------------------------------------------------------------------- the section
def _section_edits(statement: tree.Train, section: "Section", best: Best) -> list[Edit]:
    settings = {item.name: item for item in statement.items if isinstance(item, tree.Setting)}
    tables = {item.name: item for item in statement.items if isinstance(item, tree.Table)}
    edits: list[Edit] = []
    added: list[str] = []
    calls: dict[tuple[str, int], list[str]] = {}
    for target in best.changed:
        if target.kind == "argument":
            calls.setdefault((target.setting, target.number), []).append(target.field)
        elif target.kind == "row":
            edits += _row(target, tables, best.section, added)
        else:
            text = spelled(getattr(best.section, target.setting))
            found = settings.get(target.setting)
            if found is None:
                added.append(f"{target.setting} = {text}")
            else:
                edits.append(Edit(found.value.place.start, found.value.place.end, text))
    for (setting, number), fields in calls.items():
        entry = entries(best.section, setting)[number][1]
        if setting in tables:
            edits += argument_edits(tables[setting].rows[number].value, entry, fields)
        elif setting in ("loss", "metrics"):
            term = getattr(section, setting)[number]
            call = _at(settings[setting].value, term.origin.start, term.origin.end)
            edits += argument_edits(call, entry, fields, tuple(name for name, _ in term.tensors))
        else:
            edits += _in_setting(settings[setting].value, best.section, setting, number, fields)
    return [*edits, *_search_edits(statement, tables.get("search"), added)]


def _in_setting(value: tree.Expr, made: "Section", setting: str, number: int, fields: list[str]) -> list[Edit]:
    """The edits for arguments of entry `number` of a setting that is one entry, a list of them, or several joined by `then`."""
    found = [entry for _, entry in entries(made, setting)]
    parts: tuple[tree.Expr, ...] = (value,)
    if isinstance(value, tree.Then):
        parts = value.parts
    elif isinstance(value, (tree.ListExpr, tree.TupleExpr)):
        parts = value.items
    if len(parts) != len(found):  # a choice of several by `if`
        return [Edit(value.place.start, value.place.end, f"[{', '.join(map(spelled_entry, found))}]")]
    return argument_edits(parts[number], found[number], fields)


def _at(root: tree.Expr, start: int, end: int) -> tree.Expr:
    """The innermost expression that covers these characters and no others."""
    stack: list[Any] = [root]
    while stack:
        node = stack.pop()
        if isinstance(node, tree.Expr) and (node.place.start, node.place.end) == (start, end):
            return node
        if isinstance(node, tree.Node):
            stack.extend(getattr(node, name) for name in type(node).__dataclass_fields__ if not name.endswith("place"))
        elif isinstance(node, tuple):
            stack.extend(node)
    raise Refusal("NS834", "the best values cannot be written where a `def` says what the loss is")


def _row(target: Target, tables: Mapping[str, tree.Table], made: "Section", added: list[str]) -> list[Edit]:
    """The edits for a factor in `rates`: in its row, in a new one, or in a new table."""
    rate = spelled(short(dict(made.rates)[target.field]))
    table = tables.get("rates")
    if table is None:
        added.append(f"rates {{ {spelled(target.field)}: {rate} }}")
        return []
    for row in table.rows:
        if row.selector == target.field:
            return [Edit(row.value.place.start, row.value.place.end, rate)]
    end = table.rows[-1].place.end if table.rows else table.place.end - 1
    return [Edit(end, end, f"{', ' if table.rows else ''}{spelled(target.field)}: {rate}")]


def _search_edits(statement: tree.Train, table: tree.Table | None, added: list[str]) -> list[Edit]:
    """The `search` table goes, with its line where nothing else stands on it; what the section lacked stands in its place."""
    if table is None:
        end = statement.place.end - 1
        before = statement.place.source.text[:end].rstrip(" \t")
        return [Edit(end, end, "\n" * (not before.endswith("\n")) + "\n".join(added) + "\n")] if added else []
    text, (start, end) = table.place.source.text, table.place[1:]
    if added:
        return [Edit(start, end, "\n".join(added))]
    line = text.rfind("\n", 0, start) + 1
    stop = end
    while text[stop] in " \t;":
        stop += 1
    if not text[line:start].strip() and text[stop] == "\n":
        return [Edit(line, stop + 1, "")]
    return [Edit(start, stop, "")]


# ------------------------------------------------------------------------------------------------------------- checking
def _formatted(spec: Spec, text: str) -> str:
    from netspec.syntax.format import format

    report = Report()
    formatted = format(Source(spec.source.name, text, spec.source.path, spec.source.files), report, spec.limits)
    if formatted is None:
        raise Refusal("NS834", "the best values cannot be written", notes=tuple(str(found) for found in report.errors[:3]))
    return formatted


def _check_same(spec: Spec, text: str, section: "Section", best: Best) -> None:
    """Raises `Refusal` (NS834) where the text is not the network and section of the best trial."""
    written = Spec(Source(spec.source.name, text, spec.source.path, spec.source.files), spec.net, {}, spec.sizes, spec.limits)
    try:
        graph = written.graph({})
    except SpecError as failure:
        raise Refusal("NS834", "the best values cannot be written", notes=tuple(map(str, failure.diagnostics[:3]))) from None
    expected = best.section.with_settings(search=())
    before = best.graph.training
    index = next((n for n, one in enumerate(before) if (one.name, one.origin) == (section.name, section.origin)), 0)
    sections = tuple(expected if n == index else one for n, one in enumerate(before))
    difference = _difference(without_places(graph), without_places(best.graph.model_copy(update={"training": sections})))
    if difference:
        helps = ("the values are in the report: write them by hand",)
        raise Refusal("NS834", "what would be written is not the best trial", notes=(f"it differs in {difference}",), helps=helps)


def _difference(one: Any, other: Any, path: str = "") -> str:
    """Where two pieces of data first differ; empty where they do not."""
    if isinstance(one, dict) and isinstance(other, dict):
        names = [*one, *(name for name in other if name not in one)]
        return next((d for n in names if (d := _difference(one.get(n), other.get(n), f"{path}.{n}"))), "")
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return next((d for n, pair in enumerate(zip(one, other)) if (d := _difference(*pair, f"{path}[{n}]"))), "")
    return "" if one == other else f"{path.lstrip('.')}: {one} and {other}"


# ------------------------------------------------------------------------------------------------------- another folder
def _moved(spec: Spec, text: str, home: str, folder: str) -> str:
    """The text with the paths in it as they are from another folder: of imports, and of weights to start from."""
    module = Spec(Source(spec.source.name, text, spec.source.path, spec.source.files), spec.net, limits=spec.limits).module()
    edits = []
    for start, end, path in paths_of(module, train_statements(module)):
        if not os.path.isabs(path):
            there = os.path.relpath(os.path.join(home, path), folder).replace(os.sep, "/")
            edits.append(Edit(start, end, spelled(there)))
    return applied(text, edits)
