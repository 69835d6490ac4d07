"""The pages keep their word: their specs compile, their commands run, their Python runs, their links lead somewhere.

A `console` block is a session: lines that begin with `$ netspec` are run in order, in a folder that holds `FILES`, and must
end with status 0. A line under a command must be among the lines that it prints.
"""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netspec.cli.main import main
from tests.literate import Case, cases
from tests.literate import run as run_case

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "examples" / "README.md", *sorted((ROOT / "grammar").glob("*.md"))]

#: what the sessions find in their folder
FILES = {
    "unet.net": """\
def double(c) = 2 * (conv(c, 3, padding = 1) -> relu)

net unet {
  input image: [N, 1, H = 32, W = 32]
  e = image -> double(4)
  output mask = e ++ (e -> max_pool(2) -> double(8) -> conv_transpose(4, 2, stride = 2)) -> double(4) -> conv(1, 1)
}
"""
}


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, the line on which it begins, its language and its text."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.stem}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order."""
    lines = page.read_text(encoding="utf-8").split("\n")
    start, language = 0, ""
    for number, line in enumerate(lines, start=1):
        if not line.startswith("```"):
            continue
        if start:
            yield Block(page, start + 1, language, "\n".join(lines[start : number - 1]) + "\n")
            start = 0
        else:
            start, language = number, line[3:].strip()


def all_blocks(language: str) -> list[Block]:
    """Those of one language, from all pages."""
    return [block for page in PAGES for block in blocks(page) if block.language == language]


# ------------------------------------------------------------------------------------------------------------ what runs
NETS = [case for page in PAGES if page.stem != "reference" for case in cases(page)]  # the reference is among the golden cases


@pytest.mark.parametrize("case", NETS, ids=str)
def test_specs_compile(case: Case, tmp_path: Path) -> None:
    run_case(case, tmp_path)


def digits() -> dict[str, np.ndarray]:
    """What `python examples/training/data.py digits` writes, and the pages' sessions train on."""
    return runpy.run_path(str(ROOT / "examples" / "training" / "data.py"))["digits"]()


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    status: int
    out: str
    err: str


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[str], Outcome]:
    """Runs a command line, as written, in a folder with `FILES`, a photograph, and the weights that sessions mention."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    for name, text in FILES.items():
        Path(name).write_text(text, encoding="utf-8")
    shutil.copy(ROOT / "examples" / "cat.jpg", "photo.jpg")
    np.savez("digits.npz", **digits())
    np.save("digits.npy", np.random.default_rng(0).normal(size=(8, 1, 32, 32)).astype(np.float32))

    def call(line: str) -> Outcome:
        words = shlex.split(line, comments=True)[1:]
        if "--weights" in words and not Path(words[words.index("--weights") + 1]).exists():
            assert main(["build", words[1], "-o", words[words.index("--weights") + 1]]) == 0
        if words[0] == "bench":  # what it measures is of no interest here
            words += ["--runs", "1"]
        expanded = [name for word in words for name in (map(str, sorted(Path().glob(word))) if "*" in word else [word])]
        capsys.readouterr()
        return Outcome(main(expanded), *capsys.readouterr())

    return call


@pytest.mark.slow
@pytest.mark.parametrize("block", all_blocks("console"), ids=str)
def test_sessions_run(block: Block, command: Callable[[str], Outcome]) -> None:
    done = Outcome(0, "", "")
    for line in block.text.splitlines():
        if line.startswith("$ netspec"):
            done = command(line[2:])
            assert done.status == 0, f"{line}\n{done.err}"
        elif line.strip() and not line.startswith("$"):
            assert line.rstrip() in (done.out + done.err).splitlines(), f"{line}\nis not in\n{done.out}{done.err}"


@pytest.mark.slow
@pytest.mark.parametrize("block", [b for b in all_blocks("python") if b.page.stem != "architecture"], ids=str)
def test_python_runs(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(block.text, f"{block.page.name}:{block.line}", "exec"), scope)


@pytest.mark.parametrize("block", [b for b in all_blocks("") if b.text.startswith("error[")], ids=str)
def test_errors_look_as_shown(block: Block, command: Callable[[str], Outcome]) -> None:
    """The report of an error is what `check` prints for the spec that stands above it."""
    above = [b for b in blocks(block.page) if b.language == "net" and b.line < block.line][-1]
    name = re.findall(r"--> (\S+?):", block.text)[0]
    Path(name).write_text(re.sub(r" *# error: .*", "", above.text), encoding="utf-8")
    done = command(f"netspec check {name}")
    assert done.status == 1 and block.text.strip() in done.err, done.err


# ----------------------------------------------------------------------------------------------------------- what leads
def _slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    text = re.sub(r"`[^`\n]*`", "", text)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or anchor in map(_slug, re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.M)), target


@pytest.mark.parametrize("page", PAGES, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_paths_that_are_named_exist(page: Path) -> None:
    """`netspec/ops/…` in running text is a file or folder of this repository."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for name in re.findall(r"`((?:netspec|tests|grammar|specs|examples)/[\w./*-]*)`", text):
        assert "NAME" in name or list(ROOT.glob(name.rstrip("/"))), name
