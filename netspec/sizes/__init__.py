"""Sizes: the algebra of dimensions, the types of tensors, and what conditions on open sizes amount to."""

from netspec.sizes.dim import (
    Dim,
    Size,
    SizeField,
    SizeTooLarge,
    ceil_div,
    evaluate,
    exact_div,
    is_constant,
    maximum,
    minimum,
    names,
    parse,
    product,
    show,
    substitute,
    total,
)
from netspec.sizes.tensor import DTYPES, TensorType, count

__all__ = [
    "DTYPES",
    "Dim",
    "Size",
    "SizeField",
    "SizeTooLarge",
    "TensorType",
    "ceil_div",
    "count",
    "evaluate",
    "exact_div",
    "is_constant",
    "maximum",
    "minimum",
    "names",
    "parse",
    "product",
    "show",
    "substitute",
    "total",
]
