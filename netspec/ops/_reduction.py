"""What all reductions share: which axes go, what is left, and the node."""

from typing import ClassVar

from netspec.op import Needs, Operator, Site
from netspec.ops._axes import axes_of
from netspec.ops._elements import converted
from netspec.ops._inputs import require_floats
from netspec.reach import All, AxisReach, Reach, Same
from netspec.sizes.tensor import TensorType
from netspec.terms import In, Method, OnnxTerm, Op, Torch, op, vector


def reduced(tensor: TensorType, axes: tuple[int, ...], keepdim: bool) -> TensorType:
    """The tensor's type without these axes, or with 1 in their places."""
    if keepdim:
        return tensor.with_shape(tuple(1 if a in axes else s for a, s in enumerate(tensor.shape)))
    return tensor.with_shape(tuple(s for a, s in enumerate(tensor.shape) if a not in axes))


def reduced_reach(rank: int, axes: tuple[int, ...], keepdim: bool) -> Reach:
    """Axes that stay see themselves, the others are seen whole."""
    looks: list[AxisReach] = [All(a) if a in axes else Same(a) for a in range(rank) if keepdim or a not in axes]
    return Reach((tuple(looks),))


def node(op_type: str, x: OnnxTerm, axes: tuple[int, ...], keepdim: bool, opset: int) -> Op:
    """An ONNX reduction. Its axes became an input with opset 18 (for ReduceSum, with 13)."""
    keepdims = int(keepdim)
    if opset < 18 and op_type != "ReduceSum":
        return op(op_type, x, axes=axes or None, keepdims=keepdims)
    return op(op_type, x, vector(axes), keepdims=keepdims)


class Reduction(Operator):
    """Reduces the axes named, or all."""

    FAMILY: ClassVar[str] = "pool"
    ONNX: ClassVar[str]

    axis: int | tuple[int, ...] | None = None
    keepdim: bool = False

    def axes(self, rank: int) -> tuple[int, ...]:
        """The axes that are reduced, counted from the front."""
        return tuple(range(rank)) if self.axis is None else tuple(sorted(axes_of(self.axis, rank)))

    def check(self, tensor: TensorType) -> TensorType:
        """The tensor in the element type of the result; rejects one that this operator does not take."""
        require_floats(self.NAME, tensor)
        return tensor

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The reduced axes go, or stay with size 1."""
        return reduced(self.check(inputs[0]), self.axes(inputs[0].rank), self.keepdim)

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """Everything along the reduced axes."""
        return (reduced_reach(inputs[0].rank, self.axes(inputs[0].rank), self.keepdim),)

    def method(self, name: str, rank: int, always: bool = False) -> Torch:
        """`x.mean((2, 3), keepdim=True)`; the axes are written out where they are given, or `always`."""
        axes = self.axes(rank) if self.axis is None else self.axis
        given = () if self.axis is None and not always else (axes,)
        return Torch(forward=Method(In(), name, given, (("keepdim", True),) if self.keepdim else ()))

    def onnx(self, site: Site) -> OnnxTerm:
        """One reduction, after a Cast where the sum of small integers is a larger one."""
        x = converted(In(), site.input.dtype, site.output.dtype)
        return node(self.ONNX, x, self.axes(site.input.rank), self.keepdim, site.opset)
