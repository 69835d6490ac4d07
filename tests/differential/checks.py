"""What must hold of every valid network: the two back ends, the text and the data forms agree with the graph."""

from __future__ import annotations

import math
from typing import Any

import onnx
import torch

import netspec
from netspec.analyses.constraints import valid_sizes
from netspec.backends.onnx import OnnxOptions, model_bytes
from netspec.backends.torch_module import build_module, load_weights
from netspec.backends.torch_source import write_source
from netspec.backends.weights import Arrays
from netspec.diagnostics.model import Report
from netspec.graph import Graph
from netspec.runtime.cases import Revealing, inputs, size_cases
from netspec.runtime.verify import verify
from netspec.sizes.dim import evaluate
from netspec.source import Source
from netspec.syntax.format import format
from tests.backends.torch.interpreter import interpret
from tests.differential.networks import Network


def check_text(network: Network) -> None:
    """`format` keeps the meaning, and changes nothing twice; the graph survives its JSON."""
    graph = network.graph
    assert Graph.read(graph.write()).write() == graph.write()
    assert Graph.read(graph.write()) == graph
    report = Report()
    text = format(Source("random.net", network.text), report)
    assert text is not None and not report.diagnostics, report.diagnostics
    assert format(Source("random.net", text), Report()) == text, "formatting twice changes something"
    again = netspec.loads(text).graph
    assert meaning(again) == meaning(graph), "the formatted text has another graph"


def meaning(graph: Graph) -> dict[str, Any]:
    """The graph without where it was written."""
    return _bare(graph.model_dump(exclude={"digest", "source"}))


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _bare(v) for k, v in value.items() if k != "origin"}
    return [_bare(v) for v in value] if isinstance(value, (list, tuple)) else value


def check_torch(network: Network, count: int = 2) -> None:
    """The generated source runs; its state dict is the graph's; every value has the shape that we say."""
    graph = network.graph
    source = write_source(graph)
    module = build_module(source, graph).eval()
    state = module.state_dict()
    assert {k: (tuple(v.shape), str(v.dtype)) for k, v in state.items()} == {
        w.name: (w.shape, f"torch.{w.dtype}") for w in graph.weights
    }, "the state dict is another"  # fmt: skip
    assert list(state) == [w.name for w in graph.weights], "the order of the state dict is another"
    revealing = Revealing(network.seed)
    load_weights(module, {w.name: revealing.array(w) for w in graph.weights})
    every = tuple(_port(value.name, number) for number, value in enumerate(graph.values))
    everything = graph.model_copy(update={"outputs": every})
    for sizes in size_cases(graph, count):
        given = [torch.from_numpy(a) for a in inputs(graph, sizes, "normal", network.seed).values()]
        with torch.no_grad():
            found = module(*given)
            values = interpret(everything, module.state_dict(), given)
        for value, tensor in zip(graph.values, values, strict=True):
            expected = tuple(s if isinstance(s, int) else evaluate(s, sizes) for s in value.shape)
            assert tuple(tensor.shape) == expected, f"{value.name} is {value.shape}: {expected}, and torch has {tuple(tensor.shape)}"
            assert str(tensor.dtype) == f"torch.{value.dtype}", f"{value.name} is {value.dtype}, and torch has {tensor.dtype}"
        outputs = found if isinstance(found, (tuple, list)) else [found]
        for port, output in zip(graph.outputs, outputs, strict=True):
            assert torch.equal(output.nan_to_num(), values[port.value].nan_to_num()), f"source and operators differ in {port.name}"


def _port(name: str, value: int) -> Any:
    from netspec.graph import Port

    return Port.trusted(name=name, value=value, origin=None)


def check_onnx(network: Network) -> None:
    """The model is valid, and ONNX infers the shapes that we declare."""
    graph = network.graph
    revealing = Revealing(network.seed)
    data = model_bytes(graph, Arrays({w.name: revealing.array(w) for w in graph.weights}), OnnxOptions())
    model = onnx.load_from_string(data)
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    before = {v.name: _axes(v) for v in [*model.graph.value_info, *model.graph.output]}
    for info in [*inferred.graph.value_info, *inferred.graph.output]:
        if info.name in before:
            for ours, theirs in zip(before[info.name], _axes(info), strict=True):
                assert not (isinstance(ours, int) and isinstance(theirs, int)) or ours == theirs, f"{info.name}: {ours} and {theirs}"


def _axes(info: onnx.ValueInfoProto) -> list[int | str]:
    return [d.dim_value if d.HasField("dim_value") else d.dim_param for d in info.type.tensor_type.shape.dim]


def check_numbers(network: Network, count: int = 2) -> None:
    """PyTorch and onnxruntime agree, node by node, and end to end where the network is smooth."""
    if any(value.dtype == "float64" for value in network.graph.values):
        return  # onnxruntime has few kernels for it
    verdict = verify(network.graph, seed=network.seed, count=count)
    finite = [d for d in verdict.differences if math.isfinite(d.torch) or d.cause.startswith("shape")]
    wrong = [d for d in finite if network.smooth or not d.where.startswith("output ")]
    assert not wrong, str(verdict)


def check_compilers(network: Network) -> None:
    """`torch.export` with an open batch, and `torch.compile` without a graph break, take the generated source."""
    graph = network.graph
    module = build_module(write_source(graph), graph).eval()
    several = "N" in graph.typical and valid_sizes(graph).contains({"N": 3})
    sizes = {**graph.typical, **({"N": 3} if several else {})}
    given = [torch.from_numpy(a) for a in inputs(graph, sizes, "normal", network.seed).values()]
    dynamic = tuple({0: torch.export.Dim("N")} if several and str(graph.values[p.value].shape[0]) == "N" else {} for p in graph.inputs)
    torch._dynamo.reset()
    with torch.no_grad():
        expected = module(*given)
        exported = torch.export.export(module, tuple(given), dynamic_shapes=dynamic).module()(*given)
        compiled = torch.compile(module, fullgraph=True, backend="eager")(*given)
    for other in (exported, compiled):
        torch.testing.assert_close(other, expected, equal_nan=True)
