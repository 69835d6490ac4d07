"""Norms of one position by what stands there: layer norm, its root-mean-square kin, and local response norm."""

from typing import ClassVar, final

from pydantic import Field

from netspec.op import ONES, Accepts, Needs, Operator, Rejects, Site, Weight
from netspec.ops import _statistics as statistics
from netspec.ops._arguments import changed
from netspec.ops._axes import axis_of
from netspec.ops._inputs import feature_axis, require_floats, require_rank
from netspec.reach import All, Reach, Same, Window
from netspec.sizes.dim import Size
from netspec.sizes.tensor import TensorType
from netspec.terms import In, OnnxTerm, Own, SizeVec, Torch, call, module, op, scalar, vector

#: The distance from 1 to the next number, which torch adds to a mean square where no `eps` is given.
EPSILON = {"float32": 2.0**-23, "float64": 2.0**-52, "float16": 2.0**-10, "bfloat16": 2.0**-7}


def _reach_from(axis: int, rank: int) -> tuple[Reach, ...]:
    """Every position before `axis` by itself, all of `axis` and what follows."""
    return (Reach((tuple(Same(a) if a < axis else All(a) for a in range(rank)),)),)


def _one_or_all(sizes: tuple[Size, ...]) -> Size | tuple[Size, ...]:
    """torch takes a number for one axis."""
    return sizes[0] if len(sizes) == 1 else sizes


def _ones(sizes: tuple[Size, ...], dtype: str) -> OnnxTerm:
    """The scale that ONNX demands where nothing is learned."""
    return op("Expand", scalar(1.0, dtype), SizeVec(sizes))


