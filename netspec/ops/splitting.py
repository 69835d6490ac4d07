"""Taking tensors apart along an axis."""

from typing import Annotated, Any, ClassVar, final

from pydantic import Field

from netspec.op import Accepts, Needs, Operator, Reject, Rejects, Site
from netspec.ops._axes import axis_of
from netspec.ops._layout import END, size_vector, sliced
from netspec.reach import All, Reach, Same, Shift
from netspec.sizes.dim import Size, SizeField, ceil_div, total
from netspec.sizes.tensor import TensorType
from netspec.terms import In, Item, Method, OnnxTerm, Out, SizeScalar, Torch, op, scalar


def _resized(tensor: TensorType, axis: int, size: Size) -> TensorType:
    return tensor.with_shape((*tensor.shape[:axis], size, *tensor.shape[axis + 1 :]))


def _stretch(rank: int, axis: int, start: Size, step: int = 1) -> Reach:
    """Every `step`-th position from `start` on, along `axis`."""
    along = Shift(axis, start, step) if isinstance(start, int) else All(axis)
    return Reach((tuple(along if a == axis else Same(a) for a in range(rank)),))


def _piece_reach(axis: int, outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
    """Each piece sees its own stretch of the axis."""
    lengths = [o.shape[axis] for o in outputs]
    return tuple(_stretch(o.rank, axis, total(lengths[:i])) for i, o in enumerate(outputs))


def _pieces(site: Site, cut: Method) -> Torch:
    """What a cut gives: its pieces, or, where there is one, that one."""
    return Torch(forward=cut if len(site.outputs) > 1 else Item(cut, 0))


def _piece_terms(axis: int, outputs: tuple[TensorType, ...]) -> tuple[OnnxTerm, ...]:
    """One Split with all lengths written out: its own even split differs from torch's."""
    node = op("Split", In(), size_vector([o.shape[axis] for o in outputs]), axis=axis, outputs=len(outputs))
    return tuple(Out(node, i) for i in range(len(outputs)))


@final
class Split(Operator):
    """Cuts an axis into pieces of given sizes: `a, b = x -> split((16, 48))`.

    sizes: the length of each piece, which must add up to the axis; or one number, the length of all pieces but perhaps a
        shorter last one, for an axis whose length is a number.
    axis: the axis to cut, by default the channels (torch's default is the batch).

    PyTorch: `x.split(sizes, axis)`. ONNX: Split.
    """

    NAME: ClassVar[str] = "split"
    FAMILY: ClassVar[str] = "reshape"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("split((2, 3, 1))", ("[N, 6, H, W]",), ("[N, 2, H, W]", "[N, 3, H, W]", "[N, 1, H, W]"), torch="x.split((2, 3, 1), 1)"),
        Accepts("split(4)", ("[N, 10]",), ("[N, 4]", "[N, 4]", "[N, 2]"), torch="x.split(4, 1)"),
        Accepts("split((1, T - 1), axis = -2)", ("[N, T, 8]",), ("[N, 1, 8]", "[N, T - 1, 8]")),
        Accepts("split((2, 3), axis = 2)", ("[N, 4, L = 5]",), ("[N, 4, 2]", "[N, 4, 3]")),
        Rejects("split((2, 3))", ("[N, 6, H, W]",), "NS402"),
        Rejects("split(2)", ("[N, C]",), "NS310"),
        Rejects("split(())", ("[N, 4]",), "NS310"),
        Rejects("split((0, 4))", ("[N, 4]",), "NS310"),
        Rejects("split(0)", ("[N, 4]",), "NS310"),
        Rejects("split(2, axis = 2)", ("[N, 4]",), "NS406"),
    )

    sizes: SizeField | tuple[SizeField, ...]
    axis: int = 1

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> tuple[TensorType, ...]:
        """One output a piece."""
        axis = axis_of(self.axis, inputs[0].rank)
        return tuple(_resized(inputs[0], axis, size) for size in self._lengths(inputs[0].shape[axis], axis, need))

    def _lengths(self, whole: Size, axis: int, need: Needs) -> tuple[Size, ...]:
        if isinstance(self.sizes, tuple):
            if not self.sizes or any(isinstance(s, int) and s < 1 for s in self.sizes):
                raise Reject("NS310", "`split` needs pieces of at least one element", argument="sizes")
            for size in self.sizes:
                need.at_least(size, 1, "a piece of a split is empty")
            need.equal(total(self.sizes), whole, f"the pieces of a split do not add up to axis {axis}", "NS402")
            return self.sizes
        if not (isinstance(self.sizes, int) and isinstance(whole, int)):
            message = f"how many pieces axis {axis} gives depends on its open size"
            raise Reject("NS310", message, argument="sizes", help="write the size of every piece, or use chunk(count)")
        if self.sizes < 1:
            raise Reject("NS310", "`split` needs pieces of at least one element", argument="sizes")
        return tuple(min(self.sizes, whole - start) for start in range(0, whole, self.sizes))

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """Each piece sees its own stretch of the axis."""
        return _piece_reach(axis_of(self.axis, inputs[0].rank), outputs)

    def torch(self, site: Site) -> Torch:
        """`x.split((2, 3), 1)`."""
        return _pieces(site, Method(In(), "split", (self.sizes, self.axis)))

    def onnx(self, site: Site) -> tuple[OnnxTerm, ...]:
        """Split."""
        return _piece_terms(axis_of(self.axis, site.input.rank), site.outputs)


