"""An input of several numbers out of as many columns of a table: `x0`, `x1`, …, or all columns of numbers that nothing else takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from netspec.diagnostics.model import Refusal
from netspec.record import record
from netspec.training.data.classes import classes_of
from netspec.training.data.conversion import Conversion
from netspec.training.data.need import Form, Need
from netspec.training.data.options import Options
from netspec.training.data.raw import Gathered, Raw
from netspec.training.data.source import Source
from netspec.training.data.table import Column


@record
class Part:
    """One column of those that make an input: its name, and its classes if it is one-hot."""

    name: str
    raw: Raw
    classes: tuple[Any, ...] | None = None

    @property
    def width(self) -> int:
        """How many numbers it gives."""
        return 1 if self.classes is None else len(self.classes)


def gathered(source: Source, need: Need, needs: Sequence[Need], options: Options) -> Raw | None:
    """The column [N, k] for a need of that shape out of columns of a table, or None where they do not make one. With
    `columns = {"x": "age+fare"}` it is made of those that are named."""
    form = need.forms[0]
    if len(form.shape) != 2 or form.kind not in ("float", "integer", "share"):
        return None
    named = options.columns.get(need.name, "").split("+") if options.columns.get(need.name) else numbered(source, need.name)
    if named and not all(name in source.columns for name in named):
        return None
    names = named or (_left(source, needs, options) if need.is_input and _alone(source, needs, options) else [])
    parts = [Part(name, source.columns[name], _classes(source, name, options)) for name in names]
    wide = form.shape[1]
    if not parts or (isinstance(wide, int) and sum(part.width for part in parts) != wide):
        return None
    numbers = np.concatenate([_numbers(source, part, need, form) for part in parts], axis=1)
    return Gathered(numbers, {part.name: part.classes for part in parts if part.classes is not None})


def numbered(source: Source, name: str) -> list[str]:
    """`x0`, `x1`, …; or `x.0`, `x.1`, …; or `x_0`, `x_1`, …: as many as there are."""
    for between in ("", ".", "_"):
        names = [f"{name}{between}0"]
        while names[-1] in source.columns:
            names.append(f"{name}{between}{len(names)}")
        if len(names) > 1:
            return names[:-1]
    return []


def _alone(source: Source, needs: Sequence[Need], options: Options) -> bool:
    """Whether one input alone has no column of its own: it may take what is left."""
    return (
        sum(n.is_input and options.columns.get(n.name, n.name) not in source.columns and not numbered(source, n.name) for n in needs) == 1
    )


def _left(source: Source, needs: Sequence[Need], options: Options) -> list[str]:
    """The columns of numbers, and the one-hot ones, that no other need takes, in their order."""
    taken = {options.columns.get(need.name, need.name) for need in needs}
    taken |= {name for need in needs for name in numbered(source, need.name)}
    return [
        n for n, raw in source.columns.items() if n not in taken and raw.sample == () and (raw.dtype.kind in "fiub" or n in options.one_hot)
    ]


def _classes(source: Source, name: str, options: Options) -> tuple[Any, ...] | None:
    return classes_of(source.columns[name], name, name, options) if name in options.one_hot else None


def _numbers(source: Source, part: Part, need: Need, form: Form) -> np.ndarray:
    """One column as [N, 1], one-hot as [N, classes]."""
    hot = part.classes is not None
    if not hot and part.raw.dtype.kind not in "fiub":
        raise Refusal(
            "NS803", f"`{part.name}` of {source.where} holds strings", helps=(f'`one_hot = ["{part.name}"]` makes numbers of them',)
        )
    conversion = Conversion(form.dtype, None if hot else 1, classes=part.classes, hot=hot)
    column = Column(part.name, part.raw, need, form, conversion, f"`{part.name}` of {source.where}")
    return column.converted(part.raw.read(np.arange(len(part.raw))))
