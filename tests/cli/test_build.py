"""`netspec build`: what is written is what was asked for, and an option that says nothing about the output is refused in words."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from tests.cli.conftest import Command


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "a.py", "--fold"], "--fold is for ONNX, and the output is a .py file"),
        (["-o", "a.pt2", "--precision", "fp16"], "--precision is for ONNX, and the output is a .pt2 file"),
        (["-o", "a.safetensors", "--license", "MIT"], "--license is for ONNX and the programs of torch, and the output is a .safetensors"),
        (["-o", "a.json", "--target", "ort-1.17"], "--target is for ONNX"),
        (["-o", "a.onnx", "--calibrate", "x.npz"], "--calibrate is for --precision int8"),
        (["-o", "a.onnx", "--io", "low"], "--io low is for --precision fp16 and bf16"),
        (["-o", "a.onnx", "--package", "triton"], "--package triton writes a folder, not a .onnx file"),
        (["-o", "a.onnx", "--accelerator", "tensorrt"], "--accelerator is for --package"),
        (["-o", "models", "--package", "triton", "--external", "w.safetensors"], "the weights of a package lie in it"),
        (["-o", "models"], "`models` does not say what to build"),
        (["-o", "a.onnx", "--static", "H=16,H=18"], "`H` is given twice: 16 and 18"),
        (["-o", "a.onnx", "--static", "N=3", "--batch", "4"], "--batch 4: no input of good begins with an open size"),
        (["-o", "a.onnx", "--static", "H=16", "--size", "H=18"], "`H` is open with --size, and a number with --static"),
        (["-o", "a.onnx", "--strip", "module."], "--strip is of a file of weights"),
    ],
)
def test_options_that_do_not_suit_are_refused(netspec: Command, good: str, arguments: list[str], words: str) -> None:
    done = netspec("build", good, *arguments)
    assert done.status == 2 and "error[NS015]" in done.err and words in done.err
    assert [p.name for p in Path().iterdir()] == [Path(good).name]


def test_a_target_and_training_mode(netspec: Command, good: str) -> None:
    assert netspec("build", good, "-o", "a.onnx", "--target", "ort-1.17", "--meta", "a=b").status == 0
    model = onnx.load("a.onnx")
    assert (model.ir_version, model.opset_import[0].version) == (9, 20) and {p.key: p.value for p in model.metadata_props}["a"] == "b"
    done = netspec("build", good, "-o", "a.onnx", "--target", "ort-1.17", "--opset", "21")
    assert done.status == 2 and "NS751" in done.err and "--opset 20" in done.err
    done = netspec("build", good, "-o", "a.onnx", "--train-mode")
    assert done.status == 2 and "NS754" in done.err


def test_a_package(netspec: Command, good: str) -> None:
    Path("labels.txt").write_text("".join(f"class {n}\n" for n in range(10)))
    done = netspec("build", good, "-o", "models", "--package", "triton", "--external", "--batch", "4", "--labels", "labels.txt")
    assert done.status == 0 and "models/good: " in done.err
    files = sorted(str(p.relative_to("models/good")) for p in Path("models/good").rglob("*") if p.is_file())
    assert files == ["1/model.onnx", "1/model.onnx.data", "config.pbtxt", "labels.txt"]
    assert "dims: [ 4, 3, -1, -1 ]" in Path("models/good/config.pbtxt").read_text()


def test_weights_beside_a_model_have_a_name(netspec: Command, good: str) -> None:
    done = netspec("build", good, "-o", "a.onnx", "--external", "")
    assert done.status == 2 and "NS753" in done.err and not Path("a.onnx").exists()
