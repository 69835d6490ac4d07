"""Which names statements bind."""

from __future__ import annotations

from typing import Iterable

from netspec.syntax import tree


def bound_names(body: Iterable[tree.Stmt]) -> Iterable[str]:
    """Every name that statements bind, in whatever branch or loop, shapes included."""
    for s in body:
        if isinstance(s, tree.Bind):
            yield from (t.name for t in s.targets)
        elif isinstance(s, (tree.LayerBind, tree.Input, tree.Def)):
            yield s.name
        elif isinstance(s, tree.Hole):
            yield from s.names
        elif isinstance(s, tree.Output) and s.name is not None:
            yield s.name
        elif isinstance(s, tree.For):
            yield from (t.id for t in s.targets)
            yield from bound_names(s.body)
        elif isinstance(s, tree.If):
            for _, inner in s.branches:
                yield from bound_names(inner)
        shape = getattr(s, "shape", None)
        if shape is not None:
            yield from (d.size.id for d in shape.dims if isinstance(d.size, tree.Name))
