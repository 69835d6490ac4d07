"""Writing ONNX against torch's exporter: the same network, whole processes, imports included."""

from __future__ import annotations

import sys
from math import prod
from pathlib import Path
from time import process_time

import numpy as np
import pytest

from tests.bench.conftest import LONG, Rivals, chain
from tests.bench.process import ROOT, best_ratio, peak_bytes

pytestmark = pytest.mark.bench
long = pytest.mark.skipif(not LONG, reason="takes many minutes: set NETSPEC_LONG=1")


def test_resnet50_is_written_twelve_times_as_fast(resnet50: Rivals) -> None:
    assert resnet50.ratio >= 12


def test_a_thousand_layers_are_written_forty_five_times_as_fast(chain1000: Rivals) -> None:
    assert chain1000.ratio >= 45


@long
def test_resnet152_is_written_eleven_times_as_fast(resnet152: Rivals) -> None:
    assert resnet152.ratio >= 11


@long
def test_five_thousand_layers_are_written_two_hundred_and_fifty_times_as_fast(chain5000: Rivals) -> None:
    assert chain5000.ratio >= 250


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("network", ["resnet50", "chain"])
def test_memory_is_that_of_the_weights_and_a_little(network: str, tmp_path: Path) -> None:
    spec = chain(1000, tmp_path) if network == "chain" else str(ROOT / "specs/resnet.net") + ":resnet50"
    target = tmp_path / "n.onnx"
    peak = peak_bytes(["build", spec, "-o", str(target)])
    assert peak <= 1.3 * target.stat().st_size + 100e6


def test_onnxruntime_is_no_slower_on_our_file(resnet50: Rivals) -> None:
    ort = pytest.importorskip("onnxruntime")
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    ours, theirs = (ort.InferenceSession(path, options, providers=["CPUExecutionProvider"]) for path in (resnet50.ours, resnet50.theirs))
    image = np.random.default_rng(0).standard_normal((1, 3, 96, 96), dtype=np.float32)

    def seconds(session: "ort.InferenceSession") -> float:
        feed = {session.get_inputs()[0].name: image}
        start = process_time()
        for _ in range(5):
            session.run(None, feed)
        return process_time() - start

    assert prod(ours.run(None, {ours.get_inputs()[0].name: image})[0].shape) == 1000
    seconds(ours), seconds(theirs)
    assert best_ratio(lambda: seconds(theirs), lambda: seconds(ours), 1.0, rounds=9) >= 0.97  # what noise there is among equals
