"""How numbers are spread along axes, how long vectors are, and whether some or all truth values hold."""

from typing import ClassVar, final

from pydantic import Field

from netspec.op import Accepts, Limitation, Needs, Operator, Reject, Rejects, Site
from netspec.ops._arguments import changed
from netspec.ops._axes import axes_of
from netspec.ops._elements import cast
from netspec.ops._inputs import require_floats
from netspec.ops._reduction import Reduction, node, reduced, reduced_reach
from netspec.reach import All, Reach, Same
from netspec.sizes.dim import Size, product
from netspec.sizes.tensor import TensorType
from netspec.terms import In, Method, OnnxTerm, SizeScalar, Torch, call, op, scalar

INFINITY = float("inf")


class _Spread(Reduction):
    """The mean square of the differences from the mean."""

    correction: int = Field(1, ge=0, description="what is taken off the number of elements: 1 for a sample, 0 for all there is")

    def _count(self, tensor: TensorType) -> Size:
        return product(tensor.shape[a] for a in self.axes(tensor.rank))

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The reduced axes go, or stay with size 1."""
        output = super().shape(inputs, need)
        need.at_least(self._count(inputs[0]), self.correction + 1, f"`{self.NAME}` has too few elements for its correction")
        return output

    def torch(self, site: Site) -> Torch:
        """`x.var(1)`."""
        named = changed(self, "correction", "keepdim")
        axes = () if self.axis is None and not named else (self.axis,)
        return Torch(forward=Method(In(), self.NAME, axes, tuple(named.items())))

    def _variance(self, site: Site) -> OnnxTerm:
        axes, dtype = self.axes(site.input.rank), site.input.dtype
        apart = op("Sub", In(), node("ReduceMean", In(), axes, True, site.opset))
        squares = node("ReduceSum", op("Mul", apart, apart), axes, self.keepdim, site.opset)
        count = self._count(site.input) - self.correction
        return op("Div", squares, scalar(float(count), dtype) if isinstance(count, int) else SizeScalar(count, dtype))


@final
class Var(_Spread):
    """The variance along axes: the sum of the squared differences from the mean, over the number of elements less `correction`.

    axis: an axis, several, or none for all of them (the batch too).
    keepdim: whether a reduced axis stays, with size 1.
    correction: 1 as in torch, for the variance of what a sample was taken from; 0 for that of the elements themselves, as in norms.

    PyTorch: `x.var(axis, correction=…)`. ONNX: ReduceMean, Sub, Mul, ReduceSum, Div.
    """

    NAME: ClassVar[str] = "var"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("var(1)", ("[N, C, H, W]",), "[N, H, W]", torch="x.var(1)"),
        Accepts("var((2, 3), keepdim = true, correction = 0)", ("[N, C, H, W]",), "[N, C, 1, 1]"),
        Accepts("var", ("[N, 4]",), "[]", torch="x.var()"),
        Rejects("var(1)", ("[N, 1]",), "NS402"),
        Rejects("var(1)", ("int64 [N, 4]",), "NS403"),
        Rejects("var(2)", ("[N, 4]",), "NS406"),
        Rejects("var(1, correction = -1)", ("[N, 4]",), "NS310"),
    )

    def onnx(self, site: Site) -> OnnxTerm:
        """The mean square of what is left of the mean."""
        return self._variance(site)


@final
class Std(_Spread):
    """The standard deviation along axes: the square root of `var`, whose page has the arguments.

    PyTorch: `x.std(axis, correction=…)`. ONNX: as `var`, and Sqrt.
    """

    NAME: ClassVar[str] = "std"
    LIMITATIONS: ClassVar[tuple[Limitation, ...]] = (
        Limitation("onnx", "differences from the mean above 1e19", "their squares exceed float32, in which onnxruntime computes"),
    )
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("std(0, correction = 0)", ("[N, C, H, W]",), "[C, H, W]", torch="x.std(0, correction=0)"),
        Accepts("std(-1, keepdim = true)", ("[N, T, D]",), "[N, T, 1]"),
        Accepts("std(keepdim = true)", ("[N, 4]",), "[1, 1]"),
        Rejects("std(1)", ("[N, 1]",), "NS402"),
        Rejects("std(1)", ("bool [N, 4]",), "NS403"),
    )

    def onnx(self, site: Site) -> OnnxTerm:
        """The square root of the variance."""
        return op("Sqrt", self._variance(site))


def _length(x: OnnxTerm, p: float, axes: tuple[int, ...], keepdim: bool, site: Site) -> OnnxTerm:
    """The p-norm along axes. The largest of numbers among which is NaN is NaN, wherever it stands: see `max`."""
    if p in (1, 2):
        return node(f"ReduceL{int(p)}", x, axes, keepdim, site.opset)
    dtype, size = site.input.dtype, op("Abs", x)
    if p == INFINITY:
        undefined = op("Where", op("IsNaN", x), x, scalar(0.0, dtype))
        largest = node("ReduceMax", size, axes, keepdim, site.opset)
        return op("Add", largest, node("ReduceSum", undefined, axes, keepdim, site.opset))
    powers = node("ReduceSum", op("Pow", size, scalar(float(p), dtype)), axes, keepdim, site.opset)
    return op("Pow", powers, scalar(1 / p, dtype))


@final
class VectorNorm(Operator):
    """How long a vector is, along axes: `sum(|x| ^ p) ^ (1 / p)`; of p = inf the largest absolute value.

    p: which norm: 2 is Euclid's, 1 the sum of absolute values; above 0.
    axis, keepdim: as in `mean`.

    PyTorch: `torch.linalg.vector_norm`. ONNX: ReduceL2, ReduceL1, or Abs, Pow and ReduceSum.
    """

    NAME: ClassVar[str] = "vector_norm"
    FAMILY: ClassVar[str] = "pool"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("vector_norm(axis = 1)", ("[N, C, H, W]",), "[N, H, W]", torch="torch.linalg.vector_norm(x, dim=1)"),
        Accepts("vector_norm(1, axis = (2, 3), keepdim = true)", ("[N, C, H, W]",), "[N, C, 1, 1]"),
        Accepts("vector_norm(inf, axis = -1)", ("[N, T, D]",), "[N, T]"),
        Accepts("vector_norm(3)", ("[N, 4]",), "[]"),
        Rejects("vector_norm(0)", ("[N, 4]",), "NS310"),
        Rejects("vector_norm(axis = 2)", ("[N, 4]",), "NS406"),
        Rejects("vector_norm", ("int64 [N, 4]",), "NS403"),
    )

    p: float = Field(2.0, gt=0, description="which norm")
    axis: int | tuple[int, ...] | None = None
    keepdim: bool = False

    def _axes(self, rank: int) -> tuple[int, ...]:
        return tuple(range(rank)) if self.axis is None else tuple(sorted(axes_of(self.axis, rank)))

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The reduced axes go, or stay with size 1."""
        require_floats(self.NAME, inputs[0])
        return reduced(inputs[0], self._axes(inputs[0].rank), self.keepdim)

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """Everything along the reduced axes."""
        return (reduced_reach(inputs[0].rank, self._axes(inputs[0].rank), self.keepdim),)

    def torch(self, site: Site) -> Torch:
        """`torch.linalg.vector_norm(x, dim=1)`."""
        return Torch(forward=call("torch.linalg.vector_norm", In(), **changed(self, "keepdim", ord="p", dim="axis")))

    def onnx(self, site: Site) -> OnnxTerm:
        """One reduction, or three nodes."""
        return _length(In(), self.p, self._axes(site.input.rank), self.keepdim, site)


