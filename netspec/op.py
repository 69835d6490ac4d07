"""The contract of an operator: facts about it live with it, as pure methods ("facets"); algorithms live in passes.

A new operator is one final class in one family file under `ops/`. It states its arguments as Pydantic fields, documents
itself, shows what it accepts and rejects, and answers the facets below. No pass names an operator.
"""

from dataclasses import field
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, TypeAdapter

from netspec.reach import Reach, pointwise
from netspec.record import draft, record
from netspec.sizes.dim import Size, show
from netspec.sizes.solve import Condition
from netspec.sizes.tensor import TensorType
from netspec.terms import OnnxTerm, Torch


class Reject(Exception):
    """Raised by a facet when arguments or inputs do not fit; the walk makes one located diagnostic of it.

    `code` is the diagnostic's code, `argument` the name of the argument at fault (its place is marked), `input` the
    number of the input at fault, `help` the fix.
    """

    def __init__(self, code: str, message: str, *, argument: str | None = None, input: int | None = None, help: str = "") -> None:
        self.code, self.argument, self.input, self.help = code, argument, input, help
        super().__init__(message)


@record
class Need:
    """A condition on the open sizes that an operator asks for, with the code and the words for when it fails."""

    condition: Condition
    code: str
    reason: str


@draft
class Needs:
    """Collects what a `shape` facet asks of sizes. What is false for every size rejects at once."""

    found: list[Need] = field(default_factory=list)

    def equal(self, left: Size, right: Size, reason: str, code: str = "NS412") -> None:
        """`left == right`, else `reason` (a phrase such as "the sizes along axis 2 differ")."""
        if isinstance(left, int) and isinstance(right, int):
            if left != right:
                raise Reject(code, f"{reason}: {left} against {right}")
            return
        if left != right:
            self._add(Condition("==", left, right), code, reason)

    def at_least(self, left: Size, right: Size, reason: str, code: str = "NS402") -> None:
        """`left >= right`, else `reason`."""
        if isinstance(left, int) and isinstance(right, int):
            if left < right:
                raise Reject(code, f"{reason}: {left} is less than {right}")
            return
        self._add(Condition(">=", left, right), code, reason)

    def divides(self, divisor: int, size: Size, reason: str, code: str = "NS404") -> None:
        """`size % divisor == 0`, else `reason`."""
        if isinstance(size, int):
            if size % divisor:
                raise Reject(code, f"{reason}: {size} is not divisible by {divisor}")
            return
        self._add(Condition("==", size % divisor, 0), code, reason)

    def _add(self, condition: Condition, code: str, reason: str) -> None:
        status = condition.status()
        if status is False:
            raise Reject(code, f"{reason}: {show(condition.left)} against {show(condition.right)} for every size")
        if status is None:
            self.found.append(Need(condition, code, reason))


def _nested(value: Any) -> Any:
    """An argument as JSON has it: of objects there are initializers alone, those that another one takes; lists are tuples."""
    if isinstance(value, list):
        return tuple(value)
    return TypeAdapter(Initializer).validate_python(value) if isinstance(value, dict) else value


@record
class Initializer:
    """How a parameter starts, as data: a distribution's name and its numbers. `initializers` resolves it to one of
    `zeros`, `constant`, `uniform(low, high)`, `normal(mean, std)`, `truncated_normal(mean, std, low, high)`, … ."""

    name: str
    arguments: tuple[tuple[str, Annotated[Any, BeforeValidator(_nested)]], ...] = ()

    def __str__(self) -> str:
        inner = ", ".join(f"{k} = {v}" for k, v in self.arguments)
        return f"{self.name}({inner})" if inner else self.name


def initializer(name: str, **arguments: Any) -> Initializer:
    """`initializer("uniform", low=-0.1, high=0.1)`."""
    return Initializer(name, tuple(arguments.items()))


ZEROS = Initializer("zeros")
ONES = Initializer("ones")


def torch_default(fan: Size) -> Initializer:
    """What torch does where nobody says: uniform in ±1/sqrt(fan), `fan` by torch's own count of the layer's inputs."""
    return Initializer("torch_default", (("fan", fan),))


