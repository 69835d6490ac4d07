"""What attention costs beside its products: the operations on scores and biases, and what its backward pass keeps."""

from __future__ import annotations

from typing import Any

from netspec.record import record
from netspec.sizes.dim import Size, product
from netspec.sizes.tensor import DTYPES, TensorType, count

Types = tuple[TensorType, ...]


@record
class Held:
    """What is kept for the backward pass: inputs and outputs by number, and `more` bytes."""

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    more: Size


def _on_scores(op: Any, masks: int) -> int:
    """A softmax is five operations (see `operations`); every mask, the causal one too, is one more."""
    return 5 + masks + op.causal


def dot_product_operations(op: Any, x: Types, y: Types) -> Size:
    """The scale of the queries; masks and softmax on the scores."""
    scores = product((*y[0].shape[:-1], x[1].shape[-2]))
    return count(x[0]) + _on_scores(op, len(x) - 3) * scores


def multihead_operations(op: Any, x: Types, y: Types) -> Size:
    """The biases of four projections, the scale of the queries; masks and softmax on the scores of every head."""
    masks = op.attn_mask + op.key_padding_mask
    keys = x[1].shape[1] if len(x) - masks == 3 else x[0].shape[1]
    batch, queries, width = y[0].shape
    biases = 2 * batch * width * (queries + keys) if op.bias else 0
    return biases + count(y[0]) + _on_scores(op, masks) * batch * op.heads * queries * keys


def dot_product_keeps(op: Any, x: Types, y: Types, flows: tuple[bool, ...]) -> Held:
    """Of the fused kernel: queries, keys, values, output, and a logarithm for every query; a mask as numbers.

    Where torch computes it in steps (dropout, a mask that learns, other axes than `[N, heads, T, E]`, values of another width than
    keys): queries and keys with their scale, the shares, and the values, each as often as it is repeated.
    """
    q, k, v = x[:3]
    each = DTYPES[q.dtype]
    heads = q.shape[:-2] == k.shape[:-2] == v.shape[:-2] or op.enable_gqa
    learns = len(x) > 3 and flows[3]
    if q.rank == 4 and heads and q.shape[-1] == v.shape[-1] and not op.dropout and not learns:
        logarithms = product(q.shape[:-1]) * DTYPES["float32"]
        truth = len(x) > 3 and x[3].dtype == "bool"
        numbers = count(x[3]) * each if truth else 0
        return Held((0, 1, 2, 3) if len(x) > 3 and not truth else (0, 1, 2), (0,), logarithms + numbers)
    batch = y[0].shape[:-2]
    scores = product((*batch, q.shape[-2], k.shape[-2]))
    scaled = product((*batch, *q.shape[-2:])) + product((*batch, *k.shape[-2:]))
    repeated = v.shape[:-2] != batch
    more = scaled + (3 if op.dropout else 1) * scores + (product((*batch, *v.shape[-2:])) if repeated else 0)
    return Held(() if repeated else (2,), (), more * each)


def multihead_keeps(op: Any, x: Types, y: Types, flows: tuple[bool, ...]) -> Held:
    """Copies of what is projected, its projections, a logarithm for every query and head, the heads' output; masks as numbers, for
    every head. What is computed in steps keeps the scaled queries and keys, and the shares, instead."""
    masks = [name for name in ("attn_mask", "key_padding_mask") if getattr(op, name)]
    rest = x[: len(x) - len(masks)]
    q, k, v = rest if len(rest) == 3 else rest * 3
    batch, queries, width = q.shape
    keys, each = k.shape[1], DTYPES[q.dtype]
    copies = count(q) if len(rest) == 1 else count(q) + count(k) + count(v)
    projected = batch * width * (queries + 2 * keys)
    more = copies + projected + count(q)
    found = dict(zip(masks, range(len(rest), len(x))))
    stepwise = op.dropout or any(flows[i] for i in found.values())
    scores = batch * op.heads * queries * keys
    if stepwise:  # values alone among all that one product projected keep queries and keys as well, beside the scaled ones
        packed = count(q) + count(k) if len(rest) == 1 else 0
        return Held((), (), (more + packed + (3 if op.dropout else 1) * scores) * each)
    inputs: tuple[int, ...] = ()
    if len(masks) == 2 or op.causal and masks:
        more = more + scores
    elif "key_padding_mask" in found:
        more = more + batch * op.heads * keys
    elif "attn_mask" in found:
        mask = x[found["attn_mask"]]
        inputs, more = ((), more + count(mask)) if mask.dtype == "bool" else ((found["attn_mask"],), more)
    return Held(inputs, (), more * each + batch * op.heads * queries * DTYPES["float32"])
