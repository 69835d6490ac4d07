"""Activations with bounded values, and those that share a whole out: sigmoids, softmax, gates."""

from typing import ClassVar, final

from pydantic import Field

from netspec.op import Accepts, Needs, Operator, Rejects, Site
from netspec.ops._activation import Activation, gated, sigmoid
from netspec.ops._axes import axis_of
from netspec.ops._inputs import require_floats
from netspec.reach import All, AxisReach, Reach, Same
from netspec.sizes.dim import exact_div
from netspec.sizes.tensor import TensorType
from netspec.terms import In, OnnxTerm, Out, SizeVec, Torch, module, op


def _along(axis: int, rank: int) -> tuple[Reach, ...]:
    """All of one axis, every position of the others by itself."""
    axes: tuple[AxisReach, ...] = tuple(All(a) if a == axis else Same(a) for a in range(rank))
    return (Reach((axes,)),)


@final
class Sigmoid(Activation):
    """`1 / (1 + exp(-x))`, in (0, 1).

    Any floating-point input; the output has its shape. PyTorch: `nn.Sigmoid`. ONNX: the formula itself, for
    onnxruntime's `Sigmoid` is 0 from -18 downwards, where torch has 1.5e-8.
    """

    NAME: ClassVar[str] = "sigmoid"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("sigmoid", ("[N, 1, H = 4, W = 5]",), "[N, 1, H, W]", "nn.Sigmoid()"),
        Accepts("sigmoid", ("[2, 3]",), "[2, 3]", "nn.Sigmoid()"),
        Rejects("sigmoid", ("int64 [2, 3]",), "NS403"),
    )

    def torch(self, site: Site) -> Torch:
        return Torch(module("nn.Sigmoid"))

    def onnx(self, site: Site) -> OnnxTerm:
        return sigmoid(In(), site.input.dtype)


@final
class HardSigmoid(Activation):
    """`min(max(x / 6 + 1/2, 0), 1)`, a piecewise sigmoid.

    Any floating-point input; the output has its shape. PyTorch: `nn.Hardsigmoid`. ONNX: `HardSigmoid` with `alpha` 1/6
    (its default is 0.2). Howard et al., "Searching for MobileNetV3", arXiv:1905.02244.
    """

    NAME: ClassVar[str] = "hard_sigmoid"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("hard_sigmoid", ("[N, 8, H = 4, W = 5]",), "[N, 8, H, W]", "nn.Hardsigmoid()"),
        Accepts("hard_sigmoid", ("[2, 3]",), "[2, 3]", "nn.Hardsigmoid()"),
        Rejects("hard_sigmoid", ("int64 [2, 3]",), "NS403"),
    )

    def torch(self, site: Site) -> Torch:
        return Torch(module("nn.Hardsigmoid"))

    def onnx(self, site: Site) -> OnnxTerm:
        return op("HardSigmoid", In(), alpha=1 / 6, beta=0.5)


@final
class Tanh(Activation):
    """The hyperbolic tangent, in (-1, 1).

    Any floating-point input; the output has its shape. PyTorch: `nn.Tanh`. ONNX: `Tanh`.
    """

    NAME: ClassVar[str] = "tanh"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("tanh", ("[N, 8, H = 4, W = 5]",), "[N, 8, H, W]", "nn.Tanh()"),
        Accepts("tanh", ("[2, 3]",), "[2, 3]", "nn.Tanh()"),
        Rejects("tanh", ("int64 [2, 3]",), "NS403"),
    )

    def torch(self, site: Site) -> Torch:
        return Torch(module("nn.Tanh"))

    def onnx(self, site: Site) -> OnnxTerm:
        return op("Tanh", In())


@final
class Softsign(Activation):
    """`x / (1 + |x|)`, in (-1, 1).

    Any floating-point input; the output has its shape. PyTorch: `nn.Softsign`. ONNX: `Softsign`.
    """

    NAME: ClassVar[str] = "softsign"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("softsign", ("[N, 8, H = 4, W = 5]",), "[N, 8, H, W]", "nn.Softsign()"),
        Accepts("softsign", ("[2, 3]",), "[2, 3]", "nn.Softsign()"),
        Rejects("softsign", ("int64 [2, 3]",), "NS403"),
    )

    def torch(self, site: Site) -> Torch:
        return Torch(module("nn.Softsign"))

    def onnx(self, site: Site) -> OnnxTerm:
        return op("Softsign", In())


@final
class Softmax(Operator):
    """`exp(x) / Σ exp(x)` along `axis`: positive shares that sum to 1. A row of nothing but -inf is NaN, as in torch.

    Any floating-point input of at least one axis; the output has its shape. The default axis is the last; torch wants it
    said, and for images `[N, C, H, W]` that means `axis = 1`. PyTorch: `nn.Softmax`. ONNX: `Softmax`.
    """

    NAME: ClassVar[str] = "softmax"
    FAMILY: ClassVar[str] = "activation"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("softmax", ("[N, 8]",), "[N, 8]", "nn.Softmax(dim=-1)"),
        Accepts("softmax(axis = 1)", ("[N, 3, H = 4, W = 5]",), "[N, 3, H, W]", "nn.Softmax(dim=1)"),
        Accepts("softmax(axis = 1)", ("[2, T = 3, 4]",), "[2, T, 4]", "nn.Softmax(dim=1)"),
        Rejects("softmax(axis = 2)", ("[N, 8]",), "NS406"),
        Rejects("softmax", ("int64 [N, 8]",), "NS403"),
    )

    axis: int = Field(-1, description="the axis along which the shares sum to 1")

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        (x,) = inputs
        require_floats(self.NAME, x)
        axis_of(self.axis, x.rank)
        return x

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        return _along(axis_of(self.axis, inputs[0].rank), inputs[0].rank)

    def torch(self, site: Site) -> Torch:
        return Torch(module("nn.Softmax", dim=self.axis))

    def onnx(self, site: Site) -> OnnxTerm:
        return op("Softmax", In(), axis=self.axis)


