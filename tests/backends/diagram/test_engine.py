"""Renderers: which are taken, what they make, and what is said where they are missing, slow or unhappy."""

from __future__ import annotations

import os
import re
import shutil
import stat
import struct
import sys
from pathlib import Path

import pytest

from netspec.backends.diagram.drawing import engine
from netspec.backends.diagram.drawing.engine import ENGINES, engines, render
from netspec.diagnostics.model import Refusal

SMALL = """digraph { graph [newrank=true]; node [fontname=Helvetica, shape=plain]
a [id="box-0", label=<<TABLE><TR><TD ID="row-0-0" TITLE=" "><B>conv</B> 64 · 3×3</TD></TR></TABLE>>]
b [id="box-1", label="relu", shape=box, style=dashed]
a -> b [id="link-0", label="64×56×56", fontsize=8] }"""


def refusal(dot: str, form: str = "svg", name: str = "auto") -> Refusal:
    with pytest.raises(Refusal) as caught:
        render(dot, form, name)  # type: ignore[arg-type]
    return caught.value


def installed(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Make it as if only these renderers were installed."""
    found = engine._command
    monkeypatch.setattr(engine, "_command", lambda name: found(name) if name in names else [])


def program(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Put a `dot` on the path that is this Python program, and let it be the only renderer."""
    if os.name == "nt":
        pytest.skip("a script is no program here")
    file = folder / "dot"
    file.write_text(f"#!{sys.executable}\nimport os, sys, time\n{text}\n", encoding="utf-8")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder))
    installed(monkeypatch, "dot")


def dpi_of(png: bytes) -> float:
    """What the PNG says of its resolution."""
    place = png.index(b"pHYs") + 4
    across, down, unit = struct.unpack(">IIB", png[place : place + 9])
    assert across == down and unit == 1
    return across * 0.0254


def size_of(png: bytes) -> tuple[int, int]:
    return struct.unpack(">II", png[16:24])


def test_the_renderer_that_comes_with_netspec_draws() -> None:
    assert engines()[0] == "graphviz-pure"
    drawn = render(SMALL, "svg")
    assert drawn.engine == "graphviz-pure" and drawn.dpi is None
    assert "64×56×56" in drawn.data.decode() and "conv" in drawn.data.decode()


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("form, start", [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF-")])
def test_every_renderer_makes_every_form(name: str, form: str, start: bytes) -> None:
    if name not in engines():
        pytest.skip(f"{name} is not installed")
    drawn = render(SMALL, form, name)  # type: ignore[arg-type]
    assert drawn.engine == name and drawn.data.startswith(start)


@pytest.mark.parametrize("form", ["svg", "png", "pdf"])
def test_the_same_picture_has_the_same_bytes(form: str) -> None:
    assert render(SMALL, form).data == render(SMALL, form).data  # type: ignore[arg-type]


def test_a_small_picture_is_sharp_and_says_so() -> None:
    drawn = render(SMALL, "png")
    assert drawn.dpi == 216
    assert dpi_of(drawn.data) == pytest.approx(216, abs=0.02)
    width = float(re.search(rb'width="([\d.]+)pt"', render(SMALL, "svg").data)[1])  # type: ignore[index]
    assert size_of(drawn.data)[0] == pytest.approx(width * 3, abs=3)


def test_a_large_picture_has_a_bounded_number_of_pixels() -> None:
    rows = "".join("<TR>" + "<TD WIDTH='3000' HEIGHT='3000'>x</TD>" + "</TR>" for _ in range(2))
    drawn = render(f"digraph {{ a [shape=plain, label=<<TABLE>{rows}</TABLE>>] }}", "png")
    width, height = size_of(drawn.data)
    assert 30e6 < width * height <= 32.3e6
    assert drawn.dpi is not None and 36 < drawn.dpi < 216


def test_a_long_picture_keeps_its_side_below_what_viewers_show() -> None:
    drawn = render("digraph { a [shape=box, height=400] }", "png")
    assert max(size_of(drawn.data)) <= 32_010


def test_a_picture_that_nobody_could_read_is_refused_as_pixels_only() -> None:
    dot = "digraph { a [shape=box, height=2000] }"
    refused = refusal(dot, "png")
    assert refused.diagnostic.code == "NS743" and "--depth 1" in " ".join(refused.diagnostic.helps)
    assert render(dot, "svg").data


def test_an_unknown_renderer_is_refused() -> None:
    refused = refusal(SMALL, name="graphviz")
    assert (refused.diagnostic.code, refused.status) == ("NS740", 2)
    assert "graphviz-pure, pygraphviz, dot" in refused.diagnostic.helps[0]


@pytest.mark.parametrize(
    "name, fix", [("graphviz-pure", "pip install graphviz-pure"), ("pygraphviz", "pip install pygraphviz"), ("dot", "Graphviz")]
)
def test_a_renderer_that_is_not_installed_is_refused(name: str, fix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, *(other for other in ENGINES if other != name))
    refused = refusal(SMALL, name=name)
    assert (refused.diagnostic.code, refused.status) == ("NS016", 3)
    assert fix in refused.diagnostic.helps[0] and "FILE.dot" in refused.diagnostic.helps[1]


@pytest.mark.parametrize("form", ["svg", "png", "pdf"])
def test_without_any_renderer_the_package_is_named(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch)
    assert engines() == ()
    refused = refusal(SMALL, form)
    assert (refused.diagnostic.code, refused.status) == ("NS016", 3)
    assert "pip install graphviz-pure" in refused.diagnostic.helps


def test_the_next_renderer_draws_where_the_first_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pygraphviz")
    installed(monkeypatch, "pygraphviz", "dot")
    assert render(SMALL, "svg").engine == "pygraphviz"


def test_a_pdf_without_its_font_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "graphviz-pure")
    monkeypatch.setattr(engine, "_font_is_here", lambda: False)
    for name in ("auto", "graphviz-pure"):
        refused = refusal(SMALL, "pdf", name)
        assert (refused.diagnostic.code, refused.status) == ("NS016", 3)
        assert "pip install 'netspec-lang[pdf]'" in refused.diagnostic.helps
    assert render(SMALL, "svg").data


def test_broken_text_is_refused_with_what_the_renderer_said() -> None:
    for dot in ("digraph {", "digraph { a [label=<<B>x</I>>] }", "", "graph { a -> b }"):
        refused = refusal(dot)
        assert refused.diagnostic.code == "NS742" and refused.diagnostic.message.startswith("graphviz-pure failed: ")


def test_a_renderer_that_is_too_slow_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, monkeypatch, "time.sleep(30)")
    monkeypatch.setattr(engine, "TIME_LIMIT", 0.3)
    refused = refusal(SMALL)
    assert refused.diagnostic.code == "NS741" and "0.3 seconds" in refused.diagnostic.message
    assert "--depth 1" in refused.diagnostic.helps[0]


