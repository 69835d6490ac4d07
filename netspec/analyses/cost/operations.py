"""Elementwise operations of one application: what an operator computes beside its multiply-accumulates.

One operation is one step of arithmetic on one element in evaluation mode: an addition, subtraction, multiplication or
division; a comparison, minimum, maximum or choice; or a function of one number (`exp`, `log`, `sqrt`, `tanh`, `erf`, a
power, an absolute value, a change of type). The formula counted is the one in the operator's documentation, with what
depends on no input folded into one number: the scale and shift of a batch norm are one multiplication and one addition.
What is done once a row or a group (the root of a variance) is left out, and a window counts whole where it reaches into
padding, as multiply-accumulates do too. Moving elements (reshape, concat, crop, nearest interpolation) counts nothing.

An operator of the registry has a line of its own here; one from outside it goes by its family.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from netspec.analyses.cost.attention import dot_product_operations, multihead_operations
from netspec.analyses.cost.recurrence import elementwise
from netspec.op import Operator
from netspec.sizes.dim import Size
from netspec.sizes.tensor import TensorType, count

Types = tuple[TensorType, ...]
#: operator, inputs, outputs: the operations of one application
Rule = Callable[[Any, Types, Types], Size]


def operations(op: Operator, inputs: Types, outputs: Types) -> Size:
    """The elementwise operations of one application, at these types (open or closed)."""
    return OPERATIONS.get(op.NAME, FAMILIES[op.FAMILY])(op, inputs, outputs)


def _output(each: int) -> Rule:
    """So many an element of the output."""
    return lambda op, x, y: each * count(y[0])


def _input(each: int) -> Rule:
    """So many an element of the first input: reductions, in which every element is looked at."""
    return lambda op, x, y: each * count(x[0])


def _nothing(op: Any, x: Types, y: Types) -> Size:
    return 0


def _bias(op: Any, x: Types, y: Types) -> Size:
    """The addition of the bias; the products and their sums are multiply-accumulates."""
    return count(y[0]) if op.bias else 0


def _inner(each: int) -> Rule:
    """The wrapped layer's own, and so many an element of its weight, which is computed anew at every application."""

    def rule(op: Any, x: Types, y: Types) -> Size:
        weight = next(w for w in op.layer.params(x) if w.name == "weight")
        return operations(op.layer, x, y) + each * prod(s for s in weight.shape if isinstance(s, int))

    return rule


def _tracked_norm(op: Any, x: Types, y: Types) -> Size:
    """With running statistics a scale and a shift; otherwise as a norm that takes its own."""
    return 2 * count(y[0]) if op.track_running_stats else _own_norm(op, x, y)


def _own_norm(op: Any, x: Types, y: Types) -> Size:
    """Sum, difference from the mean, square, its sum, product with the inverse root; then scale and shift, where learned."""
    return (5 + 2 * op.affine) * count(y[0])


def _layer_norm(op: Any, x: Types, y: Types) -> Size:
    return (5 + op.affine + (op.affine and op.bias)) * count(y[0])


def _pool(each: int, more: int) -> Rule:
    """`each` a tap of the window, and `more` an output."""

    def rule(op: Any, x: Types, y: Types) -> Size:
        axes = x[0].rank - 2
        taps = prod(op.kernel) if isinstance(op.kernel, tuple) else op.kernel**axes
        return (each * taps + more) * count(y[0])

    return rule


def _interpolation(op: Any, x: Types, y: Types) -> Size:
    """The weighted sum of t taps is `2 t - 1` operations; a nearest neighbour is copied, an area is averaged."""
    if op.mode == "area":
        return count(x[0])
    taps = 0 if "nearest" in op.mode else 4 if op.mode == "bicubic" else 2
    return (2 * taps ** (x[0].rank - 2) - 1) * count(y[0]) if taps else 0


def _clamp(op: Any, x: Types, y: Types) -> Size:
    return ((op.min is not None) + (op.max is not None)) * count(y[0])


def _softplus(op: Any, x: Types, y: Types) -> Size:
    """Exponential, sum, logarithm, choice; with a beta, a product and a quotient more."""
    return (4 if op.beta == 1 else 6) * count(y[0])


def _cast(op: Any, x: Types, y: Types) -> Size:
    return 0 if x[0].dtype == y[0].dtype else count(y[0])


def _recurrent(op: Any, x: Types, y: Types) -> Size:
    return elementwise(op, x[0])


def _einsum(op: Any, x: Types, y: Types) -> Size:
    """The sums of one input; products where nothing is multiplied and added."""
    if len(x) == 1:
        return count(x[0]) if x[0].rank > y[0].rank else 0
    return (len(x) - 1) * count(y[0]) if op.macs(x, y) == 0 else 0  # type: ignore[no-any-return]


def _grid_sample(op: Any, x: Types, y: Types) -> Size:
    """The weighted sum of 4, 8 or 16 neighbours, as in an interpolation."""
    linear = 2 * 2 ** (x[0].rank - 2) - 1
    return {"nearest": 0, "bilinear": linear, "bicubic": 31}[op.mode] * count(y[0])


