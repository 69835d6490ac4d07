"""Sizes at run time: nodes that compute a symbolic size from the shapes of the model's inputs, each written once.

Every size is a vector of one int64, named by its text (`size/2 * (H // 2)`), so that the parts of an expression are shared
by all that mention them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod
from typing import Any

from netspec.backends.onnx import wire
from netspec.backends.onnx.model import Attributes, Constant, OnnxModel, Operation
from netspec.diagnostics.model import Refusal
from netspec.sizes._bounds import lower_bound
from netspec.sizes._polynomial import Quotient, build
from netspec.sizes.dim import Dim, Size, show
from netspec.sizes.tensor import TensorType


class Constants:
    """The model's constants, one for each content, named by it."""

    def __init__(self, model: OnnxModel, unique: Callable[[str], str]) -> None:
        self._model, self._unique = model, unique
        self._known: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def name(self, dtype: str, shape: tuple[int, ...], values: tuple[Any, ...]) -> str:
        """The name of the constant with these elements, row-major."""
        key = dtype, shape, wire.pack(dtype, values)
        if key not in self._known:
            if len(values) != prod(shape):
                raise ValueError(f"a constant of shape {shape} has {len(values)} values")
            shown = f"{dtype}{list(shape)}"
            if len(values) <= 4:
                shown += f"({', '.join(map(str, values))})"
            self._known[key] = name = self._unique(f"constant/{shown}")
            self._model.constants.append(Constant(name, *key))
        return self._known[key]

    def vector(self, *values: int) -> str:
        """The name of an int64 vector."""
        return self.name("int64", (len(values),), values)


