"""The formatter: one way to write each tree, with every comment, and never another tree."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.diagnostics.model import Report
from netspec.source import Source
from netspec.syntax.format import format
from tests.syntax.reading import RESNET, read


def formatted(text: str) -> str:
    """The canonical text, checked: the same tree, the same comments, and stable."""
    report = Report()
    result = format(Source("test.net", text), report)
    assert result is not None, [str(d) for d in report.diagnostics]
    assert read(result).body == read(text).body and read(result).doc == read(text).doc
    again = format(Source("test.net", result), Report())
    assert again == result
    comments = re.compile(r"#[^\n]*")
    assert sorted(c.rstrip() for c in comments.findall(result)) == sorted(c.rstrip() for c in comments.findall(text))
    return result


def test_canonical_text_is_kept() -> None:
    assert formatted(RESNET) == RESNET


PAIRS = [
    ("x=f(a,b=1)", "x = f(a, b = 1)\n"),
    ("x   = ((a+b))*(c*d)", "x = (a + b) * (c * d)\n"),
    ("x=a ->(b->c) ->d", "x = a -> (b -> c) -> d\n"),
    ("x=(a->b)as c", "x = (a -> b) as c\n"),
    ("x = 2 ^ i ; y = -( - 1e-4 )", "x = 2^i\ny = --1e-4\n"),
    ("x = 0 .. (n+1)", "x = 0..(n + 1)\n"),
    ("x = (a,)", "x = (a,)\n"),
    ("def f() = a", "def f = a\n"),
    ('x = L as "a{i+1}{{"', 'x = L as "a{i + 1}{{"\n'),
    ("x = a\n\n\n\ny = b", "x = a\n\ny = b\n"),
    ("x = a # c\n  # d\n", "x = a  # c\n# d\n"),
    ("x = f(a, # one\n# two\nb)", "x = f(\n  a,  # one\n  # two\n  b,\n)\n"),
    ("x = a # c\n # d\n ->b # e", "x = a  # c\n  # d\n  -> b  # e\n"),
    ("x = [\n# none\n]", "x = [\n  # none\n]\n"),
    ("block b(x){input y\noutput y}\nx=1", "block b(x) {\n  input y\n  output y\n}\n\nx = 1\n"),
    ("block b { # c\nif a {x=1}\nelse { } }", "block b {  # c\n  if a {\n    x = 1\n  } else { }\n}\n"),
    ("train t of n{a=b}", "train t of n {\n  a = b\n}\n"),
    ("net n { train {\n     a = 1 # c\n       b = 2\n } }", "net n {\n  train {\n    a = 1  # c\n    b = 2\n  }\n}\n"),
    ("net n {\n '''".replace("'", '"') + "Doc.\n      more\n    '''\n}".replace("'", '"'), 'net n {\n  """Doc.\n  more\n  """\n}\n'),
    ("from zoo.a import (b,c as d)", "from zoo.a import b, c as d\n"),
    ("", ""),
]


@pytest.mark.parametrize(("text", "expected"), PAIRS)
def test_pairs(text: str, expected: str) -> None:
    assert formatted(text) == expected


def test_long_lines() -> None:
    chain = "x = image" + " -> conv(64, 3, padding = 1)" * 6
    lines = formatted(chain).splitlines()
    assert all(len(line) <= 100 for line in lines) and all(line.startswith("  -> ") for line in lines[1:])
    call = formatted("x = f(" + ", ".join(f"argument{i} = {i}" for i in range(12)) + ")")
    assert call.splitlines()[1] == "  argument0 = 0," and call.endswith("\n)\n")
    numbers = formatted("x = [" + ", ".join(str(i) for i in range(80)) + "]").splitlines()
    assert 4 < len(numbers) < 8 and all(len(line) <= 100 for line in numbers)


def test_long_chains() -> None:
    for joint in (" + ", " -> ", " ++ "):
        assert format(Source("test.net", "x = " + joint.join(["a"] * 20_000)), Report()) is not None


def test_broken_text_is_not_formatted() -> None:
    report = Report()
    assert format(Source("test.net", "x = = 1"), report) is None and len(report.errors) == 1


# ------------------------------------------------------------------------------------------------ generated text
_NAMES = st.sampled_from(["a", "b", "conv", "input", "layer", "train", "weights", "x1"])
_ATOMS = st.one_of(_NAMES, st.sampled_from(["1", "0.5", "1e-4", '"s"', "true", "none", "[]"]))
_GAP = st.sampled_from(["", " ", "  "])
_BREAK = st.sampled_from(["", " ", "\n", " # note\n", "\n# own\n"])
_OPERATORS = ["->", "++", "+", "-", "*", "/", "//", "%", "^", "==", "<", " or ", " and ", "..", " if c else "]


def _larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Texts with one more form around smaller ones, every operand in parentheses, and spaces and comments at random."""
    grouped = st.builds("({}{}{})".format, _BREAK, inner, _BREAK)
    operand = st.one_of(grouped, _ATOMS)
    return st.one_of(
        st.builds("{}{}{}{}{}".format, operand, _GAP, st.sampled_from(_OPERATORS), _GAP, operand),
        st.builds("{}\n{}->{}".format, operand, _GAP, operand),
        st.builds("-{}".format, operand),
        st.builds("not {}".format, operand),
        st.builds("{}({}{}, k={}{})".format, _NAMES, _BREAK, inner, inner, _BREAK),
        st.builds("[{}{},{}{}]".format, inner, _BREAK, _BREAK, inner),
        st.builds("({},{}{})".format, inner, _BREAK, inner),
        st.builds("{}[{}].channels".format, grouped, inner),
        st.builds("{} as layer[{}]".format, operand, inner),
        st.builds('{} as "l{{{}}}"'.format, operand, _NAMES),
        st.builds("[{} for i in {}]".format, inner, grouped),
    )


EXPRESSIONS = st.recursive(_ATOMS, _larger, max_leaves=6)
STATEMENTS = st.one_of(
    st.builds("{} = {}".format, st.sampled_from(["a", "e[i]", "a, b", "y: [N, T = 3]"]), EXPRESSIONS),
    st.builds("output {}".format, EXPRESSIONS),
    st.builds("if ({}) {{ x = {} }}\nelse {{ # no\n }}".format, EXPRESSIONS, EXPRESSIONS),
    st.builds("for i in ({}) {{\n\n\n x = {}; # c\n}}".format, EXPRESSIONS, EXPRESSIONS),
    st.sampled_from(["# own", "", "", "expect a < 3 # why", "init { conv: zeros # a\n layer*.0: b = ones }", "layer f = conv(3)"]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STATEMENTS, max_size=4))
def test_generated_text(statements: list[str]) -> None:
    formatted("block b(x) {\n" + "\n".join(statements) + "\n}\n")
