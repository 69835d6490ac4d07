"""Bounds, and time in proportion to the length of the text."""

from __future__ import annotations

import time

import pytest

from netspec.limits import Limits
from netspec.syntax import tree
from tests.syntax.reading import broken, errors, expression, read


def test_nesting() -> None:
    assert errors("x = " + "(" * 100 + "1" + ")" * 100) == []
    assert errors("x = " + "(" * 101 + "1" + ")" * 101 + "\ny = (") == ["NS105 1:105", "NS102 2:5"]
    assert errors("x = " + "[" * 5000 + "]" * 5000) == ["NS105 1:105"]
    assert errors("block b {\n" + "if a {\n" * 99 + "}\n" * 99 + "}") == []
    assert [e[:5] for e in errors("block b {\n" + "if a {\n" * 500 + "}\n" * 500 + "}")] == ["NS105"]


@pytest.mark.parametrize("prefix", ["-", "not ", "2^", "1 if a else "])
def test_chains_of_operators(prefix: str) -> None:
    assert errors("x = " + prefix * 100 + "1") == []
    assert [e[:5] for e in errors("x = " + prefix * 101 + "1")] == ["NS105"]
    assert "NS105" in [e[:5] for e in errors("x = " + prefix * 20_000 + "1")]


@pytest.mark.parametrize("joint", [" + ", " ++ ", " -> ", " * ", " and "])
def test_flat_expressions_have_no_bound(joint: str) -> None:
    assert expression(joint.join(["a"] * 50_000)) is not None


def test_postfix_chains_have_no_bound() -> None:
    assert expression("a" + "[0]" * 20_000 + ".b" * 20_000 + "(1)" * 20_000) is not None


def test_file_size() -> None:
    module, report = broken("x = 1\n" * 100, Limits(file_bytes=100))
    assert [d.code for d in report.diagnostics] == ["NS003"] and isinstance(module.body[0], tree.Hole)


def test_number_of_errors_is_bounded() -> None:
    _, report = broken("x = = 1\n" * 5000)
    assert len(report.diagnostics) == 100


HOSTILE = [*"\"'#\n ()[]{}-.\\1a!=\0", '"""', "\r\n", "\n#", "\n ->", "->", "..", '"a\\', "x=(\n", "else", "\nelse", "{}", "if a {", "net "]
HOSTILE += ["init {", "train {", "weights {", 'a as "{']


@pytest.mark.parametrize("piece", HOSTILE)
def test_time_is_linear(piece: str) -> None:
    text = "x = 1\n" + piece * (100_000 // len(piece))
    begin = time.process_time()
    broken(text)
    assert time.process_time() - begin < 4


def test_lines_a_second() -> None:
    """A guard against a change of order, not a measurement: ten thousand lines take about a second."""
    begin = time.process_time()
    read("net a {\n" + "x = x -> conv(64, 3, padding = 1) -> bn -> relu\n" * 10_000 + "}\n")
    assert time.process_time() - begin < 6
