"""What the backward pass keeps of the forward pass: the tensors that PyTorch's autograd saves, by operator.

Read from `tools/autograd/derivatives.yaml`, and held against `torch.autograd.graph.saved_tensors_hooks` by the tests, on a
CPU: a dropout keeps its noise in the elements of its input there, and a mask of one byte an element on a GPU. Every
storage is kept once, however many operators save it or a view of it; parameters and running statistics are not counted.
Where nothing that trains is upstream, nothing is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import prod
from typing import Any

from netspec.analyses.cost.attention import Held, dot_product_keeps, multihead_keeps
from netspec.analyses.cost.layers import tensor_bytes
from netspec.analyses.cost.operations import Types
from netspec.analyses.cost.recurrence import copies_input, saved_bytes
from netspec.ops._padding import windows
from netspec.ops._window import Window
from netspec.record import record
from netspec.sizes.dim import Size, product, total
from netspec.sizes.tensor import DTYPES, TensorType, count


@record
class Site:
    """One application: operator, types, and which inputs a gradient flows back to."""

    op: Any
    inputs: Types
    outputs: Types
    flows: tuple[bool, ...]

    @property
    def x(self) -> TensorType:
        """The first input."""
        return self.inputs[0]

    @property
    def y(self) -> TensorType:
        """The first output."""
        return self.outputs[0]


@record
class Saved:
    """What one application saves: inputs and outputs by number, and `more` bytes of its own."""

    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    more: Size = 0


Rule = Callable[[Site], Saved]

NOTHING, INPUT, OUTPUT, BOTH = Saved(), Saved((0,)), Saved((), (0,)), Saved((0,), (0,))


def saved(site: Site) -> Saved:
    """What an application saves; all of its inputs and outputs where the operator is not in the registry."""
    if site.op.NAME in KEEPS:
        return KEEPS[site.op.NAME](site)
    return Saved(tuple(range(len(site.inputs))), tuple(range(len(site.outputs))))


def _always(what: Saved) -> Rule:
    return lambda site: what


def _windows(site: Site) -> tuple[Window, ...]:
    op = site.op
    return windows(op.padding, op.kernel, op.stride or op.kernel, getattr(op, "dilation", 1), site.x.spatial)


def _padded(site: Site, more: Iterable[Size]) -> Size:
    """The bytes of the input with so much more along each spatial axis."""
    return product((*site.x.shape[:2], *(n + m for n, m in zip(site.x.spatial, more)))) * DTYPES[site.x.dtype]


def _conv(site: Site) -> Saved:
    """The input: the gradient of the weight needs it. What is padded outside of the convolution is kept padded."""
    found, mode = _windows(site), site.op.padding_mode
    around = _padded(site, (w.before + w.after for w in found))
    if mode != "zeros":
        return Saved(() if mode == "circular" else (0,), (), around)
    if all(w.before == w.after for w in found):
        return INPUT
    if site.op.padding == "same" and all(w.stride == 1 for w in found):  # torch pads the odd rest alone
        return Saved((), (), _padded(site, (w.after - w.before for w in found)))
    return Saved((), (), around)


def _local_conv(site: Site) -> Saved:
    """The windows side by side."""
    windowed = product(site.op.params(site.inputs)[0].shape[site.x.rank - 1 :])
    return Saved((), (), site.x.shape[0] * product(site.y.spatial) * windowed * DTYPES[site.x.dtype])


def _max_pool(site: Site) -> Saved:
    """The input, padded where torch's module cannot, and where each maximum stood, as int64."""
    indices = count(site.y) * DTYPES["int64"]
    found = _windows(site)
    if all(w.before == w.after and (w.before == 0 or 2 * w.before <= w.kernel) for w in found):
        return Saved((0,), (), indices)
    rounded = site.op.ceil_mode
    after = (min(w.after + w.stride - 1, w.extent - 1) if rounded else w.after for w in found)  # `ops.pooling` says why
    return Saved((), (), _padded(site, (w.before + a for w, a in zip(found, after))) + indices)


def _whole_max_pool(site: Site) -> Saved:
    return Saved((0,), (), count(site.y) * DTYPES["int64"])


def _avg_pool(site: Site) -> Saved:
    found = _windows(site)
    if all(w.before == w.after for w in found):
        return INPUT
    divided = not site.op.count_include_pad and site.op.divisor_override is None  # by the mean of padded ones
    return Saved((), (), _padded(site, (w.before + w.after for w in found)) + (tensor_bytes(site.y) if divided else 0))


