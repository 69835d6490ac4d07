"""Constants that differ between the instances of a block become parameters of its class.

A constant has a column: its value in each instance. A column that the spec has a word for (an argument of the block, or
a multiple of one) is written with that word; any other gets a name from torch's argument.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Iterable

from netspec.backends.torch_source.form import UNKNOWN, Form, Literal, Operation, Parameter
from netspec.backends.torch_source.naming import identifier, unique
from netspec.backends.torch_source.torch_names import CHANNELS

Column = tuple[Any, ...]

#: Arguments of blocks that never count channels.
_NEVER_CHANNELS = frozenset("stride kernel kernel_size padding dilation p dropout depth".split())
#: The factors that are tried before a column gets a parameter of its own.
_FACTORS = range(2, 17)


def _spelled(column: Column) -> tuple[str, ...]:
    return tuple(repr(value) for value in column)


def _agrees(values: Column, column: Column) -> bool:
    """Whether a column says what `values` say, wherever they are known. `1`, `1.0` and `True` differ."""
    return all(value is UNKNOWN or repr(value) == repr(other) for value, other in zip(values, column))


def _whole(column: Column) -> bool:
    return all(type(value) is int or value is UNKNOWN for value in column)


@dataclass(slots=True)
class Lifting:
    """The parameters of one class while its columns are read.

    `arguments` are the columns of the block's own arguments.
    """

    arguments: dict[str, Column]
    taken: set[str] = field(default_factory=set)
    columns: dict[str, Column] = field(default_factory=dict)
    channels: set[str] = field(default_factory=set)
    usual: dict[str, str] = field(default_factory=dict)
    _known: dict[tuple[Any, ...], Form] = field(default_factory=dict)
    _words: dict[str, str] = field(default_factory=dict)

    def lift(self, column: list[Literal]) -> Form:
        """What stands in the class for a constant that is `column` in its instances."""
        values = tuple(literal.value for literal in column)
        first = next((literal for literal in column if literal.value is not UNKNOWN), column[0])
        if _agrees(values, (first.value,) * len(values)):
            return first
        channels = first.hint in CHANNELS or first.hint in self.channels
        key = (_spelled(values), channels)
        if key not in self._known:
            self._known[key] = self._find(values, first.hint, channels) or self._new(values, first)
        form = self._known[key]
        self._note(form, channels, first.usual)
        return form

    def _find(self, values: Column, hint: str, channels: bool) -> Form | None:
        """The column in words that there are: of the spec, or of a parameter that the class has already."""
        return self._exactly(values, hint, channels) or self._computed(values, channels)

    def _note(self, form: Form, channels: bool, usual: str) -> None:
        """Remember that a parameter counts channels, and what torch takes where it is not given."""
        if isinstance(form, Parameter) and usual:
            self.usual.setdefault(form.name, usual)
        while isinstance(form, Operation):
            form = form.left if isinstance(form.right, Literal) else form.right
        if channels and isinstance(form, Parameter):
            self.channels.add(form.name)

    def _fitting(self, channels: bool) -> dict[str, Column]:
        return {n: c for n, c in self.arguments.items() if not (channels and n in _NEVER_CHANNELS)}

    def _exactly(self, values: Column, hint: str, channels: bool) -> Form | None:
        """An argument or a parameter with this very column."""
        fitting = self._fitting(channels)
        for name in sorted(fitting, key=lambda n: (n != hint, not hint.startswith(n))):
            if _agrees(values, fitting[name]):
                return self._argument(name)
        for name, column in self.columns.items():
            if UNKNOWN in values and (name in self.channels) == channels and _agrees(values, column):
                return Parameter(name)
        return None

    def _computed(self, values: Column, channels: bool) -> Form | None:
        """A small formula of an argument, or a multiple of a parameter."""
        if not _whole(values):
            return None
        whole = {name: column for name, column in self._fitting(channels).items() if _whole(column)}
        for name, column in whole.items():
            found = _scaled(values, column)
            if found is not None and (channels or name not in self.channels):
                return found(self._argument(name))
        return (self._product(values, whole) or self._of_parameter(values)) if channels else None

    def _product(self, values: Column, whole: dict[str, Column]) -> Form | None:
        """An argument times an argument or a parameter: `expand * in_channels`."""
        for name, column in whole.items():
            others = {n: c for n, c in {**whole, **self.columns}.items() if n != name and _whole(c)}
            for other, more in others.items():
                if _agrees(values, tuple(a * b for a, b in zip(column, more))):
                    right = Parameter(other) if other in self.columns else self._argument(other)
                    return Operation("*", self._argument(name), right)
        return None

    def _of_parameter(self, values: Column) -> Form | None:
        """A multiple of a parameter that other columns have asked for."""
        for name, column in self.columns.items():
            if name in self.channels and _whole(column):
                for factor in _FACTORS:
                    if _agrees(values, tuple(factor * value for value in column)):
                        return Operation("*", Literal(factor), Parameter(name))
        return None

    def _argument(self, name: str) -> Form:
        if name not in self._words:
            self._words[name] = unique(identifier(name, "argument"), self.taken)
            self.columns[self._words[name]] = self.arguments[name]
        return Parameter(self._words[name])

    def _new(self, values: Column, first: Literal) -> Form:
        name = unique(identifier(first.hint, "size"), self.taken)
        self.columns[name] = tuple(first.value if value is UNKNOWN else value for value in values)
        return Parameter(name)

    def parameters(self) -> list[str]:
        """The parameters in the order of the constructor: what comes in, then the spec's words, then the rest; those with
        a default at the end."""
        words = [self._words[name] for name in self.arguments if name in self._words]
        new = [name for name in self.columns if name not in words]
        into = [name for name in new if name.startswith("in_") or name in ("num_features", "num_channels")]
        order = into + words + [name for name in new if name not in into]
        defaults = self.defaults()
        return sorted(order, key=lambda name: name in defaults)

    def defaults(self) -> dict[str, Any]:
        """What a parameter is where a call does not say: torch's default for the argument that it stands for."""
        found = {}
        for name, usual in self.usual.items():
            for value in self.columns[name]:
                if repr(value) == usual:
                    found[name] = value
        return found


def _scaled(values: Column, column: Column) -> Callable[[Form], Form] | None:
    """How `values` follow from one argument: `k * a`, `a // 2`, `a - 1`; None where they do not."""
    for factor in _FACTORS:
        if _agrees(values, tuple(factor * value for value in column)):
            return lambda argument: Operation("*", Literal(factor), argument)
    if _agrees(values, tuple(value // 2 for value in column)):
        return lambda argument: Operation("//", argument, Literal(2))
    if _agrees(values, tuple(value - 1 for value in column)):
        return lambda argument: Operation("-", argument, Literal(1))
    return None


def annotation(values: Iterable[Any]) -> str:
    """The type of a parameter that takes these values; `float` says `int` too."""
    kinds = dict.fromkeys(_annotation(value) for value in values)
    return " | ".join(kind for kind in kinds if kind != "int" or "float" not in kinds)


def _annotation(value: Any) -> str:
    if value is None:
        return "None"
    if not isinstance(value, tuple):
        return type(value).__name__
    inside = [_annotation(item) for item in value]
    if len(inside) > 3 and len(set(inside)) == 1:
        return f"tuple[{inside[0]}, ...]"
    return f"tuple[{', '.join(inside)}]" if inside else "tuple[()]"