@pytest.mark.parametrize(
    "text, said",
    [
        ("sys.stdout.write('<svg/>'); sys.stderr.write('Warning: w\\nError: lost an edge\\n')", "dot failed: Error: lost an edge"),
        ("sys.stderr.write('out of memory\\n'); sys.exit(3)", "dot failed: out of memory"),
        ("pass", "dot failed: it ended with status 0, and wrote nothing"),
        ("os.abort()", "dot failed: it ended with status -6, and wrote nothing"),
    ],
)
def test_a_renderer_that_complains_fails_or_dies_is_refused(text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, monkeypatch, text)
    refused = refusal(SMALL)
    assert (refused.diagnostic.code, refused.diagnostic.message) == ("NS742", said)


def test_a_renderer_that_does_not_start_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "renderer"
    broken.write_bytes(b"\x00")
    monkeypatch.setattr(engine, "_command", lambda name: [str(broken)] if name == "dot" else [])
    assert refusal(SMALL).diagnostic.message.startswith("dot does not start: ")


def test_warnings_are_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, monkeypatch, "sys.stderr.write('Warning: no width'); sys.stdout.write('<svg/>')")
    assert render(SMALL, "svg").data == b"<svg/>"


def test_the_system_s_dot_is_called_with_flags_and_no_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, monkeypatch, "print(sys.argv[1:], os.environ['SERVER_NAME'], 'GV_FILE_PATH' in os.environ, sys.stdin.read())")
    monkeypatch.setenv("GV_FILE_PATH", "/")
    assert render("digraph {}", "pdf").data.decode() == "['-Tpdf'] netspec False digraph {}\n"


OPENS = (
    'digraph { a [image="FILE"] }',
    'digraph { a [label=x, "image" = "FILE"] }',
    'digraph { imagepath="FOLDER"; a [shape=box] }',
    'digraph { a [Shapefile="FILE", shape=custom] }',
    'digraph { /* " */ fontpath="FOLDER"; a }',
    'digraph { a [label=<<TABLE><TR><TD>x</TD><TD><IMG SRC="FILE"/></TD></TR></TABLE>>] }',
    'digraph { a [label=< < img src="FILE"/>>] }',
    'digraph { _background="c 7 -#ff0000 I 0 0 9 9 8 -FILE"; a }',
    'digraph { stylesheet="FILE"; a }',
    'digraph { a [image /* = */ = "FILE"] }',
)


@pytest.mark.parametrize("dot", OPENS)
def test_a_picture_that_names_a_file_is_refused(dot: str) -> None:
    assert refusal(dot).diagnostic.code == "NS742"


@pytest.mark.parametrize(
    "words",
    ["image = 3", "&quot;image&quot; = &lt;IMG SRC=&quot;x&quot;&gt;", "imagepath", "an image", "shapefile=/x", "// image", "/* ", "#"],
)
def test_words_about_images_are_words(words: str) -> None:
    assert not engine.opens_files(f'digraph {{ a [label=<<TABLE><TR><TD TITLE="{words}">{words}</TD></TR></TABLE>>] b [label="x"] }}')
    assert not engine.opens_files('digraph { image [label=image, id="image"]; shapefile -> image [xlabel=Image] }')
    assert not engine.opens_files(f'digraph {{ image_1 [label="{words}"]; n0 -> my_image [label="\\"image\\" = \\\\"] }}')


def test_a_graphviz_that_guards_its_files_is_asked_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second lock: had the text passed, graphviz-pure would open nothing all the same."""
    file = tmp_path / "secret.png"
    file.write_bytes(render(SMALL, "png").data)
    monkeypatch.setattr(engine, "opens_files", lambda dot: False)
    for dot in OPENS:
        text = dot.replace("FILE", str(file)).replace("FOLDER", str(tmp_path))
        try:
            assert b"<image" not in render(text, "svg", "graphviz-pure").data
        except Refusal as refused:
            assert refused.diagnostic.code == "NS742"


def test_characters_that_no_picture_can_carry_are_replaced() -> None:
    svg = render('digraph { a [label="x\x00\x01\ud800y"] }', "svg").data.decode()
    assert "x\ufffd\ufffd\ufffdy" in svg


def test_the_program_is_found_without_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert "graphviz-pure" in engines()
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    assert engine._binary("graphviz-pure") is not None, "the package's list of files names it"
    assert engine._binary("graphviz-poor") is None
