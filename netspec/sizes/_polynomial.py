"""The normal form of sizes: integer polynomials over names, floor divisions, minima and maxima.

A polynomial is a table from monomials to coefficients, plus a constant. A monomial is a sorted tuple of *atoms*: a name
(a string), a `Quotient` that does not simplify further, or an `Extreme` (min, max) that could not be decided. The ring
operations here keep the form unique, and so do the divisions of `_division.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Union

#: The most terms a product or a quotient may have, atoms inside atoms included.
MAX_TERMS = 4096
#: The highest degree of a monomial.
MAX_DEGREE = 64
#: How deep quotients, minima and maxima may nest.
MAX_DEPTH = 64
#: The longest coefficient, in bits.
MAX_BITS = 4096


class SizeTooLarge(ValueError):
    """A symbolic size has grown past the bounds above: nothing a network needs, and too much to compute with."""


class Quotient:
    """`floor(numerator / denominator)`, in normal form. The denominator is an integer > 1, or symbolic."""

    __slots__ = ("numerator", "denominator", "weight", "depth", "_hash", "text")

    def __init__(self, numerator: Value, denominator: Value) -> None:
        self.numerator, self.denominator = numerator, denominator
        self.weight, self.depth = _measure((numerator, denominator))
        self._hash = hash((numerator, denominator))
        self.text: str | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Quotient, (self.numerator, self.denominator)  # a hash is good in its own process only

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Quotient) or self._hash != other._hash:
            return False
        return self.numerator == other.numerator and self.denominator == other.denominator


class Extreme:
    """`min(arguments)` or `max(arguments)`, of two or more, none of which is known to win always."""

    __slots__ = ("kind", "arguments", "weight", "depth", "_hash", "text")

    def __init__(self, kind: str, arguments: Iterable[Value]) -> None:
        self.kind = kind
        self.arguments = frozenset(arguments)
        self.weight, self.depth = _measure(self.arguments)
        self._hash = hash((kind, self.arguments))
        self.text: str | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Extreme, (self.kind, tuple(self.arguments))  # a hash is good in its own process only

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Extreme) or self._hash != other._hash:
            return False
        return self.kind == other.kind and self.arguments == other.arguments


Atom = Union[str, Quotient, Extreme]
Monomial = tuple[Atom, ...]


class Polynomial:
    """An integer polynomial that is not constant. Immutable; results that are constant come back as plain ints."""

    __slots__ = ("terms", "constant", "_hash", "_text")

    terms: dict[Monomial, int]
    constant: int

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a size is immutable")

    def __reduce__(self) -> tuple[Any, ...]:
        return build, (type(self), self.terms, self.constant)

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:  # computed once, on demand
            _SET(self, "_hash", hash((frozenset(self.terms.items()), self.constant)))
            return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Polynomial):
            return NotImplemented
        return self.constant == other.constant and self.terms == other.terms

    # ------------------------------------------------------------------------------------------------------------ ring
    def __neg__(self) -> Value:
        return build(type(self), {monomial: -factor for monomial, factor in self.terms.items()}, -self.constant)

    def __pos__(self) -> Value:
        return self

    def __add__(self, other: Value) -> Value:
        if type(other) is int:
            return build(type(self), self.terms, self.constant + other) if other else self
        if not isinstance(other, Polynomial):
            return NotImplemented
        terms = dict(self.terms)
        _accumulate(terms, other.terms, 1)
        return build(type(self), terms, self.constant + other.constant)

    __radd__ = __add__

    def __sub__(self, other: Value) -> Value:
        if type(other) is int:
            return build(type(self), self.terms, self.constant - other) if other else self
        if not isinstance(other, Polynomial):
            return NotImplemented
        terms = dict(self.terms)
        _accumulate(terms, other.terms, -1)
        return build(type(self), terms, self.constant - other.constant)

    def __rsub__(self, other: Value) -> Value:
        return -self + other if type(other) is int else NotImplemented

    def __mul__(self, other: Value) -> Value:
        if type(other) is int:
            return _scale(self, other)
        if not isinstance(other, Polynomial):
            return NotImplemented
        return _multiply(self, other)

    __rmul__ = __mul__

    def __pow__(self, exponent: int) -> Value:
        if type(exponent) is not int:
            return NotImplemented
        if exponent < 0:
            raise ValueError("a size cannot be raised to a negative power")
        if exponent > MAX_DEGREE:
            raise SizeTooLarge(f"the power {exponent} of a symbolic size is above the bound of {MAX_DEGREE}")
        result: Value = 1
        for _ in range(exponent):
            result = self * result
        return result


Value = Union[int, Polynomial]
_SET = object.__setattr__
_NEW = object.__new__


def build(cls: type[Polynomial], terms: dict[Monomial, int], constant: int) -> Value:
    """The polynomial of class `cls` with these terms (none of them zero), or the constant where there are none."""
    if not terms:
        return constant
    new = _NEW(cls)
    _SET(new, "terms", terms)
    _SET(new, "constant", constant)
    return new


def of_atom(cls: type[Polynomial], atom: Atom) -> Polynomial:
    """The polynomial that is one atom."""
    return build(cls, {(atom,): 1}, 0)  # type: ignore[return-value]


def atom_key(atom: Atom) -> str:
    """What atoms are sorted by inside a monomial: their text, which is unique and the same in every process."""
    if isinstance(atom, str):
        return atom
    if atom.text is None:
        if isinstance(atom, Quotient):
            atom.text = f"({value_key(atom.numerator)})//({value_key(atom.denominator)})"
        else:
            atom.text = f"{atom.kind}({', '.join(sorted(map(value_key, atom.arguments)))})"
    return atom.text


def value_key(value: Value) -> str:
    """A text that is unique to the value, to sort by; `show` is the one to read."""
    if isinstance(value, int):
        return str(value)
    if not hasattr(value, "_text"):
        parts = sorted(f"{'*'.join(map(atom_key, monomial))}*{factor}" for monomial, factor in value.terms.items())
        _SET(value, "_text", f"{'+'.join(parts)}+{value.constant}")
    return value._text


def order_key(monomial: Monomial) -> tuple[int, list[str]]:
    """The monomial order: by degree, then by atoms. Leading terms are the greatest."""
    return len(monomial), [atom_key(atom) for atom in monomial]


def weight_of(value: Value) -> int:
    """How many names and atoms stand in the value, those inside atoms included."""
    if isinstance(value, int):
        return 0
    return sum(1 if isinstance(atom, str) else atom.weight for monomial in value.terms for atom in monomial)


def _measure(values: Iterable[Value]) -> tuple[int, int]:
    """Weight and depth of an atom over these values; refuses what is past the bounds."""
    weight, depth = 1, 0
    for value in values:
        weight += weight_of(value)
        for monomial in value.terms if isinstance(value, Polynomial) else ():
            depth = max(depth, *(0 if isinstance(atom, str) else atom.depth for atom in monomial))
    if weight > MAX_TERMS or depth >= MAX_DEPTH:
        raise SizeTooLarge(f"a symbolic size has more than {MAX_TERMS} terms, or more than {MAX_DEPTH} nested divisions")
    return weight, depth + 1


def _accumulate(into: dict[Monomial, int], terms: dict[Monomial, int], factor: int) -> None:
    """`into += factor * terms`, leaving out what cancels."""
    for monomial, coefficient in terms.items():
        total = into.get(monomial, 0) + factor * coefficient
        if total:
            into[monomial] = total
        else:
            into.pop(monomial, None)


def _scale(value: Polynomial, factor: int) -> Value:
    if factor == 1:
        return value
    if factor == 0:
        return 0
    terms = {monomial: coefficient * factor for monomial, coefficient in value.terms.items()}
    return _bounded(type(value), terms, value.constant * factor)


def _multiply(left: Polynomial, right: Polynomial) -> Value:
    if len(left.terms) * len(right.terms) > MAX_TERMS:
        raise SizeTooLarge(f"a product of symbolic sizes has more than {MAX_TERMS} terms")
    terms: dict[Monomial, int] = {}
    for monomial, factor in left.terms.items():
        product = {merge(monomial, other): coefficient for other, coefficient in right.terms.items()}
        _accumulate(terms, product, factor)
        if right.constant:
            _accumulate(terms, {monomial: right.constant}, factor)
    if left.constant:
        _accumulate(terms, right.terms, left.constant)
    return _bounded(type(left), terms, left.constant * right.constant)


def without(monomial: Monomial, factor: Monomial) -> Monomial | None:
    """`monomial / factor`, or None where it does not divide."""
    left = list(monomial)
    for atom in factor:
        if atom not in left:
            return None
        left.remove(atom)
    return tuple(left)


def merge(left: Monomial, right: Monomial) -> Monomial:
    """The product of two monomials."""
    if len(left) + len(right) > MAX_DEGREE:
        raise SizeTooLarge(f"the degree of a symbolic size is above the bound of {MAX_DEGREE}")
    return tuple(sorted(left + right, key=atom_key))


def _bounded(cls: type[Polynomial], terms: dict[Monomial, int], constant: int) -> Value:
    if max(abs(constant), max(map(abs, terms.values()), default=0)) >> MAX_BITS:
        raise SizeTooLarge(f"a number in a symbolic size has more than {MAX_BITS} bits")
    return build(cls, terms, constant)
