"""Changing the resolution: interpolation by a factor or to a size, and channels traded for pixels."""

from typing import Annotated, Any, ClassVar, Literal, final

from pydantic import Field

from netspec.op import Accepts, Limitation, Needs, Operator, Reject, Rejects, Site
from netspec.ops._inputs import require_floats, require_rank
from netspec.ops._layout import reshaped
from netspec.ops._resize import Grid, averaged, interpolated, nearest
from netspec.ops._scale import first_disagreement, fraction, scaled
from netspec.reach import All, AxisReach, Blocks, Reach, Resample, Same
from netspec.sizes.dim import Size, SizeField, exact_div
from netspec.sizes.tensor import TensorType
from netspec.terms import In, OnnxTerm, Torch, call, module, op

Mode = Literal["nearest", "nearest_exact", "linear", "bilinear", "trilinear", "bicubic", "area"]
Factor = Annotated[float, Field(gt=0)]
#: what torch calls linear interpolation, by the rank of the tensor
_LINEAR = {3: "linear", 4: "bilinear", 5: "trilinear"}
_REACH: dict[str, Any] = {"nearest_exact": "nearest-exact", "bilinear": "linear", "trilinear": "linear", "bicubic": "cubic"}


class _Interpolation(Operator):
    """Interpolation on the spatial axes; subclasses say to which sizes."""

    FAMILY: ClassVar[str] = "upsample"

    def _grids(self, inputs: tuple[TensorType, ...]) -> tuple[Grid, ...]:
        """Every spatial axis with its input and output size."""
        raise NotImplementedError

    def _how(self) -> tuple[Mode, bool, bool]:
        """Mode, align_corners, antialias."""
        raise NotImplementedError

    def _check_mode(self, tensor: TensorType) -> None:
        mode, align_corners, antialias = self._how()
        require_rank(self.NAME, tensor, 3, 5)
        require_floats(self.NAME, tensor)
        linear = _LINEAR[tensor.rank]
        if (mode in _LINEAR.values() and mode != linear) or (mode == "bicubic" and tensor.rank != 4):
            message = f"`{mode}` is not for a tensor of {tensor.rank} axes"
            raise Reject("NS310", message, argument="mode", help=f"mode = {linear}")
        if align_corners and mode in ("nearest", "nearest_exact", "area"):
            raise Reject("NS310", f"`{mode}` has no corners to align", argument="align_corners", help=f"mode = {linear}")
        if antialias and mode not in ("bilinear", "bicubic"):
            raise Reject("NS310", f"`{mode}` has no antialiasing", argument="antialias", help="mode = bilinear or bicubic, on pictures")

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """Batch and channels stay; every spatial axis gets its new size."""
        self._check_mode(inputs[0])
        grids = self._grids(inputs)
        for grid in grids:
            need.at_least(grid.length, 1, f"`{self.NAME}` leaves nothing of axis {grid.axis}")
        if self._how()[2] and not grids[0].still:
            need.at_least(grids[1].length, 2, "torch's antialiasing gives wrong numbers for a width of 1")
        return inputs[0].with_shape((*inputs[0].shape[:2], *(g.length for g in grids)))

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """The taps of the interpolation; of a tensor to be like only the size matters."""
        mode, align_corners, antialias = self._how()
        along: list[AxisReach | None] = [Same(0), Same(1)]
        for grid in self._grids(inputs):
            scale = None if grid.scale is None or align_corners else fraction(grid.scale)
            copies = mode in _LINEAR.values() and not antialias or mode == "nearest" and inputs[0].rank == 4
            kept = grid.size == grid.length and copies
            along.append(Same(grid.axis) if kept else Resample(grid.axis, _REACH.get(mode, mode), align_corners, scale, antialias))
        return (Reach((tuple(along),) + ((),) * (len(inputs) - 1)),)

    def _arguments(self) -> dict[str, Any]:
        """Mode and flags as torch wants them."""
        mode, align_corners, antialias = self._how()
        arguments: dict[str, Any] = {"mode": mode.replace("_", "-")}
        if mode not in ("nearest", "nearest_exact", "area"):
            arguments["align_corners"] = align_corners
        return arguments | ({"antialias": True} if antialias else {})

    def onnx(self, site: Site) -> OnnxTerm:
        """Resize; Gather or a product with weights where that is not what torch does."""
        mode, align_corners, antialias = self._how()
        grids = self._grids(site.inputs)
        if mode == "area":
            return averaged(grids, site)
        if mode in ("nearest", "nearest_exact"):
            return nearest(grids, site, mode == "nearest_exact")
        return interpolated(grids, site, cubic=mode == "bicubic", align_corners=align_corners, antialias=antialias)


