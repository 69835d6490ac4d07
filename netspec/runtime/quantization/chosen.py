"""Which nodes of a network int8 is for, and which of them stay in float32 together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import onnx

from netspec.backends.onnx.kept import below
from netspec.runtime.quantization.float_model import float_values

#: Operators with stored weights, which make a network worth it, and those that compute in int8 between them.
WEIGHED = ("Conv", "Gemm", "MatMul")
BETWEEN = (
    "Add", "Mul", "Relu", "Clip", "LeakyRelu", "Sigmoid", "MaxPool", "AveragePool", "GlobalAveragePool", "Concat", "Split", "Reshape",
    "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Resize", "Pad", "Slice",
)  # fmt: skip
#: Those of one input: what they round is the value that they are given.
_SINGLE = frozenset(BETWEEN) - {"Add", "Mul", "Concat"}


def candidates_of(model: Any) -> list[Any]:
    """The nodes that int8 is for: those with stored weights, and those of `BETWEEN` whose inputs all come from int8."""
    stored = {tensor.name for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT}
    every = {tensor.name for tensor in model.graph.initializer}
    floats = float_values(model)
    low: set[str] = set()
    found = []
    for node in model.graph.node:
        if node.domain:
            continue
        computed = [name for name in node.input if name and name not in every and name in floats]
        if node.op_type in WEIGHED:
            fits = len(node.input) > 1 and node.input[1] in stored and len(computed) == 1
        else:
            fits = node.op_type in BETWEEN and bool(computed) and all(name in low for name in computed)
        if fits and all(name in floats for name in node.output):
            found.append(node)
            low.update(node.output)
    return found


def touched(model: Any, nodes: Iterable[Any]) -> list[str]:
    """The values that those nodes read and make, in order."""
    names = {name for node in nodes for name in (*node.input, *node.output)}
    return [name for name in float_values(model) if name in names]


def kept_nodes(labels: Iterable[str], names: list[str]) -> set[str]:
    """The nodes of those labels, and of all that stands below them."""
    return {name for label in labels for name in below(label, names)}


def with_sources(left: set[str], candidates: Iterable[Any]) -> set[str]:
    """The layers with what stands between them and the layer before: a value that is to be exact is so from there on."""
    maker = {name: node for node in candidates for name in node.output}
    found: set[str] = set()
    todo = [node for node in candidates if node.name in left]
    while todo:
        node = todo.pop()
        found.add(node.name)
        before = [maker[name] for name in node.input if name in maker]
        todo += [one for one in before if one.op_type in _SINGLE and one.name not in found]
    return found
