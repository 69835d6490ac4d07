"""The house keeps its shape: layers, sizes, start-up imports, public names."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "netspec").rglob("*.py"))
MODULES = sorted(FILES)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_keep_their_measure(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            doc = node.body[0].end_lineno - node.body[0].lineno + 1 if ast.get_docstring(node) else 0
            assert node.end_lineno - node.lineno + 1 - doc <= 40, f"{node.name} has more than 40 lines"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_public_names_are_documented(path: Path) -> None:
    tree = ast.parse(path.read_text())
    if path.read_text().strip():
        assert ast.get_docstring(tree), "the module has no docstring"
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} has no docstring"


def test_no_file_has_a_name_that_says_nothing() -> None:
    said_nothing = {"utils", "helpers", "common", "base", "manager", "misc"}
    assert not [p for p in FILES if p.stem in said_nothing]


def test_imports_go_down_only() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def _loaded(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.splitlines()[-1].split())


def test_importing_netspec_is_light() -> None:
    loaded = _loaded("import netspec")
    assert not loaded & {"torch", "onnx", "onnxruntime", "sympy", "numpy", "lark", "pydantic"}


def test_checking_loads_no_array_library() -> None:
    loaded = _loaded("from netspec.cli.main import main; assert main(['check', 'zoo.resnet:resnet50']) == 0")
    assert not loaded & {"torch", "onnx", "onnxruntime", "sympy", "numpy"}


def test_building_onnx_loads_no_torch(tmp_path: Path) -> None:
    target = tmp_path / "n.onnx"
    loaded = _loaded(f"from netspec.cli.main import main; assert main(['build', 'zoo.lenet', '-o', {str(target)!r}]) == 0")
    assert not loaded & {"torch", "onnx", "onnxruntime", "sympy"}


def test_the_public_names_are_these() -> None:
    import netspec

    assert sorted(netspec.__all__) == sorted(
        ["Compilation", "Diagnostic", "Limits", "Net", "Refusal", "Report", "Source", "SpecError", "compile", "diff", "load", "loads"]
    )
    for name in netspec.__all__:
        assert getattr(netspec, name).__doc__
