"""Exit statuses: 0 fine, 1 the spec is at fault, 2 the call is, 3 a package is missing, 70 netspec is, 130 interrupted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from netspec.cli import check
from netspec.diagnostics.model import Refusal
from tests.cli.conftest import Command


def test_fine(netspec: Command, good: str) -> None:
    done = netspec("check", good)
    assert (done.status, done.out.splitlines()[0], done.err) == (0, "good.net:good: fine", "")


def test_the_spec_is_at_fault(netspec: Command, bad: str) -> None:
    done = netspec("check", bad)
    assert done.status == 1 and done.out == ""
    assert "error[NS404]" in done.err and "error[NS201]" in done.err and done.err.endswith("2 errors\n")
    assert netspec("summary", bad).status == 1
    assert netspec("check", bad, "--exit-zero").status == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["chek", "a.net"],
        ["check"],
        ["check", "nowhere.net"],
        ["check", "."],
        ["check", "zoo.resnett:resnet50"],
        ["check", "good.net", "--formt", "json"],
        ["check", "good.net", "-p", "classes"],
        ["check", "good.net", "--size", "H=0"],
        ["check", "good.net", "--size", "Q=8"],
        ["check", "good.net", "--limit", "node=1"],
        ["build", "good.net", "-o", "good.xyz"],
        ["build", "good.net", "-o", "good.py", "--weights", "w.npz"],
        ["explain", "NS999"],
        ["ops", "convv"],
        ["zoo", "resnett"],
        ["new", "1st"],
    ],
    ids=" ".join,
)
def test_the_call_is_at_fault(netspec: Command, good: str, arguments: list[str]) -> None:
    done = netspec(*arguments)
    assert done.status == 2 and done.out == ""
    assert done.err.startswith("error[NS0") and "Traceback" not in done.err


def test_a_name_that_is_nearly_right_is_suggested(netspec: Command) -> None:
    assert "did you mean `check`?" in netspec("chek").err
    assert "did you mean `conv`?" in netspec("ops", "convv").err
    assert "did you mean `zoo.resnet`?" in netspec("check", "zoo.resnett").err


def _failing(failure: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(options: object) -> NoReturn:
        raise failure

    monkeypatch.setattr(check, "run", run)


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (ModuleNotFoundError("no torch", name="torch"), 3, "NS016"),
        (Refusal("NS730", "this onnxruntime has no provider `cuda`", status=3), 3, "NS730"),
        (PermissionError(13, "Permission denied", "x"), 1, "NS017"),
        (ValueError("surprise"), 70, "NS900"),
        (RecursionError("deep"), 70, "NS900"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_failures(netspec: Command, monkeypatch: pytest.MonkeyPatch, failure: BaseException, status: int, code: str) -> None:
    _failing(failure, monkeypatch)
    done = netspec("check", "a.net")
    assert done.status == status and f"[{code}]" in done.err and "Traceback" not in done.err


def test_interrupted(netspec: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    _failing(KeyboardInterrupt(), monkeypatch)
    assert netspec("check", "a.net").status == 130


def test_debug_shows_the_traceback(netspec: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    _failing(ValueError("surprise"), monkeypatch)
    with pytest.raises(ValueError, match="surprise"):
        netspec("check", "a.net", "--debug")


def test_help_and_version(netspec: Command) -> None:
    assert netspec().status == 2
    assert netspec("--help").status == 0 and "usage: netspec COMMAND" in netspec("--help").out
    assert netspec("check", "--help").status == 0
    assert netspec("--version").out.startswith("netspec ")


def test_a_reader_that_stops_early_is_no_error(tmp_path: Path) -> None:
    command = f"{sys.executable} -m netspec ops --format json | head -c 10; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode in (0, 1) and "Traceback" not in done.stderr and "Error" not in done.stderr
