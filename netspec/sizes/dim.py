"""Symbolic sizes: the algebra of what an axis can be long.

A size is an int, or a `Dim` where it depends on names that stay open until the network runs. Python's operators work on
either, so a shape rule is written once: `(n + 2 * p - d * (k - 1) - 1) // s + 1`. The normal form makes equal sizes
structurally equal wherever the identities of `_division.py` decide it. Named sizes are integers of at least 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Union

from netspec.sizes._bounds import lower_bound
from netspec.sizes._division import floor_divide
from netspec.sizes._polynomial import Atom, Extreme, Polynomial, Quotient, SizeTooLarge, build, of_atom, value_key
from netspec.sizes._show import show
from netspec.sizes.parse_size import read

__all__ = [
    "Dim",
    "Size",
    "SizeField",
    "SizeTooLarge",
    "ceil_div",
    "evaluate",
    "exact_div",
    "is_constant",
    "maximum",
    "minimum",
    "names",
    "parse",
    "product",
    "rounded",
    "show",
    "substitute",
    "total",
]

#: How many arguments a minimum or a maximum may keep.
MAX_ARGUMENTS = 64


class Dim(Polynomial):
    """A size that depends on names. Immutable and hashable; `+ - * // % **` with ints and sizes, and nothing else.

    A result that is constant is a plain int, so a `Dim` never equals an int. There is no order and no truth value:
    whether `H > 3` is a question for `netspec.sizes.solve`.
    """

    __slots__ = ()

    @staticmethod
    def name(name: str) -> Dim:
        """The open size called `name`."""
        if not (name.isascii() and name.isidentifier()):
            raise ValueError(f"{name!r} is not a name")
        return of_atom(Dim, name)  # type: ignore[return-value]

    def __floordiv__(self, other: Size) -> Size:
        return floor_divide(self, other) if _is_size(other) else NotImplemented

    def __rfloordiv__(self, other: Size) -> Size:
        return floor_divide(other, self) if _is_size(other) else NotImplemented

    def __mod__(self, other: Size) -> Size:
        return self - other * floor_divide(self, other) if _is_size(other) else NotImplemented

    def __rmod__(self, other: Size) -> Size:
        return other - self * floor_divide(other, self) if _is_size(other) else NotImplemented

    def __bool__(self) -> bool:
        raise TypeError(f"the size {self} is open: whether it holds cannot be asked before the network runs")

    def __str__(self) -> str:
        return show(self)

    def __repr__(self) -> str:
        return f"Dim({show(self)})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        """In a Pydantic model: an instance, or its text; written to JSON as text. Never a bool, an int or a float."""
        from pydantic_core import core_schema

        text = core_schema.no_info_after_validator_function(_symbolic, core_schema.str_schema(strict=True))
        instance = core_schema.is_instance_schema(cls)
        return core_schema.json_or_python_schema(
            json_schema=text,
            python_schema=core_schema.union_schema([instance, text]),
            serialization=core_schema.plain_serializer_function_ser_schema(show, return_schema=core_schema.str_schema()),
        )


Size = Union[int, Dim]
#: A size as a field of a Pydantic model: in strict models an int stays an int and a bool is refused.
SizeField = Union[int, Dim]


def _is_size(value: object) -> bool:
    return type(value) is int or isinstance(value, Dim)


def is_constant(size: Size) -> bool:
    """Whether the size is the same for all values of the names."""
    return isinstance(size, int)


def ceil_div(numerator: Size, denominator: Size) -> Size:
    """The quotient rounded up: `floor((numerator + denominator - 1) / denominator)` for a positive denominator."""
    if isinstance(denominator, int) and denominator < 0:
        numerator, denominator = -numerator, -denominator
    return floor_divide(numerator + denominator - 1, denominator)  # type: ignore[return-value]


def exact_div(numerator: Size, denominator: Size) -> Size:
    """The quotient where the division leaves no remainder. The caller states that as a condition of its own."""
    return floor_divide(numerator, denominator)  # type: ignore[return-value]


def total(sizes: Iterable[Size]) -> Size:
    """The sum; 0 of nothing."""
    result: Size = 0
    for size in sizes:
        result = size + result
    return result


def product(sizes: Iterable[Size]) -> Size:
    """The product; 1 of nothing. Raises SizeTooLarge past the bound on terms."""
    result: Size = 1
    for size in sizes:
        result = size * result
    return result


def minimum(*sizes: Size) -> Size:
    """The least of the sizes; what is at least another for all names >= 1 is left out."""
    return _extreme("min", sizes, lambda kept, other: lower_bound(other - kept))


def maximum(*sizes: Size) -> Size:
    """The greatest of the sizes; what is at most another for all names >= 1 is left out."""
    return _extreme("max", sizes, lambda kept, other: lower_bound(kept - other))


def _extreme(kind: str, sizes: Iterable[Size], margin: Callable[[Size, Size], int | None]) -> Size:
    """Flatten, drop whatever another argument makes superfluous, and wrap the rest. `margin >= 0`: `kept` is enough."""
    kept: list[Size] = []
    for size in _flatten(kind, sizes):
        if any(_covers(margin, other, size) for other in kept):
            continue
        kept = [other for other in kept if not _covers(margin, size, other)]
        kept.append(size)
        if len(kept) > MAX_ARGUMENTS:
            raise SizeTooLarge(f"a {kind} of symbolic sizes has more than {MAX_ARGUMENTS} arguments")
    if not kept:
        raise ValueError(f"{kind} of no sizes")
    return kept[0] if len(kept) == 1 else of_atom(Dim, Extreme(kind, kept))  # type: ignore[return-value]


def _covers(margin: Callable[[Size, Size], int | None], kept: Size, other: Size) -> bool:
    least = margin(kept, other)
    return least is not None and least >= 0


def _flatten(kind: str, sizes: Iterable[Size]) -> Iterable[Size]:
    """The arguments, with those of a nested extreme of the same kind in its place."""
    for size in sizes:
        atom = _sole_atom(size)
        if isinstance(atom, Extreme) and atom.kind == kind:
            yield from sorted(atom.arguments, key=value_key)  # type: ignore[misc]
        else:
            yield size


def _sole_atom(size: Size) -> Atom | None:
    """The atom that the size is, if it is one."""
    if isinstance(size, int) or size.constant or len(size.terms) > 1:
        return None
    ((monomial, factor),) = size.terms.items()
    return monomial[0] if factor == 1 and len(monomial) == 1 else None


def names(size: Size) -> frozenset[str]:
    """The names that the size depends on."""
    found: set[str] = set()
    waiting: list[Any] = [size]
    while waiting:
        value = waiting.pop()
        if isinstance(value, int):
            continue
        for monomial in value.terms:
            for atom in monomial:
                if isinstance(atom, str):
                    found.add(atom)
                else:
                    waiting.extend(_parts(atom))
    return frozenset(found)


@lru_cache(maxsize=8192)
def rounded(size: Size) -> frozenset[Any]:
    """What has been rounded or clipped in a size: its floors, minima and maxima, as hashable things of no further meaning."""
    if isinstance(size, int):
        return frozenset()
    return frozenset(atom for monomial in size.terms for atom in monomial if not isinstance(atom, str))


def _parts(atom: Quotient | Extreme) -> Iterable[Any]:
    return (atom.numerator, atom.denominator) if isinstance(atom, Quotient) else atom.arguments


def evaluate(size: Size, env: Mapping[str, int]) -> int:
    """The number that the size is, for these values of the names.

    Raises KeyError for a name without a value and ZeroDivisionError where a symbolic denominator is zero.
    """
    if isinstance(size, int):
        return size
    result = size.constant
    for monomial, factor in size.terms.items():
        for atom in monomial:
            factor *= env[atom] if isinstance(atom, str) else _evaluate_atom(atom, env)
        result += factor
    return result


def _evaluate_atom(atom: Quotient | Extreme, env: Mapping[str, int]) -> int:
    values = [evaluate(part, env) for part in _parts(atom)]
    if isinstance(atom, Quotient):
        return values[0] // values[1]
    return min(values) if atom.kind == "min" else max(values)


def substitute(size: Size, replacements: Mapping[str, Size]) -> Size:
    """The size with names replaced by sizes; names that are not mentioned stay."""
    if isinstance(size, int):
        return size
    result: Size = size.constant
    kept: dict[Any, int] = {}
    for monomial, factor in size.terms.items():
        if all(isinstance(atom, str) and atom not in replacements for atom in monomial):
            kept[monomial] = factor
            continue
        term: Size = factor
        for atom in monomial:
            term = _substitute_atom(atom, replacements) * term
        result = term + result
    return build(Dim, kept, 0) + result  # type: ignore[return-value]


def _substitute_atom(atom: Atom, replacements: Mapping[str, Size]) -> Size:
    if isinstance(atom, str):
        return replacements[atom] if atom in replacements else Dim.name(atom)
    parts = [substitute(part, replacements) for part in _parts(atom)]
    if isinstance(atom, Quotient):
        return floor_divide(*parts)  # type: ignore[return-value]
    return minimum(*parts) if atom.kind == "min" else maximum(*parts)


def parse(text: str) -> Size:
    """The size that `show` wrote as `text`. Raises ValueError for anything that is not a size."""
    return read(text, Dim.name, {"min": minimum, "max": maximum})


def _symbolic(text: str) -> Dim:
    size = parse(text)
    if isinstance(size, int):
        raise ValueError(f"the size {text!r} is a constant: write it as an integer")
    return size
