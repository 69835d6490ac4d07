"""Sections as the language writes them: what changed between two, in words."""

from __future__ import annotations

from typing import Any

from netspec.recipe.entry import Entry
from netspec.recipe.section import Section, Term

_LABELS = ("name", "origin", "origins")


def settings(section: Section) -> dict[str, str]:
    """The settings of a section that say something, by name, each spelled: `{"optimizer": "sgd(lr = 0.1)", "batch": "64"}`."""
    fields = Section.model_fields
    given = {name: getattr(section, name) for name in fields if name not in _LABELS}
    return {name: _setting(name, value) for name, value in given.items() if value != fields[name].get_default()}


def _setting(name: str, value: Any) -> str:
    if name == "loss":
        return " + ".join(map(spell, value))
    if name == "schedule":
        return " then ".join(map(spell, value))
    if value and isinstance(value, tuple) and isinstance(value[0], tuple):
        rows = [(key, spell(item)) for key, item in value]
        return "{ " + ", ".join(f"{key}: {item}" if key else item for key, item in rows) + " }"
    return spell(value)


def spell(value: Any) -> str:
    """An entry, a term of a loss, or a plain value."""
    if isinstance(value, Entry):
        return _call(value, [])
    if isinstance(value, Term):
        factor = "" if value.factor == 1 else f"{value.factor:g} * "
        return factor + _call(value.measure, [reference.name for _, reference in value.tensors])
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and float(f"{value:g}") == value:
        return f"{value:g}"
    return f"[{', '.join(map(spell, value))}]" if isinstance(value, tuple) else str(value)


def _call(entry: Entry, tensors: list[str]) -> str:
    fields = type(entry).model_fields
    given = {name: getattr(entry, name) for name in fields}
    shown = [f"{name} = {spell(value)}" for name, value in given.items() if value != fields[name].get_default()]
    return f"{entry.NAME}({', '.join(tensors + shown)})" if tensors or shown else entry.NAME
