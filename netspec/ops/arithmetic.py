"""Elementwise arithmetic: of two tensors, of a tensor and a number, of one tensor."""

from typing import ClassVar, final

from netspec.op import Accepts, Limitation, Needs, Operator, Reject, Rejects, Site
from netspec.ops._binary import Binary, Extreme, constant
from netspec.ops._elements import as_float, converted, promote, promote_number, refuse_bool
from netspec.ops._inputs import FLOATS
from netspec.ops._unary import Unary
from netspec.sizes.tensor import TensorType
from netspec.terms import In, OnnxTerm, Torch, call, op

_NARROW = Limitation("onnx", "elements of uint8 or int8", "onnxruntime has no kernel for them on the CPU: cast(int32) first")


@final
class Add(Binary):
    """Elementwise sum; `a + b` on tensors, or a tensor and a number.

    Axes are aligned from the last one. An axis written as 1 is stretched to the other operand's; an open size is not,
    even where it may be 1: the two must be equal (NS411). Element types are promoted as in torch.

    right, left: the number, where there is one tensor; it stands right or left of it.

    PyTorch: `x + y`. ONNX: Add, after Cast where the element types differ.
    """

    NAME: ClassVar[str] = "add"
    SIGN: ClassVar[str] = "+"
    ONNX: ClassVar[str] = "Add"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("add", ("[N, 8, H, W]", "[N, 8, H, W]"), "[N, 8, H, W]"),
        Accepts("add", ("[N, 8, H, W]", "[8, 1, 1]"), "[N, 8, H, W]"),
        Accepts("add", ("[N, T, 1]", "int64 [T]"), "[N, T, T]"),
        Accepts("add(0.5)", ("int64 [N, 3]",), "[N, 3]"),
        Accepts("add(left = W)", ("[N, W]",), "[N, W]"),
        Rejects("add", ("[N, 8, 4, 4]", "[N, 8, 5, 5]"), "NS411"),
        Rejects("add", ("[N, 8, H, W]", "[N, 8, H // 2, W // 2]"), "NS411"),
        Rejects("add", ("[N, 3]",), "NS310"),
        Rejects("add(1)", ("[N, 3]", "[N, 3]"), "NS310"),
        Rejects("add(1, left = 1)", ("[N, 3]",), "NS310"),
        Rejects("add", ("bool [N, 3]", "bool [N, 3]"), "NS403"),
    )


@final
class Sub(Binary):
    """Elementwise difference, left minus right; `a - b` on tensors, `1 - x` is `x -> sub(left = 1)`.

    Broadcasting and element types as for `add`.

    right, left: the number, where there is one tensor.

    PyTorch: `x - y`. ONNX: Sub.
    """

    NAME: ClassVar[str] = "sub"
    SIGN: ClassVar[str] = "-"
    ONNX: ClassVar[str] = "Sub"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("sub", ("[N, C, L]", "[N, 1, 1]"), "[N, C, L]"),
        Accepts("sub(left = 1)", ("[N, 3, H, W]",), "[N, 3, H, W]", torch="1 - x"),
        Accepts("sub(2)", ("int64 [N, T]",), "int64 [N, T]", torch="x - 2"),
        Rejects("sub", ("[N, 3]", "[N, 4]"), "NS411"),
        Rejects("sub", ("[N, 3]",), "NS310"),
        Rejects("sub", ("bool [N, 3]", "bool [N, 3]"), "NS403"),
        Rejects("sub", ("[N, 3]", "bool [N, 3]"), "NS403"),
        Rejects("sub(left = 1)", ("bool [N, 3]",), "NS403"),
    )

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """As for `add`, but a truth value is no operand, as in torch."""
        for number, x in enumerate(inputs):
            refuse_bool(x, self.NAME, input=number)
        return super().shape(inputs, need)


@final
class Mul(Binary):
    """Elementwise product; `a * b` on tensors. A gate `[N, C, 1, 1]` scales the channels of `[N, C, H, W]`.

    Broadcasting and element types as for `add`.

    right, left: the number, where there is one tensor.

    PyTorch: `x * y`. ONNX: Mul.
    """

    NAME: ClassVar[str] = "mul"
    SIGN: ClassVar[str] = "*"
    ONNX: ClassVar[str] = "Mul"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("mul", ("[N, C, H, W]", "[N, C, 1, 1]"), "[N, C, H, W]"),
        Accepts("mul(0.125)", ("[N, T, 8]",), "[N, T, 8]"),
        Accepts("mul(2.5)", ("int64 [N, 4]",), "[N, 4]"),
        Rejects("mul", ("[N, 8, 4, 4]", "[N, 8, 2, 2]"), "NS411"),
        Rejects("mul", ("[N, 3]",), "NS310"),
        Rejects("mul", ("bool [N, 3]", "bool [N, 3]"), "NS403"),
    )


