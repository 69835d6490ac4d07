"""Conditions on several sizes, as conditions on one size each where they come to that.

Four facts do most of the work, all of them exact for integers; `f`, `g`, `u`, `v` are functions of one size each:

    N * f(H) == N * g(W)        is  f(H) == g(W)                           a size is at least 1, and cancels
    u(H) + v(W) == c            is  u(H) == a and v(W) == c - a            where a and c - a are the least that they can be
    f(H) * g(W) == F(H) * G(W)  is  f(H) == F(H) and g(W) == G(W)          where f >= F >= 0, g >= G >= 0, f >= 1, g >= 1
    f(H) * g(W) == c            is  f(H) == d and g(W) == c // d           where only one divisor d leaves sizes for both

What is none of these stays one condition on several sizes.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product as combinations
from math import gcd

from netspec.sizes._bounds import lower_bound
from netspec.sizes._polynomial import Monomial, SizeTooLarge, build, of_atom, order_key, without
from netspec.sizes.dim import Dim, Size, names, product, substitute
from netspec.sizes.solution import Solution
from netspec.sizes.solve import Condition, alone, peeled

#: The largest number whose divisors are tried, and how many combinations of residues are.
MAX_PRODUCT = 10_000_000
MAX_CASES = 64
#: The longest period of two sets that are held against each other.
MAX_PERIOD = 512

#: A number times one factor a name.
Product = tuple[int, dict[str, Size]]

#: A condition that no size satisfies.
NEVER = Condition("==", 1, 0)


def factor(condition: Condition, known: Mapping[str, Solution] | None = None) -> tuple[Condition, ...]:
    """Conditions that together say the same, on fewer sizes each where that is possible; () where it always holds.

    `known` are sets of sizes that hold anyway: the result says the same within them.
    """
    within = known or {}
    try:
        return _factor(condition, within)
    except SizeTooLarge:
        return (condition,)


def _factor(condition: Condition, known: Mapping[str, Solution]) -> tuple[Condition, ...]:
    difference = condition.difference
    if isinstance(difference, int):
        holds = difference == 0 if condition.relation == "==" else difference >= 0
        return () if holds else (NEVER,)
    if len(names(difference)) == 1:
        return (condition if condition.relation == "==" else Condition(">=", peeled(difference), 0),)
    verdict = _verdict(condition, known)
    if verdict is not None:
        return () if verdict else (NEVER,)
    condition = _without_common_names(condition)
    parts = _sums(condition, known) or _products(condition, known)
    return tuple(smaller for part in parts for smaller in _factor(part, known)) if parts else (condition,)


def _verdict(condition: Condition, known: Mapping[str, Solution]) -> bool | None:
    """Whether the condition holds for all sizes that are known to be left (True), for none (False), or neither is seen."""
    bases: list[list[tuple[str, Size]]] = []
    count = 1
    for name in sorted(condition.names()):
        solution = known.get(name, Solution(name))
        if solution.exceptions or not solution.decided or not solution.residues:
            bases.append([(name, Dim.name(name))])
            continue
        count *= len(solution.residues)
        if count > MAX_CASES:
            return condition.status()
        firsts = [solution.start + (residue - solution.start) % solution.period for residue in solution.residues]
        bases.append([(name, solution.period * (Dim.name(name) - 1) + first) for first in firsts])
    verdict: bool | None = None
    for case in combinations(*bases):
        answer = condition.substitute(dict(case)).status()
        if answer is None or (verdict is not None and answer != verdict):
            return None
        verdict = answer
    return verdict


def _least(size: Size, known: Mapping[str, Solution]) -> int | None:
    """A lower bound of the size, with every name as large as it is known to be at the least."""
    firsts = {name: known[name].nearest(1)[1] for name in names(size) if name in known and known[name].decided}
    return lower_bound(substitute(size, {name: Dim.name(name) + (first - 1) for name, first in firsts.items() if first and first > 1}))


def _without_common_names(condition: Condition) -> Condition:
    """Both sides divided by the names that all of their terms have, as often as they have them."""
    left, right = _terms(condition.left), _terms(condition.right)
    monomials = [*left, *right]
    common: Monomial = ()
    for atom in monomials[0] if monomials else ():
        if isinstance(atom, str) and all(without(monomial, (*common, atom)) is not None for monomial in monomials):
            common = (*common, atom)
    if not common:
        return condition
    sides = [{without(monomial, common) or (): times for monomial, times in side.items()} for side in (left, right)]
    return Condition(condition.relation, _size(sides[0]), _size(sides[1]))


# ----------------------------------------------------------------------------------------------------------------- sums
def _sums(condition: Condition, known: Mapping[str, Solution]) -> tuple[Condition, ...]:
    """`u(H) + v(W) + c == 0` where the sum of their least values, or of their greatest, is 0: each has that value."""
    if condition.relation != "==":
        return ()
    parts: dict[str, Size] = {}
    for monomial, times in _terms(condition.difference).items():
        owners = _owners(monomial)
        if len(owners) > 1:
            return ()
        for name in owners:
            parts[name] = _size({monomial: times}) + parts.get(name, 0)
    constant = condition.difference.constant  # type: ignore[union-attr]
    for sign in (1, -1):
        bounds = {name: _least(sign * part, known) for name, part in parts.items()}
        if None in bounds.values():
            continue
        lowest = sum(bounds.values()) + sign * constant  # type: ignore[arg-type]
        if lowest > 0:
            return (NEVER,)
        if lowest == 0:
            return tuple(Condition("==", part, sign * bounds[name]) for name, part in parts.items())  # type: ignore[operator]
    return ()


# ------------------------------------------------------------------------------------------------------------- products
def _products(condition: Condition, known: Mapping[str, Solution]) -> tuple[Condition, ...]:
    left, right = _product(condition.left), _product(condition.right)
    if left is None or right is None:
        return ()
    if condition.relation == ">=":
        return _all_positive(left, right, known)
    (times, ours), (others, theirs) = left, right
    equal = [name for name in ours if ours[name] == theirs.get(name) and (_least(ours[name], known) or 0) >= 1]
    if equal:
        sides = [product([number, *(size for name, size in factors.items() if name not in equal)]) for number, factors in (left, right)]
        return (Condition("==", sides[0], sides[1]),)
    if not theirs:
        return _by_divisors(ours, others, times, known)
    if not ours:
        return _by_divisors(theirs, times, others, known)
    return _by_dominance(left, right, known) or _by_dominance(right, left, known)


def _all_positive(left: Product, right: Product, known: Mapping[str, Solution]) -> tuple[Condition, ...]:
    """`f(H) * g(W) >= c` with `c` at most the number in front: every factor must be positive, and that is enough."""
    (times, factors), (number, others) = left, right
    bounds = [_least(size, known) for size in factors.values()]
    if others or not 0 < number <= times or any(bound is None or bound < 0 for bound in bounds):
        return ()
    return tuple(Condition(">=", size, 1) for size in factors.values())


def _by_dominance(left: Product, right: Product, known: Mapping[str, Solution]) -> tuple[Condition, ...]:
    """Factor by factor, where no factor of the left is ever smaller than that of the right."""
    (times, ours), (others, theirs) = left, right
    # a number in front belongs to a factor: `H * W` against `4 * (H // 2) * (W // 2)` is `H` against `2 * (H // 2)`, twice
    shares = _shares(times, others, ours, theirs, known)
    if shares is None:
        return ()
    parts = []
    for name in dict.fromkeys((*ours, *theirs)):
        mine, other = ours.get(name, 1), shares[name] * theirs.get(name, 1)
        bounds = _least(mine - other, known), _least(other, known), _least(mine, known)
        if any(bound is None or bound < least for bound, least in zip(bounds, (0, 0, 1))):
            return ()
        parts.append(Condition("==", mine, other))
    return tuple(parts)


def _shares(
    times: int, others: int, ours: dict[str, Size], theirs: dict[str, Size], known: Mapping[str, Solution]
) -> dict[str, int] | None:
    """How the number `others / times` is shared out among the factors of the right: each as much as it bears."""
    if times <= 0 or others % times:
        return None
    left = others // times
    shares = {}
    for name in dict.fromkeys((*ours, *theirs)):
        shares[name] = 1
        for divisor in sorted((d for d in range(2, min(left, 4096) + 1) if left % d == 0), reverse=True):
            least = _least(ours.get(name, 1) - divisor * theirs.get(name, 1), known)
            if least is not None and least >= 0:
                shares[name], left = divisor, left // divisor
                break
    return shares if left == 1 else None


def _by_divisors(factors: dict[str, Size], number: int, times: int, known: Mapping[str, Solution]) -> tuple[Condition, ...]:
    """`times * f(H) * g(W) == number`: which pairs of divisors leave sizes for both; one pair alone decides both."""
    if any((least := _least(size, known)) is None or least < 0 for size in factors.values()):
        return ()
    if number < 0 or number % times:
        return (NEVER,)
    number //= times
    if number == 0 or number > MAX_PRODUCT or len(factors) != 2:
        return ()
    (first, f), (second, g) = factors.items()
    small = [d for d in range(1, int(number**0.5) + 1) if number % d == 0]
    found = []
    for d in sorted({*small, *(number // d for d in small)}):
        pair = Condition("==", f, d), Condition("==", g, number // d)
        if _leaves(pair[0], first, known) and _leaves(pair[1], second, known):
            found.append(pair)
    return found[0] if len(found) == 1 else () if found else (NEVER,)


def _leaves(condition: Condition, name: str, known: Mapping[str, Solution]) -> bool:
    """Whether some size satisfies the condition and what is known; True where that is not decided."""
    solution = alone(condition, name)
    other = known.get(name, Solution(name))
    if not solution.decided or not other.decided or max(solution.period, other.period) > MAX_PERIOD:
        return not solution.empty
    return not solution.intersection(other).empty


def _product(size: Size) -> Product | None:
    """The size as a number times one factor a name, if it is that: the table of its coefficients has rank one."""
    if isinstance(size, int):
        return size, {}
    rest = _terms(size)
    if any(len(_owners((atom,))) != 1 for monomial in rest for atom in monomial):
        return None
    number, factors = 1, {}
    for name in sorted(names(size)):
        rows: dict[Monomial, dict[Monomial, int]] = {}
        for monomial, times in rest.items():
            own = tuple(atom for atom in monomial if name in _owners((atom,)))
            rows.setdefault(own, {})[tuple(atom for atom in monomial if atom not in own)] = times
        contents = {own: _content(row) for own, row in rows.items()}
        shapes = [{monomial: times // contents[own] for monomial, times in row.items()} for own, row in rows.items()]
        if any(shape != shapes[0] for shape in shapes):
            return None
        shared = _content(contents)
        factors[name] = _size({own: content // shared for own, content in contents.items()})
        number, rest = number * shared, shapes[0]
    return number * rest[()], factors


def _content(terms: Mapping[Monomial, int]) -> int:
    """The greatest common divisor of the coefficients, with the sign of the leading one."""
    leading = max(terms, key=order_key)
    return gcd(*terms.values()) * (1 if terms[leading] > 0 else -1)


# ------------------------------------------------------------------------------------------------------------ monomials
def _terms(size: Size) -> dict[Monomial, int]:
    """Monomials and coefficients, the constant as that of the empty monomial."""
    if isinstance(size, int):
        return {(): size} if size else {}
    return {**size.terms, (): size.constant} if size.constant else size.terms


def _size(terms: Mapping[Monomial, int]) -> Size:
    """The size of these monomials and coefficients."""
    inner = {monomial: times for monomial, times in terms.items() if monomial}
    return build(Dim, inner, terms.get((), 0))  # type: ignore[return-value]


def _owners(monomial: Monomial) -> frozenset[str]:
    """The names that a product depends on."""
    found: frozenset[str] = frozenset()
    for atom in monomial:
        found |= names(of_atom(Dim, atom))  # type: ignore[arg-type]
    return found
