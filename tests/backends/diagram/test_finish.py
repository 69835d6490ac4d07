"""A finished SVG says what the renderer's said, holds nothing else, and no text breaks out of it."""

from __future__ import annotations

import html
import re
from xml.etree import ElementTree

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from netspec.backends.diagram.drawing.engine import render
from netspec.backends.diagram.drawing.finish import ELEMENTS, Theme, carriable, finish, rules
from netspec.backends.diagram.drawing.lettering import width
from netspec.diagnostics.model import Refusal

SVG = "{http://www.w3.org/2000/svg}"
COLOURS = {"#eff6ff": "#13233f", "#ffffff": "#0b1120", "#2563eb": "#93c5fd"}

DOT = """digraph { graph [newrank=true, bgcolor=white, fontname=Helvetica]; node [fontname=Helvetica, fontsize=10]
edge [fontname=Helvetica]
subgraph cluster_0 { id="group-0"; label=<<B>stem</B>>; style="rounded,filled"; fillcolor="#eff6ff"
n0 [id="box-0", shape=plain, label=<<TABLE BORDER="0" CELLBORDER="1"><TR>
<TD ID="row-0-0" TITLE=" " BGCOLOR="#eff6ff"><FONT COLOR="#2563eb">conv</FONT> 64</TD></TR>
<TR><TD ID="row-0-1" TITLE=" "><FONT POINT-SIZE="8"> relu  x </FONT></TD></TR></TABLE>>] }
n1 [id="box-1", class="merge", shape=circle, label="+", tooltip="t", URL="javascript:alert(1)"]
n2 [id="box-2", shape=box, style=filled, fillcolor="#ff000080:#00ff00", label="a:b"]
p [shape=point]
n0 -> p; p -> n1 [id="link-0", label="64×56×56", style=dashed]; n1 -> n2 [id="link-1", color="#2563eb80", penwidth=2] }"""


@pytest.fixture(scope="module")
def drawn() -> bytes:
    return render(DOT, "svg").data


def tree(svg: str) -> ElementTree.Element:
    assert "<!" not in svg and "<?" not in svg
    return ElementTree.fromstring(svg)


def by_id(root: ElementTree.Element, name: str) -> ElementTree.Element:
    (found,) = (node for node in root.iter() if node.get("id") == name)
    return found


def words(root: ElementTree.Element) -> list[str]:
    return ["".join(node.itertext()).replace("\xa0", " ") for node in root.iter(f"{SVG}text")]


def test_the_root_says_what_the_picture_is(drawn: bytes) -> None:
    root = tree(finish(drawn, {}, 'ResNet <18> & "friends"', prefix="p-"))
    assert root.tag == f"{SVG}svg"
    assert (root.get("role"), root.get("aria-label"), root.get("id")) == ("img", 'ResNet <18> & "friends"', "p-root")
    width, height = (float(root.get(name, "").removesuffix("pt")) for name in ("width", "height"))
    assert root.get("viewBox") == f"0 0 {width:g} {height:g}"


def test_ids_titles_and_classes_are_ours(drawn: bytes) -> None:
    titles = {"box-0": "stem.conv\nline 3", "row-0-0": "conv(64)", "link-0": "64×56×56", "group-0": "stem", "box-9": "nothing"}
    root = tree(finish(drawn, titles, "x", prefix="a1-"))
    found = {node.get("id"): node for node in root.iter() if node.get("id")}
    assert set(found) == {"a1-root", "a1-group-0", "a1-box-0", "a1-row-0-0", "a1-row-0-1", "a1-box-1", "a1-box-2", "a1-box-2_l_0",
                          "a1-link-0", "a1-link-1"}  # fmt: skip
    assert {name: node.get("class") for name, node in found.items() if node.tag == f"{SVG}g"} == {
        "a1-group-0": "group", "a1-box-0": "box", "a1-row-0-0": "row", "a1-row-0-1": "row", "a1-box-1": "box merge", "a1-box-2": "box",
        "a1-link-0": "link", "a1-link-1": "link",
    }  # fmt: skip
    shown = {node.get("id"): node.findtext(f"{SVG}title") for node in found.values() if node.find(f"{SVG}title") is not None}
    assert shown == {f"a1-{name}": text for name, text in titles.items() if name != "box-9"}
    assert found["a1-row-0-0"] in list(found["a1-box-0"])


def test_the_text_of_the_picture_is_text(drawn: bytes) -> None:
    assert words(tree(finish(drawn, {}, "x"))) == ["stem", "conv", " 64", " relu  x ", "+", "a:b", "64×56×56"]


def test_shapes_and_places_stay(drawn: bytes) -> None:
    """Every shape of the renderer is there, with its colours and its place, and no other."""
    theirs, ours = shapes(ElementTree.fromstring(drawn), ""), shapes(tree(finish(drawn, {}, "x", prefix="p-")), "p-")
    assert theirs == ours and len(ours) > 20


