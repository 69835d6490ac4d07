"""Pads and resizes of some axes, written as ones of all.

onnxruntime (1.31) puts channels last around int8 convolutions, and reorders what stands between them; of `Pad` and `Resize` it forgets then
which axes they name. Where they name all, there is nothing to forget.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper


def name_every_axis(model: Any) -> None:
    """Rewrite those whose amounts are known, and resizes of the last axes to computed sizes. The types of values are in the model."""
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    ranks = {info.name: len(info.type.tensor_type.shape.dim) for info in (*graph.input, *graph.value_info, *graph.output)}
    nodes: list[Any] = []
    for node in graph.node:
        if not node.domain and node.input and node.input[0] in ranks:
            if node.op_type == "Pad" and len(node.input) > 3 and node.input[3]:
                _pad(graph, node, ranks[node.input[0]], constants)
            elif node.op_type == "Resize":
                nodes += _resize(graph, node, ranks[node.input[0]], constants)
        nodes.append(node)
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def _pad(graph: Any, node: Any, rank: int, constants: dict[str, Any]) -> None:
    pads, axes = node.input[1], node.input[3]
    if pads not in constants or axes not in constants:
        return
    wide = np.zeros((2, rank), np.int64)
    wide[:, numpy_helper.to_array(constants[axes]) % rank] = numpy_helper.to_array(constants[pads]).reshape(2, -1)
    node.input[:] = [node.input[0], _stored(graph, f"{node.name}/pads", wide.reshape(-1)), *node.input[2:3]]


def _resize(graph: Any, node: Any, rank: int, constants: dict[str, Any]) -> list[Any]:
    """The nodes that are to stand before it."""
    named = next((attribute for attribute in node.attribute if attribute.name == "axes"), None)
    amounts = node.input[3] if len(node.input) > 3 else node.input[2] if len(node.input) > 2 else ""
    if named is None or not amounts or node.input[1] or [axis % rank for axis in named.ints] != list(range(rank - len(named.ints), rank)):
        return []
    policy = next((a.s for a in node.attribute if a.name == "keep_aspect_ratio_policy"), b"stretch")
    first = rank - len(named.ints)
    before: list[Any] = []
    if len(node.input) > 3 and policy == b"stretch":
        name = f"{node.name}/sizes"
        before = [
            helper.make_node("Shape", [node.input[0]], [f"{name}/before"], name=f"{name}/Shape", start=0, end=first),
            helper.make_node("Concat", [f"{name}/before", amounts], [name], name=f"{name}/Concat", axis=0),
        ]
        node.input[3] = name
    elif len(node.input) == 3 and amounts in constants:
        scales = numpy_helper.to_array(constants[amounts])
        node.input[2] = _stored(graph, f"{node.name}/scales", np.concatenate((np.ones(first, np.float32), scales)))
    else:
        return []
    node.attribute.remove(named)
    return before


def _stored(graph: Any, name: str, values: np.ndarray) -> str:
    graph.initializer.append(numpy_helper.from_array(values, name))
    return name
