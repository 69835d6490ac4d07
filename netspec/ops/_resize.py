"""Resampling in ONNX: what Resize does as torch does, and the rest by its definition."""

from __future__ import annotations

from dataclasses import replace

from netspec.op import Reject, Site
from netspec.ops._elements import cast
from netspec.ops._layout import size_vector
from netspec.ops._scale import nearest_agrees, onnx_scale, single
from netspec.record import record
from netspec.sizes.dim import Size
from netspec.sizes.solve import Condition
from netspec.terms import In, OnnxTerm, SizeScalar, op, scalar, vector


@record
class Grid:
    """One spatial axis: its input and output size, and the factor where one was given."""

    axis: int
    size: Size
    length: Size
    scale: float | None = None

    @property
    def factor(self) -> float | None:
        """By how much onnxruntime scales, as a float32, where that is known; None where only sizes say it."""
        if self.scale is not None:
            return onnx_scale(self.scale, self.size, self.length)
        if isinstance(self.size, int) and isinstance(self.length, int):
            return single(self.length / self.size)
        return None if self.multiple is None else float(self.multiple)

    @property
    def multiple(self) -> int | None:
        """By how much the axis grows, if that is the same whole number for every size."""
        if isinstance(self.length, int) or isinstance(self.size, int):
            both = isinstance(self.length, int) and isinstance(self.size, int)
            return self.length // self.size if both and self.length % self.size == 0 else None
        quotient = self.length // self.size
        return quotient if isinstance(quotient, int) and quotient * self.size == self.length else None

    @property
    def halved(self) -> bool:
        """Whether the input is half as long as the output, rounded up, whatever the sizes: what a stride of two left of it.

        Then output `i` has its nearest input at `i // 2`, and is a `1 / (2 length)` or more away from where float32 could round it
        elsewhere: torch and onnxruntime both take it, as far as they are compared (4096 positions).
        """
        if self.scale is not None:
            return False
        rest = 2 * self.size - self.length
        return Condition(">=", rest, 0).status() is True and Condition(">=", 1, rest).status() is True

    @property
    def still(self) -> bool:
        """Whether positions stay what they are."""
        return self.size == self.length and self.scale in (None, 1)


def interpolated(grids: tuple[Grid, ...], site: Site, *, cubic: bool, align_corners: bool, antialias: bool) -> OnnxTerm:
    """Linear or cubic interpolation: Resize."""
    if antialias and site.opset < 18:
        raise Reject("NS704", "Resize has antialiasing from opset 18 on", argument="antialias", help="opset 18 or newer")
    if antialias and align_corners:
        raise Reject("NS704", "onnxruntime computes other numbers for antialiasing with aligned corners", argument="antialias")
    if cubic and not align_corners and all(g.size == g.length for g in grids) and not all(g.still for g in grids):
        raise Reject("NS704", "onnxruntime copies where the size stays, and torch interpolates", argument="scale", help="leave it out")
    outside = (-0.5, 1) if antialias else (-0.75, None)
    attributes = {
        "mode": "cubic" if cubic else "linear",
        "coordinate_transformation_mode": "align_corners" if align_corners else "half_pixel",
        "cubic_coeff_a": outside[0] if cubic else None,
        "exclude_outside": outside[1],
        "antialias": 1 if antialias else None,
    }
    if align_corners:
        grids = tuple(replace(g, scale=None) for g in grids)
    return _resize(grids, site, attributes, copies=not cubic and not antialias)


def _resize(grids: tuple[Grid, ...], site: Site, attributes: dict[str, object], copies: bool = False) -> OnnxTerm:
    """Resize by scales, which need no shapes, where they were given or are whole numbers; else to sizes.

    `copies`: torch's linear interpolation copies along an axis that keeps its length, whatever the factor.
    """
    kept = site.input.rank - len(grids)
    if all(g.scale is not None for g in grids) or all(g.multiple is not None for g in grids):
        scales = tuple(_copying(g) if copies else g.factor for g in grids)
        return op("Resize", In(), None, _float_vector((1.0,) * kept + scales), **attributes)
    lengths = tuple(g.length for g in grids)
    if site.opset >= 18:
        return op("Resize", In(), None, None, size_vector(lengths), axes=tuple(g.axis for g in grids), **attributes)
    return op("Resize", In(), None, None, size_vector((*site.input.shape[:kept], *lengths)), **attributes)


def _copying(grid: Grid) -> float | OnnxTerm | None:
    """The factor, or 1 where the axis keeps its length; decided at run time where short axes do and long ones do not."""
    if grid.size == grid.length:
        return 1.0
    if isinstance(grid.size, int) or grid.scale is None or not 1 < grid.scale < 1.5:
        return grid.factor
    return op("Where", op("Equal", SizeScalar(grid.size), SizeScalar(grid.length)), scalar(1.0), scalar(grid.factor or 1.0))


