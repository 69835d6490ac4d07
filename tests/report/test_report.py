"""The page as text: well-formed, right, safe from what it shows, the same every time, and small."""

from __future__ import annotations

import base64
import gzip
import json
import re
from html.parser import HTMLParser

import pytest

import netspec
from netspec.analyses.outline import View, outline
from netspec.analyses.table import size_text
from netspec.diagnostics.model import Refusal
from netspec.network import Net
from netspec.report import report_page, save_page, write_diagram_page, write_report
from netspec.report.axes import bytes_axis, compact, counts, linear, logarithmic
from netspec.report.listing import Texts
from netspec.report.shapes import Shapes
from netspec.report.states import States, states
from tests.report.drawing import plain

_VOID = {"meta", "input", "br", "hr", "img", "link"}


class Reader(HTMLParser):
    """Reads a page as a tree of tags; every tag must close what was opened last."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: dict[str, list[str]] = {}
        self.tags: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        inside = self.open[-1] if self.open else ""
        self.texts.setdefault(inside, []).append(data)
        if "td" in self.open or ("th" in self.open and self.rows):
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def resnet() -> Net:
    return netspec.load("zoo.resnet:resnet50")


@pytest.fixture(scope="module")
def page(resnet: Net) -> str:
    return write_report(resnet, plain)


def test_it_is_well_formed(page: str) -> None:
    reader = Reader(page)
    assert not reader.open
    assert len(set(reader.ids)) == len(reader.ids)
    assert reader.tags.count("h1") == reader.tags.count("main") == 1


def test_every_reference_inside_leads_somewhere(page: str) -> None:
    reader = Reader(page)
    links = {value for tag, name, value in reader.attributes if (tag, name) == ("a", "href")}
    assert links and all(link.startswith("#") and link[1:] in reader.ids for link in links)
    pointed = [word for _, name, value in reader.attributes if name in ("aria-labelledby", "for") for word in value.split()]
    assert set(pointed) <= set(reader.ids)


@pytest.mark.parametrize(
    "spec",
    ["zoo.dbpn:dbpn_x4", "zoo.tagger:bilstm_tagger", "zoo.transformer:transformer_base", "zoo.perceptron:nand", "zoo.recurrent:jordan"],
)
def test_networks_of_every_kind(spec: str) -> None:
    reader = Reader(write_report(netspec.load(spec), plain))
    assert not reader.open and len(set(reader.ids)) == len(reader.ids)
    assert {value[1:] for tag, name, value in reader.attributes if (tag, name) == ("a", "href")} <= set(reader.ids)


def test_nothing_is_loaded(page: str) -> None:
    reader = Reader(page)
    assert not {"img", "link", "iframe", "object", "embed", "base", "video", "audio"} & set(reader.tags)
    assert not [a for a in reader.attributes if a[1] in ("src", "srcset", "action", "background", "xlink:href") or a[1].startswith("on")]
    assert not re.search(r"url\(|@import", page)
    policy = next(value for _, name, value in reader.attributes if name == "content" and "default-src" in value)
    assert "default-src 'none'" in policy and "script-src 'sha256-" in policy and "http" not in policy


def test_the_table_has_the_numbers_of_the_summary(resnet: Net, page: str) -> None:
    summary = resnet.summary()
    rows = [row for row in Reader(page).rows if len(row) == 11 and row[0].isdigit()]
    assert len(rows) == len(summary.rows)
    for number, (shown, row, seen) in enumerate(zip(rows, summary.rows, summary.seen)):
        assert shown[0] == str(number + 1)
        assert shown[1] == row.label
        assert shown[2] == (f"{row.op}({row.arguments})" if row.arguments else row.op)
        assert shown[4] == (f"{row.parameters:,}" if row.parameters else "")
        assert shown[5] == (f"{row.macs:,}" if row.macs else "")
        assert shown[6] == (size_text(row.cost.bytes) if row.cost.bytes else "")
        assert shown[7] == ("all" if float("inf") in seen.values() else f"{max(seen.values()):,}")
        assert shown[10] == str(row.line)
    total = next(row for row in Reader(page).rows if len(row) == 11 and row[1] == "total")
    assert total[4:7] == [f"{summary.parameters:,}", f"{summary.macs:,}", size_text(summary.cost.total.bytes)]


def test_the_header_has_the_totals_and_the_paper(resnet: Net, page: str) -> None:
    words = " ".join(part for parts in Reader(page).texts.values() for part in parts)
    memory = resnet.summary().cost.memory
    for wanted in ("25,557,032", "4,089,184,256", "Deep residual learning", "N, 3, H, W", "H = 224"):
        assert wanted in words
    assert size_text(memory.peak.bytes) in words and size_text(memory.training) in words


def test_valid_sizes_have_their_reasons() -> None:
    text = write_report(netspec.load("zoo.unet:unet"), None)
    words = re.sub("<[^>]*>", "", text)
    assert "H % 16 == 0 and W % 16 == 0" in words and "because ++ at line 25 meets max_pool at line 20" in words
    assert [row for row in Reader(text).rows if row[0] == "H"] == [["H", "512", "496", "528"]]


def test_findings_show_the_marked_text() -> None:
    net = netspec.loads("net a {\n  input x: [N, 4]\n  output y = x -> linear(4) -> bn\n}")
    text = write_report(net, plain)
    assert [d.code for d in net.check()] == ["NS510"]
    assert "NS510" in text and re.search(r"<mark[^>]*>linear\(4\)</mark>|<mark[^>]*>bn</mark>|<mark[^>]*>linear</mark>", text)


def test_without_an_engine_there_is_a_page_all_the_same(resnet: Net) -> None:
    def missing(view: View) -> str:
        raise Refusal("NS016", "nothing that draws is installed", status=3)

    for page in (report_page(resnet, None), report_page(resnet, missing)):
        assert "has no diagram" in page.remarks[0] and "without a picture" in page.text
        assert not Reader(page.text).open
    with pytest.raises(Refusal):
        write_diagram_page(resnet, missing)


def test_views_that_cannot_be_drawn_are_left_out(resnet: Net) -> None:
    def draw(view: View) -> str:
        if len(view.boxes) > 16:
            raise Refusal("NS741", "that takes too long")
        return plain(view)

    first = outline(resnet.graph).view(1)
    found = states(resnet.graph, outline(resnet.graph), draw, first)
    assert found.left_out and len(found.views) > 5
    _check_links(found)


def test_it_is_the_same_every_time(resnet: Net, page: str) -> None:
    assert write_report(netspec.load("zoo.resnet:resnet50"), plain) == page


def test_it_is_small(page: str) -> None:
    assert len(page.encode()) < 600_000


def test_save_replaces_the_whole_file(resnet: Net, tmp_path: object) -> None:
    path = f"{tmp_path}/report.html"
    save_page(report_page(resnet, None), path)
    with open(path, encoding="utf-8") as file:
        assert file.read() == write_report(resnet, None)


def test_a_page_with_the_diagram_alone(resnet: Net) -> None:
    text = write_diagram_page(resnet, plain)
    assert not Reader(text).open and "resnet50 – diagram" in text and 'id="table"' not in text
    one = outline(resnet.graph).view(only="layer2")
    found = states(resnet.graph, outline(resnet.graph), plain, one)
    assert {key.partition(".")[0] for state in found.views for _, key, *_ in state.facts["groups"]} == {"layer2"}
    _check_links(found)
    assert write_diagram_page(resnet, plain, one) != text


# ----------------------------------------------------------------------------------------------------------- hostile text
_HOSTILE = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "'\\\"><b>&amp;",
    "{{ 7 * 7 }}{% raw %}",
    "a\u202eb\u2066c\u200b",
    "]]><!--",
    "\u2028\u2029",
]


@pytest.mark.parametrize("words", _HOSTILE)
def test_foreign_text_stays_text(words: str) -> None:
    doc = words.replace("\\", "").replace('"', "'")
    text = f'"""{doc}"""\nnet a {{\n  """{doc}"""\n  input x: [N, 4]  # {doc}\n  output y = x -> linear(4)\n}}\n'
    page = write_report(netspec.loads(text), plain)
    reader = Reader(page)
    assert not reader.open
    assert reader.tags.count("script") == len(re.findall(r'<script type="application/', page)) + 1
    assert "img" not in reader.tags
    assert not [name for _, name, _ in reader.attributes if name.startswith("on")]
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\u2028\u2029\x00-\x08]", page)
    assert "49" not in "".join(reader.texts.get("p", []))


def test_a_name_cannot_leave_the_data(resnet: Net) -> None:
    page = write_report(resnet, plain)
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page)
    assert data and not re.search("[<>&\u2028\u2029]", data[1])
    json.loads(data[1])


# ------------------------------------------------------------------------------------------------------------- the diagram
def _unpacked(packed: str) -> dict[str, object]:
    return json.loads(gzip.decompress(base64.b64decode(packed)))


@pytest.mark.parametrize("spec", ["zoo.resnet:resnet50", "zoo.unet:unet", "zoo.seq2seq:seq2seq_gru", "zoo.perceptron:mlp"])
def test_views_lead_to_one_another(spec: str) -> None:
    net = netspec.load(spec)
    found = states(net.graph, outline(net.graph), plain)
    _check_links(found)
    count = len(net.summary().rows)
    for state in found.views:
        assert {**state.facts, "svg": state.svg} == _unpacked(state.packed) and state.svg.startswith("<svg")
        assert all(int(row) < count for *_, rows in state.facts["boxes"] for row in re.findall(r"\d+", rows))


def _check_links(found: States) -> None:
    """A folded block leads to a view in which it is open, an open one to a view in which it is not."""
    keys = [{key for _, key, *_ in state.facts["groups"]} for state in found.views]
    for number, state in enumerate(found.views):
        for _, key, target, *_ in state.facts["boxes"]:
            assert target < 0 or (target != number and key not in keys[number])
            assert target < 0 or key in keys[target] or not keys[target], (state.title, key)
        for _, key, target, *_ in state.facts["groups"]:
            assert target < 0 or (target != number and key not in keys[target]), (state.title, key)


def test_every_layer_stands_in_one_box_of_every_view() -> None:
    net = netspec.load("zoo.seq2seq:seq2seq_gru")  # with a scan, whose body's layers are in the scan's row
    for state in states(net.graph, outline(net.graph), plain).views:
        seen: set[int] = set()
        for *_, rows in state.facts["boxes"]:
            for run in rows.split():
                first, _, last = run.partition("-")
                seen |= set(range(int(first), int(last or first) + 1))
        assert seen == set(range(len(net.graph.nodes)))


def test_a_page_has_a_budget(monkeypatch: pytest.MonkeyPatch, resnet: Net) -> None:
    monkeypatch.setattr("netspec.report.states.MOST_BYTES", 8_000)
    page = report_page(resnet, plain)
    assert page.remarks and "left out" in page.remarks[0]
    found = states(resnet.graph, outline(resnet.graph), plain)
    assert 2 <= len(found.views) < 20 and found.left_out
    assert all(spot[2] < len(found.views) for state in found.views for kind in ("boxes", "groups") for spot in state.facts[kind])


# -------------------------------------------------------------------------------------------------------------- the source
def _shapes(net: Net) -> dict[int, str]:
    done = net.compilation
    texts = Texts(net.graph, done.source, done.sources, Shapes(net.graph))
    return {line.number: line.shapes for line in texts.listings()[0].lines if line.shapes}


def test_lines_end_in_the_shape_of_what_they_make() -> None:
    text = """net a {
  input x: [N, 3, H = 32, W = 32]
  y = x -> conv(8, 3, padding = 1) -> relu
    -> max_pool(2)
  for i in 0..2 {
    y = y -> conv(16 * (i + 1), 3, padding = 1) -> bn
  }
  z = y -> (conv(4, 1) -> relu) as head -> global_avg_pool
  output z -> (flatten -> tail(9)) as "tail{1}"
}