def shapes(root: ElementTree.Element, prefix: str) -> list[tuple[object, ...]]:
    """What is drawn, in order, with what is meant where nothing is said."""
    spelled = {"white": "#ffffff", "black": "#000000", "transparent": "none", None: "none"}
    found = []
    for node in root.iter():
        tag = node.tag.removeprefix(SVG)
        if tag in ("path", "polygon", "polyline", "ellipse", "text"):
            fill, stroke = node.get("fill", "#000000"), node.get("stroke")
            points = (node.get("points") or "").split()
            corners = points[:-1] if tag == "polygon" and points[0] == points[-1] else points
            numbers = [round(float(n), 2) for n in re.findall(r"-?\d*\.?\d+", " ".join([node.get("d", ""), *corners]))]
            plain = [float(node.get(name, default)) for name, default in (("x", 0), ("y", 0), ("rx", 0), ("cx", 0), ("stroke-width", 1))]
            rest = node.get("stroke-dasharray"), node.get("text-anchor", "start")
            fill = fill.replace(f"url(#{prefix}", "url(#")
            found.append((tag, spelled.get(fill, fill), spelled.get(stroke, stroke), numbers, plain, rest))
    return found


def test_only_what_is_on_the_list_comes_through(drawn: bytes) -> None:
    svg = finish(drawn, {}, "x", colours=COLOURS)
    tags = {node.tag.removeprefix(SVG) for node in tree(svg).iter()}
    assert tags <= ELEMENTS - {"a"} | {"svg", "style", "title"}
    assert not re.search(r"href|xlink|javascript|script|<a[\s>]|xml:space|DOCTYPE|http(?!://www\.w3\.org/2000/svg)", svg)


def test_foreign_elements_and_attributes_are_dropped() -> None:
    svg = b"""<svg xmlns="http://www.w3.org/2000/svg" xmlns:x="http://www.w3.org/1999/xlink" viewBox="0 0 9 9" onload="a()">
    <script>alert(1)</script><image x:href="file:///etc/passwd"/><foreignObject><p xmlns="http://www.w3.org/1999/xhtml">p</p></foreignObject>
    <use x:href="#a"/><style>@import url(//x)</style><g id="box-0" class="node" onclick="a()" style="fill:url(//x)"><animate/>
    <path fill="url(//x)" stroke="url(#a&quot;b)" d="M0,0"/><text x="1" onclick="b()">t</text></g></svg>"""
    root = tree(finish(svg, {}, "x"))
    assert [node.tag.removeprefix(SVG) for node in root.iter()] == ["svg", "g", "path", "text"]
    assert by_id(root, "box-0").attrib == {"id": "box-0", "class": "box"}
    assert root.find(f".//{SVG}path").attrib == {"fill": "none", "d": "M0,0"}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "svg", [b"", b"<svg", b"<html/>", b'<!DOCTYPE svg [<!ENTITY a "b">]><svg>&a;</svg>', b"\xff\xfe", b"<svg>&nbsp;</svg>"]
)
def test_what_is_no_svg_is_refused(svg: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        finish(svg, {}, "x")
    assert caught.value.diagnostic.code == "NS742"


@pytest.mark.parametrize("prefix", ["1", "a b", 'a"', "<", "a.b", "-"])
def test_a_prefix_is_a_name(prefix: str, drawn: bytes) -> None:
    with pytest.raises(ValueError, match="no prefix"):
        finish(drawn, {}, "x", prefix=prefix)


def test_words_keep_the_width_that_their_boxes_were_made_for(drawn: bytes) -> None:
    """Where the reader's font is wider than Helvetica, they would hang over."""
    root = tree(finish(drawn, {}, "x"))
    lengths = {"".join(node.itertext()): node.get("textLength") for node in root.iter(f"{SVG}text")}
    # by Helvetica's widths: 64×56×56 at 14 points, stem in bold
    assert float(lengths["64×56×56"] or 0) == pytest.approx(14 * (6 * 556 + 2 * 584) / 1000, abs=0.06)
    assert float(lengths["stem"] or 0) == pytest.approx(14 * (556 + 333 + 556 + 889) / 1000, abs=0.06)
    assert lengths["+"] is None


def test_the_known_widths_are_the_font_s() -> None:
    pytest.importorskip("fontpkg_arimo")
    from netspec.backends.diagram.drawing.typeface import typeface

    for bold in (False, True):
        letters = "".join(letter for letter in map(chr, range(32, 0x2300)) if width(letter, bold) is not None)
        face = typeface(letters, bold)
        assert len(letters) > 120 and {c: width(c, bold) for c in letters} == {c: face.width(c) for c in letters}
    assert width("日本") is None and width("") == 0


def test_two_pictures_share_no_id(drawn: bytes) -> None:
    first, second = (tree(finish(drawn, {}, "x", prefix=p, colours=COLOURS)) for p in ("a-", "b-"))
    ids = [{node.get("id") for node in root.iter()} - {None} for root in (first, second)]
    assert not ids[0] & ids[1]
    assert by_id(first, "a-box-2").find(f".//{SVG}polygon").get("fill") == "url(#a-box-2_l_0)"  # type: ignore[union-attr]


def test_the_theme_light_is_the_picture_alone(drawn: bytes) -> None:
    assert "<style" not in finish(drawn, {}, "x", theme="light", colours=COLOURS)
    assert finish(drawn, {}, "x", theme="light", colours=COLOURS) == finish(drawn, {}, "x")


def test_the_theme_dark_swaps_every_colour(drawn: bytes) -> None:
    svg = finish(drawn, {}, "x", theme="dark", colours=COLOURS)
    assert "<style" not in svg and not any(light in svg for light in (*COLOURS, "#000000", "white", "black"))
    assert all(dark in svg for dark in COLOURS.values())


def test_the_theme_auto_follows_the_reader_and_the_page(drawn: bytes) -> None:
    svg = finish(drawn, {}, "x", prefix="p-", colours={**COLOURS, "#123456": "#654321"})
    style = tree(svg).findtext(f"{SVG}style") or ""
    assert style.startswith("@media screen and (prefers-color-scheme:dark){") and style.count("{") == style.count("}")
    assert '#p-root:not([data-theme=light] *) [fill="#eff6ff"]{fill:#13233f}' in style
    assert '[data-theme=dark] #p-root [stroke="#2563eb"]{stroke:#93c5fd}' in style
    assert '[fill="#000000"]' in style, "words without a colour are black"
    assert "#123456" not in style and '[stroke="#eff6ff"]' not in style, "only what occurs"
    for light in COLOURS:
        assert light in svg.replace(style, ""), "the picture itself stays light"


def test_a_page_may_hold_the_rules_once() -> None:
    style = rules({"White": "#111111"}, ".diagram")
    for attribute in ("fill", "stroke", "stop-color"):
        assert f'[data-theme=dark] .diagram [{attribute}="#ffffff"]{{{attribute}:#111111}}' in style
    assert rules({}, ".diagram") == ""


def test_a_file_begins_with_the_declaration(drawn: bytes) -> None:
    svg = finish(drawn, {}, "x", declaration=True)
    assert svg.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<svg ') and svg.endswith("</svg>\n")
    assert ElementTree.fromstring(svg.encode("utf-8")).tag == f"{SVG}svg"


def test_a_finished_picture_takes_fewer_bytes() -> None:
    rows = "".join(f'<TR><TD ID="row-0-{i}" TITLE=" " BGCOLOR="#eff6ff">conv 3×3</TD></TR>' for i in range(60))
    svg = render(f'digraph {{ node [fontname=Helvetica]; a [id="box-0", shape=plain, label=<<TABLE>{rows}</TABLE>>] }}', "svg").data
    assert len(finish(svg, {}, "x", colours=COLOURS).encode()) < 0.82 * len(svg)


HOSTILE = [
    "<script>alert(1)</script>", "]]>", "&", "&amp;", "\x00", "\x1b[31m", "\ud800", "\udfff\ud800", "\ufffe", "\\N\\G\\L", '"', "'", "a:b",
    "-->", "<!--", "</svg>", "</text>", "עברית", "\u202eabc", "😀👩‍👩‍👧", "日本語",
    "x" * 3000, "<B></B>", "javascript:1", "\r\n\t", "&#0;", "{|}", "\x85\x9f",
]  # fmt: skip
names = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=40), st.text(st.characters(categories=["Cc", "Cs", "Cf", "Po"]), max_size=12))


