"""Elements once more, in another order, or not at all: mirrored, repeated, or only those on one side of a diagonal."""

from typing import Annotated, ClassVar, final

from pydantic import Field

from netspec.op import Accepts, Needs, Operator, Reject, Rejects, Site
from netspec.ops._axes import axes_of, axis_of
from netspec.ops._elements import converted
from netspec.ops._inputs import require_rank
from netspec.ops._layout import reshaped, size_vector, sliced
from netspec.reach import All, AxisReach, Blocks, Reach, Same
from netspec.sizes.dim import Dim, Size, SizeField
from netspec.sizes.tensor import TensorType
from netspec.terms import In, Method, OnnxTerm, SizeScalar, Torch, op, scalar, vector

#: before the first element, as ONNX's Slice spells it where it goes backwards
BEGINNING = -(1 << 63)


@final
class Flip(Operator):
    """Everything along an axis, from its end to its beginning.

    Any input; the output has its shape.

    axis: the axis, or several.

    PyTorch: `torch.flip`. ONNX: Slice with a step of -1.
    """

    NAME: ClassVar[str] = "flip"
    FAMILY: ClassVar[str] = "reshape"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("flip(1)", ("[N, T, 3]",), "[N, T, 3]", torch="x.flip(1)"),
        Accepts("flip((2, -1))", ("[N, C, H, W]",), "[N, C, H, W]", torch="x.flip((2, -1))"),
        Accepts("flip(0)", ("int64 [T]",), "int64 [T]"),
        Rejects("flip(2)", ("[N, T]",), "NS406"),
        Rejects("flip((1, -1))", ("[N, T]",), "NS406"),
    )

    axis: int | tuple[int, ...]

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """As it is."""
        axes_of(self.axis, inputs[0].rank)
        return inputs[0]

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """The position as far from the other end, which is any where the axis is open."""
        axes, rank = axes_of(self.axis, inputs[0].rank), inputs[0].rank
        return (Reach((tuple(All(a) if a in axes else Same(a) for a in range(rank)),)),)

    def torch(self, site: Site) -> Torch:
        """`x.flip(1)`."""
        return Torch(forward=Method(In(), "flip", (self.axis,)))

    def onnx(self, site: Site) -> OnnxTerm:
        """Slice, backwards."""
        axes = axes_of(self.axis, site.input.rank)
        count = len(axes)
        return sliced(In(), axes, (-1,) * count, (BEGINNING,) * count, (-1,) * count)


@final
class Tile(Operator):
    """The whole tensor several times along axes: `tile((1, 2))` of `[N, T]` is `[N, 2 * T]`.

    repeats: how often along each axis, a number or an open size; as many as there are axes.

    PyTorch: `x.repeat`. ONNX: Tile. To stretch an axis of size 1 see `expand`, which copies nothing.
    """

    NAME: ClassVar[str] = "tile"
    FAMILY: ClassVar[str] = "reshape"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("tile((1, 2))", ("[N, T]",), "[N, 2 * T]", torch="x.repeat(1, 2)"),
        Accepts("tile((1, 1, T))", ("[N, T, 3]",), "[N, T, 3 * T]"),
        Accepts("tile((2,))", ("int64 [T]",), "int64 [2 * T]"),
        Rejects("tile((2,))", ("[N, T]",), "NS310"),
        Rejects("tile((1, 0))", ("[N, T]",), "NS310"),
    )

    repeats: tuple[SizeField, ...]

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """Each axis as many times as long."""
        if len(self.repeats) != inputs[0].rank or any(isinstance(r, int) and r < 1 for r in self.repeats):
            message = f"one number of repeats, at least 1, for each of the {inputs[0].rank} axes"
            raise Reject("NS310", message, argument="repeats", help="an axis that is not repeated has 1")
        return inputs[0].with_shape(tuple(s * r for s, r in zip(inputs[0].shape, self.repeats)))

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """One position for each repetition; said as all of the axis."""
        looks: list[AxisReach] = [Same(a) if isinstance(r, int) and r == 1 else All(a) for a, r in enumerate(self.repeats)]
        return (Reach((tuple(looks),)),)

    def torch(self, site: Site) -> Torch:
        """`x.repeat(1, 2)`."""
        return Torch(forward=Method(In(), "repeat", self.repeats))

    def onnx(self, site: Site) -> OnnxTerm:
        """Tile."""
        return op("Tile", In(), size_vector(self.repeats))


