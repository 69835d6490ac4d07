"""`netspec diagram` and `netspec report`: what they write, what they say of it, and what they refuse."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import netspec as netspec_package
from netspec.backends.diagram.drawing import engine
from netspec.diagnostics.model import Refusal
from tests.cli.conftest import Command

needs_renderer = pytest.mark.skipif(not engine.engines(), reason="no renderer is installed")

BLOCKS = """\
block unit(c, tag = "") {
  input x
  output x -> conv(c, 3, padding = 1) -> bn -> relu
}
net blocks {
  input x: [N, 4, H = 16, W = 16]
  output y = x -> 3 * unit(4) -> max_pool(2) -> unit(8)
}
"""

#: strings that would break out of DOT, SVG or HTML if they were not escaped
HOSTILE = (
    "<script>alert(1)</script>", "]]>", "&amp; &#0; &", "a'b", "--> <!-- <![CDATA[", "</title></svg>", "<img src=x onerror=y>",
    "\\\\N \\\\G \\\\L", "\\\\", "\\u{202E}abc", "漢字 😀", "line\\nline\\ttab", "\\u{7}\\u{1}", "x" * 5000, "", "a:b:c", "http://example.org/x.png",
)  # fmt: skip


@pytest.fixture
def blocks(tmp_path: Path) -> str:
    """The name of a file with blocks."""
    (tmp_path / "blocks.net").write_text(BLOCKS)
    return "blocks.net"


@needs_renderer
@pytest.mark.parametrize(
    "name", ["a.svg", "a.png", "a.PDF", "a.dot", "a.html", "A.SVG", "with space '$(x)\".svg", "-lead.svg", "ö<&>.html"]
)
def test_each_form_is_written_and_named(netspec: Command, blocks: str, name: str) -> None:
    if name.endswith("PDF"):
        pytest.importorskip("fontTools")
        pytest.importorskip("fontpkg_arimo")
    done = netspec("diagram", blocks, f"--output={name}")
    assert (done.status, done.out) == (0, "")
    data = Path(name).read_bytes()
    assert done.err.startswith(f"{name}: {len(data):,} bytes")
    assert ("drawn by" in done.err) == (not name.endswith(".dot"))
    begins = {".svg": b"<?xml", ".png": b"\x89PNG", ".pdf": b"%PDF", ".dot": b"digraph", ".html": b"<!doctype html>"}
    assert data.lower().startswith(begins[os.path.splitext(name)[1].lower()].lower())


@needs_renderer
@pytest.mark.parametrize(
    "options", [("--depth", "0"), ("--depth", "99"), ("--only", "unit1", "--depth", "0"), ("--depth", "0", "--style", "maps")]
)
def test_a_page_at_any_depth(netspec: Command, blocks: str, options: tuple[str, ...]) -> None:
    assert netspec("diagram", blocks, "-o", "a.html", *options).status == 0


@needs_renderer
@pytest.mark.parametrize("command", ["diagram", "report"])
def test_a_network_without_layers_has_a_page(netspec: Command, tmp_path: Path, command: str) -> None:
    (tmp_path / "none.net").write_text("net none_at_all { input x: [N, 3]; output y = x }")
    assert netspec(command, "none.net", "-o", "a.html").status == 0


@needs_renderer
def test_a_report_says_who_drew(netspec: Command, blocks: str) -> None:
    done = netspec("report", blocks, "-o", "a.html")
    assert (done.status, done.out) == (0, "")
    assert done.err.strip() == f"a.html: {Path('a.html').stat().st_size:,} bytes, drawn by {engine.engines()[0]}"


@pytest.mark.parametrize(
    "options, status, code",
    [
        (("-o", "noend"), 2, "NS015"),
        (("-o", ""), 2, "NS015"),
        (("-o", ".svg"), 2, "NS015"),
        (("-o", "a.svg.gz"), 2, "NS015"),
        ((), 2, "NS015"),
        (("-o", "a.svg", "--depth", "-1"), 2, "NS015"),
        (("-o", "a.svg", "--depth", "deep"), 2, "NS015"),
        (("-o", "a.svg", "--only", "nothing"), 2, "NS021"),
        (("-o", "a.svg", "--only", "unit1.conv1"), 2, "NS021"),
        (("-o", "a.svg", "--heat", "love"), 2, "NS015"),
        (("-o", "a.svg", "--size", "Q=1"), 2, "NS014"),
        (("-o", "folder.dot",), 1, "NS020"),
        (("-o", "missing/a.dot"), 1, "NS020"),
        (("-o", "x" * 300 + ".dot"), 1, "NS020"),
    ],
)  # fmt: skip
def test_refusals(netspec: Command, blocks: str, tmp_path: Path, options: tuple[str, ...], status: int, code: str) -> None:
    (tmp_path / "folder.dot").mkdir()
    done = netspec("diagram", blocks, *options)
    assert done.status == status and f"error[{code}]" in done.err and not (tmp_path / "a.svg").exists()


@pytest.mark.parametrize("name", ["a.svg", "a", ""])
def test_a_report_is_a_page(netspec: Command, blocks: str, name: str) -> None:
    done = netspec("report", blocks, "-o", name)
    assert done.status == 2 and "error[NS015]" in done.err


def test_without_a_renderer(netspec: Command, blocks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_command", lambda name: [])
    done = netspec("diagram", blocks, "-o", "a.svg")
    assert done.status == 3 and "error[NS016]" in done.err and not Path("a.svg").exists()
    assert netspec("diagram", blocks, "-o", "a.dot").status == 0
    done = netspec("report", blocks, "-o", "a.html")
    assert done.status == 0 and "no diagram" in done.err and Path("a.html").exists()


@needs_renderer
def test_hostile_words_stay_words(netspec: Command, tmp_path: Path) -> None:
    parts = "".join(f'  x = x -> unit(4, tag = "{words}") as part[{number}]\n' for number, words in enumerate(HOSTILE))
    text = BLOCKS.partition("net ")[0] + "net hostile {\n  input x: [N, 4, H = 16, W = 16]\n" + parts + "  output y = x\n}\n"
    (tmp_path / "hostile.net").write_text(text, encoding="utf-8")
    for form in ("svg", "html", "dot"):
        done = netspec("diagram", "hostile.net", "--depth", "1", "-o", f"a.{form}")
        assert done.status == 0, done.err
    tree = ElementTree.fromstring(Path("a.svg").read_bytes())
    assert not {e.tag.rpartition("}")[2] for e in tree.iter()} & {"script", "image", "img", "foreignObject", "use"}
    assert not [name for e in tree.iter() for name in e.attrib if name.startswith("on") or name.endswith("href")]
    assert netspec("report", "hostile.net", "-o", "r.html").status == 0
    for page in ("a.html", "r.html"):
        assert not re.search(r"<script>alert|<img|onerror=y>", Path(page).read_text(encoding="utf-8"))


@needs_renderer
@pytest.mark.slow
def test_the_same_bytes_whatever_the_hash_seed(blocks: str, tmp_path: Path) -> None:
    written = set()
    for seed in ("0", "7"):
        for name in ("a.svg", "a.html"):
            command = [sys.executable, "-m", "netspec", "diagram", blocks, "-o", name]
            root = str(Path(engine.__file__).parents[4])
            subprocess.run(command, cwd=tmp_path, check=True, env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": root})
            written.add((name, (tmp_path / name).read_bytes()))
    assert len(written) == 2


@pytest.mark.parametrize("arguments", [("summary", "blocks.net"), ("rf", "blocks.net"), ("zoo",)])
def test_a_terminal_without_unicode_shows_what_it_can(blocks: str, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    env = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(Path(engine.__file__).parents[4])}
    done = subprocess.run([sys.executable, "-m", "netspec", *arguments], cwd=tmp_path, env=env, capture_output=True)
    assert done.returncode == 0 and done.stdout and b"NS900" not in done.stderr


@pytest.mark.parametrize(
    "choice", [{"theme": "pink"}, {"style": "x"}, {"depth": -1}, {"depth": "1"}, {"rankdir": "RL"}, {"heat": "x"}, {"wide": 1}]
)
def test_choices_that_there_are_not(choice: dict[str, Any]) -> None:
    with pytest.raises(Refusal, match="NS015"):
        netspec_package.loads(BLOCKS).diagram(**choice)
