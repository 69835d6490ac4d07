"""A weights file's header against a spec."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netspec.api import Compilation, compile
from netspec.backends.weight_files import save_safetensors, weights_of
from netspec.backends.weight_files.findings import fit, weights_findings
from netspec.diagnostics.model import Diagnostic, Refusal, Severity
from netspec.diagnostics.render import render
from netspec.source import Source
from tests.cli.conftest import Command
from tests.timing import in_time

SPEC = """\
block unit(c) {
  input x
  output x -> conv(c, 3, padding = 1) -> bn -> relu
}
net small(classes = 10) {
  input image: [N, 3, H = 32, W = 32]
  x = image -> unit(8) -> unit(8) -> unit(8)
  output y = x -> global_avg_pool -> flatten -> linear(classes) as fc
}
"""


@pytest.fixture
def done() -> Compilation:
    return compile(Source("small.net", SPEC))


@pytest.fixture
def header(done: Compilation, tmp_path: Path) -> dict[str, Any]:
    """The header of a file that fits."""
    path = tmp_path / "fits.safetensors"
    save_safetensors(path, done.graph, weights_of(done.graph))  # type: ignore[arg-type]
    raw = path.read_bytes()
    return json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])


def write(path: Path, tensors: dict[str, tuple[str, list[int]]], data: int | None = None) -> str:
    """A file of that header, its data left out: a hole of `data` bytes, by default as many as there should be."""
    widths = {"F32": 4, "F16": 2, "F64": 8, "I64": 8}
    table, end = {}, 0
    for name, (dtype, shape) in tensors.items():
        start, end = end, end + int(np.prod(shape, dtype=object)) * widths[dtype]
        table[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(table).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    os.truncate(path, 8 + len(text) + (end if data is None else data))
    return str(path)


def plain(header: dict[str, Any]) -> dict[str, tuple[str, list[int]]]:
    return {name: (entry["dtype"], entry["shape"]) for name, entry in header.items() if name != "__metadata__"}


def told(done: Compilation, path: str, strip: str = "") -> list[Diagnostic]:
    return weights_findings(done.graph, path, strip, done.sources)  # type: ignore[arg-type]


def test_what_fits(done: Compilation, header: dict[str, Any], tmp_path: Path) -> None:
    path = write(tmp_path / "w.safetensors", plain(header))
    found = fit(done.graph, path, sources=done.sources)  # type: ignore[arg-type]
    assert found.findings == () and str(found) == f"{path}: 23 of 23 tensors fit"


def test_missing_ones_are_told_once_a_place(done: Compilation, header: dict[str, Any], tmp_path: Path) -> None:
    tensors = {name: entry for name, entry in plain(header).items() if not name.endswith(("conv1.weight", "conv1.bias"))}
    path = write(tmp_path / "w.safetensors", tensors)
    (finding,) = told(done, path)
    assert (finding.code, finding.severity, finding.place.text) == ("NS626", Severity.ERROR, "conv(c, 3, padding = 1)")  # type: ignore[union-attr]
    assert finding.marks[0].text == "stores `weight` and `bias` in 3 layers"
    assert finding.message == f"6 tensors stored here are not in {path}" and finding.notes[0] == "`unit1.conv1.weight` float32 [8, 3, 3, 3]"
    assert "small.net:3:" in render(finding)


def test_other_names_are_suggested(done: Compilation, header: dict[str, Any], tmp_path: Path) -> None:
    tensors = {name.replace("fc.", "classifier."): entry for name, entry in plain(header).items()}
    missing, unexpected = told(done, write(tmp_path / "w.safetensors", tensors))
    assert missing.helps == tuple(f"`fc.{x}` is in the file as `classifier.{x}`, it seems" for x in ("weight", "bias"))
    assert missing.place is not None and missing.place.text == "linear(classes)"
    assert (unexpected.code, unexpected.severity, unexpected.place) == ("NS628", Severity.WARNING, None)
    assert unexpected.notes == ("`classifier.weight` float32 [10, 8]", "`classifier.bias` float32 [10]")


def test_a_prefix_is_told_once(done: Compilation, header: dict[str, Any], tmp_path: Path) -> None:
    tensors = {"module." + name: entry for name, entry in plain(header).items()}
    path = write(tmp_path / "w.safetensors", tensors)
    (finding,) = told(done, path)
    assert finding.code == "NS626" and finding.helps == (
        'write into the net: `weights { rename "module.*" -> "*" }`', "or drop the prefix with `--strip module.`",
    )  # fmt: skip

    assert told(done, path, "module.") == [] and fit(done.graph, path).fitting == 0  # type: ignore[arg-type]


def test_behind_a_prefix_the_rest_is_told(done: Compilation, header: dict[str, Any], tmp_path: Path) -> None:
    tensors = {"module." + name: entry for name, entry in plain(header).items() if name != "fc.bias"}
    tensors["module.fc.weight"] = ("F32", [1000, 8])
    found = told(done, write(tmp_path / "w.safetensors", tensors))
    assert [d.code for d in found] == ["NS626", "NS626", "NS627"] and "`fc.bias` is not in" in found[1].message


@pytest.mark.parametrize(("entry", "what"), [(("F32", [10, 9]), "shape"), (("F64", [10, 8]), "element type")])
def test_another_shape_or_type(done: Compilation, header: dict[str, Any], tmp_path: Path, entry: Any, what: str) -> None:
    path = write(tmp_path / "w.safetensors", {**plain(header), "fc.weight": entry})
    (finding,) = told(done, path)
    assert (finding.code, finding.message) == ("NS627", f"`fc.weight` has another {what} in {path}")
    assert finding.place is not None and finding.place.line == 8
    assert "float32 [10, 8] in the network" in finding.notes[0]


def test_narrow_numbers_and_old_files_fit(done: Compilation, header: dict[str, Any], tmp_path: Path) -> None:
    tensors = {n: ("F16" if d == "F32" else d, s) for n, (d, s) in plain(header).items() if not n.endswith("num_batches_tracked")}
    assert told(done, write(tmp_path / "w.safetensors", tensors)) == []


def test_places_without_their_sources(done: Compilation, header: dict[str, Any], tmp_path: Path) -> None:
    path = write(tmp_path / "w.safetensors", {**plain(header), "fc.weight": ("F32", [10, 9])})
    (finding,) = weights_findings(done.graph, path)  # type: ignore[arg-type]
    assert finding.marks == () and render(finding)


def test_only_the_header_is_read(tmp_path: Path) -> None:
    done = compile(Source("wide.net", "net wide { input x: [N, 8]; output y = x -> linear(100000000) as fc }"))
    path = write(tmp_path / "w.safetensors", {"fc.weight": ("F32", [100_000_000, 8]), "fc.bias": ("F32", [100_000_000])})
    assert os.path.getsize(path) > 3_000_000_000 and os.stat(path).st_blocks * 512 < 1 << 20
    assert told(done, path) == []
    assert in_time(1, lambda: told(done, path))


def test_a_file_that_is_cut_off(done: Compilation, header: dict[str, Any], tmp_path: Path) -> None:
    path = write(tmp_path / "w.safetensors", plain(header), data=0)
    (finding,) = told(done, path)
    assert (finding.code, finding.severity) == ("NS629", Severity.WARNING) and "bytes before its data does" in finding.message
    with pytest.raises(Refusal, match="NS622"):
        weights_of(done.graph, path=path)  # type: ignore[arg-type]


def test_npz(done: Compilation, tmp_path: Path) -> None:
    arrays = {t.name: np.zeros(t.shape, t.dtype) for t in done.graph.weights}  # type: ignore[union-attr]
    np.savez(tmp_path / "w.npz", **arrays)
    assert told(done, str(tmp_path / "w.npz")) == []


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("w.safetensors", b"\xff" * 8 + b"{}", "NS622"),
        ("w.safetensors", b"\x02" + b"\0" * 7 + b"{}x", "NS622"),
        ("w.safetensors", b"\x05" + b"\0" * 7 + b"[1,2]", "NS622"),
        ("w.safetensors", b"", "NS622"),
        ("w.npz", b"PK nothing", "NS622"),
        ("w.pt", b"", "NS621"),
        ("w.bin", b"", "NS621"),
        ("none/w.safetensors", None, "NS620"),
    ],
)
def test_what_is_refused(done: Compilation, tmp_path: Path, name: str, data: bytes | None, code: str) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(Refusal, match=code):
        told(done, str(tmp_path / name))


def test_hostile_names_are_shown_safely(done: Compilation, header: dict[str, Any], tmp_path: Path) -> None:
    path = write(tmp_path / "w.safetensors", {**plain(header), "\x1b[2J\u202efc": ("F32", [1])})
    (finding,) = told(done, path)
    assert "\x1b" not in render(finding) and "\u202e" not in render(finding)


def test_the_command(netspec: Command) -> None:
    Path("small.net").write_text(SPEC)
    assert netspec("build", "small.net", "-o", "w.safetensors").status == 0
    done = netspec("check", "small.net", "--weights", "w.safetensors")
    assert done.status == 0 and "w.safetensors: 23 of 23 tensors fit" in done.out
    data = netspec("check", "small.net", "-p", "classes=7", "--weights", "w.safetensors", "--format", "json")
    (fitted,) = data.data["weights"]
    first, second = fitted.pop("differences")
    assert data.status == 1 and fitted == {"path": "w.safetensors", "fitting": 21, "total": 23} and second["tensor"] == "fc.bias"
    what = {"kind": "other", "tensor": "fc.weight", "network": "float32 [7, 8]", "file": "float32 [10, 8]"}
    assert first == {**what, "source": "small.net", "line": 8}
    assert {d["code"] for d in data.data["diagnostics"]} >= {"NS627"}
    Path("two.net").write_text(SPEC + SPEC.replace("net small", "net other").partition("}\n")[2])
    assert netspec("check", "two.net", "--weights", "w.safetensors").status == 2
