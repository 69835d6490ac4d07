"""Piecewise linear activations: `relu` and what was made of it."""

from typing import ClassVar, final

from pydantic import Field

from netspec.op import Accepts, Needs, Operator, Reject, Rejects, Site, Weight, initializer
from netspec.ops._activation import Activation
from netspec.ops._arguments import changed
from netspec.ops._axes import axis_of
from netspec.ops._inputs import feature_axis, require_floats, require_rank
from netspec.ops._statistics import per_channel
from netspec.reach import Blocks, Reach, Same
from netspec.sizes.dim import exact_div
from netspec.sizes.tensor import TensorType
from netspec.terms import In, Method, OnnxTerm, Own, Torch, module, op, scalar, vector

#: Where an ONNX Slice ends when it goes on to the end of the axis.
TO_THE_END = 2**63 - 1


@final
class Relu(Activation):
    """`max(x, 0)`; NaN stays NaN.

    Any floating-point input; the output has its shape. PyTorch: `nn.ReLU`. ONNX: `Relu`.
    Nair and Hinton, "Rectified Linear Units Improve Restricted Boltzmann Machines", 2010.
    """

    NAME: ClassVar[str] = "relu"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("relu", ("[N, 8, H = 4, W = 5]",), "[N, 8, H, W]", "nn.ReLU()"),
        Accepts("relu", ("[2, 3]",), "[2, 3]", "nn.ReLU()"),
        Rejects("relu", ("int64 [2, 3]",), "NS403"),
    )

    def torch(self, site: Site) -> Torch:
        return Torch(module("nn.ReLU"))

    def onnx(self, site: Site) -> OnnxTerm:
        return op("Relu", In())


@final
class Relu6(Activation):
    """`min(max(x, 0), 6)`.

    Any floating-point input; the output has its shape. PyTorch: `nn.ReLU6`. ONNX: `Clip`.
    Krizhevsky, "Convolutional Deep Belief Networks on CIFAR-10", 2010.
    """

    NAME: ClassVar[str] = "relu6"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("relu6", ("[N, 8, H = 4, W = 5]",), "[N, 8, H, W]", "nn.ReLU6()"),
        Accepts("relu6", ("[2, 3]",), "[2, 3]", "nn.ReLU6()"),
        Rejects("relu6", ("int64 [2, 3]",), "NS403"),
    )

    def torch(self, site: Site) -> Torch:
        return Torch(module("nn.ReLU6"))

    def onnx(self, site: Site) -> OnnxTerm:
        return op("Clip", In(), scalar(0.0, site.input.dtype), scalar(6.0, site.input.dtype))


@final
class LeakyRelu(Activation):
    """`x` above zero, `negative_slope * x` below.

    Any floating-point input; the output has its shape. PyTorch: `nn.LeakyReLU`. ONNX: `LeakyRelu`.
    Maas, Hannun, Ng, "Rectifier Nonlinearities Improve Neural Network Acoustic Models", 2013.
    """

    NAME: ClassVar[str] = "leaky_relu"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("leaky_relu", ("[N, 8, H = 4, W = 5]",), "[N, 8, H, W]", "nn.LeakyReLU()"),
        Accepts("leaky_relu(0.2)", ("[2, 3]",), "[2, 3]", "nn.LeakyReLU(0.2)"),
        Rejects("leaky_relu", ("int64 [2, 3]",), "NS403"),
        Rejects("leaky_relu(true)", ("[2, 3]",), "NS310"),
    )

    negative_slope: float = Field(0.01, description="factor below zero")

    def torch(self, site: Site) -> Torch:
        return Torch(module("nn.LeakyReLU", **changed(self, "negative_slope")))

    def onnx(self, site: Site) -> OnnxTerm:
        return op("LeakyRelu", In(), alpha=self.negative_slope)


