"""Functions of each element that networks need beside the arithmetic: roundings, roots, the error function, remainders."""

from typing import ClassVar, final

from netspec.op import Accepts, Needs, Reject, Rejects, Site
from netspec.ops._binary import Binary, constant
from netspec.ops._elements import converted, promote, promote_number, refuse_bool
from netspec.ops._inputs import FLOATS
from netspec.ops._unary import Unary
from netspec.sizes.tensor import TensorType
from netspec.terms import In, OnnxTerm, op, scalar


@final
class Erf(Unary):
    """The error function of each element, `2 / sqrt(pi)` times the integral of `exp(-t * t)` from 0 to it; integers give
    float32. PyTorch: `torch.erf`. ONNX: Erf."""

    NAME: ClassVar[str] = "erf"
    ONNX: ClassVar[str] = "Erf"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("erf", ("[N, T, 4]",), "[N, T, 4]"),
        Accepts("erf", ("int64 [N, 3]",), "[N, 3]"),
    )


@final
class Rsqrt(Unary):
    """One over the square root of each element: infinity of 0, NaN below; integers give float32. PyTorch: `torch.rsqrt`.
    ONNX: Reciprocal of Sqrt."""

    NAME: ClassVar[str] = "rsqrt"
    ONNX: ClassVar[str] = "Sqrt"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("rsqrt", ("[N, T, 4]",), "[N, T, 4]"),
        Accepts("rsqrt", ("int64 [N, 3]",), "[N, 3]"),
    )

    def onnx(self, site: Site) -> OnnxTerm:
        """Reciprocal of Sqrt."""
        return op("Reciprocal", super().onnx(site))


@final
class Reciprocal(Unary):
    """One over each element; integers give float32. PyTorch: `torch.reciprocal`. ONNX: Reciprocal."""

    NAME: ClassVar[str] = "reciprocal"
    ONNX: ClassVar[str] = "Reciprocal"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("reciprocal", ("[N, T, 4]",), "[N, T, 4]"),
        Accepts("reciprocal", ("int64 [N, 3]",), "[N, 3]"),
    )


@final
class Tan(Unary):
    """The tangent of each element, in radians; integers give float32. PyTorch: `torch.tan`. ONNX: Tan."""

    NAME: ClassVar[str] = "tan"
    ONNX: ClassVar[str] = "Tan"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("tan", ("[N, T, 4]",), "[N, T, 4]"),
        Accepts("tan", ("int64 [N, 3]",), "[N, 3]"),
    )


@final
class Atan(Unary):
    """The angle, between -pi / 2 and pi / 2, of which each element is the tangent; integers give float32.
    PyTorch: `torch.atan`. ONNX: Atan."""

    NAME: ClassVar[str] = "atan"
    ONNX: ClassVar[str] = "Atan"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("atan", ("[N, T, 4]",), "[N, T, 4]"),
        Accepts("atan", ("int64 [N, 3]",), "[N, 3]"),
    )


class _Rounding(Unary):
    """A whole number near each element; integers are that already."""

    FLOAT: ClassVar[bool] = False

    def onnx(self, site: Site) -> OnnxTerm:
        """One node; integers stay."""
        return super().onnx(site) if site.input.dtype in FLOATS else In()


@final
class Floor(_Rounding):
    """The largest whole number that is not above each element. PyTorch: `torch.floor`. ONNX: Floor."""

    NAME: ClassVar[str] = "floor"
    ONNX: ClassVar[str] = "Floor"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("floor", ("[N, T, 4]",), "[N, T, 4]"),
        Accepts("floor", ("int64 [N, 3]",), "int64 [N, 3]"),
        Rejects("floor", ("bool [N, 3]",), "NS403"),
    )


@final
class Ceil(_Rounding):
    """The smallest whole number that is not below each element. PyTorch: `torch.ceil`. ONNX: Ceil."""

    NAME: ClassVar[str] = "ceil"
    ONNX: ClassVar[str] = "Ceil"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("ceil", ("[N, T, 4]",), "[N, T, 4]"),
        Accepts("ceil", ("int32 [N, 3]",), "int32 [N, 3]"),
        Rejects("ceil", ("bool [N, 3]",), "NS403"),
    )


@final
class Round(_Rounding):
    """The nearest whole number; of halves the even one. PyTorch: `torch.round`. ONNX: Round."""

    NAME: ClassVar[str] = "round"
    ONNX: ClassVar[str] = "Round"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("round", ("[N, T, 4]",), "[N, T, 4]"),
        Accepts("round", ("int64 [N, 3]",), "int64 [N, 3]"),
        Rejects("round", ("bool [N, 3]",), "NS403"),
    )


@final
class Sign(Unary):
    """-1 below 0, 1 above it, else 0, for NaN too. PyTorch: `torch.sign`. ONNX: Sign; 0 where it gives NaN."""

    NAME: ClassVar[str] = "sign"
    ONNX: ClassVar[str] = "Sign"
    FLOAT: ClassVar[bool] = False
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("sign", ("[N, T, 4]",), "[N, T, 4]"),
        Accepts("sign", ("int64 [N, 3]",), "int64 [N, 3]"),
        Rejects("sign", ("bool [N, 3]",), "NS403"),
    )

    def onnx(self, site: Site) -> OnnxTerm:
        """Sign, which keeps NaN."""
        found = super().onnx(site)
        return op("Where", op("IsNaN", In()), scalar(0.0, site.input.dtype), found) if site.input.dtype in FLOATS else found


