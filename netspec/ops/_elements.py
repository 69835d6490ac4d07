"""Element types: torch's promotion of two operands, and conversion in both targets.

The rules are those of `torch.result_type` (c10's promotion table and its categories bool < integer < float): a number
written in the spec, or a tensor without axes, moves the result only into a higher category.
"""

from __future__ import annotations

from netspec.op import Reject
from netspec.ops._inputs import FLOATS
from netspec.sizes.dim import Size
from netspec.sizes.tensor import TensorType
from netspec.terms import ONNX_ELEMENT, OnnxTerm, op

#: The integers by what they can hold. uint8 and int8 meet in int16, which networks do not use: see `_wider`.
_INTEGERS = ("uint8", "int8", "int32", "int64")


def refuse_bool(tensor: TensorType, name: str, input: int = 0) -> None:
    """Rejects (NS403) a tensor of truth values, on behalf of the operator `name`."""
    if tensor.dtype == "bool":
        raise Reject("NS403", f"`{name}` computes on numbers, not on bool", input=input, help="cast(float32) first")


def as_float(dtype: str) -> str:
    """What a function such as `exp` returns for elements of this type: floats stay, anything else becomes float32."""
    return dtype if dtype in FLOATS else "float32"


def promote(left: TensorType, right: TensorType) -> str:
    """The element type of `left + right` in torch."""
    if (left.rank == 0) == (right.rank == 0):
        return _wider(left.dtype, right.dtype)
    strong, weak = (right.dtype, left.dtype) if left.rank == 0 else (left.dtype, right.dtype)
    return _wider(strong, weak) if _category(weak) > _category(strong) else strong


def promote_number(tensor: TensorType, number: Size | float) -> str:
    """The element type of `tensor + number` in torch; an open size is an integer."""
    if isinstance(number, float):
        return as_float(tensor.dtype)
    return "int64" if tensor.dtype == "bool" else tensor.dtype


def _category(dtype: str) -> int:
    return 0 if dtype == "bool" else 2 if dtype in FLOATS else 1


def _wider(left: str, right: str) -> str:
    if left == right or _category(left) != _category(right):
        return max(left, right, key=_category)
    if left in FLOATS:
        return "float64" if "float64" in (left, right) else "float32"
    if {left, right} == {"uint8", "int8"}:
        raise Reject("NS403", "uint8 and int8 have no common element type here", input=1, help="cast(int32) both first")
    return max(left, right, key=_INTEGERS.index)


def cast(term: OnnxTerm, dtype: str) -> OnnxTerm:
    """ONNX Cast to elements of `dtype`."""
    return op("Cast", term, to=ONNX_ELEMENT[dtype])


def converted(term: OnnxTerm, have: str, want: str) -> OnnxTerm:
    """`term`, whose elements are `have`, with elements `want` in ONNX."""
    return term if have == want else cast(term, want)