def _by_factor(tensor: TensorType, scale: Factor | tuple[Factor, ...]) -> tuple[Grid, ...]:
    """The grids of a scale: one for all spatial axes, or one an axis."""
    factors = scale if isinstance(scale, tuple) else (scale,) * (tensor.rank - 2)
    if len(factors) != tensor.rank - 2:
        raise Reject("NS310", f"{len(factors)} factors for {tensor.rank - 2} spatial axes", argument="scale")
    for factor, size in zip(factors, tensor.spatial):
        least = None if isinstance(size, int) else first_disagreement(float(factor))
        if least is not None:
            exact = fraction(float(factor))
            message = f"torch makes {int(least * factor)} of {least} positions by {factor}, where {least} * {exact} is {least * exact}"
            size_help = f"give the size: size = {size} * {exact.numerator} // {exact.denominator}"
            raise Reject("NS310", message + ": an open size cannot follow", argument="scale", help=size_help)
    return tuple(Grid(a, n, scaled(n, float(f)), float(f)) for a, (n, f) in enumerate(zip(tensor.spatial, factors), start=2))


@final
class Resize(_Interpolation):
    """Interpolates the spatial axes to another size: by a factor, to a size, or to the size of another tensor.

    Exactly one of scale, size and like is given.

    scale: a factor, or one an axis. The size becomes `floor(n * scale)`; positions are computed with the factor as given,
        not with the ratio of the sizes. An open size takes only factors for which torch's doubles round as the exact
        fraction does for all sizes up to 65,536: 2, 1.5, 0.5, 1/3, 1.1, but not 0.7, 1.4 or 2.3.
    size: the new size, one number or one an axis; may be open.
    like: a tensor of the same rank, whose spatial size is taken.
    mode: `nearest` (the position `floor(o * n / m)`), `nearest_exact` (the nearest centre), `linear` on `[N, C, L]`,
        `bilinear` or `bicubic` on `[N, C, H, W]`, `trilinear` on `[N, C, D, H, W]`, or `area` (the mean over a window, as
        adaptive average pooling).
    align_corners: whether the centres of the corner pixels stay, rather than the edges of the picture; not for `nearest`,
        `nearest_exact` and `area`.
    antialias: whether to widen the filter when shrinking; `bilinear` and `bicubic` only. The new width must be 2 at least
        where the height changes too: torch's kernel mixes up rows and columns for a width of 1.

    PyTorch: `F.interpolate`. ONNX: Resize (asymmetric and floor, half_pixel and round_prefer_ceil, half_pixel or
    align_corners with cubic coefficient -0.75, or -0.5 with antialiasing), by scales where a factor was given, else to
    sizes. torch and onnxruntime round positions to float32 in different ways; where that moves a nearest neighbour, and
    where an open size makes it uncertain, the positions are computed as torch does and taken by Gather. `area` is
    AveragePool, or a product with a matrix of weights. Cubic interpolation: Keys, 1981, doi:10.1109/TASSP.1981.1163711.
    """

    NAME: ClassVar[str] = "resize"
    TENSOR_ARGUMENTS: ClassVar[tuple[str, ...]] = ("like",)
    LIMITATIONS: ClassVar[tuple[Limitation, ...]] = (
        Limitation("onnx", "antialias below opset 18", "Resize has no antialiasing there"),
        Limitation("onnx", "antialias with align_corners", "onnxruntime computes other numbers than torch"),
        Limitation("onnx", "bicubic by a factor that leaves every size as it is", "onnxruntime copies, torch interpolates"),
        Limitation("onnx", "area to a size that does not divide, of infinities or NaN", "a weight of 0 times infinity is NaN"),
        Limitation("onnx", "nearest_exact at exact halves", "torch itself takes other neighbours by memory layout there (2 to 41)"),
    )
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("resize(2)", ("[N, 3, H, W]",), "[N, 3, 2 * H, 2 * W]", torch="F.interpolate(x, scale_factor=2)"),
        Accepts("resize(1.5)", ("[N, 3, H, W]",), "[N, 3, 3 * H // 2, 3 * W // 2]"),
        Accepts("resize((2.3, 0.7))", ("[N, 3, 50, 90]",), "[N, 3, 114, 62]"),
        Accepts("resize((1, 1.25), mode = nearest)", ("[N, 3, H = 4, W = 3]",), "[N, 3, H, 5 * W // 4]"),
        Accepts("resize(1.25)", ("[N, 1, 3]",), "[N, 1, 3]"),
        Accepts("resize(0.5, mode = bilinear)", ("[N, 3, H, W]",), "[N, 3, H // 2, W // 2]"),
        Accepts("resize(2.5, mode = bilinear, align_corners = true)", ("[N, 3, H, W]",), "[N, 3, 5 * H // 2, 5 * W // 2]"),
        Accepts("resize(2, mode = bilinear, align_corners = true)", ("[N, 3, H = 1, W]",), "[N, 3, 2 * H, 2 * W]"),
        Accepts("resize(size = 1, mode = bilinear)", ("[N, 3, H, W]",), "[N, 3, 1, 1]"),
        Accepts("resize(size = (7, W), mode = bicubic)", ("[N, 3, H, W]",), "[N, 3, 7, W]"),
        Accepts("resize(0.5, mode = bicubic, align_corners = true)", ("[N, 3, 9, 12]",), "[N, 3, 4, 6]"),
        Accepts("resize(1.2, mode = trilinear)", ("[N, 2, D = 3, H = 4, W = 5]",), "[N, 2, 6 * D // 5, 6 * H // 5, 6 * W // 5]"),
        Accepts("resize(size = 5, mode = linear)", ("[N, 2, L]",), "[N, 2, 5]"),
        Accepts("resize(size = (14, 5))", ("[N, 2, 21, 10]",), "[N, 2, 14, 5]"),
        Accepts("resize(size = 82)", ("[N, 2, 2]",), "[N, 2, 82]"),
        Accepts("resize(size = 7, mode = nearest_exact)", ("[N, 2, L]",), "[N, 2, 7]"),
        Accepts("resize(0.5, mode = nearest_exact)", ("[N, 2, H = 4, W]",), "[N, 2, H // 2, W // 2]"),
        Accepts("resize(like = y)", ("[N, 3, H = 6, W = 8]", "[N, 8, A = 9, B = 12]"), "[N, 3, A, B]"),
        Accepts("resize(like = y)", ("[N, 3, H, W]", "[N, 8, 2 * H, 2 * W]"), "[N, 3, 2 * H, 2 * W]"),
        Accepts("resize(like = y, mode = bilinear)", ("[N, 3, H, W]", "[N, 8, A = 4, B = 1]"), "[N, 3, A, B]"),
        Accepts("resize(size = (4, 5), mode = area)", ("[N, 2, 12, 12]",), "[N, 2, 4, 5]"),
        Accepts("resize(size = 3, mode = area)", ("[N, 2, D = 4, H = 6, 7]",), "[N, 2, 3, 3, 3]"),
        Accepts("resize(0.5, mode = area)", ("[N, 2, L]",), "[N, 2, L // 2]"),
        Accepts("resize(size = (3, 5), mode = bilinear, antialias = true)", ("[N, 2, H, W = 3]",), "[N, 2, 3, 5]"),
        Accepts("resize(0.4, mode = bicubic, antialias = true)", ("[N, 2, H = 12, W = 13]",), "[N, 2, 2 * H // 5, 2 * W // 5]"),
        Rejects("resize", ("[N, 3, 8, 8]",), "NS310"),
        Rejects("resize(2, size = 16)", ("[N, 3, 8, 8]",), "NS310"),
        Rejects("resize(0)", ("[N, 3, 8, 8]",), "NS310"),
        Rejects("resize((2, 2))", ("[N, 3, 8]",), "NS310"),
        Rejects("resize(size = (2, 2, 2))", ("[N, 3, 8, 8]",), "NS310"),
        Rejects("resize(0.1)", ("[N, 3, 8, 8]",), "NS402"),
        Rejects("resize(2.3)", ("[N, 3, H, W]",), "NS310"),
        Rejects("resize(2, mode = linear)", ("[N, 3, H, W]",), "NS310"),
        Rejects("resize(2, mode = bicubic)", ("[N, 3, L]",), "NS310"),
        Rejects("resize(2, align_corners = true)", ("[N, 3, H, W]",), "NS310"),
        Rejects("resize(2, antialias = true)", ("[N, 3, H, W]",), "NS310"),
        Rejects("resize(size = (9, 1), mode = bilinear, antialias = true)", ("[N, 3, 4, 5]",), "NS402"),
        Rejects("resize(2)", ("[N, 3]",), "NS401"),
        Rejects("resize(2)", ("int64 [N, 3, H, W]",), "NS403"),
        Rejects("resize(like = y)", ("[N, 3, 8, 8]", "[N, 3, 8]"), "NS401"),
    )

    scale: Factor | tuple[Factor, ...] | None = None
    size: SizeField | tuple[SizeField, ...] | None = None
    mode: Mode = "nearest"
    align_corners: bool = False
    antialias: bool = False
    like: bool = False

    def _how(self) -> tuple[Mode, bool, bool]:
        return self.mode, self.align_corners, self.antialias

    def _grids(self, inputs: tuple[TensorType, ...]) -> tuple[Grid, ...]:
        if (self.scale is not None) + (self.size is not None) + self.like != 1:
            raise Reject("NS310", "`resize` takes one of scale, size and like", help="resize(2), resize(size = 32), resize(like = x)")
        if self.scale is not None:
            return _by_factor(inputs[0], self.scale)
        spatial = inputs[0].spatial
        lengths: tuple[Size, ...]
        if self.like:
            if inputs[1].rank != inputs[0].rank:
                message = f"a tensor of {inputs[0].rank} axes cannot be like one of {inputs[1].rank}"
                raise Reject("NS401", message, input=1)
            lengths = inputs[1].spatial
        else:
            lengths = self.size if isinstance(self.size, tuple) else (self.size,) * len(spatial)  # type: ignore[assignment]
        if len(lengths) != len(spatial):
            raise Reject("NS310", f"{len(lengths)} sizes for {len(spatial)} spatial axes", argument="size")
        return tuple(Grid(a, n, m) for a, (n, m) in enumerate(zip(spatial, lengths), start=2))

    def torch(self, site: Site) -> Torch:
        """`F.interpolate(x, size=(32, 32), mode='bilinear', align_corners=False)`."""
        target = {"size": site.output.spatial} if self.scale is None else {"scale_factor": self.scale}
        return Torch(forward=call("F.interpolate", In(), **target, **self._arguments()))


