"""Attention: means of values, weighted by how well a query fits each key. With the projections around it, see `multihead`."""

from typing import ClassVar, final

from pydantic import Field

from netspec.op import Accepts, Needs, Operator, Reject, Rejects, Site
from netspec.ops._arguments import changed
from netspec.ops._attention import causally, check_mask, check_one_type, look, masked, shares
from netspec.ops._broadcast import broadcast, broadcast_reach
from netspec.ops._inputs import require_floats, require_rank
from netspec.ops._layout import reshaped, size_vector
from netspec.reach import All, AxisReach, Blocks, Reach, Same
from netspec.sizes.dim import Size, exact_div, product
from netspec.sizes.tensor import TensorType
from netspec.terms import In, OnnxTerm, SizeScalar, Support, Torch, call, module, op, scalar

_WITH_DROPOUT = Support(
    "ScaledDotProduct",
    '''\
class ScaledDotProduct(nn.Module):
    """`F.scaled_dot_product_attention` that drops shares in training."""

    def __init__(self, dropout: float, **settings) -> None:
        super().__init__()
        self.dropout = dropout
        self.settings = settings

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        dropout = self.dropout if self.training else 0.0
        return F.scaled_dot_product_attention(
            query, key, value, mask, dropout, **self.settings
        )
''',
)


