"""float16 and bfloat16: every value's type, what stays in float32, where casts stand, and what the numbers lose."""

from __future__ import annotations

import json
import math
import os
from collections import Counter
from functools import cache

import ml_dtypes
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx.reference import ReferenceEvaluator

import netspec
from netspec.backends.onnx import OnnxOptions, model_bytes
from netspec.backends.onnx.element_types import element_types
from netspec.backends.onnx.emulation import emulated
from netspec.backends.onnx.float32_nodes import is_defined
from netspec.backends.onnx.lower import lower
from netspec.backends.onnx.precision import LOW_TYPES, lower_precision
from netspec.backends.onnx.write import encoded, save
from netspec.backends.weights import Arrays, Initial
from netspec.cli.main import main
from netspec.diagnostics.model import Refusal
from netspec.graph import Graph
from netspec.runtime.cases import Revealing, inputs, size_cases
from netspec.runtime.precision_check import check_precision
from netspec.runtime.session import Session
from netspec.terms import ONNX_ELEMENT
from tests.backends.onnx.test_operators import alone, examples, oldest
from tests.ops.harness import accept
from tests.shipped import SHIPPED

FLOAT, HALF, BRAIN = ONNX_ELEMENT["float32"], ONNX_ELEMENT["float16"], ONNX_ELEMENT["bfloat16"]


def initial(graph: Graph) -> Initial:
    return Initial(0, {tensor.name: tensor for tensor in graph.weights})


def revealing(graph: Graph) -> Arrays:
    made = Revealing(0)
    return Arrays({tensor.name: made.array(tensor) for tensor in graph.weights})


def low(text: str, precision: str = "fp16", **options) -> onnx.ModelProto:
    """A spec's model in a low precision, checked."""
    graph = netspec.loads(text).graph
    model = onnx.load_from_string(model_bytes(graph, initial(graph), OnnxOptions(precision=precision, **options)))
    onnx.checker.check_model(model, full_check=True)
    return model


def run(model: bytes | str, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    options = ort.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"]).run(None, feeds)


def off(graph: Graph, weights, precision: str = "fp16") -> float:
    """How far a low model is from float32 in onnxruntime, as a share of an output's largest element."""
    feeds = inputs(graph, size_cases(graph, 1)[0], "normal")
    exact, found = (run(model_bytes(graph, weights, OnnxOptions(precision=p)), feeds) for p in ("fp32", precision))
    floats = [(a.astype("f8"), b.astype("f8")) for a, b in zip(exact, found) if a.dtype.kind == "f"]
    return max((float(np.abs(a - b).max() / np.abs(a).max()) for a, b in floats), default=0.0)


def types_of(model: onnx.ModelProto) -> dict[str, int]:
    """The element types of a model by onnx's own inference, strictly."""
    found = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True).graph
    return {value.name: value.type.tensor_type.elem_type for value in (*found.input, *found.value_info, *found.output)}


