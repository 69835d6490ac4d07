"""Which lints run, and how bad they are: pyproject.toml, the command line, and what is said of a setting that makes no sense."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netspec.analyses.lint import Settings, settings_from, settings_of
from netspec.analyses.lint.rule import Rule
from netspec.cli.main import main
from netspec.diagnostics.model import Refusal, Severity

_ON = Rule("NS512", Severity.WARNING, True, lambda net: iter(()))
_OFF = Rule("NS515", Severity.INFO, False, lambda net: iter(()))

_SPEC = "net a {\n  input x: [N, 8]\n  output y = x -> linear(8) -> bn\n}\n"


# -------------------------------------------------------------------------------------------------------------- settings
@pytest.mark.parametrize(
    ("settings", "on", "off"),
    [
        (Settings(), Severity.WARNING, None),
        (Settings(ignore=("NS512",)), None, None),
        (Settings(ignore=("NS51",)), None, None),
        (Settings(ignore=("NS54",)), Severity.WARNING, None),
        (Settings(ignore=("all",)), None, None),
        (Settings(enable=("NS515",)), Severity.WARNING, Severity.INFO),
        (Settings(enable=("all",)), Severity.WARNING, Severity.INFO),
        (Settings(ignore=("all",), enable=("NS51",)), Severity.WARNING, Severity.INFO),
        (Settings(ignore=("NS51",), enable=("NS515",)), None, Severity.INFO),
        (Settings(ignore=("NS515",), enable=("NS515",)), Severity.WARNING, None),
        (Settings(levels=(("NS512", Severity.ERROR),)), Severity.ERROR, None),
        (Settings(only=("NS515",)), None, Severity.INFO),
        (Settings(only=("NS51",), ignore=("NS512",)), None, Severity.INFO),
    ],
)
def test_which_lints_are_on(settings: Settings, on: Severity | None, off: Severity | None) -> None:
    assert settings.severity(_ON) is on and settings.severity(_OFF) is off


def test_the_call_wins_over_the_project() -> None:
    project = settings_of({"ignore": ["NS512"], "enable": ["NS515"], "levels": {"NS512": "error"}}, "pyproject.toml")
    assert project.severity(_ON) is None and project.severity(_OFF) is Severity.INFO
    joined = project.join(settings_from(["NS515"], [], ["NS512=info"], []))
    assert joined.severity(_OFF) is None and dict(joined.levels)["NS512"] is Severity.INFO


@pytest.mark.parametrize(
    "table",
    [
        {"ignore": "NS512"},
        {"ignore": ["NS413"]},
        {"ignore": ["NS501"]},
        {"enable": [512]},
        {"levels": ["NS512"]},
        {"levels": {"NS512": "fatal"}},
        {"levels": {"NS51": "error"}},
        {"ignored": ["NS512"]},
    ],
)
def test_a_table_that_makes_no_sense(table: dict[str, object]) -> None:
    with pytest.raises(Refusal) as refusal:
        settings_of(table, "pyproject.toml")
    assert refusal.value.diagnostic.code == "NS022" and refusal.value.status == 2


# ------------------------------------------------------------------------------------------------------- the command line
def _run(folder: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict[str, str]]:
    (folder / "a.net").write_text(_SPEC, encoding="utf-8")
    capsys.readouterr()
    status = main(["check", str(folder / "a.net"), "--format", "json", *options])
    out = capsys.readouterr().out
    return status, {d["code"]: d["severity"] for d in json.loads(out)["diagnostics"]} if out else {}


@pytest.mark.parametrize(
    ("options", "status", "found"),
    [
        ((), 0, {"NS510": "warning"}),
        (("--strict",), 1, {"NS510": "warning"}),
        (("--strict", "--exit-zero"), 0, {"NS510": "warning"}),
        (("--ignore", "NS510"), 0, {}),
        (("--ignore", "NS51,NS52"), 0, {}),
        (("--level", "NS510=error"), 1, {"NS510": "error"}),
        (("--level", "NS510=info", "--strict"), 0, {"NS510": "info"}),
        (("--select", "NS512"), 0, {}),
        (("--select", "NS51"), 0, {"NS510": "warning"}),
        (("--ignore", "all", "--enable", "NS510"), 0, {"NS510": "warning"}),
    ],
)
def test_options(tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], status: int, found: dict[str, str]) -> None:
    assert _run(tmp_path, capsys, *options) == (status, found)


@pytest.mark.parametrize("options", [("--ignore", "NS413"), ("--select", "bias"), ("--level", "NS510"), ("--level", "NS510=bad")])
def test_an_option_that_makes_no_sense(tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]) -> None:
    (tmp_path / "a.net").write_text(_SPEC, encoding="utf-8")
    assert main(["check", str(tmp_path / "a.net"), *options]) == 2
    assert "NS022" in capsys.readouterr().err


# --------------------------------------------------------------------------------------------------------- pyproject.toml
@pytest.mark.parametrize(
    ("table", "status", "found"),
    [
        ('ignore = ["NS510"]', 0, {}),
        ('ignore = ["all"]\nenable = ["NS51"]', 0, {"NS510": "warning"}),
        ('levels = { NS510 = "error" }', 1, {"NS510": "error"}),
        ("", 0, {"NS510": "warning"}),
    ],
)
def test_pyproject(tmp_path: Path, capsys: pytest.CaptureFixture[str], table: str, status: int, found: dict[str, str]) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.netspec.lint]\n{table}\n", encoding="utf-8")
    folder = tmp_path / "specs" / "deep"
    folder.mkdir(parents=True)
    assert _run(folder, capsys) == (status, found)


def test_the_nearest_pyproject_counts_and_the_call_wins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.netspec.lint]\nignore = ["NS510"]\n', encoding="utf-8")
    (tmp_path / "near").mkdir()
    (tmp_path / "near" / "pyproject.toml").write_text("[project]\nname = 'near'\n", encoding="utf-8")
    assert _run(tmp_path / "near", capsys) == (0, {"NS510": "warning"})
    assert _run(tmp_path, capsys, "--enable", "NS510")[1] == {"NS510": "warning"}


@pytest.mark.parametrize("text", ["[tool.netspec.lint]\nignore = 3\n", "[tool.netspec.lint\n", "[tool.netspec]\nlint = 3\n"])
def test_a_pyproject_that_makes_no_sense(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    (tmp_path / "a.net").write_text(_SPEC, encoding="utf-8")
    assert main(["check", str(tmp_path / "a.net")]) == 2
    assert "NS022" in capsys.readouterr().err
