"""Layers whose weight is computed from other parameters: by length and direction, or divided by its largest singular value.

Both take a layer and stand in its place. They store its `weight` in parts, under the names that torch's
parametrizations give, and hand everything else on to it.
"""

from dataclasses import replace
from typing import ClassVar, final

from pydantic import Field

from netspec.op import Accepts, Needs, Operator, Reject, Rejects, Site, Weight, initializer
from netspec.ops._axes import axis_of
from netspec.ops._layer import OperatorField
from netspec.reach import Reach
from netspec.sizes.dim import Size, product
from netspec.sizes.tensor import TensorType
from netspec.terms import Module, OnnxTerm, Op, Out, Own, Torch, op, vector

#: A layer that has no weight of at least two axes, so that there is nothing to reparametrize.
NO_WEIGHT = "NS409"


class Reparametrized(Operator):
    """A layer with its `weight` replaced by an expression in other stored tensors; all that it does stays the layer's.

    The subclass says which tensors (`parts`), how torch wraps the layer's module, and the expression in ONNX.
    """

    FAMILY: ClassVar[str] = "linear"
    #: the stored tensor that the weight's initializer and fans belong to
    ORIGINAL: ClassVar[str]

    layer: OperatorField = Field(description="the layer whose weight is computed")

    def parts(self, weight: Weight) -> tuple[Weight, ...]:
        """What is stored in the place of `weight`, in torch's order."""
        raise NotImplementedError

    def wrapped(self, inner: Module) -> Module:
        """The module with torch's parametrization."""
        raise NotImplementedError

    def expression(self, weight: Weight) -> OnnxTerm:
        """The weight, in evaluation, from what is stored."""
        raise NotImplementedError

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType | tuple[TensorType, ...]:
        if type(self.layer).ARITY != 1:
            raise Reject(NO_WEIGHT, f"`{self.NAME}` wraps a layer of one input, not `{self.layer.NAME}`", argument="layer")
        outputs = self.layer.shape(inputs, need)
        weight = next((w for w in self.layer.params(inputs) if w.name == "weight" and len(w.shape) >= 2), None)
        if weight is None:
            message = f"`{self.layer.NAME}` has no weight of two or more axes that `{self.NAME}` could compute"
            raise Reject(NO_WEIGHT, message, argument="layer", help="wrap a convolution, `linear` or `embedding`")
        self.parts(weight)  # refuses an axis that the weight lacks
        return outputs

    def params(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        """The layer's other tensors, then the parts: torch keeps parametrizations in a submodule, which comes last."""
        stored = {w.name: w for w in self.layer.params(inputs)}
        weight = stored.pop("weight")
        return (*stored.values(), *self.parts(weight))

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        return self.layer.reach(inputs, outputs)

    def macs(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> Size:
        """Those of the layer: the weight is computed once, not at every position."""
        return self.layer.macs(inputs, outputs)

    def torch(self, site: Site) -> Torch:
        inner = self.layer.torch(self._inside(site))
        assert inner.module is not None, "a layer that stores a weight is a module"
        return replace(inner, module=self.wrapped(inner.module))

    def onnx(self, site: Site) -> OnnxTerm | tuple[OnnxTerm, ...]:
        inside = self._inside(site)
        known = {"weight": self.expression(inside.weight())}
        terms = self.layer.onnx(inside)
        made: dict[int, OnnxTerm] = {}
        if isinstance(terms, tuple):
            return tuple(_computed(t, known, made) for t in terms)
        return _computed(terms, known, made)

    def _inside(self, site: Site) -> Site:
        """Where the layer itself stands: the same place, with the weight that the parts amount to."""
        fixed = {w.name: w for w in site.weights}
        fixed["weight"] = replace(fixed[self.ORIGINAL], name="weight")
        return replace(site, weights=tuple(fixed[w.name] for w in self.layer.params(site.inputs)))


def _computed(term: OnnxTerm | None, known: dict[str, OnnxTerm], made: dict[int, OnnxTerm]) -> OnnxTerm | None:
    """`term` with the operator's own tensors named in `known` replaced; a node that is used twice stays one node."""
    if isinstance(term, Own):
        return known.get(term.name, term)
    if isinstance(term, Out):
        return Out(_computed(term.op, known, made), term.index)
    if not isinstance(term, Op):
        return term
    if id(term) not in made:
        made[id(term)] = replace(term, inputs=tuple(_computed(i, known, made) for i in term.inputs))
    return made[id(term)]


@final
class WeightNorm(Reparametrized):
    """A layer whose weight is a direction times a length: `weight = g * v / |v|`, with a length for every index along `axis`
    (the output channels, where it is 0), or one for all with `axis = none`.

    Stored are `parametrizations.weight.original0` (g, of the weight's shape with 1 on every other axis) and
    `parametrizations.weight.original1` (v, of the weight's shape); g starts at |v|, so that the layer starts as it would
    without. Shapes, bias and cost are the layer's.

    PyTorch: `nn.utils.parametrizations.weight_norm`. ONNX: the expression stands where the weight stood, and is folded
    when a model is loaded. Salimans and Kingma, "Weight Normalization", arXiv:1602.07868.
    """

    NAME: ClassVar[str] = "weight_norm"
    ORIGINAL: ClassVar[str] = "parametrizations.weight.original1"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("weight_norm(linear(5))", ("[N, 8]",), "[N, 5]", "nn.utils.parametrizations.weight_norm(nn.Linear(8, 5))"),
        Accepts("weight_norm(conv(6, 3, padding = 1))", ("[N, 4, H = 7, W = 5]",), "[N, 6, H, W]"),
        Accepts("weight_norm(conv_transpose(6, 2, stride = 2), axis = 1)", ("[N, 4, T = 5]",), "[N, 6, 2 * T]"),
        Accepts("weight_norm(linear(5, bias = false), axis = none)", ("[N, T = 3, 8]",), "[N, T, 5]"),
        Accepts("weight_norm(embedding(10, 4), 1)", ("int64 [N, T = 3]",), "[N, T, 4]"),
        Rejects("weight_norm(relu())", ("[N, 8]",), NO_WEIGHT),
        Rejects("weight_norm(batch_norm())", ("[N, 8]",), NO_WEIGHT),
        Rejects("weight_norm(weight_norm(linear(5)))", ("[N, 8]",), NO_WEIGHT),
        Rejects("weight_norm(add())", ("[N, 8]",), NO_WEIGHT),
        Rejects("weight_norm(linear(5), axis = 2)", ("[N, 8]",), "NS406"),
        Rejects("weight_norm(linear(5), axis = -1)", ("[N, 8]",), "NS310"),
        Rejects("weight_norm(5)", ("[N, 8]",), "NS310"),
        Rejects("weight_norm(linear(5))", ("int64 [N, 8]",), "NS403"),
    )

    axis: int | None = Field(0, ge=0, description="the axis of the weight along which every index has a length of its own")

    def parts(self, weight: Weight) -> tuple[Weight, ...]:
        kept = None if self.axis is None else axis_of(self.axis, len(weight.shape))
        lengths = () if kept is None else tuple(n if a == kept else 1 for a, n in enumerate(weight.shape))
        start = initializer("norm_of", tensor=self.ORIGINAL, axis=kept)
        length = Weight("parametrizations.weight.original0", lengths, start, dtype=weight.dtype, role="scale")
        return length, replace(weight, name=self.ORIGINAL)

    def wrapped(self, inner: Module) -> Module:
        dim = () if self.axis == 0 else (("dim", self.axis),)
        return Module("nn.utils.parametrizations.weight_norm", (inner,), dim)

    def expression(self, weight: Weight) -> OnnxTerm:
        length, direction = Own("parametrizations.weight.original0"), Own(self.ORIGINAL)
        axes = tuple(a for a in range(len(weight.shape)) if a != self.axis)
        norm = op("Sqrt", op("ReduceSum", op("Mul", direction, direction), vector(axes), keepdims=int(self.axis is not None)))
        return op("Mul", direction, op("Div", length, norm))


@final
class SpectralNorm(Reparametrized):
    """A layer whose weight, as a matrix, is divided by its largest singular value: `weight = W / (uᵀ W v)`.

    The matrix has the indices along `axis` as its rows: output channels, which torch takes to be axis 1 of a transposed
    convolution's weight and axis 0 of any other (`none`). In training every pass improves the singular vectors by
    `power_iterations`; evaluation takes them as they are. Stored are `parametrizations.weight.original` (W) and the
    buffers `parametrizations.weight.0._u` and `._v`.

    PyTorch: `nn.utils.parametrizations.spectral_norm`. ONNX: the expression stands where the weight stood.
    Miyato et al., "Spectral Normalization for Generative Adversarial Networks", arXiv:1802.05957.
    """

    NAME: ClassVar[str] = "spectral_norm"
    ORIGINAL: ClassVar[str] = "parametrizations.weight.original"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("spectral_norm(linear(5))", ("[N, 8]",), "[N, 5]", "nn.utils.parametrizations.spectral_norm(nn.Linear(8, 5))"),
        Accepts("spectral_norm(conv(6, 3, padding = 1), 2, 1e-6)", ("[N, 4, H = 7, W = 5]",), "[N, 6, H, W]"),
        Accepts("spectral_norm(conv_transpose(6, 2, stride = 2))", ("[N, 4, T = 5]",), "[N, 6, 2 * T]"),
        Accepts("spectral_norm(conv(6, 3, bias = false), axis = 1)", ("[N, 4, T = 5]",), "[N, 6, T - 2]"),
        Rejects("spectral_norm(relu())", ("[N, 8]",), NO_WEIGHT),
        Rejects("spectral_norm(layer_norm())", ("[N, 8]",), NO_WEIGHT),
        Rejects("spectral_norm(matmul())", ("[N, 8]",), NO_WEIGHT),
        Rejects("spectral_norm(linear(5), power_iterations = 0)", ("[N, 8]",), "NS310"),
        Rejects("spectral_norm(linear(5), axis = 2)", ("[N, 8]",), "NS406"),
        Rejects('spectral_norm("conv")', ("[N, 8]",), "NS310"),
    )

    power_iterations: int = Field(1, gt=0, description="steps towards the singular vectors in every training pass")
    eps: float = Field(1e-12, gt=0, description="the least norm by which a vector is divided in a step")
    axis: int | None = Field(None, ge=0, description="the axis of the weight that counts the matrix's rows; none: the output channels")

    def parts(self, weight: Weight) -> tuple[Weight, ...]:
        rows = self._rows(weight)
        columns = product(n for a, n in enumerate(weight.shape) if a != rows)
        vectors = tuple(
            Weight(
                f"parametrizations.weight.0._{name}",
                (size,),
                initializer("singular_vector", tensor=self.ORIGINAL, axis=rows, side=side),
                dtype=weight.dtype,
                trainable=False,
                role="statistic",
            )
            for name, size, side in (("u", weight.shape[rows], "left"), ("v", columns, "right"))
        )
        return replace(weight, name=self.ORIGINAL), *vectors

    def wrapped(self, inner: Module) -> Module:
        named = {"n_power_iterations": self.power_iterations, "eps": self.eps, "dim": self.axis}
        usual = {"n_power_iterations": 1, "eps": 1e-12, "dim": None}
        kept = tuple((name, value) for name, value in named.items() if value != usual[name])
        return Module("nn.utils.parametrizations.spectral_norm", (inner,), kept)

    def expression(self, weight: Weight) -> OnnxTerm:
        rows, rank = self._rows(weight), len(weight.shape)
        original, u, v = Own(self.ORIGINAL), Own("parametrizations.weight.0._u"), Own("parametrizations.weight.0._v")
        order = (rows, *(a for a in range(rank) if a != rows))
        matrix = op("Reshape", op("Transpose", original, perm=order), vector((weight.shape[rows], -1)))
        return op("Div", original, op("MatMul", u, op("MatMul", matrix, v)))

    def _rows(self, weight: Weight) -> int:
        """torch looks at the module's class in the same way."""
        usual = 1 if self.layer.NAME == "conv_transpose" else 0
        return axis_of(usual if self.axis is None else self.axis, len(weight.shape))
