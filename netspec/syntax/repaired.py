"""What is made of a statement in which a bracket was put in or left out: a hole, for what it says is a guess.

The bracket has been reported; errors that come of the guess would be a second report of the same mistake.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from netspec.source import Place
from netspec.syntax import tree


def unguessed(statements: Iterable[Any], offsets: list[int]) -> list[Any]:
    """The statements, holes in the place of those that a repaired bracket stands in (`offsets`, in order). Bodies are looked
    through."""
    return [_read(statement, offsets) for statement in statements]


def _read(statement: Any, offsets: list[int]) -> Any:
    if not isinstance(statement, tree.Stmt) or not _within(statement.place, offsets):
        return statement
    if isinstance(statement, (tree.Block, tree.For)) or (isinstance(statement, tree.Net) and statement.variant is None):
        return replace(statement, body=tuple(unguessed(statement.body, offsets)))
    if isinstance(statement, tree.If):
        branches = tuple((condition, tuple(unguessed(body, offsets))) for condition, body in statement.branches)
        return replace(statement, branches=branches)
    if isinstance(statement, tree.Train):
        return replace(statement, items=tuple(_item(item, offsets) for item in statement.items))
    if isinstance(statement, (tree.Init, tree.Weights, tree.Extern, tree.Hole)):
        return statement
    return unread(statement)


def _item(item: tree.Setting | tree.Table, offsets: list[int]) -> tree.Setting | tree.Table:
    """A setting without its value, a table without its rows, where a repaired bracket stands in them."""
    if not _within(item.place, offsets):
        return item
    if isinstance(item, tree.Table):
        return replace(item, rows=tuple(row for row in item.rows if not _within(row.place, offsets)))
    return replace(item, value=tree.ExprHole(item.place))


def unread(statement: tree.Stmt) -> tree.Hole:
    """A hole in the place of a statement, which may have bound its names."""
    return tree.Hole(statement.place, tuple(_names(statement)))


def _within(place: Place, offsets: list[int]) -> bool:
    following = bisect_left(offsets, place.start)
    return following < len(offsets) and offsets[following] <= place.end


def _names(statement: tree.Stmt) -> Iterable[str]:
    """The names that a statement binds outside of its braces."""
    if isinstance(statement, tree.Bind):
        return (target.name for target in statement.targets)
    if isinstance(statement, tree.Import):
        return (alias for _, alias in statement.names)
    name = getattr(statement, "name", None)
    return (name,) if name else ()
