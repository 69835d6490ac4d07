"""What a project says in its pyproject.toml: `[tool.netspec]`."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netspec.diagnostics.model import Refusal

if TYPE_CHECKING:
    from netspec.analyses.lint import Settings


def lint_settings(path: str | None) -> "Settings":
    """The settings of lints for a spec: those of the nearest pyproject.toml above it (above the current folder for a text that
    is no file). Raises `Refusal` (NS022) where they are not understood."""
    from netspec.analyses.lint import Settings, settings_of

    file = _project_file(Path(path).resolve().parent if path else Path.cwd())
    if file is None:
        return Settings()
    return settings_of(_table(file), str(file))


def _project_file(folder: Path) -> Path | None:
    return next((file for here in (folder, *folder.parents) if (file := here / "pyproject.toml").is_file()), None)


@cache
def _table(file: Path) -> dict[str, Any]:
    """`[tool.netspec.lint]` of a file; empty where it has none. A file that does not mention netspec is not even parsed."""
    text = file.read_text(encoding="utf-8", errors="replace")
    if "tool.netspec" not in text:
        return {}
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        tool = tomllib.loads(text).get("tool", {})
    except tomllib.TOMLDecodeError as error:
        raise Refusal("NS022", f"{file}: {error}", status=2) from None
    table = tool.get("netspec", {}).get("lint", {}) if isinstance(tool.get("netspec", {}), dict) else {}
    if not isinstance(table, dict):
        raise Refusal("NS022", f"{file}: `tool.netspec.lint` is a table", status=2)
    return table
