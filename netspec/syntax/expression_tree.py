"""The expressions of the syntax tree, and what all of its nodes have in common; see `tree`, which has them, too."""

from __future__ import annotations

from dataclasses import field

from netspec.record import record
from netspec.source import Place


@record
class Node:
    """Anything in the tree: it knows where it stands. Equality ignores the place, so that trees can be compared."""

    place: Place = field(compare=False, repr=False)


class Expr(Node):
    """An expression."""

    __slots__ = ()


@record
class Literal(Expr):
    """`3`, `0.1`, `"text"`, `true`, `none`. `text` is as written (a formatter must not change `1e-4`)."""

    value: int | float | bool | str | None
    text: str = field(compare=False, default="")


@record
class Name(Expr):
    """A name: of a binding, a parameter, an operator, a block, a def or an open size."""

    id: str


@record
class ListExpr(Expr):
    """`[a, b]`."""

    items: tuple[Expr, ...]


@record
class TupleExpr(Expr):
    """`(a, b)`: several tensors for an operator of several inputs, or a size an axis."""

    items: tuple[Expr, ...]


@record
class Comprehension(Expr):
    """`[item for target in over if condition]`; `targets` has one name, or several to unpack (`for i, c in …`)."""

    item: Expr
    targets: tuple[Name, ...]
    over: Expr
    condition: Expr | None = None


@record
class Range(Expr):
    """`a..b`: half-open; counts down where `a > b`. Also the inside of `e[1..3]`."""

    start: Expr
    stop: Expr


@record
class Unary(Expr):
    """`-x`, `not x`."""

    op: str
    operand: Expr


@record
class Binary(Expr):
    """`a op b` with op one of `+ - * / // % ^ == != < <= > >= and or`. `op_place` marks the operator sign."""

    op: str
    left: Expr
    right: Expr
    op_place: Place = field(compare=False, repr=False)


@record
class Concat(Expr):
    """`a ++ b ++ c`, as one operation. `op_place` marks the first `++`."""

    items: tuple[Expr, ...]
    op_place: Place = field(compare=False, repr=False)


@record
class Conditional(Expr):
    """`then if condition else otherwise`."""

    then: Expr
    condition: Expr
    otherwise: Expr


@record
class Argument(Node):
    """One argument of a call: positional where `name` is None."""

    name: str | None
    value: Expr


@record
class Call(Expr):
    """`function(arguments)`."""

    function: Expr
    arguments: tuple[Argument, ...]


@record
class Attribute(Expr):
    """`x.channels`, `f.c4`."""

    value: Expr
    name: str


@record
class Index(Expr):
    """`a[i]`, `a[1..3]`."""

    value: Expr
    index: Expr


@record
class Arrow(Expr):
    """`left -> right`: apply a layer to a tensor, or join two layers. Left-associative."""

    left: Expr
    right: Expr


@record
class Then(Expr):
    """`warmup(5) then cosine(95)` in a `train` section: one schedule after the other."""

    parts: tuple[Expr, ...]


@record
class Label(Expr):
    """`value as name`, `value as name[index]`; `value as "text {expression}"`, whose `pieces` are text or expressions, and `name` None."""

    value: Expr
    name: str | None
    index: Expr | None = None
    pieces: tuple[str | Expr, ...] = ()


@record
class ExprHole(Expr):
    """Where an expression was broken; already reported."""
