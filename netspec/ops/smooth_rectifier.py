"""Smooth rectifiers: the exponential ones, `softplus`, and `x` times a gate of itself."""

from __future__ import annotations

import math
from typing import ClassVar, Literal, final

from pydantic import Field

from netspec.op import Accepts, Rejects, Site
from netspec.ops._activation import Activation, exponential_below_zero, gated
from netspec.ops._arguments import changed
from netspec.terms import In, OnnxTerm, Torch, module, op, scalar

#: SELU's fixed point has mean 0 and variance 1 (Klambauer et al., arXiv:1706.02515, appendix A.2).
SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946


@final
class Elu(Activation):
    """`x` above zero, `alpha * (exp(x) - 1)` below.

    Any floating-point input; the output has its shape. PyTorch: `nn.ELU`. ONNX: spelled out with `Tanh`, for
    onnxruntime's `Elu` loses all digits near zero. Clevert, Unterthiner, Hochreiter, arXiv:1511.07289.
    """

    NAME: ClassVar[str] = "elu"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("elu", ("[N, 8, H = 4, W = 5]",), "[N, 8, H, W]", "nn.ELU()"),
        Accepts("elu(alpha = 0.5)", ("[2, 3]",), "[2, 3]", "nn.ELU(0.5)"),
        Rejects("elu", ("int64 [2, 3]",), "NS403"),
    )

    alpha: float = Field(1.0, description="minus the limit far below zero")

    def torch(self, site: Site) -> Torch:
        return Torch(module("nn.ELU", **changed(self, "alpha")))

    def onnx(self, site: Site) -> OnnxTerm:
        return exponential_below_zero(In(), self.alpha, site.input.dtype)


@final
class Celu(Activation):
    """`x` above zero, `alpha * (exp(x / alpha) - 1)` below: an `elu` whose slope is continuous for every alpha.

    Any floating-point input; the output has its shape. PyTorch: `nn.CELU`. ONNX: spelled out with `Tanh`, for
    onnxruntime's `Celu` loses all digits near zero. Barron, arXiv:1704.07483.
    """

    NAME: ClassVar[str] = "celu"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("celu", ("[N, 8, H = 4, W = 5]",), "[N, 8, H, W]", "nn.CELU()"),
        Accepts("celu(alpha = 0.5)", ("[2, 3]",), "[2, 3]", "nn.CELU(0.5)"),
        Rejects("celu(alpha = 0.0)", ("[2, 3]",), "NS310"),
        Rejects("celu", ("int64 [2, 3]",), "NS403"),
    )

    alpha: float = Field(1.0, gt=0, description="minus the limit far below zero")

    def torch(self, site: Site) -> Torch:
        return Torch(module("nn.CELU", **changed(self, "alpha")))

    def onnx(self, site: Site) -> OnnxTerm:
        dtype = site.input.dtype
        if self.alpha == 1.0:
            return exponential_below_zero(In(), 1.0, dtype)
        alpha = scalar(self.alpha, dtype)
        return op("Mul", exponential_below_zero(op("Div", In(), alpha), 1.0, dtype), alpha)


@final
class Selu(Activation):
    """`scale * x` above zero, `scale * alpha * (exp(x) - 1)` below, with the two constants that keep mean 0 and variance 1
    through layers whose weights have variance `1 / fan_in`.

    Any floating-point input; the output has its shape. PyTorch: `nn.SELU`. ONNX: spelled out with `Tanh`, for
    onnxruntime's `Selu` loses all digits near zero. Klambauer et al., arXiv:1706.02515.
    """

    NAME: ClassVar[str] = "selu"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("selu", ("[N, 8, H = 4, W = 5]",), "[N, 8, H, W]", "nn.SELU()"),
        Accepts("selu", ("[2, 3]",), "[2, 3]", "nn.SELU()"),
        Rejects("selu", ("int64 [2, 3]",), "NS403"),
    )

    def torch(self, site: Site) -> Torch:
        return Torch(module("nn.SELU"))

    def onnx(self, site: Site) -> OnnxTerm:
        dtype = site.input.dtype
        return op("Mul", exponential_below_zero(In(), SELU_ALPHA, dtype), scalar(SELU_SCALE, dtype))


