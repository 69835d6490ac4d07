"""The summary from Python: what it gives at once, what on demand, and its forms."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from subprocess import run

import pytest

import netspec
from netspec.analyses.columns import Column, clipped, lay_out
from netspec.analyses.summary import summarize
from netspec.analyses.table import Options, size_text, table_of


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


@pytest.mark.parametrize("unfold", [False, True])
def test_columns_add_up_to_the_totals(unfold: bool) -> None:
    """Those of the lines that are not set in: what stands under a line with × is part of it."""
    facts = netspec.load("zoo.resnet:resnet101").summary()
    lines, columns = table_of(facts, Options(cost=True, unfold=unfold))
    sums = {c.heading: sum(int(cell.replace(",", "")) for cell, line in zip(c.cells, lines) if cell and not line.depth)
            for c in columns if c.heading in ("parameters", "multiply-adds", "operations")}  # fmt: skip
    assert sums == {"parameters": 44_549_160, "multiply-adds": facts.macs, "operations": facts.operations}
    assert len(lines) == (len(facts.rows) if unfold else 99)


class Page(HTMLParser):
    """Reads a page: which elements are open, which rows there are, and what each says."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.scopes: list[str | None] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "br":
            return
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "th":
            self.scopes.append(dict(attrs).get("scope"))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1] and "tr" in self.open:
            self.rows[-1][-1] += data


def test_a_summary_in_a_notebook_is_a_table_that_tells_what_the_text_tells() -> None:
    facts = netspec.load("zoo.resnet:resnet50").summary()
    page = Page(facts._repr_html_())
    assert not page.open and set(page.scopes) == {"col", "row"}
    assert page.rows[0] == ["layer", "operator", "output", "parameters", "multiply-adds", "field"]
    text = facts.table(width=200).splitlines()
    lines = text[4 : next(n for n in range(4, len(text)) if set(text[n]) == {"─"})]
    assert [row[0] for row in page.rows[1:] if len(row) == 6] == [line[:25].strip() for line in lines]
    assert ["parameters", "25,557,032", "97.5 MiB"] in page.rows
    assert ["layer1.1 … layer1.2 × 2", "bottleneck(width = 64, stride = 1, groups = 1, base = 64)"] in [row[:2] for row in page.rows]


def test_what_is_on_a_page_is_escaped() -> None:
    page = netspec.loads("net t { input x: [N, 1, H = 8]; output y = x -> conv(2, 3) -> threshold(0.5, 1) }").summary()._repr_html_()
    assert "H &gt;= 3" in page and "H >= 3" not in page
    assert ["conv1", "conv(2, 3)", "[N, 2, 6]", "8", "36", "3"] in Page(page).rows
    assert 'title="[N, 2, H - 2]"' in page


def test_a_page_ends() -> None:
    layers = "\n".join(f"x = x -> linear({4 + n % 2 + n})" for n in range(600))
    rows = Page(netspec.loads(f"net t {{\ninput x: [N, 4]\n{layers}\noutput x\n}}").summary()._repr_html_()).rows
    assert ["… and 100 rows more: print(net.summary())"] in rows


def test_a_net_in_a_notebook_is_its_picture_and_its_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    net = netspec.load("zoo.lenet:lenet5")
    page = net._repr_html_()
    assert page.index("<svg") < page.index("</svg>") < page.index("<table") and page.endswith(net.summary()._repr_html_())

    def refuse(*_: object, **__: object) -> None:
        raise netspec.Refusal("NS740", "nothing here draws")

    monkeypatch.setattr(netspec.Net, "diagram", refuse)
    assert net._repr_html_() == net.summary()._repr_html_()


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
    assert set(Options.__dataclass_fields__) == {
        "by", "depth", "sort", "unfold", "cost", "signal", "symbolic", "memory", "width", "colour",
    }  # fmt: skip


def test_every_size_that_something_is_asked_of_has_its_nearest_values() -> None:
    """Also one that only stands second in a condition on two of them: here nothing is asked of H alone."""
    text = "net t { input a: [N, 2, H = 64]\ninput b: [N, 2, G = 64]\noutput (a -> conv(2, 3, 2, 1)) + (b -> max_pool(2)) }"
    assert netspec.loads(text).summary().data()["nearest"] == {"H": [63, None], "G": [None, 65]}
