"""Tensors that come from nowhere: learnt, stored, written, or made of indices; and the operator that does nothing."""

from typing import Annotated, Any, ClassVar, Literal, final

from pydantic import BeforeValidator, Field

from netspec.op import ZEROS, Accepts, Needs, Operator, Reject, Rejects, Site, Weight, initializer
from netspec.ops._elements import converted
from netspec.ops._inputs import FLOATS, INTEGERS
from netspec.reach import Reach, Same
from netspec.sizes.dim import Dim, SizeField
from netspec.sizes.tensor import TensorType
from netspec.terms import Const, In, Method, OnnxTerm, Own, Support, Torch, call, module, op, vector

Element = Literal["float32", "float64", "float16", "bfloat16", "int64", "int32", "int8", "uint8", "bool"]


@final
class Param(Operator):
    """A tensor that is learnt: a position table, a class token, a scale a channel. `p = param((1, 64, 1, 1))`.

    Its parameter carries the label alone (`pos_embedding`, not `pos_embedding.weight`). It starts at zero unless an
    initializer says otherwise.

    sizes: its shape. An open size is fixed at its typical value, which becomes a condition on the input.
    dtype: float32, or another floating-point type.

    PyTorch: `nn.Parameter`. ONNX: an initializer.
    """

    NAME: ClassVar[str] = "param"
    FAMILY: ClassVar[str] = "io"
    ARITY: ClassVar[int | tuple[int, int | None]] = 0
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("param((1, 197, 768))", (), "[1, 197, 768]", torch="nn.Parameter(torch.zeros(1, 197, 768))"),
        Accepts("param(())", (), "[]"),
        Rejects("param((4, 0))", (), "NS310"),
        Rejects("param((4,), dtype = int64)", (), "NS310"),
    )

    sizes: tuple[SizeField, ...]
    dtype: Literal["float32", "float64", "float16", "bfloat16"] = "float32"

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The sizes as written."""
        if any(isinstance(s, int) and s < 1 for s in self.sizes):
            raise Reject("NS310", "a size is at least 1", argument="sizes")
        return TensorType(self.sizes, self.dtype)

    def params(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        """The tensor itself; its local name is empty."""
        return (Weight("", self.sizes, ZEROS, dtype=self.dtype),)

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """There is no input."""
        return (Reach(()),)

    def torch(self, site: Site) -> Torch:
        """`self.label`, an `nn.Parameter`."""
        return Torch(forward=Own(""), owns=True)

    def onnx(self, site: Site) -> OnnxTerm:
        """The initializer."""
        return Own("")


def _as_tuples(value: Any) -> Any:
    """Nested lists, as JSON has them, as nested tuples of numbers. Raises ValueError for anything else."""
    if isinstance(value, (list, tuple)):
        return tuple(_as_tuples(v) for v in value)
    if isinstance(value, (int, float)) and not isinstance(value, Dim):
        return value
    raise ValueError("a constant is a number, or nested lists of numbers")


def _measure(value: Any) -> tuple[int, ...]:
    """The shape of nested tuples. Rejects (NS310) what is empty, or not as long everywhere."""
    if not isinstance(value, tuple):
        return ()
    shapes = {_measure(v) for v in value}
    if len(shapes) != 1:
        what = "is empty" if not shapes else "has rows of different lengths"
        raise Reject("NS310", f"this constant {what}", argument="value")
    return (len(value), *shapes.pop())


def _flat(value: Any) -> tuple[Any, ...]:
    return tuple(x for v in value for x in _flat(v)) if isinstance(value, tuple) else (value,)


_CONSTANT = Support(
    "Constant",
    '''class Constant(nn.Module):
    """A fixed tensor: it moves with the module, and is no part of the state dict."""

    def __init__(self, value, dtype: str) -> None:
        super().__init__()
        values = torch.tensor(value, dtype=getattr(torch, dtype))
        self.register_buffer("value", values, persistent=False)

    def forward(self) -> Tensor:
        return self.value
''',
)


@final
class Constant(Operator):
    """A fixed tensor, written in the spec: `constant(0.5)`, `constant([[1, 0], [0, 1]])`. It is not learnt and not stored.

    value: a number, or nested lists of numbers, equally long on every level.
    dtype: the element type. Fractions become integers only by a cast.

    PyTorch: a buffer that is not in the state dict. ONNX: a constant.
    """

    NAME: ClassVar[str] = "constant"
    FAMILY: ClassVar[str] = "io"
    ARITY: ClassVar[int | tuple[int, int | None]] = 0
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("constant(0.5)", (), "[]", torch="torch.tensor(0.5)"),
        Accepts("constant([[1, 0, -1], [2, 0, -2]])", (), "[2, 3]"),
        Accepts("constant([3, 4], dtype = int64)", (), "int64 [2]"),
        Accepts("constant([true, false], dtype = bool)", (), "bool [2]"),
        Rejects("constant([[1, 2], [3]])", (), "NS310"),
        Rejects("constant([1, [2]])", (), "NS310"),
        Rejects("constant([])", (), "NS310"),
        Rejects("constant([0.5], dtype = int64)", (), "NS310"),
        Rejects("constant(word)", (), "NS310"),
    )

    value: Annotated[Any, BeforeValidator(_as_tuples)]
    dtype: Element = "float32"

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """As deep as the lists are nested."""
        shape = _measure(self.value)
        if self.dtype not in FLOATS and any(isinstance(v, float) for v in _flat(self.value)):
            raise Reject("NS310", f"a fraction among elements of {self.dtype}", argument="value", help="dtype = float32")
        return TensorType(shape, self.dtype)

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """There is no input."""
        return (Reach(()),)

    def torch(self, site: Site) -> Torch:
        """`Constant(0.5, 'float32')`."""
        return Torch(module(_CONSTANT, self.value, self.dtype), supports=(_CONSTANT,))

    def onnx(self, site: Site) -> OnnxTerm:
        """The constant itself."""
        return Const(self.dtype, site.output.shape, _flat(_elements(self.value, self.dtype)))  # type: ignore[arg-type]


_GRID = Support(
    "grid",
    '''def grid(start: int, sizes: tuple[int, ...], steps: tuple[int, ...]) -> Tensor:
    """`start`, plus a step for every unit along each axis of a grid of these sizes; flat, in row-major order."""
    found = torch.tensor([start])
    for size, step in zip(sizes, steps):
        found = (found[:, None] + step * torch.arange(size)).flatten()
    return found
''',
)

_NUMBERS = Support(
    "numbers",
    '''def numbers(dtype: str, text: str, *shape: int) -> Tensor:
    """The numbers that a text holds, of this element type, in this shape."""
    values = torch.tensor([float(word) for word in text.split()], dtype=torch.float64)
    return values.to(getattr(torch, dtype)).reshape(shape)
''',
)

#: buffers of no more numbers are written as Python's tuples
_FEW = 16


@final
class Buffer(Operator):
    """A fixed tensor that is stored: not learnt, but part of the state dict, so that a checkpoint brings its values.

    Its tensor carries the label alone (`relative_position_index`). Until a checkpoint is loaded it has the values that are
    written. What need not be stored is a `constant`.

    value: a number, or nested lists of numbers, equally long on every level; `[i * i for i in 0..9]` is one, too.
    dtype: float32, int64 or bool.

    PyTorch: `nn.Buffer`. ONNX: an initializer.
    """

    NAME: ClassVar[str] = "buffer"
    FAMILY: ClassVar[str] = "io"
    ARITY: ClassVar[int | tuple[int, int | None]] = 0
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("buffer(0.5)", (), "[]"),
        Accepts("buffer([[1, 0, -1], [2, 0, -2]])", (), "[2, 3]"),
        Accepts("buffer([[3, 2, 1, 0], [7, 6, 5, 4]], dtype = int64)", (), "int64 [2, 4]"),
        Accepts("buffer([true, false], dtype = bool)", (), "bool [2]"),
        Accepts(f"buffer({[10 * i + j for i in range(3, 0, -1) for j in range(6)]}, dtype = int64)", (), "int64 [18]"),
        Accepts(f"buffer({[[i * i, -i] for i in range(9)]})", (), "[9, 2]"),
        Rejects("buffer([[1, 2], [3]])", (), "NS310"),
        Rejects("buffer([])", (), "NS310"),
        Rejects("buffer([0.5], dtype = int64)", (), "NS310"),
    )

    value: Annotated[Any, BeforeValidator(_as_tuples)]
    dtype: Literal["float32", "int64", "bool"] = "float32"

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """As deep as the lists are nested."""
        return Constant.model_construct(value=self.value, dtype=self.dtype).shape(inputs, need)

    def params(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        """The tensor itself; its local name is empty."""
        start = initializer("values", values=_flat(self.value))
        return (Weight("", _measure(self.value), start, dtype=self.dtype, trainable=False, role="buffer"),)

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """There is no input."""
        return (Reach(()),)

    def torch(self, site: Site) -> Torch:
        """`self.label`, an `nn.Buffer`; of many numbers as a grid, if they lie on one, or else as a text."""
        shape, flat = _measure(self.value), _flat(self.value)
        if len(flat) <= _FEW:
            return Torch(module("nn.Buffer", call("torch.tensor", _elements(self.value, self.dtype))), Own(""), owns=True)
        found = _on_grid(flat) if self.dtype == "int64" else None
        if found is not None:
            values = call(_GRID, *found)
            return Torch(module("nn.Buffer", values if len(shape) == 1 else Method(values, "reshape", shape)), Own(""), (_GRID,), owns=True)
        text = " ".join(f"{v:.9g}" if self.dtype == "float32" else str(int(v)) for v in flat)
        return Torch(module("nn.Buffer", call(_NUMBERS, self.dtype, text, *shape)), Own(""), (_NUMBERS,), owns=True)

    def onnx(self, site: Site) -> OnnxTerm:
        """The initializer."""
        return Own("")


def _elements(value: Any, dtype: str) -> Any:
    """Nested tuples of numbers that Python takes for this type."""
    if isinstance(value, tuple):
        return tuple(_elements(v, dtype) for v in value)
    return float(value) if dtype in FLOATS else bool(value) if dtype == "bool" else int(value)


def _on_grid(values: tuple[int, ...]) -> tuple[int, tuple[int, ...], tuple[int, ...]] | None:
    """The start, sizes and steps of a grid on which numbers lie in row-major order; None where they do not."""
    first, sizes, steps = values[0], [], []
    while len(values) > 1:
        step = values[1] - values[0]
        size = next((i for i in range(2, len(values)) if values[i] - values[i - 1] != step), len(values))
        if any(v != values[i - i % size] + i % size * step for i, v in enumerate(values)):
            return None
        values = values[::size]
        sizes.insert(0, size)
        steps.insert(0, step)
    return first, tuple(sizes), tuple(steps)


@final
class OneHot(Operator):
    """Class numbers as vectors with a single 1: `int64 [N, T]` gives `[N, T, classes]`.

    classes: the length of the vectors. A number below 0 or above it is an error in torch, when the network runs.
    dtype: the element type of the result.

    PyTorch: `F.one_hot`, cast. ONNX: OneHot.
    """

    NAME: ClassVar[str] = "one_hot"
    FAMILY: ClassVar[str] = "io"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("one_hot(5)", ("int64 [N, T]",), "[N, T, 5]", torch="F.one_hot(x, 5).float()"),
        Accepts("one_hot(4, dtype = int64)", ("int64 [N]",), "int64 [N, 4]", torch="F.one_hot(x, 4)"),
        Accepts("one_hot(3)", ("int32 [N]",), "[N, 3]"),
        Rejects("one_hot(0)", ("int64 [N]",), "NS310"),
        Rejects("one_hot(5)", ("[N, T]",), "NS403"),
    )

    classes: int = Field(gt=0)
    dtype: Literal["float32", "int64"] = "float32"

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """One axis more, at the end."""
        if inputs[0].dtype not in INTEGERS:
            raise Reject("NS403", f"`one_hot` takes class numbers (int64 or int32), not {inputs[0].dtype}", input=0)
        return TensorType((*inputs[0].shape, self.classes), self.dtype)

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """The same position."""
        return (Reach(((*(Same(a) for a in range(inputs[0].rank)), None),)),)

    def torch(self, site: Site) -> Torch:
        """`F.one_hot(x, 5).float()`."""
        x = In() if site.input.dtype == "int64" else Method(In(), "long")
        vectors = call("F.one_hot", x, self.classes)
        return Torch(forward=vectors if self.dtype == "int64" else Method(vectors, "float"))

    def onnx(self, site: Site) -> OnnxTerm:
        """OneHot."""
        values = vector((0.0, 1.0) if self.dtype == "float32" else (0, 1), self.dtype)
        return op("OneHot", converted(In(), site.input.dtype, "int64"), Const("int64", (), (self.classes,)), values, axis=-1)


@final
class Identity(Operator):
    """Its input, unchanged: holds a place, and a name, in a network. PyTorch: `nn.Identity`. ONNX: nothing."""

    NAME: ClassVar[str] = "identity"
    FAMILY: ClassVar[str] = "io"
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("identity", ("[N, 3, H, W]",), "[N, 3, H, W]", torch="nn.Identity()"),
        Accepts("identity", ("int64 [N]",), "int64 [N]"),
    )

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """As it is."""
        return inputs[0]

    def torch(self, site: Site) -> Torch:
        """`nn.Identity()`."""
        return Torch(module("nn.Identity"))

    def onnx(self, site: Site) -> OnnxTerm:
        """The input."""
        return In()
