"""Tensors of positions: 0, 1, 2, … along an axis of open length, for tables of positions, distances and masks."""

from typing import ClassVar, Literal, final

from netspec.op import Accepts, Needs, Operator, Reject, Rejects, Site
from netspec.ops._elements import converted
from netspec.reach import Reach
from netspec.sizes.dim import Size, SizeField, ceil_div
from netspec.sizes.tensor import TensorType
from netspec.terms import Device, Method, OnnxTerm, SizeScalar, Torch, call, op, scalar

#: how torch calls the conversions of a tensor
_METHODS = {"int32": "int", "float32": "float", "float64": "double", "float16": "half", "bfloat16": "bfloat16"}


@final
class Arange(Operator):
    """The numbers from `start` up to `end`, which is not among them, in steps: `arange(T)` is 0, 1, …, T - 1.

    No input; output of one axis. The bounds are numbers or open sizes, so that a mask or a table of positions is as long as
    the sequence: `arange(T) < (lengths -> unsqueeze(1))` is true at the real steps of every sequence of a batch, and
    `(arange(T) -> unsqueeze(1)) - arange(T)` are the distances of all pairs.

    start, end: the first number, and the first one that is too many; with one of them alone that is the end, and the start 0.
    step: what is added each time; below 0 it counts down.
    dtype: the element type. Numbers that it has no digits for are rounded.

    PyTorch: `torch.arange(…, device=x.device)`. ONNX: Range.
    """

    NAME: ClassVar[str] = "arange"
    FAMILY: ClassVar[str] = "io"
    ARITY: ClassVar[int | tuple[int, int | None]] = 0
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("arange(5)", (), "int64 [5]", torch="torch.arange(5)"),
        Accepts("arange(2, 9, 3)", (), "int64 [3]", torch="torch.arange(2, 9, 3)"),
        Accepts("arange(4, -1, -1)", (), "int64 [5]", torch="torch.arange(4, -1, -1)"),
        Accepts("arange(end = 7, dtype = float32)", (), "[7]", torch="torch.arange(7, dtype=torch.float32)"),
        Rejects("arange", (), "NS310"),
        Rejects("arange(0)", (), "NS402"),
        Rejects("arange(5, 2)", (), "NS402"),
        Rejects("arange(5, step = 0)", (), "NS310"),
        Rejects("arange(0.5)", (), "NS310"),
        Rejects("arange(5, dtype = bool)", (), "NS310"),
    )

    start: SizeField | None = None
    end: SizeField | None = None
    step: int = 1
    dtype: Literal["int64", "int32", "float32", "float64", "float16", "bfloat16"] = "int64"

    def bounds(self) -> tuple[Size, Size]:
        """Start, and the end, which is not among the numbers. Rejects (NS310) what has none."""
        if self.start is not None and self.end is not None:
            return self.start, self.end
        end = self.end if self.start is None else self.start
        if end is None:
            raise Reject("NS310", "`arange` needs an end", help="arange(T), or arange(1, T + 1)")
        return 0, end

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """As many as there are steps, rounded up."""
        if self.step == 0:
            raise Reject("NS310", "a step of 0 goes nowhere", argument="step")
        start, end = self.bounds()
        count = ceil_div(end - start, self.step) if self.step > 0 else ceil_div(start - end, -self.step)
        need.at_least(count, 1, "`arange` has no numbers")
        return TensorType((count,), self.dtype)

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """There is no input."""
        return (Reach(()),)

    def torch(self, site: Site) -> Torch:
        """`torch.arange(x.shape[1], device=x.device)`."""
        start, end = self.bounds()
        bounds = (end,) if self.step == 1 and isinstance(start, int) and start == 0 else (start, end)
        steps = () if self.step == 1 else (self.step,)
        found = call("torch.arange", *bounds, *steps, device=Device((start, end)))
        return Torch(forward=found if self.dtype == "int64" else Method(found, _METHODS[self.dtype]))

    def onnx(self, site: Site) -> OnnxTerm:
        """Range of integers, and a Cast."""
        start, end = (scalar(b, "int64") if isinstance(b, int) else SizeScalar(b) for b in self.bounds())
        return converted(op("Range", start, end, scalar(self.step, "int64")), "int64", self.dtype)
