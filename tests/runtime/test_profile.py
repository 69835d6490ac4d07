"""Profiles: times go to the layers that took them, whatever onnxruntime has made of the graph."""

from __future__ import annotations

import json

import numpy as np
import pytest

from netspec import loads
from netspec.cli.main import main
from netspec.diagnostics.model import Refusal
from netspec.runtime.profile import BETWEEN
from netspec.runtime.profile_events import read_runs
from netspec.runtime.profile_table import profile_text
from netspec.runtime.session import Session

SPEC = """
block unit(width) {
  input x
  output x -> conv(width, 3, padding = 1, bias = false) -> batch_norm -> relu
}

net small {
  input image: [N, 3, H = 16, W = 16]
  a = image -> unit(8) as stem
  b = a -> unit(8) as body
  output scores = a + b -> relu -> global_avg_pool -> flatten -> linear(5) as head
}
"""

LOOP = """
block step(width) {
  input x: [N, C]
  input h: [N, width]
  output h = x ++ h -> linear(width) as gates -> tanh
  output y = h
}

net loop {
  input x: [N, T = 6, 3]
  output y = x -> scan(step(4), over = T) as cell
}
"""


@pytest.fixture(scope="module")
def net():
    return loads(SPEC)


@pytest.fixture(scope="module")
def found(net):
    image = np.random.default_rng(0).normal(size=(2, 3, 32, 32)).astype("f")
    return net.session(provider="cpu", threads=1).profile({"image": image}, runs=3, warmup=1)


def test_layers_and_blocks_with_their_cost(net, found):
    from netspec.analyses.cost import cost

    assert dict(found.sizes) == {"N": 2, "H": 32, "W": 32} and found.runs == 3
    assert sum(row.macs for row in found.rows) == cost(net.graph, dict(found.sizes)).total.macs
    layers = {name for row in found.rows for name in (row.label, *row.fused)} - {BETWEEN}
    assert {node.name for node in net.graph.nodes} <= layers, "every layer is in some row"
    blocks = {row.label: row for row in found.blocks}
    assert set(blocks) == {"stem", "body"}
    assert blocks["stem"].macs == 2 * 8 * 3 * 9 * 32 * 32
    assert sum(row.seconds for row in found.rows) == pytest.approx(found.seconds, rel=0.2)
    assert sum(row.share for row in found.rows if row.label.startswith("(") and row.label != BETWEEN) < 0.2
    head = next(row for row in found.rows if row.label == "head")
    assert head.nbytes >= 4 * (2 * 8 + 8 * 5 + 2 * 5) and head.gflops > 0  # its weights, though packed


def test_the_table_and_the_facts(found):
    text = profile_text(found)
    assert "median of 3" in text and "GFLOP/s" in text and "stem" in text and "head" in text
    facts = json.loads(json.dumps(found.facts()))
    assert facts["layers"][0]["gflops"] == pytest.approx(found.rows[0].gflops)


def test_without_optimization_each_layer_has_its_own_row(net):
    session = net.session(provider="cpu", threads=1, optimize="none")
    rows = session.profile({"image": np.ones((1, 3, 16, 16), "f")}, runs=1, warmup=0).rows
    assert [row.label for row in rows][: len(net.graph.nodes)] == [node.name for node in net.graph.nodes]
    assert not any(row.fused for row in rows)


def test_steps_of_a_scan_are_counted_together():
    """The loop's own time is what its body leaves of it; what runs in each step is one row, with all its multiply-adds."""
    net = loads(LOOP)
    session = net.session(provider="cpu", threads=1)
    rows = {row.label: row for row in session.profile({"x": np.ones((2, 9, 3), "f")}, runs=2, warmup=0).rows}
    assert rows["cell.gates"].macs == 9 * 2 * 7 * 4
    assert "Scan" in rows["cell"].operators and not rows["cell"].macs


def test_nodes_of_a_file_without_its_spec(net, tmp_path):
    net.save_onnx(str(tmp_path / "net.onnx"))
    session = Session(tmp_path / "net.onnx", provider="cpu", threads=1)
    found = session.profile({"image": np.ones((1, 3, 16, 16), "f")}, runs=1, warmup=0)
    assert {"stem", "body"} <= {row.label for row in found.blocks}
    assert not any("_nchwc" in row.label for row in found.rows) and not any(row.macs for row in found.rows)


