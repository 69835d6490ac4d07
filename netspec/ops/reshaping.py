"""The same elements in another shape, order or type."""

from typing import ClassVar, Literal, final

from netspec.op import Accepts, Needs, Operator, Reject, Rejects, Site
from netspec.ops._axes import axes_of, axis_of
from netspec.ops._broadcast import broadcast_reach, known
from netspec.ops._elements import cast
from netspec.ops._layout import reshaped, size_vector
from netspec.reach import All, AxisReach, Reach, Same
from netspec.sizes.dim import Size, SizeField, exact_div, product
from netspec.sizes.tensor import TensorType
from netspec.terms import In, Method, OnnxTerm, Torch, call, op, vector


def _regrouped(before: tuple[Size, ...], after: tuple[Size, ...]) -> Reach:
    """How a row-major reshape looks back: equal axes at the front and at the back stay, the others see each other whole."""
    front = 0
    while front < min(len(before), len(after)) and before[front] == after[front]:
        front += 1
    back = 0
    while back < min(len(before), len(after)) - front and before[-1 - back] == after[-1 - back]:
        back += 1
    axes: list[AxisReach | None] = [Same(a) for a in range(front)]
    for axis in range(front, len(after) - back):
        axes.append(All(axis) if axis < len(before) - back else None)
    axes += [Same(len(before) - back + i) for i in range(back)]
    return Reach((tuple(axes),))