@final
class Normalize(Operator):
    """Vectors of length 1: everything along an axis is divided by its p-norm, or by `eps` where that is smaller.

    Any input of floats; the output has its shape.

    p: which norm, as in `vector_norm`.
    axis: along which axis the vectors lie.
    eps: the least divisor.

    PyTorch: `F.normalize`. ONNX: the norm, Max, Div (LpNormalization gives NaN for zeros).
    """

    NAME: ClassVar[str] = "normalize"
    FAMILY: ClassVar[str] = "norm"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("normalize", ("[N, C, H, W]",), "[N, C, H, W]", torch="F.normalize(x)"),
        Accepts("normalize(axis = -1)", ("[N, T, D]",), "[N, T, D]"),
        Accepts("normalize(1, axis = 2, eps = 0.5)", ("[N, 3, L]",), "[N, 3, L]"),
        Accepts("normalize(inf)", ("[N, 4]",), "[N, 4]"),
        Rejects("normalize(axis = 2)", ("[N, 4]",), "NS406"),
        Rejects("normalize", ("int64 [N, 4]",), "NS403"),
        Rejects("normalize(0)", ("[N, 4]",), "NS310"),
    )

    p: float = Field(2.0, gt=0, description="which norm")
    axis: int = 1
    eps: float = Field(1e-12, ge=0, description="the least divisor")

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """As it is."""
        require_floats(self.NAME, inputs[0])
        axes_of(self.axis, inputs[0].rank)
        return inputs[0]

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """Everything along the axis."""
        rank = inputs[0].rank
        (axis,) = axes_of(self.axis, rank)
        return (Reach((tuple(All(a) if a == axis else Same(a) for a in range(rank)),)),)

    def torch(self, site: Site) -> Torch:
        """`F.normalize(x)`."""
        return Torch(forward=call("F.normalize", In(), **changed(self, "p", "eps", dim="axis")))

    def onnx(self, site: Site) -> OnnxTerm:
        """The quotient by the norm, which is not below eps."""
        length = _length(In(), self.p, axes_of(self.axis, site.input.rank), True, site)
        return op("Div", In(), op("Max", length, scalar(self.eps, site.input.dtype)))


