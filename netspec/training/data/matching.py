"""Which column of the data is which of the spec: by name, or by the names that the caller gave. Nothing is guessed; what would fit
is said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from netspec.diagnostics.model import Refusal
from netspec.diagnostics.nearest import suggestion
from netspec.sizes.dim import Dim
from netspec.training.data.classes import classes_of
from netspec.training.data.conversion import Conversion, plan
from netspec.training.data.gathering import gathered
from netspec.training.data.need import LENGTHS, Form, Need, asked
from netspec.training.data.options import Options
from netspec.training.data.pictures import Pictures
from netspec.training.data.raw import Raw, Stored, Uneven
from netspec.training.data.source import Source, described
from netspec.training.data.table import Column

#: of at most so many columns it is tried which would fit which
_TRIED = 8


def match(source: Source, needs: Sequence[Need], options: Options) -> dict[str, Column]:
    """A column for every need. Raises Refusal: NS801 where there is none of that name, NS802 for another shape, NS803 for another
    element type."""
    known = [need.name for need in needs]
    for name in options.columns:
        if name not in known:
            helps = suggestion(name, known) or (f"it asks for {', '.join(known)}",)
            raise Refusal("NS801", f"the spec asks for no column `{name}`", helps=helps, status=2)
    found: dict[str, Raw] = {}
    for at, need in enumerate(needs):
        raw = _named(source, need, needs, options, at)
        if raw is not None:
            found[need.name] = raw
    lacking = [need for need in needs if need.name not in found]
    if lacking and source.loose:
        for name, called in _only_way(source, lacking, _free(source, found), options).items():
            found[name] = source.columns[called]
    if len(found) < len(needs):
        raise _missing(source, needs, found, options)
    columns = {need.name: _column(source, need, found[need.name], options) for need in needs}
    _all_hot(source, columns, options)
    return {**columns, **_lengths(columns)}


def _all_hot(source: Source, columns: Mapping[str, Column], options: Options) -> None:
    """Every column that is to be one-hot is one."""
    hot = {called for name, column in columns.items() if column.conversion.hot for called in (name, options.columns.get(name, name))}
    hot |= {name for column in columns.values() for name in getattr(column.raw, "classes", ())}
    for name in options.one_hot:
        if name not in hot:
            helps = suggestion(name, source.columns) or ("it names a column of one string or whole number a sample",)
            raise Refusal("NS801", f"`{name}`, which is to be one-hot, is no column of {source.where} that training uses", helps=helps)


def _lengths(columns: Mapping[str, Column]) -> dict[str, Column]:
    """`NAME.lengths` for every column of unequal lengths, where it is not a column already."""
    form = Form("count", (Dim.name("N"),), "int64")
    return {
        f"{name}{LENGTHS}": Column(
            f"{name}{LENGTHS}", Stored(column.raw.lengths, pixels=False), Need(f"{name}{LENGTHS}", (form,)), form, Conversion("int64")
        )
        for name, column in columns.items()
        if isinstance(column.raw, Uneven) and f"{name}{LENGTHS}" not in columns
    }


def _named(source: Source, need: Need, needs: Sequence[Need], options: Options, at: int) -> Raw | None:
    """The raw column of a name, or of its place; or gathered from several of a table where they are numbered, or all that is left."""
    called = options.columns.get(need.name, need.name)
    if called in source.columns:
        return source.columns[called]
    stem = need.name.removesuffix(LENGTHS)
    if stem != need.name:
        return _length_of(source, options.columns.get(stem, stem)) if need.name not in options.columns else None
    if source.positional and not options.columns and len(source.columns) == len(needs):
        return source.columns[str(at)]
    return gathered(source, need, needs, options) if source.tabular else None


def _length_of(source: Source, called: str) -> Raw | None:
    """The lengths of a column's samples: what the data says, or the one length that all have."""
    if f"{called}{LENGTHS}" in source.columns:
        return source.columns[f"{called}{LENGTHS}"]
    raw = source.columns[called] if called in source.columns else None
    if raw is None or not raw.sample or raw.sample[0] is None:
        return None
    return Stored(np.full(len(raw), raw.sample[0], np.int64), pixels=False)


def _column(source: Source, need: Need, raw: Raw, options: Options) -> Column:
    called = options.columns.get(need.name, need.name)
    title = f"`{called}` of {source.where}"
    if isinstance(raw, Pictures):
        raw = raw.fitted(need, title)
    classes = classes_of(raw, need.name, called, options)
    hot = raw.sample == () and bool({need.name, called} & set(options.one_hot))
    reasons = []
    for form in need.forms:
        done = plan(raw, form, classes, hot)
        if isinstance(done, Conversion):
            _few_enough(title, need, form, done)
            fill = options.pad.get(need.name, form.ignore if form.kind == "index" and form.ignore is not None else 0)
            return Column(need.name, raw, need, form, done, title, fill)
        reasons.append(done)
    shaped = any("ax" in reason for reason in reasons)
    nearest = next((r for r, form in zip(reasons, need.forms) if len(form.shape) == 1 + len(raw.sample)), reasons[0])
    message = f"{title} is {described(raw)}, which does not fit {need}: {nearest}"
    raise Refusal("NS802" if shaped else "NS803", message, notes=asked(need), helps=_advice(raw, need))