@final
class LogSoftmax(Operator):
    """`x - log Σ exp(x)` along `axis`: the logarithm of `softmax`, without its underflow.

    Any floating-point input of at least one axis; the output has its shape. The default axis is the last.
    PyTorch: `nn.LogSoftmax`. ONNX: `LogSoftmax`.
    """

    NAME: ClassVar[str] = "log_softmax"
    FAMILY: ClassVar[str] = "activation"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("log_softmax", ("[N, 8]",), "[N, 8]", "nn.LogSoftmax(dim=-1)"),
        Accepts("log_softmax(axis = 1)", ("[N, 3, H = 4, W = 5]",), "[N, 3, H, W]", "nn.LogSoftmax(dim=1)"),
        Rejects("log_softmax(axis = -3)", ("[N, 8]",), "NS406"),
        Rejects("log_softmax", ("int64 [N, 8]",), "NS403"),
    )

    axis: int = Field(-1, description="the axis along which the shares sum to 1")

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        (x,) = inputs
        require_floats(self.NAME, x)
        axis_of(self.axis, x.rank)
        return x

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        return _along(axis_of(self.axis, inputs[0].rank), inputs[0].rank)

    def torch(self, site: Site) -> Torch:
        return Torch(module("nn.LogSoftmax", dim=self.axis))

    def onnx(self, site: Site) -> OnnxTerm:
        return op("LogSoftmax", In(), axis=self.axis)


@final
class LogSigmoid(Activation):
    """`log(1 / (1 + exp(-x)))`, computed as `-softplus(-x)`: the logarithm of a sigmoid is -inf below about -104.

    Any floating-point input; the output has its shape. PyTorch: `nn.LogSigmoid`. ONNX: `Softplus` between two `Neg`.
    """

    NAME: ClassVar[str] = "log_sigmoid"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("log_sigmoid", ("[N, 8, H = 4, W = 5]",), "[N, 8, H, W]", "nn.LogSigmoid()"),
        Accepts("log_sigmoid", ("[2, 3]",), "[2, 3]", "nn.LogSigmoid()"),
        Rejects("log_sigmoid", ("int64 [2, 3]",), "NS403"),
    )

    def torch(self, site: Site) -> Torch:
        return Torch(module("nn.LogSigmoid"))

    def onnx(self, site: Site) -> OnnxTerm:
        return op("Neg", op("Softplus", op("Neg", In())))


@final
class Glu(Operator):
    """Halves the input along `axis` and gates one half by the other: `a * sigmoid(b)`.

    Any floating-point input with an even size along `axis` (the default is the last, as in torch); that axis is halved.
    PyTorch: `nn.GLU`. ONNX: `Split`, and `a / (1 + exp(-b))`.
    Dauphin et al., "Language Modeling with Gated Convolutional Networks", arXiv:1612.08083.
    """

    NAME: ClassVar[str] = "glu"
    FAMILY: ClassVar[str] = "activation"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("glu", ("[N, T = 5, 8]",), "[N, T, 4]", "nn.GLU()"),
        Accepts("glu(axis = 1)", ("[N, 6, H = 4, W = 5]",), "[N, 3, H, W]", "nn.GLU(1)"),
        Accepts("glu", ("[2, 3, T = 8]",), "[2, 3, T // 2]", "nn.GLU()"),
        Rejects("glu", ("[N, 7]",), "NS404"),
        Rejects("glu(axis = 2)", ("[N, 8]",), "NS406"),
        Rejects("glu", ("int64 [N, 8]",), "NS403"),
    )

    axis: int = Field(-1, description="the axis that is halved")

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        (x,) = inputs
        require_floats(self.NAME, x)
        axis = axis_of(self.axis, x.rank)
        need.divides(2, x.shape[axis], f"the size along axis {self.axis} cannot be halved")
        return x.with_shape((*x.shape[:axis], exact_div(x.shape[axis], 2), *x.shape[axis + 1 :]))

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """An output sees two positions half the axis apart: nearest to that is the whole axis."""
        return _along(axis_of(self.axis, inputs[0].rank), inputs[0].rank)

    def torch(self, site: Site) -> Torch:
        return Torch(module("nn.GLU") if self.axis == -1 else module("nn.GLU", self.axis))

    def onnx(self, site: Site) -> OnnxTerm:
        half = site.output.shape[self.axis]
        halves = op("Split", In(), SizeVec((half, half)), outputs=2, axis=self.axis)
        return gated(Out(halves, 0), Out(halves, 1), site.input.dtype)
