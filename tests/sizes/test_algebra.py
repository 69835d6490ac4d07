"""The algebra of sizes against plain integers, and against sympy: random expressions, all operators."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from netspec.sizes import Dim, SizeTooLarge, evaluate, maximum, minimum, names, parse, show, substitute
from netspec.sizes._bounds import lower_bound, upper_bound

NAMES = ("H", "W", "N")
#: An expression is a name, a number, or (operator, left, right): something that both ints and sizes can compute.
OPERATORS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "min": lambda a, b: min(a, b) if type(a) is type(b) is int else minimum(a, b),
    "max": lambda a, b: max(a, b) if type(a) is type(b) is int else maximum(a, b),
}
leaves = st.one_of(st.sampled_from(NAMES), st.integers(-9, 9))
divisors = st.one_of(st.integers(1, 7), st.integers(-3, -1))
expressions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(st.sampled_from(["+", "-", "*", "min", "max"]), inner, inner),
        st.tuples(st.sampled_from(["//", "%"]), inner, st.one_of(divisors, divisors, inner)),
    ),
    max_leaves=12,
)
values = st.fixed_dictionaries({name: st.integers(1, 50) for name in NAMES})


def compute(expression, env):
    """The value of an expression, with what `env` gives for names: ints, or sizes."""
    if isinstance(expression, str):
        return env[expression]
    if isinstance(expression, int):
        return expression
    operator, left, right = expression
    return OPERATORS[operator](compute(left, env), compute(right, env))


def symbolic(expression):
    """The expression as a size; examples that divide by zero or grow past the bounds are passed over."""
    try:
        return compute(expression, {name: Dim.name(name) for name in NAMES})
    except (ZeroDivisionError, SizeTooLarge):
        assume(False)


def numeric(expression, env):
    try:
        return compute(expression, env)
    except ZeroDivisionError:
        assume(False)


@settings(max_examples=600, deadline=None)
@given(expressions, values)
@example(("//", ("-", "H", 7), -2), {"H": 1, "W": 1, "N": 1})
@example(("//", ("//", ("-", "H", 9), 3), ("//", ("+", "W", 1), 2)), {"H": 2, "W": 1, "N": 1})
def test_computing_then_substituting_is_substituting_then_computing(expression, env):
    size = symbolic(expression)
    number = numeric(expression, env)
    assert evaluate(size, env) == number
    assert substitute(size, env) == number


@settings(max_examples=300, deadline=None)
@given(expressions, values, expressions)
def test_substituting_a_size_for_a_name_is_exact(expression, env, replacement):
    inner = numeric(replacement, env)
    assume(inner >= 1)  # names are sizes of at least 1, and minima rely on it
    number = numeric(expression, {**env, "H": inner})
    try:
        size = substitute(symbolic(expression), {"H": symbolic(replacement)})
    except (ZeroDivisionError, SizeTooLarge):
        assume(False)
    assert evaluate(size, env) == number


@settings(max_examples=400, deadline=None)
@given(expressions)
def test_what_show_writes_parse_reads_back_equal(expression):
    size = symbolic(expression)
    again = parse(show(size))
    assert again == size and hash(again) == hash(size) and type(again) is type(size)


@settings(max_examples=300, deadline=None)
@given(expressions, values)
def test_bounds_hold(expression, env):
    size = symbolic(expression)
    number = numeric(expression, env)
    low, high = lower_bound(size), upper_bound(size)
    assert low is None or low <= number
    assert high is None or number <= high


@settings(max_examples=200, deadline=None)
@given(expressions, expressions, expressions)
def test_ring_laws_are_structural(first, second, third):
    a, b, c = symbolic(first), symbolic(second), symbolic(third)
    try:
        assert a + b == b + a and a * b == b * a
        assert (a + b) + c == a + (b + c)
        assert a * (b + c) == a * b + a * c
        assert a - a == 0 and a + 0 == a and a * 1 == a
    except SizeTooLarge:
        assume(False)


@settings(max_examples=200, deadline=None)
@given(st.tuples(*[st.integers(-9, 9)] * 3), st.integers(1, 9), st.integers(1, 9), st.integers(-9, 9), st.integers(-9, 9))
def test_nested_floors_collapse(factors, b, d, a, c):
    x = sum(factor * Dim.name(name) for factor, name in zip(factors, NAMES))
    assert ((x + a) // b + c) // d == (x + a + b * c) // (b * d)
    assert (b * x + c) // b == x + c // b
    assert (d * b * x + c) // (d * b * b) == (x + c // (d * b)) // b


@settings(max_examples=100, deadline=None)
@given(expressions)
def test_names_and_copies(expression):
    size = symbolic(expression)
    assert names(size) <= set(NAMES)
    assert pickle.loads(pickle.dumps(size)) == size == copy.deepcopy(size)


def test_against_sympy():
    sympy = pytest.importorskip("sympy")
    symbols = {name: sympy.Symbol(name, integer=True, positive=True) for name in NAMES}
    h, w = symbols["H"], symbols["W"]
    H, W = Dim.name("H"), Dim.name("W")
    cases = [
        ((H + W) ** 3 - H * W, (h + w) ** 3 - h * w),
        ((H + 3) // 2 * W, sympy.floor((h + 3) / 2) * w),
        (H % 4 + W % 3, sympy.Mod(h, 4) + sympy.Mod(w, 3)),
        (((H - 7) // 2 - 2) // 3, sympy.floor((sympy.floor((h - 7) / 2) - 2) / sympy.Integer(3))),
        (minimum(H // 2, W) - maximum(H, 3 * W), sympy.Min(sympy.floor(h / 2), w) - sympy.Max(h, 3 * w)),
        ((6 * H + 4) // (2 * W), sympy.floor((6 * h + 4) / (2 * w))),
    ]
    for size, oracle in cases:
        for a in range(1, 12):
            for b in range(1, 12):
                assert evaluate(size, {"H": a, "W": b}) == oracle.subs({h: a, w: b})
    polynomial = sympy.Poly(sympy.expand((h - 2 * w + 3) ** 4), h, w)
    ours = (H - 2 * W + 3) ** 4
    assert {(m.count("H"), m.count("W")): c for m, c in ours.terms.items()} | {(0, 0): ours.constant} == dict(polynomial.terms())
