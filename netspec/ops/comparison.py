"""Truth values of tensors: comparisons, their logic, and the choice between two tensors by them."""

from typing import Any, ClassVar, final

from netspec.op import Accepts, Needs, Operator, Reject, Rejects, Site
from netspec.ops._binary import Binary, Number, constant
from netspec.ops._broadcast import broadcast, broadcast_reach
from netspec.ops._elements import converted, promote, promote_number, refuse_bool
from netspec.reach import Reach
from netspec.sizes.dim import SizeField
from netspec.sizes.tensor import TensorType
from netspec.terms import In, Infix, OnnxTerm, Torch, call, op

#: onnxruntime compares no smaller integers on the CPU
_SMALL = ("uint8", "int8")


class _Comparison(Binary):
    """Whether `left ? right`, element by element, in their promoted element type."""

    #: whether truth values have an order here
    ORDER: ClassVar[bool] = True
    #: the ONNX operator says the opposite
    NEGATED: ClassVar[bool] = False

    def common(self, inputs: tuple[TensorType, ...]) -> str:
        """The element type in which both are compared."""
        number = self.number(inputs)
        return promote(*inputs) if number is None else promote_number(inputs[0], number)

    def dtype(self, inputs: tuple[TensorType, ...]) -> str:
        """Always bool."""
        if self.ORDER:
            refuse_bool(TensorType((), self.common(inputs)), self.NAME)
        self.common(inputs)
        return "bool"

    def torch(self, site: Site) -> Torch:
        """`x < y`."""
        return Torch(forward=Infix(self.SIGN, *self._operands(self.number(site.inputs))))

    def onnx(self, site: Site) -> OnnxTerm:
        """Both converted to the promoted element type, then one node, or two."""
        dtype = self.common(site.inputs)
        dtype = "int32" if dtype in _SMALL else dtype
        operands = (
            converted(o, site.inputs[o.index].dtype, dtype) if isinstance(o, In) else constant(o, dtype)
            for o in self._operands(self.number(site.inputs))
        )
        found = op(self.ONNX, *operands)
        return op("Not", found) if self.NEGATED else found


@final
class Equal(_Comparison):
    """Whether two tensors are equal, element by element, as bool; NaN equals nothing.

    Broadcasting and promotion of element types as for `add`.

    right, left: the number, where there is one tensor.

    PyTorch: `x == y`. ONNX: Equal.
    """

    NAME: ClassVar[str] = "equal"
    SIGN: ClassVar[str] = "=="
    ONNX: ClassVar[str] = "Equal"
    ORDER: ClassVar[bool] = False
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("equal", ("int64 [N, T]", "int64 [N, T]"), "bool [N, T]", torch="x == y"),
        Accepts("equal(0)", ("int64 [N, T]",), "bool [N, T]", torch="x == 0"),
        Accepts("equal", ("bool [N, T, 1]", "bool [T]"), "bool [N, T, T]"),
        Rejects("equal", ("[N, 3]", "[N, 4]"), "NS411"),
        Rejects("equal", ("[N, 3]",), "NS310"),
    )


@final
class NotEqual(_Comparison):
    """Whether two tensors differ, element by element, as bool; NaN differs from everything.

    Broadcasting and promotion of element types as for `add`.

    right, left: the number, where there is one tensor.

    PyTorch: `x != y`. ONNX: Equal, then Not.
    """

    NAME: ClassVar[str] = "not_equal"
    SIGN: ClassVar[str] = "!="
    ONNX: ClassVar[str] = "Equal"
    ORDER: ClassVar[bool] = False
    NEGATED: ClassVar[bool] = True
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("not_equal(1)", ("int32 [N, T]",), "bool [N, T]", torch="x != 1"),
        Accepts("not_equal", ("[N, 4]", "[N, 4]"), "bool [N, 4]", torch="x != y"),
        Rejects("not_equal", ("[N, 3]", "[N, 4]"), "NS411"),
        Rejects("not_equal(1, left = 2)", ("[N, 3]",), "NS310"),
    )


@final
class Less(_Comparison):
    """Whether left is below right, element by element, as bool: `(rows, columns) -> less`, `x -> less(0.5)`.

    Broadcasting and promotion of element types as for `add`.

    right, left: the number, where there is one tensor.

    PyTorch: `x < y`. ONNX: Less.
    """

    NAME: ClassVar[str] = "less"
    SIGN: ClassVar[str] = "<"
    ONNX: ClassVar[str] = "Less"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("less", ("int64 [T, 1]", "int64 [T]"), "bool [T, T]", torch="x < y"),
        Accepts("less(0.5)", ("[N, C, H, W]",), "bool [N, C, H, W]", torch="x < 0.5"),
        Accepts("less(0.5)", ("int64 [N, 3]",), "bool [N, 3]"),
        Accepts("less(left = 2)", ("uint8 [N, 3]",), "bool [N, 3]", torch="2 < x"),
        Rejects("less", ("bool [N, 3]", "bool [N, 3]"), "NS403"),
        Rejects("less", ("[N, 3]", "[N, 4]"), "NS411"),
    )


