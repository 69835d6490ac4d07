"""int8: what it keeps of a network that has learned something, what is left out and why, and what is refused."""

from __future__ import annotations

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from netspec.api import Net, loads
from netspec.backends.onnx import OnnxOptions, model_bytes
from netspec.backends.weight_files import save_safetensors
from netspec.backends.weights import Arrays, Initial
from netspec.cli.main import main
from netspec.diagnostics.model import Refusal
from netspec.runtime.arguments import Signature
from netspec.runtime.quantization import METHODS, Examples, Quantized, examples_of, quantize, quantized_model
from netspec.runtime.quantization.float_model import taken_apart
from netspec.runtime.quantization.ranges import entropy_range, measured_ranges, percentile_range

DIGITS = """
net digits {
  input image: [N, 1, 8, 8]
  output logits: [N, 10] = image -> conv(24, 3, padding = 1) -> relu -> conv(24, 3, padding = 1) -> relu -> max_pool(2)
    -> flatten -> linear(10) as fc
}
"""
CHAIN = """
net chain {
  input image: [N, 3, 12, 12]
  output y: [N, 6] = image -> conv(16, 3, padding = 1) as a -> relu -> max_pool(2) -> conv(16, 3, padding = 1) as b -> relu
    -> conv(16, 3, padding = 1) as c -> relu -> global_avg_pool -> flatten -> linear(6) as fc
}
"""


@cache
def digits() -> tuple[Net, Arrays, np.ndarray, np.ndarray]:
    """A network that reads digits: convolutions as they were drawn, and the last layer by least squares, on half of the images."""
    found = find_spec("sklearn")
    if found is None or found.origin is None:
        pytest.skip("the digits come with scikit-learn")
    rows = np.loadtxt(Path(found.origin).parent / "datasets/data/digits.csv.gz", delimiter=",")  # importing it all takes seconds
    images, labels = (rows[:, :64].reshape(-1, 1, 8, 8) / 16).astype(np.float32), rows[:, 64].astype(int)
    net = loads(DIGITS)
    arrays = {tensor.name: Initial(1).array(tensor) for tensor in net.graph.weights}
    body = loads(DIGITS.replace("-> linear(10) as fc", "").replace("logits: [N, 10]", "logits"))
    features = run(model_bytes(body.graph, Arrays(arrays)), image=images[::2])
    wide = np.concatenate((features, np.ones((len(features), 1))), 1)
    solved = np.linalg.solve(wide.T @ wide + 0.05 * np.eye(wide.shape[1]), wide.T @ np.eye(10)[labels[::2]])
    arrays["fc.weight"], arrays["fc.bias"] = np.float32(solved[:-1].T), np.float32(solved[-1])
    return net, Arrays(arrays), images, labels


def run(model: bytes, **feed: np.ndarray) -> np.ndarray:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(model, options).run(None, feed)[0]


def chain(outlier: float = 1.0) -> tuple[bytes, Examples]:
    """Three convolutions; the first gives a channel that many times as large, and the second undoes it: the same network."""
    net = loads(CHAIN)
    arrays = {tensor.name: Initial(0).array(tensor) for tensor in net.graph.weights}
    arrays["a.weight"][0] *= outlier
    arrays["a.bias"][0] *= outlier
    arrays["b.weight"][:, 0] /= outlier
    data = {"image": np.random.default_rng(0).standard_normal((64, 3, 12, 12)).astype(np.float32)}
    return model_bytes(net.graph, Arrays(arrays), OnnxOptions(fold=True)), examples_of(Signature.of(net.graph), data)


def bytes_of(found: Quantized) -> bytes:
    return found.model.SerializeToString(deterministic=True)


