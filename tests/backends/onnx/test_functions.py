"""Blocks as functions: what they are called, what they share, and that inlined they are the network again."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import onnx
import onnx.inliner
import onnxruntime as ort

import netspec
from netspec.backends.onnx import OnnxOptions, model_bytes
from netspec.backends.onnx.functions import outline
from netspec.backends.onnx.lower import lower
from netspec.graph import Graph
from netspec.runtime.cases import inputs, size_cases
from tests.backends.onnx.forms import Telling

UNITS = '''
block unit(width, stride = 1) {
  """Two layers and a way past them."""
  input x: [N, C, H, W]
  y = x -> conv(width, 3, padding = 1, stride = stride) as conv -> batch_norm as norm -> relu
  output out = y + (x -> conv(width, 1, stride = stride) as past)
}
block stage(width, depth) {
  input x: [N, C, H, W]
  for i in 0..depth { x = x -> unit(width) as units[i] }
  output x
}
net n {
  input image: [N, 3, H = 8, W = 6]
  y = image -> stage(4, 2) as first -> stage(6, 2) as second -> unit(5, stride = 2) as last
  output y = y -> flatten(2)
}
'''


def model_of(graph: Graph, **options: bool) -> onnx.ModelProto:
    """The model with functions: taken by the checker, the same nodes once inlined, the same numbers in onnxruntime."""
    flat = model_bytes(graph, Telling(), OnnxOptions(**options))
    data = model_bytes(graph, Telling(), OnnxOptions(functions=True, **options))
    model = onnx.load_from_string(data)
    assert len(model.SerializeToString()) == len(data)
    onnx.checker.check_model(model, full_check=True)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    assert kinds(onnx.inliner.inline_local_functions(model).graph) == kinds(onnx.load_from_string(flat).graph)
    feeds = inputs(graph, size_cases(graph, 1)[0], "normal")
    settings = ort.SessionOptions()
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    for a, b in zip(*(ort.InferenceSession(one, settings).run(None, feeds) for one in (flat, data)), strict=True):
        np.testing.assert_array_equal(a, b)
    return model


def kinds(graph: onnx.GraphProto) -> Counter[str]:
    """How many nodes there are of each operator, constants aside, in bodies too."""
    found = Counter(node.op_type for node in graph.node if node.op_type != "Constant")
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                found += kinds(attribute.g)
    return found


def test_blocks_are_functions_and_equal_ones_share_one() -> None:
    model = model_of(netspec.loads(UNITS).graph)
    assert [(node.name, node.op_type) for node in model.graph.node[:3]] == [("first", "stage"), ("second", "stage"), ("last", "unit_2")]
    assert all(node.domain == "netspec.n" for node in model.graph.node[:3])
    functions = {function.name: function for function in model.functions}
    assert set(functions) == {"unit", "stage", "unit_2"}
    unit = functions["unit"]
    assert unit.doc_string == "Two layers and a way past them." and list(unit.output) == ["out"]
    assert list(unit.input) == [
        "x", "conv.weight", "conv.bias", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var", "past.weight", "past.bias",
    ]  # fmt: skip
    assert [node.op_type for node in functions["stage"].node] == ["unit", "unit"]
    assert [node.name for node in functions["stage"].node] == ["units.0", "units.1"]
    assert model.graph.node[0].doc_string.endswith(":15") and unit.node[0].doc_string.endswith(":5")


def test_folded_blocks_are_functions_of_what_is_left() -> None:
    functions = {f.name: [n.op_type for n in f.node] for f in model_of(netspec.loads(UNITS).graph, fold=True).functions}
    assert functions["unit"] == ["Conv", "Relu", "Conv", "Add"]


SIZES = """
block halved {
  input x: [N, T, C]
  output y = x -> reshape([N, 2, T * C // 2]) -> sigmoid
}
block spread {
  input x: [N, T, C]
  output y = (arange(T) -> reshape([T, 1]) -> expand([N, T, C]) -> cast(float32)) / 3 + x
}
net n {
  input x: [N = 1, T = 6, 4]
  output y = x -> spread as a -> halved as b
  output z = x -> halved as c
}
"""


def test_sizes_are_handed_in_and_small_constants_stand_inside() -> None:
    model = model_of(netspec.loads(SIZES).graph)
    spread = next(function for function in model.functions if function.name == "spread")
    assert any(name.startswith("size/") for name in spread.input) and "Constant" in [node.op_type for node in spread.node]
    assert all(node.op_type != "Shape" for function in model.functions for node in function.node)


CELL = """
block gate(width) {
  input x: [N, C]
  output y = x -> linear(width) as fc -> sigmoid
}
block cell(width) {
  input x: [N, C]
  input h: [N, width]
  output h = (x ++ h -> gate(width) as a) * (h -> gate(width) as b)
  output y = h
}
net n {
  input x: [N, T = 7, 5]
  f = x -> scan(cell(3), over = T, states = true) as rnn
  output y = f.y
  output h = f.h
}
"""


def test_blocks_inside_of_a_scan() -> None:
    model = model_of(netspec.loads(CELL).graph)
    (scan,) = [node for node in model.graph.node if node.op_type == "Scan"]
    inside = next(a.g for a in scan.attribute if a.name == "body")
    assert [node.op_type for node in inside.node].count("gate") == 2 and [f.name for f in model.functions] == ["gate"]


def test_the_steps_of_a_scan_that_is_written_out() -> None:
    model = model_of(netspec.loads(CELL, static={"T": 3}).graph)
    assert [node.op_type for node in model.graph.node].count("cell") == 3
    assert {f.name: [n.op_type for n in f.node] for f in model.functions}["cell"].count("gate") == 2


TWICE = """
block b {
  input x: [N, 4]
  output y = x -> linear(4) as fc -> relu -> tanh
}
net n {
  input x: [N, 4]
  layer shared = b
  output y = x -> shared -> shared
}
"""


def test_a_block_that_is_applied_twice_is_called_twice() -> None:
    model = model_of(netspec.loads(TWICE).graph)
    assert [node.op_type for node in model.graph.node] == ["b", "b"] and len({node.name for node in model.graph.node}) == 2
    assert model.graph.node[0].input[1:] == model.graph.node[1].input[1:]


def test_blocks_that_take_turns_stay_as_they_are() -> None:
    graph = netspec.loads(TWICE).graph
    model = lower(graph)
    owners = [node.node for node in model.nodes]
    model.nodes = [replace(node, node=owners[place]) for node, place in zip(model.nodes, (0, 3, 2, 1, 4, 5))]
    outlined = outline(model, graph)
    assert not outlined.functions and [node.op_type for node in outlined.nodes] == ["Gemm", "Relu", "Tanh"] * 2