@final
class Chunk(Operator):
    """Cuts an axis into `count` pieces of `ceil(n / count)`, the last one as long as what is left: `a, b = x -> chunk(2)`.

    As in torch there may be fewer pieces than asked for (6 in 4 gives 2, 2, 2). Where the size is open, that it gives
    `count` pieces is a condition.

    count: how many pieces.
    axis: the axis to cut, by default the channels (torch's default is the batch).

    PyTorch: `x.chunk(count, axis)`. ONNX: Split by the lengths; its own even split would give `count` pieces always.
    """

    NAME: ClassVar[str] = "chunk"
    FAMILY: ClassVar[str] = "reshape"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("chunk(2)", ("[N, 6, H, W]",), ("[N, 3, H, W]", "[N, 3, H, W]"), torch="x.chunk(2, 1)"),
        Accepts("chunk(4)", ("[N, 6]",), ("[N, 2]", "[N, 2]", "[N, 2]"), torch="x.chunk(4, 1)"),
        Accepts("chunk(2, axis = 2)", ("[N, 4, L]",), ("[N, 4, (L + 1) // 2]", "[N, 4, L - (L + 1) // 2]")),
        Accepts("chunk(1)", ("[N, 6, L]",), "[N, 6, L]"),
        Rejects("chunk(0)", ("[N, 6]",), "NS310"),
        Rejects("chunk(4, axis = 2)", ("[N, 6, L = 6]",), "NS402"),
        Rejects("chunk(2, axis = 3)", ("[N, 6]",), "NS406"),
    )

    count: int = Field(gt=0)
    axis: int = 1

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> tuple[TensorType, ...]:
        """One output a piece."""
        axis = axis_of(self.axis, inputs[0].rank)
        return tuple(_resized(inputs[0], axis, size) for size in self._lengths(inputs[0].shape[axis], axis, need))

    def _lengths(self, whole: Size, axis: int, need: Needs) -> tuple[Size, ...]:
        length = ceil_div(whole, self.count)
        if isinstance(whole, int) and isinstance(length, int):
            return tuple(min(length, whole - start) for start in range(0, whole, length))
        last = whole - (self.count - 1) * length
        need.at_least(last, 1, f"axis {axis} is too short for {self.count} chunks")
        return (length,) * (self.count - 1) + (last,)

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """Each piece sees its own stretch of the axis."""
        return _piece_reach(axis_of(self.axis, inputs[0].rank), outputs)

    def torch(self, site: Site) -> Torch:
        """`x.chunk(2, 1)`."""
        return _pieces(site, Method(In(), "chunk", (self.count, self.axis)))

    def onnx(self, site: Site) -> tuple[OnnxTerm, ...]:
        """Split."""
        return _piece_terms(axis_of(self.axis, site.input.rank), site.outputs)


