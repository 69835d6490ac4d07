"""The element type of every value of a model, by a table over ONNX's operators.

`shape_inference` of the `onnx` package knows the same (the tests hold the two against each other), but importing it takes longer than
writing a model, and it reads bytes, not records. Types as in the operator schemas of https://onnx.ai/onnx/operators.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from netspec.backends.onnx.model import OnnxModel, Operation
from netspec.terms import ONNX_ELEMENT, Const

_NAMES = {number: name for name, number in ONNX_ELEMENT.items()}

#: Operators all of whose outputs are of the type of their first input.
_AS_FIRST = frozenset(
    """
    Abs Acos Acosh Add Asin Asinh Atan Atanh Attention AveragePool BatchNormalization Ceil Celu Clip Concat Conv ConvTranspose Cos Cosh
    CumSum DepthToSpace Div Dropout Einsum Elu Erf Exp Expand Flatten Floor GRU Gather GatherElements GatherND Gelu Gemm
    GlobalAveragePool GlobalLpPool GlobalMaxPool GridSample GroupNormalization HardSigmoid HardSwish Identity InstanceNormalization LRN
    LSTM LayerNormalization LeakyRelu Log LogSoftmax LpNormalization LpPool MatMul Max MaxPool Mean Min Mish Mod Mul Neg PRelu Pad Pow
    RNN Range Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
    ReduceSumSquare Relu Reshape Resize ReverseSequence Round ScatterElements ScatterND Selu Sigmoid Sign Sin Sinh Slice Softmax
    Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Swish Tan Tanh ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze
    """.split()
)
#: Those of the type of another.
_AS_INPUT = {"CastLike": 1, "OneHot": 2, "RMSNormalization": 1, "Where": 1}
#: Those of one type, whatever they read.
_ALWAYS = {
    **dict.fromkeys("And Equal Greater GreaterOrEqual IsInf IsNaN Less LessOrEqual Not Or Xor".split(), "bool"),
    **dict.fromkeys("ArgMax ArgMin NonZero Shape Size".split(), "int64"),
}
#: Outputs that are of another type than the first.
_FURTHER = {("MaxPool", 1): "int64", ("TopK", 1): "int64", ("LayerNormalization", 1): "float32", ("LayerNormalization", 2): "float32"}


def element_types(model: OnnxModel) -> dict[str, str]:
    """The element type of every value by name: inputs, weights, constants, and what nodes put out (those in bodies are not told:
    names in there are none of the model's). Raises KeyError for an operator that the table does not have and no type is noted of."""
    types = {name: kind.dtype for name, kind in (*model.inputs, *model.outputs, *model.values)}
    types.update((tensor.name, tensor.dtype) for tensor in model.weights)
    types.update((constant.name, constant.dtype) for constant in model.constants)
    propagate(model.nodes, types)
    return types


def propagate(nodes: Iterable[Operation], types: dict[str, str]) -> None:
    """Add what the nodes put out to the types of what they read."""
    for node in nodes:
        for index, name in enumerate(node.outputs):
            if name and not (node.domain and name in types):
                types[name] = output_type(node, index, types)


def output_type(node: Operation, index: int, types: Mapping[str, str]) -> str:
    """The element type of one output of a node."""
    kind = node.op_type
    if node.domain:
        raise KeyError(f"{node.domain}.{kind}")
    if (kind, index) in _FURTHER:
        return _FURTHER[kind, index]
    if kind in _AS_FIRST:
        return types[node.inputs[0]]
    if kind in _ALWAYS:
        return _ALWAYS[kind]
    if kind in _AS_INPUT:
        return types[node.inputs[_AS_INPUT[kind]]]
    if kind == "Cast":
        return element(node.attributes.values["to"])
    if kind in ("ConstantOfShape", "Constant"):
        value = node.attributes.values.get("value")
        return value.dtype if isinstance(value, Const) else "float32"
    if node.body is not None:
        return node.body.outputs[index][1].dtype
    raise KeyError(kind)


def element(code: Any) -> str:
    """An element type by our name, of its number or of that name."""
    return code if isinstance(code, str) else _NAMES[code]
