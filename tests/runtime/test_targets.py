"""What releases of onnxruntime read. The table is held against the releases themselves where `NETSPEC_RELEASES` names a folder with them:
one folder a version, made by `pip install --target FOLDER/1.17.3 --no-deps onnxruntime==1.17.3`, which also holds a numpy where that
one needs an older one (1.26 up to onnxruntime 1.18). `FOLDER/python3.10`, if it is there, runs those of 1.14, made for nothing newer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from netspec import load
from netspec.backends.onnx import OnnxOptions, model_bytes
from netspec.backends.onnx.options import OPSETS
from netspec.backends.onnx.targets import RELEASES, options_for, release
from netspec.backends.weights import Initial
from netspec.diagnostics.model import Refusal
from netspec.graph import Graph
from netspec.runtime.cases import inputs, size_cases
from netspec.runtime.session import Session

#: Small nets that between them have most operators: convolutions, recurrences, scans, resizing, attention, normalizations.
NETS = ("zoo.lenet:lenet5", "zoo.espcn:espcn_x2", "zoo.recurrent:elman", "zoo.recurrent:peephole_lstm", "zoo.recurrent:regressor",
        "zoo.tcn:tcn_mnist", "zoo.digits:digits", "zoo.autoencoder:autoencoder", "zoo.mobilenet_v3:mobilenet_v3_small",
        "zoo.shufflenet:shufflenet_v2_x0_5", "zoo.vae:vae", "zoo.enet:enet")  # fmt: skip
FOLDER = os.environ.get("NETSPEC_RELEASES")

#: Loads every model that there is, runs it, and writes what it gave, or the error, beside it.
RUNNER = """
import glob, sys, numpy, onnxruntime
onnxruntime.set_default_logger_severity(4)
for path in sorted(glob.glob(sys.argv[1] + "/*.onnx")):
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        numpy.savez(path[:-5] + ".out.npz", *session.run(None, dict(numpy.load(path.rsplit("@")[0] + ".npz"))))
    except Exception as error:
        open(path[:-5] + ".err", "w").write(str(error))
"""


def written(graph: Graph, options: OnnxOptions) -> bytes:
    return model_bytes(graph, Initial(0, {tensor.name: tensor for tensor in graph.weights}), options)


@pytest.mark.parametrize("name", RELEASES)
def test_a_target_decides_opset_and_ir(name: str) -> None:
    known = release(name)
    options = options_for(name)
    assert options.opset == min(21, known.last_opset) and options.ir_version == min(10, known.last_ir)
    assert options_for(name, known.last_opset).opset == known.last_opset and release(f"{name}.1") is known
    if known.last_opset < OPSETS[-1]:
        with pytest.raises(Refusal, match=f"NS751.*opsets up to {known.last_opset}, not {known.last_opset + 1}") as refused:
            options_for(name, known.last_opset + 1)
        newer = refused.value.diagnostic.helps[-1].split()[1].rstrip(",")
        assert release(newer).last_opset > known.last_opset


def test_the_table_only_grows() -> None:
    rows = list(RELEASES.values())
    for before, after in zip(rows, rows[1:]):
        assert before.last_opset <= after.last_opset and before.last_ir <= after.last_ir and set(before.bits) <= set(after.bits)
    assert rows[-1].last_opset == OPSETS[-1]


@pytest.mark.parametrize(
    ("name", "helps"),
    [("onnxruntime==1.17.3", "did you mean `ort-1.17`?"), ("ort-9", "known are"), ("", "known are"), ("1.20", "ort-1.20")],
)
def test_unknown_targets_are_refused(name: str, helps: str) -> None:
    with pytest.raises(Refusal, match="NS751") as refused:
        release(name)
    assert any(helps in line for line in refused.value.diagnostic.helps)


def test_precisions_that_a_release_lacks_are_refused() -> None:
    with pytest.raises(Refusal, match="NS751.*8 bits"):
        options_for("ort-1.22", precision="int8-weights")
    assert options_for("ort-1.22", precision="int4-weights").precision == "int4-weights"
    assert options_for("ort-1.14", precision="fp16").opset == 18


def test_the_file_says_what_was_asked_for() -> None:
    model = onnx.load_from_string(written(load("zoo.lenet:lenet5").graph, options_for("ort-1.17")))
    assert (model.ir_version, model.opset_import[0].version) == (9, 20)


@pytest.mark.skipif(not FOLDER, reason="NETSPEC_RELEASES names no folder with releases of onnxruntime")
@pytest.mark.parametrize("folder", sorted(Path(FOLDER).glob("1.*")) if FOLDER else [], ids=lambda folder: folder.name)
def test_releases_read_what_is_written_for_them(folder: Path, tmp_path: Path) -> None:
    """Small nets at the usual opset and at the newest one give the numbers of the release that is here; a newer opset is refused."""
    known = release(f"ort-{folder.name}")
    graphs = {spec.rpartition(":")[2]: load(spec).graph for spec in NETS}
    expected = {}
    for name, graph in graphs.items():
        given = inputs(graph, size_cases(graph, 1)[0], "normal")
        np.savez(tmp_path / f"{name}.npz", **given)
        expected[name] = list(Session(written(graph, OnnxOptions(opset=17)), provider="cpu", graph=graph)(**given).values())
        for opset in {known.opset_for(), known.last_opset, *([known.last_opset + 1] if known.last_opset < OPSETS[-1] else [])}:
            options = OnnxOptions(opset=opset, ir_version=known.ir_version)
            (tmp_path / f"{name}@{opset}.onnx").write_bytes(written(graph, options))
    other = Path(FOLDER or "") / "python3.10"
    python = str(other) if folder.name.startswith("1.14") and other.exists() else sys.executable
    run = subprocess.run([python, "-c", RUNNER, str(tmp_path)], env={"PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}, check=False)
    assert run.returncode == 0
    wrong, newer = {}, []
    for path in sorted(tmp_path.glob("*.onnx")):
        name, _, opset = path.stem.partition("@")
        error = path.with_suffix(".err")
        if int(opset) > known.last_opset:
            newer.append(error.exists())
        elif error.exists():
            wrong[path.stem] = error.read_text()[:300]
        else:
            found = np.load(path.with_suffix(".out.npz"))
            close = [np.allclose(found[f"arr_{i}"], array, 1e-3, 1e-4) for i, array in enumerate(expected[name])]
            wrong.update({} if all(close) else {path.stem: "other numbers"})
    assert not wrong, json.dumps(wrong, indent=1)
    assert any(newer) or not newer, f"{folder.name} reads more than opset {known.last_opset}"
