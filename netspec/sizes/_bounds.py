"""Bounds of sizes, from what is always true: every name is an integer of at least 1.

A floor is within one of its quotient, so it can be replaced by a line below it or above it; a minimum is one of its
arguments. What is left is a polynomial in the names; shifted to `name = 1 + t`, one without negative coefficients is
smallest at `t = 0`. The bounds are sound, not tight: None where this finds none.
"""

from __future__ import annotations

from netspec.sizes._polynomial import Extreme, Monomial, Polynomial, Quotient, SizeTooLarge, Value, build, of_atom

#: How many replacements one bound may try, and how many terms and of what degree: past them there is no answer.
MAX_STEPS = 200
MAX_LENGTH = 200
MAX_DEGREE = 10


def lower_bound(size: Value) -> int | None:
    """A number that the size never falls below, for all names >= 1; None where none is found."""
    if isinstance(size, int):
        return size
    try:
        return _Search().below(size, 1)
    except (SizeTooLarge, _GaveUp):
        return None


def upper_bound(size: Value) -> int | None:
    """A number that the size never exceeds, for all names >= 1; None where none is found."""
    below = lower_bound(-size)
    return None if below is None else -below


class _GaveUp(Exception):
    """The search has used up its steps."""


class _Search:
    """One search for a lower bound, with its count of steps."""

    def __init__(self) -> None:
        self.steps = 0

    def below(self, value: Value, scale: int) -> int | None:
        """A lower bound of `value / scale`, rounded up (the size itself is an integer)."""
        if isinstance(value, int):
            return -(-value // scale)
        self.steps += 1
        if self.steps > MAX_STEPS or len(value.terms) > MAX_LENGTH:
            raise _GaveUp
        found = _deepest(value)
        if found is None:
            least = _least(value)
            return None if least is None else -(-least // scale)
        monomial, position = found
        atom = monomial[position]
        others = monomial[:position] + monomial[position + 1 :]
        if any(not isinstance(other, str) and not self._never_negative(other, type(value)) for other in others):
            return None
        factor = value.terms[monomial]
        terms = {kept: coefficient for kept, coefficient in value.terms.items() if kept != monomial}
        rest = build(type(value), terms, value.constant)
        weight = build(type(value), {others: factor}, 0) if others else factor
        if isinstance(atom, Extreme):
            return self._extreme(atom, rest, weight, factor, scale)
        return self._floor(atom, rest, weight, factor, scale)

    def _floor(self, atom: Quotient, rest: Value, weight: Value, factor: int, scale: int) -> int | None:
        """`(n - b + 1) / b <= floor(n / b) <= n / b`: the left one under a positive factor, the right one under a negative."""
        divisor = atom.denominator
        if not isinstance(divisor, int):
            return self._symbolic(atom, rest, weight, factor, scale)
        line = atom.numerator - (divisor - 1 if factor > 0 else 0)
        return self.below(rest * divisor + weight * line, scale * divisor)

    def _symbolic(self, atom: Quotient, rest: Value, weight: Value, factor: int, scale: int) -> int | None:
        """`0 <= floor(n / d) <= n` where n >= 0 and d >= 1."""
        over, under = self._least(atom.numerator), self._least(atom.denominator)
        if over is None or under is None or over < 0 or under < 1:
            return None
        return self.below(rest + weight * (0 if factor > 0 else atom.numerator), scale)

    def _extreme(self, atom: Extreme, rest: Value, weight: Value, factor: int, scale: int) -> int | None:
        """It is one of its arguments; and `min <= each`, `max >= each`, so one that serves is enough on that side."""
        cases = [self.below(rest + weight * argument, scale) for argument in atom.arguments]
        known = [case for case in cases if case is not None]
        if (factor > 0) == (atom.kind == "max"):
            return max(known, default=None)
        return min(known) if len(known) == len(cases) else None

    def _least(self, value: Value) -> int | None:
        return self.below(value, 1)

    def _never_negative(self, atom: Quotient | Extreme, cls: type[Polynomial]) -> bool:
        least = self.below(of_atom(cls, atom), 1) if self.steps < MAX_STEPS else None
        return least is not None and least >= 0


def _deepest(value: Polynomial) -> tuple[Monomial, int] | None:
    """A term with an atom that is not a name, and where: extremes first (they split the search), then the deepest floor."""
    best: tuple[tuple[int, int], Monomial, int] | None = None
    for monomial in value.terms:
        for position, atom in enumerate(monomial):
            if isinstance(atom, str):
                continue
            rank = (int(isinstance(atom, Extreme)), atom.depth)
            if best is None or rank > best[0]:
                best = (rank, monomial, position)
    return None if best is None else (best[1], best[2])


def _least(value: Polynomial) -> int | None:
    """The least value of a polynomial in names, if after `name = 1 + t` no coefficient is negative."""
    if all(len(monomial) == 1 for monomial in value.terms):
        factors = value.terms.values()
        return value.constant + sum(factors) if all(factor > 0 for factor in factors) else None
    if max(map(len, value.terms)) > MAX_DEGREE:
        return None
    shifted: Value = value.constant
    for monomial, factor in value.terms.items():
        term: Value = factor
        for atom in monomial:
            term = term * (of_atom(type(value), atom) + 1)
        shifted = shifted + term
    if isinstance(shifted, int):
        return shifted
    return shifted.constant if all(factor > 0 for factor in shifted.terms.values()) else None
