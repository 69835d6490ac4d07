"""Batch norms computed into the convolution or linear layer before them: fewer nodes, and numbers that differ by rounding.

With scale s, shift b, mean m, variance v of the norm, `W' = W * s / sqrt(v + eps)` along the output channels and
`bias' = (bias - m) * s / sqrt(v + eps) + b`, in float64, rounded once (Jacob et al. 2018, arXiv:1712.05877, section 3.2).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from netspec.backends.onnx.model import OnnxModel, Operation
from netspec.backends.weights import Piece, Weights
from netspec.graph import Tensor
from netspec.record import record

#: For each operation that a norm may be folded into: the axis of its weight that runs over the output channels.
_FOLDABLE = {"Conv": 0, "ConvTranspose": 1, "Gemm": 0}


def fold_norms(model: OnnxModel, weights: Weights) -> tuple[OnnxModel, Weights]:
    """The model with every batch norm folded that stands alone behind a foldable operation, and the weights to write it with.

    Not folded: where the operation's result is read by others too or is an output, where its weights are shared, where a
    transposed convolution has groups, and where a linear layer's weight is not stored rows first.
    """
    tensors = {tensor.name: tensor for tensor in model.weights}
    uses = Counter(name for node in model.nodes for name in node.reads)
    uses.update(name for name, _ in model.outputs)
    maker = {node.outputs[0]: number for number, node in enumerate(model.nodes)}
    nodes: list[Operation | None] = list(model.nodes)
    recipes: dict[str, _Recipe] = {}
    added: dict[str, Tensor] = {}
    for number, norm in enumerate(model.nodes):
        source = maker.get(norm.inputs[0]) if norm.op_type == "BatchNormalization" else None
        if source is None or not _fits(model.nodes[source], norm, uses, tensors):
            continue
        layer = model.nodes[source]
        bias = layer.inputs[2] if len(layer.inputs) > 2 else _bias_name(layer.inputs[1], tensors)
        weight = tensors[layer.inputs[1]]
        epsilon = norm.attributes.values.get("epsilon", 1e-5)
        statistics = tuple(tensors[name] for name in norm.inputs[1:])
        recipe = _Recipe(weight, tensors.get(bias), statistics, epsilon, _FOLDABLE[layer.op_type])
        recipes[weight.name] = recipes[bias] = recipe
        added[weight.name] = _bias(bias, tensors, recipe)
        nodes[source] = replace(layer, inputs=(*layer.inputs[:2], bias), outputs=norm.outputs)
        nodes[number] = None
    return _rebuilt(model, nodes, added), _Folded(weights, recipes)


def _fits(layer: Operation, norm: Operation, uses: Mapping[str, int], tensors: Mapping[str, Tensor]) -> bool:
    if layer.op_type not in _FOLDABLE or layer.domain or uses[norm.inputs[0]] != 1 or len(norm.outputs) != 1:
        return False
    stored = (*layer.inputs[1:], *norm.inputs[1:])
    if not all(name in tensors and tensors[name].dtype == "float32" for name in stored):
        return False
    if any(uses[name] != 1 for name in layer.inputs[1:]):
        return False
    channels = tensors[layer.inputs[1]].shape[_FOLDABLE[layer.op_type]]
    if layer.op_type == "Gemm" and layer.attributes.values != {"transB": 1}:
        return False
    return (channels,) == tensors[norm.inputs[1]].shape


def _bias(name: str, tensors: Mapping[str, Tensor], recipe: _Recipe) -> Tensor:
    """The bias that the layer has, or one of the shape of the norm's."""
    shift = recipe.norm[1]
    return tensors.get(name) or shift.model_copy(update={"name": name, "local": "bias", "role": "bias"})


def _bias_name(weight: str, tensors: Mapping[str, Tensor]) -> str:
    name = f"{weight.removesuffix('weight')}bias"
    while name in tensors:
        name += "_"
    return name


def _rebuilt(model: OnnxModel, nodes: list[Operation | None], added: Mapping[str, Tensor]) -> OnnxModel:
    """The model with the nodes that are left and the weights that these read."""
    kept = [node for node in nodes if node is not None]
    read = {name for node in kept for name in node.reads}
    made = {name for node in kept for name in node.outputs}
    weights: dict[str, Tensor] = {}
    for tensor in model.weights:
        for one in (tensor, added.get(tensor.name, tensor)):
            if one.name in read:
                weights.setdefault(one.name, one)
    return replace(model, nodes=kept, weights=list(weights.values()), values=[value for value in model.values if value[0] in made])


@record
class _Recipe:
    """What one folded layer is computed from: its weight and bias, and the norm's scale, shift, mean and variance."""

    weight: Tensor
    bias: Tensor | None
    norm: tuple[Tensor, ...]
    epsilon: float
    axis: int

    def factor(self, weights: Weights) -> np.ndarray:
        """`s / sqrt(v + eps)`, a float64 for each channel."""
        scale, variance = weights.array(self.norm[0]).astype("float64"), weights.array(self.norm[3]).astype("float64")
        return scale / np.sqrt(variance + self.epsilon)

    def folded_weight(self, weights: Weights) -> np.ndarray:
        """The new weight, flat."""
        shape = [1] * len(self.weight.shape)
        shape[self.axis] = -1
        folded: np.ndarray = weights.array(self.weight) * self.factor(weights).reshape(shape)
        return folded.astype("float32").reshape(-1)

    def folded_bias(self, weights: Weights) -> np.ndarray:
        """The new bias."""
        shift, mean = (weights.array(tensor).astype("float64") for tensor in self.norm[1:3])
        old = weights.array(self.bias) if self.bias is not None else 0.0
        folded: np.ndarray = (old - mean) * self.factor(weights) + shift
        return folded.astype("float32")


@record
class _Folded(Weights):
    """The weights of a model whose norms were folded."""

    original: Weights
    recipes: Mapping[str, _Recipe]

    def pieces(self, tensor: Tensor) -> Iterator[Piece]:
        """A folded tensor in one part, others as they were."""
        recipe = self.recipes.get(tensor.name)
        count = int(np.prod(tensor.shape, dtype=np.int64))
        if recipe is None:
            yield from self.original.pieces(tensor)
        elif tensor.name == recipe.weight.name:
            yield Piece(count, lambda: recipe.folded_weight(self.original))
        else:
            yield Piece(count, lambda: recipe.folded_bias(self.original))
