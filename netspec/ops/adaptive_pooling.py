"""Pooling to a size that is given: adaptive, and global.

Output o of m along an axis of n pools the elements `floor(o n / m) … ceil((o + 1) n / m) - 1`. These windows differ in
length where m does not divide n, and ONNX has no operator for them. They are gathered: a table of indices `[m, longest]`,
a constant where n is known and computed from the input's shape where it is open, so that the result is exact for every n.
"""

from typing import ClassVar, Literal, final

from pydantic import Field

from netspec.op import Accepts, Limitation, Needs, Operator, Reject, Rejects, Site
from netspec.ops._inputs import require_floats
from netspec.ops._window import DROPS_NAN, Positive, per_axis, plain, spatial
from netspec.reach import Adaptive, All, AxisReach, Reach, Same
from netspec.sizes.dim import Size, ceil_div
from netspec.sizes.tensor import TensorType
from netspec.terms import Const, In, Method, OnnxTerm, SizeScalar, Torch, module, op, scalar, vector

#: one number for all spatial axes, or one for each; `none` keeps the input's
OutputSize = Positive | tuple[Positive | None, ...]

Kind = Literal["mean", "max"]


def _reduced(kind: Kind, x: OnnxTerm, axes: tuple[int, ...], opset: int, keepdims: bool) -> OnnxTerm:
    """The mean or maximum over `axes`; they became an input of the node in opset 18."""
    name = "ReduceMean" if kind == "mean" else "ReduceMax"
    if opset < 18:
        return op(name, x, axes=axes, keepdims=int(keepdims))
    return op(name, x, vector(axes), keepdims=int(keepdims))


def _global(kind: Kind, x: OnnxTerm) -> OnnxTerm:
    return op("GlobalAveragePool" if kind == "mean" else "GlobalMaxPool", x)


def _along(kind: Kind, x: OnnxTerm, axis: int, n: Size, m: int, site: Site) -> OnnxTerm:
    """Adaptive pooling of one axis of length n to m positions."""
    if m == 1:
        return _reduced(kind, x, (axis,), site.opset, keepdims=True)
    indices, inside, lengths = _windows(n, m)
    taken = op("Gather", x, indices, axis=axis)  # the axis has become two: the window, and the place in it
    if kind == "max":
        return _reduced("max", taken, (axis + 1,), site.opset, keepdims=False)
    behind = (1,) * (site.input.rank - axis - 1)
    dtype = site.input.dtype
    kept = op("Where", op("Reshape", inside, vector((m, -1, *behind))), taken, scalar(0.0, dtype))
    count = op("Cast", op("Reshape", lengths, vector((m, *behind))), to=dtype)
    return op("Div", op("ReduceSum", kept, vector((axis + 1,)), keepdims=0), count)