def test_wrong_numbers_of_runs(net):
    session = net.session(provider="cpu")
    for runs, warmup in ((0, 0), (1, -1), (100_000, 0)):
        with pytest.raises(Refusal, match="NS733"):
            session.profile({"image": np.ones((1, 3, 16, 16), "f")}, runs=runs, warmup=warmup)


def event(name, start, duration, thread=1, category="Node", **facts):
    return {"cat": category, "name": name, "ts": start, "dur": duration, "tid": thread, "args": facts}


def test_events_are_read_run_by_run_with_their_own_times(tmp_path):
    events = [
        event("session_initialization", 0, 50, category="Session"),
        event("model_run", 100, 100, category="Session"),
        event("cell_kernel_time", 101, 60, op_name="Scan"),
        event("linear_kernel_time", 110, 20, op_name="Gemm", activation_size="8", output_size="4", parameter_size="100"),
        event("linear_kernel_time", 135, 15, op_name="Gemm", output_type_shape=[{"float16": [1, 4]}]),
        event("side_kernel_time", 120, 30, thread=2, op_name="Relu"),
        event("model_run", 300, 10, category="Session"),
        event("table_kernel_time", 301, 5, op_name="Gather", output_size="16", parameter_size="4000"),
    ]
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(events))
    first, second = read_runs(str(path))
    assert [(call.node, call.time) for call in first.calls] == [("cell", 25.0), ("linear", 20.0), ("side", 30.0), ("linear", 15.0)]
    assert (first.calls[1].activations, first.calls[1].parameters) == (12, 100)
    assert first.calls[3].width == 2 and first.calls[3].shapes == ((1, 4),)
    assert second.calls[0].parameters == 16, "of a table, the rows that are looked up"


def test_on_the_command_line(net, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.net").write_text(SPEC)
    (tmp_path / "names.txt").write_text("ant\nbee\ncat\ndog\neel\n")
    np.save(tmp_path / "x.npy", np.ones((1, 3, 16, 16), "f"))
    asked = ["--input", "image=x.npy", "--provider", "cpu", "--threads", "1"]
    assert main(["run", "small.net", *asked, "--profile", "p.json", "--runs", "2"]) == 0
    assert "GFLOP/s" in capsys.readouterr().out
    assert json.loads((tmp_path / "p.json").read_text())["runs"] == 2
    assert main(["build", "small.net", "-o", "net.onnx", "--labels", "names.txt"]) == 0
    assert main(["run", "net.onnx", *asked]) == 0
    assert any(name in capsys.readouterr().out for name in ("ant (", "bee (", "eel ("))
    assert main(["run", "net.onnx", *asked, "--format", "json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["scores"]["labels"][0]) == {"ant", "bee", "cat", "dog", "eel"}
    assert main(["run", "net.onnx", *asked, "--session-option", "session.foo=1"]) == 2


def test_a_file_and_the_spec_that_it_was_written_from(net, tmp_path, capsys, monkeypatch):
    """Whatever its precision, the profile of a file is then by layer, with multiply-adds."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.net").write_text(SPEC)
    (tmp_path / "other.net").write_text(SPEC.replace("linear(5)", "linear(6)"))
    np.save(tmp_path / "x.npy", np.ones((1, 3, 16, 16), "f"))
    assert main(["build", "small.net", "-o", "net.onnx", "--precision", "fp16", "--fold"]) == 0
    asked = ["run", "net.onnx", "--input", "image=x.npy", "--provider", "cpu", "--threads", "1", "--profile", "p.json"]
    assert main([*asked, "--runs", "2", "--layers-of", "small.net"]) == 0
    layers = json.loads((tmp_path / "p.json").read_text())["layers"]
    assert sum(layer["macs"] for layer in layers) == 16 * 16 * 8 * (3 + 8) * 9 + 8 * 5
    capsys.readouterr()
    assert main([*asked, "--layers-of", "other.net"]) == 2
    assert "of another text" in capsys.readouterr().err
