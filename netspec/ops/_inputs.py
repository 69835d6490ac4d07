"""What operators ask of their inputs in the same words: the number of axes, the element type, an axis that is not the batch.

Codes: NS401 the number of axes, NS403 the element type, NS406 an axis that is not there.
"""

from __future__ import annotations

from netspec.op import Reject
from netspec.ops._axes import axis_of
from netspec.sizes.tensor import TensorType

FLOATS = ("float32", "float64", "float16", "bfloat16")
INTEGERS = ("int64", "int32")


def require_floats(operator: str, *inputs: TensorType) -> None:
    """Rejects (NS403) an input that is not of floating point."""
    for number, x in enumerate(inputs):
        if x.dtype not in FLOATS:
            message = f"`{operator}` works on floating-point numbers, not on {x.dtype}"
            raise Reject("NS403", message, input=number, help="cast(float32) before it")


def require_integers(operator: str, x: TensorType) -> None:
    """Rejects (NS403) an input that holds no indices."""
    if x.dtype not in INTEGERS:
        raise Reject("NS403", f"`{operator}` takes indices (int64 or int32), not {x.dtype}", input=0)


def require_rank(operator: str, x: TensorType, least: int, most: int | None = None, *, input: int = 0, help: str = "") -> None:
    """Rejects (NS401) an input with fewer than `least` or more than `most` axes."""
    if x.rank >= least and (most is None or x.rank <= most):
        return
    wanted = f"at least {least}" if most is None else str(least) if most == least else f"{least} to {most}"
    raise Reject("NS401", f"`{operator}` takes {wanted} axes, and this input {x} has {x.rank}", input=input, help=help)


def feature_axis(axis: int, x: TensorType) -> int:
    """`axis` counted from the front, where an operator mixes what lies along it. Rejects (NS406) one that is not there, and
    the batch: each example stands for itself."""
    found = axis_of(axis, x.rank)
    if found == 0:
        raise Reject("NS406", f"axis {axis} of {x} is the batch: each example stands for itself", argument="axis")
    return found
