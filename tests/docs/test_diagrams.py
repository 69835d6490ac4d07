"""The pictures in the pages are what the commands above them draw today, to the byte."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from netspec.cli.main import main
from tests.docs.test_pages import ROOT, all_blocks

PICTURES = ROOT / "examples" / "diagrams"
COMMANDS = {
    Path(words[words.index("-o") + 1]).name: words[1:]
    for block in all_blocks("console")
    for words in (shlex.split(line[2:], comments=True) for line in block.text.splitlines() if line.startswith("$ netspec "))
    if "-o" in words and (PICTURES / words[words.index("-o") + 1]).exists()
}


def test_every_picture_has_its_command() -> None:
    assert {path.name for path in PICTURES.glob("*.svg")} == set(COMMANDS) and len(COMMANDS) >= 6


@pytest.mark.parametrize("name", COMMANDS)
def test_a_picture_is_what_its_command_draws(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(COMMANDS[name]) == 0
    assert (tmp_path / name).read_bytes() == (PICTURES / name).read_bytes(), f"draw it again: netspec {shlex.join(COMMANDS[name])}"
