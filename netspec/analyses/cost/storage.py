"""Which values share memory: an operator that only looks at a tensor in another way makes no copy of it.

Strides are followed as PyTorch has them, in elements, so that a `reshape` is known to be a view or a copy: of a permuted
tensor it may be either (`TensorUtils.cpp`, `computeStride_impl`). All other operators write their outputs contiguously.
"""

from __future__ import annotations

from math import prod

from netspec.graph import Graph, Node
from netspec.reach import All, AxisReach, Same, Shift
from netspec.record import record
from netspec.sizes.tensor import DTYPES, TensorType

Strides = tuple[int, ...]

#: operators whose outputs are always a look at their first input
LOOKS = frozenset({"identity", "permute", "squeeze", "unsqueeze", "expand", "split", "chunk", "slice", "select", "crop"})
#: those that are the input itself in evaluation
QUIET = frozenset({"dropout", "channel_dropout", "alpha_dropout", "drop_path"})
#: those that are a look where the strides allow it
REGROUP = frozenset({"flatten", "reshape"})
#: those whose output is stored with the network
STORED = frozenset({"param", "buffer", "constant"})


@record
class Storages:
    """The memory behind the values: `of[v]` numbers the storage of value v, by the value that was there first.

    `size[s]` are the bytes of storage s: 0 for what is stored with the network. `view[n]` tells whether node n makes a
    look at its first input rather than a new tensor; `copied[n]` whether it is a linear layer whose first input does not lie in rows:
    the product takes a copy of it.
    """

    of: tuple[int, ...]
    size: tuple[int, ...]
    view: tuple[bool, ...]
    copied: tuple[bool, ...]


def storages(graph: Graph, types: tuple[TensorType, ...], training: bool = False) -> Storages:
    """The storages of a graph whose values have these closed types, one a value."""
    of = list(range(len(types)))
    size = [bytes_of(t) for t in types]
    strides: dict[int, Strides] = {}
    view, copied = [], []
    for node in graph.nodes:
        first = node.inputs[0] if node.op.NAME == "linear" else -1
        copied.append(first in strides and _scattered(types[first].shape, strides[first]))
        looks = _look(node, types, strides, training)
        view.append(looks)
        for output in node.outputs:
            if looks:
                of[output], size[output] = of[node.inputs[0]], size[of[node.inputs[0]]]
            elif node.op.NAME in STORED:
                size[output] = 0
    return Storages(tuple(of), tuple(size), tuple(view), tuple(copied))


def bytes_of(tensor: TensorType) -> int:
    """The bytes of a tensor of closed type."""
    total = DTYPES[tensor.dtype]
    for size in tensor.shape:
        total *= size  # type: ignore[assignment]
    return total


def _look(node: Node, types: tuple[TensorType, ...], strides: dict[int, Strides], training: bool) -> bool:
    """Whether a node makes a look at its first input; notes the strides of outputs that are not contiguous."""
    name = node.op.NAME
    if name in QUIET:
        return not training or node.op.p == 0
    if name == "cast":
        return types[node.inputs[0]].dtype == types[node.outputs[0]].dtype
    if name in REGROUP:
        source = node.inputs[0]
        return source not in strides or _regrouped(node, types, strides)
    if name not in LOOKS:
        return False
    before = types[node.inputs[0]]
    have = strides.get(node.inputs[0]) or contiguous(before.shape)
    inputs, outputs = tuple(types[i] for i in node.inputs), tuple(types[o] for o in node.outputs)
    for output, reach in zip(node.outputs, node.op.reach(inputs, outputs)):
        looked = tuple(_stride(look, have, before.shape) for look in reach.inputs[0])
        if not _same_layout(types[output].shape, looked, contiguous(types[output].shape)):
            strides[output] = looked
    return True


def _stride(look: AxisReach | None, have: Strides, shape: tuple[int, ...]) -> int:
    """The stride along an axis that sees an axis of the input; one that is new or repeated does not move."""
    if isinstance(look, Same):
        return have[look.axis]
    if isinstance(look, Shift):
        return have[look.axis] * look.step
    return have[look.axis] if isinstance(look, All) and shape[look.axis] != 1 else 0


def _same_layout(shape: tuple[int, ...], left: Strides, right: Strides) -> bool:
    return all(n == 1 or a == b for n, a, b in zip(shape, left, right))


def contiguous(shape: tuple[int, ...]) -> Strides:
    """The strides of a tensor in row-major order."""
    found, step = [], 1
    for size in reversed(shape):
        found.append(step)
        step *= size
    return tuple(reversed(found))


def _regrouped(node: Node, types: tuple[TensorType, ...], strides: dict[int, Strides]) -> bool:
    source, target = node.inputs[0], node.outputs[0]
    found = view_strides(types[source].shape, strides[source], types[target].shape)
    if found is not None and not _same_layout(types[target].shape, found, contiguous(types[target].shape)):
        strides[target] = found
    return found is not None


def _scattered(shape: tuple[int, ...], strides: Strides) -> bool:
    """Whether a tensor cannot be looked at as a matrix of rows along its last axis."""
    return len(shape) > 2 and view_strides(shape, strides, (prod(shape[:-1]), shape[-1])) is None


def view_strides(shape: tuple[int, ...], strides: Strides, target: tuple[int, ...]) -> Strides | None:
    """The strides with which a tensor can be looked at in another shape; None where that takes a copy.

    Neighbouring axes that lie in memory as one are one run; every run must be a product of axes of the target.
    """
    found: list[int] = []
    wanted = len(target) - 1
    run, base = 1, strides[-1] if strides else 1
    for axis in reversed(range(len(shape))):
        run *= shape[axis]
        if axis and (shape[axis - 1] == 1 or strides[axis - 1] == run * base):
            continue
        seen = 1
        while wanted >= 0 and (seen < run or target[wanted] == 1):
            found.append(seen * base)
            seen *= target[wanted]
            wanted -= 1
        if seen != run:
            return None
        if axis:
            run, base = 1, strides[axis - 1]
    return tuple(reversed(found)) if wanted < 0 else None