def _float_vector(values: tuple[float | OnnxTerm | None, ...]) -> OnnxTerm:
    """A vector of factors, of which some may be computed."""
    if all(isinstance(v, float) for v in values):
        return vector(values, "float32")
    parts = (vector((v,), "float32") if isinstance(v, float) else op("Unsqueeze", v, vector((0,))) for v in values)
    return op("Concat", *parts, axis=0)


def nearest(grids: tuple[Grid, ...], site: Site, exact: bool) -> OnnxTerm:
    """The nearest position: Resize where it takes the one that torch takes at every size, else Gather."""
    picture = site.input.rank == 4
    if all(g.still or _agrees(g, exact, picture) or (g.halved and not exact) for g in grids):
        form = ("half_pixel", "round_prefer_ceil") if exact else ("asymmetric", "floor")
        attributes = {"mode": "nearest", "coordinate_transformation_mode": form[0], "nearest_mode": form[1]}
        return _resize(grids, site, attributes)
    x: OnnxTerm = In()
    for grid in grids:
        if not grid.still:
            x = op("Gather", x, _positions(grid, exact, picture), axis=grid.axis)
    return x


def _agrees(grid: Grid, exact: bool, picture: bool) -> bool:
    if grid.factor is None:
        return False
    if isinstance(grid.size, int) and isinstance(grid.length, int):
        return nearest_agrees(grid.size, grid.length, grid.scale, grid.factor, exact, picture)
    return nearest_agrees(None, None, grid.scale or grid.multiple, grid.factor, exact, picture)


def _positions(grid: Grid, exact: bool, picture: bool) -> OnnxTerm:
    """Which input position each output position takes, by torch's own arithmetic in float32."""
    size, length = SizeScalar(grid.size), SizeScalar(grid.length)
    size32, length32 = SizeScalar(grid.size, "float32"), SizeScalar(grid.length, "float32")
    position = cast(_counted(length), "float32")
    if grid.scale is None:
        ratio = op("Div", size32, length32)
    else:
        ratio = scalar(single(1 / grid.scale))
        if picture and not exact:  # equal and doubled lengths go before the factor: see `torch_positions`
            ratio = op("Where", op("Equal", length, op("Mul", size, scalar(2, "int64"))), scalar(0.5), ratio)
            ratio = op("Where", op("Equal", length, size), scalar(1.0), ratio)
    if exact:
        position = op("Add", position, scalar(0.5))
    found = cast(op("Floor", op("Mul", position, ratio)), "int64")
    return op("Min", found, op("Sub", size, scalar(1, "int64")))


def _counted(length: OnnxTerm) -> OnnxTerm:
    """0, 1, …, length - 1."""
    return op("Range", scalar(0, "int64"), length, scalar(1, "int64"))


def averaged(grids: tuple[Grid, ...], site: Site) -> OnnxTerm:
    """The mean over the window of adaptive average pooling: AveragePool where it divides, else a product with weights."""
    x: OnnxTerm = In()
    kernel = []
    for grid in grids:
        divides = isinstance(grid.size, int) and isinstance(grid.length, int) and grid.size % grid.length == 0
        kernel.append(grid.size // grid.length if divides else 1)
        if not divides:
            x = _weighted(x, grid, site)
    return op("AveragePool", x, kernel_shape=tuple(kernel), strides=tuple(kernel)) if any(k != 1 for k in kernel) else x


def _weighted(x: OnnxTerm, grid: Grid, site: Site) -> OnnxTerm:
    """The axis, moved to the end, times a matrix `[size, length]` whose columns are the windows' weights.

    Output o averages the positions from `floor(o size / length)` up to, but without, `ceil((o + 1) size / length)`.
    """
    size, length, one = SizeScalar(grid.size), SizeScalar(grid.length), scalar(1, "int64")
    output = _counted(length)
    first = op("Div", op("Mul", output, size), length)
    last = op("Div", op("Sub", op("Add", op("Mul", op("Add", output, one), size), length), one), length)
    position = op("Unsqueeze", _counted(size), vector((1,)))
    inside = op("And", op("GreaterOrEqual", position, first), op("Less", position, last))
    dtype = site.input.dtype
    weights = op("Div", cast(inside, dtype), cast(op("Sub", last, first), dtype))
    order = list(range(site.input.rank))
    order[grid.axis], order[-1] = order[-1], order[grid.axis]
    if grid.axis == site.input.rank - 1:
        return op("MatMul", x, weights)
    turned = op("MatMul", op("Transpose", x, perm=tuple(order)), weights)
    return op("Transpose", turned, perm=tuple(order))
