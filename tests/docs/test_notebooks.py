"""The notebooks among the examples run as they are, and what they show is shown as a notebook shows it."""

from __future__ import annotations

import ast
import json
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NOTEBOOKS = sorted(path.name for path in EXAMPLES.glob("*.ipynb"))
#: what a notebook calls of the value of a cell's last expression, if it is there
HOOKS = ("_repr_html_", "_repr_svg_", "_repr_png_", "_repr_markdown_")


def cells(name: str) -> list[dict[str, Any]]:
    """The cells of a notebook."""
    return json.loads((EXAMPLES / name).read_text(encoding="utf-8"))["cells"]


def run(name: str) -> tuple[list[dict[str, str]], str]:
    """All cells in one namespace, in order: for each value that is shown its forms by their hooks, and everything printed."""
    scope: dict[str, Any] = {"__name__": "__main__"}
    shown, printed = [], StringIO()
    for number, cell in enumerate(cells(name)):
        if cell["cell_type"] != "code":
            continue
        body = ast.parse("".join(cell["source"]), f"{name}, cell {number}").body
        last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
        with redirect_stdout(printed):
            exec(compile(ast.Module(body, []), f"{name}, cell {number}", "exec"), scope)
            value = eval(compile(ast.Expression(last.value), f"{name}, cell {number}", "eval"), scope) if last else None
        if value is not None:
            forms = {hook: getattr(value, hook)() for hook in HOOKS if hasattr(value, hook)}
            shown.append(forms or {"": repr(value)})
    return shown, printed.getvalue()


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if any("import torch" in "".join(cell["source"]) for cell in cells(name)):
        pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    shown, printed = run(name)
    assert not list(tmp_path.iterdir())
    for forms in shown:
        if (svg := forms.get("_repr_svg_")) is not None:
            assert ElementTree.fromstring(svg).tag.endswith("svg")
        if (page := forms.get("_repr_html_")) is not None:
            assert "<table" in page and "<script" not in page and "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    hooks = {hook for forms in shown for hook in forms}
    assert printed and hooks & {"_repr_html_", "_repr_svg_"}


def test_the_tour_shows_a_network_as_picture_and_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    shown, printed = run("tour.ipynb")
    assert "<svg" in shown[0]["_repr_html_"] and "double1.0" in shown[0]["_repr_html_"]
    assert {"": "['H % 2 == 0', 'W % 2 == 0']"} in shown and {"": "(1, 2, 64, 96)"} in shown
    assert "error[NS412]" in printed and "warning[NS510]" in printed and "[NS723]" in printed


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_stored_as_it_was_before_it_ran(name: str) -> None:
    """Without outputs and numbers: they are made anew by whoever opens it, and here."""
    data = json.loads((EXAMPLES / name).read_text(encoding="utf-8"))
    assert (data["nbformat"], data["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in data["cells"]}) == len(data["cells"])
    for cell in data["cells"]:
        assert cell["cell_type"] in ("markdown", "code") and cell["source"] and not cell["metadata"]
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None


def test_the_list_of_examples_is_whole() -> None:
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert NOTEBOOKS and all(f"`{path.name}`" in text for path in EXAMPLES.iterdir() if path.is_file() and path.name != "README.md")