def tail(n) = linear(n)
"""
    made = {3: "N×8×32×32", 4: "N×8×16×16", 6: "N×16×16×16, N×32×16×16", 8: "N×4×1×1", 9: "N×9", 12: "N×9"}
    assert _shapes(netspec.loads(text)) == made


def test_lines_of_an_unformatted_text_are_found_again() -> None:
    text = "net a{input x:[N,4];y=x->linear(8)\n\n\n\n output z=y->linear(2)}"
    net = netspec.loads(text)
    done = net.compilation
    texts = Texts(net.graph, done.source, done.sources, Shapes(net.graph))
    (listing,) = texts.listings()
    shown = {line.number: "".join(piece.text for piece in line.pieces) for line in listing.lines}
    assert listing.formatted
    for node in net.graph.nodes:
        assert "linear" in shown[texts.line(node.origin)]
    assert _shapes(net) == {3: "N×8", 5: "N×2"}


def test_the_text_is_shown_whole(resnet: Net) -> None:
    done = resnet.compilation
    listing = Texts(resnet.graph, done.source, done.sources, Shapes(resnet.graph)).listings()[0]
    assert "\n".join("".join(piece.text for piece in line.pieces) for line in listing.lines) + "\n" == done.source.text
    spare = {line.number for line in listing.lines if not line.used}
    assert 15 in spare and 27 not in spare and 44 not in spare and 67 not in spare and 59 in spare


# ---------------------------------------------------------------------------------------------------------------- the axes
@pytest.mark.parametrize("most", [1, 3, 7, 10, 99, 1234, 2_359_296, 1e12])
def test_ticks_are_round_and_inside(most: float) -> None:
    for axis in (counts(most), linear(most, compact)):
        assert 2 <= len(axis.ticks) <= 5 and all(axis.low <= tick <= axis.high for tick, _ in axis.ticks)
        assert axis.at(0) == 0 and 0.9 < axis.at(most) <= 1
    assert 1 <= len(bytes_axis(most).ticks) <= 6


@pytest.mark.parametrize(("least", "most"), [(1, 1), (1e-5, 3), (0.5, 1e9), (1e-30, 1e30)])
def test_powers_of_ten(least: float, most: float) -> None:
    axis = logarithmic(least, most)
    assert axis.low <= least and axis.high >= most and 2 <= len(axis.ticks) <= 6 and (1.0, "1") in axis.ticks


def test_counts_are_short() -> None:
    assert [compact(n) for n in (0, 7, 64, 999, 9408, 25_557_032, 4_089_184_256)] == ["0", "7", "64", "999", "9.41 k", "25.6 M", "4.09 G"]
