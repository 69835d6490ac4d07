"""What onnxruntime's quantizer leaves to be done: layers in float32 read exact values, nodes stand in order, nothing is unused."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import onnx

from netspec.runtime.quantization.float_model import inner_nodes
from netspec.runtime.quantization.loss import canonical


def finished(made: Any, original: Any, left: set[str], chosen: Collection[str]) -> Any:
    """The quantizer's model, with the facts of the original: names, descriptions, metadata, and types of the values still there. `left`
    are the nodes that were left in float32, `chosen` those in int8. The model is changed, and given back."""
    _read_exactly(made, left, frozenset(chosen), original)
    _sweep(made)
    _sort(made)
    computed = {name for node in made.graph.node for name in node.output}
    infos = [info for info in original.graph.value_info if info.name in computed]
    del made.graph.value_info[:], made.metadata_props[:]
    made.graph.value_info.extend(infos)
    made.metadata_props.extend(original.metadata_props)
    made.producer_name, made.producer_version, made.doc_string = original.producer_name, original.producer_version, original.doc_string
    return made


def _read_exactly(made: Any, left: set[str], chosen: frozenset[str], original: Any) -> None:
    """Let the nodes in float32 read values as they are computed: the quantizer rounds a value for all who read it.

    Those that were left out read exactly whatever there is; others what is given or computed in float32, for what int8 computes would not
    be computed in int8 if somebody read it before it is rounded.
    """
    maker = {name: node for node in made.graph.node for name in node.output}
    was = {name: node.op_type for node in original.graph.node for name in node.output}
    floating = {node.name for node in original.graph.node} - chosen
    for node in made.graph.node:
        for place, name in enumerate(node.input if node.name in floating else ()):
            second = maker.get(name)
            first = maker.get(second.input[0]) if second is not None and second.op_type == "DequantizeLinear" else None
            if first is None:
                continue
            source = first.input[0]
            if node.name not in left and source in maker and maker[source].name in chosen:
                continue
            if source not in maker or maker[source].op_type == was.get(canonical(source, was)):  # else a ReLU went into the rounding
                node.input[place] = source


def _sweep(model: Any) -> None:
    """Remove roundings and stored values that nothing reads any more."""
    for kind in ("DequantizeLinear", "QuantizeLinear"):
        read = _read(model.graph)
        for node in [node for node in model.graph.node if node.op_type == kind and node.output[0] not in read]:
            model.graph.node.remove(node)
    read = _read(model.graph)
    for tensor in [tensor for tensor in model.graph.initializer if tensor.name not in read]:
        model.graph.initializer.remove(tensor)


def _read(graph: Any) -> set[str]:
    names = {name for node in graph.node for one in (node, *inner_nodes(node)) for name in one.input}
    return names | {port.name for port in graph.output}


def _sort(model: Any) -> None:
    """Put the nodes in order, each behind what it and its bodies read: the quantizer's stand at the end."""
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in model.graph.node]
    maker = {name: number for number, node in enumerate(nodes) for name in node.output}
    order: dict[int, None] = {}
    for last in range(len(nodes)):
        stack = [last]
        while stack:
            reads = [name for one in (nodes[stack[-1]], *inner_nodes(nodes[stack[-1]])) for name in one.input]
            missing = [maker[name] for name in reads if name in maker and maker[name] not in order]
            if missing:
                stack += missing
            else:
                order[stack.pop()] = None
    del model.graph.node[:]
    model.graph.node.extend(nodes[number] for number in order)
