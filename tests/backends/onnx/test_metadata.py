"""What an ONNX file says of itself beside its spec."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import netspec
from netspec.backends.normalization import KEY, Affine, Facts, Normalized
from netspec.backends.onnx.metadata import CLASSES, LABELS, LICENSE, WHERE, facts, labels_in
from netspec.backends.weight_files import write_arrays
from netspec.diagnostics.model import Refusal

NORMAL = Facts({"x": Normalized((Affine((0.5,), (2.0,)),))}).write()


def weights(folder: Path, **metadata: str) -> str:
    """A weights file with this metadata, dots written `_`."""
    path = str(folder / "w.safetensors")
    write_arrays(path, {"a": ("float32", np.zeros(1, "float32"))}, {name.replace("_", "."): text for name, text in metadata.items()})
    return path


def refused(code: str, *args: object, **how: object) -> str:
    with pytest.raises(Refusal) as caught:
        facts(*args, **how)  # type: ignore[arg-type]
    assert caught.value.diagnostic.code == code
    return caught.value.diagnostic.message


def test_what_a_trained_file_says(tmp_path: Path) -> None:
    path = weights(tmp_path, netspec_classes=json.dumps({"label": ["ant", "bée"]}), netspec_normalization=NORMAL)
    assert facts(path) == {LABELS: '["ant","bée"]', KEY: NORMAL, WHERE: "outside"}
    assert facts(path, inside=True)[WHERE] == "inside"
    assert labels_in(facts(path)) == {"": ["ant", "bée"]}
    several = weights(tmp_path, netspec_classes=json.dumps({"a": ["x"], "b": ["y", "z"]}))
    assert labels_in(facts(several)) == {"a": ["x"], "b": ["y", "z"]}


@pytest.mark.parametrize("text", ["", "[", "3", "[]", '{"a": 3}', '{"a": ["x", 1]}', '["\\u0007"]', "[" * 100_000])
def test_what_is_no_table_of_names_is_refused(tmp_path: Path, text: str) -> None:
    assert labels_in({LABELS: text}) == {}
    refused("NS622", weights(tmp_path, netspec_classes=text))


def test_damaged_normalization_is_refused(tmp_path: Path) -> None:
    refused("NS840", weights(tmp_path, netspec_normalization="{}"))


def test_names_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_bytes("\ufeffant\r\n bee \r\n\r\n".encode())
    (tmp_path / "names.json").write_text('["ant", "bee"]')
    for name in ("names.txt", "names.json"):
        assert labels_in(facts(None, str(tmp_path / name))) == {"": ["ant", "bee"]}
    path = weights(tmp_path, **{CLASSES: '{"y": ["x"]}'})
    assert labels_in(facts(path, str(tmp_path / "names.txt"))) == {"": ["ant", "bee"]}  # what is given goes before what was trained


def test_files_that_hold_no_names(tmp_path: Path) -> None:
    refused("NS711", None, str(tmp_path / "none.txt"))
    for text, code in [(b"", "NS712"), (b"a\n\nb\n", "NS712"), (b"a\0b", "NS712"), (b"\xff\xfe", "NS713")]:
        (tmp_path / "names.txt").write_bytes(text)
        refused(code, None, str(tmp_path / "names.txt"))
    (tmp_path / "names.json").write_text("[" * 100_000)
    refused("NS713", None, str(tmp_path / "names.json"))


def test_names_are_counted(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text("a\nb\n")
    for classes, fits in [(2, True), (1, True), (3, False)]:
        graph = netspec.loads(f"net a {{ input x: [N, 8]; output x -> linear({classes}) }}").graph
        if fits:
            facts(None, str(tmp_path / "names.txt"), graph=graph)
        else:
            assert "2 class names" in refused("NS712", None, str(tmp_path / "names.txt"), graph=graph)
    pixels = netspec.loads("net a { input x: [N, 3, H, W]; output x -> conv(7, 1) }").graph
    assert "2 class names" in refused("NS712", None, str(tmp_path / "names.txt"), graph=pixels)
    facts(None, str(tmp_path / "names.txt"), graph=netspec.loads("net a { input x: [N, T, 3]; output x -> linear(2) }").graph)


def test_an_option_that_there_is_not(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="NS015") as refusal:
        netspec.loads("net a { input x: [N, 8]; output x -> linear(2) }").save_onnx(str(tmp_path / "a.onnx"), folds=True)
    assert "`fold`" in refusal.value.diagnostic.helps[0] and not list(tmp_path.iterdir())


def test_what_is_given() -> None:
    assert facts(None, None, " MIT ", ["author = me", "url=a=b", "empty="]) == {LICENSE: "MIT", "author": "me", "url": "a=b", "empty": ""}
    for pair in ("x", "=1", "netspec.digest=1", "NetSpec.x=1", "a\nb=1", "k=" + "v" * 100_000):
        refused("NS015", None, None, None, [pair])
    refused("NS015", None, None, None, ["a=1", "a=2"])
    refused("NS015", None, None, "MIT\nor not")


def test_in_the_file(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    net = netspec.loads("net a { input x: [N, 8]; output x -> linear(2) }")
    net.save_onnx(str(tmp_path / "a.onnx"), metadata=facts(None, None, "MIT", ["author=me"]))
    props = {entry.key: entry.value for entry in onnx.load(str(tmp_path / "a.onnx")).metadata_props}
    assert props[LICENSE] == "MIT" and props["author"] == "me" and props["netspec.digest"] == net.graph.digest
