"""The PDF of a picture: a file that readers can read, with its font in it, its words as words, and its shapes in their places.

The reader below is one of our own: it follows the table of places, unpacks the page, and turns glyphs back into characters.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import zlib
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from netspec.backends.diagram.drawing.engine import render
from netspec.diagnostics.model import Refusal

pytest.importorskip("fontpkg_arimo")
pytest.importorskip("fontTools")

from netspec.backends.diagram.drawing.pdf_page import to_pdf  # noqa: E402
from netspec.backends.diagram.drawing.typeface import typeface  # noqa: E402

DOT = """digraph { node [fontname=Helvetica, fontsize=10]; edge [fontname=Helvetica]
a [id="box-0", shape=plain, label=<<TABLE BGCOLOR="#eff6ff"><TR>
<TD><B>conv</B> 64 · 3×3 <I>slanted</I> <U>under</U> x<SUB>2</SUB></TD></TR></TABLE>>]
b [shape=circle, label="+", fillcolor="#ff000080", style=filled]
a -> b [label="64×56×56 → ≤", style=dashed, penwidth=2] }"""


def svg(body: str, box: str = "0 0 100 50") -> bytes:
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}">{body}</svg>'.encode()


def objects(pdf: bytes) -> dict[int, bytes]:
    """The objects of a file, found as a reader finds them: from its end, by the table of places."""
    table = int(re.search(rb"startxref\n(\d+)\n%%EOF\n\Z", pdf)[1])  # type: ignore[index]
    count = int(re.match(rb"xref\n0 (\d+)\n", pdf[table:])[1])  # type: ignore[index]
    entries = pdf[table:].split(b"\n")[2 : 2 + count]
    assert entries[0] == b"0000000000 65535 f " and all(len(entry) == 19 for entry in entries)
    found = {}
    for number, entry in enumerate(entries[1:], start=1):
        body = pdf[int(entry[:10]) :]
        assert body.startswith(b"%d 0 obj\n" % number)
        found[number] = body[len(b"%d 0 obj\n" % number) : body.index(b"\nendobj\n")]
    return found


def unpacked(body: bytes) -> bytes:
    length = int(re.search(rb"/Length (\d+)", body)[1])  # type: ignore[index]
    start = body.index(b"stream\n") + 7
    assert body[start + length :] == b"\nendstream"
    return zlib.decompress(body[start : start + length])


#: how a black line of a point begins
LINE = "0 0 0 RG 1 w [] 0 d"


def page(pdf: bytes) -> tuple[bytes, str]:
    """The page's dictionary and what it draws."""
    everything = objects(pdf)
    (found,) = (body for body in everything.values() if body.startswith(b"<</Type/Page/"))
    content = int(re.search(rb"/Contents (\d+) 0 R", found)[1])  # type: ignore[index]
    return found, unpacked(everything[content]).decode("ascii")


def words(pdf: bytes) -> list[str]:
    """The texts of a page, by the fonts' maps from glyphs to characters, or by what stands for them where a font has none."""
    everything = objects(pdf)
    found, content = page(pdf)
    maps = {}
    for name, number in re.findall(rb"/(F\d+) (\d+) 0 R", found):
        back = int(re.search(rb"/ToUnicode (\d+) 0 R", everything[int(number)])[1])  # type: ignore[index]
        pairs = re.findall(r"<([0-9a-f]{4})> <([0-9a-f]+)>\n", unpacked(everything[back]).decode())
        maps[name.decode()] = {glyph: bytes.fromhex(text).decode("utf-16-be") for glyph, text in pairs}
    said = []
    for instead, font, codes in re.findall(r"(?:ActualText <feff([0-9a-f]*)>.*?)?BT .*?/(F\d+) 1 Tf .*?<([0-9a-f]*)> Tj ET", content):
        plain = "".join(maps[font].get(codes[i : i + 4], "\ufffd") for i in range(0, len(codes), 4))
        said.append(bytes.fromhex(instead).decode("utf-16-be") if instead else plain)
    return said


def test_words_are_words() -> None:
    said = [text.strip() for text in words(render(DOT, "pdf").data) if text.strip()]
    assert sorted(said) == sorted(["conv", "64 · 3×3", "slanted", "under", "x", "2", "+", "64×56×56 → ≤"])


def test_every_font_is_in_the_file_and_only_with_its_letters() -> None:
    pdf = render(DOT, "pdf").data
    fonts = [body for body in objects(pdf).values() if body.startswith(b"<</Type/FontDescriptor")]
    names = sorted(re.search(rb"/FontName/([A-Z]{6})\+([\w-]+)", body)[2].decode() for body in fonts)  # type: ignore[index]
    assert names == ["Arimo", "Arimo-Bold", "Arimo-Italic"] and all(b"/FontFile2 " in body for body in fonts)
    assert len(pdf) < 30_000


def test_the_page_is_the_picture_s_size_and_dated_nowhere() -> None:
    drawn = render(DOT, "svg").data
    width, height = re.search(rb'width="(\d+)pt" height="(\d+)pt"', drawn).groups()  # type: ignore[union-attr]
    found, _ = page(to_pdf(drawn))
    assert b"/MediaBox[0 0 %b.00 %b.00]" % (width, height) in found
    assert not re.search(rb"Date|D:\d{4}", to_pdf(drawn))
    assert to_pdf(drawn) == render(DOT, "pdf").data