@final
class ScaledDotProduct(Operator):
    """For every query the mean of the values, weighted by how well the query fits their keys:
    `softmax(q · kᵀ · scale + mask) · v`, the products of numbers taken over the last axis, the shares over the keys.

    Inputs `(q, k, v)`: queries `[…, L, E]`, keys `[…, S, E]`, values `[…, S, F]`, output `[…, L, F]`. The axes before are
    positions, each by itself (batch, heads); they are aligned from the right, and one written as 1, or missing, is repeated.

    causal: query number i sees the keys 0 to i alone (and no mask may be given).
    scale: what the products are multiplied with; none is `1 / sqrt(E)`.
    enable_gqa: queries have more heads (axis -3) than keys and values, a whole number of times: each head of those serves
        as many neighbouring heads of queries (Ainslie et al., "GQA", arXiv:2305.13245).
    dropout: the probability that a share is dropped, in training.
    mask: a tensor that fits to `[…, L, S]`, of bool (true: this query may see this key) or of numbers, which are added to
        the scaled products. A query that may see no key gives 0.

    PyTorch: `F.scaled_dot_product_attention`. ONNX: MatMul, Softmax, MatMul.
    Vaswani et al., "Attention Is All You Need", arXiv:1706.03762, equation 1.
    """

    NAME: ClassVar[str] = "scaled_dot_product"
    FAMILY: ClassVar[str] = "attention"
    ARITY: ClassVar[int | tuple[int, int | None]] = 3
    TENSOR_ARGUMENTS: ClassVar[tuple[str, ...]] = ("mask",)
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("scaled_dot_product", ("[N, 2, L = 5, 8]", "[N, 2, S = 6, 8]", "[N, 2, S, 8]"), "[N, 2, L, 8]"),
        Accepts("scaled_dot_product", ("[N, L = 5, E = 4]", "[N, S = 6, E]", "[N, S, 3]"), "[N, L, 3]"),
        Accepts("scaled_dot_product(causal = true)", ("[N, 2, T = 5, 8]",) * 3, "[N, 2, T, 8]"),
        Accepts("scaled_dot_product(causal = true)", ("[N, L = 5, 8]", "[N, S = 7, 8]", "[N, S, 8]"), "[N, L, 8]"),
        Accepts("scaled_dot_product(scale = 1)", ("[N, 2, T = 5, 8]",) * 3, "[N, 2, T, 8]"),
        Accepts("scaled_dot_product(enable_gqa = true)", ("[N, 4, L = 5, 8]", "[N, 2, S = 6, 8]", "[N, 2, S, 8]"), "[N, 4, L, 8]"),
        Accepts("scaled_dot_product(mask = m)", ("[N, 2, L = 5, 8]", *("[N, 2, S = 3, 8]",) * 2, "bool [L, S]"), "[N, 2, L, 8]"),
        Accepts("scaled_dot_product(mask = m)", (*("[N, 2, T = 5, 8]",) * 3, "bool [N, 1, 1, T]"), "[N, 2, T, 8]"),
        Accepts("scaled_dot_product(mask = m)", ("[N, 2, L = 5, 8]", *("[N, 2, S = 6, 8]",) * 2, "[2, L, S]"), "[N, 2, L, 8]"),
        Accepts("scaled_dot_product(dropout = 0.1)", ("[N, T = 5, 8]",) * 3, "[N, T, 8]"),
        Rejects("scaled_dot_product", ("[N, 2, T, 8]", "[N, 2, T, 9]", "[N, 2, T, 8]"), "NS412"),
        Rejects("scaled_dot_product", ("[N, 2, T, 8]", "[N, 2, S, 8]", "[N, 2, T = 4, 8]"), "NS412"),
        Rejects("scaled_dot_product", ("[2, 4, T, 8]",) + ("[2, 2, T, 8]",) * 2, "NS411"),
        Rejects("scaled_dot_product(enable_gqa = true)", ("[2, 4, T, 8]",) + ("[2, 3, T, 8]",) * 2, "NS404"),
        Rejects("scaled_dot_product(causal = true, mask = m)", (*("[N, 2, T, 8]",) * 3, "bool [T, T]"), "NS310"),
        Rejects("scaled_dot_product(mask = m)", (*("[N, 2, T, 8]",) * 3, "int64 [T, T]"), "NS403"),
        Rejects("scaled_dot_product(mask = m)", (*("[N, 2, T, 8]",) * 3, "bool [T]"), "NS401"),
        Rejects("scaled_dot_product(mask = m)", (*("[2, 2, 5, 8]",) * 3, "bool [5, 4]"), "NS411"),
        Rejects("scaled_dot_product", ("[8]",) * 3, "NS401"),
        Rejects("scaled_dot_product", ("int64 [N, T, 8]",) * 3, "NS403"),
        Rejects("scaled_dot_product", ("[N, T, 8]", "float64 [N, T, 8]", "float64 [N, T, 8]"), "NS403"),
    )

    causal: bool = False
    scale: float | None = Field(None, description="factor of the products; none is 1 / sqrt(E)")
    enable_gqa: bool = Field(False, description="whether several heads of queries share one of keys and values")
    dropout: float = Field(0.0, ge=0, lt=1, description="probability that a share is dropped in training")
    mask: bool = False

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The leading axes of all, the positions of the queries, the numbers of the values."""
        q, k, v = inputs[:3]
        require_floats(self.NAME, q, k, v)
        check_one_type(q, k, v)
        for number, x in enumerate((q, k, v)):
            require_rank(self.NAME, x, 3 if self.enable_gqa else 2, input=number)
        need.equal(q.shape[-1], k.shape[-1], "queries and keys differ in their last axis")
        need.equal(k.shape[-2], v.shape[-2], "there are not as many keys as values")
        batch = self._leading(inputs, need)
        if len(inputs) > 3:
            self._check_mask(inputs[3], (*batch, q.shape[-2], k.shape[-2]), q.dtype, need)
        return q.with_shape((*batch, q.shape[-2], v.shape[-1]))

    def _leading(self, inputs: tuple[TensorType, ...], need: Needs) -> tuple[Size, ...]:
        """The axes before the last two, of all three together."""
        q, *others = (x.shape[:-2] for x in inputs[:3])
        batch = q
        for number, other in enumerate(others, start=1):
            if self.enable_gqa:
                _divides(need, other[-1], q[-1], f"the {q[-1]} heads of queries do not share the {other[-1]} of input {number + 1} evenly")
                other = (*other[:-1], q[-1])
            batch = broadcast(batch, other, need, self.NAME)
        return batch

    def _check_mask(self, mask: TensorType, scores: tuple[Size, ...], dtype: str, need: Needs) -> None:
        """A mask fits the scores, and does not stretch them."""
        check_mask(self.NAME, mask, dtype, "mask")
        require_rank(self.NAME, mask, 2, len(scores), input=3)
        if self.causal:
            raise Reject("NS310", "`causal` is a mask already", argument="causal", help="write both in one mask")
        for axis, (have, want) in enumerate(zip(mask.shape, scores[len(scores) - mask.rank :])):
            if not (isinstance(have, int) and have == 1):
                need.equal(have, want, f"axis {axis} of the mask does not fit the scores", "NS411")

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """A query sees itself, and what its mask says of it; of keys and values all, or those before it."""
        q, k, v = inputs[:3]
        rank = outputs[0].rank
        leading = outputs[0].shape[:-2]
        shared = tuple(x.with_shape((*x.shape[:-3], leading[-1]) if self.enable_gqa else x.shape[:-2]) for x in (q, k, v))
        before = [list(axes) for axes in broadcast_reach(shared, outputs[0].with_shape(leading)).inputs]
        if self.enable_gqa:
            before[1][-1], before[2][-1] = _group(k, leading[-1]), _group(v, leading[-1])
        rows = [
            (*before[0], Same(q.rank - 2), All(q.rank - 1)),
            (*before[1], look(k.rank - 2, self.causal), All(k.rank - 1)),
            (*before[2], look(v.rank - 2, self.causal), Same(v.rank - 1)),
        ]
        if len(inputs) > 3:
            mask = inputs[3]
            here = broadcast_reach((mask.with_shape(mask.shape[:-1]),), outputs[0].with_shape(outputs[0].shape[:-1])).inputs[0]
            rows.append((*here[: rank - 1], All(mask.rank - 1)))
        return (Reach(tuple(rows)),)

    def macs(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> Size:
        """`L · S · (E + F)` at every position of the axes before; a causal mask saves nothing."""
        q, k, v = inputs[:3]
        return product((*outputs[0].shape[:-1], k.shape[-2])) * (q.shape[-1] + v.shape[-1])

    def torch(self, site: Site) -> Torch:
        """`F.scaled_dot_product_attention(q, k, v)`."""
        settings = changed(self, "scale", "enable_gqa", is_causal="causal")
        inputs = tuple(In(i) for i in range(len(site.inputs)))
        if self.dropout:
            return Torch(module(_WITH_DROPOUT, self.dropout, **settings), supports=(_WITH_DROPOUT,))
        return Torch(forward=call("F.scaled_dot_product_attention", *inputs, **settings))

    def onnx(self, site: Site) -> OnnxTerm:
        """MatMul, Softmax, MatMul; the queries are scaled before, being fewer numbers than their products."""
        q, k, v = site.inputs[:3]
        dtype = q.dtype
        keys, values = (self._repeated(i, site) for i in (1, 2))
        order = (*range(k.rank - 2), k.rank - 1, k.rank - 2)
        scores: OnnxTerm = op("MatMul", op("Mul", In(0), self._scale(q)), op("Transpose", keys, perm=order))
        if self.causal:
            scores = causally(scores, q.shape[-2], k.shape[-2], dtype)
        if len(site.inputs) > 3:
            scores = masked(scores, In(3), site.inputs[3], True, dtype)
        return op("MatMul", shares(scores, len(site.inputs) > 3, dtype), values)

    def _scale(self, q: TensorType) -> OnnxTerm:
        width = q.shape[-1]
        if self.scale is not None or isinstance(width, int):
            return scalar(width**-0.5 if self.scale is None else self.scale, q.dtype)
        return op("Reciprocal", op("Sqrt", SizeScalar(width, q.dtype)))

    def _repeated(self, index: int, site: Site) -> OnnxTerm:
        """Keys or values with each head as often as heads of queries share it."""
        x, heads = site.inputs[index].shape, site.input.shape[-3] if self.enable_gqa else 0
        if not self.enable_gqa or x[-3] == heads:
            return In(index)
        apart = (*x[:-2], 1, *x[-2:])
        several = (*x[:-2], exact_div(heads, x[-3]), *x[-2:])
        repeated = op("Expand", reshaped(In(index), x, apart), size_vector(several))
        return reshaped(repeated, several, (*x[:-3], heads, *x[-2:]))


def _group(x: TensorType, heads: Size) -> AxisReach:
    """Which head of keys or values a head of queries looks at."""
    axis, own = x.rank - 3, x.shape[-3]
    if own == heads:
        return Same(axis)
    return Blocks(axis, heads // own, up=True) if isinstance(own, int) and isinstance(heads, int) else All(axis)


def _divides(need: Needs, divisor: Size, size: Size, reason: str) -> None:
    if isinstance(divisor, int):
        need.divides(divisor, size, reason)
    else:
        need.equal(size % divisor, 0, reason, "NS404")