@final
class Div(Binary):
    """Elementwise true quotient, left over right; `a / b` on tensors. Integers divide to float32, as in torch.

    Broadcasting as for `add`.

    right, left: the number, where there is one tensor.

    PyTorch: `x / y`. ONNX: Div of floats; integers are cast before, because ONNX's integer Div truncates.
    """

    NAME: ClassVar[str] = "div"
    SIGN: ClassVar[str] = "/"
    ONNX: ClassVar[str] = "Div"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("div", ("[N, C, H, W]", "[N, 1, H, W]"), "[N, C, H, W]"),
        Accepts("div(4)", ("int64 [N, T]",), "[N, T]"),
        Accepts("div(T)", ("[N, T]",), "[N, T]"),
        Accepts("div", ("bool [N, 3]", "int32 [N, 3]"), "[N, 3]"),
        Rejects("div", ("[N, 3]", "[N, 4]"), "NS411"),
        Rejects("div", ("[N, 3]",), "NS310"),
    )

    def dtype(self, inputs: tuple[TensorType, ...]) -> str:
        """Always a floating-point type."""
        number = self.number(inputs)
        return as_float(promote(*inputs) if number is None else promote_number(inputs[0], number))


@final
class Pow(Binary):
    """Elementwise power, left to the right; `x ^ 2` on tensors, `2 ^ x` is `x -> pow(left = 2)`.

    Broadcasting and element types as for `add`. Integers with a negative written exponent are refused, as in torch.

    right, left: the number, where there is one tensor: the exponent, or the base.

    PyTorch: `x ** y`. ONNX: Pow.
    """

    NAME: ClassVar[str] = "pow"
    SIGN: ClassVar[str] = "^"
    PYTHON: ClassVar[str] = "**"
    ONNX: ClassVar[str] = "Pow"
    LIMITATIONS: ClassVar[tuple[Limitation, ...]] = (
        _NARROW,
        Limitation("onnx", "integers whose power exceeds 2 ** 53", "onnxruntime computes integer powers in float64"),
    )
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("pow(2)", ("[N, 3, H, W]",), "[N, 3, H, W]", torch="x ** 2"),
        Accepts("pow(3)", ("int64 [N, 3]",), "int64 [N, 3]"),
        Accepts("pow(left = 2)", ("[N, L]",), "[N, L]", torch="2 ** x"),
        Accepts("pow", ("[N, C, L]", "[C, 1]"), "[N, C, L]"),
        Rejects("pow(-1)", ("int64 [N, 3]",), "NS310"),
        Rejects("pow", ("[N, 3]", "[N, 4]"), "NS411"),
        Rejects("pow", ("[N, 3]",), "NS310"),
        Rejects("pow", ("bool [N, 3]", "bool [N, 3]"), "NS403"),
    )

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """As for `add`; an integer to a negative power is rejected."""
        output = super().shape(inputs, need)
        if output.dtype not in FLOATS and isinstance(self.right, (int, float)) and self.right < 0:
            raise Reject("NS310", "integers have no negative powers", argument="right", help=f"{float(self.right)} gives floats")
        return output


@final
class Maximum(Extreme):
    """The larger of two tensors, element by element; NaN wins. Broadcasting and element types as for `add`.

    PyTorch: `torch.maximum`. ONNX: Max. For the largest element along an axis see `max`.
    """

    NAME: ClassVar[str] = "maximum"
    ONNX: ClassVar[str] = "Max"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("maximum", ("[N, C, H, W]", "[N, C, H, W]"), "[N, C, H, W]"),
        Accepts("maximum", ("[N, 3]", "int64 [1]"), "[N, 3]"),
        Rejects("maximum", ("[N, 3]", "[N, 4]"), "NS411"),
        Rejects("maximum", ("bool [N, 3]", "bool [N, 3]"), "NS403"),
    )


@final
class Minimum(Extreme):
    """The smaller of two tensors, element by element; NaN wins. Broadcasting and element types as for `add`.

    PyTorch: `torch.minimum`. ONNX: Min. For the smallest element along an axis see `min`.
    """

    NAME: ClassVar[str] = "minimum"
    ONNX: ClassVar[str] = "Min"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("minimum", ("[N, C, H, W]", "[N, C, H, W]"), "[N, C, H, W]"),
        Accepts("minimum", ("[N, 3]", "[3]"), "[N, 3]"),
        Rejects("minimum", ("[N, 3]", "[N, 4]"), "NS411"),
        Rejects("minimum", ("bool [N, 3]", "bool [N, 3]"), "NS403"),
    )


@final
class Neg(Unary):
    """The negative of each element; `-x` on tensors. PyTorch: `torch.neg`. ONNX: Neg."""

    NAME: ClassVar[str] = "neg"
    ONNX: ClassVar[str] = "Neg"
    FLOAT: ClassVar[bool] = False
    LIMITATIONS: ClassVar[tuple[Limitation, ...]] = (
        Limitation("onnx", "elements of uint8", "ONNX has no negative of unsigned integers, where torch wraps around"),
    )
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("neg", ("[N, C, H, W]",), "[N, C, H, W]"),
        Accepts("neg", ("int64 [N, 3]",), "int64 [N, 3]"),
        Rejects("neg", ("bool [N, 3]",), "NS403"),
    )


