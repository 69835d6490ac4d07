"""What `build` leaves behind: the same bytes for the same seed, the old file where something goes wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import netspec
from netspec.cli.main import main

NET = """
net f(width = 8) {
  input image: [N, 3, H = 16, W = 16]
  output logits: [N, 5] = image -> conv(width, 3) -> bn -> relu -> global_avg_pool -> flatten -> linear(5)
  init { conv: he_normal(mode = fan_out)
    linear: orthogonal, bias = zeros }
}
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "f.net"
    path.write_text(NET)
    return path


def test_same_seed_same_bytes_in_any_process(spec: Path, tmp_path: Path) -> None:
    made = []
    for number, extra in enumerate(({"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "77", "TZ": "Asia/Tokyo", "LC_ALL": "C"})):
        for kind in ("onnx", "safetensors", "py", "json"):
            target = tmp_path / f"{number}.{kind}"
            command = [sys.executable, "-m", "netspec", "build", str(spec), "-o", str(target), "--seed", "3"]
            root = str(Path(__file__).parents[2])
            environment = {**os.environ, **extra, "PYTHONPATH": root}
            if kind in ("py", "json"):
                command = command[:-2]
            subprocess.run(command, check=True, env=environment, capture_output=True, cwd=tmp_path)
            made.append(target.read_bytes())
    assert made[: len(made) // 2] == made[len(made) // 2 :]


def test_torch_and_onnx_start_with_the_same_bits(spec: Path) -> None:
    pytest.importorskip("torch")
    from onnx import numpy_helper

    net = netspec.load(str(spec))
    module, model = net.torch(seed=5), net.onnx(seed=5)
    state = module.state_dict()
    found = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    shared = [name for name in state if name in found]
    assert {"conv1.weight", "bn1.running_var", "linear1.bias"} <= set(shared)
    for name in shared:
        assert np.array_equal(state[name].numpy(), found[name]), name
    assert not np.array_equal(netspec.load(str(spec)).torch(seed=6).state_dict()["conv1.weight"].numpy(), state["conv1.weight"].numpy())


def test_a_weight_depends_on_seed_and_label_alone() -> None:
    pytest.importorskip("torch")
    first = netspec.loads("net f { input x: [N, 4]\n output x -> linear(6) as a -> linear(6) as b }").torch(seed=1).state_dict()
    second = netspec.loads("net f { input x: [N, 6]\n y = x -> linear(6) as b\n output y -> linear(9) as c }").torch(seed=1).state_dict()
    assert np.array_equal(first["b.weight"].numpy(), second["b.weight"].numpy())


@pytest.mark.parametrize("kind", ["onnx", "safetensors", "json", "py"])
def test_a_failing_write_leaves_the_old_file(spec: Path, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / f"out.{kind}"
    target.write_bytes(b"the old file")

    def broken(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", broken)
    assert main(["build", str(spec), "-o", str(target)]) == 1
    assert target.read_bytes() == b"the old file"
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["f.net", target.name])


def test_a_broken_spec_leaves_the_old_file(tmp_path: Path) -> None:
    spec, target = tmp_path / "b.net", tmp_path / "out.onnx"
    spec.write_text("net f { input x: [N, 3, 4, 4]\n output x -> conv(8, 9) }")
    target.write_bytes(b"the old file")
    assert main(["build", str(spec), "-o", str(target)]) == 1
    assert target.read_bytes() == b"the old file"


@pytest.mark.slow
def test_a_killed_build_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "out.onnx"
    target.write_bytes(b"the old file")
    root = str(Path(__file__).parents[2])
    for delay in (0.1, 0.3, 0.45, 0.6):
        command = [sys.executable, "-m", "netspec", "build", "zoo.vgg:vgg11", "-o", str(target)]
        process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": root}, stderr=subprocess.DEVNULL)
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            assert target.read_bytes() == b"the old file"
