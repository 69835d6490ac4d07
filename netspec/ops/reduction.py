"""Many elements to one, along some axes or all."""

from typing import ClassVar, final

from netspec.op import Accepts, Needs, Operator, Rejects, Site
from netspec.ops._axes import axes_of, axis_of
from netspec.ops._elements import cast, converted, refuse_bool
from netspec.ops._inputs import FLOATS, require_floats
from netspec.ops._layout import reshaped
from netspec.reach import All, AxisReach, Reach, Same
from netspec.sizes.tensor import TensorType
from netspec.terms import In, Method, OnnxTerm, Op, Torch, TorchTerm, call, op, scalar, vector


def _reduced(tensor: TensorType, axes: tuple[int, ...], keepdim: bool) -> TensorType:
    """The tensor's type without these axes, or with 1 in their places."""
    if keepdim:
        return tensor.with_shape(tuple(1 if a in axes else s for a, s in enumerate(tensor.shape)))
    return tensor.with_shape(tuple(s for a, s in enumerate(tensor.shape) if a not in axes))


def _reduced_reach(rank: int, axes: tuple[int, ...], keepdim: bool) -> Reach:
    """Axes that stay see themselves, the others are seen whole."""
    looks: list[AxisReach] = [All(a) if a in axes else Same(a) for a in range(rank) if keepdim or a not in axes]
    return Reach((tuple(looks),))


def _node(op_type: str, x: OnnxTerm, axes: tuple[int, ...], keepdim: bool, opset: int) -> Op:
    """An ONNX reduction. Its axes became an input with opset 18 (for ReduceSum, with 13)."""
    keepdims = int(keepdim)
    if opset < 18 and op_type != "ReduceSum":
        return op(op_type, x, axes=axes or None, keepdims=keepdims)
    return op(op_type, x, vector(axes), keepdims=keepdims)


class _Reduction(Operator):
    """Reduces the axes named, or all."""

    FAMILY: ClassVar[str] = "pool"
    ONNX: ClassVar[str]

    axis: int | tuple[int, ...] | None = None
    keepdim: bool = False

    def _axes(self, rank: int) -> tuple[int, ...]:
        return tuple(range(rank)) if self.axis is None else tuple(sorted(axes_of(self.axis, rank)))

    def _check(self, tensor: TensorType) -> TensorType:
        """The tensor in the element type of the result; rejects one that this operator does not take."""
        require_floats(self.NAME, tensor)
        return tensor

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The reduced axes go, or stay with size 1."""
        return _reduced(self._check(inputs[0]), self._axes(inputs[0].rank), self.keepdim)

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """Everything along the reduced axes."""
        return (_reduced_reach(inputs[0].rank, self._axes(inputs[0].rank), self.keepdim),)

    def _torch(self, name: str, rank: int, always: bool = False) -> Torch:
        """`x.mean((2, 3), keepdim=True)`; the axes are written out where they are given, or `always`."""
        axes = self._axes(rank) if self.axis is None else self.axis
        given = () if self.axis is None and not always else (axes,)
        return Torch(forward=Method(In(), name, given, (("keepdim", True),) if self.keepdim else ()))

    def onnx(self, site: Site) -> OnnxTerm:
        """One reduction, after a Cast where the sum of small integers is a larger one."""
        x = converted(In(), site.input.dtype, site.output.dtype)
        return _node(self.ONNX, x, self._axes(site.input.rank), self.keepdim, site.opset)


@final
class Mean(_Reduction):
    """The arithmetic mean along axes: `mean((2, 3))` of `[N, C, H, W]` is global average pooling to `[N, C]`.

    axis: an axis, several, or none for all of them (the batch too).
    keepdim: whether a reduced axis stays, with size 1.

    PyTorch: `x.mean(axis, keepdim)`. ONNX: ReduceMean.
    """

    NAME: ClassVar[str] = "mean"
    ONNX: ClassVar[str] = "ReduceMean"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("mean((2, 3))", ("[N, C, H, W]",), "[N, C]", torch="x.mean((2, 3))"),
        Accepts("mean(-1, keepdim = true)", ("[N, T, D]",), "[N, T, 1]", torch="x.mean(-1, keepdim=True)"),
        Accepts("mean", ("[N, C, L]",), "[]", torch="x.mean()"),
        Accepts("mean(keepdim = true)", ("[N, 4]",), "[1, 1]"),
        Rejects("mean(4)", ("[N, C, H, W]",), "NS406"),
        Rejects("mean((1, -1))", ("[N, C]",), "NS406"),
        Rejects("mean(1)", ("int64 [N, 4]",), "NS403"),
    )

    def torch(self, site: Site) -> Torch:
        """`x.mean(1)`."""
        return self._torch("mean", site.input.rank, self.keepdim)


@final
class Sum(_Reduction):
    """The sum along axes. Integers and truth values add up to int64.

    axis, keepdim: as in `mean`.

    PyTorch: `x.sum(axis, keepdim)`. ONNX: ReduceSum.
    """

    NAME: ClassVar[str] = "sum"
    ONNX: ClassVar[str] = "ReduceSum"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("sum(1)", ("[N, C, H, W]",), "[N, H, W]", torch="x.sum(1)"),
        Accepts("sum(1, keepdim = true)", ("bool [N, T]",), "int64 [N, 1]"),
        Accepts("sum", ("int32 [N, 4]",), "int64 []", torch="x.sum()"),
        Rejects("sum(2)", ("[N, C]",), "NS406"),
    )

    def _check(self, tensor: TensorType) -> TensorType:
        return tensor if tensor.dtype in FLOATS else TensorType(tensor.shape, "int64")

    def torch(self, site: Site) -> Torch:
        """`x.sum(1)`."""
        return self._torch("sum", site.input.rank, self.keepdim)


class _Extremum(_Reduction):
    """The largest or smallest element; NaN wins."""

    def _check(self, tensor: TensorType) -> TensorType:
        refuse_bool(tensor, self.NAME)
        return tensor

    def torch(self, site: Site) -> Torch:
        """`x.amax(1)`."""
        return self._torch("a" + self.NAME, site.input.rank)

    def onnx(self, site: Site) -> OnnxTerm:
        """The reduction, and to it the sum of all NaN: onnxruntime's own result depends on where a NaN stands."""
        axes = self._axes(site.input.rank)
        found = _node(self.ONNX, In(), axes, self.keepdim, site.opset)
        if site.input.dtype not in FLOATS:
            return found
        undefined = op("Where", op("IsNaN", In()), In(), scalar(0.0, site.input.dtype))
        return op("Add", found, _node("ReduceSum", undefined, axes, self.keepdim, site.opset))


