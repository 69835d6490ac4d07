"""The form of a class before it is text: expressions in which every constant is a leaf that can be compared and lifted.

Terms (`netspec.terms`) say what one operator is. Here they have become expressions of one class's `__init__` and
`forward`: inputs are numbered local variables, submodules are paths from `self`, sizes are axes of local variables.
So two instances of a block have equal forms exactly where one class can serve both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Callable, Iterator, Union


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant: number, string, None, or a tuple of constants.

    `hint` is what torch calls the argument that it stands for, `usual` the spelling of that argument's default, if any.
    """

    value: Any
    hint: str = ""
    usual: str = ""

    @property
    def spelling(self) -> str:
        """What tells constants apart: `1`, `1.0` and `True` are three."""
        return repr(self.value)


class _Unknown:
    def __repr__(self) -> str:
        return "UNKNOWN"


#: The value of a constant inside a layer that an instance does not have.
UNKNOWN: Any = _Unknown()


@dataclass(frozen=True, slots=True)
class Text:
    """Source text of the generator's own making that never varies: `nn.Conv2d`, a class's name, a label as a string."""

    source: str


@dataclass(frozen=True, slots=True)
class ClassName:
    """The name of a class of the file, by number; names are given when all classes are known."""

    number: int


@dataclass(frozen=True, slots=True)
class Local:
    """A variable of `forward`, by number: the inputs first, then what the steps compute."""

    index: int


@dataclass(frozen=True, slots=True)
class Extent:
    """How long an axis of a variable is: `x.shape[2]`."""

    local: int
    axis: int


@dataclass(frozen=True, slots=True)
class Child:
    """What stands under a dotted label in the class's own module: `self.layer1`, `self.dec[0]`."""

    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the class's constructor: `width` in `__init__`, `self.width` in `forward`."""

    name: str


@dataclass(frozen=True, slots=True)
class Apply:
    """`function(*arguments, **keywords)`. `defaults` says what keywords mean that are not written."""

    function: "Form"
    arguments: tuple["Form", ...] = ()
    keywords: tuple[tuple[str, "Form"], ...] = ()
    defaults: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Dot:
    """`value.name`."""

    value: "Form"
    name: str


@dataclass(frozen=True, slots=True)
class Operation:
    """`left sign right`."""

    sign: str
    left: "Form"
    right: "Form"


@dataclass(frozen=True, slots=True)
class Item:
    """`value[index]`."""

    value: "Form"
    index: "Form"


@dataclass(frozen=True, slots=True)
class Slice:
    """`start:stop:step` inside an index; None where nothing is written."""

    start: "Form | None"
    stop: "Form | None"
    step: "Form | None"


@dataclass(frozen=True, slots=True)
class Sequence:
    """`(items)`, `[items]`."""

    items: tuple["Form", ...]
    bracket: str = "("


