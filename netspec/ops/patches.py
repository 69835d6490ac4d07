"""Pictures as patches side by side, and back: what a convolution does to its input before it multiplies."""

from typing import Annotated, Any, ClassVar, final

from pydantic import Field

from netspec.op import Accepts, Needs, Operator, Rejects, Site
from netspec.ops._inputs import require_floats, require_rank
from netspec.ops._layout import END, reshaped, size_vector, sliced
from netspec.ops._window import PerAxis, Window, per_axis, plain
from netspec.reach import All, Reach, Same
from netspec.sizes.dim import Size, SizeField, product
from netspec.sizes.tensor import TensorType
from netspec.terms import Const, In, OnnxTerm, SizeScalar, Torch, call, op, scalar, vector

#: how much is put around
Amount = Annotated[int, Field(ge=0)]


class _Patches(Operator):
    """The windows of both operators, and where their taps lie."""

    FAMILY: ClassVar[str] = "reshape"

    def windows(self) -> tuple[Window, Window]:
        """One for rows, one for columns. Rejects (NS310) arguments for other than two axes."""
        named = ("kernel", "stride", "dilation", "padding")
        rows = zip(*(per_axis(getattr(self, name), 2, name) for name in named))
        high, wide = (Window(k, s, d, p, p) for k, s, d, p in rows)
        return high, wide

    def settings(self) -> dict[str, Any]:
        """The arguments that are not at their default, as torch is given them."""
        fields = type(self).model_fields
        names = ("dilation", "padding", "stride")
        return {n: plain(per_axis(getattr(self, n), 2, n)) for n in names if getattr(self, n) != fields[n].default}


def _places(window: Window, count: Size) -> OnnxTerm:
    """Where tap i of window o lies on the padded axis: `[kernel, count]`, `i * dilation + o * stride`."""
    taps = tuple(i * window.dilation for i in range(window.kernel))
    if isinstance(count, int):
        return Const("int64", (window.kernel, count), tuple(t + o * window.stride for t in taps for o in range(count)))
    starts = op("Mul", op("Range", scalar(0, "int64"), SizeScalar(count), scalar(1, "int64")), scalar(window.stride, "int64"))
    return op("Add", Const("int64", (window.kernel, 1), taps), starts)


@final
class Unfold(_Patches):
    """Every window of a picture as a column: `[N, C, H, W]` gives `[N, C * kernel * kernel, L]`, where L counts the windows,
    row by row, and the numbers of a window stand channel by channel.

    kernel, stride, padding, dilation: as in `conv`, a number or one for each of two axes; the padding is zeros.

    PyTorch: `F.unfold`. ONNX: a Gather for each axis.
    """

    NAME: ClassVar[str] = "unfold"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("unfold(2, stride = 2)", ("[N, 3, H = 6, W = 8]",), "[N, 12, (H // 2) * (W // 2)]", "F.unfold(x, 2, stride=2)"),
        Accepts("unfold(3, padding = 1)", ("[N, 2, 4, 5]",), "[N, 18, 20]", "F.unfold(x, 3, padding=1)"),
        Accepts("unfold((1, 3), (2, 1), (0, 2), (1, 2))", ("[N, C = 3, H, W]",), "[N, 3 * C, ((H + 1) // 2) * W]"),
        Rejects("unfold(5)", ("[N, 3, 4, 4]",), "NS402"),
        Rejects("unfold(2)", ("[N, 3, L]",), "NS401"),
        Rejects("unfold(2)", ("int64 [N, 3, H, W]",), "NS403"),
        Rejects("unfold((2, 2, 2))", ("[N, 3, H, W]",), "NS310"),
    )

    kernel: PerAxis
    stride: PerAxis = 1
    padding: Amount | tuple[Amount, ...] = 0
    dilation: PerAxis = 1

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """A column for every window."""
        (x,) = inputs
        require_floats(self.NAME, x)
        require_rank(self.NAME, x, 4, 4, help="[N, C, H, W]")
        windows = self.windows()
        for window, size in zip(windows, x.spatial):
            window.check(size, need)
        counts = (w.output(n) for w, n in zip(windows, x.spatial))
        return x.with_shape((x.shape[0], x.shape[1] * windows[0].kernel * windows[1].kernel, product(counts)))

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """Rows and columns have become one axis, which is bound by all of both."""
        return (Reach(((Same(0), All(1), All(2)),)),)

    def torch(self, site: Site) -> Torch:
        """`F.unfold(x, 2, stride=2)`."""
        return Torch(forward=call("F.unfold", In(), plain(per_axis(self.kernel, 2, "kernel")), **self.settings()))

    def onnx(self, site: Site) -> OnnxTerm:
        """The taps along rows, then along columns, then both beside the channels."""
        high, wide = self.windows()
        (batch, channels, height, width), x = site.input.shape, In()
        rows, columns = high.output(height), wide.output(width)
        padded: OnnxTerm = x
        if high.before or wide.before:
            padded = op("Pad", x, vector((0, 0, high.before, wide.before) * 2))
        found = op("Gather", op("Gather", padded, _places(high, rows), axis=2), _places(wide, columns), axis=4)
        ordered = op("Transpose", found, perm=(0, 1, 2, 4, 3, 5))
        return reshaped(ordered, (batch, channels, high.kernel, wide.kernel, rows, columns), site.output.shape)


