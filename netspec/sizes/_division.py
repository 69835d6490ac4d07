"""Floor division of sizes in normal form.

Quotients stay unique by these identities, all of them exact for every integer:

    floor((b*q + r) / b)           = q + floor(r / b)                 multiples are pulled out: 0 <= coefficient < b
    floor((g*x + c) / (g*b))       = floor((x + c // g) / b)          common factors cancel
    floor((p + floor(y / c)) / b)  = floor((c*p + y) / (c*b))         nested floors collapse, b > 0
    floor(x / b)                   = n                                where the bounds of x leave one n
"""

from __future__ import annotations

from math import gcd
from typing import Any

from netspec.sizes._bounds import lower_bound, upper_bound
from netspec.sizes._polynomial import Monomial, Polynomial, Quotient, SizeTooLarge, Value, build, of_atom, order_key, without

#: The most terms that one long division looks at, over all its steps.
MAX_WORK = 50_000


def floor_divide(numerator: Value, denominator: Value) -> Value:
    """`floor(numerator / denominator)` in normal form. Raises ZeroDivisionError for the constant 0.

    With a symbolic denominator the result is that of the division wherever the denominator is not zero.
    """
    if isinstance(denominator, Polynomial):
        return _by_polynomial(numerator, denominator)
    if denominator == 1:
        return numerator
    if denominator == 0:
        raise ZeroDivisionError("a size is divided by zero")
    if denominator < 0:
        numerator, denominator = -numerator, -denominator
    if isinstance(numerator, int):
        return numerator // denominator
    return _by_constant(numerator, denominator)


def _by_constant(numerator: Polynomial, divisor: int) -> Value:
    """Pull out multiples of `divisor`, cancel the common factor, collapse an inner floor; what is left is an atom."""
    cls = type(numerator)
    if _is_difference(numerator):
        low, high = lower_bound(numerator), upper_bound(numerator)
        if low is not None and high is not None and low // divisor == high // divisor:
            return low // divisor
    whole = {monomial: factor // divisor for monomial, factor in numerator.terms.items() if factor // divisor}
    rest = {monomial: factor % divisor for monomial, factor in numerator.terms.items() if factor % divisor}
    whole_constant, constant = divmod(numerator.constant, divisor)
    pulled = build(cls, whole, whole_constant)
    if not rest:
        return pulled
    shared = gcd(divisor, *rest.values())
    if shared > 1:
        rest = {monomial: factor // shared for monomial, factor in rest.items()}
        constant, divisor = constant // shared, divisor // shared
    inner = _inner_floor(rest)
    if inner is not None:
        others = {monomial: factor for monomial, factor in rest.items() if monomial != (inner,)}
        lifted = inner.denominator * build(cls, others, constant) + inner.numerator
        return pulled + floor_divide(lifted, inner.denominator * divisor)
    return pulled + of_atom(cls, Quotient(build(cls, rest, constant), divisor))


def _is_difference(value: Polynomial) -> bool:
    """Whether floors or extremes stand against other terms, as in a remainder, so that the value may be bounded."""
    factors = value.terms.values()
    return (
        len(factors) > 1
        and min(factors) < 0 < max(factors)
        and any(not isinstance(atom, str) for monomial in value.terms for atom in monomial)
    )


def _inner_floor(terms: dict[Monomial, int]) -> Quotient | None:
    """The floor that collapses into the one around it: the only one among the terms, alone, with coefficient 1."""
    found: Quotient | None = None
    for monomial, factor in terms.items():
        if not any(isinstance(atom, Quotient) for atom in monomial):
            continue
        if found is not None or factor != 1 or len(monomial) != 1:
            return None
        found = monomial[0]  # type: ignore[assignment]
    if found is not None and not isinstance(found.denominator, int) and len(terms) > 1:
        return None
    return found


def _by_polynomial(numerator: Value, divisor: Polynomial) -> Value:
    """Long division by the leading term (exact for any divisor that is not zero), then common factors cancel."""
    cls = type(divisor)
    lead = max(divisor.terms, key=order_key)
    if divisor.terms[lead] < 0:
        return _by_polynomial(-numerator, -divisor)  # type: ignore[arg-type]
    pulled, rest = _long_division(numerator, divisor, lead)
    if rest == 0:
        return pulled
    cut_rest, cut_divisor = _cancel(rest, divisor)
    if cut_divisor is not divisor:
        return pulled + floor_divide(cut_rest, cut_divisor)
    return pulled + of_atom(cls, Quotient(rest, divisor))


def _long_division(numerator: Value, divisor: Polynomial, lead: Monomial) -> tuple[Value, Value]:
    """`(q, r)` with `numerator == q * divisor + r` and no term of `r` that a multiple of the lead would reduce."""
    pulled: Value = 0
    rest = numerator
    work = 0
    while work < MAX_WORK:
        work += len(rest.terms) if isinstance(rest, Polynomial) else 1
        best: tuple[Any, Monomial, int] | None = None
        for monomial, factor in rest.terms.items() if isinstance(rest, Polynomial) else ():
            times = factor // divisor.terms[lead]
            over = without(monomial, lead)
            if times and over is not None and (best is None or order_key(monomial) > best[0]):
                best = (order_key(monomial), over, times)
        if best is None:
            return pulled, rest
        step = build(type(divisor), {best[1]: best[2]}, 0) if best[1] else best[2]
        pulled, rest = pulled + step, rest - step * divisor
    raise SizeTooLarge(f"a division of symbolic sizes takes more than {MAX_WORK} steps")


def _cancel(numerator: Value, divisor: Polynomial) -> tuple[Value, Value]:
    """Both without their common integer factor and, where neither has a constant, without their common monomial."""
    if isinstance(numerator, int):
        shared = gcd(numerator, divisor.constant, *divisor.terms.values())
        return (numerator // shared, _exactly(divisor, shared, ())) if shared > 1 else (numerator, divisor)
    shared = gcd(numerator.constant, divisor.constant, *numerator.terms.values(), *divisor.terms.values())
    common: Monomial = ()
    if not numerator.constant and not divisor.constant:
        monomials = [*numerator.terms, *divisor.terms]
        for atom in monomials[0]:
            if all(without(monomial, (*common, atom)) is not None for monomial in monomials):
                common = (*common, atom)
    if shared == 1 and not common:
        return numerator, divisor
    return _exactly(numerator, shared, common), _exactly(divisor, shared, common)


def _exactly(value: Polynomial, factor: int, monomial: Monomial) -> Value:
    """`value / (factor * monomial)`, which is known to divide."""
    constant = value.constant // factor
    terms: dict[Monomial, int] = {}
    for term, coefficient in value.terms.items():
        left = without(term, monomial)
        if left:
            terms[left] = coefficient // factor
        else:
            constant += coefficient // factor
    return build(type(value), terms, constant)