# ------------------------------------------------------------------------------------------------------------ what it keeps
@pytest.mark.parametrize("method", METHODS)
def test_digits_lose_less_than_a_point(method: str) -> None:
    net, weights, images, labels = digits()
    plain = model_bytes(net.graph, weights, OnnxOptions(fold=True))
    found = quantized_model(plain, examples_of(Signature.of(net.graph), {"image": images[:256:2]}), method)
    unseen = images[1::2]
    before, after = (run(model, image=unseen).argmax(1) for model in (plain, bytes_of(found)))
    assert np.mean(before == labels[1::2]) > 0.95
    assert np.mean(after == labels[1::2]) > np.mean(before == labels[1::2]) - 0.01
    assert found.left_out == () and found.losses.worst > 20
    assert found.model.ByteSize() < len(plain) / 2.5


def test_the_file_is_the_network_under_its_names(tmp_path: Path) -> None:
    """Names, descriptions, lines of the source, metadata and the conditions stay; the checker and every level of onnxruntime take it."""
    text = CHAIN.replace("12, 12]", "H = 12, W = 12]").replace("net chain {", 'net chain {\n  """Three convolutions."""')
    net = loads(text)
    plain = model_bytes(net.graph, Initial(0), OnnxOptions(fold=True, metadata={"note": "of ours"}))
    data = np.random.default_rng(0).standard_normal((16, 3, 12, 12)).astype(np.float32)
    quantize(plain, examples_of(Signature.of(net.graph), {"image": data}), tmp_path / "low.onnx")
    low, high = onnx.load(tmp_path / "low.onnx"), onnx.load_from_string(plain)
    onnx.checker.check_model(low, full_check=True)
    assert (low.graph.input, low.graph.output) == (high.graph.input, high.graph.output)
    assert (low.producer_name, low.doc_string, low.graph.doc_string) == (high.producer_name, high.doc_string, high.graph.doc_string)
    facts = {entry.key: entry.value for entry in low.metadata_props}
    assert facts.pop("netspec.quantization") == "int8: 4 of 4 layers; signal to noise: y %s dB; min-max of 16 examples" % facts_decibels(
        low
    )
    assert facts == {entry.key: entry.value for entry in high.metadata_props} and facts["note"] == "of ours"
    lines = {node.name: node.doc_string for node in high.graph.node}
    assert all(node.doc_string == lines[node.name] for node in low.graph.node if node.name in lines) and lines["b"]
    assert [path.name for path in tmp_path.iterdir()] == ["low.onnx"]
    for level in (ort.GraphOptimizationLevel.ORT_DISABLE_ALL, ort.GraphOptimizationLevel.ORT_ENABLE_ALL):
        options = ort.SessionOptions()
        options.graph_optimization_level = level
        assert ort.InferenceSession(tmp_path / "low.onnx", options).run(None, {"image": data[:3]})[0].shape == (3, 6)


def facts_decibels(model: onnx.ModelProto) -> str:
    text = next(entry.value for entry in model.metadata_props if entry.key == "netspec.quantization")
    return text.split(" y ")[1].split(" dB")[0]


def test_it_is_the_same_again_to_the_byte() -> None:
    model, examples = chain()
    assert bytes_of(quantized_model(model, examples)) == bytes_of(quantized_model(model, examples))


def test_what_is_reported_is_what_onnxruntime_computes() -> None:
    model, examples = chain()
    found = quantized_model(model, examples)
    image = np.concatenate([feed["image"] for feed in examples.batches(32)])
    exact, low = run(model, image=image), run(bytes_of(found), image=image)
    decibels = 10 * np.log10(np.sum(exact**2) / np.sum((exact - low) ** 2))
    assert found.losses.outputs["y"] == pytest.approx(decibels, abs=1.0)


SOME_AXES = {
    "pad": """
      short = y -> slice(step = 2, axis = 2) -> slice(step = 2, axis = 3) -> pad(4, axis = 1)
      long = y -> conv(16, 3, stride = 2, padding = 1)
      output z: [N, 16, 4, 4] = short + long -> conv(8, 3, padding = 1) -> conv(16, 3, padding = 1)
    """,
    "resize": """
      small = y -> conv(16, 3, stride = 2, padding = 1) -> relu -> resize(like = y, mode = bilinear)
      output z: [N, 8, H, W] = small -> conv(8, 3, padding = 1) -> upsample(2) -> conv(8, 3, stride = 2, padding = 1)
    """,
}


