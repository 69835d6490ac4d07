"""Folding: what can be computed once is, and what can be computed by the layer beside it is. Fewer nodes, the same network.

In turn, until nothing changes: nodes that do nothing or repeat others go (`fold_moves`, the same to the bit); what follows from stored
arrays alone is computed (`fold_constants`: the same operations in NumPy); zeros put around a value are put there by the layer that
reads it (`fold_pads`, the same); norms, scales and shifts go into the layer beside them (`fold_norms`: numbers differ by rounding);
activations that were spelled out are the runtime's own (`fold_activations`: numbers differ by rounding beside 1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from netspec.backends.onnx.fold_activations import fold_activations
from netspec.backends.onnx.fold_constants import compute_constants
from netspec.backends.onnx.fold_moves import remove_moves
from netspec.backends.onnx.fold_norms import fold_affine
from netspec.backends.onnx.fold_pads import fold_pads
from netspec.backends.onnx.model import Body, OnnxModel
from netspec.backends.onnx.rewriting import Rewriting
from netspec.backends.onnx.stored import Folded
from netspec.backends.weights import Weights

#: In the order in which they help each other; and those that leave stored arrays as they are.
_PASSES = (remove_moves, compute_constants, fold_activations, fold_pads, fold_affine)
_INSIDE = (remove_moves, fold_activations)


def fold(model: OnnxModel, weights: Weights) -> tuple[OnnxModel, Weights]:
    """The model with fewer nodes, and the weights to write it with: changed ones are made a tensor at a time, when they are written.

    A layer is changed only where its weight and bias are read by it alone, and a node goes only where nobody else reads its result.
    """
    net = Rewriting(model)
    for number, node in net:
        if node.body is not None:
            net.put(number, replace(node, body=_inside(model, node.body)))
    _repeat(net, _PASSES)
    folded, arrays = net.model_and_arrays()
    return folded, Folded(weights, arrays)


def _inside(model: OnnxModel, body: Body) -> Body:
    """The body of a node with fewer nodes; what it captures is stored for all the model."""
    net = Rewriting(replace(model, nodes=list(body.nodes), inputs=list(body.inputs), outputs=list(body.outputs), values=[]))
    for number, node in net:
        if node.body is not None:
            net.put(number, replace(node, body=_inside(model, node.body)))
    _repeat(net, _INSIDE)
    return replace(body, nodes=tuple(node for _, node in net))


def _repeat(net: Rewriting, passes: Sequence[Callable[[Rewriting], bool]]) -> None:
    while any([rewrite(net) for rewrite in passes]):
        pass
