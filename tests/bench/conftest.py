"""The benchmarks: ratios within one run, on whatever machine this is. They run where they are asked for: `pytest -m bench`.

`NETSPEC_LONG=1` adds the comparisons that take many minutes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.bench.process import ROOT, cpu_seconds, netspec_seconds

LONG = bool(os.environ.get("NETSPEC_LONG"))
EXPORT = Path(__file__).with_name("export.py")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Beside other tests a measurement says nothing."""
    if "bench" in (config.option.markexpr or ""):
        return
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.skip(reason="measures time: run alone, with `-m bench`"))


@dataclass(frozen=True)
class Rivals:
    """One network as our file and as the file of torch's exporter, and what each took, in seconds of the processor."""

    ours: Path
    theirs: Path
    our_seconds: float
    their_seconds: float

    @property
    def ratio(self) -> float:
        """How many times as long the exporter takes."""
        return self.their_seconds / self.our_seconds


def _rivals(folder: Path, spec: str, *limits: str) -> Rivals:
    """Build and export once, for an export takes long and repeats well; the shorter of two builds before it and one after."""
    ours, theirs, source = folder / "ours.onnx", folder / "theirs.onnx", folder / "net.py"
    netspec_seconds("build", spec, "-o", str(source), *limits)
    build = ("build", spec, "-o", str(ours), *limits)
    before = min(netspec_seconds(*build) for _ in range(2))
    exported = cpu_seconds(str(EXPORT), str(source), str(theirs))
    return Rivals(ours, theirs, min(before, netspec_seconds(*build)), exported)


def chain(layers: int, folder: Path) -> str:
    """A spec of that many pairs of a convolution and a ReLU."""
    path = folder / f"chain{layers}.net"
    path.write_text(
        "net chain {\n  input x: [N, 16, H = 32, W = 32]\n"
        f"  for i in 0..{layers} {{\n    x = x -> conv(16, 3, padding = 1) -> relu\n  }}\n  output y = x\n}}\n"
    )
    return str(path)


def _exporter() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnxscript", reason="torch's exporter needs it")


@pytest.fixture(scope="session")
def resnet50(tmp_path_factory: pytest.TempPathFactory) -> Rivals:
    """ResNet-50 by both."""
    _exporter()
    return _rivals(tmp_path_factory.mktemp("resnet50"), str(ROOT / "specs/resnet.net") + ":resnet50")


@pytest.fixture(scope="session")
def resnet152(tmp_path_factory: pytest.TempPathFactory) -> Rivals:
    """ResNet-152 by both."""
    _exporter()
    return _rivals(tmp_path_factory.mktemp("resnet152"), str(ROOT / "specs/resnet.net") + ":resnet152")


@pytest.fixture(scope="session")
def chain1000(tmp_path_factory: pytest.TempPathFactory) -> Rivals:
    """A thousand convolutions by both."""
    _exporter()
    folder = tmp_path_factory.mktemp("chain1000")
    return _rivals(folder, chain(1000, folder))


@pytest.fixture(scope="session")
def chain5000(tmp_path_factory: pytest.TempPathFactory) -> Rivals:
    """Five thousand convolutions by both: the exporter takes a quarter of an hour."""
    _exporter()
    folder = tmp_path_factory.mktemp("chain5000")
    return _rivals(folder, chain(5000, folder))
