"""The space that a sweep searches: what every searched name means, and whether it can have what its range holds.

A name is a parameter of the net (`width`), a setting of the section (`batch`), or an argument of one of its entries by a path
(`optimizer.lr`, `schedule.cosine.epochs`, `cosine.epochs`, `schedule.0.epochs`, `clip.most`, `rates.fc`); what is none of these
is an argument of the optimizer (`lr`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterable, Literal, Mapping

from netspec.diagnostics.model import Refusal, SpecError
from netspec.diagnostics.nearest import suggestion
from netspec.recipe.entry import Entry
from netspec.recipe.section import Section, Term
from netspec.recipe.settings import Int, Log, Uniform
from netspec.record import record
from netspec.training import sections
from netspec.training.sweep.ranges import Range, between, shown, spelled, values

if TYPE_CHECKING:
    from netspec.syntax import tree
    from netspec.training.sweep.spec import Spec

#: settings that a name may mean as a whole
PLAIN = ("batch", "epochs", "accumulate", "seed", "no_decay", "freeze", "only", "one_hot", "split", "precision", "compile")
#: settings that are made of entries
ENTRIES = ("optimizer", "schedule", "loss", "metrics", "augment", "normalize", "weights", "stop", "clip", "max_norm", "scale_lr")
#: how many values of a range are held against the setting before the first trial
PROBES = 64


@record
class Target:
    """What a name means: a parameter of the net, a whole setting, a row of `rates`, or the argument `field` of entry `number` of a
    setting. `path` is the name that `sections.override` knows it by, or the parameter's."""

    kind: Literal["parameter", "setting", "row", "argument"]
    path: str
    setting: str = ""
    number: int = 0
    field: str = ""


@record
class Searched:
    """One axis of the space: the name as it was written, the range, and what the name means."""

    name: str
    range: Range
    target: Target


Space = tuple[Searched, ...]


