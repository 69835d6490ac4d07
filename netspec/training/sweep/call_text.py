"""Edits of the text of a call in a `train` section: an argument's value replaced, or an argument added."""

from __future__ import annotations

from typing import Any, Iterable, Iterator, Mapping, Sequence

from netspec import recipe
from netspec.recipe.entry import Entry, Measure
from netspec.record import record
from netspec.syntax import tree
from netspec.training.sweep.ranges import spelled

#: entries that a bare value may stand for, and the argument that it is
_BARE = {"norm": "most", "max_norm": "most", "file": "path"}


@record
class Edit:
    """`text` in place of the characters from `start` up to `end`."""

    start: int
    end: int
    text: str


def argument_edits(e: tree.Expr, entry: Entry, fields: Sequence[str], tensors: tuple[str, ...] = ()) -> list[Edit]:
    """The edits after which an expression of an entry has the values of `entry` for some arguments.

    `tensors` are the names of the tensors that a measure is given. An expression that is no call of the entry (a name that is bound
    to it, a choice by `if`) is written anew.
    """
    texts = {field: spelled(short(getattr(entry, field))) for field in fields}
    if isinstance(e, tree.Call) and _is_of(e.function, entry):
        return _in_call(e, entry, texts, tensors)
    if _is_of(e, entry):
        return [Edit(e.place.end, e.place.end, f"({_by_name(texts)})")]
    bare = _BARE.get(entry.NAME, "")
    if list(texts) == [bare] and not isinstance(e, (tree.Call, tree.Conditional)):
        return [Edit(e.place.start, e.place.end, texts[bare])]
    return [Edit(e.place.start, e.place.end, spelled_entry(entry))]


def _is_of(head: tree.Expr, entry: Entry) -> bool:
    """Whether a name in the text is the entry's, or one of its aliases."""
    return isinstance(head, tree.Name) and recipe.is_known(entry.SLOT, head.id) and recipe.lookup(entry.SLOT, head.id) is type(entry)


def _in_call(call: tree.Call, entry: Entry, texts: Mapping[str, str], tensors: tuple[str, ...]) -> list[Edit]:
    given = {name: argument.value.place for name, argument in _named(call, entry, tensors)}
    edits = [Edit(given[field].start, given[field].end, text) for field, text in texts.items() if field in given]
    missing = _by_name({field: text for field, text in texts.items() if field not in given})
    if not missing:
        return edits
    if call.arguments:
        end = call.arguments[-1].place.end
        return [*edits, Edit(end, end, f", {missing}")]
    return [*edits, Edit(call.place.end - 1, call.place.end - 1, missing)]


def _by_name(texts: Mapping[str, str]) -> str:
    return ", ".join(f"{field} = {text}" for field, text in texts.items())


def _named(call: tree.Call, entry: Entry, tensors: tuple[str, ...]) -> Iterator[tuple[str, tree.Argument]]:
    """The arguments of a call that are no tensors, by the names of their fields."""
    fields = list(type(entry).model_fields)
    rest = list(call.arguments)
    if isinstance(entry, Measure):
        known = (*type(entry).TENSORS, *type(entry).OPTIONAL)
        by_name = [a.name for a in rest if a.name in known]
        waiting = sum(name in type(entry).TENSORS and name not in by_name for name in tensors)
        rest = [a for a in rest if a.name not in known]
        for argument in [a for a in rest if a.name is None][:waiting]:
            rest.remove(argument)
    for number, argument in enumerate(rest):
        yield argument.name or fields[number], argument


def spelled_entry(entry: Entry) -> str:
    """The call of an entry, with the arguments that are not at their default.

    >>> from netspec.recipe.settings import Early
    >>> spelled_entry(Early(patience=3)), spelled_entry(Early())
    ('early(patience = 3)', 'early')
    """
    fields = type(entry).model_fields
    given = {name: spelled(short(getattr(entry, name))) for name, info in fields.items() if getattr(entry, name) != info.default}
    return f"{entry.NAME}({_by_name(given)})" if given else entry.NAME


def short(value: Any) -> Any:
    """A number without `.0`: where an argument is a number with a fraction, a whole one is taken for it."""
    if isinstance(value, tuple):
        return tuple(map(short, value))
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else value


def paths_of(module: tree.Module, sections: Iterable[tree.Train]) -> Iterator[tuple[int, int, str]]:
    """Where a file names other files by path: the strings of its imports, and of the weights that its sections start from."""
    for statement in module.body:
        if isinstance(statement, tree.Import) and statement.path is not None:
            start = statement.place.source.text.index('"', statement.place.start)
            yield start, _end_of_string(statement.place.source.text, start), statement.path
    for section in sections:
        for item in section.items:
            if isinstance(item, tree.Setting) and item.name == "weights":
                value: Any = item.value
                if isinstance(value, tree.Call):
                    value = next((a.value for n, a in enumerate(value.arguments) if (a.name or ("" if n else "path")) == "path"), None)
                if isinstance(value, tree.Literal) and isinstance(value.value, str):
                    yield value.place.start, value.place.end, value.value


def _end_of_string(text: str, start: int) -> int:
    """The offset after the closing quotation mark of the string that begins at `start`."""
    end = start + 1
    while text[end] != '"':
        end += 2 if text[end] == "\\" else 1
    return end + 1
