"""What the attentions share: who may look at whom, and the weighted sum itself in ONNX's plain operators.

ONNX has an Attention of its own from opset 23 only; MatMul and Softmax say the same in every opset. A row in which
everything is masked attends to nothing and gives 0, where Softmax alone would give NaN.
"""

from __future__ import annotations

from netspec.op import Reject
from netspec.ops._elements import cast
from netspec.ops._inputs import FLOATS
from netspec.reach import All, AxisReach, Causal
from netspec.sizes.dim import Size
from netspec.sizes.tensor import TensorType
from netspec.terms import OnnxTerm, SizeScalar, op, scalar, vector

MINUS_INFINITY = float("-inf")


def check_mask(operator: str, mask: TensorType, dtype: str, argument: str) -> None:
    """Rejects (NS403) a mask that holds neither truth values nor numbers of the element type that it is added to."""
    if mask.dtype not in ("bool", dtype):
        help = "cast it: bool says who takes part, numbers are added to the scores"
        raise Reject("NS403", f"a mask of `{operator}` is bool or {dtype}, not {mask.dtype}", argument=argument, help=help)


def check_one_type(queries: TensorType, keys: TensorType, values: TensorType) -> None:
    """Rejects (NS403) keys or values of another element type than the queries'."""
    for number, x in ((1, keys), (2, values)):
        if x.dtype != queries.dtype:
            raise Reject("NS403", f"queries, keys and values are of one element type, not {queries.dtype} and {x.dtype}", input=number)


def look(axis: int, causal: bool) -> AxisReach:
    """How the positions of a sequence look along `axis`: at all, or at those up to their own."""
    return Causal(axis) if causal else All(axis)


def masked(scores: OnnxTerm, mask: OnnxTerm, kind: TensorType, keeps: bool, dtype: str) -> OnnxTerm:
    """Scores with a mask over them: numbers are added; of truth values, those that are not `keeps` become -inf."""
    if kind.dtype in FLOATS:
        return op("Add", scores, mask)
    return op("Where", mask, scores, scalar(MINUS_INFINITY, dtype)) if keeps else op("Where", mask, scalar(MINUS_INFINITY, dtype), scores)


def causally(scores: OnnxTerm, queries: Size, keys: Size, dtype: str) -> OnnxTerm:
    """Scores `[…, queries, keys]`, in which query number i sees the keys 0 to i."""
    rows = op("Unsqueeze", _counted(queries), vector((1,)))
    return op("Where", op("Less", rows, _counted(keys)), scalar(MINUS_INFINITY, dtype), scores)


def _counted(size: Size) -> OnnxTerm:
    end = scalar(size, "int64") if isinstance(size, int) else SizeScalar(size)
    return op("Range", scalar(0, "int64"), end, scalar(1, "int64"))


def shares(scores: OnnxTerm, safe: bool, dtype: str) -> OnnxTerm:
    """Softmax over the keys. `safe`: rows of nothing but -inf, which masks make, give zeros."""
    weights = op("Softmax", scores, axis=-1)
    if not safe:
        return weights
    possible = cast(op("Not", op("Equal", scores, scalar(MINUS_INFINITY, dtype))), "float32")
    return op("Where", cast(op("ReduceSum", possible, vector((-1,))), "bool"), weights, scalar(0.0, dtype))
