"""What operators are to the rules: a young idea, so a table here and not a facet of the operators."""

from __future__ import annotations

from netspec.graph import Node

#: affine maps with weights of their own
AFFINE = frozenset({"conv", "conv_transpose", "local_conv", "linear"})
#: keep every number, only move or name it
MOVES = frozenset(
    {"identity", "reshape", "flatten", "permute", "squeeze", "unsqueeze", "expand", "pixel_shuffle", "pixel_unshuffle", "slice",
     "select", "split", "chunk", "crop", "roll", "flip"}
)  # fmt: skip

#: operators that take a layer and stand in its place
_WRAPPERS = frozenset({"weight_norm", "spectral_norm"})


def is_affine(node: Node) -> bool:
    """Whether a node is an affine map with weights, also inside `weight_norm` and the like."""
    return inner(node).NAME in AFFINE


def inner(node: Node):  # noqa: ANN201
    """The operator, or the layer that it wraps (`weight_norm(conv(8, 3))`)."""
    return node.op.layer if node.op.NAME in _WRAPPERS else node.op


#: noise in training, nothing in evaluation
DROPOUTS = frozenset({"dropout", "channel_dropout", "alpha_dropout", "drop_path"})
#: make the scale of what comes in irrelevant to what goes out
NORMS = frozenset({"batch_norm", "instance_norm", "group_norm", "layer_norm", "rms_norm"})
#: linear up to where they bend: for large inputs they neither saturate nor compare units
RECTIFIERS = frozenset(
    {"relu", "relu6", "leaky_relu", "prelu", "hard_swish", "elu", "celu", "selu", "softplus", "gelu", "silu", "mish"}
)  # fmt: skip
#: press everything into an interval, or into shares that sum to 1
SQUASHING = frozenset({"sigmoid", "hard_sigmoid", "tanh", "hard_tanh", "softsign", "softmax", "log_softmax", "log_sigmoid"})
#: nonlinear functions of one tensor, as they stand behind layers
ACTIVATIONS = RECTIFIERS | SQUASHING | {"glu", "maxout", "threshold"}
#: keep every element, and which example it belongs to; only where it stands changes
SHAPES = frozenset({"identity", "reshape", "flatten", "permute", "squeeze", "unsqueeze"})


def is_noise(node: Node) -> bool:
    """Whether a node drops elements or channels in training. (`drop_path` drops a whole branch of an example: another thing.)"""
    return node.op.NAME in DROPOUTS - {"drop_path"} and bool(getattr(node.op, "p", 0))