@final
class LessEqual(_Comparison):
    """Whether left is at most right, element by element, as bool.

    Broadcasting and promotion of element types as for `add`.

    right, left: the number, where there is one tensor.

    PyTorch: `x <= y`. ONNX: LessOrEqual.
    """

    NAME: ClassVar[str] = "less_equal"
    SIGN: ClassVar[str] = "<="
    ONNX: ClassVar[str] = "LessOrEqual"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("less_equal", ("[N, T]", "int64 [T]"), "bool [N, T]", torch="x <= y"),
        Accepts("less_equal(T)", ("int64 [N, T]",), "bool [N, T]", torch="x <= x.shape[1]"),
        Rejects("less_equal", ("bool [N, 3]", "bool [N, 3]"), "NS403"),
    )


@final
class Greater(_Comparison):
    """Whether left is above right, element by element, as bool.

    Broadcasting and promotion of element types as for `add`.

    right, left: the number, where there is one tensor.

    PyTorch: `x > y`. ONNX: Greater.
    """

    NAME: ClassVar[str] = "greater"
    SIGN: ClassVar[str] = ">"
    ONNX: ClassVar[str] = "Greater"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("greater", ("[N, C, L]", "[N, 1, L]"), "bool [N, C, L]", torch="x > y"),
        Accepts("greater(0)", ("[N, 4]",), "bool [N, 4]", torch="x > 0"),
        Rejects("greater", ("[N, 3]",), "NS310"),
    )


@final
class GreaterEqual(_Comparison):
    """Whether left is at least right, element by element, as bool.

    Broadcasting and promotion of element types as for `add`.

    right, left: the number, where there is one tensor.

    PyTorch: `x >= y`. ONNX: GreaterOrEqual.
    """

    NAME: ClassVar[str] = "greater_equal"
    SIGN: ClassVar[str] = ">="
    ONNX: ClassVar[str] = "GreaterOrEqual"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("greater_equal", ("int64 [T, 1]", "int64 [T]"), "bool [T, T]", torch="x >= y"),
        Accepts("greater_equal(-1)", ("int8 [N, 4]",), "bool [N, 4]", torch="x >= -1"),
        Rejects("greater_equal", ("[N, 3]",), "NS310"),
    )