def kinds(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


# ----------------------------------------------------------------------------------------------------------------- types
def sample(every: int) -> list[tuple[str, str, tuple[str, ...]]]:
    """Of every operator one example, another in turn; all with NETSPEC_LONG=1."""
    long = bool(os.environ.get("NETSPEC_LONG"))
    by_name: dict[str, list] = {}
    for name, example in examples():
        by_name.setdefault(name, []).append((name, example.call, example.inputs))
    return [case for found in by_name.values() for case in (found if long else found[every % len(found) :][:1])]


@pytest.mark.parametrize(("number", "precision"), [(0, "fp16"), (1, "bf16")])
def test_types_are_those_that_onnx_infers(number, precision):
    for place, (name, call, given) in enumerate(sample(number)):
        case = accept(call, given)
        graph = alone(case)
        before = lower(graph, (oldest(case), 22)[number])
        model, weights = lower_precision(before, revealing(graph), precision, keep_ports=place % 3 > 0)
        proto = onnx.load_from_string(encoded(graph, model, weights, OnnxOptions(opset=model.opset)))
        onnx.checker.check_model(proto, full_check=True)
        ours, inferred = element_types(model), types_of(proto)
        assert inferred == {value: ONNX_ELEMENT[ours[value]] for value in inferred}, (name, call)
        assert_casts_stand_well(proto)


def assert_casts_stand_well(model: onnx.ModelProto) -> None:
    """One a value and type, none of what another cast gives, none that changes nothing."""
    types = types_of(model) | {t.name: t.data_type for t in model.graph.initializer}
    casts = [node for node in model.graph.node if node.op_type == "Cast"]
    assert len({(node.input[0], types[node.output[0]]) for node in casts}) == len(casts)
    ours = {node.output[0] for node in casts if {types[node.input[0]], types[node.output[0]]} <= {FLOAT, HALF, BRAIN}}
    assert not any(node.input[0] in ours for node in casts if node.output[0] in ours)


@pytest.mark.parametrize("precision", LOW_TYPES)
def test_the_table_of_what_onnx_defines(precision):
    used = {node.op_type for spec in ("zoo.lenet:lenet5", "zoo.seq2seq:seq2seq_gru") for node in lower(netspec.load(spec).graph).nodes}
    names = used | set("GridSample InstanceNormalization LSTM Einsum OneHot Range CumSum Resize Softplus Round Tan IsInf LpPool".split())
    kind = f"tensor({LOW_TYPES[precision]})"
    for name in names - {"Scan", "Shape", "Cast"}:
        for opset in range(17, 27):
            if onnx.defs.has(name) and onnx.defs.get_schema(name).since_version <= opset or name != "Gelu":
                schema = onnx.defs.get_schema(name, opset)
                first = schema.outputs[0].type_str if name in ("ConstantOfShape", "OneHot") else schema.inputs[0].type_str
                allowed = next((c.allowed_type_strs for c in schema.type_constraints if c.type_param_str == first), ())
                assert is_defined(name, LOW_TYPES[precision], opset) == (kind in allowed), (name, opset)


# --------------------------------------------------------------------------------------------------------- what is kept
def test_a_plain_network_is_cast_at_its_ends_alone():
    text = "net a { input x: [N, 3, 8, 8]; output y = x -> conv(4, 3) -> relu -> max_pool(2) -> flatten -> linear(5) }"
    model = low(text)
    assert kinds(model)["Cast"] == 2 and {t.data_type for t in model.graph.initializer if t.data_type != 7} == {HALF}
    ports = low(text, io="low")
    assert kinds(ports)["Cast"] == 0
    assert [p.type.tensor_type.elem_type for p in (*ports.graph.input, *ports.graph.output)] == [HALF, HALF]


def test_norms_compute_their_statistics_in_float32():
    model = low("net a { input x: [N, 8, 6, 6]; output y = x -> conv(8, 3) -> bn -> relu -> conv(8, 3) -> group_norm(2) -> relu }")
    types = types_of(model)
    for node in model.graph.node:
        if node.op_type in ("BatchNormalization", "InstanceNormalization"):
            assert types[node.output[0]] == FLOAT
        if node.op_type in ("Conv", "Relu"):
            assert types[node.output[0]] == HALF
    stored = {t.name: t.data_type for t in model.graph.initializer}
    assert stored["bn1.running_var"] == FLOAT and stored["conv1.weight"] == HALF
    layer = low("net a { input x: [N, 5, 8]; output y = x -> linear(8) -> layer_norm -> linear(4) }")
    assert kinds(layer)["Cast"] == 2  # its stash_type keeps the statistics in float32


def test_an_activation_is_kept_whole():
    model = low("net a { input x: [N, 8]; output y = x -> linear(8) -> silu -> linear(4) }")
    assert kinds(model)["Cast"] == 4 and {types_of(model)[n.output[0]] for n in model.graph.node if n.op_type in ("Exp", "Mul")} == {FLOAT}


def test_masks_of_attention_are_added_in_float32():
    graph = netspec.loads(
        "net a { input x: [N, T, 8]; input m: [N, T, T]; s = (x, x -> permute([0, 2, 1])) -> matmul; output y = s + m -> softmax }"
    ).graph
    weights = initial(graph)
    x = np.ones((1, 3, 8), "f4")
    mask = np.where(np.tril(np.ones((1, 3, 3))) > 0, 0, -1e9).astype("f4")
    (y,) = run(model_bytes(graph, weights, OnnxOptions(precision="fp16")), {"x": x, "m": mask})
    np.testing.assert_allclose(y[0], [[1, 0, 0], [0.5, 0.5, 0], [1 / 3] * 3], atol=1e-3)


def test_positions_stay_exact():
    graph = netspec.loads("net a { input x: [N, T]; output y = x * 0 + sin(arange(0, T) -> cast(float32)) }").graph
    x = np.zeros((1, 5000), "f4")
    (y,) = run(model_bytes(graph, initial(graph), OnnxOptions(precision="fp16")), {"x": x})
    np.testing.assert_allclose(y[0], np.sin(np.arange(5000)), atol=1e-3)


def test_scans_stay_in_float32():
    model = low(SCAN)
    (node,) = [node for node in model.graph.node if node.op_type == "Scan"]
    body = node.attribute[0].g
    assert {p.type.tensor_type.elem_type for p in (*body.input, *body.output)} == {FLOAT}
    graph = netspec.loads(SCAN).graph
    assert off(graph, revealing(graph)) < 2e-3


SCAN = """
block cell {
  input x: [N, 4]
  input heard: [N, 4]
  output y = x + (heard -> linear(4)) -> tanh
  output heard = y
}
net a { input x: [N, T = 99, 4]; output y = x -> scan(cell, over = T) -> linear(2) }
"""


# -------------------------------------------------------------------------------------------------------------- numbers
def test_constants_that_do_not_fit_keep_their_layer_in_float32():
    graph = netspec.loads("net a { input x: [N, 4]; h = x -> linear(4) -> clamp(1e-12, 1e5); output y = h / 1e9 }").graph
    assert off(graph, revealing(graph)) < 1e-2


def test_quotients_by_almost_nothing():
    """A vector of zeros at length one is zeros, not 0/0: the least length, 1e-12, is none in float16."""
    length = "h * h -> sum(-1, keepdim = true) -> sqrt -> clamp(min = 1e-12)"
    graph = netspec.loads(f"net a {{ input x: [N, 4]; h = x -> linear(4, bias = false); output y = h / ({length}) }}").graph
    verdict = check_precision(graph, "fp16", count=1, draw=lambda *_: {"x": np.zeros((1, 4), "f4")})
    assert verdict.ok and verdict.outputs[0].worst == 0


def test_a_weight_that_would_be_infinite_is_refused():
    graph = netspec.loads("net a { input x: [N, 2]; output y = x -> linear(2, bias = false) }").graph
    weights = Arrays({"linear1.weight": np.array([[1, 2], [3, 70000]], "f4")})
    with pytest.raises(Refusal, match="NS750.*linear1.weight holds 70000, which is infinite in float16"):
        model_bytes(graph, weights, OnnxOptions(precision="fp16"))
    model_bytes(graph, weights, OnnxOptions(precision="bf16"))
    infinite = Arrays({"linear1.weight": np.array([[1, 2], [3, -math.inf]], "f4")})  # as it was
    model_bytes(graph, infinite, OnnxOptions(precision="fp16"))


@pytest.mark.parametrize(("precision", "dtype"), [("fp16", np.float16), ("bf16", ml_dtypes.bfloat16)])
def test_weights_are_rounded_to_even(precision, dtype):
    graph = netspec.loads("net a { input x: [N, 7]; output y = x -> linear(9, bias = false) }").graph
    values = np.random.default_rng(0).standard_normal((9, 7)).astype("f4")
    values.flat[:6] = (1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-11, 1e-6, math.nan, -0.0)
    model = onnx.load_from_string(model_bytes(graph, Arrays({"linear1.weight": values}), OnnxOptions(precision=precision)))
    (stored,) = [t for t in model.graph.initializer if t.name == "linear1.weight"]
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(stored).astype("f4"), values.astype(dtype).astype("f4"))