@pytest.mark.parametrize("name", SOME_AXES)
def test_what_works_on_some_axes_runs_at_every_level_of_optimization(name: str) -> None:
    """onnxruntime moves channels last around int8 convolutions, and would work on other axes than those that a node names."""
    sizes = "8, 8]" if name == "pad" else "H = 8, W = 8]"
    net = loads(f"net a {{\n input x: [N, 8, {sizes}\n y = x -> conv(8, 3, padding = 1) -> relu\n {SOME_AXES[name]} }}")
    data = {"x": np.random.default_rng(0).standard_normal((16, 8, 8, 8)).astype(np.float32)}
    plain = model_bytes(net.graph, Initial(0), OnnxOptions(fold=True))
    found = quantized_model(plain, examples_of(Signature.of(net.graph), data))
    exact, low = run(plain, **data), run(bytes_of(found), **data)
    assert np.abs(exact - low).max() < 0.05 * np.abs(exact).max()


# ------------------------------------------------------------------------------------------------------------- what is left out
def test_the_layer_that_loses_is_left_out_and_no_other() -> None:
    """Values of one channel are 3000 times as large as the rest, which they round to nothing: the layer that reads them stays in float32,
    and reads them as they are."""
    model, examples = chain(outlier=3000)
    whole = quantized_model(model, examples, leave_out=False)
    found = quantized_model(model, examples)
    alone = {loss.layer: loss.alone for loss in whole.losses.layers}
    assert whole.left_out == () and whole.losses.worst < 15
    assert min((name for name in ("a", "b", "c", "fc")), key=lambda name: alone[name] or 0) == "b"
    assert found.left_out == ("b",) and found.losses.worst > 30
    image = np.concatenate([feed["image"] for feed in examples.batches()])
    exact, low = run(model, image=image), run(bytes_of(found), image=image)
    assert np.abs(exact - low).max() < 0.05 * np.abs(exact).max()
    assert any("check its accuracy" in remark for remark in whole.remarks) and not found.remarks


def test_nothing_is_left_out_in_vain() -> None:
    """Where no choice of layers reaches what is asked for, the network is in int8 as a whole, and a remark says so."""
    model, examples = chain()
    found = quantized_model(model, examples, target=80.0)
    assert found.left_out == () and "less than 80" in found.remarks[0]


def test_layers_are_kept_by_label() -> None:
    model, examples = chain()
    found = quantized_model(model, examples, keep=("a", "fc"))
    assert found.left_out == ("a", "fc")
    stored = {tensor.name: tensor.data_type for tensor in found.model.graph.initializer}
    assert stored["a.weight"] == stored["fc.weight"] == onnx.TensorProto.FLOAT
    assert stored["b.weight_quantized"] == stored["c.weight_quantized"] == onnx.TensorProto.INT8
    with pytest.raises(Refusal) as caught:
        quantized_model(model, examples, keep=("d",))
    assert caught.value.diagnostic.code == "NS750"


@pytest.mark.parametrize(("full", "largest"), [(False, 64), (True, 127)])
def test_weights_take_seven_bits_unless_all_eight_are_asked_for(full: bool, largest: int) -> None:
    """Processors without VNNI add two products in sixteen bits: 255 * 64 * 2 fits."""
    model, examples = chain()
    found = quantized_model(model, examples, full_range=full)
    weights = [onnx.numpy_helper.to_array(t) for t in found.model.graph.initializer if t.name.endswith("weight_quantized")]
    assert len(weights) == 4 and max(np.abs(w.astype(int)).max() for w in weights) == largest
    assert all(len(w) in (6, 16) for w in weights)
    scales = {t.name: t.dims for t in found.model.graph.initializer if t.name.endswith("weight_scale")}
    assert scales["a.weight_scale"] == [16] and scales["fc.weight_scale"] == [6]  # by channel


