"""Nodes that read nothing but what is stored: computed now.

An array is described by what it is made of (`stored`), so that weights are rearranged, transposed or normalized while the file is
written: the gates of a recurrent layer, the matrix of a linear one, the kernel behind a weight norm. Left alone is what would make the
file larger: an array with more elements than those it is made of, or of one that other nodes read as well.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod
from typing import Any

import numpy as np

from netspec.backends.onnx.model import Operation
from netspec.backends.onnx.rewriting import Rewriting
from netspec.backends.onnx.stored import MOST_NOW, Known, Stored, computed, origins
from netspec.terms import ONNX_ELEMENT, Const

#: The most elements by which one result may be larger than what it is made of.
MOST_MORE = 1024

_ELEMENT = {number: name for name, number in ONNX_ELEMENT.items() if name != "bfloat16"}
#: Element by element, with the broadcasting that NumPy and ONNX share.
_ELEMENTWISE: dict[str, Callable[..., np.ndarray]] = {
    "Abs": np.abs, "Add": np.add, "Ceil": np.ceil, "Div": lambda a, b: _divided(a, b), "Equal": np.equal, "Exp": np.exp,
    "Floor": np.floor, "Greater": np.greater, "Less": np.less, "Log": np.log, "Max": lambda *many: _over(np.maximum, many),
    "Min": lambda *many: _over(np.minimum, many), "Mul": np.multiply, "Neg": np.negative, "Not": np.logical_not,
    "Pow": lambda a, b: np.power(a, b).astype(a.dtype), "Reciprocal": lambda a: (1 / a).astype(a.dtype), "Sqrt": np.sqrt,
    "Sigmoid": lambda a: (1 / (1 + np.exp(-a))).astype(a.dtype), "Sub": np.subtract, "Tanh": np.tanh, "Where": np.where,
    "Relu": lambda a: np.maximum(a, 0),
}  # fmt: skip
_TRUTHS = frozenset(("Equal", "Greater", "Less", "Not"))
_REDUCTIONS: dict[str, Callable[..., np.ndarray]] = {
    "ReduceL2": lambda a, **keys: np.sqrt(np.square(a).sum(**keys)), "ReduceMax": np.max, "ReduceMean": np.mean, "ReduceMin": np.min,
    "ReduceSum": np.sum, "ReduceSumSquare": lambda a, **keys: np.square(a).sum(**keys), "ReduceProd": np.prod,
}  # fmt: skip
Result = tuple[str, tuple[int, ...], Callable[..., np.ndarray]]


def compute_constants(net: Rewriting) -> bool:
    """Store the results of all nodes that can be computed now. Whether there were any."""
    changed = False
    for number, node in net:
        if node.domain or node.body is not None or net.results.intersection(node.outputs):
            continue
        sources = [net.stored.get(name) for name in node.inputs]
        if "" in node.inputs or not all(source is not None for source in sources):
            found = _of_types(net, node)
        else:
            found = _results(node, [source for source in sources if source is not None])
            found = found if found and _is_worth_it(net, node, found) else None
        if found:
            net.drop(number)
            for name, array in zip(node.outputs, found):
                net.store(name, array)
            changed = True
    return changed


def _is_worth_it(net: Rewriting, node: Operation, found: list[Stored]) -> bool:
    """Whether the file stays as small: what is made is no larger than what it is made of, which nobody else reads."""
    sources = {name: net.stored[name] for name in node.inputs}
    if not any(True for source in sources.values() for _ in origins(source)) and max(array.count for array in found) > MOST_NOW:
        return False
    spent = sum(source.count for name, source in sources.items() if len(net.readers(name)) == 1)
    return sum(array.count for array in found) <= spent + MOST_MORE


def _of_types(net: Rewriting, node: Operation) -> list[Stored] | None:
    """What follows from the types of what is read alone: the shape of a value whose sizes are numbers."""
    if node.op_type != "Shape" or node.inputs[0] not in net.types:
        return None
    keys = node.attributes.values
    sizes = net.types[node.inputs[0]].shape[keys.get("start", 0) : keys.get("end")]
    if not all(isinstance(size, int) for size in sizes):
        return None
    return [Known("int64", (len(sizes),), np.array(sizes, np.int64))]


def _results(node: Operation, sources: list[Stored]) -> list[Stored] | None:
    """The arrays that a node makes of stored ones; None where that is not known here."""
    if any(source.dtype == "bfloat16" for source in sources):
        return None  # NumPy knows their bits alone
    if node.op_type == "Split":
        return _split(node, sources)
    found = _result(node, sources)
    if found is None:
        return None
    dtype, shape, compute = found
    return [computed(dtype, tuple(map(int, shape)), tuple(sources), compute)]


def _result(node: Operation, sources: list[Stored]) -> Result | None:
    kind, keys = node.op_type, node.attributes.values
    if kind in _ELEMENTWISE:
        dtype = "bool" if kind in _TRUTHS else sources[-1].dtype if kind == "Where" else sources[0].dtype
        return dtype, np.broadcast_shapes(*(s.shape for s in sources)), _ELEMENTWISE[kind]
    if kind in _REDUCTIONS:
        return _reduction(node, sources)
    if kind in _MOVES:
        return _MOVES[kind](sources, keys)
    if kind in ("MatMul", "Gemm"):
        return _product(node, sources)
    if kind == "Constant" and isinstance(value := keys.get("value"), Const) and value.dtype in _ELEMENT.values():
        array = np.array(value.values, value.dtype).reshape(value.shape)
        return value.dtype, value.shape, lambda: array
    return None


def _integers(source: Stored) -> tuple[int, ...] | None:
    return tuple(map(int, source.values.reshape(-1))) if isinstance(source, Known) else None


def _split(node: Operation, sources: list[Stored]) -> list[Stored] | None:
    sizes = _integers(sources[1]) if len(sources) > 1 else None
    if sizes is None:
        return None
    array = sources[0]
    axis = node.attributes.values.get("axis", 0) % len(array.shape)
    found: list[Stored] = []
    start = 0
    for size in sizes:
        shape = (*array.shape[:axis], size, *array.shape[axis + 1 :])
        found.append(computed(array.dtype, shape, (array,), partial(_part, axis=axis, start=start, size=size)))
        start += size
    return found


def _part(array: np.ndarray, axis: int, start: int, size: int) -> np.ndarray:
    return array[(slice(None),) * axis + (slice(start, start + size),)]


def _reduction(node: Operation, sources: list[Stored]) -> Result | None:
    rank, keys = len(sources[0].shape), node.attributes.values
    axes = _integers(sources[1]) if len(sources) > 1 else keys.get("axes", ())
    if axes is None or (not axes and keys.get("noop_with_empty_axes")):
        return None
    over = tuple(axis % rank for axis in axes) if axes else tuple(range(rank))
    keep = bool(keys.get("keepdims", 1))
    shape = tuple(1 if axis in over else size for axis, size in enumerate(sources[0].shape) if keep or axis not in over)
    reduce = _REDUCTIONS[node.op_type]
    return sources[0].dtype, shape, lambda array, *_: reduce(array, axis=over, keepdims=keep)


def _product(node: Operation, sources: list[Stored]) -> Result | None:
    """A matrix product, summed in doubles: `MatMul`, and `alpha A' B' + beta C` of `Gemm`."""
    keys = {"transA": 0, "transB": 0, "alpha": 1.0, "beta": 1.0, **node.attributes.values}

    def product(left: np.ndarray, right: np.ndarray, *shift: np.ndarray) -> np.ndarray:
        a, b = (array.T if keys[turned] else array for array, turned in ((left, "transA"), (right, "transB")))
        found = keys["alpha"] * np.matmul(a, b, dtype=np.float64)
        return (found + keys["beta"] * shift[0] if shift else found).astype(left.dtype)

    if not all(source.dtype.startswith("float") for source in sources):
        return None
    first, second = (source.shape[::-1] if keys[turned] else source.shape for source, turned in zip(sources, ("transA", "transB")))
    columns = second[-1:] if len(second) > 1 else ()
    return sources[0].dtype, (*np.broadcast_shapes(first[:-2], second[:-2]), *first[-2:-1], *columns), product


# ---------------------------------------------------------------------------------- what moves elements and computes none
def _cast(sources: list[Stored], keys: dict[str, Any]) -> Result | None:
    dtype = _ELEMENT.get(keys["to"]) if isinstance(keys["to"], int) else keys["to"] if keys["to"] in _ELEMENT.values() else None
    if dtype is None or (sources[0].dtype.startswith("float") and not dtype.startswith("float")):
        return None  # what rounds or overflows is the runtime's to decide
    return dtype, sources[0].shape, lambda array: array.astype(dtype)


def _concat(sources: list[Stored], keys: dict[str, Any]) -> Result | None:
    first = sources[0].shape
    axis = keys["axis"] % len(first)
    total = sum(source.shape[axis] for source in sources)
    return sources[0].dtype, (*first[:axis], total, *first[axis + 1 :]), lambda *arrays: np.concatenate(arrays, axis)


def _transpose(sources: list[Stored], keys: dict[str, Any]) -> Result | None:
    order = tuple(keys.get("perm") or reversed(range(len(sources[0].shape))))
    return sources[0].dtype, tuple(sources[0].shape[axis] for axis in order), lambda array: array.transpose(order)


def _unsqueeze(sources: list[Stored], keys: dict[str, Any]) -> Result | None:
    axes = _integers(sources[1])
    if axes is None:
        return None
    places = {axis % (len(sources[0].shape) + len(axes)) for axis in axes}
    rest = iter(sources[0].shape)
    shape = tuple(1 if axis in places else next(rest) for axis in range(len(sources[0].shape) + len(axes)))
    return _reshaped(sources[0], shape)


def _squeeze(sources: list[Stored], keys: dict[str, Any]) -> Result | None:
    shape = sources[0].shape
    axes = _integers(sources[1]) if len(sources) > 1 else tuple(axis for axis, size in enumerate(shape) if size == 1)
    if axes is None:
        return None
    places = {axis % len(shape) for axis in axes}
    return _reshaped(sources[0], tuple(size for axis, size in enumerate(shape) if axis not in places))


def _reshape(sources: list[Stored], keys: dict[str, Any]) -> Result | None:
    asked = _integers(sources[1])
    if asked is None or keys.get("allowzero"):
        return None
    shape = [sources[0].shape[axis] if size == 0 else size for axis, size in enumerate(asked)]
    if -1 in shape:
        rest = -prod(shape)
        if not rest:
            return None
        shape[shape.index(-1)] = sources[0].count // rest
    return _reshaped(sources[0], tuple(shape))


def _flatten(sources: list[Stored], keys: dict[str, Any]) -> Result | None:
    axis, shape = keys.get("axis", 1), sources[0].shape
    return _reshaped(sources[0], (prod(shape[:axis]), prod(shape[axis:])))


def _reshaped(source: Stored, shape: tuple[int, ...]) -> Result:
    return source.dtype, shape, lambda array, *_: array.reshape(shape)


def _expand(sources: list[Stored], keys: dict[str, Any]) -> Result | None:
    asked = _integers(sources[1])
    if asked is None:
        return None
    shape = np.broadcast_shapes(sources[0].shape, asked)
    return sources[0].dtype, shape, lambda array, _: np.broadcast_to(array, shape)


def _slice(sources: list[Stored], keys: dict[str, Any]) -> Result | None:
    given = [_integers(source) for source in sources[1:]]
    if len(given) < 2 or None in given:
        return None
    shape = list(sources[0].shape)
    starts, ends = given[0] or (), given[1] or ()
    axes = given[2] if len(given) > 2 and given[2] is not None else tuple(range(len(starts)))
    steps = given[3] if len(given) > 3 and given[3] is not None else (1,) * len(starts)
    if any(step != 1 for step in steps):
        return None
    cuts = [slice(None)] * len(shape)
    for start, end, axis in zip(starts, ends, axes):
        cuts[axis] = slice(*slice(start, end).indices(shape[axis]))
        shape[axis] = len(range(shape[axis])[cuts[axis]])
    return sources[0].dtype, tuple(shape), lambda array, *_: array[tuple(cuts)]


def _gather(sources: list[Stored], keys: dict[str, Any]) -> Result | None:
    shape, axis = sources[0].shape, keys.get("axis", 0) % len(sources[0].shape)
    found = (*shape[:axis], *sources[1].shape, *shape[axis + 1 :])
    return sources[0].dtype, found, lambda array, indices: np.take(array, indices, axis)


def _constant_of_shape(sources: list[Stored], keys: dict[str, Any]) -> Result | None:
    shape, value = _integers(sources[0]), keys.get("value")
    if shape is None or not (value is None or isinstance(value, Const)) or prod(shape) > MOST_MORE:
        return None
    dtype, element = (value.dtype, value.values[0]) if value is not None else ("float32", 0)
    return None if dtype == "bfloat16" else (dtype, shape, lambda _: np.full(shape, element, dtype))


def _identity(sources: list[Stored], keys: dict[str, Any]) -> Result | None:
    return _reshaped(sources[0], sources[0].shape)


_MOVES: dict[str, Callable[[list[Stored], dict[str, Any]], Result | None]] = {
    "Cast": _cast, "Concat": _concat, "ConstantOfShape": _constant_of_shape, "Expand": _expand, "Flatten": _flatten, "Gather": _gather,
    "Identity": _identity, "Reshape": _reshape, "Slice": _slice, "Squeeze": _squeeze, "Transpose": _transpose, "Unsqueeze": _unsqueeze,
}  # fmt: skip


def _divided(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    """As ONNX divides: integers towards zero."""
    if over.dtype.kind not in "iu":
        return over / under
    return (np.sign(over) * np.sign(under) * (np.abs(over) // np.abs(under))).astype(over.dtype)


def _over(function: Callable[..., np.ndarray], arrays: tuple[np.ndarray, ...]) -> np.ndarray:
    found = arrays[0]
    for array in arrays[1:]:
        found = function(found, array)
    return found