@final
class Fold(_Patches):
    """Columns as windows of a picture again, summed where they overlap: `[N, C * kernel * kernel, L]` gives `[N, C, H, W]`.

    Undoes `unfold` where windows do not overlap, up to what is in no window.

    size: height and width of the picture, in numbers or open sizes; L must be the number of its windows.
    kernel, stride, padding, dilation: as in `unfold`; what lies on the padding is dropped.

    PyTorch: `F.fold`. ONNX: an adding ScatterElements for each axis.
    """

    NAME: ClassVar[str] = "fold"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("fold((4, 6), 2, stride = 2)", ("[N, 12, 6]",), "[N, 3, 4, 6]", "F.fold(x, (4, 6), 2, stride=2)"),
        Accepts("fold(4, 3, padding = 1)", ("[N, 18, 16]",), "[N, 2, 4, 4]", "F.fold(x, 4, 3, padding=1)"),
        Accepts("fold((5, 7), (1, 3), (2, 1), (0, 2), (1, 2))", ("[N, 6, 21]",), "[N, 2, 5, 7]"),
        Accepts("fold((2 * T, 2), 2, stride = 2)", ("[N, 8, T = 5]",), "[N, 2, 2 * T, 2]"),
        Rejects("fold(4, 2, stride = 2)", ("[N, 12, 5]",), "NS412"),
        Rejects("fold(4, 2, stride = 2)", ("[N, 10, 4]",), "NS404"),
        Rejects("fold(4, 2)", ("[N, 3, H, W]",), "NS401"),
        Rejects("fold(2, 5)", ("[N, 25, 1]",), "NS402"),
        Rejects("fold(4, 2)", ("int64 [N, 4, 9]",), "NS403"),
    )

    size: SizeField | tuple[SizeField, ...]
    kernel: PerAxis
    stride: PerAxis = 1
    padding: Amount | tuple[Amount, ...] = 0
    dilation: PerAxis = 1

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The channels that fill a window each, and the picture's size."""
        (x,) = inputs
        require_floats(self.NAME, x)
        require_rank(self.NAME, x, 3, 3, help="[N, C * kernel * kernel, L], as `unfold` gives")
        windows, sizes = self.windows(), per_axis(self.size, 2, "size")
        for window, size in zip(windows, sizes):
            window.check(size, need)
        taps = windows[0].kernel * windows[1].kernel
        need.divides(taps, x.shape[1], f"every channel has the {taps} numbers of a window")
        counts = product(w.output(n) for w, n in zip(windows, sizes))
        need.equal(x.shape[2], counts, "there are not as many columns as windows")
        return x.with_shape((x.shape[0], x.shape[1] // taps, *sizes))

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """Both axes of the picture come of one, which bounds them."""
        return (Reach(((Same(0), All(1), All(2), All(2)),)),)

    def torch(self, site: Site) -> Torch:
        """`F.fold(x, (4, 6), 2, stride=2)`."""
        kernel = plain(per_axis(self.kernel, 2, "kernel"))
        return Torch(forward=call("F.fold", In(), site.output.spatial, kernel, **self.settings()))

    def onnx(self, site: Site) -> OnnxTerm:
        """Windows are added along columns, then along rows, on the padded picture, which is cropped."""
        high, wide = self.windows()
        batch, channels, height, width = site.output.shape
        rows, columns = high.output(height), wide.output(width)
        apart = (batch, channels, high.kernel, wide.kernel, rows, columns)
        merged = (batch, channels, high.kernel * rows, wide.kernel * columns)
        ordered = op("Transpose", reshaped(In(), site.input.shape, apart), perm=(0, 1, 2, 4, 3, 5))
        x: OnnxTerm = reshaped(ordered, (batch, channels, high.kernel, rows, wide.kernel, columns), merged)
        x = self._added(x, wide, merged, 3, width, columns, site.input.dtype)
        x = self._added(x, high, (*merged[:3], width + 2 * wide.before), 2, height, rows, site.input.dtype)
        axes = [(a, w, n) for a, w, n in ((2, high, height), (3, wide, width)) if w.before]
        return sliced(x, [a for a, _, _ in axes], [w.before for _, w, _ in axes], [-w.before if w.before else END for _, w, _ in axes])

    @staticmethod
    def _added(x: OnnxTerm, window: Window, shape: tuple[Size, ...], axis: int, size: Size, count: Size, dtype: str) -> OnnxTerm:
        """The axis of windows side by side in `x` of `shape`, each tap added to its place."""
        result = [*shape]
        result[axis] = size + 2 * window.before
        zeros = op("Expand", scalar(0.0, dtype), size_vector(result))
        line = op("Reshape", _places(window, count), vector((-1,) + (1,) * (3 - axis)))
        return op("ScatterElements", zeros, op("Expand", line, size_vector(shape)), x, axis=axis, reduction="add")
