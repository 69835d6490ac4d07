"""Sizes of one name as quasi-polynomials: on each residue class, beyond some start, a polynomial.

With `x = period * k + r`, floors by constants become polynomials in `k` (their denominators divide the period), and
minima and maxima settle on one argument once the differences of their arguments have settled on a sign.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import lcm

from netspec.record import record
from netspec.sizes._polynomial import Atom, Extreme, Quotient, Value, weight_of

#: The longest period, and the latest start, that are worked out.
MAX_PERIOD = 100_000
MAX_START = 200_000
#: The most work for one difference: points times terms.
MAX_WORK = 4_000_000


class Undecidable(Exception):
    """The size is outside what can be worked out; the text says why."""


@record
class Trend:
    """How a size grows: `f(x + period) = f(x) + slope * period` where `slope` is known, else degree `degree` a class."""

    period: int
    degree: int
    slope: Fraction | None


def trend(value: Value) -> Trend:
    """The trend of a size of one name. Raises Undecidable past the bounds, and for a division by an open size."""
    if isinstance(value, int):
        return Trend(1, 0, Fraction(0))
    period, degree, slope = 1, 0, Fraction(0)
    for monomial, factor in value.terms.items():
        trends = [_atom_trend(atom) for atom in monomial]
        period = _bounded(lcm(period, *(one.period for one in trends)))
        degree = max(degree, sum(one.degree for one in trends))
        known = trends[0].slope if len(trends) == 1 else None
        slope = None if slope is None or known is None else slope + factor * known
    return Trend(period, degree, slope)


def _atom_trend(atom: Atom) -> Trend:
    if isinstance(atom, str):
        return Trend(1, 1, Fraction(1))
    if isinstance(atom, Quotient):
        if not isinstance(atom.denominator, int):
            raise Undecidable("a size is divided by an open size")
        inner = trend(atom.numerator)
        if inner.slope is None:
            return Trend(_bounded(inner.period * atom.denominator), inner.degree, None)
        slope = inner.slope / atom.denominator
        return Trend(_bounded(lcm(inner.period, (slope * inner.period).denominator * inner.period)), inner.degree, slope)
    parts = [trend(argument) for argument in atom.arguments]
    slopes = {part.slope for part in parts}
    slope = slopes.pop() if len(slopes) == 1 else None
    return Trend(_bounded(lcm(*(part.period for part in parts))), max(part.degree for part in parts), slope)


def _bounded(period: int) -> int:
    if period > MAX_PERIOD:
        raise Undecidable(f"the sizes repeat only after more than {MAX_PERIOD}")
    return period


# ------------------------------------------------------------------------------------------------------------- values
class Columns:
    """Values of sizes at many points at once; every atom is computed once."""

    def __init__(self, points: Sequence[int]) -> None:
        self.points = points
        self._known: dict[Atom, list[int]] = {}

    def of(self, value: Value) -> list[int]:
        """The size at each point."""
        if isinstance(value, int):
            return [value] * len(self.points)
        result = [value.constant] * len(self.points)
        for monomial, factor in value.terms.items():
            column = [factor * number for number in self._atom(monomial[0])]
            for atom in monomial[1:]:
                column = [left * right for left, right in zip(column, self._atom(atom))]
            result = [left + right for left, right in zip(result, column)]
        return result

    def _atom(self, atom: Atom) -> Sequence[int]:
        if isinstance(atom, str):
            return self.points
        if atom not in self._known:
            self._known[atom] = self._compute(atom)
        return self._known[atom]

    def _compute(self, atom: Quotient | Extreme) -> list[int]:
        if isinstance(atom, Extreme):
            choose = min if atom.kind == "min" else max
            return [choose(row) for row in zip(*map(self.of, atom.arguments))]
        if isinstance(atom.denominator, int):
            divisor = atom.denominator
            return [number // divisor for number in self.of(atom.numerator)]
        return [over // under for over, under in zip(self.of(atom.numerator), self.of(atom.denominator))]


# -------------------------------------------------------------------------------------------------------------- start
def settled(value: Value, period: int, start: int = 1) -> int:
    """From where on the size is a polynomial on each class modulo `period`: where its minima and maxima have settled."""
    if isinstance(value, int):
        return start
    for monomial in value.terms:
        for atom in monomial:
            if isinstance(atom, Quotient):
                start = settled(atom.numerator, period, start)
            elif isinstance(atom, Extreme):
                start = _settled_extreme(atom, period, start)
    return start


def _settled_extreme(atom: Extreme, period: int, start: int) -> int:
    arguments = list(atom.arguments)
    for argument in arguments:
        start = settled(argument, period, start)
    latest = start
    for index, left in enumerate(arguments):
        for right in arguments[index + 1 :]:
            for offset, differences in enumerate(classes(left - right, period, start)):
                latest = max(latest, start + offset + period * stable(differences) if any(differences[1:]) else start)
    if latest > MAX_START:
        raise Undecidable(f"a minimum or maximum is open up to sizes of more than {MAX_START}")
    return latest


def classes(value: Value, period: int, start: int) -> list[tuple[int, ...]]:
    """The polynomial on each class `start + r + period * k`, as its forward differences at `k = 0`."""
    points = range(start, start + period * (trend(value).degree + 1))
    if len(points) * weight_of(value) > MAX_WORK:
        raise Undecidable("the sizes have too many terms for so long a period")
    column = Columns(points).of(value)
    result = []
    for offset in range(period):
        row = column[offset::period]
        differences = []
        while row:
            differences.append(row[0])
            row = [after - before for before, after in zip(row, row[1:])]
        result.append(tuple(differences))
    return result


def advance(differences: Sequence[int], steps: int) -> list[int]:
    """The forward differences at `k = steps`, from those at 0: `sum_i C(steps, i) * d[j + i]`."""
    weights, weight = [], 1
    for index in range(len(differences)):
        weights.append(weight)
        weight = weight * (steps - index) // (index + 1)
    return [sum(w * d for w, d in zip(weights, differences[order:])) for order in range(len(differences))]


def stable(differences: Sequence[int]) -> int:
    """The first `k` from which the polynomial never changes sign: there, it and its differences share one sign.

    Non-negative differences make the next ones non-negative as well, so the test, once true, stays true: bisect.
    """
    leading = next((number for number in reversed(differences) if number), 0)
    sign = 1 if leading >= 0 else -1
    if len(differences) == 2 and differences[1]:  # a line: most sizes are
        return max(0, -(sign * differences[0] // abs(differences[1])))

    def settled_at(steps: int) -> bool:
        return all(sign * number >= 0 for number in advance(differences, steps))

    high = 1
    while not settled_at(high):
        high *= 2
    low = 0
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if settled_at(middle) else (middle + 1, high)
    return low
