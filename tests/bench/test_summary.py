"""Summaries against the counters that run the network: whole processes, the analyses alone, and ten thousand layers."""

from __future__ import annotations

from pathlib import Path
from time import process_time
from typing import Any

import pytest

import netspec
from netspec.collector import paused
from tests.bench.conftest import chain
from tests.bench.process import best_ratio, command_in_time, cpu_seconds, netspec_seconds, warm

pytestmark = pytest.mark.bench
SCRIPT = str(Path(__file__).with_name("resnet.py"))
EVERYTHING = ("summary", "--all", "--format", "json")


@pytest.mark.parametrize("counter", ["torchinfo", "fvcore"])
def test_a_summary_with_everything_starts_and_ends_four_times_as_fast(counter: str) -> None:
    pytest.importorskip("torch")
    pytest.importorskip(counter)
    ours = (*EVERYTHING, "zoo.resnet:resnet152")
    warm(*ours)
    assert best_ratio(lambda: cpu_seconds(SCRIPT, counter), lambda: netspec_seconds(*ours), 4.0) >= 4


def everything(graph: Any) -> str:
    """Every analysis that a summary shows, and the table."""
    from netspec.analyses.summary import summarize

    with paused():
        return summarize(graph).table(cost=True, memory=True, signal=True, width=140)


def test_the_analyses_alone_are_five_times_as_fast() -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("torchinfo")
    from tests.bench.resnet import RESNET152, ResNet, torchinfo_text

    graph, network = netspec.load("zoo.resnet:resnet152").graph, ResNet(RESNET152)

    def seconds(run: Any, subject: Any) -> float:
        start = process_time()
        assert "60,192,808" in run(subject)
        return process_time() - start

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # threads that wait for each other count as busy
    try:
        seconds(torchinfo_text, network), seconds(everything, graph)
        assert best_ratio(lambda: seconds(torchinfo_text, network), lambda: seconds(everything, graph), 5.0, rounds=5) >= 5
    finally:
        torch.set_num_threads(threads)


def residual(layers: int, folder: Path) -> str:
    """A spec of so many layers in residual blocks of five."""
    path = folder / f"residual{layers}.net"
    branch = "conv(16, 3, padding = 1) -> batch_norm -> relu -> conv(16, 3, padding = 1)"
    path.write_text(
        f"block unit {{\n  input x\n  y = x -> {branch}\n  output x + y\n}}\n"
        "net residual {\n  input x: [N, 16, H = 32, W = 32]\n"
        f"  for i in 0..{layers // 5} {{\n    x = x -> unit\n  }}\n  output y = x\n}}\n"
    )
    return str(path)


@pytest.mark.parametrize("network", [lambda n, folder: chain(n // 2, folder), residual], ids=["chain", "residual"])
def test_ten_thousand_layers_take_seconds_and_time_grows_in_proportion(network: Any, tmp_path: Path) -> None:
    small, large = network(2_500, tmp_path), network(10_000, tmp_path)
    assert command_in_time(10, *EVERYTHING, large)
    assert best_ratio(lambda: netspec_seconds(*EVERYTHING, small), lambda: netspec_seconds(*EVERYTHING, large), 1 / 6) >= 1 / 6