def _lp_pool(site: Site) -> Saved:
    """Powers, their mean, its sign and absolute value, and the sum whose root is taken."""
    return Saved((0,), (), tensor_bytes(site.x) + 4 * tensor_bytes(site.y))


def _adaptive_avg_pool(site: Site) -> Saved:
    """The input; to a single position torch takes a mean, which keeps nothing."""
    return NOTHING if all(s == 1 for s in site.y.spatial) else INPUT


def _resize(site: Site) -> Saved:
    return _adaptive_avg_pool(site) if site.op.mode == "area" else NOTHING


def _batch_norm(site: Site) -> Saved:
    """The input, mean and inverse deviation a channel."""
    return Saved((0,), (), 2 * site.x.shape[1] * DTYPES[site.x.dtype])


def _instance_norm(site: Site) -> Saved:
    """As a batch norm over `N * C` channels, whose scale and running statistics are repeated for every example."""
    copies = 2 + site.op.affine + 2 * site.op.track_running_stats
    return Saved((0,), (), copies * product(site.x.shape[:2]) * DTYPES[site.x.dtype])


def _group_norm(site: Site) -> Saved:
    return Saved((0,), (), 2 * site.x.shape[0] * site.op.groups * DTYPES[site.x.dtype])


def _rows(site: Site) -> Size:
    """How many rows a norm over the last axes has."""
    axis = site.op.axis
    return product(site.x.shape[: axis if axis >= 0 else site.x.rank + axis])


def _layer_norm(site: Site) -> Saved:
    return Saved((0,), (), 2 * _rows(site) * DTYPES[site.x.dtype])


def _rms_norm(site: Site) -> Saved:
    """The input and the inverse root a row; what the scale multiplies."""
    return Saved((0,), (), _rows(site) * DTYPES[site.x.dtype] + (tensor_bytes(site.x) if site.op.affine else 0))


def _local_response_norm(site: Site) -> Saved:
    """The padded squares, the mean with its factor and summand, and its power."""
    size = site.op.size
    channels = site.x.shape[1] + size - 1
    squares = product((site.x.shape[0], channels, *site.x.shape[2:])) * DTYPES[site.x.dtype]
    return Saved((0,), (), squares + 2 * tensor_bytes(site.y))


def _dropout(site: Site) -> Saved:
    return Saved((), (), tensor_bytes(site.x)) if site.op.p > 0 else NOTHING


def _channel_dropout(site: Site) -> Saved:
    return Saved((), (), product(site.x.shape[:2]) * DTYPES[site.x.dtype]) if site.op.p > 0 else NOTHING


def _drop_path(site: Site) -> Saved:
    """A factor an example."""
    return Saved((), (), site.x.shape[0] * DTYPES[site.x.dtype]) if site.op.p > 0 else NOTHING


def _mul(site: Site) -> Saved:
    """Each operand that the gradient of the other one needs."""
    return Saved(tuple(i for i in range(len(site.inputs)) if len(site.inputs) == 2 and site.flows[1 - i]))


def _matmul(site: Site) -> Saved:
    """As a product of numbers; an operand that is repeated for a batch is kept as often as it is repeated."""
    batch = site.y.shape[:-2]
    needed = _mul(site).inputs
    repeated = [i for i in needed if site.inputs[i].rank > 2 and site.inputs[i].shape[:-2] != batch]
    more = total(product((*batch, *site.inputs[i].shape[-2:])) for i in repeated) * DTYPES[site.y.dtype]
    return Saved(tuple(i for i in needed if i not in repeated), (), more)


def _div(site: Site) -> Saved:
    """The divisor, and the dividend where the divisor has a gradient; the reciprocal of what divides a number."""
    if len(site.inputs) == 1:
        return NOTHING if site.op.right is not None else Saved((), (), tensor_bytes(site.y))
    return Saved((0, 1) if site.flows[1] else (1,))


def _pow(site: Site) -> Saved:
    if len(site.inputs) == 1:
        return INPUT if site.op.right is not None else BOTH
    return Saved((0, 1), (0,) if site.flows[1] else ())


def _remainder(site: Site) -> Saved:
    """Both operands, for the gradient of the divisor alone."""
    return Saved((0, 1)) if len(site.inputs) > 1 and site.flows[1] else NOTHING