@final
class RepeatInterleave(Operator):
    """Each element several times in a row along an axis: 1, 2 becomes 1, 1, 2, 2.

    repeats: how often, a number.
    axis: along which axis.

    PyTorch: `x.repeat_interleave`. ONNX: Unsqueeze, Expand, Reshape.
    """

    NAME: ClassVar[str] = "repeat_interleave"
    FAMILY: ClassVar[str] = "reshape"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("repeat_interleave(2, 1)", ("[N, T, 3]",), "[N, 2 * T, 3]", torch="x.repeat_interleave(2, 1)"),
        Accepts("repeat_interleave(3, axis = -1)", ("int64 [N, 4]",), "int64 [N, 12]"),
        Accepts("repeat_interleave(2, axis = 2)", ("[N, C, H, W]",), "[N, C, 2 * H, W]"),
        Rejects("repeat_interleave(0, 1)", ("[N, T]",), "NS310"),
        Rejects("repeat_interleave(2, 2)", ("[N, T]",), "NS406"),
    )

    repeats: Annotated[int, Field(gt=0)]
    axis: int

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The axis as many times as long."""
        axis = axis_of(self.axis, inputs[0].rank)
        return inputs[0].with_shape(tuple(s * self.repeats if a == axis else s for a, s in enumerate(inputs[0].shape)))

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """The element of which it is a copy."""
        axis, rank = axis_of(self.axis, inputs[0].rank), inputs[0].rank
        return (Reach((tuple(Blocks(a, self.repeats, up=True) if a == axis else Same(a) for a in range(rank)),)),)

    def torch(self, site: Site) -> Torch:
        """`x.repeat_interleave(2, 1)`."""
        return Torch(forward=Method(In(), "repeat_interleave", (self.repeats, self.axis)))

    def onnx(self, site: Site) -> OnnxTerm:
        """A new axis behind, stretched, and joined with its neighbour."""
        if self.repeats == 1:
            return In()
        axis, shape = axis_of(self.axis, site.input.rank), site.input.shape
        several = (*shape[: axis + 1], self.repeats, *shape[axis + 1 :])
        ones = tuple(self.repeats if a == axis + 1 else 1 for a in range(len(several)))
        stretched = op("Expand", op("Unsqueeze", In(), vector((axis + 1,))), vector(ones))
        return reshaped(stretched, several, site.output.shape)


class _Triangle(Operator):
    """One side of the diagonal of the last two axes; the rest is 0."""

    FAMILY: ClassVar[str] = "activation"
    UPPER: ClassVar[bool]

    diagonal: SizeField = 0

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """As it is."""
        require_rank(self.NAME, inputs[0], 2)
        return inputs[0]

    def torch(self, site: Site) -> Torch:
        """`x.tril()`."""
        moved = () if _is_zero(self.diagonal) else (self.diagonal,)
        return Torch(forward=Method(In(), self.NAME, moved))

    def onnx(self, site: Site) -> OnnxTerm:
        """Trilu; of small integers by a detour, for onnxruntime has no kernel of them."""
        have = site.input.dtype
        dtype = "int64" if have in ("int8", "uint8", "int32") else have
        return converted(op("Trilu", converted(In(), have, dtype), _number(self.diagonal), upper=int(self.UPPER)), dtype, have)


def _is_zero(size: Size) -> bool:
    return isinstance(size, int) and size == 0


def _number(size: Size) -> OnnxTerm:
    return SizeScalar(size) if isinstance(size, Dim) else scalar(size, "int64")


@final
class Tril(_Triangle):
    """What is on the diagonal of the last two axes, or below it: element (i, j) stays where `j - i <= diagonal`, the rest is 0.

    diagonal: which one: 0 is that from the first element, 1 the one above it.

    PyTorch: `torch.tril`. ONNX: Trilu.
    """

    NAME: ClassVar[str] = "tril"
    UPPER: ClassVar[bool] = False
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("tril", ("[N, T, T]",), "[N, T, T]", torch="x.tril()"),
        Accepts("tril(-1)", ("bool [T, S]",), "bool [T, S]", torch="x.tril(-1)"),
        Accepts("tril(2)", ("int32 [N, 4, 5]",), "int32 [N, 4, 5]"),
        Rejects("tril", ("[N]",), "NS401"),
    )


@final
class Triu(_Triangle):
    """What is on the diagonal of the last two axes, or above it: element (i, j) stays where `j - i >= diagonal`, the rest is 0.

    diagonal: which one: 0 is that from the first element, 1 the one above it.

    PyTorch: `torch.triu`. ONNX: Trilu.
    """

    NAME: ClassVar[str] = "triu"
    UPPER: ClassVar[bool] = True
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("triu", ("[N, T, T]",), "[N, T, T]", torch="x.triu()"),
        Accepts("triu(S - T + 1)", ("bool [T = 5, S = 7]",), "bool [T, S]"),
        Accepts("triu(1)", ("int64 [N, 4, 5]",), "int64 [N, 4, 5]", torch="x.triu(1)"),
        Rejects("triu", ("[N]",), "NS401"),
    )
