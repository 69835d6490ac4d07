"""The cache of the grammar's tables: used when it can be trusted, harmless when it cannot."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from netspec.locate import data_path
from netspec.syntax import tables


def load_with(cache: Path, monkeypatch: pytest.MonkeyPatch) -> tables.Tables:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    tables.load_tables.cache_clear()
    try:
        return tables.load_tables()
    finally:
        tables.load_tables.cache_clear()


def test_kept_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_with(tmp_path, monkeypatch)
    (kept,) = (tmp_path / "netspec").iterdir()
    monkeypatch.setattr(tables, "compute_tables", lambda grammar: pytest.fail("computed again"))
    assert load_with(tmp_path, monkeypatch) == first
    assert kept.suffix == ".json"


@pytest.mark.parametrize("damage", ["", "{", "{}", "[]", '{"rules": 3}'])
def test_damaged_cache_is_computed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    first = load_with(tmp_path, monkeypatch)
    (kept,) = (tmp_path / "netspec").iterdir()
    kept.write_text(damage)
    second = load_with(tmp_path, monkeypatch)
    assert second.patterns == first.patterns and len(second.states) == len(first.states)  # Lark numbers states at random
    assert kept.read_text() != damage


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_a_folder_that_others_can_write_to_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "netspec"
    folder.mkdir()
    folder.chmod(0o777)
    load_with(tmp_path, monkeypatch)
    assert not list(folder.iterdir())


def test_no_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert load_with(blocked, monkeypatch).rules


def test_lark_is_not_imported_with_a_cache() -> None:
    tables.load_tables()
    code = "import sys; from netspec.syntax.tables import load_tables; load_tables(); sys.exit('lark' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0 or not tables._cache_path("")


def test_the_grammar_has_no_conflicts(caplog: pytest.LogCaptureFixture) -> None:
    """Lark takes the shift where a shift and a reduction conflict, and says so only to its log."""
    lark = pytest.importorskip("lark")
    lark.logger.addHandler(caplog.handler)
    before = lark.logger.level
    lark.logger.setLevel("DEBUG")
    try:
        tables.compute_tables(data_path("grammar", "netspec.lark").read_text(encoding="utf-8"))
        assert "onflict" not in caplog.text
        tables.compute_tables('module: NAME module* | NAME\nexpression: NAME | NAME expression+ | expression NAME\nNAME: "a"\n')
        assert "onflict" in caplog.text
    finally:
        lark.logger.removeHandler(caplog.handler)
        lark.logger.setLevel(before)