def _normalize(site: Site) -> Saved:
    """The input, the norms, and what they were raised to."""
    axis, shape = site.op.axis % site.x.rank, site.x.shape
    norms = product(s for a, s in enumerate(shape) if a != axis)
    return Saved((0,), (), 2 * norms * DTYPES[site.x.dtype])


def _prod(site: Site) -> Saved:
    """One axis after the other: each product in between is kept as well."""
    rank, axis = site.x.rank, site.op.axis
    if axis is None and not site.op.keepdim:
        return BOTH
    axes = range(rank) if axis is None else sorted(a % rank for a in (axis if isinstance(axis, tuple) else (axis,)))
    left, between = list(site.x.shape), []
    for gone in reversed(list(axes)[1:]):
        left[gone] = 1
        between.append(product(left))
    return Saved((0,), (0,), total(between) * DTYPES[site.x.dtype])


def _pad(site: Site) -> Saved:
    return INPUT if site.op.mode in ("reflect", "replicate") else NOTHING


def _weight_norm(site: Site) -> Saved:
    """The layer's own and the weight; the norms, twice and with the directions in order where torch has no kernel of its own."""
    weight, axis = _computed_weight(site), site.op.axis
    numbers, lengths = prod(weight.shape), 1 if axis is None else weight.shape[axis]
    middle = axis is not None and 0 < axis < len(weight.shape) - 1
    own = (2 if axis is None or middle else 1) * lengths + middle * numbers
    return _reparametrized(site, numbers, own, weight.dtype)


def _spectral_norm(site: Site) -> Saved:
    """The layer's own and the weight; both singular vectors and the singular value."""
    weight = _computed_weight(site)
    vectors = sum(w.shape[0] for w in site.op.params(site.inputs) if w.role == "statistic")
    return _reparametrized(site, prod(weight.shape), vectors + 1, weight.dtype)


def _computed_weight(site: Site) -> Any:
    return next(w for w in site.op.layer.params(site.inputs) if w.name == "weight")


def _reparametrized(site: Site, numbers: int, own: int, dtype: str) -> Saved:
    inner = saved(Site(site.op.layer, site.inputs, site.outputs, site.flows))
    looked_up = site.op.layer.NAME == "embedding"  # of a table only the indices are kept
    return Saved(inner.inputs, inner.outputs, inner.more + (own + (0 if looked_up else numbers)) * DTYPES[dtype])


def _recurrent(site: Site) -> Saved:
    """Every step's gates and states, what goes into each layer, and the initial states; of sequences of several lengths as if each
    had all steps."""
    given = tuple(range(1, len(site.inputs) - getattr(site.op, "lengths", False)))
    read = given if copies_input(site.op, site.x) else (0, *given)
    return Saved(read, (0,) if site.op.NAME == "rnn_cell" else (), saved_bytes(site.op, site.x, bool(given)))


def _einsum(site: Site) -> Saved:
    """Pairs are multiplied from left to right: what is multiplied again is kept too."""
    if len(site.inputs) < 3:
        return _mul(site)
    between = total(made for _, made in site.op.pairs(site.inputs)[:-1])
    return Saved(tuple(range(len(site.inputs))), (), between * DTYPES[site.x.dtype])


def _gather(site: Site) -> Saved:
    """Input and index, which is one of int64."""
    index = site.inputs[1]
    return Saved((0, 1)) if index.dtype == "int64" else Saved((0,), (), count(index) * DTYPES["int64"])


def _attention(keeps: Callable[[Any, Types, Types, tuple[bool, ...]], Held]) -> Rule:
    def rule(site: Site) -> Saved:
        held = keeps(site.op, site.inputs, site.outputs, site.flows)
        return Saved(held.inputs, held.outputs, held.more)

    return rule