@final
class Upsample(_Interpolation):
    """Enlarges by a factor: `resize(scale, …)` under torch's name, without antialiasing.

    scale: the factor, or one an axis, as in `resize`.
    mode, align_corners: as in `resize`.

    PyTorch: `nn.Upsample`. ONNX: as `resize`.
    """

    NAME: ClassVar[str] = "upsample"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("upsample", ("[N, 3, H, W]",), "[N, 3, 2 * H, 2 * W]", torch="nn.Upsample(scale_factor=2)"),
        Accepts("upsample(4, bilinear)", ("[N, 3, H, W]",), "[N, 3, 4 * H, 4 * W]"),
        Accepts("upsample((1, 2), bilinear, align_corners = true)", ("[N, 3, H, W]",), "[N, 3, H, 2 * W]"),
        Accepts("upsample(3, linear)", ("[N, 3, L]",), "[N, 3, 3 * L]"),
        Accepts("upsample(41)", ("[N, 1, L = 3]",), "[N, 1, 41 * L]"),
        Rejects("upsample(2, linear)", ("[N, 3, H, W]",), "NS310"),
        Rejects("upsample(-1)", ("[N, 3, H, W]",), "NS310"),
        Rejects("upsample(2, align_corners = true)", ("[N, 3, H, W]",), "NS310"),
        Rejects("upsample", ("[N, 3]",), "NS401"),
        Rejects("upsample", ("int64 [N, 3, L]",), "NS403"),
    )

    scale: Factor | tuple[Factor, ...] = 2
    mode: Mode = "nearest"
    align_corners: bool = False

    def _how(self) -> tuple[Mode, bool, bool]:
        return self.mode, self.align_corners, False

    def _grids(self, inputs: tuple[TensorType, ...]) -> tuple[Grid, ...]:
        return _by_factor(inputs[0], self.scale)

    def torch(self, site: Site) -> Torch:
        """`nn.Upsample(scale_factor=2, mode='nearest')`."""
        return Torch(module("nn.Upsample", scale_factor=self.scale, **self._arguments()))


