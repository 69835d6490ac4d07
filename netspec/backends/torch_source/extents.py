"""Open sizes in terms of what is at hand in a `forward`: an axis of a variable, or arithmetic on such.

Never a number from the time of writing: the source must run, trace and export at every size that the spec allows.
"""

from __future__ import annotations

import ast

from netspec.backends.torch_source.form import Apply, Extent, Form, Literal, Local, Operation, Text
from netspec.sizes.dim import Dim, Size, names, parse, show, substitute

_SIGNS: dict[type, str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**"}
#: by what axes are multiplied and divided
_FACTORS = (2, 3, 4, 5, 6, 7, 8, 12, 14, 16)
_FUNCTIONS = {"min": Text("torch.sym_min"), "max": Text("torch.sym_max")}


class Extents:
    """The sizes that can be read off the variables that a `forward` has so far."""

    def __init__(self) -> None:
        self._known: dict[Dim, Form] = {}

    def add(self, local: int, shape: tuple[Size, ...]) -> None:
        """The variable `local` is at hand from here on; what was at hand before is preferred."""
        for axis, size in enumerate(shape):
            if not isinstance(size, int):
                self._known.setdefault(size, Extent(local, axis))

    def add_size(self, local: int, size: Dim) -> None:
        """The variable `local` is an int that holds `size`."""
        self._known[size] = Local(local)

    def find(self, size: Size, near: tuple[tuple[int, tuple[Size, ...]], ...] = ()) -> Form | None:
        """The size as an expression; None where it does not follow from what is known.

        `near` are variables and shapes to be preferred, such as the inputs of the operator that asks.
        """
        if isinstance(size, int):
            return Literal(size, "size")
        axes = _axes(near)
        found = axes.get(size) or self._known.get(size) or _related(size, axes) or self._compute(_parsed(size), near)
        return found or _related(size, self._axes())

    def _compute(self, node: ast.expr, near: tuple[tuple[int, tuple[Size, ...]], ...]) -> Form | None:
        """The expression that `show` wrote, its parts looked up where they are known."""
        if isinstance(node, ast.Constant):
            return Literal(node.value, "size")
        if isinstance(node, ast.UnaryOp):
            inner = self._compute(node.operand, near)
            return inner and Operation("*", Literal(-1), inner)
        if isinstance(node, ast.BinOp):
            sides = [self._look_up(side, near) for side in (node.left, node.right)]
            return Operation(_SIGNS[type(node.op)], *sides) if None not in sides else None  # type: ignore[arg-type]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found = [self._look_up(argument, near) for argument in node.args]
            return None if None in found else _nest(_FUNCTIONS[node.func.id], found)  # type: ignore[arg-type]
        return self._invert(node.id) if isinstance(node, ast.Name) else None

    def _look_up(self, node: ast.expr, near: tuple[tuple[int, tuple[Size, ...]], ...]) -> Form | None:
        if isinstance(node, ast.Constant):
            return Literal(node.value, "size")
        size = parse(ast.unparse(node).replace("**", "^"))
        if not isinstance(size, int):
            axes = _axes(near)
            found = axes.get(size) or self._known.get(size) or _related(size, axes)
            if found is not None:
                return found
            return self._compute(node, near) or _related(size, self._axes())
        return self._compute(node, near)

    def _axes(self) -> dict[Size, Extent]:
        """All axes that are at hand."""
        return {size: form for size, form in self._known.items() if isinstance(form, Extent)}

    def _invert(self, name: str) -> Form | None:
        """A name that stands only inside axes such as `2 * H + 1`: `(axis - 1) // 2`."""
        variable = Dim.name(name)
        for size, form in self._known.items():
            if names(size) != {name}:
                continue
            try:
                offset = substitute(size, {name: 0})
                factor = substitute(size, {name: 1}) - offset
            except ZeroDivisionError:  # `8 // H` is no multiple of H
                continue
            if isinstance(factor, int) and factor > 0 and factor * variable + offset == size:
                if offset:
                    form = Operation("-", form, Literal(offset))
                return Operation("//", form, Literal(factor)) if factor != 1 else form
        return None


def _axes(near: tuple[tuple[int, tuple[Size, ...]], ...]) -> dict[Size, Extent]:
    """The axes of variables by their lengths; of equal ones the first."""
    axes: dict[Size, Extent] = {}
    for local, shape in near:
        for axis, length in enumerate(shape):
            axes.setdefault(length, Extent(local, axis))
    return axes


def _parsed(size: Dim) -> ast.expr:
    return ast.parse(show(size).replace("^", "**"), mode="eval").body


def _related(size: Dim, axes: dict[Size, Extent]) -> Form | None:
    """A size as one axis and a number, or as what cropping one axis to another takes: readable where the normal form is not.

    Of one axis: a sum, a multiple, a part rounded down or up, and what completes it to an even number. (`-n % 8` would be the short
    form for other multiples, but torch.export takes no remainders of negative numbers into its bounds: they are left as written.)
    """
    open_axes = [(length, form) for length, form in axes.items() if isinstance(length, Dim)]
    for length, form in open_axes:
        offset = size - length
        if isinstance(offset, int):
            return Operation("+", form, Literal(offset)) if offset > 0 else Operation("-", form, Literal(-offset))
        for factor in _FACTORS:
            if factor * length == size:
                return Operation("*", Literal(factor), form)
            if length // factor == size:
                return Operation("//", form, Literal(factor))
            if (length + (factor - 1)) // factor == size:
                return Operation("//", Operation("+", form, Literal(factor - 1)), Literal(factor))
        if size + length == (length + 1) // 2 * 2:
            return Operation("%", form, Literal(2))
    for length, form in open_axes:
        for other, smaller in open_axes:
            start = Operation("//", Operation("-", form, smaller), Literal(2))
            if form.axis == smaller.axis and (length - other) // 2 == size:
                return start
            if form.axis == smaller.axis and (length - other) // 2 + other == size:
                return Operation("+", start, smaller)
    return None


def _nest(function: Form, arguments: list[Form]) -> Form:
    """`sym_min` takes two: `min(a, b, c)` is `min(min(a, b), c)`."""
    result = arguments[0]
    for argument in arguments[1:]:
        result = Apply(function, (result, argument))
    return result