@final
class Softplus(Activation):
    """`log(1 + exp(beta * x)) / beta`, a smooth `relu`; `x` itself where `beta * x` exceeds `threshold`.

    Any floating-point input; the output has its shape. PyTorch: `nn.Softplus`. ONNX: `Softplus`, scaled by beta, with a
    `Where` unless the threshold is so high that the two branches round to one number.
    """

    NAME: ClassVar[str] = "softplus"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("softplus", ("[N, 8, H = 4, W = 5]",), "[N, 8, H, W]", "nn.Softplus()"),
        Accepts("softplus(beta = 2, threshold = 1.5)", ("[2, 3]",), "[2, 3]", "nn.Softplus(2, 1.5)"),
        Rejects("softplus(beta = 0)", ("[2, 3]",), "NS310"),
        Rejects("softplus", ("int64 [2, 3]",), "NS403"),
    )

    beta: float = Field(1.0, gt=0, description="how sharp the bend is")
    threshold: float = Field(20.0, description="from where on it is the identity")

    def torch(self, site: Site) -> Torch:
        return Torch(module("nn.Softplus", **changed(self, "beta", "threshold")))

    def onnx(self, site: Site) -> OnnxTerm:
        dtype = site.input.dtype
        beta = scalar(self.beta, dtype)
        scaled = In() if self.beta == 1.0 else op("Mul", In(), beta)
        smooth = op("Softplus", scaled) if self.beta == 1.0 else op("Div", op("Softplus", scaled), beta)
        if self.threshold >= 20.0 and dtype != "float64":  # log(1 + exp(-20)) = 2e-9 is lost beside 20
            return smooth
        return op("Where", op("Greater", scaled, scalar(self.threshold, dtype)), In(), smooth)


@final
class Gelu(Activation):
    """`x * Φ(x)` with the normal distribution function, `x / 2 * (1 + erf(x / √2))`; or, with `approximate = tanh`,
    `x / 2 * (1 + tanh(√(2/π) (x + 0.044715 x³)))`. The two differ by up to 4.7e-4: a checkpoint belongs to one.

    Any floating-point input; the output has its shape. PyTorch: `nn.GELU`. ONNX: `Gelu` from opset 20, spelled out below.
    Hendrycks and Gimpel, arXiv:1606.08415.
    """

    NAME: ClassVar[str] = "gelu"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("gelu", ("[N, T = 5, 8]",), "[N, T, 8]", "nn.GELU()"),
        Accepts("gelu(approximate = tanh)", ("[2, 3]",), "[2, 3]", 'nn.GELU(approximate="tanh")'),
        Accepts("gelu(approximate = none)", ("[N, 3]",), "[N, 3]", "nn.GELU()"),
        Rejects("gelu(approximate = erf)", ("[2, 3]",), "NS310"),
        Rejects("gelu", ("int64 [2, 3]",), "NS403"),
    )

    approximate: Literal["tanh"] | None = Field(None, description="`tanh` for the approximation, none for the real thing")

    def torch(self, site: Site) -> Torch:
        return Torch(module("nn.GELU", **changed(self, "approximate")))

    def onnx(self, site: Site) -> OnnxTerm:
        if site.opset >= 20:
            return op("Gelu", In(), approximate=self.approximate)

        def number(value: float) -> OnnxTerm:
            return scalar(value, site.input.dtype)

        if self.approximate == "tanh":
            cube = op("Mul", op("Mul", In(), In()), In())
            inner = op("Mul", op("Add", In(), op("Mul", cube, number(0.044715))), number(math.sqrt(2 / math.pi)))
            gate = op("Tanh", inner)
        else:
            gate = op("Erf", op("Mul", In(), number(math.sqrt(0.5))))
        return op("Mul", op("Mul", In(), number(0.5)), op("Add", gate, number(1.0)))


@final
class Silu(Activation):
    """`x * sigmoid(x)`, also called swish.

    Any floating-point input; the output has its shape. PyTorch: `nn.SiLU`. ONNX: `x / (1 + exp(-x))`, for onnxruntime's
    `Sigmoid` is 0 from -18 downwards. Elfwing, Uchibe, Doya, arXiv:1702.03118; Ramachandran, Zoph, Le, arXiv:1710.05941.
    """

    NAME: ClassVar[str] = "silu"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("silu", ("[N, 8, H = 4, W = 5]",), "[N, 8, H, W]", "nn.SiLU()"),
        Accepts("silu", ("[2, 3]",), "[2, 3]", "nn.SiLU()"),
        Rejects("silu", ("int64 [2, 3]",), "NS403"),
    )

    def torch(self, site: Site) -> Torch:
        return Torch(module("nn.SiLU"))

    def onnx(self, site: Site) -> OnnxTerm:
        return gated(In(), In(), site.input.dtype)


@final
class Mish(Activation):
    """`x * tanh(softplus(x))`.

    Any floating-point input; the output has its shape. PyTorch: `nn.Mish`. ONNX: `Softplus`, `Tanh`, `Mul` (the operator
    `Mish` of opset 18 is just that). Misra, arXiv:1908.08681.
    """

    NAME: ClassVar[str] = "mish"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("mish", ("[N, 8, H = 4, W = 5]",), "[N, 8, H, W]", "nn.Mish()"),
        Accepts("mish", ("[2, 3]",), "[2, 3]", "nn.Mish()"),
        Rejects("mish", ("int64 [2, 3]",), "NS403"),
    )

    def torch(self, site: Site) -> Torch:
        return Torch(module("nn.Mish"))

    def onnx(self, site: Site) -> OnnxTerm:
        return op("Mul", In(), op("Tanh", op("Softplus", In())))
