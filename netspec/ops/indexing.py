"""Elements by where they stand: shifted around, summed up to, or picked by numbers that a tensor holds."""

from typing import ClassVar, final

from netspec.op import Accepts, Needs, Operator, Reject, Rejects, Site
from netspec.ops._axes import axes_of, axis_of
from netspec.ops._elements import converted
from netspec.ops._inputs import FLOATS, require_integers, require_rank
from netspec.ops._layout import END, sliced
from netspec.reach import All, AxisReach, Causal, Reach, Same, Shift
from netspec.sizes.dim import Size, SizeField
from netspec.sizes.tensor import TensorType
from netspec.terms import In, Method, OnnxTerm, Torch, TorchTerm, call, op, scalar


@final
class Roll(Operator):
    """Moves everything along an axis by `shifts` positions; what leaves at one end comes in at the other.

    Any input; the output has its shape. A shift may be longer than its axis.

    shifts: how far, towards the end where it is positive: a number, an open size, or one for each axis.
    axis: the axis, or several.

    PyTorch: `torch.roll`. ONNX: two Slices and a Concat for each axis.
    """

    NAME: ClassVar[str] = "roll"
    FAMILY: ClassVar[str] = "reshape"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("roll(1)", ("[N, T]",), "[N, T]", torch="torch.roll(x, 1, -1)"),
        Accepts("roll((-3, -3), (1, 2))", ("[N, H, W, 4]",), "[N, H, W, 4]", torch="torch.roll(x, (-3, -3), (1, 2))"),
        Accepts("roll(12, axis = 2)", ("[N, 2, L = 5]",), "[N, 2, L]"),
        Accepts("roll(T // 2)", ("int64 [N, T]",), "int64 [N, T]"),
        Accepts("roll(4, axis = 1)", ("[N, 4]",), "[N, 4]"),
        Rejects("roll(1, axis = 2)", ("[N, T]",), "NS406"),
        Rejects("roll((1, 2), axis = 1)", ("[N, T]",), "NS310"),
        Rejects("roll((1, 2), axis = (1, 1))", ("[N, T]",), "NS406"),
    )

    shifts: SizeField | tuple[SizeField, ...]
    axis: int | tuple[int, ...] = -1

    def _moves(self, rank: int) -> dict[int, Size]:
        """How far each axis is moved. Rejects (NS310) numbers of shifts and axes that differ."""
        axes = axes_of(self.axis, rank)
        shifts = self.shifts if isinstance(self.shifts, tuple) else (self.shifts,)
        if len(shifts) != len(axes):
            raise Reject("NS310", f"{len(shifts)} shifts for {len(axes)} axes", argument="shifts", help="one shift for each axis")
        return dict(zip(axes, shifts))

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """As it is."""
        self._moves(inputs[0].rank)
        return inputs[0]

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """Position o sees `o - shift`, around the end."""
        moves = self._moves(inputs[0].rank)
        return (Reach((tuple(_moved(a, moves.get(a, 0)) for a in range(inputs[0].rank)),)),)

    def torch(self, site: Site) -> Torch:
        """`torch.roll(x, 1, -1)`."""
        return Torch(forward=call("torch.roll", In(), self.shifts, self.axis))

    def onnx(self, site: Site) -> OnnxTerm:
        """The end of each axis, then its beginning."""
        x: OnnxTerm = In()
        for axis, shift in self._moves(site.input.rank).items():
            first = (-shift) % site.input.shape[axis]
            if not (isinstance(first, int) and first == 0):
                x = op("Concat", sliced(x, (axis,), (first,), (END,)), sliced(x, (axis,), (0,), (first,)), axis=axis)
        return x


def _moved(axis: int, shift: Size) -> AxisReach:
    if not isinstance(shift, int):
        return All(axis)
    return Shift(axis, -shift, mode="circular") if shift else Same(axis)


