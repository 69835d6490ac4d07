"""Every operator's examples as whole models of ours, at several sizes: torch's numbers, and onnx's blessing."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from netspec import ops
from netspec.backends.onnx import OnnxOptions, model_bytes
from netspec.backends.weights import Arrays
from netspec.diagnostics.model import Refusal
from netspec.graph import Frame, Graph, Node, OpenSize, Port, Scope, Tensor, Value
from netspec.op import Accepts, Reject
from tests.ops.compare import compare
from tests.ops.harness import Case, accept, random_data
from tests.ops.torch_terms import run_torch


def alone(case: Case) -> Graph:
    """The case as a network of one node."""
    n = len(case.inputs)
    values = [Value(name=f"x{i}", dtype=t.dtype, shape=t.shape) for i, t in enumerate(case.inputs)]
    values += [Value(name=f"layer.{i}", dtype=t.dtype, shape=t.shape) for i, t in enumerate(case.outputs)]
    weights = [
        Tensor(
            name=f"layer.{w.name}",
            local=w.name,
            shape=w.shape,
            dtype=w.dtype,
            init=w.init,
            fan_in=w.fan_in,
            fan_out=w.fan_out,
            trainable=w.trainable,
            role=w.role,
        )  # fmt: skip
        for w in case.weights
    ]
    outputs = tuple(range(n, len(values)))
    node = Node(name="layer", label="layer", op=case.operator, inputs=tuple(range(n)), outputs=outputs, weights=tuple(range(len(weights))))
    return Graph(
        name="alone",
        sizes=tuple(OpenSize(name=k, typical=v) for k, v in case.typical.items()),
        inputs=tuple(Port(name=f"x{i}", value=i) for i in range(n)),
        outputs=tuple(Port(name=f"y{i}", value=v) for i, v in enumerate(outputs)),
        values=tuple(values),
        nodes=(node,),
        weights=tuple(weights),
        scopes=(Scope(label="", path="", parent=None, kind="net", definition="alone"),),
        frames=(Frame(scope=0, parent=None),),
    )


def examples() -> list[tuple[str, Accepts]]:
    return [(name, e) for name in ops.names() for e in ops.lookup(name).EXAMPLES if isinstance(e, Accepts)]


def test_what_an_opset_cannot_say_is_refused():
    case = accept("resize(size = (3, 5), mode = bilinear, antialias = true)", ("[N, 2, H, W = 3]",))
    with pytest.raises(Refusal, match="NS704.*layer cannot be written as ONNX"):
        model_bytes(alone(case), Arrays({}), OnnxOptions(opset=17))


def oldest(case: Case) -> int:
    """The oldest opset that can say it: antialiasing came with 18, sampling of volumes with 20."""
    for opset in (17, 18):
        try:
            case.operator.onnx(case.site(opset))
        except Reject as refused:
            assert refused.code == "NS704" and any(gap.facet == "onnx" for gap in case.operator.LIMITATIONS)
        else:
            return opset
    return 20


@pytest.mark.parametrize(("name", "example"), examples(), ids=lambda v: v if isinstance(v, str) else f"{v.call} {' '.join(v.inputs)}")
def test_example(name, example):
    case = accept(example.call, example.inputs)
    graph = alone(case)
    for opset in (oldest(case), 21):
        for env in case.environments(2):
            data = random_data(case, env)
            weights = Arrays({f"layer.{k}": v for k, v in data.weights.items()})
            model = model_bytes(graph, weights, OnnxOptions(opset=opset))
            onnx.checker.check_model(onnx.load_from_string(model), full_check=True)
            options = ort.SessionOptions()
            options.log_severity_level, options.intra_op_num_threads = 3, 1
            session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
            results = session.run(None, {f"x{i}": a for i, a in enumerate(data.arrays)})
            site = case.site(opset)
            truth = run_torch(case.operator, site, data.arrays, data.weights, double=True)
            single = run_torch(case.operator, site, data.arrays, data.weights)
            for t, s, r in zip(truth, single, results, strict=True):
                assert not compare(t.detach().numpy(), s.detach().numpy(), np.asarray(r)), (env, opset)