def split_values(space: Iterable[Searched], drawn: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Values by searched name as the net's parameters, and as other values for the section's settings (`sections.overridden`)."""
    parameters = {one.target.path: drawn[one.name] for one in space if one.target.kind == "parameter"}
    settings = {one.target.path: drawn[one.name] for one in space if one.target.kind != "parameter"}
    return parameters, settings


def with_values(section: Section, settings: Mapping[str, Any]) -> Section:
    """The section with other values by `sections.override`'s names, in whatever order they are possible one after the other.

    Raises `Refusal` (NS353) where the section cannot have them together.
    """
    waiting = dict(settings)
    while waiting:
        refused: dict[str, Refusal] = {}
        for name, value in waiting.items():
            try:
                section = sections.override(section, name, value)
            except Refusal as refusal:
                refused[name] = refusal
        if len(refused) == len(waiting):
            raise next(iter(refused.values()))
        waiting = {name: waiting[name] for name in refused}
    return section


# --------------------------------------------------------------------------------------------------- what a name means
def space_of(
    section: Section, given: Mapping[str, Range], parameters: Mapping[str, "tree.Parameter"], fixed: Iterable[str] = ()
) -> Space:  # fmt: skip
    """The space of a section: its `search` table, with the ranges of the command line in place of its own, and without what the
    command line has a value for: `fixed` are such names.

    Raises `Refusal`: NS831 where there is nothing to search, NS832 for a name that nothing has, or that is both given and searched.
    """
    ranges = {**dict(section.search), **given}
    settled = {target_of(section, name, parameters).path for name in fixed}
    every = [Searched(name, range_, target_of(section, name, parameters)) for name, range_ in ranges.items()]
    found = tuple(one for one in every if one.target.path not in settled)
    twice = next((one.name for one in every if one.target.path in settled and one.name in given), None)
    if twice is not None:
        raise Refusal("NS832", f"`{twice}` is given a value, and searched", helps=("do one of the two",), status=2)
    if not found:
        helps = ("write `search { lr: log(1e-4, 1) }` in the section, or give `--search 'lr=log(1e-4, 1)'`",)
        raise Refusal("NS831", "the section searches nothing", notes=_written(section, "search"), helps=helps, status=2)
    for number, one in enumerate(found):
        twin = next((other for other in found[:number] if other.target.path == one.target.path), None)
        if twin is not None:
            raise Refusal("NS832", f"`{twin.name}` and `{one.name}` are the same setting", notes=_written(section, "search"), status=2)
    return found


def target_of(section: Section, name: str, parameters: Iterable[str] = ()) -> Target:
    """What a searched name means. Raises `Refusal` (NS832) for one that means nothing, or several things."""
    known = list(parameters)
    if name in known:
        return Target("parameter", name)
    if name in PLAIN:
        return Target("setting", name, name)
    head, _, rest = name.partition(".")
    if head == "rates" and rest:
        return Target("row", name, "rates", field=rest)
    named = _arguments(section)
    found = named.get(name, [])
    if len(found) == 1:
        return found[0]
    notes = _written(section, "search")
    if found:
        helps = (f"name one: {', '.join(target.path for target in found)}",)
        raise Refusal("NS832", f"`{name}` could be any of several", notes=notes, helps=helps, status=2)
    every = [*known, *named, *PLAIN]
    shortest = list(dict.fromkeys([*known, *PLAIN, *sections.names(section), *(n for n in named if "." not in n)]))
    hints = (*suggestion(name, every), f"there are {', '.join(shortest)}")
    raise Refusal("NS832", f"neither the section nor the net has `{name}`", notes=notes, helps=hints, status=2)


def _arguments(section: Section) -> dict[str, list[Target]]:
    """The arguments of a section's entries by every name that they have."""
    found: dict[str, list[Target]] = {}
    for setting in ENTRIES:
        for number, (label, entry) in enumerate(entries(section, setting)):
            for field in type(entry).model_fields:
                target = Target("argument", f"{setting}.{label}.{field}", setting, number, field)
                spellings = [target.path, f"{setting}.{field}", f"{label}.{field}", f"{setting}.{number}.{field}"]
                for spelling in dict.fromkeys(spellings + [field] * (setting == "optimizer")):
                    found.setdefault(spelling, []).append(target)
    return found


def entries(section: Section, setting: str) -> list[tuple[str, Entry]]:
    """The entries of a setting in order, each with its label: its name, numbered from 1 where there are several of that name."""
    value = getattr(section, setting)
    parts = list(value) if isinstance(value, tuple) else [] if value is None else [value]
    bare = [part.measure if isinstance(part, Term) else part[1] if isinstance(part, tuple) else part for part in parts]
    labels = [part[0] if isinstance(part, tuple) else entry.NAME for part, entry in zip(parts, bare)]
    numbered = [f"{label}{labels[: n + 1].count(label)}" if labels.count(label) > 1 else label for n, label in enumerate(labels)]
    return list(zip(numbered, bare))


def _written(section: Section, setting: str) -> tuple[str, ...]:
    """A note on where a section's table stands."""
    origin = section.where(setting) or section.origin
    return (f"it is written at {origin.file}:{origin.line}",) if origin else ()


# ------------------------------------------------------------------------------------------------------------- checking
def check_space(space: Space, spec: "Spec", module: "tree.Module", section: Section) -> None:
    """Hold every range against what it is for, before any trial is run.

    A setting must take all values that are probed: the ends of a continuous range and one between, of others as many as `PROBES`.
    A net may be impossible for some values (its trials then fail), not for the first, the middle and the last of all. Raises
    `Refusal` (NS833) for a setting, `SpecError` for the net.
    """
    for one in space:
        if one.target.kind != "parameter":
            _check_setting(one, space, section)
    searched = [one for one in space if one.target.kind == "parameter"]
    failures: list[SpecError] = []
    for part in (0.0, 0.5, 1.0) if searched else ():
        try:
            spec.graph({one.target.path: between(one.range, part) for one in searched}, module)
            return
        except SpecError as failure:
            failures.append(failure)
    if failures:
        raise failures[0]


def _check_setting(one: Searched, space: Space, section: Section) -> None:
    for value in probes(one.range):
        try:
            sections.override(section, one.target.path, value)
        except Refusal as refusal:
            if _fits_beside_others(one, value, space, section):
                continue
            reason = refusal.diagnostic
            message = f"`{one.name}: {shown(one.range)}` holds `{spelled(value)}`, which `{one.target.path}` cannot be"
            helps = list(reason.helps)
            if isinstance(one.range, (Log, Uniform)) and isinstance(value, float) and "whole" in reason.message:
                helps.insert(0, f"search whole numbers: `int({one.range.low:.0f}, {one.range.high:.0f})`")
            raise Refusal("NS833", message, notes=(reason.message, *_written(section, "search")), helps=tuple(helps), status=2) from None


def _fits_beside_others(one: Searched, value: Any, space: Space, section: Section) -> bool:
    """Whether an entry can have a value with some value of another argument of it that is searched (`nesterov`, with a momentum)."""
    for other in space:
        if other is one or (other.target.setting, other.target.number) != (one.target.setting, one.target.number):
            continue
        for beside in probes(other.range):
            try:
                with_values(section, {other.target.path: beside, one.target.path: value})
                return True
            except Refusal:
                continue
    return False


def probes(range_: Range) -> tuple[Any, ...]:
    """Some values of a range, its first and last among them, and of a continuous one some that are not whole."""
    if isinstance(range_, Int):
        return tuple(dict.fromkeys(between(range_, part) for part in (0, 0.5, 1)))
    found = values(range_)
    if found is None:
        return tuple(dict.fromkeys(between(range_, part) for part in (0, 0.31, 0.5, 0.77, 1)))
    return found if len(found) <= PROBES else (*found[: PROBES - 1], found[-1])