#: operations by operator
OPERATIONS: dict[str, Rule] = {
    "conv": _bias, "conv_transpose": _bias, "local_conv": _bias, "linear": _bias,
    "embedding": _nothing, "matmul": _nothing,
    "weight_norm": _inner(3),  #                  square, sum, product
    "spectral_norm": _inner(3),  #                product, sum, quotient
    "max_pool": _pool(1, -1),  #                  k - 1 comparisons
    "avg_pool": _pool(1, 0),  #                   k - 1 sums, one quotient
    "lp_pool": _pool(2, 0),  #                    k powers, k - 1 sums, one root
    "adaptive_avg_pool": _input(1), "adaptive_max_pool": _input(1),  # exact where the sizes divide
    "global_avg_pool": _input(1), "global_max_pool": _input(1),
    "batch_norm": _tracked_norm, "instance_norm": _tracked_norm, "group_norm": _own_norm,
    "layer_norm": _layer_norm,
    "rms_norm": lambda op, x, y: (3 + op.affine) * count(y[0]),  # square, sum, product with the inverse root; scale
    "local_response_norm": lambda op, x, y: (op.size + 4) * count(y[0]),  # square, k - 1 sums, two for the line, power, quotient
    "relu": _output(1), "relu6": _output(2), "threshold": _output(1), "hard_tanh": _output(2),
    "leaky_relu": _output(2), "prelu": _output(2),  # product, choice
    "maxout": lambda op, x, y: (op.pieces - 1) * count(y[0]),
    "hard_swish": _output(5),  #                  sum, maximum, minimum, product, quotient
    "elu": _output(4), "selu": _output(5), "celu": _output(5),  # exponential, difference, product, choice; a factor more
    "softplus": _softplus,
    "gelu": lambda op, x, y: (5 if op.approximate is None else 9) * count(y[0]),  # x (erf(x a) + 1) / 2; with a cubic and tanh
    "silu": _output(4),  #                        negative, exponential, sum, quotient
    "mish": _output(5),  #                        exponential, sum, logarithm, tanh, product
    "sigmoid": _output(4), "hard_sigmoid": _output(4), "tanh": _output(1), "softsign": _output(3),
    "softmax": _output(5),  #                     maximum, difference, exponential, sum, quotient
    "log_softmax": _output(5),  #                 the same, with a difference at the end
    "log_sigmoid": _output(5), "glu": _output(4),
    "dropout": _nothing, "channel_dropout": _nothing, "alpha_dropout": _nothing, "drop_path": _nothing,
    "resize": _interpolation, "upsample": _interpolation,
    "pixel_shuffle": _nothing, "pixel_unshuffle": _nothing, "pad": _nothing, "crop": _nothing,
    "flatten": _nothing, "reshape": _nothing, "permute": _nothing, "squeeze": _nothing, "unsqueeze": _nothing, "expand": _nothing,
    "cast": _cast,
    "split": _nothing, "chunk": _nothing, "slice": _nothing, "select": _nothing, "concat": _nothing, "stack": _nothing,
    "rnn": _recurrent, "gru": _recurrent, "lstm": _recurrent,
    "rnn_cell": _recurrent, "gru_cell": _recurrent, "lstm_cell": _recurrent,
    "add": _output(1), "sub": _output(1), "mul": _output(1), "div": _output(1), "pow": _output(1),
    "maximum": _output(1), "minimum": _output(1), "clamp": _clamp,
    "neg": _output(1), "abs": _output(1), "exp": _output(1), "log": _output(1), "sqrt": _output(1),
    "sin": _output(1), "cos": _output(1), "tan": _output(1), "atan": _output(1), "erf": _output(1),
    "rsqrt": _output(2), "reciprocal": _output(1), "floor": _output(1), "ceil": _output(1), "round": _output(1), "sign": _output(1),
    "remainder": _output(1), "floor_divide": _output(1),
    "mean": _input(1), "sum": _input(1), "max": _input(1), "min": _input(1), "prod": _input(1), "argmax": _input(1), "argmin": _input(1),
    "any": _input(1), "all": _input(1),
    "var": _input(4), "std": _input(4),  #        sum, difference, square, sum
    "vector_norm": _input(2), "normalize": _input(3),  # power, sum; quotient
    "logsumexp": _input(4),  #                    maximum, difference, exponential, sum
    "scaled_dot_product": dot_product_operations, "multihead_attention": multihead_operations,
    "equal": _output(1), "not_equal": _output(1), "less": _output(1), "less_equal": _output(1), "greater": _output(1),
    "greater_equal": _output(1), "logical_and": _output(1), "logical_or": _output(1), "logical_not": _output(1), "where": _output(1),
    "flip": _nothing, "tile": _nothing, "repeat_interleave": _nothing, "tril": _nothing, "triu": _nothing,
    "roll": _nothing, "cumsum": _output(1), "gather": _nothing, "index_select": _nothing,
    "unfold": _nothing, "fold": _input(1),  #      overlaps are summed
    "einsum": _einsum, "grid_sample": _grid_sample,
    "param": _nothing, "buffer": _nothing, "constant": _nothing, "one_hot": _nothing, "identity": _nothing, "arange": _nothing,
}  # fmt: skip

#: operations by family, for operators that are not in the registry (an `extern`): what most of the family do
FAMILIES: dict[str, Rule] = {
    "io": _nothing, "reshape": _nothing, "regularizer": _nothing,
    "conv": _output(1), "linear": _output(1), "activation": _output(1), "merge": _output(1), "extern": _output(1),
    "upsample": _output(3), "attention": _output(5), "recurrent": _output(5), "norm": _output(7), "pool": _input(1),
}  # fmt: skip