@final
class Flatten(Operator):
    """Merges the axes from `start` to `end` into one, in row-major order: `[N, C, H, W]` gives `[N, C * H * W]`.

    start, end: the first and last axis that is merged, negative from the back.

    PyTorch: `torch.flatten(x, 1)` (`nn.Flatten`). ONNX: Reshape, because ONNX's Flatten always gives two axes.
    """

    NAME: ClassVar[str] = "flatten"
    FAMILY: ClassVar[str] = "reshape"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("flatten", ("[N, 16, 5, 5]",), "[N, 400]", torch="torch.flatten(x, 1)"),
        Accepts("flatten", ("[N, 16, H, W]",), "[N, 16 * H * W]"),
        Accepts("flatten(2)", ("[N, 8, H, W]",), "[N, 8, H * W]", torch="torch.flatten(x, 2)"),
        Accepts("flatten(1, 2)", ("[N, T, H, D]",), "[N, T * H, D]", torch="torch.flatten(x, 1, 2)"),
        Accepts("flatten(0)", ("[N, 4]",), "[4 * N]"),
        Accepts("flatten", ("[N, 4]",), "[N, 4]"),
        Rejects("flatten(2, 1)", ("[N, 8, H, W]",), "NS310"),
        Rejects("flatten(4)", ("[N, 8, H, W]",), "NS406"),
        Rejects("flatten", ("[N]",), "NS406"),
    )

    start: int = 1
    end: int = -1

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The product of the merged axes in their place."""
        shape = inputs[0].shape
        start, end = axis_of(self.start, len(shape), "start"), axis_of(self.end, len(shape), "end")
        if start > end:
            raise Reject("NS310", f"axis {self.start} stands behind axis {self.end}", argument="start")
        return inputs[0].with_shape((*shape[:start], product(shape[start : end + 1]), *shape[end + 1 :]))

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """The merged axis sees all that went into it."""
        return (_regrouped(inputs[0].shape, outputs[0].shape),)

    def torch(self, site: Site) -> Torch:
        """`torch.flatten(x, 1)`."""
        return Torch(forward=call("torch.flatten", In(), self.start, *(() if self.end == -1 else (self.end,))))

    def onnx(self, site: Site) -> OnnxTerm:
        """Reshape."""
        return reshaped(In(), site.input.shape, site.output.shape)


def _cancelled(before: tuple[Size, ...], after: tuple[Size, ...]) -> tuple[Size, Size]:
    """The numbers of elements on both sides without the axes that both have: shorter conditions, fewer open sizes."""
    left, right = list(before), []
    for size in after:
        if size in left:
            left.remove(size)
        else:
            right.append(size)
    return product(left), product(right)


@final
class Reshape(Operator):
    """The same elements, in row-major order, in another shape: `x -> reshape((N, heads, -1))`.

    sizes: every size of the result, the batch included: numbers, open sizes, and at most one -1 for what is left. That
        the number of elements stays the same is a condition where sizes are open (NS410); so is, for -1, that the
        division leaves no remainder (NS404).

    PyTorch: `x.reshape(sizes)`. ONNX: Reshape.
    """

    NAME: ClassVar[str] = "reshape"
    FAMILY: ClassVar[str] = "reshape"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("reshape((N, 2, 8))", ("[N, 16]",), "[N, 2, 8]", torch="x.reshape(x.shape[0], 2, 8)"),
        Accepts("reshape((N, -1, 4))", ("[N, 6, H, W = 8]",), "[N, 3 * H * W // 2, 4]"),
        Accepts("reshape((N, T, 2, -1))", ("[N, T, 16]",), "[N, T, 2, 8]"),
        Accepts("reshape((N, 2, -1))", ("[N, T = 8, 3]",), "[N, 2, 3 * T // 2]"),
        Accepts("reshape((N, T // 2, 2, -1))", ("[N, T = 8, 3]",), "[N, T // 2, 2, 3 * T // (2 * (T // 2))]"),
        Accepts("reshape((-1, 3))", ("[N, 3, L]",), "[L * N, 3]"),
        Accepts("reshape(())", ("[1, 1]",), "[]"),
        Rejects("reshape((N, 3, 5))", ("[N, 16]",), "NS410"),
        Rejects("reshape((N, 3, -1))", ("[N, 16]",), "NS404"),
        Rejects("reshape((N, -1, -1))", ("[N, 16]",), "NS310"),
        Rejects("reshape((N, 0, 16))", ("[N, 16]",), "NS310"),
        Rejects("reshape((N, 4, 4))", ("[N, T]",), "NS410"),
        Rejects("reshape((N, 2, -1))", ("[N, T = 9]",), "NS404"),
    )

    sizes: tuple[SizeField, ...]

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The sizes as written, -1 resolved."""
        if any(isinstance(s, int) and s < 1 and s != -1 for s in self.sizes):
            raise Reject("NS310", "a size is at least 1, or -1 for what is left", argument="sizes")
        unknown = [i for i, s in enumerate(self.sizes) if s == -1]
        if len(unknown) > 1:
            raise Reject("NS310", "only one size can be left to be found", argument="sizes", help="write all sizes but one")
        have, want = _cancelled(inputs[0].shape, tuple(s for s in self.sizes if s != -1))
        if not unknown:
            need.equal(have, want, "`reshape` keeps the number of elements", "NS410")
            return inputs[0].with_shape(self.sizes)
        if isinstance(want, int):
            need.divides(want, have, "the size left for -1 is a whole number", "NS404")
        else:
            need.equal(have % want, 0, "the size left for -1 is a whole number", "NS404")
        return inputs[0].with_shape(tuple(exact_div(have, want) if s == -1 else s for s in self.sizes))

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """Leading and trailing axes that stay see themselves, the others everything."""
        return (_regrouped(inputs[0].shape, outputs[0].shape),)

    def torch(self, site: Site) -> Torch:
        """`x.reshape(2, -1)`."""
        return Torch(forward=Method(In(), "reshape", (self.sizes,)))

    def onnx(self, site: Site) -> OnnxTerm:
        """Reshape."""
        return reshaped(In(), site.input.shape, site.output.shape)


