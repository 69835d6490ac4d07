"""Networks of gigabytes: written at the disk's pace, in a few dozen megabytes of memory, and pointed into in no time.

0.8 GB unless `NETSPEC_LONG=1` asks for 6 GB; twice that much is needed on the disk.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter

import pytest

from tests.bench.conftest import LONG
from tests.bench.process import ATTEMPTS, best_ratio, peak_bytes

pytestmark = pytest.mark.bench

#: Layers of 256 MB each, the memory that a build may hold, and the share of the disk's own pace that it must reach.
LAYERS, MEMORY, SHARE = 24 if LONG else 3, 1 << 30, 0.5
WIDTH = 8192


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A `.safetensors` file of that many layers, beside its spec; drawn in little memory, too."""
    folder = tmp_path_factory.mktemp("large")
    room = shutil.disk_usage(folder).free
    if room < 3 * LAYERS * WIDTH * WIDTH * 4:
        pytest.skip(f"{room:,} bytes on the disk are too few")
    layers = f"  for i in 0..{LAYERS} {{\n    x = x -> linear({WIDTH}, bias = false)\n  }}"
    (folder / "big.net").write_text(f"net big {{\n  input x: [N, {WIDTH}]\n{layers}\n  output y = x\n}}\n")
    assert peak_bytes(["build", str(folder / "big.net"), "-o", str(folder / "big.safetensors")]) < MEMORY
    yield folder / "big.safetensors"
    shutil.rmtree(folder)


def spent(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds that pass, and that processors are at it, in this process and those that it waits for."""
    before, begin = os.times(), perf_counter()
    work()
    seconds, after = perf_counter() - begin, os.times()
    return seconds, sum(after[:4]) - sum(before[:4])


def plain(source: Path, target: Path) -> None:
    """Write as many bytes as a file has to the disk, and do nothing else. (Of no pattern: some disks keep zeros for nothing.)"""
    buffer = os.urandom(256 << 10)
    with open(target, "wb", buffering=0) as file:
        for _ in range(os.path.getsize(source) // len(buffer)):
            file.write(buffer)
        os.fsync(file.fileno())
    target.unlink()


def test_from_safetensors(weights: Path) -> None:
    """Peak memory and pace of a build with weights outside of the model, less the time of a build that has none to write.

    Where the disk is what takes time, the seconds that pass tell; where the processors are (a fast disk, a busy machine), their seconds.
    """
    onnx, small, peaks = weights.with_name("net.onnx"), _small(weights), []

    def built(spec: Path, *options: str) -> None:
        peaks.append(peak_bytes(["build", str(spec), "--external", "-o", str(onnx), *options]))
        for path in weights.parent.glob("net.onnx*"):
            path.unlink()

    shares: list[float] = []
    while len(shares) < 2 * ATTEMPTS and max(shares, default=0) < SHARE:
        start, before = spent(lambda: built(small)), spent(lambda: plain(weights, weights.with_name("raw")))
        ours = spent(lambda: built(weights.with_name("big.net"), "--weights", str(weights)))
        after = spent(lambda: plain(weights, weights.with_name("raw")))  # the pace of a disk that others use changes by the minute
        shares.append(max(max(raw) / (took - s) for raw, took, s in zip(zip(before, after), ours, start)))
    print(f"{max(shares):.2f} of the disk's pace, {max(peaks) / 1e6:.0f} MB")
    assert max(peaks) < MEMORY and max(shares) >= SHARE


def _small(weights: Path) -> Path:
    """A spec of next to no weights."""
    small = weights.with_name("small.net")
    small.write_text("net small { input x: [N, 4]; output y = x -> linear(4) }\n")
    return small


def test_pointed_into(weights: Path) -> None:
    """A model that points into the file: no slower than for a network without weights, but for a little."""

    def built(spec: Path, *options: str) -> float:
        begin = perf_counter()
        assert peak_bytes(["build", str(spec), "-o", str(weights.with_name("net.onnx")), *options]) < MEMORY
        return perf_counter() - begin

    into = ("--weights", str(weights), "--external", str(weights))
    assert best_ratio(lambda: built(_small(weights)), lambda: built(weights.with_name("big.net"), *into), 0.5) >= 0.5
    assert os.path.getsize(weights.with_name("net.onnx")) < 100_000