@final
class Slice(Operator):
    """Every `step`-th element from `start` up to, but without, `stop` along an axis: `x -> slice(1, -1, axis = 2)`.

    Unlike Python's and torch's, a slice that reaches past the end is an error: the size it asks for is a condition.

    start: the first element; negative counts from the end.
    stop: where to stop; negative counts from the end, none is the end. May be an open size, as `start` may.
    step: at least 1.
    axis: the axis to cut, by default the channels.

    PyTorch: `x[:, start:stop:step]`. ONNX: Slice.
    """

    NAME: ClassVar[str] = "slice"
    FAMILY: ClassVar[str] = "reshape"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("slice(1, 3)", ("[N, 4, H, W]",), "[N, 2, H, W]", torch="x[:, 1:3]"),
        Accepts("slice(0, -1, axis = 1)", ("int64 [N, T]",), "int64 [N, T - 1]", torch="x[:, :-1]"),
        Accepts("slice(step = 2, axis = 2)", ("[N, 3, H, W]",), "[N, 3, (H + 1) // 2, W]", torch="x[:, :, ::2]"),
        Accepts("slice(-2, axis = -1)", ("[N, L]",), "[N, 2]", torch="x[..., -2:]"),
        Accepts("slice(stop = T // 2)", ("[N, T, 4]",), "[N, T // 2, 4]", torch="x[:, :x.shape[1] // 2]"),
        Rejects("slice(0, 5)", ("[N, 4]",), "NS402"),
        Rejects("slice(-5)", ("[N, 4]",), "NS402"),
        Rejects("slice(3, 3)", ("[N, 4]",), "NS402"),
        Rejects("slice(0, 12)", ("[N, T]",), "NS402"),
        Rejects("slice(step = 0)", ("[N, 4]",), "NS310"),
        Rejects("slice(1, axis = 2)", ("[N, 4]",), "NS406"),
    )

    start: SizeField = 0
    stop: SizeField | None = None
    step: Annotated[int, Field(gt=0)] = 1
    axis: int = 1

    def _first(self, whole: Size) -> Size:
        return whole + self.start if isinstance(self.start, int) and self.start < 0 else self.start

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """`ceil((stop - start) / step)` along the axis."""
        axis = axis_of(self.axis, inputs[0].rank)
        whole = inputs[0].shape[axis]
        first = self._first(whole)
        stop = whole if self.stop is None else whole + self.stop if isinstance(self.stop, int) and self.stop < 0 else self.stop
        need.at_least(first, 0, f"`slice` begins before axis {axis}")
        need.at_least(whole, stop, f"`slice` reaches past the end of axis {axis}")
        need.at_least(stop, first + 1, f"`slice` keeps nothing of axis {axis}")
        return _resized(inputs[0], axis, ceil_div(stop - first, self.step))

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """Position o sees `start + o * step`."""
        axis = axis_of(self.axis, inputs[0].rank)
        return (_stretch(inputs[0].rank, axis, self._first(inputs[0].shape[axis]), self.step),)

    def torch(self, site: Site) -> Torch:
        """`x[:, 1:3]`."""
        axis = axis_of(self.axis, site.input.rank)
        start: Any = None if isinstance(self.start, int) and self.start == 0 else self.start
        cut = slice(start, self.stop, None if self.step == 1 else self.step)
        return Torch(forward=Item(In(), (slice(None),) * axis + (cut,)))

    def onnx(self, site: Site) -> OnnxTerm:
        """Slice."""
        axis = axis_of(self.axis, site.input.rank)
        return sliced(In(), (axis,), (self.start,), (END if self.stop is None else self.stop,), (self.step,))


@final
class Select(Operator):
    """One element of an axis, which disappears: `x -> select(0)` of `[N, T, D]` is the first token, `[N, D]`.

    index: which one; negative counts from the end. May be an open size.
    axis: the axis, by default 1.

    PyTorch: `x[:, index]`. ONNX: Gather.
    """

    NAME: ClassVar[str] = "select"
    FAMILY: ClassVar[str] = "reshape"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("select(0)", ("[N, T, 8]",), "[N, 8]", torch="x[:, 0]"),
        Accepts("select(-1, axis = 2)", ("[N, 3, H, W]",), "[N, 3, W]", torch="x[:, :, -1]"),
        Accepts("select(T // 2)", ("[N, T, 8]",), "[N, 8]"),
        Rejects("select(4)", ("[N, 4]",), "NS402"),
        Rejects("select(-5)", ("[N, 4]",), "NS402"),
        Rejects("select(0, axis = 2)", ("[N, 4]",), "NS406"),
    )

    index: SizeField
    axis: int = 1

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """One axis less."""
        axis = axis_of(self.axis, inputs[0].rank)
        whole = inputs[0].shape[axis]
        least = -self.index if isinstance(self.index, int) and self.index < 0 else self.index + 1
        need.at_least(whole, least, f"axis {axis} has no element {self.index}")
        if not isinstance(self.index, int):
            need.at_least(self.index, 0, f"axis {axis} has no element {self.index}")
        return inputs[0].with_shape((*inputs[0].shape[:axis], *inputs[0].shape[axis + 1 :]))

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """The same position along the axes that stay, the picked one along the axis that goes."""
        axis = axis_of(self.axis, inputs[0].rank)
        before = isinstance(self.index, int) and self.index < 0
        index = inputs[0].shape[axis] + self.index if before else self.index
        picked = ((0, axis, index),) if isinstance(index, int) else ()
        return (Reach((tuple(Same(a + (a >= axis)) for a in range(outputs[0].rank)),), picked),)

    def torch(self, site: Site) -> Torch:
        """`x[:, 0]`."""
        axis = axis_of(self.axis, site.input.rank)
        return Torch(forward=Item(In(), (slice(None),) * axis + (self.index,)))

    def onnx(self, site: Site) -> OnnxTerm:
        """Gather by one index."""
        index = scalar(self.index, "int64") if isinstance(self.index, int) else SizeScalar(self.index)
        return op("Gather", In(), index, axis=axis_of(self.axis, site.input.rank))