@final
class Permute(Operator):
    """The axes in another order: `permute((0, 2, 1))` makes `[N, L, C]` of `[N, C, L]`.

    axes: for each axis of the result, which axis of the input it is; every axis once.

    PyTorch: `x.permute(axes)`. ONNX: Transpose.
    """

    NAME: ClassVar[str] = "permute"
    FAMILY: ClassVar[str] = "reshape"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("permute((0, 2, 1))", ("[N, C, L]",), "[N, L, C]", torch="x.permute(0, 2, 1)"),
        Accepts("permute((0, -1, 1, 2))", ("[N, H, W, 3]",), "[N, 3, H, W]"),
        Rejects("permute((0, 1))", ("[N, C, L]",), "NS310"),
        Rejects("permute((0, 1, 1))", ("[N, C, L]",), "NS406"),
        Rejects("permute((0, 1, 3))", ("[N, C, L]",), "NS406"),
    )

    axes: tuple[int, ...]

    def _order(self, rank: int) -> tuple[int, ...]:
        if len(self.axes) != rank:
            raise Reject("NS310", f"{len(self.axes)} axes are named of {rank}", argument="axes", help="name every axis once")
        return axes_of(self.axes, rank, "axes")

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The sizes in the new order."""
        return inputs[0].with_shape(tuple(inputs[0].shape[a] for a in self._order(inputs[0].rank)))

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """Each axis sees where it came from."""
        return (Reach((tuple(Same(a) for a in self._order(inputs[0].rank)),)),)

    def torch(self, site: Site) -> Torch:
        """`x.permute(0, 2, 1)`."""
        return Torch(forward=Method(In(), "permute", self.axes))

    def onnx(self, site: Site) -> OnnxTerm:
        """Transpose."""
        return op("Transpose", In(), perm=self._order(site.input.rank))


@final
class Squeeze(Operator):
    """Drops an axis of size 1: `[N, C, 1]` gives `[N, C]` with `squeeze(2)`.

    axis: the axis. Its size must be 1: where torch quietly keeps a longer axis, this is an error (NS402), and for an open
        size a condition.

    PyTorch: `x.squeeze(axis)`. ONNX: Squeeze.
    """

    NAME: ClassVar[str] = "squeeze"
    FAMILY: ClassVar[str] = "reshape"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("squeeze(-1)", ("[N, C, 1]",), "[N, C]", torch="x.squeeze(-1)"),
        Accepts("squeeze(1)", ("[N, T = 1, D]",), "[N, D]"),
        Rejects("squeeze(1)", ("[N, 2]",), "NS402"),
        Rejects("squeeze(2)", ("[N, 1]",), "NS406"),
    )

    axis: int

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """One axis less."""
        shape = inputs[0].shape
        axis = axis_of(self.axis, len(shape))
        need.equal(shape[axis], 1, f"`squeeze` drops axis {axis}, which must be of size 1", "NS402")
        return inputs[0].with_shape((*shape[:axis], *shape[axis + 1 :]))

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """The same position along the axes that stay."""
        axis = axis_of(self.axis, inputs[0].rank)
        return (Reach((tuple(Same(a + (a >= axis)) for a in range(outputs[0].rank)),)),)

    def torch(self, site: Site) -> Torch:
        """`x.squeeze(1)`."""
        return Torch(forward=Method(In(), "squeeze", (self.axis,)))

    def onnx(self, site: Site) -> OnnxTerm:
        """Squeeze."""
        return op("Squeeze", In(), vector((axis_of(self.axis, site.input.rank),)))


@final
class Unsqueeze(Operator):
    """A new axis of size 1: `[N, C]` gives `[N, C, 1]` with `unsqueeze(-1)`.

    axis: where it stands in the result; negative counts from its end.

    PyTorch: `x.unsqueeze(axis)`. ONNX: Unsqueeze.
    """

    NAME: ClassVar[str] = "unsqueeze"
    FAMILY: ClassVar[str] = "reshape"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("unsqueeze(-1)", ("[N, C]",), "[N, C, 1]", torch="x.unsqueeze(-1)"),
        Accepts("unsqueeze(1)", ("[N, H, W]",), "[N, 1, H, W]"),
        Rejects("unsqueeze(3)", ("[N, C]",), "NS406"),
    )

    axis: int

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """One axis more."""
        shape = inputs[0].shape
        axis = axis_of(self.axis, len(shape) + 1)
        return inputs[0].with_shape((*shape[:axis], 1, *shape[axis:]))

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """The same position along the old axes, nothing along the new one."""
        axis = axis_of(self.axis, outputs[0].rank)
        return (Reach((tuple(None if a == axis else Same(a - (a > axis)) for a in range(outputs[0].rank)),)),)

    def torch(self, site: Site) -> Torch:
        """`x.unsqueeze(1)`."""
        return Torch(forward=Method(In(), "unsqueeze", (self.axis,)))

    def onnx(self, site: Site) -> OnnxTerm:
        """Unsqueeze."""
        return op("Unsqueeze", In(), vector((axis_of(self.axis, site.output.rank),)))


@final
class Expand(Operator):
    """Repeats axes of size 1, and puts new ones in front: a class token `[1, 1, D]` with `expand((N, -1, -1))` is `[N, 1, D]`.

    sizes: the sizes of the result; -1 keeps an axis. Only an axis written as 1 is repeated: any other size must be equal
        to the one asked for (NS411).

    PyTorch: `x.expand(sizes)`. ONNX: Expand.
    """

    NAME: ClassVar[str] = "expand"
    FAMILY: ClassVar[str] = "reshape"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("expand((-1, 4, -1))", ("[N, 1, D]",), "[N, 4, D]", torch="x.expand(-1, 4, -1)"),
        Accepts("expand((N, N, 8))", ("[N, 8]",), "[N, N, 8]"),
        Accepts("expand((2, -1, 6))", ("[T = 6, 1]",), "[2, T, 6]"),
        Rejects("expand((-1, 6))", ("[N, 3]",), "NS411"),
        Rejects("expand((-1,))", ("[N, 3]",), "NS401"),
        Rejects("expand((-1, -1, 3))", ("[N, 3]",), "NS310"),
        Rejects("expand((-1, 0))", ("[N, 1]",), "NS310"),
    )

    sizes: tuple[SizeField, ...]

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The sizes as written, -1 resolved."""
        new = len(self.sizes) - inputs[0].rank
        if new < 0:
            raise Reject("NS401", f"{len(self.sizes)} sizes for {inputs[0].rank} axes", argument="sizes", help="-1 keeps an axis")
        if any(isinstance(s, int) and (s == 0 or s < -1 or (s == -1 and a < new)) for a, s in enumerate(self.sizes)):
            raise Reject("NS310", "a size is at least 1, or -1 for an axis that the tensor has", argument="sizes")
        found = list(self.sizes[:new])
        for axis, (have, want) in enumerate(zip(inputs[0].shape, self.sizes[new:]), start=new):
            if isinstance(have, int) and have == 1:
                found.append(1 if want == -1 else want)
                continue
            if want != -1:
                need.equal(have, want, f"`expand` cannot repeat axis {axis}, which is not of size 1", "NS411")
            found.append(have if want == -1 else known(have, want))
        return inputs[0].with_shape(tuple(found))

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """The same position, but for axes that are stretched or new."""
        return (broadcast_reach(inputs, outputs[0]),)

    def torch(self, site: Site) -> Torch:
        """`x.expand(-1, 4, -1)`."""
        return Torch(forward=Method(In(), "expand", self.sizes))

    def onnx(self, site: Site) -> OnnxTerm:
        """Expand, whose sizes of 1 keep an axis."""
        new = site.output.rank - site.input.rank
        grown = site.output.shape[new:]
        sizes = [1 if have == want else want for have, want in zip(site.input.shape, grown)]
        return op("Expand", In(), size_vector([*site.output.shape[:new], *sizes]))


