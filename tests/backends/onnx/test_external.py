"""Weights outside of the model: one `.safetensors` file for PyTorch and onnxruntime, new or already there."""

from __future__ import annotations

import json
import os

import numpy as np
import onnx
import onnxruntime as ort
import pytest

import netspec
from netspec.backends.onnx import OnnxOptions, save
from netspec.backends.weight_files import read_entries, save_safetensors, weights_of
from netspec.backends.weights import Arrays, Initial, arrays_of
from netspec.diagnostics.model import Refusal
from netspec.op import ONES, Operator, Site, Weight
from netspec.terms import In, OnnxTerm, Own, op, scalar
from tests.backends import networks as nets

GRAPH = netspec.loads("""
net small {
  input x: [N, 3, H = 8, W = 8]
  h = x -> conv(24, 3) -> bn -> relu -> global_avg_pool -> flatten
  output y = h -> linear(40) -> relu -> linear(7)
}
""").graph
INPUT = {"x": np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype("float32")}


def references(path) -> dict[str, tuple[str, int, int]]:
    """Of each tensor that is outside of a model: file, first byte, bytes."""
    model = onnx.load(path, load_external_data=False)
    facts = {i.name: {e.key: e.value for e in i.external_data} for i in model.graph.initializer if i.data_location == 1}
    return {name: (f["location"], int(f["offset"]), int(f["length"])) for name, f in facts.items()}


def result(path) -> list[np.ndarray]:
    """What onnxruntime makes of the input, the graph as it is written."""
    onnx.checker.check_model(str(path), full_check=True)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]).run(None, INPUT)


def refusal(code: str, call, *arguments, **keywords) -> str:
    with pytest.raises(Refusal) as caught:
        call(*arguments, **keywords)
    finding = caught.value.diagnostic
    assert finding.code == code, finding
    return " ".join((finding.message, *finding.notes, *finding.helps))


def expected(tmp_path) -> list[np.ndarray]:
    save(GRAPH, tmp_path / "plain.onnx", Initial(3))
    return result(tmp_path / "plain.onnx")


