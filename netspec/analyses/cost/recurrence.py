"""Recurrent layers step by step: their elementwise operations, and what autograd saves of them.

Both are sums over every layer and direction of so many numbers a unit and step. Where torch runs a fused kernel (cuDNN, oneDNN) it
keeps a workspace of its own layout instead, which no documentation sizes: what is counted here is torch's own kernel.
"""

from __future__ import annotations

from typing import Any

from netspec.sizes.dim import Size, product
from netspec.sizes.tensor import DTYPES, TensorType


def elementwise(op: Any, x: TensorType) -> Size:
    """Gates and states of all steps: a sigmoid is 4 operations and a tanh 1, as alone; the matrices are multiply-accumulates."""
    return _per_unit(op) * op.hidden * (x.shape[0] if _is_cell(op) else op.layers * _directions(op) * x.shape[0] * x.shape[1])


def _per_unit(op: Any) -> int:
    kind = op.NAME.removesuffix("_cell")
    if kind == "rnn":
        return 1 + op.bias
    if kind == "lstm":  # three sigmoids, two tanh, f * c + i * g, o * tanh(c)
        return 12 + 2 + 3 + 1 + 4 * op.bias
    if op.reset == "after":  # two sigmoids, tanh, r * (…) + (…), (1 - z) * n + z * h; both sides of n have a bias of their own
        return 8 + 1 + 2 + 4 + 4 * op.bias
    return 8 + 1 + 1 + 4 + 3 * op.bias  # r * h goes into the product


def _is_cell(op: Any) -> bool:
    return bool(op.NAME.endswith("_cell"))


def _directions(op: Any) -> int:
    return 2 if op.bidirectional else 1


def saved_bytes(op: Any, x: TensorType, given: bool) -> Size:
    """What is kept for the backward pass beside an input that is not copied, the states given, and a cell's output."""
    return product((_cell_numbers(op, x, given) if _is_cell(op) else _layer_numbers(op, x, given), DTYPES[x.dtype]))


def copies_input(op: Any, x: TensorType) -> bool:
    """Whether the input is kept as a copy with the time first, once a direction, rather than as it is."""
    return not _is_cell(op) and 1 not in x.shape[:2] and getattr(op, "reset", "after") == "after"


def _cell_numbers(op: Any, x: TensorType, given: bool) -> Size:
    """Gates and what is made of them, and the zeros where no state was given."""
    gates = {"rnn_cell": 0, "gru_cell": 5, "lstm_cell": 5}[op.NAME] + (getattr(op, "reset", "") == "after")
    return (gates + (not given)) * op.hidden * x.shape[0]


def _layer_numbers(op: Any, x: TensorType, given: bool) -> Size:
    batch, steps, features = x.shape
    directions, width = _directions(op), getattr(op, "proj", None) or op.hidden
    between = (op.layers - 1) * batch * steps * directions * width * (2 if op.dropout > 0 else 1)  # the mask is kept too
    first = 0 if given else op.layers * directions * batch * (width + (op.hidden if op.NAME == "lstm" else 0))
    inside = op.layers * directions * batch * _inside(op, steps)
    copied = directions * batch * steps * features if copies_input(op, x) else 0
    return copied + between + first + inside


def _inside(op: Any, steps: Size) -> Size:
    """Numbers kept for each unit and example: gates, cells, and states but the initial ones."""
    if op.NAME == "rnn":
        return steps * op.hidden  # each state is what its tanh puts out
    if op.NAME == "gru":
        return ((7 if op.reset == "after" else 6) * steps - 1) * op.hidden
    if op.proj:
        return (7 * steps - 1) * op.hidden + (steps - 1) * op.proj
    return (7 * steps - 2) * op.hidden
