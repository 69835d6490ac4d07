"""Operators in words: which words their arguments know, how their call is written, and what is wrong with a value."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Iterable, Literal, get_args, get_origin

from netspec import ops
from netspec.op import Operator


@lru_cache(maxsize=None)
def words_of(operator: type[Operator]) -> frozenset[str]:
    """The words that an operator's arguments know (`same`, `nearest`), written without quotes in the language."""
    found: set[str] = set()
    for field in operator.model_fields.values():
        found.update(literals(field.annotation))
    return frozenset(found)


@lru_cache(maxsize=None)
def arguments_of(operator: type[Operator]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of an operator's arguments, in order: all of them, and those that must be given."""
    fields = operator.model_fields  # asks Pydantic for them anew each time
    return tuple(fields), tuple(name for name, field in fields.items() if field.is_required())


def literals(annotation: Any) -> Iterable[str]:
    """The words that an annotation admits, wherever in it they stand."""
    if get_origin(annotation) is Literal:
        return [w for w in get_args(annotation) if isinstance(w, str)]
    return [w for part in get_args(annotation) for w in literals(part)]


@lru_cache(maxsize=None)
def all_words() -> frozenset[str]:
    """Every word that some operator knows."""
    return frozenset(word for name in ops.names() for word in words_of(ops.lookup(name)))


def signature(operator: type[Operator]) -> str:
    """An operator's call in words: `conv(channels, kernel, stride = 1, …)`."""
    if operator.SIGNATURE:
        return operator.SIGNATURE
    shown = [n if f.is_required() else f"{n} = {spell(f.default)}" for n, f in operator.model_fields.items()]
    return f"{operator.NAME}({', '.join(shown)})"


def spell(value: Any) -> str:
    """A value as the language writes it: `none`, `true`, `[1, 2]`."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return f"[{', '.join(map(spell, value))}]" if isinstance(value, (list, tuple)) else str(value)


def in_words(detail: Any, words: list[str]) -> str:
    """What a validation error of Pydantic's asks for."""
    kind = detail["type"]
    if kind in ("int_type", "int_from_float"):
        return "a whole number is needed"
    if kind in ("literal_error", "string_type") and words:
        return f"one of {', '.join(words)} is needed"
    if kind in ("float_type", "finite_number"):
        return "a number is needed"
    if kind == "bool_type":
        return "true or false is needed"
    message = str(detail["msg"])
    return message[0].lower() + message[1:]
