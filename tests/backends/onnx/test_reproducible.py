"""The same spec and seed give the same bytes: in any process, place, language, time zone, and with any number of threads."""

from __future__ import annotations

import os
import subprocess
import sys
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest

import netspec
from netspec.backends.onnx import model_bytes
from netspec.backends.stream import Slot, write_parts
from netspec.backends.weights import Initial

ROOT = Path(__file__).resolve().parents[3]
#: More than 4 MiB of weights, so that threads are used; open sizes, blocks, and several kinds of values.
SPEC = "specs/resnet.net:resnet18"


def build(folder: Path, **changes: str) -> str:
    """The digest of the file that a process writes in this folder, under these environment variables."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **changes}
    target = folder / "n.onnx"
    command = [sys.executable, "-m", "netspec", "build", str(ROOT / SPEC), "--seed", "7", "-o", target.name]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
    digest = sha256(target.read_bytes()).hexdigest()
    target.unlink()
    return digest


def test_processes_agree(tmp_path: Path) -> None:
    elsewhere = tmp_path / "ein anderer Ort"
    elsewhere.mkdir()
    first = build(tmp_path, PYTHONHASHSEED="0")
    assert build(elsewhere, PYTHONHASHSEED="1", TZ="Asia/Kathmandu", LANG="de_DE.UTF-8", LC_ALL="C") == first
    assert build(tmp_path, PYTHONHASHSEED="4242", PYTHONOPTIMIZE="1", OMP_NUM_THREADS="1", PYTHONUTF8="0") == first
    net = netspec.load(str(ROOT / SPEC))
    assert sha256(model_bytes(net.graph, Initial(7, {t.name: t for t in net.graph.weights}))).hexdigest() == first


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_threads_agree(threads: int) -> None:
    graph = netspec.load("zoo.lenet").graph
    weights = Initial(3)
    parts: list[bytes | Slot] = [b"head"]
    for tensor in graph.weights:
        parts += (Slot(tensor, 0, weights.array(tensor).nbytes), b"between")
    files = []
    for count in (1, threads):
        file = BytesIO()
        write_parts(file, parts, weights, count)
        files.append(file.getvalue())
    assert files[0] == files[1]
    assert files[0].startswith(b"head") and files[0].endswith(b"between")
    assert len(files[0]) == sum(map(len, parts))