class _Logic(Operator):
    """A function of truth values."""

    FAMILY: ClassVar[str] = "merge"
    ARITY: ClassVar[int | tuple[int, int | None]] = 2
    ONNX: ClassVar[str]

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The shapes, broadcast as for `add`."""
        for number, x in enumerate(inputs):
            if x.dtype != "bool":
                raise Reject("NS403", f"`{self.NAME}` takes truth values, not {x.dtype}", input=number, help="compare first: not_equal(0)")
        return inputs[0] if len(inputs) == 1 else TensorType(broadcast(inputs[0].shape, inputs[1].shape, need, self.NAME), "bool")

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """The same position, but for axes that are stretched."""
        return (broadcast_reach(inputs, outputs[0]),)

    def torch(self, site: Site) -> Torch:
        """`torch.logical_and(x, y)`."""
        return Torch(forward=call(f"torch.{self.NAME}", *(In(i) for i in range(len(site.inputs)))))

    def onnx(self, site: Site) -> OnnxTerm:
        """One node."""
        return op(self.ONNX, *(In(i) for i in range(len(site.inputs))))


@final
class LogicalAnd(_Logic):
    """Whether both are true. Two bool tensors, broadcast as for `add`. PyTorch: `torch.logical_and`. ONNX: And."""

    NAME: ClassVar[str] = "logical_and"
    ONNX: ClassVar[str] = "And"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("logical_and", ("bool [N, T]", "bool [N, T]"), "bool [N, T]"),
        Accepts("logical_and", ("bool [N, 1, T]", "bool [T, T]"), "bool [N, T, T]"),
        Rejects("logical_and", ("bool [N, T]", "[N, T]"), "NS403"),
    )


@final
class LogicalOr(_Logic):
    """Whether one of both is true. Two bool tensors, broadcast as for `add`. PyTorch: `torch.logical_or`. ONNX: Or."""

    NAME: ClassVar[str] = "logical_or"
    ONNX: ClassVar[str] = "Or"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("logical_or", ("bool [N, T]", "bool [N, T]"), "bool [N, T]"),
        Accepts("logical_or", ("bool [N, 1, T]", "bool [T, T]"), "bool [N, T, T]"),
        Rejects("logical_or", ("bool [N, 3]", "bool [N, 4]"), "NS411"),
    )


@final
class LogicalNot(_Logic):
    """True where its input is false. A bool tensor. PyTorch: `torch.logical_not`. ONNX: Not."""

    NAME: ClassVar[str] = "logical_not"
    FAMILY: ClassVar[str] = "activation"
    ARITY: ClassVar[int | tuple[int, int | None]] = 1
    ONNX: ClassVar[str] = "Not"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("logical_not", ("bool [N, T]",), "bool [N, T]"),
        Accepts("logical_not", ("bool [T, 1]",), "bool [T, 1]"),
        Rejects("logical_not", ("int64 [N, T]",), "NS403"),
    )


@final
class Where(Operator):
    """Where the condition is true the first value, elsewhere the second: `(c, a, b) -> where`. Either may be a number:
    `(c, a) -> where(right = 0)` is `a` or 0, `(c, b) -> where(left = -inf)` is -inf or `b`.

    The condition is bool. Broadcasting and promotion of element types as for `add`.

    left, right: the number where the condition is true, and where it is false.

    PyTorch: `torch.where`. ONNX: Where.
    """

    NAME: ClassVar[str] = "where"
    FAMILY: ClassVar[str] = "merge"
    ARITY: ClassVar[int | tuple[int, int | None]] = (1, 3)
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("where", ("bool [N, T]", "[N, T]", "[N, T]"), "[N, T]", torch="torch.where(c, a, b)"),
        Accepts("where", ("bool [T, 1]", "[N, T, 4]", "int64 [4]"), "[N, T, 4]"),
        Accepts("where(right = 0)", ("bool [N, T]", "[N, T]"), "[N, T]", torch="torch.where(c, a, 0)"),
        Accepts("where(left = -inf)", ("bool [T, T]", "[N, T, T]"), "[N, T, T]", torch='torch.where(c, float("-inf"), b)'),
        Accepts("where(left = T, right = 0)", ("bool [N, T]",), "int64 [N, T]"),
        Accepts("where(left = 1, right = 0.5)", ("bool [N, T]",), "[N, T]"),
        Accepts("where", ("bool [N, T]", "int8 [N, T]", "int8 [T]"), "int8 [N, T]"),
        Accepts("where", ("bool [N, T]",) * 3, "bool [N, T]"),
        Rejects("where", ("[N, T]", "[N, T]", "[N, T]"), "NS403"),
        Rejects("where", ("bool [N, T]", "[N, T]"), "NS310"),
        Rejects("where(left = 1)", ("bool [N, T]", "[N, T]", "[N, T]"), "NS310"),
        Rejects("where", ("bool [N, 3]", "[N, 3]", "[N, 4]"), "NS411"),
    )

    left: float | SizeField | None = None
    right: float | SizeField | None = None

    def _values(self, inputs: tuple[TensorType, ...]) -> tuple[Any, Any]:
        """Both values, as inputs or numbers. Rejects (NS310) anything but two."""
        tensors = iter(range(1, len(inputs)))
        found = [In(next(tensors, -1)) if number is None else number for number in (self.left, self.right)]
        if next(tensors, None) is not None or any(isinstance(v, In) and v.index < 0 for v in found):
            raise Reject("NS310", "`where` takes a condition and two values", help="(c, a, b) -> where, or (c, a) -> where(right = 0)")
        return found[0], found[1]

    def _dtype(self, inputs: tuple[TensorType, ...]) -> str:
        values = self._values(inputs)
        tensors = [inputs[v.index] for v in values if isinstance(v, In)]
        numbers: list[Number] = [v for v in values if not isinstance(v, In)]
        if len(tensors) == 2:
            return promote(*tensors)
        if tensors:
            return promote_number(tensors[0], numbers[0])
        return "float32" if any(isinstance(v, float) for v in numbers) else "int64"

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The shapes of the condition and both values, broadcast."""
        if inputs[0].dtype != "bool":
            raise Reject("NS403", f"the condition is bool, not {inputs[0].dtype}", input=0, help="compare first: greater(0)")
        dtype, shape = self._dtype(inputs), inputs[0].shape
        for value in inputs[1:]:
            shape = broadcast(shape, value.shape, need, self.NAME)
        return TensorType(shape, dtype)

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """The same position of all, but for axes that are stretched."""
        return (broadcast_reach(inputs, outputs[0]),)

    def torch(self, site: Site) -> Torch:
        """`torch.where(c, a, b)`."""
        return Torch(forward=call("torch.where", In(0), *self._values(site.inputs)))

    def onnx(self, site: Site) -> OnnxTerm:
        """Both values converted to the promoted element type, then Where; onnxruntime has none of int8 or bool."""
        dtype = "int32" if site.output.dtype in ("int8", "bool") else site.output.dtype
        values = (
            converted(v, site.inputs[v.index].dtype, dtype) if isinstance(v, In) else constant(v, dtype) for v in self._values(site.inputs)
        )
        return converted(op("Where", In(0), *values), dtype, site.output.dtype)
