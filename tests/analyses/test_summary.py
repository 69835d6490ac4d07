"""The summary from Python: what it gives at once, what on demand, and its forms."""

from __future__ import annotations

import sys
from subprocess import run

import pytest

import netspec
from netspec.analyses.columns import Column, clipped, lay_out
from netspec.analyses.summary import summarize
from netspec.analyses.table import Options, size_text


def test_rows_and_totals() -> None:
    facts = netspec.load("zoo.resnet:resnet18").summary()
    assert (facts.net, facts.parameters, facts.trainable, len(facts.rows)) == ("resnet18", 11_689_512, 11_689_512, len(facts.graph.nodes))
    assert sum(row.macs for row in facts.rows) == facts.macs and sum(row.parameters for row in facts.rows) == facts.parameters
    assert sum(row.cost.operations for row in facts.rows) == facts.operations
    first = facts.rows[0]
    assert (first.label, first.op, first.arguments, first.inputs) == (
        "conv1",
        "conv",
        "64, 7, stride = 2, padding = 3, bias = false",
        ("image",),
    )
    assert facts.rows[0].line > 0 and dict(facts.typical)["N"] == 1
    assert facts.seen[0] == {"H": 7, "W": 7} and facts.signals[0].node == "conv1"
    assert facts.seen is facts.seen and facts.expressions is facts.expressions


def test_nothing_heavy_is_worked_out_before_it_is_asked_for() -> None:
    script = (
        "import sys, netspec; s = netspec.load('zoo.lenet:lenet5').summary(); s.macs, s.rows, s.activation_bytes\n"
        "sys.exit(any(m in sys.modules for m in ('netspec.analyses.signal', 'netspec.analyses.table', 'numpy', 'torch')))"
    )
    assert run([sys.executable, "-c", script], check=False).returncode == 0


def test_groups_are_by_block_or_by_operator() -> None:
    facts = netspec.load("zoo.lenet:lenet5").summary()
    assert {g.label for g in facts.groups("op")} == {row.op for row in facts.rows}
    with pytest.raises(ValueError, match="by block or by op"):
        facts.groups("net")


def test_a_table_in_a_notebook_is_escaped() -> None:
    page = netspec.loads("net t { input x: [N, 4]; output y = x -> linear(2) -> threshold(0.5, 1) }").summary()._repr_html_()
    assert page.startswith("<table>") and page.count("<tr>") == 3 and "linear(2)" in page and page.endswith("</pre>")


def test_a_net_without_layers() -> None:
    facts = summarize(netspec.loads("net t { input x: [N, 4]; output y = x }").graph)
    assert facts.macs == 0 and facts.activation_bytes == 16 and facts.cost.memory.best == 16
    for options in ({}, {"by": "op"}, {"by": "block"}, {"cost": True, "memory": True, "signal": True, "symbolic": True}):
        assert str(facts.table(**options)).startswith("net t")
    assert facts.data(signal=True, symbolic=True)["memory"]["peak_layer"] is None


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (3 << 20, "3.0 MiB"), (5 << 29, "2.50 GiB")])
def test_sizes_in_words(count: int, text: str) -> None:
    assert size_text(count) == text


# --------------------------------------------------------------------------------------------------------- columns
@pytest.mark.parametrize(
    ("text", "width", "middle", "cut"),
    [("abcdef", 6, False, "abcdef"), ("abcdef", 4, False, "abc…"), ("abcdef", 4, True, "a…ef"), ("abcdefg", 5, True, "ab…fg")],
)
def test_clipping(text: str, width: int, middle: bool, cut: str) -> None:
    assert clipped(text, width, middle) == cut and len(cut) <= width


def test_numbers_are_shortened_before_names_are_cut_to_pieces() -> None:
    columns = [
        Column("name", ("a.long.name.of.a.layer",), least=8, middle=True),
        Column("count", ("1,234,567,890",), right=True, short=("1.23 G",)),
    ]
    assert lay_out(columns, 60)[3] == "a.long.name.of.a.layer  1,234,567,890"
    assert lay_out(columns, 30)[3] == "a.long.name.of.a.layer  1.23 G"
    assert lay_out(columns, 20)[3] == "a.lon….layer  1.23 G"


def test_what_does_not_fit_goes_below_and_shares_stay_with_their_numbers() -> None:
    columns = [Column("name", ("a",)), Column("x", ("1" * 12,)), Column("y", ("2" * 12,)), Column("%", ("50.0",), tied=True)]
    lines = lay_out(columns, 24)
    assert [line.split() for line in lines if "─" not in line] == [
        ["name", "x"],
        ["a", "1" * 12],
        ["name", "y", "%"],
        ["a", "2" * 12, "50.0"],
    ]
    assert max(map(len, lines)) <= 24


def test_options_are_what_the_command_has() -> None:
    assert set(Options.__dataclass_fields__) == {"by", "depth", "sort", "cost", "signal", "symbolic", "memory", "width"}


def test_every_size_that_something_is_asked_of_has_its_nearest_values() -> None:
    """Also one that only stands second in a condition on two of them: here nothing is asked of H alone."""
    text = "net t { input a: [N, 2, H = 64]\ninput b: [N, 2, G = 64]\noutput (a -> conv(2, 3, 2, 1)) + (b -> max_pool(2)) }"
    assert netspec.loads(text).summary().data()["nearest"] == {"H": [63, None], "G": [None, 65]}