@final
class Abs(Unary):
    """The absolute value of each element. PyTorch: `torch.abs`. ONNX: Abs."""

    NAME: ClassVar[str] = "abs"
    ONNX: ClassVar[str] = "Abs"
    FLOAT: ClassVar[bool] = False
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("abs", ("[N, C, H, W]",), "[N, C, H, W]"),
        Accepts("abs", ("int64 [N, 3]",), "int64 [N, 3]"),
        Rejects("abs", ("bool [N, 3]",), "NS403"),
    )


@final
class Exp(Unary):
    """e to the power of each element; integers give float32. PyTorch: `torch.exp`. ONNX: Exp."""

    NAME: ClassVar[str] = "exp"
    ONNX: ClassVar[str] = "Exp"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("exp", ("[N, C, H, W]",), "[N, C, H, W]"),
        Accepts("exp", ("int64 [N, 3]",), "[N, 3]"),
    )


@final
class Log(Unary):
    """The natural logarithm of each element: -inf of 0, NaN below; integers give float32. PyTorch: `torch.log`. ONNX: Log."""

    NAME: ClassVar[str] = "log"
    ONNX: ClassVar[str] = "Log"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("log", ("[N, C, H, W]",), "[N, C, H, W]"),
        Accepts("log", ("int64 [N, 3]",), "[N, 3]"),
    )


@final
class Sqrt(Unary):
    """The square root of each element, NaN below 0; integers give float32. PyTorch: `torch.sqrt`. ONNX: Sqrt."""

    NAME: ClassVar[str] = "sqrt"
    ONNX: ClassVar[str] = "Sqrt"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("sqrt", ("[N, C, H, W]",), "[N, C, H, W]"),
        Accepts("sqrt", ("int64 [N, 3]",), "[N, 3]"),
    )


@final
class Sin(Unary):
    """The sine of each element, in radians; integers give float32. PyTorch: `torch.sin`. ONNX: Sin."""

    NAME: ClassVar[str] = "sin"
    ONNX: ClassVar[str] = "Sin"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("sin", ("[N, T, 4]",), "[N, T, 4]"),
        Accepts("sin", ("int64 [N, 3]",), "[N, 3]"),
    )


@final
class Cos(Unary):
    """The cosine of each element, in radians; integers give float32. PyTorch: `torch.cos`. ONNX: Cos."""

    NAME: ClassVar[str] = "cos"
    ONNX: ClassVar[str] = "Cos"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("cos", ("[N, T, 4]",), "[N, T, 4]"),
        Accepts("cos", ("int64 [N, 3]",), "[N, 3]"),
    )


@final
class Clamp(Operator):
    """Each element, but not below `min` nor above `max`: `min(max(x, low), high)`. NaN stays.

    A bound that is a fraction turns integers into float32, and where `min` exceeds `max` the result is `max` everywhere,
    both as in torch.

    min, max: the bounds; either may be left out, not both.

    PyTorch: `torch.clamp`. ONNX: Clip.
    """

    NAME: ClassVar[str] = "clamp"
    FAMILY: ClassVar[str] = "activation"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("clamp(0, 1)", ("[N, C, H, W]",), "[N, C, H, W]"),
        Accepts("clamp(max = 3)", ("int64 [N, 4]",), "int64 [N, 4]"),
        Accepts("clamp(3, 1)", ("[N, C]",), "[N, C]"),
        Accepts("clamp(min = 0.5)", ("int64 [N, 4]",), "[N, 4]"),
        Rejects("clamp", ("[N, 3]",), "NS310"),
        Rejects("clamp(0)", ("bool [N, 3]",), "NS403"),
    )

    min: int | float | None = None
    max: int | float | None = None

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The shape stays."""
        bounds = [b for b in (self.min, self.max) if b is not None]
        if not bounds:
            raise Reject("NS310", "`clamp` needs a bound", help="clamp(min = 0), clamp(max = 6), or clamp(0, 6)")
        refuse_bool(inputs[0], self.NAME)
        fraction = next((b for b in bounds if isinstance(b, float)), 0)
        return TensorType(inputs[0].shape, promote_number(inputs[0], fraction))

    def torch(self, site: Site) -> Torch:
        """`torch.clamp(x, min=0, max=1)`."""
        bounds = {name: bound for name, bound in (("min", self.min), ("max", self.max)) if bound is not None}
        return Torch(forward=call("torch.clamp", In(), **bounds))

    def onnx(self, site: Site) -> OnnxTerm:
        """Clip."""
        dtype = site.output.dtype
        low, high = (None if bound is None else constant(bound, dtype) for bound in (self.min, self.max))
        x = converted(In(), site.input.dtype, dtype)
        return op("Clip", x, low) if high is None else op("Clip", x, low, high)
