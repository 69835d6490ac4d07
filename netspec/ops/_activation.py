"""What activations share: a shape rule, and exponentials that keep their digits in ONNX.

onnxruntime's kernels lose what torch keeps: its Sigmoid is 0 from -18 downwards (torch: 1.5e-8), and its Elu, Selu and
Celu take 1 from an exponential, which is 0 for inputs near 1e-8. The formulas here are as fast to within a factor of two.
"""

from typing import ClassVar

from netspec.op import Needs, Operator
from netspec.ops._inputs import require_floats
from netspec.sizes.tensor import TensorType
from netspec.terms import OnnxTerm, op, scalar

#: Element types whose range is too small for `exp(-x)`: there the kernels are as exact as the type.
_NARROW = ("float16", "bfloat16")


class Activation(Operator):
    """A function of one floating-point tensor that keeps its shape. The subclass says the rest."""

    FAMILY: ClassVar[str] = "activation"

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        require_floats(self.NAME, *inputs)
        return inputs[0]


def gated(value: OnnxTerm, gate: OnnxTerm, dtype: str) -> OnnxTerm:
    """`value * sigmoid(gate)`, as `value / (1 + exp(-gate))`."""
    if dtype in _NARROW:
        return op("Mul", value, op("Sigmoid", gate))
    return op("Div", value, _one_and_exponential(gate, dtype))


def sigmoid(x: OnnxTerm, dtype: str) -> OnnxTerm:
    """`1 / (1 + exp(-x))`, exact in its relative error far below zero."""
    return op("Sigmoid", x) if dtype in _NARROW else op("Reciprocal", _one_and_exponential(x, dtype))


def _one_and_exponential(x: OnnxTerm, dtype: str) -> OnnxTerm:
    return op("Add", op("Exp", op("Neg", x)), scalar(1.0, dtype))


def exponential_below_zero(x: OnnxTerm, alpha: float, dtype: str) -> OnnxTerm:
    """`x` above zero, `alpha * (exp(x) - 1)` below.

    `exp(x) - 1 = 2 t / (1 - t)` with `t = tanh(x / 2)` cancels nothing: for x below zero t is in [-1, 0].
    """
    t = op("Tanh", op("Mul", op("Min", x, scalar(0.0, dtype)), scalar(0.5, dtype)))
    exponential = op("Div", op("Mul", t, scalar(2.0 * alpha, dtype)), op("Sub", scalar(1.0, dtype), t))
    return op("Add", op("Relu", x), exponential)
