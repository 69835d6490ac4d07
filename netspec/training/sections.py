"""Which `train` sections are meant, and other values for their settings than the spec has written.

A setting is named as in the spec (`batch`, `epochs`), an argument by a path (`optimizer.lr`, `schedule.cosine.epochs`,
`loss.label_smoothing`, `rates.fc`); what is neither is an argument of the optimizer (`lr`). Values are held against the same
models as those of the spec.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import TypeAdapter, ValidationError

from netspec.diagnostics.model import Diagnostic, Refusal, Severity
from netspec.diagnostics.nearest import suggestion
from netspec.elaborate.wording import in_words, spell
from netspec.op import Reject
from netspec.recipe.entry import Entry, NonNegative
from netspec.recipe.section import Section, Term

if TYPE_CHECKING:
    from netspec.graph import Graph

#: what a section is complete with
EXAMPLE = """\
train {
  loss      = cross_entropy(logits, label)
  optimizer = sgd(lr = 0.1, momentum = 0.9)
  epochs    = 10
}"""
#: settings whose value is one number, word, or list, and may be replaced whole
PLAIN = ("batch", "epochs", "accumulate", "seed", "no_decay", "freeze", "only", "one_hot", "split", "precision", "compile")
#: those of them that are lists of words, of which one may stand for a list
_SELECTORS = ("no_decay", "freeze", "only", "one_hot")
#: settings that are made of entries, whose arguments may be replaced
ENTRIES = ("optimizer", "schedule", "loss", "metrics", "augment", "normalize", "weights", "stop", "clip", "max_norm", "scale_lr")
#: one or more arguments of an entry, and how the section is made anew with another
Place = tuple[str, Entry, Callable[[Entry], Section]]


def chosen(graph: "Graph", name: str | None = None) -> tuple[Section, ...]:
    """The sections that are to be run, in the order of the spec: the named one, or all.

    A section without a name is called by its number, from 1, or by the net's name where it is the only one. Raises `Refusal`:
    NS356 where the spec has none, NS820 for a name that none has.
    """
    if not graph.training:
        message = f"net `{graph.name}` has no `train` section, so there is nothing to train it for"
        raise Refusal("NS356", message, helps=("write one below the net, such as\n" + EXAMPLE,))
    if name is None:
        return graph.training
    titles = [title(graph, section) for section in graph.training]
    for number, section in enumerate(graph.training):
        if name in (section.name, titles[number], str(number + 1)) and name:
            return (section,)
    helps = (*suggestion(name, titles), f"sections: {', '.join(titles)}")
    raise Refusal("NS820", f"net `{graph.name}` has no `train` section `{name}`", helps=helps, status=2)


def title(graph: "Graph", section: Section) -> str:
    """What a section is called: its name, else the net's where it is the only one, else its number, from 1."""
    if section.name or len(graph.training) < 2:
        return section.name or graph.name
    return str(next((n for n, one in enumerate(graph.training, 1) if one is section or one.origins == section.origins), 1))


def check_complete(section: Section) -> None:
    """Raises `Refusal` (NS356) where a section lacks what no training goes without: a loss, an optimizer."""
    for setting, example in (("loss", "loss = cross_entropy(logits, label)"), ("optimizer", "optimizer = sgd(lr = 0.1, momentum = 0.9)")):
        if not getattr(section, setting):
            name = f"`train {section.name}`" if section.name else "the `train` section"
            helps = (f"write one, such as `{example}`", "netspec ops --train")
            raise Refusal("NS356", f"{name} has no {setting}", notes=_written(section), helps=helps)


def check_fits(graph: "Graph", section: Section) -> None:
    """Raises `Refusal` (NS353, NS354) where a loss or a metric, as other values have made it, does not fit the network."""
    from netspec.recipe.wanted import misfits

    for term, reject in misfits(graph, section):
        raise Refusal(reject.code, f"`{term.measure.NAME}`: {reject}", helps=(reject.help,) if reject.help else (), status=2)