def test_the_emulation_is_the_low_arithmetic():
    graph = netspec.loads("net a { input x: [N, 4]; output y = x -> linear(3) -> relu }").graph
    weights = revealing(graph)
    model, rounded = lower_precision(lower(graph, 22), weights, "bf16")
    x = np.random.default_rng(1).standard_normal((5, 4)).astype("f4")
    (y,) = run(encoded(graph, *emulated(model, rounded, "bfloat16"), OnnxOptions(opset=22)), {"x": x})
    w, b, x = (a.astype(ml_dtypes.bfloat16).astype("f4") for a in (*weights.arrays.values(), x))
    np.testing.assert_array_equal(y, np.maximum((x @ w.T + b).astype(ml_dtypes.bfloat16).astype("f4"), 0))
    direct = onnx.load_from_string(encoded(graph, model, rounded, OnnxOptions(opset=22)))
    (reference,) = ReferenceEvaluator(direct).run(None, {"x": x})
    np.testing.assert_allclose(reference, y, rtol=2**-6, atol=2**-8)


# ---------------------------------------------------------------------------------------------------- shipped networks
LIGHT = ["zoo.lenet:lenet5", "zoo.resnet:resnet20", "zoo.recurrent:elman", "zoo.recurrent:jordan", "zoo.selu:snn", "zoo.vae:vae"]


