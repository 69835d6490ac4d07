"""Between which bounds the numbers of integer tensors lie, as far as the sizes tell, and what tables ask of them.

Positions (`arange(T)`) and what is computed of them have bounds that are sizes: the distances of T positions lie between
1 - T and T - 1. So a table in which they are looked up is long enough under a condition on T. Indices that come in from
outside have no bounds here: what they are is the data's business. A young idea, so a table here and not a facet of the operators.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netspec.op import Needs, Operator
from netspec.sizes.dim import Dim, Size, maximum, minimum
from netspec.sizes.tensor import TensorType

#: the least and the largest number, both included
Range = tuple[Size, Size]
Ranges = tuple[Range | None, ...]
Types = tuple[TensorType, ...]

#: keep the numbers, and only move, repeat or drop some
_MOVES = frozenset(
    {"identity", "reshape", "flatten", "permute", "squeeze", "unsqueeze", "expand", "slice", "select", "split", "chunk", "crop", "roll",
     "flip", "tile", "repeat_interleave", "max", "min", "dropout"}
)  # fmt: skip
#: put the numbers of several tensors next to each other, or choose among them
_JOINS = frozenset({"concat", "stack"})


def bounds(op: Operator, ranges: Ranges, inputs: Types) -> Range | None:
    """The bounds of what an operator puts out, given those of its inputs; None where they are not known."""
    if op.NAME in _MOVES:
        return ranges[0]
    if op.NAME in _JOINS:
        return _union(ranges)
    rule = _RULES.get(op.NAME)
    return rule(op, ranges, inputs) if rule else None


def ask(op: Operator, ranges: Ranges, inputs: Types, need: Needs) -> None:
    """What an operator that looks things up asks of the bounds of its indices (NS416)."""
    table = _TABLES.get(op.NAME)
    if table is None:
        return
    which, rows = table(op, inputs)
    indices = ranges[which]
    if indices is not None:
        need.at_least(indices[0], 0, f"an index of `{op.NAME}` is below 0", "NS416")
        need.at_least(rows, indices[1] + 1, f"an index of `{op.NAME}` is past the end of its table", "NS416")


def _operands(op: Any, ranges: Ranges) -> tuple[Range | None, Range | None]:
    """Left and right, of which one may be a number that is written."""
    if len(ranges) == 2:
        return ranges[0], ranges[1]
    left, right = (None if v is None or isinstance(v, float) else (v, v) for v in (op.left, op.right))
    return (ranges[0], right) if op.left is None else (left, ranges[0])


def _arange(op: Any, ranges: Ranges, inputs: Types) -> Range | None:
    start, end = op.bounds()
    return (start, end - 1) if op.step > 0 else (end + 1, start)


def _constant(op: Any, ranges: Ranges, inputs: Types) -> Range | None:
    numbers = list(_flat(op.value))
    return None if any(isinstance(v, float) for v in numbers) else (int(min(numbers)), int(max(numbers)))


def _flat(value: Any) -> Any:
    return (x for v in value for x in _flat(v)) if isinstance(value, tuple) else iter((value,))


def _add(op: Any, ranges: Ranges, inputs: Types) -> Range | None:
    a, b = _operands(op, ranges)
    return None if a is None or b is None else (a[0] + b[0], a[1] + b[1])


def _sub(op: Any, ranges: Ranges, inputs: Types) -> Range | None:
    a, b = _operands(op, ranges)
    return None if a is None or b is None else (a[0] - b[1], a[1] - b[0])


def _mul(op: Any, ranges: Ranges, inputs: Types) -> Range | None:
    """With one number, whose sign is known: sizes are positive."""
    a, b = _operands(op, ranges)
    if a is None or b is None:
        return None
    (low, high), factor = (a, b[0]) if b[0] is b[1] else (b, a[0])
    if (a[0] is not a[1]) and (b[0] is not b[1]) or not (isinstance(factor, int) or _is_name(factor)):
        return None
    return (high * factor, low * factor) if isinstance(factor, int) and factor < 0 else (low * factor, high * factor)


def _is_name(size: Size) -> bool:
    return isinstance(size, Dim) and str(size).isidentifier()


def _neg(op: Any, ranges: Ranges, inputs: Types) -> Range | None:
    return None if ranges[0] is None else (-ranges[0][1], -ranges[0][0])


def _abs(op: Any, ranges: Ranges, inputs: Types) -> Range | None:
    return None if ranges[0] is None else (0, maximum(ranges[0][1], -ranges[0][0]))


def _clamp(op: Any, ranges: Ranges, inputs: Types) -> Range | None:
    low, high = ranges[0] or (op.min, op.max)
    if low is None or high is None or isinstance(op.min, float) or isinstance(op.max, float):
        return None
    if op.min is not None:
        low, high = maximum(low, op.min), maximum(high, op.min)
    return (low, high) if op.max is None else (minimum(low, op.max), minimum(high, op.max))


def _remainder(op: Any, ranges: Ranges, inputs: Types) -> Range | None:
    divisor = op.right
    return (0, divisor - 1) if isinstance(divisor, Dim) or isinstance(divisor, int) and divisor > 0 else None


def _floor_divide(op: Any, ranges: Ranges, inputs: Types) -> Range | None:
    divisor, found = op.right, ranges[0]
    if found is None or not (_is_name(divisor) or isinstance(divisor, int) and divisor > 0):
        return None
    return found[0] // divisor, found[1] // divisor


def _larger(op: Any, ranges: Ranges, inputs: Types) -> Range | None:
    a, b = ranges
    return None if a is None or b is None else (maximum(a[0], b[0]), maximum(a[1], b[1]))


def _smaller(op: Any, ranges: Ranges, inputs: Types) -> Range | None:
    a, b = ranges
    return None if a is None or b is None else (minimum(a[0], b[0]), minimum(a[1], b[1]))


def _where(op: Any, ranges: Ranges, inputs: Types) -> Range | None:
    numbers = [(v, v) if isinstance(v, (int, Dim)) else None for v in (op.left, op.right) if v is not None]
    return _union((*ranges[1:], *numbers))


def _cast(op: Any, ranges: Ranges, inputs: Types) -> Range | None:
    return ranges[0] if op.dtype in ("int64", "int32") else None


def _argmax(op: Any, ranges: Ranges, inputs: Types) -> Range | None:
    return None if op.axis is None else (0, inputs[0].shape[op.axis] - 1)


def _union(ranges: Ranges) -> Range | None:
    known = [r for r in ranges if r is not None]
    return (minimum(*(r[0] for r in known)), maximum(*(r[1] for r in known))) if len(known) == len(ranges) and known else None


_RULES: dict[str, Callable[[Any, Ranges, Types], Range | None]] = {
    "arange": _arange, "constant": _constant, "add": _add, "sub": _sub, "mul": _mul, "neg": _neg, "abs": _abs, "clamp": _clamp,
    "remainder": _remainder, "floor_divide": _floor_divide, "maximum": _larger, "minimum": _smaller, "where": _where, "cast": _cast,
    "argmax": _argmax,
}  # fmt: skip

#: which input holds the indices, and how many rows the table has
_TABLES: dict[str, Callable[[Any, Types], tuple[int, Size]]] = {
    "embedding": lambda op, inputs: (0, op.count),
    "one_hot": lambda op, inputs: (0, op.classes),
    "gather": lambda op, inputs: (1, inputs[0].shape[op.axis]),
    "index_select": lambda op, inputs: (1, inputs[0].shape[op.axis]),
}