@final
class PRelu(Activation):
    """`x` above zero, `weight * x` below; the slope is learned and starts at 0.25.

    Any floating-point input, with `per_channel` of at least two axes; the output has its shape. `weight` is `[1]`, or
    `[C]` with a slope for every channel. PyTorch: `nn.PReLU`. ONNX: `PRelu` with the slope as `[C, 1, …]`, for a plain
    `[C]` would meet the last axis. He et al., "Delving Deep into Rectifiers", arXiv:1502.01852.
    """

    NAME: ClassVar[str] = "prelu"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("prelu", ("[N, 8, H = 4, W = 8]",), "[N, 8, H, W]", "nn.PReLU()"),
        Accepts("prelu(per_channel = true)", ("[N, 5, H = 4, W = 5]",), "[N, 5, H, W]", "nn.PReLU(5)"),
        Accepts("prelu(true)", ("[N, 5]",), "[N, 5]", "nn.PReLU(5)"),
        Rejects("prelu", ("int64 [2, 3]",), "NS403"),
        Rejects("prelu(true)", ("[N]",), "NS401"),
        Rejects("prelu(3)", ("[2, 3]",), "NS310"),
    )

    per_channel: bool = Field(False, description="a slope for every channel, not one for all")

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        if self.per_channel:
            require_rank(self.NAME, inputs[0], 2)
        return super().shape(inputs, need)

    def params(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        count = inputs[0].channels if self.per_channel else 1
        return (Weight("weight", (count,), initializer("constant", value=0.25), dtype=inputs[0].dtype, role="scale"),)

    def torch(self, site: Site) -> Torch:
        return Torch(module("nn.PReLU", site.weight().shape[0]) if self.per_channel else module("nn.PReLU"))

    def onnx(self, site: Site) -> OnnxTerm:
        slope = per_channel(Own("weight"), site.input.rank) if self.per_channel else Own("weight")
        if site.input.rank == 0:
            slope = op("Squeeze", slope)  # an axis of the slope must have one of the input
        return op("PRelu", In(), slope)


@final
class Threshold(Activation):
    """`x` where it is greater than `threshold`, else `value`; NaN stays NaN.

    Any floating-point input; the output has its shape. PyTorch: `nn.Threshold`. ONNX: a comparison and `Where`
    (ThresholdedRelu fills with zero).
    """

    NAME: ClassVar[str] = "threshold"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("threshold(0.5, 3.0)", ("[N, 8, H = 4, W = 5]",), "[N, 8, H, W]", "nn.Threshold(0.5, 3.0)"),
        Accepts("threshold(0, -1)", ("[2, 3]",), "[2, 3]", "nn.Threshold(0, -1)"),
        Rejects("threshold(0.5, 3.0)", ("int64 [2, 3]",), "NS403"),
        Rejects("threshold(0.5)", ("[2, 3]",), "NS310"),
    )

    threshold: float = Field(description="what an input must exceed")
    value: float = Field(description="what stands for the others")

    def torch(self, site: Site) -> Torch:
        return Torch(module("nn.Threshold", self.threshold, self.value))

    def onnx(self, site: Site) -> OnnxTerm:
        low = op("LessOrEqual", In(), scalar(self.threshold, site.input.dtype))
        return op("Where", low, scalar(self.value, site.input.dtype), In())