def _few_enough(title: str, need: Need, form: Form, conversion: Conversion) -> None:
    """No more classes than the network tells apart."""
    count = len(conversion.classes or ())
    if form.below is not None and count > form.below and not conversion.hot:
        raise Refusal("NS805", f"{title} has {count:,} classes, and the network tells {form.below:,} apart", notes=asked(need))


def _advice(raw: Raw, need: Need) -> tuple[str, ...]:
    """How the data could be made to fit, where that is plain to see."""
    form, sample = need.forms[0], tuple(raw.sample)
    rest = form.shape[1:]
    if len(sample) == len(rest) >= 2 and plan_fits((sample[-1], *sample[:-1]), rest):
        order = ", ".join(map(str, (0, len(rest), *range(1, len(rest)))))
        return (f"channels come first: `array.transpose({order})`",)
    sizes = [size for size in rest if isinstance(size, int)]
    if None not in sample and len(sizes) == len(rest) and len(sample) != len(rest) and np.prod(sample) == np.prod(sizes):  # type: ignore[arg-type]
        return (f"reshape it: `array.reshape({', '.join(map(str, (-1, *sizes)))})`",)
    if raw.dtype.kind in "OUS" and raw.sample == ():
        return (f'a column of strings can be one-hot: `one_hot = ["{need.name}"]`',) if need.is_input else ()
    return ()


def plan_fits(sample: Sequence[int | None], rest: Sequence[Any]) -> bool:
    """Whether the shape of a sample is one that the declared axes allow."""
    return all(not isinstance(size, int) or found == size for found, size in zip(sample, rest))


def _missing(source: Source, needs: Sequence[Need], found: Mapping[str, Raw], options: Options) -> Refusal:
    lacking = [need for need in needs if need.name not in found]
    names = ", ".join(f"`{options.columns.get(need.name, need.name)}`" for need in lacking)
    readable = _readable(source)
    holds = ", ".join(f"{name} ({described(raw)})" for name, raw in list(readable.items())[:12]) or "nothing"
    helps: tuple[str, ...] = ()
    free = _free(source, found)
    written = _only_way(source, lacking, free, options)
    if written:
        helps = (f"`--column {','.join(f'{need}={name}' for need, name in written.items())}`",)
    elif len(lacking) == 1:
        helps = suggestion(lacking[0].name, free)
    notes = (f"it holds {holds}", *(note for need in lacking for note in asked(need)))
    return Refusal(
        "NS801", f"{source.where} has no column {names}", notes=notes, helps=helps or ("name columns with `--column NAME=COLUMN`",)
    )


def _free(source: Source, found: Mapping[str, Raw]) -> list[str]:
    """The columns that no need has taken by name."""
    return [name for name, raw in _readable(source).items() if not any(raw is taken for taken in found.values())]


def _readable(source: Source) -> dict[str, Raw]:
    """The columns, but for those that are refused: nobody has asked for them."""
    found = {}
    for name in source.columns:
        try:
            found[name] = source.columns[name]
        except Refusal:
            continue
    return found


def _only_way(source: Source, lacking: Sequence[Need], free: Sequence[str], options: Options) -> dict[str, str]:
    """The columns that would fit the needs that lack one, by name, if they fit in one way only."""
    if not source.loose and len(free) != len(lacking) or len(free) > _TRIED:
        return {}
    ways = _ways(source, lacking, list(free), options)
    first = next(ways, {})
    return first if next(ways, None) is None else {}


def _ways(source: Source, lacking: Sequence[Need], free: list[str], options: Options) -> Iterator[dict[str, str]]:
    if not lacking:
        yield {}
        return
    for name in free:
        if _suits(source.columns[name], lacking[0], name, options):
            for rest in _ways(source, lacking[1:], [other for other in free if other != name], options):
                yield {lacking[0].name: name, **rest}


def _suits(raw: Raw, need: Need, called: str, options: Options) -> bool:
    """Whether a column fits by shape and element type; floats are no labels here, though they might be whole."""
    if isinstance(raw, Pictures):
        return any(len(form.shape) in (3, 4) for form in need.forms)
    classes = classes_of(raw, need.name, called, options)
    return any(
        isinstance(plan(raw, form, classes, False), Conversion) and not (raw.dtype.kind == "f" and form.dtype.startswith(("int", "bool")))
        for form in need.forms
    )