@dataclass(frozen=True, slots=True)
class Table:
    """`{key: value}` with keys that never vary."""

    items: tuple[tuple[str, "Form"], ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """`*[item for _ in range(count)]`."""

    item: "Form"
    count: "Form"


@dataclass(frozen=True, slots=True)
class Members:
    """A module made member by member: a bare `nn.Module()` whose members are set one after the other."""

    items: tuple[tuple[str, "Form"], ...]


@dataclass(frozen=True, slots=True)
class Scan:
    """A module called step by step: a statement, not an expression.

    `arguments` are those of `cell` in its order, called `names` there; their `roles` are `step` (taken apart along `axis`), `same`
    (given to every step), or `state`, for which the argument is the value to start with. `results` says of each result which
    state it is the next value of; an empty name is stacked.
    """

    cell: "Form"
    arguments: tuple["Form", ...]
    names: tuple[str, ...]
    roles: tuple[str, ...]
    results: tuple[str, ...]
    axis: int
    reverse: bool


Form = Union[
    Literal, Text, ClassName, Local, Extent, Child, Parameter, Apply, Dot, Operation, Item, Slice, Sequence, Table, Repeat, Members, Scan
]  # fmt: skip


def parts(form: Form) -> tuple[Form, ...]:
    """The forms directly inside, in the order in which they are written."""
    if isinstance(form, Apply):
        return (form.function, *form.arguments, *(value for _, value in form.keywords))
    if isinstance(form, Dot):
        return (form.value,)
    if isinstance(form, Operation):
        return (form.left, form.right)
    if isinstance(form, Item):
        return (form.value, form.index)
    if isinstance(form, Slice):
        return tuple(part for part in (form.start, form.stop, form.step) if part is not None)
    if isinstance(form, Sequence):
        return form.items
    if isinstance(form, (Table, Members)):
        return tuple(value for _, value in form.items)
    if isinstance(form, Repeat):
        return (form.item, form.count)
    if isinstance(form, Scan):
        return (form.cell, *form.arguments)
    return ()


def rebuild(form: Form, inside: tuple[Form, ...]) -> Form:
    """The same form around other parts, as many as `parts` gave."""
    if isinstance(form, Apply):
        split = 1 + len(form.arguments)
        keywords = tuple((name, value) for (name, _), value in zip(form.keywords, inside[split:]))
        return replace(form, function=inside[0], arguments=inside[1:split], keywords=keywords)
    if isinstance(form, Dot):
        return replace(form, value=inside[0])
    if isinstance(form, Operation):
        return replace(form, left=inside[0], right=inside[1])
    if isinstance(form, Item):
        return replace(form, value=inside[0], index=inside[1])
    if isinstance(form, Slice):
        rest = iter(inside)
        return Slice(*(None if part is None else next(rest) for part in (form.start, form.stop, form.step)))
    if isinstance(form, Sequence):
        return replace(form, items=inside)
    if isinstance(form, (Table, Members)):
        return replace(form, items=tuple((name, value) for (name, _), value in zip(form.items, inside)))
    if isinstance(form, Repeat):
        return replace(form, item=inside[0], count=inside[1])
    if isinstance(form, Scan):
        return replace(form, cell=inside[0], arguments=inside[1:])
    return form


def transform(form: Form, change: Callable[[Form], Form]) -> Form:
    """`change` applied to every form inside, innermost first, then to the whole."""
    inside = parts(form)
    return change(rebuild(form, tuple(transform(part, change) for part in inside)) if inside else form)


def walk(form: Form) -> Iterator[Form]:
    """The form and everything inside, outermost first, in the order in which it is written."""
    yield form
    for part in parts(form):
        yield from walk(part)


def used(form: Form) -> list[int]:
    """The variables that a form reads, once for each time."""
    return [p.index if isinstance(p, Local) else p.local for p in walk(form) if isinstance(p, (Local, Extent))]


def exact(form: Any) -> str:
    """A text that is equal for equal forms alone (`==` takes 1 for True)."""
    return repr(form)


def skeleton(form: Form) -> Any:
    """The form without its constants and without keywords that have a default: equal where one class can serve both."""
    if isinstance(form, Literal):
        return "literal"
    if isinstance(form, Repeat):  # once is a number of times, too
        return skeleton(form.item)
    form = _without_defaulted(form)
    inside = tuple(skeleton(part) for part in parts(form))
    if isinstance(form, Apply):
        return ("Apply", len(form.arguments), tuple(name for name, _ in form.keywords), inside)
    if isinstance(form, (Table, Members)):
        return (type(form).__name__, tuple(name for name, _ in form.items), inside)
    if isinstance(form, Scan):
        return ("Scan", form.names, form.roles, form.results, form.axis, form.reverse, inside)
    if isinstance(form, Slice):
        return ("Slice", form.start is None, form.stop is None, form.step is None, inside)
    fixed = {Dot: "name", Operation: "sign", Sequence: "bracket"}.get(type(form))  # type: ignore[arg-type]
    return (type(form).__name__, getattr(form, fixed) if fixed else None, inside) if inside or fixed else exact(form)


def _without_defaulted(form: Form) -> Form:
    if not isinstance(form, Apply) or not form.defaults:
        return form
    free = dict(form.defaults)
    return replace(form, keywords=tuple((n, v) for n, v in form.keywords if n not in free or not isinstance(v, Literal)))


def align(forms: list[Form]) -> list[Form]:
    """The same forms with the same keywords: what one of them leaves to its default is written out where another says it."""
    if any(isinstance(form, Repeat) for form in forms):
        forms = [form if isinstance(form, Repeat) else Repeat(form, Literal(1, "depth")) for form in forms]
    first = forms[0]
    if isinstance(first, Literal) or not parts(first):
        return forms
    if isinstance(first, Apply):
        forms = _with_all_keywords(forms)  # type: ignore[arg-type]
    columns = [align(list(column)) for column in zip(*(parts(form) for form in forms))]
    return [rebuild(form, tuple(column[i] for column in columns)) for i, form in enumerate(forms)]


def _with_all_keywords(forms: list[Apply]) -> list[Form]:
    longest = max(forms, key=lambda form: len(form.keywords))
    order = list(dict.fromkeys([n for n, _ in longest.keywords] + [n for form in forms for n, _ in form.keywords]))
    aligned: list[Form] = []
    for form in forms:
        written, free = dict(form.keywords), dict(form.defaults)
        keywords = tuple((name, written[name] if name in written else Literal(free[name], name, repr(free[name]))) for name in order)
        aligned.append(replace(form, keywords=keywords))
    return aligned


def constants(form: Form) -> list[Literal]:
    """Every constant inside, in order. Aligned forms of one skeleton have as many."""
    return [part for part in walk(form) if isinstance(part, Literal)]


def with_constants(form: Form, values: Iterator[Form]) -> Form:
    """The form with each constant replaced by the next of `values`, in the order of `constants`."""
    if isinstance(form, Literal):
        return next(values)
    inside = parts(form)
    return rebuild(form, tuple(with_constants(part, values) for part in inside)) if inside else form