def unused_selectors(graph: "Graph", section: Section, before: Section) -> list[Diagnostic]:
    """Warnings (NS355) of selectors that select nothing, of those that a section has and had not before."""
    from netspec.selection import selected

    labels = [w.name.rpartition(".")[0] or w.name for w in graph.weights]
    return [
        Diagnostic("NS355", f'"{selector}" selects no parameter', severity=Severity.WARNING, helps=suggestion(selector, labels))
        for selector in dict.fromkeys(_selectors(section))
        if selector not in _selectors(before) and not selected(graph, selector)
    ]


def _selectors(section: Section) -> list[str]:
    return [*section.no_decay, *section.freeze, *(section.only or ()), *(selector for selector, _ in section.rates)]


def _written(section: Section) -> tuple[str, ...]:
    return (f"it begins at {section.origin.file}:{section.origin.line}",) if section.origin else ()


# ---------------------------------------------------------------------------------------------------------- other values
def overridden(section: Section, values: Mapping[str, Any]) -> Section:
    """The section with other values by name, one after the other. Raises `Refusal` as `override` does."""
    for name, value in values.items():
        section = override(section, name, value)
    return section


def override(section: Section, name: str, value: Any) -> Section:
    """The section with one other value: of a setting, or of an argument by its path; lists may be lists or tuples.

    Raises `Refusal`: NS350 where there is no such setting or argument, NS353 for a value that it cannot have.

    >>> from netspec.recipe.section import Section
    >>> override(Section(), "batch", 64).batch
    64
    """
    head, _, rest = name.partition(".")
    if not all(name.split(".")[:2]):
        raise _unknown(name, names(section))
    if not rest and head in PLAIN:
        return section.with_settings(**{head: _plain(head, value)})
    if rest and head == "rates":
        rates = {**dict(section.rates), rest: _read(TypeAdapter(NonNegative), name, value)}
        return section.with_settings(rates=tuple(rates.items()))
    if head in ENTRIES:
        return _argument(_places(section, head), head, rest, value)
    if not rest and section.optimizer is not None and head in type(section.optimizer).model_fields:
        return _argument(_places(section, "optimizer"), "optimizer", head, value)
    raise _unknown(name, names(section))


def names(section: Section) -> list[str]:
    """Every name that `override` knows for a section, arguments by their shortest path."""
    found = [*PLAIN, *(f"rates.{selector}" for selector, _ in section.rates)]
    for setting in ENTRIES:
        places = _places(section, setting)
        for label, entry, _ in places:
            for field in _fields(entry):
                several = sum(field in _fields(other) for _, other, _ in places) > 1
                found.append(f"{setting}.{label}.{field}" if several else f"{setting}.{field}")
    return found


def _unknown(name: str, known: Sequence[str]) -> Refusal:
    helps = (*(suggestion(name, [*known, *ENTRIES])), f"there are {', '.join(known)}") if known else ()
    return Refusal("NS350", f"the `train` section has no setting `{name}`", helps=helps, status=2)


def _plain(name: str, value: Any) -> Any:
    if name in _SELECTORS and isinstance(value, str):
        value = (value,)
    field = Section.model_fields[name]
    kind: Any = field.annotation
    for constraint in field.metadata:
        kind = Annotated[kind, constraint]
    return _read(TypeAdapter(kind), name, value)


def _read(adapter: "TypeAdapter[Any]", name: str, value: Any) -> Any:
    try:
        return adapter.validate_python(_tuples(value), strict=True)
    except ValidationError as error:
        raise _refused(name, value, error) from None


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, (list, tuple)) else value