@final
class CumSum(Operator):
    """The sum of everything up to each position of an axis, itself included. Integers and truth values add up to int64.

    Any input with that axis; the output has its shape.

    axis: along which to sum.

    PyTorch: `torch.cumsum`. ONNX: CumSum.
    """

    NAME: ClassVar[str] = "cumsum"
    FAMILY: ClassVar[str] = "activation"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("cumsum", ("[N, T]",), "[N, T]", torch="x.cumsum(-1)"),
        Accepts("cumsum(1)", ("[N, C, H, W]",), "[N, C, H, W]", torch="x.cumsum(1)"),
        Accepts("cumsum", ("bool [N, T]",), "int64 [N, T]"),
        Accepts("cumsum(0)", ("int32 [T]",), "int64 [T]"),
        Rejects("cumsum(2)", ("[N, T]",), "NS406"),
    )

    axis: int = -1

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The same shape."""
        axis_of(self.axis, inputs[0].rank)
        return inputs[0] if inputs[0].dtype in FLOATS else TensorType(inputs[0].shape, "int64")

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """What stands before, and the position itself."""
        axis = axis_of(self.axis, inputs[0].rank)
        return (Reach((tuple(Causal(a) if a == axis else Same(a) for a in range(inputs[0].rank)),)),)

    def torch(self, site: Site) -> Torch:
        """`x.cumsum(-1)`."""
        return Torch(forward=Method(In(), "cumsum", (self.axis,)))

    def onnx(self, site: Site) -> OnnxTerm:
        """CumSum, after a Cast of what is no int64 yet."""
        return op("CumSum", converted(In(), site.input.dtype, site.output.dtype), scalar(axis_of(self.axis, site.input.rank), "int64"))


def _long(dtype: str, index: int) -> TorchTerm:
    return In(index) if dtype == "int64" else Method(In(index), "long")


@final
class Gather(Operator):
    """Picks along one axis, for every position by itself: `y[i, j] = x[i, index[i, j]]` for `axis = 1`.

    Inputs `(x, index)` of as many axes, output of the index's shape. Along every other axis the index is at most as long
    as x. The index is of int64 or int32, and at least 0; one past the end is an error when the network runs.

    axis: along which is picked.

    PyTorch: `torch.gather`. ONNX: GatherElements.
    """

    NAME: ClassVar[str] = "gather"
    FAMILY: ClassVar[str] = "reshape"
    ARITY: ClassVar[int | tuple[int, int | None]] = 2
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("gather", ("[N, T = 12]", "int64 [N, 3]"), "[N, 3]", torch="torch.gather(x, 1, index)"),
        Accepts("gather(-1)", ("[N, C, 10]", "int64 [N, 2, L]"), "[N, 2, L]", torch="torch.gather(x, -1, index)"),
        Accepts("gather(1)", ("int64 [N, T = 12, 4]", "int32 [N, S = 5, 4]"), "int64 [N, S, 4]"),
        Rejects("gather", ("[N, T]", "int64 [T]"), "NS401"),
        Rejects("gather", ("[N, T]", "[N, T]"), "NS403"),
        Rejects("gather(1)", ("[2, 10, 4]", "int64 [2, 3, 5]"), "NS402"),
        Rejects("gather(2)", ("[N, T]", "int64 [N, T]"), "NS406"),
    )

    axis: int = 1

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """That of the index."""
        x, index = inputs
        _require_indices(self.NAME, index)
        require_rank(self.NAME, index, x.rank, x.rank, input=1)
        axis = axis_of(self.axis, x.rank)
        for other, (whole, part) in enumerate(zip(x.shape, index.shape)):
            if other != axis:
                need.at_least(whole, part, f"the index is longer than axis {other}")
        return x.with_shape(index.shape)

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """Anything along the axis, the same position along the others."""
        axis, rank = axis_of(self.axis, inputs[0].rank), inputs[0].rank
        return (Reach((tuple(All(a) if a == axis else Same(a) for a in range(rank)), tuple(Same(a) for a in range(rank)))),)

    def torch(self, site: Site) -> Torch:
        """`torch.gather(x, 1, index)`."""
        return Torch(forward=call("torch.gather", In(), self.axis, _long(site.inputs[1].dtype, 1)))

    def onnx(self, site: Site) -> OnnxTerm:
        """GatherElements."""
        return op("GatherElements", In(0), In(1), axis=axis_of(self.axis, site.input.rank))


@final
class IndexSelect(Operator):
    """Picks whole slices along one axis, in the order that the index says: `y[:, j] = x[:, index[j]]` for `axis = 1`.

    Inputs `(x, index)`, the index of one axis, of int64 or int32, at least 0; one past the end is an error when the network
    runs. So a table of relative positions is read: `(table, places) -> index_select(0)`.

    axis: along which is picked.

    PyTorch: `torch.index_select`. ONNX: Gather.
    """

    NAME: ClassVar[str] = "index_select"
    FAMILY: ClassVar[str] = "reshape"
    ARITY: ClassVar[int | tuple[int, int | None]] = 2
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("index_select(0)", ("[13, 4]", "int64 [L = 6]"), "[L, 4]", torch="x.index_select(0, index)"),
        Accepts("index_select(2)", ("[N, 3, T = 12]", "int32 [5]"), "[N, 3, 5]"),
        Rejects("index_select(1)", ("[N, T]", "int64 [N, T]"), "NS401"),
        Rejects("index_select(1)", ("[N, T]", "[T]"), "NS403"),
        Rejects("index_select(2)", ("[N, T]", "int64 [T]"), "NS406"),
    )

    axis: int

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The axis gets the index's length."""
        x, index = inputs
        _require_indices(self.NAME, index)
        require_rank(self.NAME, index, 1, 1, input=1)
        axis = axis_of(self.axis, x.rank)
        return x.with_shape((*x.shape[:axis], index.shape[0], *x.shape[axis + 1 :]))

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """Anything along the axis, the same position along the others."""
        axis, rank = axis_of(self.axis, inputs[0].rank), inputs[0].rank
        index = tuple(Same(0) if a == axis else None for a in range(rank))
        return (Reach((tuple(All(a) if a == axis else Same(a) for a in range(rank)), index)),)

    def torch(self, site: Site) -> Torch:
        """`x.index_select(0, index)`."""
        return Torch(forward=Method(In(), "index_select", (self.axis, In(1))))

    def onnx(self, site: Site) -> OnnxTerm:
        """Gather."""
        return op("Gather", In(0), In(1), axis=axis_of(self.axis, site.input.rank))


def _require_indices(operator: str, index: TensorType) -> None:
    """Rejects (NS403) a second input that holds no indices."""
    try:
        require_integers(operator, index)
    except Reject as reject:
        reject.input = 1
        raise