def test_a_new_file_is_read_by_all(tmp_path):
    path, file = tmp_path / "net.onnx", tmp_path / "model.safetensors"
    save(GRAPH, path, Initial(3), OnnxOptions(external="model.safetensors"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.safetensors", "net.onnx"]
    stored = {name: entry.load() for name, entry in read_entries(str(file)).items()}
    assert stored.keys() == {tensor.name for tensor in GRAPH.weights}  # the counter, too, which no model has
    theirs = pytest.importorskip("safetensors.numpy").load_file(file)
    assert theirs.keys() == stored.keys()
    assert all(np.array_equal(stored[n], a) for n, a in arrays_of(GRAPH, Initial(3)).items())
    names = references(path)
    assert names and {location for location, _, _ in names.values()} == {"model.safetensors"}
    raw = file.read_bytes()
    assert all(raw[start : start + length] == stored[name].tobytes() for name, (_, start, length) in names.items())
    np.testing.assert_array_equal(result(path)[0], expected(tmp_path)[0])


def test_a_file_that_is_there_is_pointed_into(tmp_path):
    file = tmp_path / "model.safetensors"
    save_safetensors(file, GRAPH, Initial(3))
    before = file.stat()
    save(GRAPH, tmp_path / "net.onnx", weights_of(GRAPH, 0, str(file)), OnnxOptions(external="model.safetensors"))
    assert file.stat() == before or file.stat().st_mtime_ns == before.st_mtime_ns and file.stat().st_ino == before.st_ino
    assert references(tmp_path / "net.onnx").keys() == {"conv1.weight", "linear1.weight", "linear2.weight"}
    np.testing.assert_array_equal(result(tmp_path / "net.onnx")[0], expected(tmp_path)[0])


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_weights_by_another_name_of_the_file(tmp_path, link):
    """What counts is the file, not what `--weights` calls it."""
    (tmp_path / "models").mkdir()
    file, name = tmp_path / "models/model.safetensors", tmp_path / "latest.safetensors"
    save_safetensors(file, GRAPH, Initial(3))
    link(file, name)
    save(GRAPH, tmp_path / "models/net.onnx", weights_of(GRAPH, 0, str(name)), OnnxOptions(external="model.safetensors"))
    assert {location for location, _, _ in references(tmp_path / "models/net.onnx").values()} == {"model.safetensors"}


def test_nothing_is_read_of_what_is_pointed_into(tmp_path, monkeypatch):
    """Large tensors are not even looked at: that is why it takes no time."""
    from netspec.backends.span import Span

    file, read, whole = tmp_path / "model.safetensors", [], Span.elements
    save_safetensors(file, GRAPH, Initial(3))
    weights = weights_of(GRAPH, 0, str(file))
    monkeypatch.setattr(Span, "elements", lambda self, dtype, start, count: read.append(count) or whole(self, dtype, start, count))
    save(GRAPH, tmp_path / "net.onnx", weights, OnnxOptions(external=str(file)))
    assert max(read) < 256


def test_equal_bytes_in_another_file(tmp_path):
    """Writing once more is no refusal where nothing would change; other values are one, and the file stays."""
    options = OnnxOptions(external="model.safetensors")
    save(GRAPH, tmp_path / "net.onnx", Initial(3), options)
    content = (tmp_path / "model.safetensors").read_bytes()
    save(GRAPH, tmp_path / "again.onnx", Initial(3), options)
    np.testing.assert_array_equal(result(tmp_path / "again.onnx")[0], result(tmp_path / "net.onnx")[0])
    words = refusal("NS753", save, GRAPH, tmp_path / "other.onnx", Initial(4), options)
    assert "conv1.weight: other values" in words and not (tmp_path / "other.onnx").exists()
    assert (tmp_path / "model.safetensors").read_bytes() == content


@pytest.mark.parametrize("options", [{"fold": True}, {"precision": "fp16"}])
def test_weights_that_are_changed(tmp_path, options):
    """They are not in the file that is there; a new one gets them, and them alone."""
    file = tmp_path / "model.safetensors"
    save_safetensors(file, GRAPH, Initial(3))
    weights = weights_of(GRAPH, 0, str(file))
    refusal("NS753", save, GRAPH, tmp_path / "net.onnx", weights, OnnxOptions(external=str(file), **options))
    save(GRAPH, tmp_path / "net.onnx", weights, OnnxOptions(external="new.safetensors", **options))
    np.testing.assert_allclose(result(tmp_path / "net.onnx")[0], expected(tmp_path)[0], atol=1e-2)
    if "fold" in options:
        assert not any(name.startswith("bn1.") for name in read_entries(str(tmp_path / "new.safetensors")))


def test_a_file_in_a_narrower_type(tmp_path):
    arrays = {n: a.astype("float16") if a.dtype == "float32" else a for n, a in arrays_of(GRAPH, Initial(3)).items()}
    pytest.importorskip("safetensors.numpy").save_file(arrays, tmp_path / "half.safetensors")
    weights = weights_of(GRAPH, 0, str(tmp_path / "half.safetensors"))
    words = refusal("NS753", save, GRAPH, tmp_path / "net.onnx", weights, OnnxOptions(external="half.safetensors"))
    assert "float32 [24, 3, 3, 3] in the model, float16 [24, 3, 3, 3] in the file" in words


def test_places(tmp_path, monkeypatch):
    """A bare name is beside the model, a path a path; below is right, beside or above is not, nor a link that leads out."""
    (tmp_path / "a/deep").mkdir(parents=True)
    model, monkey = tmp_path / "a/net.onnx", monkeypatch
    monkey.chdir(tmp_path)
    save(GRAPH, model, Initial(3), OnnxOptions(external="w.safetensors"))
    assert (tmp_path / "a/w.safetensors").exists()
    save(GRAPH, model, Initial(3), OnnxOptions(external="a/deep/w.safetensors"))
    assert {location for location, _, _ in references(model).values()} == {"deep/w.safetensors"}
    np.testing.assert_array_equal(result(model)[0], expected(tmp_path)[0])
    for name in ("b/../w.safetensors", str(tmp_path / "w.safetensors"), "../w.safetensors"):
        refusal("NS753", save, GRAPH, model, Initial(3), OnnxOptions(external=name))
    save_safetensors(tmp_path / "out.safetensors", GRAPH, Initial(3))
    (tmp_path / "a/link.safetensors").symlink_to("../out.safetensors")
    assert "by way of" in refusal("NS753", save, GRAPH, model, Initial(3), OnnxOptions(external="link.safetensors"))
    (tmp_path / "a/inner.safetensors").symlink_to("w.safetensors")  # readers refuse links: the model names the file itself
    save(GRAPH, model, Initial(3), OnnxOptions(external="inner.safetensors"))
    assert {location for location, _, _ in references(model).values()} == {"w.safetensors"}
    for name in ("w.bin", "w", "net.onnx"):
        refusal("NS753", save, GRAPH, model, Initial(3), OnnxOptions(external=name))
    refusal("NS753", save, GRAPH, model, Initial(3), OnnxOptions(external="no.safetensors.index.json"))


def test_a_damaged_file_is_told(tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"\1\2\3")
    refusal("NS622", save, GRAPH, tmp_path / "net.onnx", Initial(3), OnnxOptions(external="w.safetensors"))
    (tmp_path / "d.safetensors").mkdir()
    refusal("NS620", save, GRAPH, tmp_path / "net.onnx", Initial(3), OnnxOptions(external="d.safetensors"))
    assert not (tmp_path / "net.onnx").exists()


def test_shards_are_pointed_into(tmp_path):
    arrays = arrays_of(GRAPH, Initial(3))
    first = [*sorted(arrays)[:4], "conv1.weight"]
    save_file = pytest.importorskip("safetensors.numpy").save_file
    save_file({n: arrays[n] for n in first}, tmp_path / "m-1-of-2.safetensors")
    save_file({n: a for n, a in arrays.items() if n not in first}, tmp_path / "m-2-of-2.safetensors")
    index = {"weight_map": {n: f"m-{1 if n in first else 2}-of-2.safetensors" for n in arrays}}
    (tmp_path / "m.safetensors.index.json").write_text(json.dumps(index))
    name = str(tmp_path / "m.safetensors.index.json")
    save(GRAPH, tmp_path / "net.onnx", weights_of(GRAPH, 0, name), OnnxOptions(external=name))
    assert {location for location, _, _ in references(tmp_path / "net.onnx").values()} == {"m-1-of-2.safetensors", "m-2-of-2.safetensors"}
    np.testing.assert_array_equal(result(tmp_path / "net.onnx")[0], expected(tmp_path)[0])


# ------------------------------------------------------------------------------------------------------- every element
class Picked(Operator):
    """Elements that a mask leaves, in a stored order, times a stored number: tensors of three types, a scalar, and an empty one."""

    NAME = "picked"
    FAMILY = "merge"

    def shape(self, inputs, need):
        return inputs[0]

    def params(self, inputs) -> tuple[Weight, ...]:
        buffers = {"keep": ((1501,), "bool"), "order": ((1501,), "int64"), "none": ((0,), "int64"), "scale": ((), "float32")}
        return tuple(Weight(n, shape, ONES, dtype=dtype, trainable=False, role="buffer") for n, (shape, dtype) in buffers.items())

    def onnx(self, site: Site) -> OnnxTerm:
        kept = op("Where", Own("keep"), In(), scalar(0.0))
        return op("Mul", op("Gather", kept, op("Concat", Own("order"), Own("none"), axis=0), axis=1), Own("scale"))


def unaligned(path, arrays) -> None:
    """A file whose data begin at a byte that no element would choose, in an order that keeps it so."""
    header, end = {}, 0
    for name, array in arrays.items():
        code = {"float32": "F32", "int64": "I64", "bool": "BOOL"}[str(array.dtype)]
        header[name] = {"dtype": code, "shape": list(array.shape), "data_offsets": [end, end + array.nbytes]}
        end += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(a.tobytes() for a in arrays.values()))


def test_any_element_at_any_byte(tmp_path):
    """An odd number of truth values first, so that what follows is at odd places; a scalar and an empty tensor among them."""
    b = nets.Builder()
    y = b.add("fc", nets.Linear(features=1501), b.add("pick", Picked(), b.input("x", nets.Dim.name("N"), 1501)))
    graph = b.graph(y=y)
    rng = np.random.default_rng(0)
    arrays = {"pick.keep": rng.random(1501) < 0.5, "pick.order": rng.permutation(1501), "pick.none": np.zeros(0, "int64")}
    arrays |= {"pick.scale": np.float32(3).reshape(()), **{n: a for n, a in arrays_of(graph, Initial(1)).items() if n.startswith("fc.")}}
    unaligned(tmp_path / "w.safetensors", arrays)
    save(graph, tmp_path / "net.onnx", weights_of(graph, 0, str(tmp_path / "w.safetensors")), OnnxOptions(external="w.safetensors"))
    places = references(tmp_path / "net.onnx")
    assert places.keys() == {"pick.keep", "pick.order", "fc.weight", "fc.bias"}
    assert all(start % 4 for name, (_, start, _) in places.items() if name != "pick.keep")
    save(graph, tmp_path / "plain.onnx", Arrays(arrays))
    value = rng.standard_normal((2, 1501)).astype("float32")
    for optimize in (ort.GraphOptimizationLevel.ORT_DISABLE_ALL, ort.GraphOptimizationLevel.ORT_ENABLE_ALL):
        options = ort.SessionOptions()
        options.graph_optimization_level = optimize
        one, two = (ort.InferenceSession(str(tmp_path / n), options).run(None, {"x": value})[0] for n in ("net.onnx", "plain.onnx"))
        np.testing.assert_array_equal(one, two)
    assert one.any()


def test_a_byte_that_is_no_truth_value(tmp_path):
    b = nets.Builder()
    graph = b.graph(y=b.add("pick", Picked(), b.input("x", nets.Dim.name("N"), 1501)))
    path = tmp_path / "w.safetensors"
    unaligned(path, arrays_of(graph, Initial(0)))
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"\1" * 1501, b"\1" * 1500 + b"\2"))
    refusal("NS622", save, graph, tmp_path / "net.onnx", weights_of(graph, 0, str(path)), OnnxOptions(external="w.safetensors"))


def test_a_failure_leaves_the_old_pair(tmp_path):
    save(GRAPH, tmp_path / "net.onnx", Initial(3), OnnxOptions(external="w.safetensors"))
    os.unlink(tmp_path / "w.safetensors")
    before = (tmp_path / "net.onnx").read_bytes()
    refusal("NS605", save, GRAPH, tmp_path / "net.onnx", Arrays({}), OnnxOptions(external="w.safetensors"))
    assert (tmp_path / "net.onnx").read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["net.onnx"]