@final
class PixelShuffle(Operator):
    """Channels become pixels: `[N, C * r * r, H, W]` gives `[N, C, r * H, r * W]` (Shi et al., arXiv:1609.05158).

    factor: r. Output pixel (h, w) of channel c is input channel `c * r * r + (h % r) * r + w % r` at (h // r, w // r).

    PyTorch: `nn.PixelShuffle`. ONNX: DepthToSpace in its CRD order (the default is the other one); for integers Reshape,
    Transpose, Reshape.
    """

    NAME: ClassVar[str] = "pixel_shuffle"
    FAMILY: ClassVar[str] = "upsample"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("pixel_shuffle(2)", ("[N, 12, H, W]",), "[N, 3, 2 * H, 2 * W]", torch="nn.PixelShuffle(2)"),
        Accepts("pixel_shuffle(3)", ("[N, 18, 4, 5]",), "[N, 2, 12, 15]"),
        Accepts("pixel_shuffle(2)", ("int64 [N, 4, H = 3, 5]",), "int64 [N, 1, 2 * H, 10]"),
        Rejects("pixel_shuffle(2)", ("[N, 6, H, W]",), "NS404"),
        Rejects("pixel_shuffle(2)", ("[N, 8, L]",), "NS401"),
        Rejects("pixel_shuffle(2)", ("[N, 8, D, H, W]",), "NS401"),
        Rejects("pixel_shuffle(0)", ("[N, 8, H, W]",), "NS310"),
    )

    factor: int = Field(gt=0)

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The channels must divide by the square of the factor."""
        require_rank(self.NAME, inputs[0], 4, 4)
        batch, channels, height, width = inputs[0].shape
        square = self.factor**2
        need.divides(square, channels, f"`pixel_shuffle` by {self.factor} makes one channel of {square}")
        return inputs[0].with_shape((batch, exact_div(channels, square), self.factor * height, self.factor * width))

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """Position o sees `o // r`."""
        return (Reach(((Same(0), All(1), Blocks(2, self.factor, True), Blocks(3, self.factor, True)),)),)

    def torch(self, site: Site) -> Torch:
        """`nn.PixelShuffle(2)`."""
        return Torch(module("nn.PixelShuffle", self.factor))

    def onnx(self, site: Site) -> OnnxTerm:
        """DepthToSpace; spelled out for elements of which onnxruntime has no kernel."""
        if site.input.dtype in ("float32", "float64"):
            return op("DepthToSpace", In(), blocksize=self.factor, mode="CRD")
        batch, channels, _, _ = site.output.shape
        _, _, height, width = site.input.shape
        parted = reshaped(In(), site.input.shape, (batch, channels, self.factor, self.factor, height, width))
        turned = op("Transpose", parted, perm=(0, 1, 4, 2, 5, 3))
        return reshaped(turned, (batch, channels, height, self.factor, width, self.factor), site.output.shape)


@final
class PixelUnshuffle(Operator):
    """Pixels become channels: `[N, C, r * H, r * W]` gives `[N, C * r * r, H, W]`; undoes `pixel_shuffle`.

    factor: r. That it divides height and width is a condition on open sizes.

    PyTorch: `nn.PixelUnshuffle`. ONNX: Reshape, Transpose, Reshape, as SpaceToDepth has another order of channels only.
    """

    NAME: ClassVar[str] = "pixel_unshuffle"
    FAMILY: ClassVar[str] = "pool"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("pixel_unshuffle(2)", ("[N, 3, H = 8, W = 6]",), "[N, 12, H // 2, W // 2]", torch="nn.PixelUnshuffle(2)"),
        Accepts("pixel_unshuffle(3)", ("[N, 2, 6, 9]",), "[N, 18, 2, 3]"),
        Rejects("pixel_unshuffle(2)", ("[N, 3, 7, 8]",), "NS404"),
        Rejects("pixel_unshuffle(2)", ("[N, 3, 2 * H + 1, 8]",), "NS404"),
        Rejects("pixel_unshuffle(2)", ("[N, 3, 8]",), "NS401"),
        Rejects("pixel_unshuffle(2)", ("[N, 3, 8, 8, 8]",), "NS401"),
        Rejects("pixel_unshuffle(0)", ("[N, 3, 8, 8]",), "NS310"),
    )

    factor: int = Field(gt=0)

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """Height and width must divide by the factor."""
        require_rank(self.NAME, inputs[0], 4, 4)
        batch, channels, *spatial = inputs[0].shape
        for name, size in zip(("height", "width"), spatial):
            need.divides(self.factor, size, f"`pixel_unshuffle` by {self.factor} divides the {name}")
        return inputs[0].with_shape((batch, channels * self.factor**2, *(exact_div(s, self.factor) for s in spatial)))

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """Position o sees the r positions from `r * o` on."""
        return (Reach(((Same(0), All(1), Blocks(2, self.factor, False), Blocks(3, self.factor, False)),)),)

    def torch(self, site: Site) -> Torch:
        """`nn.PixelUnshuffle(2)`."""
        return Torch(module("nn.PixelUnshuffle", self.factor))

    def onnx(self, site: Site) -> OnnxTerm:
        """The r * r neighbours become axes of their own, and go to the channels."""
        batch, channels, height, width = site.output.shape
        split = (batch, site.input.shape[1], height, self.factor, width, self.factor)
        parted = reshaped(In(), site.input.shape, split)
        turned = op("Transpose", parted, perm=(0, 1, 3, 5, 2, 4))
        moved = (batch, site.input.shape[1], self.factor, self.factor, height, width)
        return reshaped(turned, moved, site.output.shape)
