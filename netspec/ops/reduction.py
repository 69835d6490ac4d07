"""Many elements to one, along some axes or all."""

from typing import ClassVar, final

from netspec.op import Accepts, Needs, Operator, Rejects, Site
from netspec.ops._axes import axis_of
from netspec.ops._elements import cast, refuse_bool
from netspec.ops._inputs import FLOATS
from netspec.ops._layout import reshaped
from netspec.ops._reduction import Reduction, node, reduced, reduced_reach
from netspec.reach import Reach
from netspec.sizes.tensor import TensorType
from netspec.terms import In, Method, OnnxTerm, Torch, TorchTerm, call, op, scalar, vector


@final
class Mean(Reduction):
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
        return self.method("mean", site.input.rank, self.keepdim)


@final
class Sum(Reduction):
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

    def check(self, tensor: TensorType) -> TensorType:
        return tensor if tensor.dtype in FLOATS else TensorType(tensor.shape, "int64")

    def torch(self, site: Site) -> Torch:
        """`x.sum(1)`."""
        return self.method("sum", site.input.rank, self.keepdim)


class _Extremum(Reduction):
    """The largest or smallest element; NaN wins."""

    def check(self, tensor: TensorType) -> TensorType:
        refuse_bool(tensor, self.NAME)
        return tensor

    def torch(self, site: Site) -> Torch:
        """`x.amax(1)`."""
        return self.method("a" + self.NAME, site.input.rank)

    def onnx(self, site: Site) -> OnnxTerm:
        """The reduction, and to it the sum of all NaN: onnxruntime's own result depends on where a NaN stands."""
        axes = self.axes(site.input.rank)
        found = node(self.ONNX, In(), axes, self.keepdim, site.opset)
        if site.input.dtype not in FLOATS:
            return found
        undefined = op("Where", op("IsNaN", In()), In(), scalar(0.0, site.input.dtype))
        return op("Add", found, node("ReduceSum", undefined, axes, self.keepdim, site.opset))


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
class Prod(Reduction):
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

    def check(self, tensor: TensorType) -> TensorType:
        return tensor if tensor.dtype in FLOATS else TensorType(tensor.shape, "int64")

    def torch(self, site: Site) -> Torch:
        """`x.prod(1)`, from the last axis to the first."""
        if self.axis is None and not self.keepdim:
            return Torch(forward=Method(In(), "prod"))
        x: TorchTerm = In()
        for axis in reversed(self.axes(site.input.rank)):
            x = Method(x, "prod", (axis,), (("keepdim", True),) if self.keepdim else ())
        return Torch(forward=x)


@final
class LogSumExp(Reduction):
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
        return self.method("logsumexp", site.input.rank, always=True)


class _Where(Operator):
    """Where along an axis the extreme element stands."""

    FAMILY: ClassVar[str] = "pool"
    ONNX: ClassVar[str]

    axis: int | None = None
    keepdim: bool = False

    def axes(self, rank: int) -> tuple[int, ...]:
        """The axes that are searched: one, or all."""
        return tuple(range(rank)) if self.axis is None else (axis_of(self.axis, rank),)

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The axis goes, or stays with size 1."""
        refuse_bool(inputs[0], self.NAME)
        return TensorType(reduced(inputs[0], self.axes(inputs[0].rank), self.keepdim).shape, "int64")

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """Everything along the axis."""
        return (reduced_reach(inputs[0].rank, self.axes(inputs[0].rank), self.keepdim),)

    def torch(self, site: Site) -> Torch:
        """`torch.argmax(x, dim=1)`."""
        axis = {} if self.axis is None else {"dim": self.axis}
        return Torch(forward=call(f"torch.{self.NAME}", In(), **axis, **({"keepdim": True} if self.keepdim else {})))

    def onnx(self, site: Site) -> OnnxTerm:
        """ArgMax or ArgMin, of the whole flattened where no axis is named."""
        if self.axis is not None:
            return self._first(In(), axis_of(self.axis, site.input.rank), self.keepdim, site)
        flat = op("Reshape", In(), vector((-1,)))
        return reshaped(self._first(flat, 0, False, site), (), site.output.shape)

    def _first(self, x: OnnxTerm, axis: int, keepdim: bool, site: Site) -> OnnxTerm:
        """The node, and a NaN before everything else, wherever it stands."""
        found = op(self.ONNX, x, axis=axis, keepdims=int(keepdim))
        if site.input.dtype not in FLOATS:
            return found
        undefined = cast(op("IsNaN", x), "float32")
        some = cast(node("ReduceMax", undefined, (axis,), keepdim, site.opset), "bool")
        return op("Where", some, op("ArgMax", undefined, axis=axis, keepdims=int(keepdim)), found)


@final
class ArgMax(_Where):
    """Where along an axis the largest element is, the first of equal ones, as int64; a NaN counts as largest.

    axis: the axis; none counts through the whole tensor in row-major order.
    keepdim: whether the axis stays, with size 1.

    PyTorch: `x.argmax(axis, keepdim)`. ONNX: ArgMax; for floats of what is NaN where something is.
    """

    NAME: ClassVar[str] = "argmax"
    ONNX: ClassVar[str] = "ArgMax"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("argmax(1)", ("[N, C, H, W]",), "int64 [N, H, W]", torch="x.argmax(1)"),
        Accepts("argmax(-1, keepdim = true)", ("[N, T]",), "int64 [N, 1]"),
        Accepts("argmax", ("int64 [N, 4]",), "int64 []", torch="x.argmax()"),
        Accepts("argmax(keepdim = true)", ("[N, 4]",), "int64 [1, 1]"),
        Rejects("argmax(2)", ("[N, C]",), "NS406"),
        Rejects("argmax(1)", ("bool [N, 4]",), "NS403"),
    )


@final
class ArgMin(_Where):
    """Where along an axis the smallest element is, the first of equal ones, as int64; a NaN counts as smallest.

    axis, keepdim: as in `argmax`.

    PyTorch: `x.argmin(axis, keepdim)`. ONNX: ArgMin; for floats of what is NaN where something is.
    """

    NAME: ClassVar[str] = "argmin"
    ONNX: ClassVar[str] = "ArgMin"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("argmin(1)", ("[N, C, H, W]",), "int64 [N, H, W]", torch="x.argmin(1)"),
        Accepts("argmin(-1, keepdim = true)", ("int64 [N, T]",), "int64 [N, 1]"),
        Accepts("argmin", ("[N, 4]",), "int64 []", torch="x.argmin()"),
        Rejects("argmin(2)", ("[N, C]",), "NS406"),
        Rejects("argmin(1)", ("bool [N, 4]",), "NS403"),
    )