def test_a_residual_stream_in_float32_stays_so() -> None:
    """What int8 is no gain for is not rounded: norms, softmax, and sums onto values that are not in int8."""
    text = """
    net a {
      input x: [N, T = 4, 32]
      output y: [N, T, 32] = x + (x -> layer_norm -> linear(64) as up -> gelu -> linear(32) as down)
    }
    """
    net = loads(text)
    data = {"x": np.random.default_rng(0).standard_normal((16, 4, 32)).astype(np.float32)}
    plain = model_bytes(net.graph, Initial(0), OnnxOptions(fold=True))
    found = quantized_model(plain, examples_of(Signature.of(net.graph), data))
    assert {loss.layer for loss in found.losses.layers if loss.operator == "MatMul"} and found.layers == 2
    maker = {name: node.op_type for node in found.model.graph.node for name in node.output}
    norm = next(node for node in found.model.graph.node if node.op_type == "LayerNormalization")
    assert maker.get(norm.input[0], "input") == "input" and found.losses.worst > 30


# ------------------------------------------------------------------------------------------------------------------- ranges
def test_what_is_given_is_not_rounded_for_others() -> None:
    text = (
        "net a {\n  input x: [N, 3, H = 8, W = 8]\n  output same = x\n  output size = x -> abs\n"
        "  output y = x -> conv(8, 3, padding = 1) -> relu -> conv(4, 3)\n}"
    )
    graph, x = loads(text).graph, np.random.default_rng(0).standard_normal((64, 3, 8, 8)).astype(np.float32)
    found = quantized_model(model_bytes(graph, Initial(0), OnnxOptions(fold=True)), examples_of(Signature.of(graph), {"x": x}))
    session = ort.InferenceSession(bytes_of(found))
    same, size = session.run(["same", "size"], {"x": 3 * x[:2]})
    assert (same == 3 * x[:2]).all() and (size == abs(same)).all() and found.left_out == ()


def test_ranges_do_not_depend_on_how_examples_are_grouped() -> None:
    model, examples = chain()
    with taken_apart(model) as parts:
        for method in METHODS:
            found = [
                measured_ranges(parts, Examples(examples.signature, examples.arrays, 64, step), ["image", "a", "relu1", "y"], method)
                for step in (4, 16)
            ]
            for name, ends in found[0].items():
                np.testing.assert_allclose(ends, found[1][name], rtol=1e-5, atol=1e-6)
    assert found[0]["relu1"][0] == 0.0


def test_percentiles_and_entropy_cut_outliers() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate((rng.standard_normal(100_000), [-300.0, 400.0]))
    counts, _ = np.histogram(values, 2048, (-300, 400))
    for choose in (percentile_range, entropy_range):
        low, high = choose(counts, -300.0, 400.0)
        assert -80 < low < -3 and 3 < high < 80
    assert percentile_range(np.ones(2048, int), 0.0, 1.0) == pytest.approx((0, 1), abs=1e-3)
    assert entropy_range(np.ones(2048, int), 0.0, 1.0) == pytest.approx((0, 1), abs=0.05)
    assert entropy_range(np.zeros(2048, int), 0.0, 0.0) == (0.0, 0.0)


# ------------------------------------------------------------------------------------------------------------ calibration data
BAD = {
    "name": ({"images": np.zeros((9, 3, 12, 12), "f")}, "no input `images`"),
    "missing": ({}, "no calibration data for image"),
    "dtype": ({"image": np.zeros((9, 3, 12, 12))}, "float64"),
    "shape": ({"image": np.zeros((9, 3, 12, 10), "f")}, "axis 3"),
    "rank": ({"image": np.zeros((9, 12, 12), "f")}, "axes"),
    "scalar": ({"image": np.zeros((), "f")}, "too few"),
    "few": ({"image": np.zeros((7, 3, 12, 12), "f")}, "too few"),
    "NaN": ({"image": np.full((9, 3, 12, 12), np.nan, "f")}, "no numbers"),
}


