"""Norms with one scale a channel: over the batch, over an instance, over groups of channels."""

from typing import Any, ClassVar, final

from pydantic import Field

from netspec.op import Accepts, Needs, Operator, Reject, Rejects, Site, Weight
from netspec.ops import _statistics as statistics
from netspec.ops._arguments import changed
from netspec.ops._inputs import require_floats, require_rank
from netspec.reach import All, Reach, Same, pointwise
from netspec.sizes.dim import Size, product
from netspec.sizes.tensor import TensorType
from netspec.terms import Call, In, OnnxTerm, Own, Torch, call, module, op, vector

#: Statistics over one value: the deviation is zero, so nothing of the input is left.
ONE_VALUE = "NS407"


def _channels(site: Site) -> Size:
    """The number of channels: a plain one where something is stored, for the walk has fixed it then."""
    return site.weights[0].shape[0] if site.weights else site.input.channels


def _module(name: str, channels: Size, otherwise: Call, arguments: dict[str, Any]) -> Torch:
    """The module for that many channels. Where their number is open nothing is stored: `otherwise`, a function call."""
    return Torch(module(name, channels, **arguments)) if isinstance(channels, int) else Torch(forward=otherwise)


@final
class BatchNorm(Operator):
    """Subtracts a channel's mean and divides by its deviation: `(x - E[x]) / sqrt(Var[x] + eps) * weight + bias`.

    Input `[N, C]`, `[N, C, L]`, `[N, C, H, W]` or `[N, C, D, H, W]`; the output has its shape. In training the
    statistics are the batch's, and the running ones move towards them by `momentum` (`none`: their plain average); the
    running variance is the unbiased one. In evaluation the running ones are used, or, without `track_running_stats`,
    those of the batch. `affine` gives `weight` (from 1) and `bias` (from 0), one a channel.

    PyTorch: `nn.BatchNorm1d`, `2d`, `3d`. ONNX: `BatchNormalization`; means and a centred variance where nothing is
    tracked. Ioffe and Szegedy, "Batch Normalization", arXiv:1502.03167.
    """

    NAME: ClassVar[str] = "batch_norm"
    LABEL: ClassVar[str] = "bn"
    ALIASES: ClassVar[tuple[str, ...]] = ("bn",)
    FAMILY: ClassVar[str] = "norm"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("batch_norm", ("[N, 8, H = 5, W = 6]",), "[N, 8, H, W]", "nn.BatchNorm2d(8)"),
        Accepts("batch_norm(1e-3, none)", ("[N, 4]",), "[N, 4]", "nn.BatchNorm1d(4, eps=1e-3, momentum=None)"),
        Accepts("batch_norm(affine = false)", ("[N, 3, T = 7]",), "[N, 3, T]", "nn.BatchNorm1d(3, affine=False)"),
        Accepts("batch_norm(eps = 0.1, momentum = 0.01)", ("[2, 3, 4, H, 5]",), "[2, 3, 4, H, 5]", "nn.BatchNorm3d(3, 0.1, 0.01)"),
        Accepts("batch_norm(track_running_stats = false)", ("[N, 3, H = 4, W = 5]",), "[N, 3, H, W]"),
        Accepts("batch_norm(affine = false, track_running_stats = false)", ("[N, C = 3, L = 4]",), "[N, C, L]"),
        Accepts("batch_norm", ("[1, 3, 1, 1]",), "[1, 3, 1, 1]", "nn.BatchNorm2d(3)"),
        Rejects("batch_norm", ("[N]",), "NS401"),
        Rejects("batch_norm", ("[N, 2, 3, 4, 5, 6]",), "NS401"),
        Rejects("batch_norm", ("int64 [N, 8]",), "NS403"),
        Rejects("batch_norm(eps = -1.0)", ("[N, 8]",), "NS310"),
        Rejects("batch_norm(momentum = 2.0)", ("[N, 8]",), "NS310"),
        Rejects("batch_norm(track_running_stats = false)", ("[1, 8, 1, 1]",), ONE_VALUE),
    )

    eps: float = Field(1e-5, ge=0, description="added to the variance")
    momentum: float | None = Field(0.1, ge=0, le=1, description="share of the newest batch in the running statistics")
    affine: bool = Field(True, description="learn a scale and a bias a channel")
    track_running_stats: bool = Field(True, description="evaluate with running statistics, not with the batch's")

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        (x,) = inputs
        require_floats(self.NAME, x)
        require_rank(self.NAME, x, 2, 5)
        if not self.track_running_stats:
            need.at_least(product(x.shape[:1] + x.spatial), 2, "the statistics of one value a channel say nothing", ONE_VALUE)
        return x

    def params(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        (x,) = inputs
        learned = statistics.scale_and_bias((x.channels,), x.dtype) if self.affine else ()
        return (*learned, *statistics.running_statistics(x.channels, x.dtype)) if self.track_running_stats else learned

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        rank = inputs[0].rank
        if self.track_running_stats:
            return (pointwise(rank),)
        return (Reach((tuple(Same(a) if a == 1 else All(a) for a in range(rank)),)),)

    def torch(self, site: Site) -> Torch:
        name = f"nn.BatchNorm{max(site.input.rank - 2, 1)}d"
        arguments = changed(self, "eps", "momentum", "affine", "track_running_stats")
        otherwise = call("F.batch_norm", In(), None, None, training=True, eps=self.eps)
        return _module(name, _channels(site), otherwise, arguments)

    def onnx(self, site: Site) -> OnnxTerm:
        x = site.input
        if self.track_running_stats:
            return statistics.by_running_statistics(self.eps, self.affine, site.weight("running_mean").shape[0], x.dtype)
        axes = tuple(a for a in range(x.rank) if a != 1)
        result = statistics.standardized(In(), axes, self.eps, x.dtype, site.opset)
        return statistics.scaled_by_channel(result, x.rank) if self.affine else result


@final
class InstanceNorm(Operator):
    """Normalizes every channel of every example over its positions: `(x - E[x]) / sqrt(Var[x] + eps) * weight + bias`.

    Input `[N, C, L]`, `[N, C, H, W]` or `[N, C, D, H, W]` of more than one position; the output has its shape.
    As in torch there is no `affine` and nothing tracked by default. With `track_running_stats` evaluation uses the
    running statistics, which move by `momentum` in training.

    PyTorch: `nn.InstanceNorm1d`, `2d`, `3d`. ONNX: `InstanceNormalization`; `BatchNormalization` where tracked.
    Ulyanov, Vedaldi, Lempitsky, "Instance Normalization", arXiv:1607.08022.
    """

    NAME: ClassVar[str] = "instance_norm"
    FAMILY: ClassVar[str] = "norm"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("instance_norm", ("[N, 4, H = 5, W = 6]",), "[N, 4, H, W]", "nn.InstanceNorm2d(4)"),
        Accepts("instance_norm(1e-3, affine = true)", ("[N, 4, L = 6]",), "[N, 4, L]", "nn.InstanceNorm1d(4, 1e-3, affine=True)"),
        Accepts("instance_norm(track_running_stats = true, momentum = 0.2)", ("[2, 3, 4, 5, D]",), "[2, 3, 4, 5, D]"),
        Accepts("instance_norm(affine = true, track_running_stats = true)", ("[N, 3, 1, 1]",), "[N, 3, 1, 1]"),
        Accepts("instance_norm(eps = 0.5)", ("[N, C, H = 3, W = 4]",), "[N, C, H, W]"),
        Rejects("instance_norm", ("[N, 4]",), "NS401"),
        Rejects("instance_norm", ("int32 [N, 4, 5]",), "NS403"),
        Rejects("instance_norm", ("[N, 4, 1, 1]",), ONE_VALUE),
        Rejects("instance_norm(eps = -1.0)", ("[N, 4, 5]",), "NS310"),
    )

    eps: float = Field(1e-5, ge=0, description="added to the variance")
    momentum: float = Field(0.1, ge=0, le=1, description="share of the newest batch in the running statistics")
    affine: bool = Field(False, description="learn a scale and a bias a channel")
    track_running_stats: bool = Field(False, description="evaluate with running statistics, not with the instance's")

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        (x,) = inputs
        require_floats(self.NAME, x)
        require_rank(self.NAME, x, 3, 5)
        if not self.track_running_stats:
            need.at_least(product(x.spatial), 2, "an instance norm over one position leaves nothing of the input", ONE_VALUE)
        return x

    def params(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        (x,) = inputs
        learned = statistics.scale_and_bias((x.channels,), x.dtype) if self.affine else ()
        return (*learned, *statistics.running_statistics(x.channels, x.dtype)) if self.track_running_stats else learned

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        rank = inputs[0].rank
        if self.track_running_stats:
            return (pointwise(rank),)
        return (Reach((tuple(Same(a) if a < 2 else All(a) for a in range(rank)),)),)

    def torch(self, site: Site) -> Torch:
        arguments = changed(self, "eps", "momentum", "affine", "track_running_stats")
        otherwise = call("F.instance_norm", In(), eps=self.eps)
        return _module(f"nn.InstanceNorm{site.input.rank - 2}d", _channels(site), otherwise, arguments)

    def onnx(self, site: Site) -> OnnxTerm:
        x, channels = site.input, _channels(site)
        if self.track_running_stats:
            return statistics.by_running_statistics(self.eps, self.affine, site.weight("running_mean").shape[0], x.dtype)
        if self.affine:
            return op("InstanceNormalization", In(), Own("weight"), Own("bias"), epsilon=self.eps)
        if isinstance(channels, int):
            scale, bias = statistics.full(channels, 1.0, x.dtype), statistics.full(channels, 0.0, x.dtype)
            return op("InstanceNormalization", In(), scale, bias, epsilon=self.eps)
        return statistics.standardized(In(), tuple(range(2, x.rank)), self.eps, x.dtype, site.opset)


@final
class GroupNorm(Operator):
    """Splits the channels into `groups` of neighbours and normalizes every group of every example over its channels and
    positions; then scales by `weight` and adds `bias`, one a channel.

    Input `[N, C, …]` of at least two axes, `groups` dividing C; the output has its shape. One group is a layer norm
    over all but the batch, C groups an instance norm.

    PyTorch: `nn.GroupNorm`. ONNX: an `InstanceNormalization` of `[N, groups, rest]` at every opset, for opset 18's
    GroupNormalization scales by group, and later ones are a difference of squares by definition: at a mean of 10⁴
    and a deviation of 1 it gives NaN. Wu and He, "Group Normalization", arXiv:1803.08494.
    """

    NAME: ClassVar[str] = "group_norm"
    LABEL: ClassVar[str] = "gn"
    ALIASES: ClassVar[tuple[str, ...]] = ("gn",)
    FAMILY: ClassVar[str] = "norm"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("group_norm(4)", ("[N, 8, H = 5, W = 6]",), "[N, 8, H, W]", "nn.GroupNorm(4, 8)"),
        Accepts("group_norm(1, eps = 1e-3)", ("[N, 6, T = 5]",), "[N, 6, T]", "nn.GroupNorm(1, 6, eps=1e-3)"),
        Accepts("group_norm(6)", ("[2, 6, 3, 4, 5]",), "[2, 6, 3, 4, 5]", "nn.GroupNorm(6, 6)"),
        Accepts("group_norm(2, affine = false)", ("[N, 6]",), "[N, 6]", "nn.GroupNorm(2, 6, affine=False)"),
        Accepts("group_norm(2, affine = false)", ("[N, 2 * K, L = 3]",), "[N, 2 * K, L]"),
        Rejects("group_norm(3)", ("[N, 8, H, W]",), "NS404"),
        Rejects("group_norm(0)", ("[N, 8, H, W]",), "NS310"),
        Rejects("group_norm(2)", ("[N]",), "NS401"),
        Rejects("group_norm(2)", ("int64 [N, 4]",), "NS403"),
        Rejects("group_norm(8)", ("[1, 8, 1, 1]",), ONE_VALUE),
    )

    groups: int = Field(gt=0, description="number of groups of neighbouring channels")
    eps: float = Field(1e-5, ge=0, description="added to the variance")
    affine: bool = Field(True, description="learn a scale and a bias a channel")

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        (x,) = inputs
        require_floats(self.NAME, x)
        require_rank(self.NAME, x, 2)
        if isinstance(x.channels, int) and x.channels % self.groups:
            message = f"{x.channels} channels cannot be split into {self.groups} equal groups"
            raise Reject("NS404", message, argument="groups", help=_fitting(x.channels, self.groups))
        need.divides(self.groups, x.channels, "the groups do not divide the channels")
        # torch's own condition, which counts the batch in: one value an example passes where there are two examples
        values = product((x.shape[0], x.channels // self.groups, *x.spatial))
        need.at_least(values, 2, "a group norm over one value leaves nothing of the input", ONE_VALUE)
        return x

    def params(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        (x,) = inputs
        return statistics.scale_and_bias((x.channels,), x.dtype) if self.affine else ()

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        (x,) = inputs
        channels = Same(1) if x.channels == self.groups else All(1)
        return (Reach(((Same(0), channels, *map(All, range(2, x.rank))),)),)

    def torch(self, site: Site) -> Torch:
        channels = _channels(site)
        if not isinstance(channels, int):
            return Torch(forward=call("F.group_norm", In(), self.groups, eps=self.eps))
        return Torch(module("nn.GroupNorm", self.groups, channels, **changed(self, "eps", "affine")))

    def onnx(self, site: Site) -> OnnxTerm:
        x = site.input
        grouped = op("Reshape", In(), vector((0, self.groups, -1)))
        ones, zeros = (statistics.full(self.groups, v, x.dtype) for v in (1.0, 0.0))
        normal = op("InstanceNormalization", grouped, ones, zeros, epsilon=self.eps)
        result = op("Reshape", normal, op("Shape", In()))
        return statistics.scaled_by_channel(result, x.rank) if self.affine else result


def _fitting(channels: int, groups: int) -> str:
    """The nearest number of groups that works."""
    nearest = min((g for g in range(1, channels + 1) if channels % g == 0), key=lambda g: (abs(g - groups), g))
    return f"{nearest} divides {channels}"