#: torch's shorthand for a conversion, by element type
_CONVERSIONS = {
    "float32": "float",
    "float16": "half",
    "bfloat16": "bfloat16",
    "float64": "double",
    "int64": "long",
    "int32": "int",
    "int8": "char",
    "uint8": "byte",
    "bool": "bool",
}


@final
class Cast(Operator):
    """Converts the elements: `cast(float32)`. A float becomes an integer by dropping its fraction, bool is "not 0".

    dtype: float32, float64, float16, bfloat16, int64, int32, int8, uint8 or bool.

    PyTorch: `x.float()` and its kin. ONNX: Cast.
    """

    NAME: ClassVar[str] = "cast"
    FAMILY: ClassVar[str] = "reshape"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("cast(float32)", ("int64 [N, T]",), "[N, T]", torch="x.float()"),
        Accepts("cast(int64)", ("[N, 3, H, W]",), "int64 [N, 3, H, W]", torch="x.long()"),
        Accepts("cast(bool)", ("[N, T]",), "bool [N, T]", torch="x.bool()"),
        Rejects("cast(complex64)", ("[N, T]",), "NS310"),
    )

    dtype: Literal["float32", "float64", "float16", "bfloat16", "int64", "int32", "int8", "uint8", "bool"]

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The same shape."""
        return TensorType(inputs[0].shape, self.dtype)

    def torch(self, site: Site) -> Torch:
        """`x.float()`."""
        return Torch(forward=Method(In(), _CONVERSIONS[self.dtype]))

    def onnx(self, site: Site) -> OnnxTerm:
        """Cast."""
        return cast(In(), self.dtype)
