"""Target code as data: what an operator's `torch` and `onnx` facets return.

A term describes a call; it is not one. So operator files import neither framework, a term can be compared, rewritten
(`weight_norm` replaces a parameter by an expression) and printed, and only the back ends know how to spell it.
"""

from __future__ import annotations

from typing import Any, Union

from netspec.record import record
from netspec.sizes.dim import Size


@record
class In:
    """The operator's input number `index`."""

    index: int = 0


@record
class Own:
    """The operator's own parameter or buffer, by the local name that its `params` facet gave (`weight`)."""

    name: str


# ----------------------------------------------------------------------------------------------------------- PyTorch
@record
class Self:
    """The submodule that this operator stands for in its parent: `self.conv1`. Call it with `Call(Self(), …)`."""


@record
class Call:
    """`function(*args, **kwargs)`. `function` is a dotted name (`F.relu`, `torch.cat`), or a term (`Self()`)."""

    function: Union[str, "TorchTerm"]
    args: tuple[Any, ...] = ()
    kwargs: tuple[tuple[str, Any], ...] = ()


@record
class Method:
    """`receiver.name(*args, **kwargs)`."""

    receiver: "TorchTerm"
    name: str
    args: tuple[Any, ...] = ()
    kwargs: tuple[tuple[str, Any], ...] = ()


@record
class Infix:
    """`left op right` for `+ - * / ** @ // %` and comparisons."""

    op: str
    left: Any
    right: Any


@record
class Item:
    """`value[index]`; `index` is a literal, a tuple, or Python slices."""

    value: Any
    index: Any


@record
class Device:
    """The device that the network runs on, for a tensor made of nothing: `torch.arange(x.shape[1], device=x.device)`. It is
    that of the tensor whose axis one of `near` is, where there is one."""

    near: tuple[Size, ...] = ()


@record
class Module:
    """What `__init__` builds: `cls(*args, **kwargs)`. `cls` is a dotted name (`nn.Conv2d`), a `Support` class, or a
    wrapping function such as `nn.utils.parametrizations.weight_norm` whose first argument is a `Module`."""

    cls: Union[str, "Support"]
    args: tuple[Any, ...] = ()
    kwargs: tuple[tuple[str, Any], ...] = ()


@record
class Support:
    """A stand-alone Python class or function that the generated file carries, where torch has no counterpart.

    `source` may use `torch`, `nn`, `F`, `math` and `Tensor`; it must define `name` and be formatted as `ruff format`
    leaves it. Parameters must carry the names that the operator's `params` facet gives.
    """

    name: str
    source: str


@record
class Torch:
    """An operator in PyTorch.

    `module` is what stands under the operator's label (None for a pure function); `forward` the expression that
    computes the output (None means `self.label(inputs…)`). An operator of several outputs computes a tuple or list.
    `owns` says that the parameters are the operator's directly (`param`): `self.label = nn.Parameter(…)`, or what `module` says.
    `imports` are packages of the user's own that it needs (`extern`).
    """

    module: Module | None = None
    forward: "TorchTerm | None" = None
    supports: tuple[Support, ...] = ()
    owns: bool = False
    imports: tuple[str, ...] = ()


#: Anything that may stand in a torch expression. Plain ints, floats, bools, strings, None and tuples stand for
#: themselves; a symbolic size stands for its value at run time.
TorchTerm = Union[In, Own, Self, Call, Method, Infix, Item, Device, Module, Size, float, bool, str, None, tuple]


# -------------------------------------------------------------------------------------------------------------- ONNX
#: TensorProto.DataType by our names of the element types.
ONNX_ELEMENT: dict[str, int] = {
    "float32": 1,
    "uint8": 2,
    "int8": 3,
    "int32": 6,
    "int64": 7,
    "bool": 9,
    "float16": 10,
    "float64": 11,
    "bfloat16": 16,
}


@record
class Const:
    """A constant tensor: `values` flat, in row-major order. `shape` () is a scalar."""

    dtype: str
    shape: tuple[int, ...]
    values: tuple[Any, ...]


@record
class SizeVec:
    """A one-dimensional int64 tensor of sizes, symbolic ones computed from the inputs' shapes at run time."""

    sizes: tuple[Size, ...]


@record
class SizeScalar:
    """One size as a zero-dimensional int64 tensor (cast to `dtype` if another is asked for)."""

    size: Size
    dtype: str = "int64"


@record
class Op:
    """One ONNX node. `inputs` may hold None for one left out. `outputs` counts its results; take one with `Out`."""

    op_type: str
    inputs: tuple["OnnxTerm | None", ...] = ()
    attributes: tuple[tuple[str, Any], ...] = ()
    outputs: int = 1
    domain: str = ""


@record
class Out:
    """Result number `index` of a node of several results."""

    op: Op
    index: int = 0


OnnxTerm = Union[In, Own, Const, SizeVec, SizeScalar, Op, Out]


def op(op_type: str, *inputs: OnnxTerm | None, outputs: int = 1, domain: str = "", **attributes: Any) -> Op:
    """An ONNX node in one line: `op("Conv", In(), Own("weight"), pads=(1, 1, 1, 1))`. Attributes that are None are left out."""
    kept = tuple((name, value) for name, value in attributes.items() if value is not None)
    return Op(op_type, inputs, kept, outputs, domain)


def call(function: Any, *args: Any, **kwargs: Any) -> Call:
    """A torch call in one line: `call("F.pad", In(), (1, 1))`."""
    return Call(function, args, tuple(kwargs.items()))


def module(cls: str | Support, *args: Any, **kwargs: Any) -> Module:
    """A torch module in one line: `module("nn.Conv2d", 3, 64, 7, stride=2)`."""
    return Module(cls, args, tuple(kwargs.items()))


def scalar(value: float, dtype: str = "float32") -> Const:
    """A zero-dimensional ONNX constant."""
    return Const(dtype, (), (value,))


def vector(values: tuple[Any, ...], dtype: str = "int64") -> Const:
    """A one-dimensional ONNX constant."""
    return Const(dtype, (len(values),), tuple(values))
