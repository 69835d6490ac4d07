"""Sizes as text, in the syntax of the language: `(H + 1) // 2`, `H % 2`, `N * min(H, W)`, `H^2 - 1`."""

from __future__ import annotations

from typing import NamedTuple

from netspec.sizes._polynomial import Atom, Extreme, Monomial, Polynomial, Quotient, Value, atom_key, build, order_key, without

#: How tightly a text binds: a text stands without parentheses where at least the level needed is met.
_SUM, _QUOTIENT, _PRODUCT, _POWER, _ATOM = range(5)


#: The longest sum in which remainders are looked for: nobody reads a longer one.
MAX_SEARCHED = 24


class _Text(NamedTuple):
    text: str
    level: int

    def at(self, needed: int) -> str:
        """The text where something of level `needed` must stand."""
        return self.text if self.level >= needed else f"({self.text})"


class _Piece(NamedTuple):
    """One summand: `factor` times the product of the parts (no parts: the constant)."""

    factor: int
    parts: tuple[_Text, ...]

    def magnitude(self) -> _Text:
        """The summand without its sign."""
        size = abs(self.factor)
        if len(self.parts) == 1 and size == 1:
            return self.parts[0]
        words = [part.at(_POWER) for part in self.parts]
        if size != 1 or not words:
            words.insert(0, str(size))
        return _Text(" * ".join(words), _PRODUCT if len(words) > 1 else _ATOM)


def show(size: Value) -> str:
    """The size as the language writes it; `parse` reads it back to an equal one."""
    return _text(size).text


def sole_remainder(size: Value) -> str | None:
    """`x % k` where the size is a multiple of that remainder and nothing else."""
    if isinstance(size, int):
        return None
    rest, found = _remainders(size)
    if rest != 0 or len(found) != 1 or len(found[0].parts) != 1:
        return None
    return found[0].parts[0].text


def _text(value: Value) -> _Text:
    if isinstance(value, int):
        return _Text(str(value), _ATOM if value >= 0 else _SUM)
    pieces = _pieces(value)
    if pieces[0].factor < 0:  # what is positive comes first, where there is such a thing
        pieces.sort(key=lambda piece: piece.factor < 0)
    first = pieces[0].magnitude()
    if len(pieces) == 1 and pieces[0].factor > 0:
        return first
    words = [first.text if pieces[0].factor > 0 else "-" + first.at(_PRODUCT)]
    words += [("- " if piece.factor < 0 else "+ ") + piece.magnitude().text for piece in pieces[1:]]
    return _Text(" ".join(words), _SUM)


def _pieces(value: Polynomial) -> list[_Piece]:
    """The summands: by falling degree, then the remainders, then the constant."""
    rest, remainders = _remainders(value)
    pieces: list[_Piece] = []
    if not isinstance(rest, int):
        ordered = sorted(rest.terms, key=lambda monomial: (-len(monomial), order_key(monomial)[1]))
        pieces = [_Piece(rest.terms[monomial], _parts(monomial)) for monomial in ordered]
    constant = rest if isinstance(rest, int) else rest.constant
    return pieces + remainders + ([_Piece(constant, ())] if constant else [])


def _remainders(value: Polynomial) -> tuple[Value, list[_Piece]]:
    """Take `x - k * (x // k)` out of the sum, to write it `x % k`: what is left, and the remainders."""
    found: list[_Piece] = []
    rest: Value = value
    if len(value.terms) > MAX_SEARCHED:
        return rest, found
    for monomial, factor in value.terms.items():
        for atom in monomial:
            if isinstance(atom, Quotient) and not isinstance(rest, int):
                rest = _take(rest, monomial, factor, atom, found)
    return rest, found


def _take(rest: Polynomial, monomial: Monomial, factor: int, atom: Quotient, found: list[_Piece]) -> Value:
    """`rest` without the remainder that the floor `atom` belongs to, if there is one; that goes to `found`."""
    others = without(monomial, (atom,)) or ()
    for base, modulus, times, over in _dividends(atom, factor, others):
        remainder = base % modulus  # type: ignore[operator]
        weight = build(type(rest), {over: times}, 0) if over else times
        left = rest - weight * remainder
        if _length(left) + 1 < _length(rest) and not isinstance(remainder, int):
            text = _Text(f"{_text(base).at(_PRODUCT)} % {_text(modulus).at(_POWER)}", _QUOTIENT)
            found.append(_Piece(times, (*(_parts(over) if over else ()), text)))
            return left
    return rest


def _dividends(atom: Quotient, factor: int, others: Monomial) -> list[tuple[Value, Value, int, Monomial]]:
    """Which `times * over * (x % k)` may hide behind `factor * others * floor(numerator / denominator)`.

    `floor(x / (j * k))` is `floor(floor(x / j) / k)`, so every divisor of a constant denominator may be the modulus.
    """
    under = atom.denominator
    if isinstance(under, int):
        moduli = [k for k in range(min(under, abs(factor), 1 << 16), 1, -1) if under % k == 0 and factor % k == 0]
        return [(atom.numerator // (under // k), k, -factor // k, others) for k in moduli[:8]]
    if under.constant or len(under.terms) > 1:
        return []
    ((lead, scale),) = under.terms.items()
    over = without(others, lead)
    return [] if over is None or factor % scale else [(atom.numerator, under, -factor // scale, over)]


def _length(value: Value) -> int:
    return int(value != 0) if isinstance(value, int) else len(value.terms) + int(value.constant != 0)


def _parts(monomial: Monomial) -> tuple[_Text, ...]:
    """The factors of a product, names first, powers gathered."""
    ordered = sorted(dict.fromkeys(monomial), key=lambda atom: (not isinstance(atom, str), atom_key(atom)))
    parts = []
    for atom in ordered:
        power = monomial.count(atom)
        text = _atom(atom)
        parts.append(_Text(f"{text.at(_ATOM)}^{power}", _POWER) if power > 1 else text)
    return tuple(parts)


def _atom(atom: Atom) -> _Text:
    if isinstance(atom, str):
        return _Text(atom, _ATOM)
    if isinstance(atom, Extreme):
        arguments = sorted((isinstance(argument, int), show(argument)) for argument in atom.arguments)  # numbers last
        return _Text(f"{atom.kind}({', '.join(text for _, text in arguments)})", _ATOM)
    return _Text(f"{_text(atom.numerator).at(_PRODUCT)} // {_text(atom.denominator).at(_POWER)}", _QUOTIENT)
