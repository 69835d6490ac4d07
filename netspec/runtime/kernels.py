"""Which operators of a model a provider has no kernel for. onnxruntime names the first that it meets; a user wants them all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import onnxruntime

#: The most kinds of nodes that are tried.
_MOST = 200


def lacking(model: bytes | str | os.PathLike[str], theirs: str) -> tuple[str, ...]:
    """A line for each element type: which operators the provider (onnxruntime's name) lacks for it; none where that cannot be told.

    Each kind of node is tried as a model of its own: the operator with its attributes and the types of its inputs.
    """
    import onnx

    try:
        whole = onnx.load_from_string(model) if isinstance(model, bytes) else onnx.load(os.fspath(model), load_external_data=False)
        types = _types(onnx.shape_inference.infer_shapes(whole))
    except Exception:  # a model that onnx does not take either is told of by onnxruntime's own message
        return ()
    found: dict[str, dict[str, None]] = {}
    for node, kinds in _distinct(whole.graph, types):
        if not _runs(_alone(whole, node, kinds), theirs):
            named = [onnx.TensorProto.DataType.Name(kind).lower() for kind in kinds.values()]
            floating = [name for name in named if "float" in name or name == "double"]
            found.setdefault((floating or named or ["no input"])[0], {})[node.op_type] = None
    return tuple(f"in {dtype} it lacks {', '.join(operators)}" for dtype, operators in found.items())


def _types(model: Any) -> dict[str, int]:
    graph = model.graph
    ports = (*graph.input, *graph.value_info, *graph.output)
    found = {port.name: port.type.tensor_type.elem_type for port in ports if port.type.HasField("tensor_type")}
    return {**found, **{tensor.name: tensor.data_type for tensor in graph.initializer}}


def _distinct(graph: Any, types: dict[str, int]) -> Iterator[tuple[Any, dict[str, int]]]:
    """A node of each kind, with the types of what it reads; those that run graphs, or read what is not known, are left out."""
    seen: set[Any] = set()
    for node in graph.node:
        kinds = {name: types.get(name, 0) for name in node.input if name}
        key = node.domain, node.op_type, tuple(kinds.values())
        if key in seen or not all(kinds.values()) or any(attribute.HasField("g") for attribute in node.attribute):
            continue
        seen.add(key)
        if len(seen) > _MOST:
            return
        yield node, kinds


def _alone(whole: Any, node: Any, kinds: dict[str, int]) -> bytes:
    import onnx

    inputs = [onnx.helper.make_tensor_value_info(name, kind, None) for name, kind in kinds.items()]
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
    graph = onnx.helper.make_graph([node], "one", inputs, outputs)
    return onnx.helper.make_model(graph, opset_imports=whole.opset_import, ir_version=whole.ir_version).SerializeToString()


def _runs(model: bytes, theirs: str) -> bool:
    """Whether the provider takes it; other faults (an input that must be a constant) are none of the kernel's."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        onnxruntime.InferenceSession(model, options, providers=[theirs], enable_fallback=0)
    except Exception as error:
        text = str(error)
        return "Could not find an implementation" not in text and not ("Type '" in text and "is invalid" in text)
    return True
