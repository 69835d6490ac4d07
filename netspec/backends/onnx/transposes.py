"""`MatMul(Transpose(x), weight)` as `Transpose(MatMul(x, weight))`, which is the same where the last axis stays.

onnxruntime's CPU sessions fuse the first into a product that transposes on its way, for which they have no float16 kernel; where the
first axis goes next to the last (a sequence of steps turned batch first), 1.31 ends in a crash while it optimizes, at its default level.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from netspec.backends.onnx.model import OnnxModel, Operation
from netspec.graph import fresh


def behind_products(model: OnnxModel) -> OnnxModel:
    """The model with every such transposition behind the product that alone reads it."""
    ranks = {tensor.name: len(tensor.shape) for tensor in model.weights}
    uses = Counter(name for node in model.nodes for name in node.reads)
    uses.update(name for name, _ in model.outputs)
    taken = {name for node in model.nodes for name in node.outputs} | {*ranks, *(name for name, _ in model.inputs)}
    made: dict[str, int] = {}
    nodes: list[Operation | None] = []
    for node in model.nodes:
        turned = nodes[made[node.inputs[0]]] if node.op_type == "MatMul" and node.inputs[0] in made else None
        if turned is not None and _moves_first(turned) and uses[node.inputs[0]] == 1 and ranks.get(node.inputs[1]) == 2:
            nodes[made[node.inputs[0]]] = None
            inside = fresh(f"{node.outputs[0]}/MatMul", taken)
            nodes.append(replace(node, inputs=(turned.inputs[0], node.inputs[1]), outputs=(inside,)))
            node = replace(turned, inputs=(inside,), outputs=node.outputs)
        made.update(dict.fromkeys(node.outputs, len(nodes)))
        if node.op_type == "Transpose" and node.inputs[0] in ranks:
            ranks[node.outputs[0]] = ranks[node.inputs[0]]
        nodes.append(node)
    kept = [node for node in nodes if node is not None]
    names = {name for node in kept for name in node.outputs}
    return replace(model, nodes=kept, values=[value for value in model.values if value[0] in names])


def _moves_first(node: Operation) -> bool:
    """Whether a node brings the first axis of its argument next to the last, and leaves that."""
    order = node.attributes.values.get("perm") if node.op_type == "Transpose" else None
    return bool(order) and tuple(order[-2:]) == (0, len(order) - 1)