def _refused(name: str, value: Any, error: ValidationError) -> Refusal:
    detail = error.errors()[0]
    limits: dict[str, Any] = detail.get("ctx", {})
    bounds = (("gt", "more than"), ("ge", "at least"), ("lt", "less than"), ("le", "at most"))
    asked = [f"{words} {limits[key]} is needed" for key, words in bounds if key in limits]
    if detail["type"] == "literal_error":
        asked = [f"one of {limits['expected']} is needed"]
    if detail["type"] == "tuple_type":
        asked = ["a list is needed"]
    return Refusal("NS353", f"`{name} = {spell(value)}` cannot be: {', '.join(asked) or in_words(detail, [])}", status=2)


# --------------------------------------------------------------------------------------------------- arguments of entries
def _fields(entry: Entry) -> list[str]:
    return list(type(entry).model_fields)


def _argument(places: list[Place], setting: str, path: str, value: Any) -> Section:
    """The section in which an argument has another value: `field`, or `entry.field` where several entries have such a field."""
    label, _, field = path.rpartition(".")
    fitting = [place for place in places if field in _fields(place[1]) and label in ("", place[0])]
    known = [f"{setting}.{name}.{f}" if len(places) > 1 else f"{setting}.{f}" for name, entry, _ in places for f in _fields(entry)]
    if not fitting and not path:
        helps = (f"set an argument, such as `{known[0]}`",) if known else (f"write `{setting} = …` in the spec",)
        raise Refusal("NS350", f"`{setting}` is not replaced as a whole here, only its arguments are", helps=helps, status=2)
    if not fitting:
        raise _unknown(f"{setting}.{path}", known)
    if len(fitting) > 1:
        which = ", ".join(f"{setting}.{name}.{field}" for name, _, _ in fitting)
        raise Refusal("NS350", f"`{setting}.{path}` could be any of several", helps=(f"name one: {which}",), status=2)
    _, entry, put = fitting[0]
    return put(_with(entry, setting, field, value))


def _with(entry: Entry, setting: str, field: str, value: Any) -> Entry:
    """The entry with another argument, checked as one of the spec is."""
    given = {name: getattr(entry, name) for name in entry.model_fields_set}
    try:
        made = type(entry).model_validate({**given, field: _tuples(value)})
        made.check()
    except ValidationError as error:
        raise _refused(f"{setting}.{field}", value, error) from None
    except Reject as reject:
        message = f"`{setting}.{field} = {spell(value)}` cannot be: {reject}"
        raise Refusal(reject.code, message, helps=(reject.help,) if reject.help else (), status=2) from None
    return made


def _places(section: Section, setting: str) -> list[Place]:
    """The entries of a setting, each with a name of its own in it, and how the section is made anew with another in its place."""
    found = getattr(section, setting)
    parts = list(found) if isinstance(found, tuple) else [found] if found is not None else []
    entries: list[Entry] = [_entry(part) for part in parts]
    labels = [part[0] if isinstance(part, tuple) else entry.NAME for part, entry in zip(parts, entries)]
    counts = {label: labels.count(label) for label in labels}
    seen: dict[str, int] = {}

    def put(number: int) -> Callable[[Entry], Section]:
        def replaced(entry: Entry) -> Section:
            made = tuple(_holding(part, entry) if n == number else part for n, part in enumerate(parts))
            return section.with_settings(**{setting: made if isinstance(found, tuple) else made[0]})

        return replaced

    places: list[Place] = []
    for number, (label, entry) in enumerate(zip(labels, entries)):
        seen[label] = seen.get(label, 0) + 1
        places.append((f"{label}{seen[label]}" if counts[label] > 1 else label, entry, put(number)))
    return places


def _entry(part: Any) -> Entry:
    """The entry in a term of a loss, in a pair of an input and a normalization, or itself."""
    entry: Entry = part.measure if isinstance(part, Term) else part[1] if isinstance(part, tuple) else part
    return entry


def _holding(part: Any, entry: Entry) -> Any:
    if isinstance(part, Term):
        return part.model_copy(update={"measure": entry})
    return (part[0], entry) if isinstance(part, tuple) else entry
