"""A window that slides along one axis: what convolution and pooling have in common.

`n` is the input's length, `e = dilation (kernel - 1) + 1` the window's extent, `b` and `a` the padding before and after:
the output has `floor((n + b + a - e) / stride) + 1` positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field

from netspec.op import Limitation, Needs, Reject
from netspec.reach import All, AxisReach, Same
from netspec.reach import Window as WindowReach
from netspec.record import record
from netspec.sizes.dim import Size
from netspec.sizes.tensor import TensorType

Positive = Annotated[int, Field(gt=0)]
#: one number for all spatial axes, or one for each
PerAxis = Positive | tuple[Positive, ...]
#: how much stands before the first and after the last element of an axis
Sides = tuple[Size, Size]

#: what every maximum over a window has in common
DROPS_NAN = Limitation("onnx", "an input is NaN", "onnxruntime's maxima drop most NaN, which torch hands on")

TOO_LARGE = "the kernel is larger than the padded input"


@record
class Window:
    """One axis of a convolution or pool. Lengths are in elements; only `before` and `after` may be symbolic."""

    kernel: int
    stride: int = 1
    dilation: int = 1
    before: Size = 0
    after: Size = 0

    @property
    def extent(self) -> int:
        """The length from the first tap to the last, both included."""
        return self.dilation * (self.kernel - 1) + 1

    def output(self, n: Size) -> Size:
        """The number of positions at which the whole window lies on the padded input of length `n`."""
        return (n + self.before + self.after - self.extent) // self.stride + 1

    def check(self, n: Size, need: Needs) -> None:
        """The window must fit at least once (NS402)."""
        need.at_least(n + self.before + self.after, self.extent, TOO_LARGE)

    def reach(self, axis: int, mode: str = "zeros") -> AxisReach:
        """Which elements of `axis` an output sees. Where the padding depends on an open size, the bound is the whole axis."""
        if not isinstance(self.before, int):
            return All(axis)
        if self == Window(1):
            return Same(axis)
        return WindowReach(axis, self.kernel, self.stride, self.before, self.dilation, mode)


def per_axis(value: Any, count: int, argument: str) -> tuple[Any, ...]:
    """`value` for each of `count` spatial axes. Rejects (NS310) a tuple of another length."""
    if not isinstance(value, tuple):
        return (value,) * count
    if len(value) != count:
        axes = "axis" if count == 1 else "axes"
        message = f"`{argument}` has {len(value)} entries for {count} spatial {axes}"
        raise Reject("NS310", message, argument=argument, help=f"one number, or {count} of them")
    return value


def plain(values: Sequence[Any]) -> Any:
    """The shortest way to write one value an axis: the value itself where all are equal."""
    first = values[0]
    return first if all(v == first for v in values) else tuple(values)


def spatial(operator: str, x: TensorType) -> tuple[Size, ...]:
    """The sizes of one to three spatial axes. Rejects (NS401) an input of another rank than 3, 4 or 5."""
    if 3 <= x.rank <= 5:
        return x.spatial
    shapes = "[N, C, L], [N, C, H, W] or [N, C, D, H, W]"
    raise Reject("NS401", f"`{operator}` takes {shapes}, and this input {x} has {x.rank} axes", input=0)