class Extents:
    """Computes sizes inside a model, from its inputs' shapes or those of `ports`. `unique` makes a name that nothing else has."""

    def __init__(
        self, model: OnnxModel, constants: Constants, unique: Callable[[str], str], ports: Iterable[tuple[str, TensorType]] | None = None
    ) -> None:
        self._model, self._constants, self._unique = model, constants, unique
        self._known: dict[Any, str] = {}
        self._source: dict[str, tuple[str, int]] = {}
        self._solved: dict[str, tuple[str, int, int, int]] = {}
        for port, kind in model.inputs if ports is None else ports:
            for axis, size in enumerate(kind.shape):
                self._learn(port, axis, size)

    def vector(self, sizes: tuple[Size, ...]) -> str:
        """The name of an int64 vector of these sizes."""
        if all(isinstance(size, int) for size in sizes):
            return self._constants.vector(*sizes)  # type: ignore[arg-type]
        if len(sizes) == 1:
            return self._size(sizes[0])
        return self._once(("vector", sizes), f"[{', '.join(map(show, sizes))}]", lambda: ("Concat", self._parts(sizes), {"axis": 0}))

    def scalar(self, size: Size, dtype: str) -> str:
        """The name of a size without axes, in any element type."""
        if isinstance(size, int):
            return self._constants.name(dtype, (), (size,))
        flat = self._once(
            ("scalar", size), f"{show(size)} as a scalar", lambda: ("Squeeze", (self._size(size), self._constants.vector(0)), {})
        )
        if dtype == "int64":
            return flat
        return self._once(("scalar", size, dtype), f"{show(size)} as {dtype}", lambda: ("Cast", (flat,), {"to": wire.ELEMENT[dtype]}))

    def _learn(self, port: str, axis: int, size: Size) -> None:
        """Note where a name can be read: an axis of that very size, or of a multiple of it plus a constant."""
        if isinstance(size, int) or len(size.terms) != 1:
            return
        ((monomial, factor),) = size.terms.items()
        if len(monomial) != 1 or not isinstance(monomial[0], str):
            return
        if factor == 1 and not size.constant:
            self._source.setdefault(monomial[0], (port, axis))
        else:
            self._solved.setdefault(monomial[0], (port, axis, factor, size.constant))

    def _parts(self, sizes: tuple[Size, ...]) -> tuple[str, ...]:
        """The vectors whose concatenation the sizes are: runs of numbers, and one for each that is open."""
        parts: list[str] = []
        run: list[int] = []
        for size in sizes:
            if isinstance(size, int):
                run.append(size)
                continue
            if run:
                parts.append(self._constants.vector(*run))
                run = []
            parts.append(self._size(size))
        if run:
            parts.append(self._constants.vector(*run))
        return tuple(parts)

    def _size(self, size: Any) -> str:
        """The name of a size as a vector of one."""
        if isinstance(size, int):
            return self._constants.vector(size)
        return self._once(size, show(size), lambda: self._compute(size))

    def _compute(self, size: Dim) -> tuple[str, tuple[str, ...], dict[str, Any]]:
        """The last node of the computation of a size; the nodes before it are written on the way."""
        if size.constant:
            return "Add", (self._size(size - size.constant), self._constants.vector(size.constant)), {}
        monomial, factor = min(size.terms.items(), key=lambda item: (item[1] > 0, show(_alone(item[0]))))
        if len(size.terms) > 1:  # what is taken away goes last: no size on the way is negative that need not be
            term = _alone(monomial) * abs(factor)
            rest = size - term if factor > 0 else size + term
            return ("Add" if factor > 0 else "Sub"), (self._size(rest), self._size(term)), {}
        last = _alone(monomial)
        if factor != 1:
            return "Mul", (self._size(last), self._constants.vector(factor)), {}
        if len(monomial) > 1:
            return "Mul", (self._size(_alone(monomial[:-1])), self._size(_alone(monomial[-1:]))), {}
        return self._atom(monomial[0])

    def _atom(self, atom: Any) -> tuple[str, tuple[str, ...], dict[str, Any]]:
        if isinstance(atom, str):
            return self._name(atom)
        if not isinstance(atom, Quotient):
            ordered = sorted(atom.arguments, key=show)
            return atom.kind.capitalize(), tuple(self._size(argument) for argument in ordered), {}
        over, under = atom.numerator, atom.denominator
        least = lower_bound(over)
        if least is None or least < 0:  # ONNX divides towards zero: take the remainder off first, whose sign is the divisor's
            kept = self._once(
                ("less remainder", over, under),
                f"{show(over)} rounded to {show(under)}",
                lambda: ("Sub", (self._size(over), self._remainder(over, under)), {}),
            )
            return "Div", (kept, self._size(under)), {}
        return "Div", (self._size(over), self._size(under)), {}

    def _remainder(self, over: Any, under: Any) -> str:
        operands = self._size(over), self._size(under)
        return self._once(("remainder", over, under), f"{show(over)} mod {show(under)}", lambda: ("Mod", operands, {}))

    def _name(self, name: str) -> tuple[str, tuple[str, ...], dict[str, Any]]:
        if name in self._source:
            port, axis = self._source[name]
            return "Shape", (port,), {"start": axis, "end": axis + 1}
        if name not in self._solved:
            raise Refusal("NS701", f"the size {name} cannot be computed from the shapes of the inputs")
        port, axis, factor, constant = self._solved[name]
        whole = self._once(("axis", port, axis), f"{port} axis {axis}", lambda: ("Shape", (port,), {"start": axis, "end": axis + 1}))
        if constant:
            less = self._constants.vector(constant)
            whole = self._once(("less", port, axis), f"{port} axis {axis} less {constant}", lambda: ("Sub", (whole, less), {}))
        return "Div", (whole, self._constants.vector(factor)), {}

    def _once(self, key: Any, shown: str, make: Callable[[], tuple[str, tuple[str, ...], dict[str, Any]]]) -> str:
        """The name of what `make` describes, written the first time it is asked for."""
        if key not in self._known:
            op_type, inputs, attributes = make()
            name = self._unique(f"size/{shown}")
            self._model.nodes.append(Operation(op_type, inputs, (name,), name, Attributes(attributes.items())))
            self._known[key] = name
        return self._known[key]


def _alone(monomial: tuple[Any, ...]) -> Dim:
    """The size that a monomial is."""
    return build(Dim, {monomial: 1}, 0)  # type: ignore[return-value]