class _Truth(Reduction):
    """Truth values along axes, as one."""

    def check(self, tensor: TensorType) -> TensorType:
        """Truth values; all else is rejected."""
        if tensor.dtype != "bool":
            raise Reject("NS403", f"`{self.NAME}` takes truth values, not {tensor.dtype}", input=0, help="compare first: not_equal(0)")
        return tensor

    def torch(self, site: Site) -> Torch:
        """`x.any(1)`."""
        return self.method(self.NAME, site.input.rank, self.keepdim)

    def onnx(self, site: Site) -> OnnxTerm:
        """The largest or the smallest of 0 and 1."""
        return cast(node(self.ONNX, cast(In(), "int32"), self.axes(site.input.rank), self.keepdim, site.opset), "bool")


@final
class AnyOf(_Truth):
    """Whether any truth value along axes is true. axis, keepdim: as in `mean`. PyTorch: `x.any(axis)`. ONNX: ReduceMax."""

    NAME: ClassVar[str] = "any"
    ONNX: ClassVar[str] = "ReduceMax"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("any(1)", ("bool [N, T]",), "bool [N]", torch="x.any(1)"),
        Accepts("any((1, 2), keepdim = true)", ("bool [N, T, 3]",), "bool [N, 1, 1]"),
        Accepts("any", ("bool [N, T]",), "bool []"),
        Rejects("any(1)", ("[N, T]",), "NS403"),
    )


@final
class AllOf(_Truth):
    """Whether all truth values along axes are true. axis, keepdim: as in `mean`. PyTorch: `x.all(axis)`. ONNX: ReduceMin."""

    NAME: ClassVar[str] = "all"
    ONNX: ClassVar[str] = "ReduceMin"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("all(1)", ("bool [N, T]",), "bool [N]", torch="x.all(1)"),
        Accepts("all(keepdim = true)", ("bool [N, T]",), "bool [1, 1]"),
        Rejects("all(1)", ("int64 [N, T]",), "NS403"),
    )