@final
class Maxout(Operator):
    """The maximum of every `pieces` neighbours along `axis`: output k is the maximum of inputs `pieces * k` to
    `pieces * k + pieces - 1`; a layer before it learns the pieces.

    Any floating-point input whose size along `axis` is divisible by `pieces`; that axis shrinks by the factor.
    PyTorch: `x.unflatten(axis, (-1, pieces)).amax(axis + 1)`. ONNX: `Max` of strided slices, which passes NaN on
    wherever it stands (onnxruntime's ReduceMax does not). Goodfellow et al., arXiv:1302.4389.
    """

    NAME: ClassVar[str] = "maxout"
    FAMILY: ClassVar[str] = "activation"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("maxout(2)", ("[N, 8, H = 4, W = 5]",), "[N, 4, H, W]", "x.unflatten(1, (-1, 2)).amax(2)"),
        Accepts("maxout(3, axis = -1)", ("[N, T = 4, 9]",), "[N, T, 3]", "x.unflatten(2, (-1, 3)).amax(3)"),
        Accepts("maxout(4)", ("[2, C = 12]",), "[2, C // 4]", "x.unflatten(1, (-1, 4)).amax(2)"),
        Rejects("maxout(3)", ("[N, 8]",), "NS404"),
        Rejects("maxout(2, axis = 2)", ("[N, 8]",), "NS406"),
        Rejects("maxout(2, axis = 0)", ("[4, 8]",), "NS406"),
        Rejects("maxout(1)", ("[N, 8]",), "NS310"),
        Rejects("maxout(2)", ("int64 [N, 8]",), "NS403"),
    )

    pieces: int = Field(ge=2, description="how many neighbours make one output")
    axis: int = Field(1, description="the axis that shrinks")

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        (x,) = inputs
        require_floats(self.NAME, x)
        axis = feature_axis(self.axis, x)
        need.divides(self.pieces, x.shape[axis], f"the size along axis {self.axis} does not divide into {self.pieces} pieces")
        return x.with_shape((*x.shape[:axis], exact_div(x.shape[axis], self.pieces), *x.shape[axis + 1 :]))

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        axis = axis_of(self.axis, inputs[0].rank)
        axes = (Blocks(a, self.pieces, up=False) if a == axis else Same(a) for a in range(inputs[0].rank))
        return (Reach((tuple(axes),)),)

    def torch(self, site: Site) -> Torch:
        axis = axis_of(self.axis, site.input.rank)
        return Torch(forward=Method(Method(In(), "unflatten", (axis, (-1, self.pieces))), "amax", (axis + 1,)))

    def onnx(self, site: Site) -> OnnxTerm:
        end, axis, step = vector((TO_THE_END,)), vector((axis_of(self.axis, site.input.rank),)), vector((self.pieces,))
        return op("Max", *(op("Slice", In(), vector((j,)), end, axis, step) for j in range(self.pieces)))


@final
class HardTanh(Activation):
    """`x` held between `min` and `max`.

    Any floating-point input; the output has its shape. PyTorch: `nn.Hardtanh`. ONNX: `Clip`.
    """

    NAME: ClassVar[str] = "hard_tanh"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("hard_tanh", ("[N, 8, H = 4, W = 5]",), "[N, 8, H, W]", "nn.Hardtanh()"),
        Accepts("hard_tanh(-0.5, max = 0.25)", ("[2, 3]",), "[2, 3]", "nn.Hardtanh(-0.5, 0.25)"),
        Rejects("hard_tanh(1.0, -1.0)", ("[2, 3]",), "NS310"),
        Rejects("hard_tanh", ("int64 [2, 3]",), "NS403"),
    )

    min: float = Field(-1.0, description="the least output")
    max: float = Field(1.0, description="the greatest output")

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        if not self.min < self.max:
            raise Reject("NS310", f"`max` must be greater than `min`, and {self.max:g} is not greater than {self.min:g}", argument="max")
        return super().shape(inputs, need)

    def torch(self, site: Site) -> Torch:
        return Torch(module("nn.Hardtanh", **changed(self, min_val="min", max_val="max")))

    def onnx(self, site: Site) -> OnnxTerm:
        return op("Clip", In(), scalar(self.min, site.input.dtype), scalar(self.max, site.input.dtype))


@final
class HardSwish(Activation):
    """`x * min(max(x + 3, 0), 6) / 6`, a piecewise `silu`.

    Any floating-point input; the output has its shape. PyTorch: `nn.Hardswish`. ONNX: `HardSwish`.
    Howard et al., "Searching for MobileNetV3", arXiv:1905.02244.
    """

    NAME: ClassVar[str] = "hard_swish"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("hard_swish", ("[N, 8, H = 4, W = 5]",), "[N, 8, H, W]", "nn.Hardswish()"),
        Accepts("hard_swish", ("[2, 3]",), "[2, 3]", "nn.Hardswish()"),
        Rejects("hard_swish", ("int64 [2, 3]",), "NS403"),
    )

    def torch(self, site: Site) -> Torch:
        return Torch(module("nn.Hardswish"))

    def onnx(self, site: Site) -> OnnxTerm:
        return op("HardSwish", In())
