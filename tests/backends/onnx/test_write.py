"""What we write as ONNX: valid by onnx's own checker, right in onnxruntime, the same bytes every time."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from netspec.backends.onnx import OnnxOptions, model_bytes, save
from netspec.backends.onnx.lower import lower
from netspec.backends.weights import Arrays, Initial
from netspec.diagnostics.model import Refusal
from netspec.sizes.dim import Dim, evaluate, maximum, minimum, show
from tests.backends import networks as nets


def checked(data: bytes) -> onnx.ModelProto:
    model = onnx.load_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    assert len(model.SerializeToString()) == len(data)  # no field that onnx would drop, none written twice
    return model


def run(data: bytes, feeds: dict, optimize: bool = True) -> list[np.ndarray]:
    options = ort.SessionOptions()
    if not optimize:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"]).run(None, feeds)


def test_small_network():
    graph = nets.small()
    data = model_bytes(graph, Initial(3))
    model = checked(data)
    assert [i.name for i in model.graph.input] == ["image"] and [o.name for o in model.graph.output] == ["logits"]
    names = [i.name for i in model.graph.initializer]
    assert names[:6] == [
        "stem.conv1.weight", "stem.conv1.bias", "stem.bn1.weight", "stem.bn1.bias", "stem.bn1.running_mean", "stem.bn1.running_var",
    ]  # fmt: skip
    assert names.count("shared.weight") == 1 and not any("num_batches" in n for n in names)
    assert [n.name for n in model.graph.node][:3] == ["stem.conv1", "stem.bn1", "stem.relu1"]
    assert {n.op_type for n in model.graph.node}.isdisjoint({"Shape", "Gather", "Concat"})
    image = np.random.default_rng(0).standard_normal((2, 3, 6, 5)).astype("float32")
    a, b = run(data, {"image": image}), run(data, {"image": image}, optimize=False)
    assert a[0].shape == (2, 7)
    np.testing.assert_allclose(a[0], b[0], atol=1e-5)


def test_metadata_and_shapes():
    model = checked(model_bytes(nets.chain(1), Initial(0)))
    assert model.ir_version == 10 and model.opset_import[0].version == 21 and model.producer_name == "netspec"
    facts = {p.key: p.value for p in model.metadata_props}
    assert facts["netspec.net"] == "chain" and facts["netspec.digest"] == "0123"
    (value,) = model.graph.value_info
    assert [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim] == ["N", 8, "H", "W"]


def test_initializers_are_what_generate_gives():
    graph = nets.small()
    stored = {i.name: onnx.numpy_helper.to_array(i) for i in checked(model_bytes(graph, Initial(7))).graph.initializer}
    for tensor in graph.weights:
        if tensor.name in stored:
            np.testing.assert_array_equal(stored[tensor.name], Initial(7).array(tensor))


N, H, W = (Dim.name(n) for n in "NHW")
SIZES = [
    H + 1, 2 * H, H * W, (H + 31) // 32, (H - 7) // 2, -((-H) // 2), 10 - H, W - H, 3 * H - 2 * W + 5, H * W * N, H**3,
    minimum(H, W), maximum(H - W, 3, W), (H * W) // (N + 1), H - 3 * (H // 3), (minimum(H, 4) - W) // 3, -H - W, (H // 2) * (W // 2),
]  # fmt: skip


@pytest.mark.parametrize("size", SIZES, ids=show)
def test_sizes_at_run_time(size):
    b = nets.Builder()
    x = b.input("x", N, H, W)
    first, scalar = b.add("sizes", nets.Sizes(sizes=(size, 5, H, H + W, size)), x)
    data = model_bytes(b.graph(v=first, s=scalar), Initial(0))
    checked(data)
    for shape in [(1, 1, 1), (2, 7, 3), (3, 8, 64), (1, 225, 2)]:
        env = dict(zip("NHW", shape))
        v, s = run(data, {"x": np.zeros(shape, "float32")})
        expected = evaluate(size, env)
        assert v.tolist() == [expected, 5, shape[1], shape[1] + shape[2], expected]
        assert s.dtype == np.float32 and s.shape == () and s == expected


def test_sizes_of_compound_inputs():
    b = nets.Builder()
    x = b.input("x", N, 2 * H + 1, 3 * W)
    v, s = b.add("sizes", nets.Sizes(sizes=(H, W, H * W)), x)
    out = run(model_bytes(b.graph(v=v, s=s), Initial(0)), {"x": np.zeros((1, 11, 6), "float32")})
    assert out[0].tolist() == [5, 2, 10]


def test_unreadable_size_is_refused():
    b = nets.Builder()
    x = b.input("x", N, H * W)
    v, s = b.add("sizes", nets.Sizes(sizes=(H, H)), x)
    with pytest.raises(Refusal, match="NS701"):
        model_bytes(b.graph(v=v, s=s), Initial(0))


def test_sizes_are_computed_once():
    b = nets.Builder()
    x = b.input("x", N, H, W)
    outs = [b.add(f"s{i}", nets.Sizes(sizes=(H // 2, W)), x) for i in range(3)]
    model = lower(b.graph(**{f"o{i}{j}": o[j] for i, o in enumerate(outs) for j in range(2)}))
    assert [n.op_type for n in model.nodes].count("Shape") == 2
    assert [n.op_type for n in model.nodes].count("Div") == 1


def test_equal_calls_are_written_once_and_names_follow_labels():
    b = nets.Builder()
    x = b.input("x", N, 4)
    y = b.add("a.twice1", nets.Twice(), x)
    y = b.add("a.halves", nets.Halves(), y)
    model = lower(b.graph(y=b.add("mul", nets.Plain(what="Mul"), *y)))
    assert [(n.op_type, n.name) for n in model.nodes] == [
        ("Mul", "a.twice1/Mul"), ("Add", "a.twice1"), ("Split", "a.halves"), ("Mul", "mul"),
    ]  # fmt: skip
    assert [c.name for c in model.constants] == ["constant/float32[](2.0)", "constant/int64[2](2, 2)"]


def test_outputs_that_are_inputs_or_each_other():
    b = nets.Builder()
    x = b.input("x", N, 4)
    y = b.add("relu", nets.Plain(), b.add("identity", nets.Identity(), x))
    data = model_bytes(b.graph(same=x, y=y, again=y, x2=b.add("identity2", nets.Identity(), x)), Initial(0))
    checked(data)
    value = np.array([[-1, 2, -3, 4]], "float32")
    same, y, again, x2 = run(data, {"x": value})
    np.testing.assert_array_equal(same, value)
    np.testing.assert_array_equal(x2, value)
    np.testing.assert_array_equal(y, again)


def test_names_that_collide():
    """A layer labelled like an output, an input or a stored tensor."""
    b = nets.Builder()
    x = b.input("relu1", N, 4)
    y = b.add("y", nets.Plain(), x)
    y = b.add("relu1", nets.Plain(what="Neg"), y)
    y = b.add("fc.weight", nets.Plain(what="Neg"), y)
    y = b.add("fc", nets.Linear(features=2), y)
    data = model_bytes(b.graph(y=y), Initial(0))
    checked(data)
    assert run(data, {"relu1": np.ones((1, 4), "float32")})[0].shape == (1, 2)


@pytest.mark.parametrize("opset", [17, 18, 21, 24, 26])
def test_opsets(opset):
    data = model_bytes(nets.small(), Initial(0), OnnxOptions(opset=opset))
    assert checked(data).opset_import[0].version == opset
    run(data, {"image": np.zeros((1, 3, 6, 5), "float32")})


def test_unknown_opset():
    with pytest.raises(Refusal, match="NS703"):
        model_bytes(nets.small(), Initial(0), OnnxOptions(opset=3))


@pytest.mark.parametrize("external", [False, True])
def test_files(tmp_path, external):
    b = nets.Builder()
    x = b.input("x", N, 700)
    graph = b.graph(y=b.add("fc2", nets.Linear(features=3), b.add("fc", nets.Linear(features=2000), x)))
    path = tmp_path / "net.onnx"
    save(graph, path, Initial(1), OnnxOptions(external=external))
    assert sorted(p.name for p in tmp_path.iterdir()) == (["net.onnx", "net.onnx.data"] if external else ["net.onnx"])
    onnx.checker.check_model(str(path), full_check=True)
    value = np.random.default_rng(0).standard_normal((2, 700)).astype("float32")
    got = ort.InferenceSession(str(path)).run(None, {"x": value})[0]
    w = [Initial(1).array(t) for t in graph.weights]
    np.testing.assert_allclose(got, (value @ w[0].T + w[1]) @ w[2].T + w[3], atol=1e-5)
    if external:
        model = onnx.load(path, load_external_data=False)
        offsets = [int(e.value) for i in model.graph.initializer for e in i.external_data if e.key == "offset"]
        assert offsets and all(o % 4096 == 0 for o in offsets)


def test_a_failed_pair_leaves_the_old_one(tmp_path):
    b = nets.Builder()
    x = b.input("x", N, 70)
    graph = b.graph(y=b.add("fc", nets.Linear(features=20), x))
    path = tmp_path / "net.onnx"
    save(graph, path, Initial(1), OnnxOptions(external=True))
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(Refusal, match="NS605"):
        save(graph, path, Arrays({}), OnnxOptions(external=True))
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_weights_larger_than_one_block():
    """Several pieces to a tensor, several threads: the same as one array."""
    b = nets.Builder()
    x = b.input("x", N, 1100)
    graph = b.graph(y=b.add("fc", nets.Linear(features=2000), x))
    stored = {i.name: onnx.numpy_helper.to_array(i) for i in onnx.load_from_string(model_bytes(graph, Initial(5))).graph.initializer}
    for tensor in graph.weights:
        np.testing.assert_array_equal(stored[tensor.name], Initial(5).array(tensor))


_PROGRAM = """
import hashlib
from netspec.backends.onnx import model_bytes
from netspec.backends.weights import Initial
from tests.backends.networks import small
print(hashlib.sha256(model_bytes(small(), Initial(11))).hexdigest())
"""


@pytest.mark.parametrize("environment", [{"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2", "TZ": "Asia/Tokyo", "LC_ALL": "C"}])
def test_bytes_are_the_same_in_every_process(environment, tmp_path):
    here = hashlib.sha256(model_bytes(nets.small(), Initial(11))).hexdigest()
    paths = os.pathsep.join(p for p in sys.path if p)
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths, **environment},
    )
    assert done.stdout.strip() == here, done.stderr


def test_nothing_heavy_is_imported():
    program = "import sys, netspec.backends.onnx; print({'onnx', 'onnxruntime', 'torch', 'google.protobuf'} & set(sys.modules))"
    paths = os.pathsep.join(p for p in sys.path if p)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths})
    assert done.stdout.strip() == "set()", done.stderr