@final
class Max(_Extremum):
    """The largest element along axes; NaN where there is one. For two tensors see `maximum`.

    axis, keepdim: as in `mean`.

    PyTorch: `x.amax(axis, keepdim)`, which hands its gradient to equal elements in equal parts. ONNX: ReduceMax, plus the
    sum of what is NaN.
    """

    NAME: ClassVar[str] = "max"
    ONNX: ClassVar[str] = "ReduceMax"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("max(2)", ("[N, C, L]",), "[N, C]", torch="x.amax(2)"),
        Accepts("max((-2, -1), keepdim = true)", ("[N, C, H, W]",), "[N, C, 1, 1]"),
        Accepts("max", ("int64 [N, 4]",), "int64 []"),
        Rejects("max(3)", ("[N, C, L]",), "NS406"),
        Rejects("max", ("bool [N, 4]",), "NS403"),
    )


@final
class Min(_Extremum):
    """The smallest element along axes; NaN where there is one. For two tensors see `minimum`.

    axis, keepdim: as in `mean`.

    PyTorch: `x.amin(axis, keepdim)`, which hands its gradient to equal elements in equal parts. ONNX: ReduceMin, plus the
    sum of what is NaN.
    """

    NAME: ClassVar[str] = "min"
    ONNX: ClassVar[str] = "ReduceMin"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("min(2)", ("[N, C, L]",), "[N, C]", torch="x.amin(2)"),
        Accepts("min(1, keepdim = true)", ("int64 [N, 4]",), "int64 [N, 1]"),
        Rejects("min(3)", ("[N, C, L]",), "NS406"),
        Rejects("min", ("bool [N, 4]",), "NS403"),
    )


@final
class Prod(_Reduction):
    """The product along axes. Integers and truth values multiply to int64.

    axis, keepdim: as in `mean`.

    PyTorch: `x.prod(axis, keepdim)`, one axis after the other. ONNX: ReduceProd.
    """

    NAME: ClassVar[str] = "prod"
    ONNX: ClassVar[str] = "ReduceProd"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("prod(1)", ("[N, C, L]",), "[N, L]", torch="x.prod(1)"),
        Accepts("prod((0, 2), keepdim = true)", ("[N, 3, L]",), "[1, 3, 1]"),
        Accepts("prod", ("int64 [N, 2]",), "int64 []", torch="x.prod()"),
        Rejects("prod(3)", ("[N, C, L]",), "NS406"),
    )

    def _check(self, tensor: TensorType) -> TensorType:
        return tensor if tensor.dtype in FLOATS else TensorType(tensor.shape, "int64")

    def torch(self, site: Site) -> Torch:
        """`x.prod(1)`, from the last axis to the first."""
        if self.axis is None and not self.keepdim:
            return Torch(forward=Method(In(), "prod"))
        x: TorchTerm = In()
        for axis in reversed(self._axes(site.input.rank)):
            x = Method(x, "prod", (axis,), (("keepdim", True),) if self.keepdim else ())
        return Torch(forward=x)