def test_a_page_longer_than_readers_show_has_larger_units() -> None:
    found, content = page(to_pdf(svg('<path d="M0,0 L9,9" stroke="black"/>', "0 0 720 30000")))
    assert b"/MediaBox[0 0 240.00 10000.00]/UserUnit 3/" in found
    assert content.startswith("0.333333 0 0 -0.333333 0 10000 cm")


@pytest.mark.parametrize(
    "shape, operators",
    [
        ('<path fill="none" stroke="black" d="M1,2C3,4 5,6 7,8 9,10 11,12 13,14"/>', f"{LINE} 1 2 m 3 4 5 6 7 8 c 9 10 11 12 13 14 c S"),
        ('<path fill="#00ff00" d="M1,2L3,4 5.126,-6Z"/>', "0 1 0 rg 1 2 m 3 4 l 5.13 -6 l h f"),
        ('<polygon fill="white" stroke="black" points="0,0 1,0 1,1"/>', f"1 1 1 rg {LINE} 0 0 m 1 0 l 1 1 l h B"),
        ('<polyline fill="none" stroke="red" stroke-width="4" stroke-dasharray="5,2" points="0,0 1,0"/>',
         "1 0 0 RG 4 w [5 2] 0 d 0 0 m 1 0 l S"),
        ('<g transform="translate(4 9)"><polyline fill="none" points="0,0 1,0" stroke="black"/></g>',
         f"q\n1 0 0 1 4 9 cm\n{LINE} 0 0 m 1 0 l S\nQ"),
        ('<g transform="scale(2 2) rotate(90) translate(4 -9)"/>', "q\n2 0 0 2 0 0 cm\n0 1 -1 0 0 0 cm\n1 0 0 1 4 -9 cm\nQ"),
        ('<path fill="none" stroke="none" d="M0,0L1,1"/>', ""),
        ('<path fill="blau" d="M0,0L1,1"/>', ""),
    ],
)  # fmt: skip
def test_shapes_are_drawn_as_they_stand(shape: str, operators: str) -> None:
    _, content = page(to_pdf(svg(shape)))
    assert content.removeprefix("1 0 0 -1 0 50 cm").strip() == operators


def test_opacity_holds_for_what_has_it() -> None:
    found, content = page(to_pdf(svg('<path fill="#000000" fill-opacity="0.5" d="M0,0L1,1"/><path fill="#000000" d="M0,0L2,2"/>')))
    assert b"/ExtGState<</A0<</ca 0.5/CA 1>>/A1<</ca 1/CA 1>>>>" in found
    assert re.findall(r"/(A\d) gs", content) == ["A0", "A1"]


def test_a_gradient_is_painted_in_its_first_colour() -> None:
    gradient = (
        '<linearGradient id="g"><stop style="stop-color:#ff0000;stop-opacity:1.;"/><stop style="stop-color:#0000ff"/></linearGradient>'
    )
    _, content = page(to_pdf(svg(f'<defs>{gradient}</defs><path fill="url(#g)" d="M0,0L1,1"/>')))
    assert "1 0 0 rg" in content


@pytest.mark.parametrize("anchor, share", [("start", 0.0), ("middle", 0.5), ("end", 1.0)])
def test_words_stand_where_their_anchor_is(anchor: str, share: float) -> None:
    _, content = page(to_pdf(svg(f'<text x="50" y="20" font-size="10" text-anchor="{anchor}">abc</text>')))
    start, base = re.search(r"10 0 0 -10 ([\d.]+) ([\d.]+) Tm", content).groups()  # type: ignore[union-attr]
    assert float(base) == 20
    # Helvetica's widths (its AFM file): a 556, b 556, c 500 thousandths
    assert float(start) == pytest.approx(50 - share * 16.12, abs=0.02)


def test_the_font_has_the_widths_of_helvetica() -> None:
    widths = {"a": 556, "W": 944, "i": 222, "0": 556, "(": 333, "m": 833, ".": 278, "×": 584}
    bold = {"a": 556, "W": 944, "i": 278, "0": 556, "(": 333, "m": 889, ".": 278, "×": 584}
    for heavy, table in ((False, widths), (True, bold)):
        face = typeface("".join(table), heavy)
        assert {c: round(face.width(c) * 1000) for c in table} == pytest.approx(table, abs=1)


def test_what_is_no_svg_is_refused() -> None:
    with pytest.raises(Refusal) as caught:
        to_pdf(b"<html/>")
    assert caught.value.diagnostic.code == "NS742"


@settings(max_examples=15, deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=12))
@example("日本 😀 עברית")
@example("()\\<>")
def test_every_text_comes_back(text: str) -> None:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace("\ufffe", "").replace("\uffff", "")
    said = words(to_pdf(svg(f"<text>x{escaped}x</text>")))
    assert said == [f"x{text}x".replace("\ufffe", "").replace("\uffff", "")]


@pytest.mark.skipif(not shutil.which("pdftotext") or not shutil.which("pdffonts"), reason="poppler's tools are not installed")
def test_another_reader_reads_the_same(tmp_path: Path) -> None:
    file = tmp_path / "picture.pdf"
    file.write_bytes(render(DOT, "pdf").data)
    text = subprocess.run(["pdftotext", str(file), "-"], capture_output=True, check=True)
    assert "64 · 3×3" in text.stdout.decode() and "64×56×56 → ≤" in text.stdout.decode() and not text.stderr
    fonts = subprocess.run(["pdffonts", str(file)], capture_output=True, text=True, check=True).stdout.splitlines()[2:]
    assert len(fonts) == 3 and all(re.search(r"CID TrueType\s+Identity-H\s+yes yes yes", line) for line in fonts)