class _Division(Binary):
    """What is left of a division, or how often it goes: of integers by a number alone, for nobody can answer for a tensor's zeros."""

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """As for `add`; truth values, and a divisor of 0, are rejected."""
        for number, x in enumerate(inputs):
            refuse_bool(x, self.NAME, input=number)
        if self.left is not None:
            raise Reject("NS310", f"what `{self.NAME}` divides is a tensor", argument="left", help="torch has no gradient of a number's")
        output = super().shape(inputs, need)
        if output.dtype not in FLOATS and self.right is None:
            message = f"`{self.NAME}` divides integers by a number that is written: one of a tensor may be 0"
            raise Reject("NS403", message, input=len(inputs) - 1, help="cast(float32) before it")
        if isinstance(self.right, (int, float)) and self.right == 0:
            raise Reject("NS310", "a division by 0", argument="right")
        return output


@final
class Remainder(_Division):
    """What is left of each element after whole divisors, with the divisor's sign; `x % 3` on tensors: -1 gives 2.

    Broadcasting and element types as for `add`; integers are divided by a written number or an open size only.

    right: the divisor, where it is a number or an open size.

    PyTorch: `x % y`. ONNX: Mod; of floats with the dividend's sign, and the divisor is added where signs differ.
    """

    NAME: ClassVar[str] = "remainder"
    SIGN: ClassVar[str] = "%"
    ONNX: ClassVar[str] = "Mod"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("remainder(3)", ("int64 [N, T]",), "int64 [N, T]", torch="x % 3"),
        Accepts("remainder(-3)", ("int32 [N, 4]",), "int32 [N, 4]"),
        Accepts("remainder(T)", ("int64 [N, T]",), "int64 [N, T]"),
        Accepts("remainder(0.7)", ("[N, C, H, W]",), "[N, C, H, W]"),
        Accepts("remainder", ("[N, 4]", "[4]"), "[N, 4]"),
        Rejects("remainder(left = -5)", ("[N, 4]",), "NS310"),
        Rejects("remainder(0)", ("int64 [N, 4]",), "NS310"),
        Rejects("remainder", ("int64 [N, 4]", "int64 [4]"), "NS403"),
        Rejects("remainder(2)", ("bool [N, 4]",), "NS403"),
        Rejects("remainder", ("[N, 3]", "[N, 4]"), "NS411"),
    )

    def onnx(self, site: Site) -> OnnxTerm:
        """Mod; of floats as C has it, and then moved to the divisor's side of 0."""
        dtype = site.output.dtype
        left = converted(In(), site.input.dtype, dtype)
        right = converted(In(1), site.inputs[1].dtype, dtype) if self.right is None else constant(self.right, dtype)
        if dtype not in FLOATS:
            return op("Mod", left, right)
        rest, zero = op("Mod", left, right, fmod=1), scalar(0.0, dtype)
        across = op("Xor", op("Less", right, zero), op("Less", rest, zero))
        moved = op("And", across, op("Not", op("Equal", rest, zero)))
        return op("Where", moved, op("Add", rest, right), rest)


@final
class FloorDivide(_Division):
    """How many whole divisors go into each element, rounded down: `x // 3` on tensors of integers; -1 gives -1.

    Integers alone: of floats `x / 3 -> floor` says the same, but for its rounding.

    right: the divisor, a number or an open size.

    PyTorch: `x // y`. ONNX: Div, which truncates, of what is left without the remainder.
    """

    NAME: ClassVar[str] = "floor_divide"
    SIGN: ClassVar[str] = "//"
    ONNX: ClassVar[str] = "Div"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("floor_divide(3)", ("int64 [N, T]",), "int64 [N, T]", torch="x // 3"),
        Accepts("floor_divide(-3)", ("int32 [N, 4]",), "int32 [N, 4]"),
        Accepts("floor_divide(T)", ("int64 [N, T]",), "int64 [N, T]"),
        Rejects("floor_divide(0)", ("int64 [N, 4]",), "NS310"),
        Rejects("floor_divide(2)", ("[N, 4]",), "NS403"),
        Rejects("floor_divide(2.5)", ("int64 [N, 4]",), "NS403"),
        Rejects("floor_divide(left = 2)", ("int64 [N, 4]",), "NS310"),
    )

    def dtype(self, inputs: tuple[TensorType, ...]) -> str:
        """An integer type; floats are rejected."""
        number = self.number(inputs)
        dtype = promote(*inputs) if number is None else promote_number(inputs[0], number)
        if dtype in FLOATS:
            raise Reject("NS403", "`floor_divide` divides integers", input=0, help="of floats: `x / y -> floor`")
        return dtype

    def onnx(self, site: Site) -> OnnxTerm:
        """The remainder is taken off, then Div is exact."""
        dtype = site.output.dtype
        left, right = converted(In(), site.input.dtype, dtype), constant(self.right, dtype)  # type: ignore[arg-type]
        return op("Div", op("Sub", left, op("Mod", left, right)), right)
