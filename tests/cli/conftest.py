"""Calling the command as a person does, in this process."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from netspec.cli.main import main


@dataclass(frozen=True)
class Outcome:
    """What a command did: its exit status, standard output and standard error."""

    status: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)


Command = Callable[..., Outcome]


@pytest.fixture
def netspec(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """`netspec("check", "a.net", stdin="…")`, run in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NO_COLOR", raising=False)

    def call(*arguments: str, stdin: str = "") -> Outcome:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        capsys.readouterr()
        status = main(arguments)
        return Outcome(status, *capsys.readouterr())

    return call


GOOD = """\
net good(classes = 10, act = relu) {
  input image: [N, 3, H = 32, W = 32]
  output logits: [N, classes] = image -> conv(8, 3) -> act -> global_avg_pool -> flatten -> linear(classes)
}
"""

BAD = """\
net bad {
  input image: [N, 3, H = 32, W = 32]
  output image -> conv(8, 3, groups = 2) -> lineer(4)
}
"""


@pytest.fixture
def good(tmp_path: Path) -> str:
    """The name of a file that is fine."""
    (tmp_path / "good.net").write_text(GOOD)
    return "good.net"


@pytest.fixture
def bad(tmp_path: Path) -> str:
    """The name of a file with two errors."""
    (tmp_path / "bad.net").write_text(BAD)
    return "bad.net"
