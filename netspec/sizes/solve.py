"""Conditions on sizes: whether they always hold, and for which values of one open size they do.

A condition in one name is solved exactly. Each side is a polynomial on every residue class beyond some start
(`_quasi.py`), so on a class the solutions are a few intervals, and below the start they are counted one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import product as combinations
from math import gcd, lcm
from typing import Literal

from netspec.record import record
from netspec.sizes._bounds import lower_bound, upper_bound
from netspec.sizes._intervals import Interval, gather, intersect, intervals
from netspec.sizes._polynomial import Polynomial, Quotient, SizeTooLarge, build
from netspec.sizes._quasi import MAX_PERIOD, Columns, Undecidable, classes, settled, trend
from netspec.sizes._show import show, sole_remainder
from netspec.sizes.dim import Dim, Size, evaluate, names, substitute
from netspec.sizes.solution import Solution

__all__ = ["Condition", "Solution", "solve"]

#: How long the text of a solved condition may be; a longer one is written unsolved.
MAX_TEXT = 60
#: How many combinations of residues, and of how many names, a condition is split into, to decide it.
MAX_CASES = 512
MAX_NAMES = 6


@record
class Condition:
    """What must hold of sizes for a network to be valid: `left == right`, or `left >= right`."""

    relation: Literal["==", ">="]
    left: Size
    right: Size

    def status(self) -> bool | None:
        """True if it holds for all sizes of at least 1, False if for none, None if that depends or is not known."""
        return _status(self)

    def at(self, env: Mapping[str, int]) -> bool:
        """Whether it holds for these sizes; where they divide by zero it does not. Raises KeyError for a name without a value."""
        try:
            left, right = evaluate(self.left, env), evaluate(self.right, env)
        except ZeroDivisionError:
            return False
        return left == right if self.relation == "==" else left >= right

    def names(self) -> frozenset[str]:
        """The names it is about."""
        return names(self.left) | names(self.right)

    def substitute(self, replacements: Mapping[str, Size]) -> Condition:
        """The condition with names replaced by sizes."""
        return Condition(self.relation, substitute(self.left, replacements), substitute(self.right, replacements))

    @property
    def difference(self) -> Size:
        """`left - right`."""
        return self.left - self.right

    def __str__(self) -> str:
        return _text(self)


@lru_cache(maxsize=4096)
def _status(condition: Condition) -> bool | None:
    try:
        difference = condition.difference
        if condition.relation == ">=":
            difference = peeled(difference)
            line = _line(difference)
            if line is not None:  # the bounds of deep networks are thousands of these
                slope, at_one = line
                return None if (slope > 0) != (at_one >= 0) else slope > 0
        verdict = _by_bounds(condition.relation, difference)
        if verdict is not None or isinstance(difference, int):
            return verdict
        open_names = sorted(names(difference))
        if len(open_names) > 1:
            return _by_cases(condition.relation, difference, open_names)
    except (SizeTooLarge, Undecidable):
        return None
    solution = alone(condition, open_names[0])
    return True if solution.everything else False if solution.empty else None


def peeled(difference: Size) -> Size:
    """A size that is at least 0 where `difference` is, without floors around it.

    `floor(n / b) >= t` is `n >= b * t`, and `t >= floor(n / b)` is `n < b * (t + 1)`.
    """
    while not isinstance(difference, int) and len(difference.terms) == 1:
        ((monomial, factor),) = difference.terms.items()
        atom = monomial[0]
        if len(monomial) > 1 or not isinstance(atom, Quotient) or not isinstance(atom.denominator, int):
            break
        if factor > 0:
            difference = atom.numerator + atom.denominator * (difference.constant // factor)  # type: ignore[assignment]
        else:
            difference = atom.denominator * (difference.constant // -factor + 1) - 1 - atom.numerator  # type: ignore[assignment]
    return difference


def _line(difference: Size) -> tuple[int, int] | None:
    """Slope, and value at 1, of a size that is linear in one name; None for any other."""
    if isinstance(difference, int) or len(difference.terms) != 1:
        return None
    ((monomial, slope),) = difference.terms.items()
    return (slope, slope + difference.constant) if len(monomial) == 1 and isinstance(monomial[0], str) else None


def _by_bounds(relation: str, difference: Size) -> bool | None:
    """What follows from the least and the greatest value that the difference may have."""
    low, high = lower_bound(difference), upper_bound(difference)
    if relation == ">=":
        return True if low is not None and low >= 0 else False if high is not None and high < 0 else None
    if (low is not None and low > 0) or (high is not None and high < 0):
        return False
    return True if low == high == 0 else None


def _by_cases(relation: str, difference: Size, open_names: Sequence[str]) -> bool | None:
    """Split every name by its residues; in each case floors dissolve, and the bounds decide more. All must agree."""
    if len(open_names) > MAX_NAMES:
        return None
    periods = [_period_in(difference, name) for name in open_names]
    count = 1
    for period in periods:
        count *= period
    if count > MAX_CASES or count == 1:
        return None
    verdict: bool | None = None
    for residues in combinations(*(range(1, period + 1) for period in periods)):
        case = {
            name: Dim.name(name) * period + (residue - period) for name, period, residue in zip(open_names, periods, residues) if period > 1
        }
        answer = _by_bounds(relation, substitute(difference, case))
        if answer is None or (verdict is not None and answer != verdict):
            return None
        verdict = answer
    return verdict


def _period_in(size: Size, name: str) -> int:
    """A period of the size in `name`, whatever the other names are."""
    if isinstance(size, int):
        return 1
    period = 1
    for monomial in size.terms:
        for atom in monomial:
            if isinstance(atom, str):
                continue
            parts = (atom.numerator, atom.denominator) if isinstance(atom, Quotient) else tuple(atom.arguments)
            inner = lcm(*(_period_in(part, name) for part in parts))
            divisor = atom.denominator if isinstance(atom, Quotient) else 1
            if isinstance(divisor, int) and any(name in names(part) for part in parts):
                inner *= divisor
            period = lcm(period, inner)
            if period > MAX_PERIOD:
                raise Undecidable("the period is too long")
    return period


# --------------------------------------------------------------------------------------------------------------- solve
def solve(conditions: Iterable[Condition], name: str) -> Solution:
    """The values of `name`, of at least 1, that satisfy all conditions; they must be about no other name.

    Exact where `Solution.decided`; otherwise its `reason` says what stood in the way.
    """
    try:
        differences = []
        for condition in conditions:
            others = sorted(condition.names() - {name})
            if others:
                raise Undecidable(f"a condition on {name} depends on {others[0]} as well")
            difference = condition.difference
            if not isinstance(difference, int):
                differences.append((condition.relation, difference))
            elif difference < 0 or (difference > 0 and condition.relation == "=="):
                return Solution(name, residues=())
        return _solve(differences, name)
    except (SizeTooLarge, Undecidable) as why:
        return Solution(name, residues=(), decided=False, reason=str(why))


@lru_cache(maxsize=4096)
def alone(condition: Condition, name: str) -> Solution:
    """The values of `name` that satisfy one condition, which is about no other name; remembered."""
    return solve([condition], name)


def _solve(differences: Sequence[tuple[str, Polynomial]], name: str) -> Solution:
    period = lcm(*(trend(difference).period for _, difference in differences))
    if period > MAX_PERIOD:
        raise Undecidable(f"the sizes repeat only after more than {MAX_PERIOD}")
    start = 1
    for _, difference in differences:
        start = settled(difference, period, start)
    allowed: list[list[Interval]] = [[(0, None)]] * period
    for relation, difference in differences:
        polynomials = classes(difference, period, start)
        allowed = [intersect(old, intervals(relation, new)) for old, new in zip(allowed, polynomials)]
    columns = Columns(range(1, start))
    below = [True] * (start - 1)
    for relation, difference in differences:
        column = columns.of(difference)
        below = [old and (n == 0 if relation == "==" else n >= 0) for old, n in zip(below, column)]
    return gather(name, period, start, allowed, [n for n, holds in enumerate(below, 1) if holds])


# ---------------------------------------------------------------------------------------------------------------- text
def _text(condition: Condition) -> str:
    """The condition in its plainest form: a congruence or a bound where it comes to one."""
    try:
        difference = condition.difference
        if isinstance(difference, int):
            return f"{show(condition.left)} {condition.relation} {show(condition.right)}"
        open_names = sorted(names(difference))
        if len(open_names) == 1:
            solution = alone(condition, open_names[0])
            text = str(solution)
            if solution.decided and not solution.everything and not solution.empty and len(text) <= MAX_TEXT:
                return text
        return _congruence(difference) if condition.relation == "==" else _bound(difference)
    except SizeTooLarge:
        return f"{show(condition.left)} {condition.relation} {show(condition.right)}"


def _congruence(difference: Polynomial) -> str:
    """`x % k == 0` where that is all the difference is made of; otherwise both sides without common terms."""
    remainder = sole_remainder(difference)
    return f"{remainder} == 0" if remainder else _sides("==", _reduced(difference))


def _bound(difference: Polynomial) -> str:
    """`difference >= 0`, without floors around it."""
    rest = peeled(difference)
    return _sides(">=", _reduced(difference if isinstance(rest, int) else rest, rounded=True))


def _reduced(difference: Polynomial, rounded: bool = False) -> Polynomial:
    """Without the common factor of its terms; a bound may round its constant, an equality must have it divisible."""
    shared = gcd(*difference.terms.values(), *(() if rounded else (difference.constant,)))
    terms = {monomial: factor // shared for monomial, factor in difference.terms.items()}
    return build(Dim, terms, difference.constant // shared)  # type: ignore[return-value]


def _sides(relation: str, difference: Polynomial) -> str:
    """What is positive on the left, what is negative on the right, the constant where the other side is empty."""
    left: Size = build(Dim, {monomial: factor for monomial, factor in difference.terms.items() if factor > 0}, 0)
    right: Size = build(Dim, {monomial: -factor for monomial, factor in difference.terms.items() if factor < 0}, 0)
    constant = difference.constant
    if left == 0:
        flipped = "<=" if relation == ">=" else relation
        return f"{show(right)} {flipped} {constant}"
    if right == 0 or constant < 0:
        return f"{show(left)} {relation} {show(right - constant)}"
    return f"{show(left + constant)} {relation} {show(right)}"
