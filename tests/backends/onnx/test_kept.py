"""Layers that stay in float32 by name: those that are asked for, and those whose initial signals float16 does not hold."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import netspec
from netspec.backends.onnx import OnnxOptions, model_bytes
from netspec.backends.onnx.kept import kept_layers
from netspec.backends.weights import Arrays, Initial, arrays_of
from netspec.diagnostics.model import Refusal
from netspec.graph import Graph
from netspec.runtime.cases import inputs
from netspec.runtime.session import Session

LAYERS = "net a { input x: [N, 4]; output y = x -> (linear(4) -> relu -> linear(4)) as body -> linear(2) as head }"
#: what doubles grows past 65504, and halves fade below 6e-5
GROWS = """
net grows {
  input x: [N, 4, H = 4, W = 4]
  for i in 0..18 { x = x + x }
  for i in 0..40 { x = x * 0.5 }
  output y = x -> conv(4, 1) as c -> layer_norm(1)
}
"""


def initial(graph: Graph) -> Initial:
    return Initial(0, {tensor.name: tensor for tensor in graph.weights})


@pytest.mark.parametrize(
    "keep, low",
    [((), {"body.0", "body.2", "head"}), (("body",), {"head"}), (("head",), {"body.0", "body.2"}), (("body.0", "head"), {"body.2"})],
)
def test_layers_are_kept_by_label(keep: tuple[str, ...], low: set[str]) -> None:
    graph = netspec.loads(LAYERS).graph
    model = onnx.load_from_string(model_bytes(graph, initial(graph), OnnxOptions(precision="fp16", keep=keep)))
    biases = {i.name.removesuffix(".bias"): i.data_type for i in model.graph.initializer if i.name.endswith(".bias")}
    assert {name for name, dtype in biases.items() if dtype == onnx.TensorProto.FLOAT16} == low
    assert biases.keys() == {"body.0", "body.2", "head"}


def test_there_must_be_such_a_layer() -> None:
    graph = netspec.loads(LAYERS).graph
    with pytest.raises(Refusal, match="no layer `haed`"):
        model_bytes(graph, initial(graph), OnnxOptions(precision="fp16", keep=("haed",)))


def test_initial_signals_beyond_the_range_stay_in_float32() -> None:
    graph = netspec.loads(GROWS).graph
    weights = initial(graph)
    kept = kept_layers(graph, weights, "fp16", ()).nodes
    assert {"add18", "mul1", "mul40", "c"} <= kept and not {"add3", "mul15"} & kept
    assert not kept_layers(graph, weights, "bf16", ()).nodes  # which has float32's range
    assert not kept_layers(graph, Arrays(arrays_of(graph, weights)), "fp16", ()).nodes  # of whose weights nothing is known


def test_an_untrained_network_out_of_range_agrees_with_float32() -> None:
    graph = netspec.loads(GROWS).graph
    given = inputs(graph, dict(graph.typical), "normal")
    exact, low = (
        Session(model_bytes(graph, initial(graph), OnnxOptions(precision=precision)), provider="cpu").run(given)["y"]
        for precision in ("fp32", "fp16")
    )
    assert np.abs(exact - low).max() <= 1e-2 * np.abs(exact).max() and np.abs(exact).max() > 0.1


UNPOOLED = """
net places {
  input x: [N, 3, 8]
  a = x -> conv(4, 3, padding = 1) as a
  place = a -> relu as r -> argmax(axis = 2) -> one_hot(8)
  b = x -> conv(4, 3, padding = 1) as b
  output y = place * b
  output best = b -> argmax(axis = 2)
}
"""


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_what_leads_to_a_choice_keeps_its_digits(precision: str) -> None:
    """Not what leads to a result that is a choice: it turns nothing else."""
    graph = netspec.loads(UNPOOLED).graph
    kept = kept_layers(graph, initial(graph), precision, ())
    assert {"a", "r"} <= kept.exact == kept.nodes and not {"b", "mul1", "argmax2"} & kept.nodes


def test_a_signal_that_is_cut_keeps_its_digits() -> None:
    graph = netspec.loads("net a { input x: [N, 4]; for i in 0..14 { x = x + x }; output y = x -> clamp(0, 1) }").graph
    assert "add1" in kept_layers(graph, initial(graph), "fp16", ()).nodes
    given = inputs(graph, {**graph.typical, "N": 500}, "normal")
    exact, low = (
        Session(model_bytes(graph, initial(graph), OnnxOptions(precision=precision)), provider="cpu").run(given)["y"]
        for precision in ("fp32", "fp16")
    )
    assert np.abs(exact - low).max() <= 1e-2
