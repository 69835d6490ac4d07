"""Attention with the projections around it, split into heads."""

from typing import Any, ClassVar, final

from pydantic import Field

from netspec.op import ZEROS, Accepts, Needs, Operator, Reject, Rejects, Site, Weight, initializer, torch_default
from netspec.ops._arguments import changed
from netspec.ops._attention import MINUS_INFINITY, causally, check_mask, check_one_type, look, masked, shares
from netspec.ops._inputs import require_floats, require_rank
from netspec.ops._layout import reshaped
from netspec.reach import All, AxisReach, Reach, Same
from netspec.sizes.dim import Size, exact_div
from netspec.sizes.tensor import TensorType
from netspec.terms import Call, In, Item, Method, OnnxTerm, Out, Own, Self, Support, Torch, TorchTerm, call, module, op, scalar, vector

_ADDITIVE = Support(
    "additive",
    '''\
def additive(mask: Tensor, like: Tensor) -> Tensor:
    """A mask that is True where nothing may be seen, as numbers to add: torch's faster kernel for truth values, which it
    takes in evaluation alone, gives NaN where all is masked; this one gives 0, as in training."""
    return torch.zeros_like(mask, dtype=like.dtype).masked_fill(mask, float("-inf"))
''',
)


@final
class MultiheadAttention(Operator):
    """Attention between projections: queries, keys and values are split into `heads` parts, each part attends by itself,
    and what the heads found is projected once more.

    Input `[N, L, E]`, which attends to itself, or `(q, k, v)` of `[N, L, E]`, `[N, S, K]`, `[N, S, V]` (`(x, c, c)` attends
    to c); output `[N, L, E]`. Stored are `in_proj_weight` `[3 E, E]` (of K or V other than E: `q_proj_weight` `[E, E]`,
    `k_proj_weight` `[E, K]`, `v_proj_weight` `[E, V]`), `in_proj_bias` `[3 E]`, `out_proj.weight`, `out_proj.bias`.

    heads: into how many parts E is split; it must divide E.
    bias: whether both projections add a bias.
    causal: position i sees the positions 0 to i alone (and no attn_mask may be given).
    dropout: the probability that a share of attention is dropped, in training.
    attn_mask: a tensor `[L, S]` or `[N * heads, L, S]`, of bool, or of numbers that are added to the scaled products.
    key_padding_mask: a tensor `[N, S]` of the same sorts. As in torch's module, and unlike in `scaled_dot_product`, true
        means that a position is not seen. A query that sees nothing gets zeros from its heads.

    PyTorch: `nn.MultiheadAttention(…, batch_first=True)`, without the weights. ONNX: MatMul and Softmax.
    Vaswani et al., "Attention Is All You Need", arXiv:1706.03762, section 3.2.2.
    """

    NAME: ClassVar[str] = "multihead_attention"
    FAMILY: ClassVar[str] = "attention"
    ARITY: ClassVar[int | tuple[int, int | None]] = (1, 3)
    TENSOR_ARGUMENTS: ClassVar[tuple[str, ...]] = ("attn_mask", "key_padding_mask")
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("multihead_attention(2)", ("[N, T = 5, 8]",), "[N, T, 8]", "nn.MultiheadAttention(8, 2, batch_first=True)"),
        Accepts("multihead_attention(3, bias = false)", ("[N, T = 5, 6]",), "[N, T, 6]"),
        Accepts("multihead_attention(2, causal = true)", ("[N, T = 5, 8]",), "[N, T, 8]"),
        Accepts("multihead_attention(4)", ("[N, L = 5, 8]", "[N, S = 7, 8]", "[N, S, 8]"), "[N, L, 8]"),
        Accepts("multihead_attention(2)", ("[N, L = 5, 8]", "[N, S = 7, 6]", "[N, S, 4]"), "[N, L, 8]"),
        Accepts("multihead_attention(2, bias = false, causal = true)", ("[N, L = 5, 8]", "[N, S = 7, 6]", "[N, S, 6]"), "[N, L, 8]"),
        Accepts("multihead_attention(2, attn_mask = m)", ("[N, T = 5, 8]", "bool [T, T]"), "[N, T, 8]"),
        Accepts("multihead_attention(2, attn_mask = m)", ("[N, T = 5, 8]", "bool [2 * N, T, T]"), "[N, T, 8]"),
        Accepts("multihead_attention(2, key_padding_mask = m)", ("[N, T = 5, 8]", "bool [N, T]"), "[N, T, 8]"),
        Accepts("multihead_attention(2, causal = true, key_padding_mask = m)", ("[N, T = 5, 8]", "bool [N, T]"), "[N, T, 8]"),
        Accepts("multihead_attention(2, attn_mask = m)", ("[N, L = 5, 8]", *("[N, S = 7, 8]",) * 2, "[L, S]"), "[N, L, 8]"),
        Accepts(
            "multihead_attention(2, attn_mask = m, key_padding_mask = p)",
            ("[N, L = 5, 8]", *("[N, S = 7, 8]",) * 2, "bool [L, S]", "bool [N, S]"),
            "[N, L, 8]",
        ),
        Rejects("multihead_attention(3)", ("[N, T, 8]",), "NS404"),
        Rejects("multihead_attention(2)", ("[N, T, 8]", "[N, S, 8]"), "NS311"),
        Rejects("multihead_attention(2)", ("[N, L, 8]", "[N, S, 8]", "[N, T = 5, 8]"), "NS412"),
        Rejects("multihead_attention(2)", ("[2, L, 8]", "[3, S, 8]", "[3, S, 8]"), "NS412"),
        Rejects("multihead_attention(2)", ("[N, 8, H, W]",), "NS401"),
        Rejects("multihead_attention(2)", ("int64 [N, T, 8]",), "NS403"),
        Rejects("multihead_attention(2, causal = true, attn_mask = m)", ("[N, T, 8]", "bool [T, T]"), "NS310"),
        Rejects("multihead_attention(2, attn_mask = m)", ("[N, T, 8]", "bool [T]"), "NS401"),
        Rejects("multihead_attention(2, attn_mask = m)", ("[N, T = 5, 8]", "bool [4, 5]"), "NS412"),
        Rejects("multihead_attention(2, key_padding_mask = m)", ("[N, T, 8]", "int64 [N, T]"), "NS403"),
        Rejects("multihead_attention(0)", ("[N, T, 8]",), "NS310"),
        Rejects("multihead_attention(2, dropout = 1.5)", ("[N, T, 8]",), "NS310"),
    )

    heads: int = Field(gt=0, description="number of parts that attend by themselves")
    bias: bool = True
    causal: bool = False
    dropout: float = Field(0.0, ge=0, le=1, description="probability that a share is dropped in training")
    attn_mask: bool = False
    key_padding_mask: bool = False

    def _roles(self, inputs: tuple[TensorType, ...]) -> tuple[tuple[int, int, int], dict[str, int]]:
        """Which inputs are queries, keys and values, and which are masks. Rejects (NS311) any other number of inputs."""
        masks = [name for name in self.TENSOR_ARGUMENTS if getattr(self, name)]
        count = len(inputs) - len(masks)
        if count not in (1, 3):
            raise Reject("NS311", f"`{self.NAME}` takes x, or (q, k, v): {count} tensors are given")
        return ((0, 0, 0) if count == 1 else (0, 1, 2)), {name: count + i for i, name in enumerate(masks)}

    def _qkv(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        return tuple(inputs[i] for i in self._roles(inputs)[0])

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """That of the queries."""
        (q, k, v), (_, masks) = self._qkv(inputs), self._roles(inputs)
        require_floats(self.NAME, q, k, v)
        check_one_type(q, k, v)
        for number, x in enumerate((q, k, v)):
            require_rank(self.NAME, x, 3, 3, input=number, help="[N, T, E]: examples, positions, features")
            need.equal(q.shape[0], x.shape[0], "queries, keys and values differ in the number of examples")
        need.equal(k.shape[1], v.shape[1], "there are not as many keys as values")
        need.divides(self.heads, q.shape[2], f"{self.heads} heads do not share the {q.shape[2]} features evenly")
        for name, number in masks.items():
            self._check(name, inputs[number], number, (q.shape[0], q.shape[1], k.shape[1]), q.dtype, need)
        return q

    def _check(self, name: str, mask: TensorType, number: int, scores: tuple[Size, Size, Size], dtype: str, need: Needs) -> None:
        """A mask fits: the padding to examples and keys, the other to queries and keys, and perhaps examples and heads."""
        check_mask(self.NAME, mask, dtype, name)
        batch, queries, keys = scores
        if name == "key_padding_mask":
            require_rank(self.NAME, mask, 2, 2, input=number)
            wanted: tuple[Size, ...] = (batch, keys)
        else:
            if self.causal:
                raise Reject("NS310", "`causal` is an attn_mask already", argument="causal", help="write both in one mask")
            require_rank(self.NAME, mask, 2, 3, input=number)
            wanted = (batch * self.heads, queries, keys)[3 - mask.rank :]
        for axis, (have, want) in enumerate(zip(mask.shape, wanted)):
            need.equal(have, want, f"axis {axis} of {name} does not fit queries and keys")

    def _packed(self, inputs: tuple[TensorType, ...]) -> bool:
        q, k, v = self._qkv(inputs)
        return q.shape[2] == k.shape[2] == v.shape[2]

    def params(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        """In torch's order; projections start uniformly by Glorot and Bengio's rule, for the packed weight as one of 3 E outputs."""
        q, k, v = self._qkv(inputs)
        width, dtype, start = q.shape[2], q.dtype, initializer("xavier_uniform")
        if self._packed(inputs):
            weights = [Weight("in_proj_weight", (3 * width, width), start, width, 3 * width, dtype)]
        else:
            weights = [
                Weight(f"{name}_proj_weight", (width, x.shape[2]), start, x.shape[2], width, dtype) for name, x in zip("qkv", (q, k, v))
            ]
        out = Weight("out_proj.weight", (width, width), torch_default(width), width, width, dtype)
        if not self.bias:
            return (*weights, out)
        first = Weight("in_proj_bias", (3 * width,), ZEROS, dtype=dtype, role="bias")
        return (*weights, first, out, Weight("out_proj.bias", (width,), ZEROS, dtype=dtype, role="bias"))

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """All positions of keys and values, or those up to one's own; of queries one's own."""
        roles, masks = self._roles(inputs)
        rows: list[tuple[AxisReach | None, ...]] = [(Same(0), look(1, self.causal), All(2))] * (roles[2] + 1)
        if roles[1]:
            rows[0] = (Same(0), Same(1), All(2))
        for name, number in masks.items():
            packed = inputs[number].rank == 3
            rows.append(
                (Same(0), All(1), None) if name == "key_padding_mask" else (All(0), Same(1), None) if packed else (None, Same(0), None)
            )
        return (Reach(tuple(rows)),)

    def macs(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> Size:
        """Four projections, and for every pair of a query and a key 2 E."""
        q, k, v = self._qkv(inputs)
        width, batch = q.shape[2], q.shape[0]
        queries, keys = q.shape[1], k.shape[1]
        return batch * width * (2 * queries * width + keys * (k.shape[2] + v.shape[2]) + 2 * queries * keys)

    def torch(self, site: Site) -> Torch:
        """`self.attention(x, x, x, need_weights=False)[0]`."""
        roles, masks = self._roles(site.inputs)
        width = site.weight("out_proj.weight").shape[0]
        sizes = {} if self._packed(site.inputs) else {"kdim": site.inputs[1].shape[2], "vdim": site.inputs[2].shape[2]}
        built = module("nn.MultiheadAttention", width, self.heads, **changed(self, "dropout", "bias"), **sizes, batch_first=True)
        named: dict[str, Any] = {"need_weights": False}
        supports: tuple[Support, ...] = ()
        for name, number in masks.items():
            truth = site.inputs[number].dtype == "bool"
            supports = (_ADDITIVE,) if truth else supports
            named[name] = call(_ADDITIVE, In(number), In(0)) if truth else In(number)
        if self.causal:
            named |= {"attn_mask": _later(site.inputs, roles), "is_causal": True}
        attended = Call(Self(), tuple(In(i) for i in roles), tuple(named.items()))
        return Torch(built, Item(attended, 0), supports)

    def onnx(self, site: Site) -> OnnxTerm:
        """The projections, split by heads; scores, masks, shares; the weighted values, joined and projected."""
        (q, k, _), (_, masks) = self._qkv(site.inputs), self._roles(site.inputs)
        (batch, queries, width), keys, dtype = q.shape, k.shape[1], q.dtype
        each = exact_div(site.weight("out_proj.weight").shape[0], self.heads)
        split = tuple(
            reshaped(term, (batch, length, width), (batch, length, self.heads, each))
            for term, length in zip(self._projected(site), (queries, keys, keys))
        )
        scaled = op("Mul", op("Transpose", split[0], perm=(0, 2, 1, 3)), scalar(each**-0.5, dtype))  # type: ignore[operator]
        scores: OnnxTerm = op("MatMul", scaled, op("Transpose", split[1], perm=(0, 2, 3, 1)))
        if self.causal:
            scores = causally(scores, queries, keys, dtype)
        for name, number in masks.items():
            kind, mask = site.inputs[number], In(number)
            if name == "key_padding_mask":
                mask = op("Unsqueeze", mask, vector((1, 2)))
            elif kind.rank == 3:
                mask = reshaped(mask, kind.shape, (batch, self.heads, queries, keys))
            scores = masked(scores, mask, kind, False, dtype)
        found = op("MatMul", shares(scores, bool(masks), dtype), op("Transpose", split[2], perm=(0, 2, 1, 3)))
        joined = reshaped(op("Transpose", found, perm=(0, 2, 1, 3)), (batch, queries, self.heads, each), (batch, queries, width))
        result = op("MatMul", joined, op("Transpose", Own("out_proj.weight"), perm=(1, 0)))
        return op("Add", result, Own("out_proj.bias")) if self.bias else result

    def _projected(self, site: Site) -> tuple[OnnxTerm, ...]:
        """Queries, keys and values; of one input in one product."""
        roles = self._roles(site.inputs)[0]
        thirds = vector((site.weight("out_proj.weight").shape[0],) * 3)
        if roles[2] == 0:
            product = op("MatMul", In(0), op("Transpose", Own("in_proj_weight"), perm=(1, 0)))
            joint = op("Add", product, Own("in_proj_bias")) if self.bias else product
            return _thirds(joint, thirds, 2)
        if self._packed(site.inputs):
            weights: tuple[OnnxTerm, ...] = _thirds(Own("in_proj_weight"), thirds)
        else:
            weights = tuple(Own(f"{name}_proj_weight") for name in "qkv")
        products = (op("MatMul", In(i), op("Transpose", w, perm=(1, 0))) for i, w in zip(roles, weights))
        if not self.bias:
            return tuple(products)
        return tuple(op("Add", p, b) for p, b in zip(products, _thirds(Own("in_proj_bias"), thirds)))


def _thirds(term: OnnxTerm, sizes: OnnxTerm, axis: int = 0) -> tuple[OnnxTerm, ...]:
    cut = op("Split", term, sizes, outputs=3, axis=axis)
    return tuple(Out(cut, i) for i in range(3))


def _later(inputs: tuple[TensorType, ...], roles: tuple[int, int, int]) -> TorchTerm:
    """The mask of numbers that hides from each position what comes after it."""
    sizes = (inputs[0].shape[1], inputs[roles[1]].shape[1])
    return Method(Method(In(0), "new_full", (sizes, MINUS_INFINITY)), "triu", (1,))
