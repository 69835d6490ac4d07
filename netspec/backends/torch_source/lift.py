"""Constants that differ between the instances of a block become parameters of its class.

A constant has a column: its value in each instance. A column that the spec has a word for (an argument of the block, or
a multiple of one) is written with that word; any other gets a name from torch's argument.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Iterable

from netspec.backends.torch_source.form import Form, Literal, Operation, Parameter
from netspec.backends.torch_source.naming import identifier, unique
from netspec.backends.torch_source.torch_names import CHANNELS

Column = tuple[Any, ...]

#: Arguments of blocks that never count channels.
_NEVER_CHANNELS = frozenset("stride kernel kernel_size padding dilation p dropout depth".split())
#: The factors that are tried before a column gets a parameter of its own.
_FACTORS = range(2, 17)


def _spelled(column: Column) -> tuple[str, ...]:
    return tuple(repr(value) for value in column)


def _whole(column: Column) -> bool:
    return all(type(value) is int for value in column)


@dataclass(slots=True)
class Lifting:
    """The parameters of one class while its columns are read.

    `arguments` are the columns of the block's own arguments, `taken` the names that parameters must not have.
    """

    arguments: dict[str, Column]
    taken: set[str]
    columns: dict[str, Column] = field(default_factory=dict)
    channels: set[str] = field(default_factory=set)
    _known: dict[tuple[Any, ...], Form] = field(default_factory=dict)
    _words: dict[str, str] = field(default_factory=dict)

    def lift(self, column: list[Literal]) -> Form:
        """What stands in the class for a constant that is `column` in its instances."""
        values = tuple(literal.value for literal in column)
        hint = column[0].hint
        if len(set(_spelled(values))) == 1:
            return column[0]
        channels = hint in CHANNELS or hint in self.channels
        key = (_spelled(values), channels)
        if key not in self._known:
            self._known[key] = self._of_argument(values, hint, channels) or self._of_parameter(values, channels) or self._new(values, hint)
            self._note_channels(self._known[key], channels)
        return self._known[key]

    def _note_channels(self, form: Form, channels: bool) -> None:
        while isinstance(form, Operation):
            form = form.left if isinstance(form.right, Literal) else form.right
        if channels and isinstance(form, Parameter):
            self.channels.add(form.name)

    def _of_argument(self, values: Column, hint: str, channels: bool) -> Form | None:
        """The column in the block's own words."""
        fitting = {n: c for n, c in self.arguments.items() if not (channels and n in _NEVER_CHANNELS)}
        for name in sorted(fitting, key=lambda n: (n != hint, not hint.startswith(n))):
            if _spelled(fitting[name]) == _spelled(values):
                return self._argument(name)
        if not _whole(values):
            return None
        whole = {name: column for name, column in fitting.items() if _whole(column)}
        for name, column in whole.items():
            found = _scaled(values, column)
            if found is not None and (channels or name not in self.channels):
                return found(self._argument, name)
        return self._product(values, whole) if channels else None

    def _product(self, values: Column, whole: dict[str, Column]) -> Form | None:
        """An argument times an argument or a parameter: `expand * in_channels`."""
        for name, column in whole.items():
            others = {n: c for n, c in {**whole, **self.columns}.items() if n != name and _whole(c)}
            for other, more in others.items():
                if values == tuple(a * b for a, b in zip(column, more)):
                    right = Parameter(other) if other in self.columns else self._argument(other)
                    return Operation("*", self._argument(name), right)
        return None

    def _of_parameter(self, values: Column, channels: bool) -> Form | None:
        """A multiple of a parameter that other columns have asked for."""
        if not (channels and _whole(values)):
            return None
        for name, column in self.columns.items():
            if name in self.channels and _whole(column):
                for factor in _FACTORS:
                    if values == tuple(factor * value for value in column):
                        return Operation("*", Literal(factor), Parameter(name))
        return None

    def _argument(self, name: str) -> Form:
        if name not in self._words:
            self._words[name] = unique(identifier(name, "argument"), self.taken)
            self.columns[self._words[name]] = self.arguments[name]
        return Parameter(self._words[name])

    def _new(self, values: Column, hint: str) -> Form:
        name = unique(identifier(hint, "size"), self.taken)
        self.columns[name] = values
        return Parameter(name)

    def parameters(self) -> list[str]:
        """The parameters in the order of the constructor: what comes in, then the spec's words, then the rest."""
        words = [self._words[name] for name in self.arguments if name in self._words]
        new = [name for name in self.columns if name not in words]
        into = [name for name in new if name.startswith("in_") or name in ("num_features", "num_channels")]
        return into + words + [name for name in new if name not in into]


def _scaled(values: Column, column: Column) -> Any:
    """How `values` follow from one argument: `k * a`, `a // 2`, `a - 1`; a function that writes it, or None."""
    for factor in _FACTORS:
        if values == tuple(factor * value for value in column):
            return lambda argument, name: Operation("*", Literal(factor), argument(name))
    if values == tuple(value // 2 for value in column):
        return lambda argument, name: Operation("//", argument(name), Literal(2))
    if values == tuple(value - 1 for value in column):
        return lambda argument, name: Operation("-", argument(name), Literal(1))
    return None


def annotation(values: Iterable[Any]) -> str:
    """The type of a parameter that takes these values."""
    return " | ".join(dict.fromkeys(_annotation(value) for value in values))


def _annotation(value: Any) -> str:
    if value is None:
        return "None"
    if not isinstance(value, tuple):
        return type(value).__name__
    inside = [_annotation(item) for item in value]
    return f"tuple[{', '.join(inside)}]" if inside else "tuple[()]"