#: what each operator saves
KEEPS: dict[str, Rule] = {
    "conv": _conv, "conv_transpose": _always(INPUT), "local_conv": _local_conv, "linear": _always(INPUT),
    "embedding": _always(INPUT), "matmul": _matmul,
    "weight_norm": _weight_norm, "spectral_norm": _spectral_norm,
    "max_pool": _max_pool, "avg_pool": _avg_pool, "lp_pool": _lp_pool,
    "adaptive_avg_pool": _adaptive_avg_pool, "adaptive_max_pool": _whole_max_pool,
    "global_avg_pool": _always(NOTHING), "global_max_pool": lambda site: _whole_max_pool(site) if site.op.keepdim else BOTH,
    "batch_norm": _batch_norm, "instance_norm": _instance_norm, "group_norm": _group_norm, "layer_norm": _layer_norm,
    "rms_norm": _rms_norm, "local_response_norm": _local_response_norm,
    "relu": _always(OUTPUT), "relu6": _always(INPUT), "leaky_relu": _always(INPUT), "prelu": _always(INPUT),
    "threshold": _always(INPUT), "maxout": _always(BOTH), "hard_tanh": _always(INPUT), "hard_swish": _always(INPUT),
    "elu": _always(INPUT), "celu": _always(INPUT), "selu": _always(INPUT), "softplus": _always(INPUT), "gelu": _always(INPUT),
    "silu": _always(INPUT), "mish": _always(INPUT), "sigmoid": _always(OUTPUT), "hard_sigmoid": _always(INPUT),
    "tanh": _always(OUTPUT), "softsign": lambda site: Saved((0,), (), tensor_bytes(site.y)),
    "softmax": _always(OUTPUT), "log_softmax": _always(OUTPUT), "glu": _always(INPUT),
    "log_sigmoid": lambda site: Saved((0,), (), tensor_bytes(site.y)),
    "dropout": _dropout, "channel_dropout": _channel_dropout, "alpha_dropout": _dropout,
    "drop_path": _drop_path,
    "resize": _resize, "upsample": _resize, "pixel_shuffle": _always(NOTHING), "pixel_unshuffle": _always(NOTHING),
    "pad": _pad, "crop": _always(NOTHING), "flatten": _always(NOTHING), "reshape": _always(NOTHING), "permute": _always(NOTHING),
    "squeeze": _always(NOTHING), "unsqueeze": _always(NOTHING), "expand": _always(NOTHING), "cast": _always(NOTHING),
    "split": _always(NOTHING), "chunk": _always(NOTHING), "slice": _always(NOTHING), "select": _always(NOTHING),
    "rnn": _recurrent, "gru": _recurrent, "lstm": _recurrent,
    "rnn_cell": _recurrent, "gru_cell": _recurrent, "lstm_cell": _recurrent,
    "concat": _always(NOTHING), "stack": _always(NOTHING), "add": _always(NOTHING), "sub": _always(NOTHING),
    "mul": _mul, "div": _div, "pow": _pow, "maximum": _always(Saved((0, 1))), "minimum": _always(Saved((0, 1))),
    "clamp": _always(INPUT), "neg": _always(NOTHING), "abs": _always(INPUT), "exp": _always(OUTPUT), "log": _always(INPUT),
    "sqrt": _always(OUTPUT), "sin": _always(INPUT), "cos": _always(INPUT), "tan": _always(OUTPUT),
    "atan": _always(INPUT), "erf": _always(INPUT), "rsqrt": _always(OUTPUT), "reciprocal": _always(OUTPUT),
    **dict.fromkeys(("floor", "ceil", "round", "sign", "floor_divide"), _always(NOTHING)), "remainder": _remainder,
    "mean": _always(NOTHING), "sum": _always(NOTHING), "max": _always(BOTH), "min": _always(BOTH),
    "prod": _prod, "logsumexp": _always(BOTH), "argmax": _always(NOTHING), "argmin": _always(NOTHING),
    "any": _always(NOTHING), "all": _always(NOTHING), "var": _always(INPUT), "std": _always(BOTH),
    "vector_norm": _always(BOTH), "normalize": _normalize,
    **dict.fromkeys(("flip", "tile", "repeat_interleave", "tril", "triu"), _always(NOTHING)),
    "scaled_dot_product": _attention(dot_product_keeps), "multihead_attention": _attention(multihead_keeps),
    "equal": _always(NOTHING), "not_equal": _always(NOTHING), "less": _always(NOTHING), "less_equal": _always(NOTHING),
    "greater": _always(NOTHING), "greater_equal": _always(NOTHING), "logical_and": _always(NOTHING),
    "logical_or": _always(NOTHING), "logical_not": _always(NOTHING), "where": _always(INPUT),
    "roll": _always(NOTHING), "cumsum": _always(NOTHING), "gather": _gather, "index_select": _always(Saved((1,))),
    "unfold": _always(NOTHING), "fold": _always(NOTHING), "einsum": _einsum, "grid_sample": _always(Saved((0, 1))),
    "param": _always(NOTHING), "buffer": _always(NOTHING), "constant": _always(NOTHING), "one_hot": _always(NOTHING),
    "identity": _always(NOTHING), "arange": _always(NOTHING),
}  # fmt: skip