@cache
def shipped(spec: str) -> Graph:
    return netspec.load(spec).graph


@pytest.mark.parametrize("spec", SHIPPED if os.environ.get("NETSPEC_LONG") else LIGHT)
def test_shipped_networks_agree_with_float32(spec):
    """All but where no float16 can: numbers of 1e10 behind 54 blocks that were not trained, or of 1e-10; places of maxima that are
    the network's memory; and what a rounded input turns over in float32 already."""
    graph = shipped(spec)
    if sum(math.prod(tensor.shape) for tensor in graph.weights) > 6e7:
        pytest.skip("too large for a test: hundreds of megabytes of weights")
    for weights in (initial(graph), revealing(graph)):
        if off(graph, weights) > 1e-2 and not is_sensitive(graph, weights):
            verdict = check_precision(graph, "fp16", count=1, weights=weights)
            assert not verdict.held or verdict.decisions, spec


def is_sensitive(graph: Graph, weights) -> bool:
    """Whether float32 itself answers otherwise to inputs that are rounded to float16: `tanh` of thousands is 1 or -1."""
    feeds = inputs(graph, size_cases(graph, 1)[0], "normal")
    nearly = {name: x.astype("f2").astype("f4") if x.dtype == np.float32 else x for name, x in feeds.items()}
    model = model_bytes(graph, weights)
    floats = [(a.astype("f8"), b.astype("f8")) for a, b in zip(run(model, feeds), run(model, nearly)) if a.dtype.kind == "f"]
    return any(np.abs(a - b).max() > 2e-3 * np.abs(a).max() for a, b in floats)


def test_the_file_is_half_as_large():
    graph = shipped("zoo.lenet:lenet5")
    whole, half = (len(model_bytes(graph, initial(graph), OnnxOptions(precision=p))) for p in ("fp32", "fp16"))
    assert half < 0.51 * whole


def test_sequences_do_not_crash_onnxruntime():
    """Its fusion of a transposition into a product, in float16, ends in a segmentation fault in 1.31: none is left to it."""
    model = low("net a { input x: [N, T, 4]; steps = x -> rnn(3); output y = steps -> linear(2) }")
    makers = {name: node for node in model.graph.node for name in node.output}
    for node in model.graph.node:
        if node.op_type == "MatMul":
            assert node.input[0] not in makers or makers[node.input[0]].op_type != "Transpose"


