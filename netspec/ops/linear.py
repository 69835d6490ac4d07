"""Matrix products: the dense layer, the embedding table, and the product of two tensors."""

from typing import ClassVar, final

from pydantic import Field

from netspec.op import Accepts, Needs, Operator, Reject, Rejects, Site, Weight, initializer, torch_default
from netspec.ops._broadcast import broadcast, broadcast_reach
from netspec.ops._inputs import require_floats, require_integers, require_rank
from netspec.reach import All, Reach, Same
from netspec.sizes.dim import Size, product
from netspec.sizes.tensor import TensorType
from netspec.terms import In, Infix, OnnxTerm, Own, Torch, module, op


@final
class Linear(Operator):
    """A dense layer on the last axis: `y = x Wᵀ + b`, the same weights at every position of the other axes.

    Input `[N, …, C]` of any rank from 2, output `[N, …, features]`. `weight` is `[features, C]`, `bias` `[features]`.
    An open size on the last axis (after `flatten`) is fixed by the weights.

    PyTorch: `nn.Linear`. ONNX: `Gemm` with `transB` on two axes; `MatMul` by the transposed weight, and `Add`, on more.
    """

    NAME: ClassVar[str] = "linear"
    ALIASES: ClassVar[tuple[str, ...]] = ("fc",)
    FAMILY: ClassVar[str] = "linear"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("linear(10)", ("[N, 64]",), "[N, 10]", "nn.Linear(64, 10)"),
        Accepts("linear(7, bias = false)", ("[N, T = 5, 12]",), "[N, T, 7]", "nn.Linear(12, 7, bias=False)"),
        Accepts("linear(3)", ("[2, 4, H = 3, 6]",), "[2, 4, H, 3]", "nn.Linear(6, 3)"),
        Accepts("linear(4)", ("[N, 2 * H * W]",), "[N, 4]", "nn.Linear(2 * 9 * 9, 4)"),
        Rejects("linear(0)", ("[N, 64]",), "NS310"),
        Rejects("linear(10)", ("[N]",), "NS401"),
        Rejects("linear(10)", ("int64 [N, 64]",), "NS403"),
    )

    features: int = Field(gt=0, description="size of the last axis of the output")
    bias: bool = Field(True, description="add a learned vector")

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        (x,) = inputs
        require_floats(self.NAME, x)
        require_rank(self.NAME, x, 2)
        return x.with_shape((*x.shape[:-1], self.features))

    def params(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        (x,) = inputs
        fan = x.shape[-1]
        weight = Weight("weight", (self.features, fan), torch_default(fan), fan, self.features, x.dtype)
        bias = Weight("bias", (self.features,), torch_default(fan), dtype=x.dtype, role="bias")
        return (weight, bias) if self.bias else (weight,)

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        last = inputs[0].rank - 1
        return (Reach(((*map(Same, range(last)), All(last)),)),)

    def macs(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> Size:
        """Every output sums one product an input feature."""
        return product(outputs[0].shape) * inputs[0].shape[-1]

    def torch(self, site: Site) -> Torch:
        out, into = site.weight().shape
        return Torch(module("nn.Linear", into, out) if self.bias else module("nn.Linear", into, out, bias=False))

    def onnx(self, site: Site) -> OnnxTerm:
        bias = (Own("bias"),) if self.bias else ()
        if site.input.rank == 2:
            return op("Gemm", In(), Own("weight"), *bias, transB=1)
        result = op("MatMul", In(), op("Transpose", Own("weight"), perm=(1, 0)))
        return op("Add", result, *bias) if bias else result


@final
class Embedding(Operator):
    """Looks up a learned vector for every index: `y[…, :] = weight[x[…]]`.

    Input `[N, …]` of int64 or int32 indices in `0 … count - 1`, output `[N, …, features]`. `weight` is
    `[count, features]`. `padding_idx` names a row that starts at zero and is not trained (the forward pass just reads
    it); it may count from the end.

    PyTorch: `nn.Embedding`. ONNX: `Gather`.
    """

    NAME: ClassVar[str] = "embedding"
    FAMILY: ClassVar[str] = "linear"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("embedding(100, 16)", ("int64 [N, T = 7]",), "[N, T, 16]", "nn.Embedding(100, 16)"),
        Accepts("embedding(10, 4, padding_idx = 0)", ("int64 [N]",), "[N, 4]", "nn.Embedding(10, 4, padding_idx=0)"),
        Accepts("embedding(10, 4, padding_idx = -1)", ("int32 [2, 3, 5]",), "[2, 3, 5, 4]", "nn.Embedding(10, 4, padding_idx=-1)"),
        Rejects("embedding(100, 16)", ("[N, T]",), "NS403"),
        Rejects("embedding(100, 16)", ("int64 []",), "NS401"),
        Rejects("embedding(100, 16, padding_idx = 100)", ("int64 [N, T]",), "NS310"),
        Rejects("embedding(0, 16)", ("int64 [N, T]",), "NS310"),
    )

    count: int = Field(gt=0, description="number of rows, one an index")
    features: int = Field(gt=0, description="length of a row")
    padding_idx: int | None = Field(None, description="the row that stays zero")

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        (x,) = inputs
        require_integers(self.NAME, x)
        require_rank(self.NAME, x, 1)
        if self.padding_idx is not None and not -self.count <= self.padding_idx < self.count:
            raise Reject("NS310", f"there is no row {self.padding_idx} in a table of {self.count}", argument="padding_idx")
        return TensorType((*x.shape, self.features))

    def params(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        row = {} if self.padding_idx is None else {"zero_row": self.padding_idx % self.count}
        return (Weight("weight", (self.count, self.features), initializer("normal", mean=0.0, std=1.0, **row), 1, self.features),)

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        return (Reach(((*map(Same, range(inputs[0].rank)), None),)),)

    def torch(self, site: Site) -> Torch:
        named = {} if self.padding_idx is None else {"padding_idx": self.padding_idx}
        return Torch(module("nn.Embedding", self.count, self.features, **named))

    def onnx(self, site: Site) -> OnnxTerm:
        return op("Gather", Own("weight"), In(), axis=0)


@final
class MatMul(Operator):
    """The matrix product of two tensors on their last two axes, one product for every position of the axes before.

    Inputs `[…, n, k]` and `[…, k, m]` of at least two axes and one element type, output `[…, n, m]`. Axes before the
    last two are aligned from the right; one that is written as 1, or is missing, is repeated. It stores nothing.

    PyTorch: `torch.matmul`. ONNX: `MatMul`.
    """

    NAME: ClassVar[str] = "matmul"
    FAMILY: ClassVar[str] = "linear"
    ARITY: ClassVar[int | tuple[int, int | None]] = 2
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("matmul", ("[N, T = 5, 8]", "[N, 8, S = 6]"), "[N, T, S]", "a @ b"),
        Accepts("matmul", ("[N, 4, T = 5, 8]", "[N, 1, 8, T]"), "[N, 4, T, T]", "a @ b"),
        Accepts("matmul", ("[N, T = 5, 8]", "[8, 3]"), "[N, T, 3]", "a @ b"),
        Rejects("matmul", ("[N, T, 8]", "[N, 9, T]"), "NS412"),
        Rejects("matmul", ("[2, T, 8]", "[3, 8, T]"), "NS411"),
        Rejects("matmul", ("[N, 8]", "[8]"), "NS401"),
        Rejects("matmul", ("[N, 8]", "float64 [8, 8]"), "NS403"),
    )

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        left, right = inputs
        require_floats(self.NAME, left, right)
        for number, x in enumerate(inputs):
            require_rank(self.NAME, x, 2, input=number)
        if left.dtype != right.dtype:
            raise Reject("NS403", f"`matmul` takes one element type, not {left.dtype} and {right.dtype}", input=1)
        need.equal(left.shape[-1], right.shape[-2], "the last axis of the first and the last but one of the second differ")
        batch = broadcast(left.shape[:-2], right.shape[:-2], need, self.NAME)
        return left.with_shape((*batch, left.shape[-2], right.shape[-1]))

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        left, right = inputs
        batch = broadcast_reach(tuple(x.with_shape(x.shape[:-2]) for x in inputs), outputs[0].with_shape(outputs[0].shape[:-2]))
        rows = (*batch.inputs[0], Same(left.rank - 2), All(left.rank - 1))
        columns = (*batch.inputs[1], All(right.rank - 2), Same(right.rank - 1))
        return (Reach((rows, columns)),)

    def macs(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> Size:
        """n · k · m, for every position of the axes before."""
        return product(outputs[0].shape) * inputs[0].shape[-1]

    def torch(self, site: Site) -> Torch:
        return Torch(forward=Infix("@", In(0), In(1)))

    def onnx(self, site: Site) -> OnnxTerm:
        return op("MatMul", In(0), In(1))