@final
class LogSumExp(_Reduction):
    """The logarithm of the sum of the exponentials along axes, without overflow: `max + log(sum(exp(x - max)))`.

    axis, keepdim: as in `mean`.

    PyTorch: `torch.logsumexp`. ONNX: ReduceLogSumExp.
    """

    NAME: ClassVar[str] = "logsumexp"
    ONNX: ClassVar[str] = "ReduceLogSumExp"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("logsumexp(1)", ("[N, C]",), "[N]", torch="x.logsumexp(1)"),
        Accepts("logsumexp((2, 3), keepdim = true)", ("[N, C, H, W]",), "[N, C, 1, 1]"),
        Accepts("logsumexp", ("[N, T]",), "[]"),
        Rejects("logsumexp(2)", ("[N, C]",), "NS406"),
        Rejects("logsumexp(1)", ("int64 [N, 4]",), "NS403"),
    )

    def torch(self, site: Site) -> Torch:
        """`x.logsumexp(1)`."""
        return self._torch("logsumexp", site.input.rank, always=True)


@final
class ArgMax(Operator):
    """Where along an axis the largest element is, the first of equal ones, as int64; a NaN counts as largest.

    axis: the axis; none counts through the whole tensor in row-major order.
    keepdim: whether the axis stays, with size 1.

    PyTorch: `x.argmax(axis, keepdim)`. ONNX: ArgMax; for floats of what is NaN where something is.
    """

    NAME: ClassVar[str] = "argmax"
    FAMILY: ClassVar[str] = "pool"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("argmax(1)", ("[N, C, H, W]",), "int64 [N, H, W]", torch="x.argmax(1)"),
        Accepts("argmax(-1, keepdim = true)", ("[N, T]",), "int64 [N, 1]"),
        Accepts("argmax", ("int64 [N, 4]",), "int64 []", torch="x.argmax()"),
        Accepts("argmax(keepdim = true)", ("[N, 4]",), "int64 [1, 1]"),
        Rejects("argmax(2)", ("[N, C]",), "NS406"),
        Rejects("argmax(1)", ("bool [N, 4]",), "NS403"),
    )

    axis: int | None = None
    keepdim: bool = False

    def _axes(self, rank: int) -> tuple[int, ...]:
        return tuple(range(rank)) if self.axis is None else (axis_of(self.axis, rank),)

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The axis goes, or stays with size 1."""
        refuse_bool(inputs[0], self.NAME)
        return TensorType(_reduced(inputs[0], self._axes(inputs[0].rank), self.keepdim).shape, "int64")

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """Everything along the axis."""
        return (_reduced_reach(inputs[0].rank, self._axes(inputs[0].rank), self.keepdim),)

    def torch(self, site: Site) -> Torch:
        """`x.argmax(1)`."""
        axis = {} if self.axis is None else {"dim": self.axis}
        return Torch(forward=call("torch.argmax", In(), **axis, **({"keepdim": True} if self.keepdim else {})))

    def onnx(self, site: Site) -> OnnxTerm:
        """ArgMax, of the whole flattened where no axis is named."""
        if self.axis is not None:
            return _first_largest(In(), axis_of(self.axis, site.input.rank), self.keepdim, site)
        flat = op("Reshape", In(), vector((-1,)))
        return reshaped(_first_largest(flat, 0, False, site), (), site.output.shape)


def _first_largest(x: OnnxTerm, axis: int, keepdim: bool, site: Site) -> OnnxTerm:
    """ArgMax that takes NaN for the largest, wherever it stands."""
    found = op("ArgMax", x, axis=axis, keepdims=int(keepdim))
    if site.input.dtype not in FLOATS:
        return found
    undefined = cast(op("IsNaN", x), "float32")
    some = cast(_node("ReduceMax", undefined, (axis,), keepdim, site.opset), "bool")
    return op("Where", some, op("ArgMax", undefined, axis=axis, keepdims=int(keepdim)), found)