# --------------------------------------------------------------------------------------------------------------- verify
def test_the_loss_of_each_layer():
    graph = shipped("zoo.lenet:lenet5")
    found = {precision: check_precision(graph, precision, count=1) for precision in LOW_TYPES}
    for precision, (least, most) in {"fp16": (55, 75), "bf16": (37, 57)}.items():
        verdict = found[precision]
        assert verdict.ok and [layer.name for layer in verdict.layers] == [node.name for node in graph.nodes]
        assert all(least < layer.snr < most for layer in verdict.layers)
        assert "c1: conv (line 13)" in str(verdict)
    assert found["fp16"].outputs[0].onnxruntime is not None and found["bf16"].outputs[0].onnxruntime is None


def test_overflow_is_told():
    graph = netspec.loads("net a { input x: [N, 2]; output y = x -> linear(2, bias = false) -> linear(2, bias = false) }").graph
    large = Arrays({f"linear{i}.weight": np.full((2, 2), 3e4, "f4") for i in (1, 2)})
    verdict = check_precision(graph, "fp16", count=1, weights=large)
    assert not verdict.ok and not verdict.held and "out of float16's range: bf16 has that of float32" in str(verdict)
    assert verdict.facts()["outputs"][0]["emulated"] is None
    assert check_precision(graph, "bf16", count=1, weights=large).held


def test_the_cpu_has_no_bfloat16():
    graph = netspec.loads("net a { input x: [N, 2, 5]; output y = x -> conv(2, 3) -> tanh }").graph
    model = model_bytes(graph, initial(graph), OnnxOptions(opset=22, precision="bf16"))
    with pytest.raises(Refusal, match="NS735.*`cpu` has no (Conv|Tanh)"):
        Session(model, provider="cpu")


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_a_network_that_takes_low_numbers_itself(precision):
    graph = netspec.loads("net a { input x: float16 [N, 8]; output y = x -> cast(float32) -> linear(4) }").graph
    verdict = check_precision(graph, precision, count=1)
    assert verdict.ok and [found.output for found in verdict.outputs] == ["y"]


def test_the_command(tmp_path, capsys):
    spec = tmp_path / "a.net"
    spec.write_text("net a { input x: [N, 4]; output y = x -> linear(3) -> relu }")
    assert main(("verify", str(spec), "--precision", "bf16", "--cases", "1")) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "bf16 agrees with float32; allowed is 0.08 of an output's largest element" and said[1].startswith("  y: ")
    np.savez(tmp_path / "w.npz", **{"linear1.weight": np.full((3, 4), 6e4, "f4"), "linear1.bias": np.zeros(3, "f4")})
    arguments = ("verify", str(spec), "--precision", "fp16", "--weights", str(tmp_path / "w.npz"), "--format", "json")
    assert main(arguments) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is False and found["bound"] == 0.01
    assert [(layer["name"], layer["held"]) for layer in found["layers"]][0] == ("linear1", False)


def test_with_the_other_passes(tmp_path):
    """Folded before, functions after, weights in a file of safetensors: the same numbers."""
    graph = netspec.loads(
        "block cell { input x; output x -> conv(4, 3) -> bn -> silu }\nnet a { input x: [N, 3, 8, 8]; output y = x -> cell -> cell }"
    ).graph
    weights, feeds = revealing(graph), {"x": np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype("f4")}
    (plain,) = run(model_bytes(graph, weights), feeds)
    save(graph, tmp_path / "a.onnx", weights, OnnxOptions(precision="fp16", fold=True, functions=True, external="a.safetensors"))
    onnx.checker.check_model(str(tmp_path / "a.onnx"), full_check=True)
    (found,) = run(str(tmp_path / "a.onnx"), feeds)
    assert np.abs(found - plain).max() < 2e-3 * np.abs(plain).max()