@record
class Weight:
    """A tensor that an operator stores: its local name (`weight`), shape, torch's default initializer and fans.

    A symbolic size in `shape` is fixed at its typical value by the walk, which adds the condition that it has that
    value (`flatten -> linear` fixes the input's size). What reaches `Site.weights` and the graph has numbers alone.

    `fan_in` is the number of terms that one output sums, `fan_out` the number of outputs that one input reaches at stride
    1, both true for groups (`fan_out = C_out / groups * taps`) and for transposed convolution, most of whose taps meet
    the zeros between inputs (`fan_in = C_in / groups * taps / strides`). They are 0 where the notion does not apply.
    `trainable` False is a buffer (running statistics). `role` is `weight`, `bias`, `scale`, `statistic`,
    `counter` or `buffer` (values that mean something: indices).
    """

    name: str
    shape: tuple[Size, ...]
    init: Initializer
    fan_in: Size | float = 0
    fan_out: Size | float = 0
    dtype: str = "float32"
    trainable: bool = True
    role: str = "weight"


@record
class Site:
    """Where an operator stands: the types of its inputs and outputs, what it stores, and the ONNX opset asked for."""

    inputs: tuple[TensorType, ...]
    outputs: tuple[TensorType, ...]
    weights: tuple[Weight, ...] = ()
    opset: int = 21

    @property
    def input(self) -> TensorType:
        """The first input."""
        return self.inputs[0]

    @property
    def output(self) -> TensorType:
        """The first output."""
        return self.outputs[0]

    def weight(self, name: str = "weight") -> Weight:
        """The stored tensor of that local name, its shape in numbers."""
        return next(w for w in self.weights if w.name == name)


@record
class Accepts:
    """An example in the language, applied to inputs of these shapes: must give `output` (shape or tuple of shapes).

    `call` is source text such as `conv(8, 3, padding = 1)`. `inputs` are written types: `"[2, 3, H = 9, W = 7]"`.
    """

    call: str
    inputs: tuple[str, ...]
    output: str | tuple[str, ...]
    torch: str = ""  # the hand-written PyTorch of the same thing, when it is not obvious: "nn.Conv2d(3, 8, 3, padding=1)"


@record
class Rejects:
    """An example that must be refused with `code`."""

    call: str
    inputs: tuple[str, ...]
    code: str


@record
class Limitation:
    """A known gap: a facet that an operator cannot have under a condition, and why. Listed by a test, and in `ops`."""

    facet: str
    condition: str
    reason: str


class Operator(BaseModel):
    """Base of all operators. Fields are the arguments, in positional order; they are frozen and strictly typed."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", defer_build=True, arbitrary_types_allowed=True, ser_json_inf_nan="constants"
    )  # fmt: skip

    #: the name in the language, and the stem of automatic labels (`conv` gives `conv1`)
    NAME: ClassVar[str]
    LABEL: ClassVar[str] = ""
    #: other spellings (`bn`)
    ALIASES: ClassVar[tuple[str, ...]] = ()
    #: io, conv, norm, activation, pool, upsample, linear, attention, reshape, regularizer, merge, recurrent
    FAMILY: ClassVar[str]
    #: what a picture writes where tensors meet in it (`++`), if it is not the sign of an arithmetic operator
    SYMBOL: ClassVar[str] = ""
    #: how it is called, where its fields are not what is written in the language
    SIGNATURE: ClassVar[str] = ""
    #: how many tensors it takes: a number, or (least, most) with most None for any number
    ARITY: ClassVar[int | tuple[int, int | None]] = 1
    #: arguments that are tensors in the language (`resize(like = e)`): they become further inputs, in this order, and
    #: the field of that name (a bool) says whether one was given
    TENSOR_ARGUMENTS: ClassVar[tuple[str, ...]] = ()
    #: what its outputs are called in the language (`f = x -> lstm(8, states = true)`, `f.h`), where it has several
    OUTPUTS: ClassVar[tuple[str, ...]] = ()
    #: how large the numbers inside of it are, if they may be far larger than its output: 1 for a gate that closes; else 0
    SCALE: ClassVar[float] = 0.0
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = ()
    LIMITATIONS: ClassVar[tuple[Limitation, ...]] = ()

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType | tuple[TensorType, ...]:
        """The type of the output, or of each output. Raises `Reject`; conditions on open sizes go to `need`."""
        raise NotImplementedError

    def params(self, inputs: tuple[TensorType, ...]) -> tuple[Weight, ...]:
        """What the operator stores, in torch's order: parameters, then buffers. Called after `shape` accepted."""
        return ()

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """For each output, which input positions a position depends on (eval mode)."""
        return tuple(pointwise(o.rank, len(inputs)) for o in outputs)

    def macs(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> Size:
        """Multiply-accumulates of one application (one counts one; bias, norm, activation, pooling count none)."""
        return 0

    def torch(self, site: Site) -> Torch:
        """The operator in PyTorch."""
        raise NotImplementedError

    def onnx(self, site: Site) -> OnnxTerm | tuple[OnnxTerm, ...]:
        """The operator in ONNX: a term for its output, or one for each."""
        raise NotImplementedError