@final
class LayerNorm(Operator):
    """Normalizes every position over the axes from `axis` to the last: `(x - E[x]) / sqrt(Var[x] + eps) * weight + bias`.

    Any input of at least two axes; the output has its shape. `weight` and `bias` have one value an element of the
    normalized axes, whose open sizes they fix. `axis = 1` on `[N, C, H, W]` is a norm over C, H and W together; to
    normalize over the channels alone, as ConvNeXt does, permute them to the end first.

    PyTorch: `nn.LayerNorm(x.shape[axis:], eps, elementwise_affine=affine, bias=bias)`. ONNX: `LayerNormalization`
    (opset 17), whose variance onnxruntime takes of the centred input: a mean far greater than the deviation is safe.
    Ba, Kiros, Hinton, "Layer Normalization", arXiv:1607.06450.
    """

    NAME: ClassVar[str] = "layer_norm"
    LABEL: ClassVar[str] = "ln"
    ALIASES: ClassVar[tuple[str, ...]] = ("ln",)
    FAMILY: ClassVar[str] = "norm"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("layer_norm", ("[N, T = 5, 8]",), "[N, T, 8]", "nn.LayerNorm(8)"),
        Accepts("layer_norm(axis = 1, eps = 1e-3)", ("[N, 3, 4, 5]",), "[N, 3, 4, 5]", "nn.LayerNorm((3, 4, 5), 1e-3)"),
        Accepts("layer_norm(-2, bias = false)", ("[N, 3, 4, 5]",), "[N, 3, 4, 5]", "nn.LayerNorm((4, 5), bias=False)"),
        Accepts("layer_norm(affine = false)", ("[N, 8]",), "[N, 8]", "nn.LayerNorm(8, elementwise_affine=False)"),
        Accepts("layer_norm(-2, affine = false)", ("[N, 3, H = 4, W = 5]",), "[N, 3, H, W]"),
        Accepts("layer_norm(1)", ("[N, 2 * K, H = 3]",), "[N, 2 * K, H]"),
        Rejects("layer_norm(axis = 0)", ("[N, 8]",), "NS406"),
        Rejects("layer_norm(axis = 2)", ("[N, 8]",), "NS406"),
        Rejects("layer_norm", ("[N]",), "NS401"),
        Rejects("layer_norm", ("int64 [N, 8]",), "NS403"),
        Rejects("layer_norm(eps = -1e-5)", ("[N, 8]",), "NS310"),
    )

    axis: int = Field(-1, description="the first of the normalized axes; they go on to the last")
    eps: float = Field(1e-5, ge=0, description="added to the variance")
    affine: bool = Field(True, description="learn a scale an element (torch: elementwise_affine)")
    bias: bool = Field(True, description="learn a bias as well; nothing without `affine`")

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        (x,) = inputs
        require_floats(self.NAME, x)
        require_rank(self.NAME, x, 2)
        feature_axis(self.axis, x)
        return x

    def params(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        (x,) = inputs
        if not self.affine:
            return ()
        return statistics.scale_and_bias(x.shape[self.axis :], x.dtype)[: 1 + self.bias]

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        return _reach_from(axis_of(self.axis, inputs[0].rank), inputs[0].rank)

    def torch(self, site: Site) -> Torch:
        sizes = site.weight().shape if self.affine else site.input.shape[self.axis :]
        if not all(isinstance(s, int) for s in sizes):
            return Torch(forward=call("F.layer_norm", In(), sizes, eps=self.eps))
        arguments = changed(self, "eps", "bias", elementwise_affine="affine")
        return Torch(module("nn.LayerNorm", _one_or_all(sizes), **arguments))

    def onnx(self, site: Site) -> OnnxTerm:
        x = site.input
        scale = Own("weight") if self.affine else _ones(x.shape[self.axis :], x.dtype)
        bias = (Own("bias"),) if self.affine and self.bias else ()
        return op("LayerNormalization", In(), scale, *bias, axis=self.axis, epsilon=self.eps)


@final
class RMSNorm(Operator):
    """Divides every position by the root of the mean square over the axes from `axis` to the last:
    `x / sqrt(E[x²] + eps) * weight`.

    Any input of at least two axes; the output has its shape. `weight` has one value an element of the normalized axes,
    whose open sizes it fixes. `eps = none` is the machine epsilon of the element type (2⁻²³ in float32).

    PyTorch: `nn.RMSNorm`. ONNX: `RMSNormalization` from opset 23, spelled out below.
    Zhang and Sennrich, "Root Mean Square Layer Normalization", arXiv:1910.07467.
    """

    NAME: ClassVar[str] = "rms_norm"
    FAMILY: ClassVar[str] = "norm"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("rms_norm", ("[N, T = 5, 8]",), "[N, T, 8]", "nn.RMSNorm(8)"),
        Accepts("rms_norm(-2, eps = 1e-6)", ("[N, 3, 4]",), "[N, 3, 4]", "nn.RMSNorm((3, 4), eps=1e-6)"),
        Accepts("rms_norm(affine = false)", ("[N, 8]",), "[N, 8]", "nn.RMSNorm(8, elementwise_affine=False)"),
        Accepts("rms_norm(1, 1e-5, affine = false)", ("[N, C = 3, H = 4, W = 5]",), "[N, C, H, W]"),
        Rejects("rms_norm(axis = 0)", ("[N, 8]",), "NS406"),
        Rejects("rms_norm(axis = -3)", ("[N, 8]",), "NS406"),
        Rejects("rms_norm", ("[N]",), "NS401"),
        Rejects("rms_norm", ("bool [N, 8]",), "NS403"),
        Rejects("rms_norm(eps = -1e-5)", ("[N, 8]",), "NS310"),
    )

    axis: int = Field(-1, description="the first of the normalized axes; they go on to the last")
    eps: float | None = Field(None, ge=0, description="added to the mean square; none: machine epsilon")
    affine: bool = Field(True, description="learn a scale an element (torch: elementwise_affine)")

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        (x,) = inputs
        require_floats(self.NAME, x)
        require_rank(self.NAME, x, 2)
        feature_axis(self.axis, x)
        return x

    def params(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        (x,) = inputs
        return (Weight("weight", x.shape[self.axis :], ONES, dtype=x.dtype, role="scale"),) if self.affine else ()

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        return _reach_from(axis_of(self.axis, inputs[0].rank), inputs[0].rank)

    def torch(self, site: Site) -> Torch:
        sizes = site.weight().shape if self.affine else site.input.shape[self.axis :]
        if not all(isinstance(s, int) for s in sizes):
            return Torch(forward=call("F.rms_norm", In(), sizes, eps=self.eps))
        return Torch(module("nn.RMSNorm", _one_or_all(sizes), **changed(self, "eps", elementwise_affine="affine")))

    def onnx(self, site: Site) -> OnnxTerm:
        x = site.input
        eps = EPSILON[x.dtype] if self.eps is None else self.eps
        if site.opset >= 23:
            scale = Own("weight") if self.affine else _ones(x.shape[self.axis :], x.dtype)
            return op("RMSNormalization", In(), scale, axis=self.axis, epsilon=eps)
        axes = tuple(range(axis_of(self.axis, x.rank), x.rank))
        mean_square = statistics.mean(op("Mul", In(), In()), axes, site.opset)
        result = op("Div", In(), op("Sqrt", op("Add", mean_square, scalar(eps, x.dtype))))
        return op("Mul", result, Own("weight")) if self.affine else result


@final
class LocalResponseNorm(Operator):
    """Divides by the energy of the neighbouring channels at the same position:
    `x_c / (k + alpha / size * Σ x_j²)^beta`, j from `c - size // 2` to `c + (size - 1) // 2`; channels outside are zero.

    Input `[N, C, …]` of at least three axes; the output has its shape. It stores nothing.

    PyTorch: `nn.LocalResponseNorm`. ONNX: a zero-padded average of the squares along the channels. `LRN` is not used: of
    an even size its window leans the other way, and onnxruntime's kernel slides one running sum over the channels, so
    that a large, infinite or NaN activation spoils all that follow it (and it takes half as long again).
    Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", 2012, 3.3.
    """

    NAME: ClassVar[str] = "local_response_norm"
    LABEL: ClassVar[str] = "lrn"
    ALIASES: ClassVar[tuple[str, ...]] = ("lrn",)
    FAMILY: ClassVar[str] = "norm"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("local_response_norm(5)", ("[N, 8, H = 4, W = 5]",), "[N, 8, H, W]", "nn.LocalResponseNorm(5)"),
        Accepts("local_response_norm(4, 0.5, 0.9, 2.0)", ("[N, 7, H = 4, W]",), "[N, 7, H, W]", "nn.LocalResponseNorm(4, 0.5, 0.9, 2.0)"),
        Accepts("local_response_norm(3, alpha = 1.0)", ("[N, 5, T = 6]",), "[N, 5, T]", "nn.LocalResponseNorm(3, alpha=1.0)"),
        Accepts("local_response_norm(2, alpha = 1.0)", ("[2, C = 3, D = 2, 3, 4]",), "[2, C, D, 3, 4]"),
        Accepts("local_response_norm(1, alpha = 2.0)", ("[N, 2, T = 6]",), "[N, 2, T]", "nn.LocalResponseNorm(1, alpha=2.0)"),
        Accepts("local_response_norm(9, alpha = 2.0)", ("[N, 2, H = 3, W = 6]",), "[N, 2, H, W]", "nn.LocalResponseNorm(9, alpha=2.0)"),
        Rejects("local_response_norm(0)", ("[N, 8, H, W]",), "NS310"),
        Rejects("local_response_norm(5)", ("[N, 8]",), "NS401"),
        Rejects("local_response_norm(5)", ("int64 [N, 8, H, W]",), "NS403"),
    )

    size: int = Field(gt=0, description="number of channels in the window")
    alpha: float = Field(1e-4, description="factor of the mean square")
    beta: float = Field(0.75, description="exponent")
    k: float = Field(1.0, description="added to the scaled mean square")

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        (x,) = inputs
        require_floats(self.NAME, x)
        require_rank(self.NAME, x, 3)
        return x

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        channels = Window(1, self.size, padding=self.size // 2)
        return (Reach(((Same(0), channels, *map(Same, range(2, inputs[0].rank))),)),)

    def torch(self, site: Site) -> Torch:
        return Torch(module("nn.LocalResponseNorm", self.size, **changed(self, "alpha", "beta", "k")))

    def onnx(self, site: Site) -> OnnxTerm:
        x = site.input
        # [N, C, …] as images of one channel [N, 1, C, rest], whose rows are averaged `size` at a time
        rows = op("Unsqueeze", op("Reshape", op("Mul", In(), In()), vector((0, 0, -1))), vector((1,)))
        pads = (self.size // 2, 0, (self.size - 1) // 2, 0)
        means = op("AveragePool", rows, kernel_shape=(self.size, 1), strides=(1, 1), pads=pads, count_include_pad=1)
        energy = op("Reshape", means, op("Shape", In()))
        base = op("Add", op("Mul", energy, scalar(self.alpha, x.dtype)), scalar(self.k, x.dtype))
        return op("Div", In(), op("Pow", base, scalar(self.beta, x.dtype)))