@pytest.mark.parametrize("name", BAD)
def test_data_that_do_not_fit_are_refused(name: str) -> None:
    data, message = BAD[name]
    with pytest.raises(Refusal) as caught:
        examples_of(Signature.of(loads(CHAIN).graph), data)
    assert caught.value.diagnostic.code == "NS752" and message in str(caught.value)


def test_inputs_that_are_no_batch_come_with_one_axis_more() -> None:
    net = loads("net a { input x: [N, T = 3, 8]\n input state: [2, N, 4]\n output y = x -> linear(4)\n output z = state -> relu }")
    with pytest.raises(Refusal, match="different numbers"):
        examples_of(Signature.of(net.graph), {"x": np.zeros((9, 3, 8), "f"), "state": np.zeros((2, 9, 4), "f")})
    found = examples_of(Signature.of(net.graph), {"x": np.zeros((9, 1, 3, 8), "f"), "state": np.zeros((9, 2, 1, 4), "f")})
    assert found.step == 1 and [feed["state"].shape for feed in found.batches(3)] == [(2, 1, 4)] * 3


def test_odd_ranges_are_remarked() -> None:
    grey = {"image": np.random.default_rng(0).uniform(0, 255, (70, 3, 12, 12)).astype("f")}
    signature = Signature.of(loads(CHAIN).graph)
    assert ["reaches from" in remark for remark in examples_of(signature, grey).remarks] == [True]
    assert examples_of(signature, grey, raw=True).remarks == ()
    assert "few" in examples_of(signature, {"image": grey["image"][:9] / 255}).remarks[0]


# ------------------------------------------------------------------------------------------------------------ command line
@pytest.fixture()
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with chain.net, its weights and data for it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "chain.net").write_text(CHAIN)
    save_safetensors(str(tmp_path / "w.safetensors"), loads(CHAIN).graph, Initial(0))
    data = np.random.default_rng(0).standard_normal((64, 3, 12, 12)).astype(np.float32)
    np.savez(tmp_path / "data.npz", image=data, label=np.zeros(64))
    np.save(tmp_path / "data.npy", data)
    return tmp_path


def test_build_writes_int8(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, given in enumerate(("data.npz", "data.npy", "image=data.npz:image")):
        flags = ["--weights", "w.safetensors", "--precision", "int8", "--calibrate", given, "--keep", "fc"]
        assert main(["build", "chain.net", *flags, "-o", f"{number}.onnx"]) == 0
        assert "int8: 3 of 4 layers, in float32: fc; signal to noise: y" in capsys.readouterr().err
    assert (spec / "0.onnx").read_bytes() == (spec / "1.onnx").read_bytes() == (spec / "2.onnx").read_bytes()
    for flags in (["--calibrate", "w.safetensors"], ["--calibrate", "none.npz"], [], ["--calibrate", "data.npz", "--functions"]):
        assert main(["build", "chain.net", "--precision", "int8", *flags, "-o", "x.onnx"]) == 2
    assert not (spec / "x.onnx").exists()


def test_verify_tells_the_loss_of_every_layer(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["verify", "chain.net", "--weights", "w.safetensors", "--precision", "int8", "--calibrate", "data.npz"]
    assert main([*command, "--format", "json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    layers = {row["layer"]: row for row in facts["layers"]}
    assert facts["ok"] and facts["in_float32"] == [] and facts["outputs"]["y"] > 25
    assert {"a", "b", "c", "fc"} <= layers.keys() and layers["a"]["line"] == "chain.net:4"
    assert [row["total"] for row in facts["layers"]] == sorted(row["total"] for row in facts["layers"])
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "chain.net:5" in text and "4 of 4 layers" in text
