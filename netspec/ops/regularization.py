"""Noise in training, nothing in evaluation: the dropouts, and stochastic depth. Their lowering to ONNX is the input itself."""

from typing import ClassVar, final

from pydantic import Field

from netspec.op import Accepts, Needs, Operator, Rejects, Site
from netspec.ops._arguments import changed
from netspec.ops._inputs import require_floats, require_rank
from netspec.sizes.tensor import TensorType
from netspec.terms import In, OnnxTerm, Support, Torch, module


@final
class Dropout(Operator):
    """In training, sets every element to zero with probability `p` and divides the others by `1 - p`; in evaluation the
    identity.

    Any floating-point input; the output has its shape. PyTorch: `nn.Dropout`. ONNX: nothing.
    Srivastava et al., "Dropout", Journal of Machine Learning Research 15, 2014.
    """

    NAME: ClassVar[str] = "dropout"
    FAMILY: ClassVar[str] = "regularizer"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("dropout", ("[N, 8, H = 4, W = 5]",), "[N, 8, H, W]", "nn.Dropout()"),
        Accepts("dropout(0.2)", ("[2, 3]",), "[2, 3]", "nn.Dropout(0.2)"),
        Rejects("dropout(1.5)", ("[2, 3]",), "NS310"),
        Rejects("dropout", ("int64 [2, 3]",), "NS403"),
    )

    p: float = Field(0.5, ge=0, le=1, description="probability that an element is dropped")

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        require_floats(self.NAME, *inputs)
        return inputs[0]

    def torch(self, site: Site) -> Torch:
        return Torch(module("nn.Dropout", **changed(self, "p")))

    def onnx(self, site: Site) -> OnnxTerm:
        return In()


@final
class ChannelDropout(Operator):
    """In training, sets every channel of every example to zero as a whole with probability `p` and divides the others by
    `1 - p`: neighbours in a feature map are alike, and single ones carry no noise. In evaluation the identity.

    Input `[N, C, L]`, `[N, C, H, W]` or `[N, C, D, H, W]`; the output has its shape. PyTorch: `nn.Dropout1d`, `2d`,
    `3d`. ONNX: nothing. Tompson et al., "Efficient Object Localization Using Convolutional Networks", arXiv:1411.4280.
    """

    NAME: ClassVar[str] = "channel_dropout"
    FAMILY: ClassVar[str] = "regularizer"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("channel_dropout", ("[N, 8, H = 4, W = 5]",), "[N, 8, H, W]", "nn.Dropout2d()"),
        Accepts("channel_dropout(0.1)", ("[N, 8, T]",), "[N, 8, T]", "nn.Dropout1d(0.1)"),
        Accepts("channel_dropout(0.3)", ("[2, 3, 4, 5, 6]",), "[2, 3, 4, 5, 6]", "nn.Dropout3d(0.3)"),
        Rejects("channel_dropout(-0.1)", ("[N, 3, 4]",), "NS310"),
        Rejects("channel_dropout", ("[N, 3]",), "NS401"),
        Rejects("channel_dropout", ("int64 [N, 3, 4]",), "NS403"),
    )

    p: float = Field(0.5, ge=0, le=1, description="probability that a channel is dropped")

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        require_floats(self.NAME, *inputs)
        require_rank(self.NAME, inputs[0], 3, 5, help="without positions, `dropout` is what drops channels")
        return inputs[0]

    def torch(self, site: Site) -> Torch:
        return Torch(module(f"nn.Dropout{site.input.rank - 2}d", **changed(self, "p")))

    def onnx(self, site: Site) -> OnnxTerm:
        return In()


@final
class AlphaDropout(Operator):
    """Dropout for `selu`: in training, sets every element with probability `p` to SELU's limit far below zero, and
    restores mean and variance by an affine map. In evaluation the identity.

    Any floating-point input; the output has its shape. PyTorch: `nn.AlphaDropout`. ONNX: nothing.
    Klambauer et al., "Self-Normalizing Neural Networks", arXiv:1706.02515.
    """

    NAME: ClassVar[str] = "alpha_dropout"
    FAMILY: ClassVar[str] = "regularizer"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("alpha_dropout", ("[N, 8]",), "[N, 8]", "nn.AlphaDropout()"),
        Accepts("alpha_dropout(0.05)", ("[2, 3, H = 4, W = 5]",), "[2, 3, H, W]", "nn.AlphaDropout(0.05)"),
        Rejects("alpha_dropout(2)", ("[2, 3]",), "NS310"),
        Rejects("alpha_dropout", ("int64 [2, 3]",), "NS403"),
    )

    p: float = Field(0.5, ge=0, le=1, description="probability that an element is dropped")

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        require_floats(self.NAME, *inputs)
        return inputs[0]

    def torch(self, site: Site) -> Torch:
        return Torch(module("nn.AlphaDropout", **changed(self, "p")))

    def onnx(self, site: Site) -> OnnxTerm:
        return In()


DROP_PATH = Support(
    "DropPath",
    '''\
class DropPath(nn.Module):
    """In training, sets each example to zero as a whole with probability `p`, and divides the others by `1 - p`."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        kept = x.new_ones(x.shape[0], *[1] * (x.dim() - 1))
        return x * F.dropout(kept, self.p)
''',
)


@final
class DropPath(Operator):
    """Stochastic depth: at the end of a residual branch, in training, sets the branch of each example to zero as a whole with
    probability `p`, and divides the others by `1 - p`: such an example passes a shallower network. In evaluation the identity.

    Any floating-point input whose first axis is the batch; the output has its shape. PyTorch: a module of a few lines, which
    is torchvision's `StochasticDepth(p, "row")`. ONNX: nothing.
    Huang et al., "Deep Networks with Stochastic Depth", arXiv:1603.09382.
    """

    NAME: ClassVar[str] = "drop_path"
    FAMILY: ClassVar[str] = "regularizer"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("drop_path(0.2)", ("[N, 8, H = 4, W = 5]",), "[N, 8, H, W]"),
        Accepts("drop_path(0)", ("[N, T, 8]",), "[N, T, 8]"),
        Accepts("drop_path(p = 0.1)", ("[2, 3]",), "[2, 3]"),
        Rejects("drop_path(1.5)", ("[2, 3]",), "NS310"),
        Rejects("drop_path(0.1)", ("[]",), "NS401"),
        Rejects("drop_path(0.1)", ("int64 [2, 3]",), "NS403"),
    )

    p: float = Field(ge=0, le=1, description="probability that an example's branch is dropped")

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        require_floats(self.NAME, *inputs)
        require_rank(self.NAME, inputs[0], 1, help="the first axis is that of the examples")
        return inputs[0]

    def torch(self, site: Site) -> Torch:
        return Torch(module(DROP_PATH, self.p), supports=(DROP_PATH,))

    def onnx(self, site: Site) -> OnnxTerm:
        return In()