def with_examples(test):  # noqa: ANN001, ANN201
    for name in HOSTILE:
        test = example(name, name, "light")(example("x", name, "auto")(test))
    return test


@with_examples
@settings(max_examples=60, deadline=None)
@given(names, names, st.sampled_from(["auto", "light", "dark"]))
def test_no_title_or_label_breaks_out(title: str, label: str, theme: Theme) -> None:
    svg = finish(PLAIN, {"box-0": title}, label, prefix="p", theme=theme, colours=COLOURS)
    root = tree(svg)
    assert [node.tag.removeprefix(SVG) for node in root.iter() if node.tag not in (f"{SVG}title", f"{SVG}style")] == ["svg", "g", "text"]
    assert (root.get("aria-label") or "") == carriable(label)
    assert (by_id(root, "pbox-0").findtext(f"{SVG}title") or "") == carriable(title)
    svg.encode("utf-8")


PLAIN = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"><g id="box-0" class="node"><title>n0</title><text>x</text></g></svg>'


@settings(max_examples=25, deadline=None)
@given(names)
@example("<script>alert(1)</script>]]>&\x00\ud800\\N\"':-->")
def test_no_label_of_a_graph_breaks_out(name: str) -> None:
    """Names as html-escaped labels, through the renderer: the words come out as they went in."""
    text = html.escape(name).replace("\\", "\\\\")
    dot = f'digraph {{ a [id="box-0", shape=plain, label=<<TABLE><TR><TD>x{text}x</TD></TR></TABLE>>] }}'
    root = tree(finish(render(dot, "svg").data, {}, "x"))
    assert {node.tag.removeprefix(SVG) for node in root.iter()} <= {"svg", "g", "polygon", "text"}
    (shown,) = words(root)
    assert re.sub(r"\s", "", shown) == re.sub(r"\s", "", carriable(f"x{name}x")), "Graphviz joins lines, and no more"