def _windows(n: Size, m: int) -> tuple[OnnxTerm, OnnxTerm, OnnxTerm]:
    """The m windows as a table of indices `[m, longest]`, each row filled up with its last index; which entries are no
    filling; and the lengths `[m, 1]`."""
    if isinstance(n, int):
        rows = [range(o * n // m, -(-(o + 1) * n // m)) for o in range(m)]
        longest = max(map(len, rows))
        indices = tuple(row[min(j, len(row) - 1)] for row in rows for j in range(longest))
        inside = tuple(j < len(row) for row in rows for j in range(longest))
        lengths = tuple(map(len, rows))
        return Const("int64", (m, longest), indices), Const("bool", (m, longest), inside), Const("int64", (m, 1), lengths)
    numbers = Const("int64", (m, 1), tuple(range(m)))
    following = Const("int64", (m, 1), tuple(range(1, m + 1)))
    one, parts, size = scalar(1, "int64"), scalar(m, "int64"), SizeScalar(n)
    starts = op("Div", op("Mul", numbers, size), parts)
    ends = op("Div", op("Add", op("Mul", following, size), scalar(m - 1, "int64")), parts)
    offsets = op("Range", scalar(0, "int64"), SizeScalar(ceil_div(n, m) + 1), one)
    lengths_open = op("Sub", ends, starts)
    return op("Min", op("Add", starts, offsets), op("Sub", ends, one)), op("Less", offsets, lengths_open), lengths_open


class _Adaptive(Operator):
    """What the two adaptive pools share."""

    size: OutputSize = Field(description="positions along each spatial axis; `none` keeps the input's")

    def _sizes(self, x: TensorType) -> tuple[int | None, ...]:
        return per_axis(self.size, x.rank - 2, "size")

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The batch, the channels, and the size that is asked for."""
        (x,) = inputs
        require_floats(self.NAME, x)
        sizes = spatial(self.NAME, x)
        if all(m is None for m in self._sizes(x)):
            raise Reject("NS310", f"`{self.NAME}` is asked to keep every axis", argument="size", help="leave it out")
        return x.with_shape((*x.shape[:2], *(n if m is None else m for n, m in zip(sizes, self._sizes(x)))))

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """A window along each spatial axis, of the same channel."""

        def look(axis: int, m: int | None) -> AxisReach:
            return Same(axis) if m is None else All(axis) if m == 1 else Adaptive(axis)

        return (Reach(((Same(0), Same(1), *(look(a, m) for a, m in enumerate(self._sizes(inputs[0]), start=2))),)),)

    def _module(self, name: str, x: TensorType) -> Torch:
        sizes = self._sizes(x)
        return Torch(module(f"nn.{name}{len(sizes)}d", sizes if None in sizes else plain(sizes)))

    def _lowered(self, kind: Kind, site: Site) -> OnnxTerm:
        sizes = self._sizes(site.input)
        pairs = list(zip(site.input.spatial, sizes))
        if all(m == 1 for m in sizes):
            return _global(kind, In())
        steps = [n // m for n, m in pairs if isinstance(n, int) and m is not None and n % m == 0]
        if len(steps) == len(sizes):
            name = "AveragePool" if kind == "mean" else "MaxPool"
            return op(name, In(), kernel_shape=tuple(steps), strides=tuple(steps))
        x: OnnxTerm = In()
        for axis, (n, m) in enumerate(pairs, start=2):
            x = x if m is None or m == n else _along(kind, x, axis, n, m, site)
        return op("Identity", x) if isinstance(x, In) else x


@final
class AdaptiveAvgPool(_Adaptive):
    """The mean over windows that divide each axis into a given number of parts, as even as they come; they may overlap.

    Input `[N, C, L]`, `[N, C, H, W]` or `[N, C, D, H, W]`; output `[N, C, size…]`. Output o of m along an axis of n is the
    mean of the elements `floor(o n / m) … ceil((o + 1) n / m) - 1`.

    size: one number, or one an axis; `none` keeps that axis.

    PyTorch: `nn.AdaptiveAvgPool1d`, `2d`, `3d`. ONNX: `GlobalAveragePool` for 1, `AveragePool` where the size divides a known
    one; else windows gathered by a table of indices, which is computed where the input's size is open.
    """

    NAME: ClassVar[str] = "adaptive_avg_pool"
    FAMILY: ClassVar[str] = "pool"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("adaptive_avg_pool((6, 6))", ("[N, 3, H = 8, W = 13]",), "[N, 3, 6, 6]", "nn.AdaptiveAvgPool2d((6, 6))"),
        Accepts("adaptive_avg_pool(1)", ("[N, C = 3, H, W]",), "[N, C, 1, 1]", "nn.AdaptiveAvgPool2d(1)"),
        Accepts("adaptive_avg_pool((4, 5))", ("[N, 2, 12, 10]",), "[N, 2, 4, 5]"),
        Accepts("adaptive_avg_pool(7)", ("[N, 2, 12]",), "[N, 2, 7]"),
        Accepts("adaptive_avg_pool((none, 3, 1))", ("[N, 2, D = 3, H = 5, 4]",), "[N, 2, D, 3, 1]"),
        Accepts("adaptive_avg_pool((none, 3))", ("[N, 2, 4, 3]",), "[N, 2, 4, 3]"),
        Rejects("adaptive_avg_pool(1)", ("[N, 3]",), "NS401"),
        Rejects("adaptive_avg_pool(1)", ("int64 [N, 3, 8]",), "NS403"),
        Rejects("adaptive_avg_pool(0)", ("[N, 3, 8]",), "NS310"),
        Rejects("adaptive_avg_pool((2, 2))", ("[N, 3, 8]",), "NS310"),
        Rejects("adaptive_avg_pool((none, none))", ("[N, 3, 8, 8]",), "NS310"),
    )

    def torch(self, site: Site) -> Torch:
        """The module of torch."""
        return self._module("AdaptiveAvgPool", site.input)

    def onnx(self, site: Site) -> OnnxTerm:
        """One node where the windows are even, else a few an axis."""
        return self._lowered("mean", site)


@final
class AdaptiveMaxPool(_Adaptive):
    """The largest element of windows that divide each axis into a given number of parts: those of `adaptive_avg_pool`.

    size: one number, or one an axis; `none` keeps that axis.

    PyTorch: `nn.AdaptiveMaxPool1d`, `2d`, `3d`. ONNX: `GlobalMaxPool` for 1, `MaxPool` where the size divides a known one;
    else windows gathered by a table of indices, which is computed where the input's size is open.
    """

    NAME: ClassVar[str] = "adaptive_max_pool"
    FAMILY: ClassVar[str] = "pool"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("adaptive_max_pool(3)", ("[N, 3, H = 5, W = 7]",), "[N, 3, 3, 3]", "nn.AdaptiveMaxPool2d(3)"),
        Accepts("adaptive_max_pool(1)", ("[N, 3, T]",), "[N, 3, 1]", "nn.AdaptiveMaxPool1d(1)"),
        Accepts("adaptive_max_pool((2, 5))", ("[N, 2, 12, 10]",), "[N, 2, 2, 5]"),
        Accepts("adaptive_max_pool((3, none))", ("[N, 2, 5, W = 4]",), "[N, 2, 3, W]"),
        Accepts("adaptive_max_pool((2, 3, 4))", ("[N, 2, D = 3, H = 5, W = 4]",), "[N, 2, 2, 3, 4]"),
        Rejects("adaptive_max_pool(1)", ("[N, 3]",), "NS401"),
        Rejects("adaptive_max_pool(1)", ("bool [N, 3, 8]",), "NS403"),
        Rejects("adaptive_max_pool(-1)", ("[N, 3, 8]",), "NS310"),
        Rejects("adaptive_max_pool((2, 2))", ("[N, 3, 8]",), "NS310"),
    )

    LIMITATIONS: ClassVar[tuple[Limitation, ...]] = (DROPS_NAN,)

    def torch(self, site: Site) -> Torch:
        """The module of torch."""
        return self._module("AdaptiveMaxPool", site.input)

    def onnx(self, site: Site) -> OnnxTerm:
        """One node where the windows are even, else a few an axis."""
        return self._lowered("max", site)


class _Global(Operator):
    """What the two global pools share."""

    keepdim: bool = Field(True, description="keep the pooled axes, with size 1")

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The batch and the channels; ones for the spatial axes if they are kept."""
        (x,) = inputs
        require_floats(self.NAME, x)
        ones = (1,) * len(spatial(self.NAME, x))
        return x.with_shape((*x.shape[:2], *(ones if self.keepdim else ())))

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """All of each spatial axis, of the same channel."""
        kept = map(All, range(2, outputs[0].rank))
        return (Reach(((Same(0), Same(1), *kept),)),)

    def _term(self, name: str, method: str, x: TensorType) -> Torch:
        if self.keepdim:
            return Torch(module(f"nn.{name}{x.rank - 2}d", 1))
        return Torch(forward=Method(In(), method, (tuple(range(2, x.rank)),)))

    def _lowered(self, kind: Kind, site: Site) -> OnnxTerm:
        if self.keepdim:
            return _global(kind, In())
        return _reduced(kind, In(), tuple(range(2, site.input.rank)), site.opset, keepdims=False)


@final
class GlobalAvgPool(_Global):
    """The mean of each channel over all spatial positions (Lin, Chen and Yan, arXiv:1312.4400).

    Input `[N, C, L]`, `[N, C, H, W]` or `[N, C, D, H, W]`; output `[N, C, 1, …]`, or `[N, C]` with `keepdim = false`.

    PyTorch: `nn.AdaptiveAvgPool2d(1)` and its siblings, or `x.mean((2, 3))`. ONNX: `GlobalAveragePool`, or `ReduceMean`.
    """

    NAME: ClassVar[str] = "global_avg_pool"
    FAMILY: ClassVar[str] = "pool"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("global_avg_pool", ("[N, 3, H, W]",), "[N, 3, 1, 1]", "nn.AdaptiveAvgPool2d(1)"),
        Accepts("global_avg_pool(keepdim = false)", ("[N, C = 3, H, W]",), "[N, C]", "x.mean((2, 3))"),
        Accepts("global_avg_pool", ("[2, 3, 1]",), "[2, 3, 1]", "nn.AdaptiveAvgPool1d(1)"),
        Accepts("global_avg_pool(false)", ("[N, 3, D = 2, H = 3, W = 4]",), "[N, 3]"),
        Rejects("global_avg_pool", ("[N, 3]",), "NS401"),
        Rejects("global_avg_pool", ("int64 [N, 3, 8, 8]",), "NS403"),
        Rejects("global_avg_pool(1)", ("[N, 3, 8]",), "NS310"),
    )

    def torch(self, site: Site) -> Torch:
        """A module, or a method of the tensor."""
        return self._term("AdaptiveAvgPool", "mean", site.input)

    def onnx(self, site: Site) -> OnnxTerm:
        """One node."""
        return self._lowered("mean", site)


@final
class GlobalMaxPool(_Global):
    """The largest element of each channel over all spatial positions.

    Input `[N, C, L]`, `[N, C, H, W]` or `[N, C, D, H, W]`; output `[N, C, 1, …]`, or `[N, C]` with `keepdim = false`.

    PyTorch: `nn.AdaptiveMaxPool2d(1)` and its siblings, or `x.amax((2, 3))`. ONNX: `GlobalMaxPool`, or `ReduceMax`.
    """

    NAME: ClassVar[str] = "global_max_pool"
    FAMILY: ClassVar[str] = "pool"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("global_max_pool", ("[N, 3, H, W]",), "[N, 3, 1, 1]", "nn.AdaptiveMaxPool2d(1)"),
        Accepts("global_max_pool(keepdim = false)", ("[N, 3, T]",), "[N, 3]", "x.amax((2,))"),
        Accepts("global_max_pool", ("[N, 2, D = 2, H = 3, 4]",), "[N, 2, 1, 1, 1]"),
        Rejects("global_max_pool", ("[N, 3]",), "NS401"),
        Rejects("global_max_pool", ("int64 [N, 3, 8, 8]",), "NS403"),
        Rejects("global_max_pool(1)", ("[N, 3, 8]",), "NS310"),
    )

    LIMITATIONS: ClassVar[tuple[Limitation, ...]] = (DROPS_NAN,)

    def torch(self, site: Site) -> Torch:
        """A module, or a method of the tensor."""
        return self._term("AdaptiveMaxPool", "amax", site.input)

    def onnx(self, site: Site) -> OnnxTerm:
        """One node."""
        return self._lowered("max", site)
