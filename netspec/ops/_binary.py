"""What all elementwise operators of two operands share: which two, in which element type, and both lowerings."""

from typing import Any, ClassVar

from netspec.op import Needs, Operator, Reject, Site
from netspec.ops._broadcast import broadcast, broadcast_reach
from netspec.ops._elements import converted, promote, promote_number, refuse_bool
from netspec.ops._inputs import FLOATS
from netspec.reach import Reach
from netspec.sizes.dim import Dim, SizeField
from netspec.sizes.tensor import TensorType
from netspec.terms import In, Infix, OnnxTerm, SizeScalar, Torch, call, op, scalar

#: a number, or an open size, that stands in the place of a tensor
Number = int | float | Dim


def constant(value: Number, dtype: str) -> OnnxTerm:
    """A number as an ONNX scalar with elements of `dtype`."""
    if isinstance(value, Dim):
        return SizeScalar(value, dtype)
    return scalar(float(value) if dtype in FLOATS else int(value), dtype)


class Binary(Operator):
    """`left op right` on two tensors, or on one tensor and one number that stands left or right."""

    FAMILY: ClassVar[str] = "merge"
    ARITY: ClassVar[int | tuple[int, int | None]] = (1, 2)
    #: the sign in the language, and in Python where that is another
    SIGN: ClassVar[str]
    PYTHON: ClassVar[str] = ""
    ONNX: ClassVar[str]

    right: float | SizeField | None = None
    left: float | SizeField | None = None

    def number(self, inputs: tuple[TensorType, ...]) -> Number | None:
        """The number that is given; None where two tensors are. Rejects (NS310) anything but two operands."""
        given = [(name, value) for name, value in (("right", self.right), ("left", self.left)) if value is not None]
        if len(inputs) + len(given) != 2:
            message = f"`{self.NAME}` takes two operands, and {len(inputs) + len(given)} are given"
            example = f"(x, y) -> {self.NAME}, x -> {self.NAME}(right = 2), or x -> {self.NAME}(left = 2)"
            raise Reject("NS310", message, argument=given[-1][0] if given else None, help=example)
        return given[0][1] if given else None

    def dtype(self, inputs: tuple[TensorType, ...]) -> str:
        """The element type of the result; rejects truth values where the result would be one."""
        number = self.number(inputs)
        dtype = promote(*inputs) if number is None else promote_number(inputs[0], number)
        refuse_bool(TensorType((), dtype), self.NAME)
        return dtype

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The broadcast shape, with torch's promoted element type."""
        dtype = self.dtype(inputs)
        shape = inputs[0].shape if len(inputs) == 1 else broadcast(inputs[0].shape, inputs[1].shape, need, self.SIGN)
        return TensorType(shape, dtype)

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """The same position of both, but for axes that are stretched."""
        return (broadcast_reach(inputs, outputs[0]),)

    def _operands(self, number: Number | None) -> tuple[Any, Any]:
        """Left and right: inputs or numbers."""
        if number is None:
            return In(0), In(1)
        return (In(), number) if self.right is not None else (number, In())

    def torch(self, site: Site) -> Torch:
        """`x + y`."""
        left, right = self._operands(self.number(site.inputs))
        return Torch(forward=Infix(self.PYTHON or self.SIGN, left, right))

    def onnx(self, site: Site) -> OnnxTerm:
        """Both operands converted to the promoted element type, then one node."""
        dtype = site.output.dtype
        operands = (
            converted(o, site.inputs[o.index].dtype, dtype) if isinstance(o, In) else constant(o, dtype)
            for o in self._operands(self.number(site.inputs))
        )
        return op(self.ONNX, *operands)


class Extreme(Operator):
    """The larger or the smaller of two tensors."""

    FAMILY: ClassVar[str] = "merge"
    ARITY: ClassVar[int | tuple[int, int | None]] = 2
    ONNX: ClassVar[str]

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The broadcast shape, with torch's promoted element type."""
        dtype = promote(*inputs)
        refuse_bool(TensorType((), dtype), self.NAME)
        return TensorType(broadcast(inputs[0].shape, inputs[1].shape, need, self.NAME), dtype)

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """The same position of both, but for axes that are stretched."""
        return (broadcast_reach(inputs, outputs[0]),)

    def torch(self, site: Site) -> Torch:
        """`torch.maximum(x, y)`."""
        return Torch(forward=call(f"torch.{self.NAME}", In(0), In(1)))

    def onnx(self, site: Site) -> OnnxTerm:
        """Max or Min of the operands in the promoted element type."""
        return op(self.ONNX, *(converted(In(i), t.dtype, site.output.dtype) for i, t in enumerate(site.inputs)))
