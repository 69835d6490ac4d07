"""A build that is killed, interrupted, or has no room: the old files or the new ones, and never a part."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time

import pytest

from netspec.backends.onnx import OnnxOptions, save
from netspec.backends.stream import Slot, write_parts
from netspec.backends.weights import Initial, Piece, Weights
from netspec.diagnostics.model import Refusal
from netspec.files import write_atomic
from tests.backends import networks as nets

N = nets.Dim.name("N")
_BUILD = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from tests.backends.weights.test_interrupted import network
from netspec.backends.onnx import OnnxOptions, save
from netspec.backends.weights import Initial
graph = network()
print("ready", flush=True)
for seed in range(1000):
    save(graph, sys.argv[1], Initial(seed), OnnxOptions(external=True))
    print(seed, flush=True)
"""


def network():
    """Some megabytes of weights: several threads, several pieces."""
    b = nets.Builder()
    return b.graph(y=b.add("fc2", nets.Linear(features=400), b.add("fc", nets.Linear(features=1000), b.input("x", N, 1100))))


def complete(folder, graph) -> bool:
    """Whether a pair of files is there, and whole."""
    import onnx

    names = {p.name for p in folder.iterdir() if not p.name.startswith(".")}
    if not names:
        return False
    assert names in ({"net.onnx", "net.onnx.data"}, {"net.onnx.data"})  # the model comes last
    data = (folder / "net.onnx.data").read_bytes()
    (seed,) = [seed for seed in range(30) if Initial(seed).array(graph.weights[1]).tobytes() in data]  # a bias tells which it was
    assert all(Initial(seed).array(tensor).tobytes() in data for tensor in graph.weights)
    if "net.onnx" in names:
        onnx.checker.check_model(str(folder / "net.onnx"))
    return True


def test_killed_at_any_moment(tmp_path):
    """Processes, each killed a moment after it began to write; what one leaves the next removes."""
    graph, moments = network(), random.Random(0)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    for turn in range(3):
        how = signal.SIGINT if turn == 2 else signal.SIGKILL
        command = [sys.executable, "-c", _BUILD, str(tmp_path / "net.onnx")]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
        assert child.stdout is not None and child.stdout.readline() == b"ready\n"
        for _ in range(moments.randrange(2)):
            child.stdout.readline()
        time.sleep(moments.random() * 0.05)
        child.send_signal(how)
        child.wait(10)
        complete(tmp_path, graph)
        assert sum(p.name.startswith(".") for p in tmp_path.iterdir()) <= (3 if how == signal.SIGKILL else 0)
    save(graph, tmp_path / "net.onnx", Initial(0), OnnxOptions(external=True))
    assert complete(tmp_path, graph) and sorted(p.name for p in tmp_path.iterdir()) == ["net.onnx", "net.onnx.data"]


def test_a_limit_on_files(tmp_path):
    """The system stops a file that grows past a limit: nothing is left, and the old file stays."""
    graph = network()
    path = tmp_path / "net.onnx"
    path.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(Refusal, match="NS020"):
            save(graph, path, Initial(0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["net.onnx"]


def test_no_room_is_told_before_anything_is_written(tmp_path, monkeypatch):
    graph, whole = network(), os.fstatvfs

    class Small:
        f_blocks, f_bavail, f_frsize = 1000, 1000, 4096

    monkeypatch.setattr(os, "fstatvfs", lambda descriptor: whole(descriptor) and Small)
    with pytest.raises(Refusal, match="NS020.*No space left on device: it needs 6,0.* bytes, and 4,096,000 are free"):
        save(graph, tmp_path / "net.onnx", Initial(0))
    assert not list(tmp_path.iterdir())


class Interrupted(Weights):
    """Weights during whose making somebody presses Ctrl-C."""

    def pieces(self, tensor):
        def make(number: int):
            if number == 3:
                os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)
            return Initial(0).array(tensor).reshape(-1)[: 1 << 18]

        for number in range(8):
            yield Piece(1 << 18, lambda number=number: make(number))


def test_ctrl_c_ends_all_threads_before_the_file_is_given_up(tmp_path):
    """One that went on would write into whatever file is opened next."""
    import threading

    b = nets.Builder()
    (tensor, _) = b.graph(y=b.add("fc", nets.Linear(features=1 << 10), b.input("x", N, 1 << 11))).weights
    before = threading.active_count()

    def produce(file) -> None:
        try:
            write_parts(file, [Slot(tensor, 0, 8 << 20)], Interrupted(), threads=4)
        finally:
            assert threading.active_count() == before

    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "a", produce)
    assert not list(tmp_path.iterdir())
