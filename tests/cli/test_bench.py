"""`netspec bench`: its words, its table and its JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from netspec.cli import bench
from netspec.runtime.bench import measure, roofline
from netspec.runtime.bench.peaks import Peaks
from netspec.runtime.bench.result import Row
from tests.cli.conftest import Command
from tests.runtime.test_bench import InProcess

QUICK = ("--engines", "ort", "--threads", "1", "--runs", "3")


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "Child", InProcess)


def test_the_table(netspec: Command, good: str) -> None:
    done = netspec("bench", good, *QUICK, "--batch", "1,2", "--size", "H=16,W=24")
    assert done.status == 0 and done.err == ""
    assert done.out.startswith("good at H = 16, W = 24\n") and done.out.count("ort  cpu  fp32") == 2 and "batch 2" in done.out


def test_the_json(netspec: Command, good: str) -> None:
    data = netspec("bench", good, *QUICK, "--precision", "fp32,bf16", "--format", "json", "-p", "classes=3").data
    first, second = data["rows"]
    assert first["runs"] == 3 and set(first["ms"]) == {"median", "low", "high", "deviation"} and first["speed"]["median"] == 1.0
    assert second["precision"] == "bf16" and second["reason"] and data["interrupted"] is False


def test_a_file(netspec: Command, good: str) -> None:
    assert netspec("build", good, "-o", "good.onnx").status == 0
    done = netspec("bench", "good.onnx", "--runs", "3", "--threads", "1", "--size", "H=16,W=16", "--format", "json")
    assert [row["engine"] for row in done.data["rows"]] == ["ort"] and done.data["net"] == "good.onnx"
    assert "NS758" in netspec("bench", "good.onnx").err
    assert "NS015" in netspec("bench", "good.onnx", "--weights", "w.npz").err
    assert "NS732" in netspec("bench", "none.onnx").err


@pytest.mark.parametrize(
    ("given", "code"),
    [(("--engines", "tf"), "NS758"), (("--batch", "0"), "NS015"), (("--batch", "x"), "NS015"), (("--plot", "a.jpg"), "NS015"),
     (("--runs", "0"), "NS015"), (("--seconds", "-1"), "NS758"), (("--precision", ""), "NS758")],
)  # fmt: skip
def test_words_that_there_are_not(netspec: Command, good: str, given: tuple[str, ...], code: str) -> None:
    done = netspec("bench", good, *given)
    assert done.status == 2 and code in done.err and not done.out


def test_the_exit_status(netspec: Command, good: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert netspec("bench", good, *QUICK, "--providers", "openvino").status == 1  # nothing was measured
    before = bench._measured

    def changed(**what: Any) -> Any:
        def measured(*given: Any) -> Any:
            found = before(*given)
            found.interrupted = what.get("interrupted", False)
            found.rows.append(Row(found.rows[0].contender, wrong=what.get("wrong", False), reason="…"))
            return found

        return measured

    for what, status in (({"interrupted": True}, 130), ({"wrong": True}, 1), ({}, 0)):
        monkeypatch.setattr(bench, "_measured", changed(**what))
        assert netspec("bench", good, *QUICK).status == status


def test_compile_stands_beside_eager() -> None:
    from argparse import ArgumentParser

    parser = ArgumentParser()
    bench.arguments(parser)
    engines = {
        line: bench._plan(parser.parse_args(["a.net", *line.split()])).engines for line in ("", "--compile", "--compile --engines ort")
    }
    assert list(engines.values()) == [("eager", "ort"), ("eager", "compile", "ort"), ("ort", "compile")]


def test_a_roofline(netspec: Command, good: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(roofline, "measure_peaks", lambda threads: Peaks(1e12, 1e10, 1e11))
    done = netspec("bench", good, *QUICK, "--plot", "roof.png", "--format", "json")
    assert (tmp_path / "roof.png").read_bytes().startswith(b"\x89PNG")
    roof = done.data["roofline"]
    assert (roof["peak_gflops"], roof["memory_gbytes"]) == (1000.0, 10.0) and {one["label"] for one in roof["layers"]} >= {"conv1"}
