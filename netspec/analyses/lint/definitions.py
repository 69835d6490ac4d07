"""Lints about a file's definitions: what of them nothing reads. They look at the text, not at a network."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from netspec.analyses.lint.facts import Facts
from netspec.analyses.lint.rule import Finding, rule
from netspec.diagnostics.model import Severity
from netspec.syntax import tree


@rule("NS504", Severity.WARNING)
def unused_parameter(net: Facts) -> Iterator[Finding]:
    """A parameter of a block, def or net whose name stands nowhere in its body: not in a statement, a shape, a label, an `init`
    or `train` section, nor in the default of another parameter. (Those of an `extern` go to the code that it names.)"""
    if net.module is None:
        return
    for definition in net.module.body:
        if not isinstance(definition, (tree.Block, tree.Def, tree.Net)) or not definition.parameters:
            continue
        read = _names_in(definition)
        for parameter in definition.parameters:
            if parameter.name not in read:
                what = type(definition).__name__.lower()
                yield Finding(
                    f"nothing in the {what} `{definition.name}` reads its parameter `{parameter.name}`",
                    origin=parameter.place,
                    helps=("leave it out, also where it is given",),
                )


@rule("NS505", Severity.INFO)
def unused_definition(net: Facts) -> Iterator[Finding]:
    """A block or def that no other statement of its file names, where the file has nets. (A file without nets is a library; but
    then nothing is linted at all.)"""
    if net.module is None:
        return
    others: dict[str, int] = {}
    for statement in net.module.body:
        for name in _names_in(statement):
            others[name] = others.get(name, 0) + 1
    for definition in net.module.body:
        if isinstance(definition, (tree.Block, tree.Def)) and others.get(definition.name, 0) == (definition.name in _names_in(definition)):
            what = type(definition).__name__.lower()
            yield Finding(
                f"nothing in this file uses the {what} `{definition.name}`",
                origin=definition.place,
                helps=("use it, leave it out, or keep it in a file that others import",),
            )


@lru_cache(maxsize=512)
def _names_of(definition: _Same) -> frozenset[str]:
    return frozenset(_names_read(definition.part))


class _Same:
    """A part of a tree that equals itself alone: trees compare without their places."""

    __slots__ = ("part",)

    def __init__(self, part: tree.Node) -> None:
        self.part = part

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.part is other.part

    def __hash__(self) -> int:
        return id(self.part)


def _names_in(definition: tree.Node) -> frozenset[str]:
    """The names that a definition reads; kept, for a file is looked at once for each of its nets."""
    return _names_of(_Same(definition))


def _names_read(part: tree.Node) -> Iterator[str]:
    """Every name that stands in a part of the tree as an expression."""
    waiting: list[object] = [part]
    while waiting:
        found = waiting.pop()
        if isinstance(found, tree.Name):
            yield found.id
        elif isinstance(found, tuple) and not hasattr(found, "_fields"):
            waiting.extend(found)
        elif isinstance(found, tree.Node):
            waiting.extend(getattr(found, name) for name in found.__dataclass_fields__)
            if isinstance(found, tree.Default):
                yield found.operator
