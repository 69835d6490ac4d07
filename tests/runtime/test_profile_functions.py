"""Profiles of files whose blocks are functions: each application has what it has where there are none."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from netspec import loads
from netspec.runtime import profile as profiling
from netspec.runtime.profile_functions import has_functions, written_out
from netspec.runtime.session import Session

SQUEEZE = """
block squeeze(c) {
  input x
  output x -> global_avg_pool -> conv(6, 1) -> silu -> conv(c, 1)
}
net pm {
  input x: [N, 3, H = 32, W = 32]
  a = x -> conv(16, 5, padding = 2) -> relu
  output y = a * (a -> squeeze(16))
}
"""

NESTED = """
block se(r) {
  input x
  s = x -> global_avg_pool -> conv(max(4, x.channels // r), 1) -> silu -> conv(x.channels, 1) -> sigmoid
  output x * s
}
block mb(c, stride = 1) {
  input x
  y = x -> conv(x.channels * 3, 1, bias = false) -> bn -> silu
    -> conv(x.channels * 3, 3, stride = stride, padding = 1, groups = x.channels * 3, bias = false) -> bn -> hard_swish
    -> se(4) -> conv(c, 1, bias = false) -> bn
  if stride == 1 and x.channels == c { y = y + x }
  output y
}
net dwse {
  input x: [N, 3, H = 33, W = 25]
  output logits = x -> conv(8, 3, stride = 2, bias = false) -> bn -> relu6
    -> mb(8) as b[0] -> mb(12, 2) as b[1] -> mb(12) as b[2] -> mb(12) as b[3]
    -> (bn -> relu) as tail -> global_avg_pool -> flatten -> linear(7) as fc
}
"""

#: One function for blocks whose layers have other labels.
RELABELLED = """
block two(c, first) {
  input x
  y = x
  for i in 0..2 { y = y -> conv(c, 3, padding = 1) as f[first + i] -> relu }
  output y
}
net relabelled {
  input x: [N, 6, H = 12, W = 12]
  output y = x -> two(6, 0) as p -> two(6, 3) as q -> two(6, 7) as r -> two(10, 1)
}
"""

SHARED = """
block unit(c) {
  input x
  layer same = conv(c, 1)
  output x -> same -> relu -> same
}
block sub(c) {
  input x
  layer gate = unit(c)
  a = x -> gate
  b = a -> relu -> gate
  output a * b
}
net shared {
  input x: [N, 6, H = 12, W = 12]
  layer both = sub(6)
  a = x -> both -> conv(6, 3, padding = 1)
  b = a -> both -> unit(6)
  output y = b -> global_avg_pool -> flatten -> linear(3)
}
"""

SCANNED = """
block mlp(width) {
  input x
  output x -> linear(width) as one -> relu -> linear(width) as two
}
block step(width) {
  input x: [N, C]
  input h: [N, width]
  z = x ++ h -> mlp(width) as gate -> sigmoid
  t = x ++ h -> mlp(width) as cand -> tanh
  output h = z * t + h
  output y = h
}
net scanned {
  input x: [N, T = 4, 3]
  output y = x -> mlp(5) as before -> scan(step(4), over = T) as cell -> mlp(3) as after
}
"""

ATTENTION = """
block attention(d) {
  input x
  shares = (x -> linear(d) as q, (x -> linear(d) as k) -> permute([0, 2, 1])) -> matmul -> softmax
  output (shares, x -> linear(d) as v) -> matmul -> linear(d) as out
}
block layer(d) {
  input x
  a = x + (x -> layer_norm -> attention(d) as inner)
  output a + (a -> layer_norm -> linear(4 * d) -> gelu -> linear(d))
}
net encoder {
  input x: [N, L = 10, 12]
  output y = x -> layer(12) as h[0] -> layer(12) as h[1] -> linear(3) as head
}
"""

NETS = {"squeeze": SQUEEZE, "nested": NESTED, "relabelled": RELABELLED, "shared": SHARED, "scanned": SCANNED, "attention": ATTENTION}
FORMS = ({}, {"fold": True}, {"fold": True, "precision": "fp16"})


def inputs_of(net):
    rng = np.random.default_rng(0)
    shape = [n if isinstance(n, int) else {**net.graph.typical, "N": 2}[str(n)] for n in net.graph.values[net.graph.inputs[0].value].shape]
    return {"x": rng.normal(size=shape).astype("f")}


def profile_of(net, path, graph=True):
    session = Session(str(path), graph=net.graph if graph else None, provider="cpu", threads=1)
    return session.profile(inputs_of(net), runs=1, warmup=0)


def layers_in(graph):
    """How often each layer has a node of each operator, in a model's graph and those inside of its nodes."""
    found = Counter()
    for node in graph.node:
        found.update((node.op_type, node.name.split("/")[0]) for _ in range(node.op_type != "Constant"))
        for attribute in node.attribute:
            found.update(layers_in(attribute.g))
    return found


@pytest.mark.parametrize("form", FORMS, ids=["plain", "folded", "fp16"])
@pytest.mark.parametrize("spec", NETS.values(), ids=list(NETS))
def test_blocks_have_the_multiply_adds_that_they_have_without_functions(spec, form, tmp_path):
    net = loads(spec)
    net.save_onnx(tmp_path / "flat.onnx", **form)
    net.save_onnx(tmp_path / "functions.onnx", functions=True, **form)
    flat, found = profile_of(net, tmp_path / "flat.onnx"), profile_of(net, tmp_path / "functions.onnx")
    assert {row.label: row.macs for row in found.blocks} == {row.label: row.macs for row in flat.blocks}
    assert {row.label: row.macs for row in found.rows if row.macs} == {row.label: row.macs for row in flat.rows if row.macs}
    assert not found.remarks


@pytest.mark.parametrize("form", FORMS, ids=["plain", "folded", "fp16"])
@pytest.mark.parametrize("spec", NETS.values(), ids=list(NETS))
def test_nodes_written_out_are_called_as_without_functions(spec, form, tmp_path):
    net = loads(spec)
    net.save_onnx(tmp_path / "functions.onnx", functions=True, **form)
    assert has_functions(tmp_path / "functions.onnx")
    model = onnx.load_from_string(written_out(tmp_path / "functions.onnx", net.graph))
    onnx.checker.check_model(model, full_check=True)
    assert not model.functions
    assert layers_in(model.graph) == layers_in(net.onnx(**form).graph)


def test_a_layer_in_a_function_is_no_layer_of_that_name_outside(tmp_path):
    """The convolution of 5 x 5 beside one of the same name in a block, of six channels, which the kernel pads to eight."""
    net = loads(SQUEEZE)
    net.save_onnx(tmp_path / "pm.onnx", functions=True, fold=True)
    rows = {row.label: row for row in profile_of(net, tmp_path / "pm.onnx").rows}
    assert rows["conv1"].macs == 2 * 32 * 32 * 16 * 3 * 25 and rows["conv1"].fused == ("relu1",)
    assert rows["squeeze1.conv1"].macs == rows["squeeze1.conv2"].macs == 2 * 96


def test_steps_that_are_written_out_are_all_of_one_application(tmp_path):
    net = loads(SCANNED, static={"T": 4})
    model = onnx.load_from_string(written_out(net.onnx(functions=True).SerializeToString(), net.graph))
    assert layers_in(model.graph)["Gemm", "cell.gate.one"] == 4 or layers_in(model.graph)["MatMul", "cell.gate.one"] == 4


@pytest.mark.parametrize("external", [True, "weights.safetensors"])
def test_weights_beside_the_model_stay_there(external, tmp_path, monkeypatch):
    net = loads(NESTED)
    (tmp_path / "models").mkdir()
    net.save_onnx(tmp_path / "models" / "net.onnx", functions=True, external=external)
    monkeypatch.chdir(tmp_path)
    found = profile_of(net, "models/net.onnx")
    assert not found.remarks and {row.label for row in found.blocks} >= {"b.0", "b.0.se1", "b.3.se1"}
    assert len(written_out("models/net.onnx", net.graph)) < 60_000


def test_without_a_spec_nodes_are_called_after_the_calls(tmp_path):
    net = loads(NESTED)
    net.save_onnx(tmp_path / "net.onnx", functions=True)
    found = profile_of(net, tmp_path / "net.onnx", graph=False)
    assert {"b", "b.0", "b.0.se1", "b.3", "b.3.se1"} <= {row.label for row in found.blocks}
    assert not any("_inlfunc_" in row.label for row in found.rows)


def test_where_functions_stay_nothing_is_invented(tmp_path, monkeypatch):
    """Time of what runs inside of them is then of no layer, and what it computes of none."""
    net = loads(SQUEEZE)
    net.save_onnx(tmp_path / "pm.onnx", functions=True, fold=True)
    monkeypatch.setattr(profiling, "written_out", lambda model, graph: None)
    found = profile_of(net, tmp_path / "pm.onnx")
    rows = {row.label: row for row in found.rows}
    assert rows["conv1"].macs == 2 * 32 * 32 * 16 * 3 * 25
    assert not rows["(Conv in a function)"].macs and "squeeze1.conv1" not in {
        name for row in found.rows for name in (row.label, *row.fused)
    }
    assert "could not be written out" in found.remarks[0]


# ------------------------------------------------------------------------------------------------- of other exporters
def scaled(attribute):
    """A function of another exporter, with an attribute of its own and an input that may be left out, that is called in a branch too."""
    leaky = helper.make_node("LeakyRelu", ["x"], ["y"], name="act")
    leaky.attribute.add(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT)
    clip = helper.make_node("Clip", ["y", "", "most"], ["z"], name="clip")
    opset = [helper.make_opsetid("", 21)]
    return helper.make_function("own", "scaled", ["x", "most"], ["z"], [leaky, clip], opset, **attribute)


def other_model():
    value = helper.make_tensor_value_info
    branch = [
        helper.make_graph(
            [helper.make_node("scaled", ["x"], [out], name="call", domain="own", slope=slope)], out, [], [value(out, 1, None)]
        )
        for out, slope in (("then_out", 0.5), ("else_out", 0.25))
    ]
    nodes = [
        helper.make_node("scaled", ["x", "limit"], ["a"], name="first", domain="own", slope=0.1),
        helper.make_node("If", ["which"], ["b"], name="choice", then_branch=branch[0], else_branch=branch[1]),
        helper.make_node("Add", ["a", "b"], ["y"], name="sum"),
    ]
    limit = helper.make_tensor("limit", TensorProto.FLOAT, [], [2.0])
    ports = [value("x", TensorProto.FLOAT, [4]), value("which", TensorProto.BOOL, [])]
    graph = helper.make_graph(nodes, "other", ports, [value("y", TensorProto.FLOAT, [4])], [limit])
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, opset_imports=opsets, functions=[scaled({"attributes": ["slope"]})], ir_version=10)


def test_attributes_and_inputs_left_out_are_those_of_the_call():
    data = other_model().SerializeToString()
    flat = written_out(data, None)
    onnx.checker.check_model(onnx.load_from_string(flat), full_check=True)
    for which in (True, False):
        given = {"x": np.array([-2, -1, 1, 3], "f"), "which": np.array(which)}
        want, found = (Session(model, provider="cpu").run(given)["y"] for model in (data, flat))
        assert (want == found).all()
    assert "first.act" in {node.name for node in onnx.load_from_string(flat).graph.node}


def test_functions_in_another_version_of_the_operators_stay():
    model = other_model()
    model.functions[0].opset_import[0].version = 20
    assert written_out(model.SerializeToString(), None) is None


def test_what_is_no_model_has_no_functions(tmp_path):
    (tmp_path / "x.ort").write_bytes(b"\x20\x00\x00\x00ORTM" + bytes(100))
    assert not has_functions(tmp_path / "x.ort") and not has_functions(b"") and not has_functions(tmp_path / "none.onnx")
    assert written_out(b"\xff\xff", None) is None
