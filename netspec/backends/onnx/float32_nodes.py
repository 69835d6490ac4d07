"""Which nodes of a model are computed in float32 when the rest goes down to float16 or bfloat16.

Like the lists of PyTorch's autocast and of Micikevicius et al., "Mixed Precision Training" (arXiv:1710.03740, section 3), but said of a
graph that is known whole:

- kept for their range or their sums: exponentials, logarithms, powers, reciprocals, remainders; sums, and what sums squares; softmax;
  the norms' statistics (a whole norm, where it is written as several nodes; LayerNormalization and RMSNormalization keep theirs in float32
  themselves, `stash_type = 1`); batch norms that were not folded; sampling grids; the bodies of scans;
- with them the residual sums that only norms in float32 and other such sums read; the arithmetic that only they read (`scores + mask`
  before a softmax, `t * frequency` before a sine); and what the same operator makes of their result (`1 / (1 + exp(-x))` is rounded once,
  not four times);
- quotients by what is in float32: 1e-12 is zero in float16;
- positions, ranges and other arithmetic of integers, until they meet what is low;
- what reads a constant that the low type cannot hold (1e-12, -1e9), and what ONNX does not define in the low type at that opset.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from netspec.backends.onnx.element_types import element_types
from netspec.backends.onnx.model import OnnxModel, Operation

#: Kept for their range, with the arithmetic that only they read.
_FOR_RANGE = frozenset(
    """
    Acosh Cos Cosh CumSum Exp GlobalLpPool GridSample LRN Log LogSoftmax LpNormalization LpPool Mod Pow Reciprocal ReduceL1 ReduceL2
    ReduceLogSum ReduceLogSumExp ReduceProd ReduceSum ReduceSumSquare Scan Sin Sinh Softmax Softplus Tan
    """.split()
)
#: Kept alone: their statistics are their weights, or are theirs to compute.
_NORMS = frozenset(("BatchNormalization", "InstanceNormalization"))
#: Norms that compute their statistics in float32 whatever they are given, and operators that move what a norm reads.
_STASHING = frozenset(("LayerNormalization", "RMSNormalization", "GroupNormalization"))
#: Operators of ours that compute a weight from others, at no cost that depends on the data.
_REPARAMETRIZED = frozenset(("weight_norm", "spectral_norm"))
#: Each element of the result is one of the arguments' elements, computed with.
_ELEMENTWISE = frozenset("Abs Add Clip Div Max Mean Min Mul Neg Reciprocal Sqrt Sub Sum Tanh Where".split())
#: Each element of the result is one of the argument's.
MOVES = frozenset(
    """
    DepthToSpace Expand Flatten Gather GatherElements Identity Reshape Slice SpaceToDepth Split Squeeze Tile Transpose Trilu Unsqueeze
    """.split()
)
#: The opset from which on ONNX defines an operator for bfloat16, where that is later than 17; or 99: it does not.
_BFLOAT16_FROM = {
    **dict.fromkeys(
        """
        Acos Acosh Asin Asinh Atan Atanh AveragePool Conv ConvTranspose Cos Cosh Elu EyeLike GRU GlobalAveragePool GlobalLpPool
        GlobalMaxPool GridSample HardSigmoid HardSwish InstanceNormalization LSTM LpNormalization LpPool MaxPool Mish RNN Round Selu Sin
        Sinh Softplus Softsign Tan ThresholdedRelu
        """.split(),
        22,
    ),
    "ConstantOfShape": 20,
    "IsInf": 20,
    **dict.fromkeys("Celu Einsum OneHot Range".split(), 99),
}
#: The same of float16.
_FLOAT16_FROM = {"IsInf": 20, "Celu": 99, "Range": 99}


def is_defined(op_type: str, dtype: str, opset: int) -> bool:
    """Whether ONNX defines an operator for float16 or bfloat16 at an opset."""
    return opset >= (_BFLOAT16_FROM if dtype == "bfloat16" else _FLOAT16_FROM).get(op_type, 0)


def operands(node: Operation) -> tuple[str, ...]:
    """The inputs whose type is the node's own: not the scales of a Resize, which are float32 always; in a body, all that it reads."""
    if node.op_type == "Resize":
        return node.inputs[:1]
    return tuple(name for name in node.reads if name)


class Plan:
    """Where each node computes: `low` are the numbers of those in the low type, `types` the types of all values before.

    A value flows from `data` where floating inputs or weights are in what it is computed of; others come of sizes and integers.
    """

    def __init__(
        self, model: OnnxModel, dtype: str, keep_ports: bool, holds: Callable[[str], bool], named: Collection[str] = ()
    ) -> None:  # fmt: skip
        """`holds` says of a constant's name whether the low type can hold its elements; `named` are the graph's nodes that are kept."""
        self.named = named
        self.model, self.dtype, self.keep_ports, self.holds = model, dtype, keep_ports, holds
        self.types = element_types(model)
        self.constants = {constant.name for constant in model.constants}
        self.outputs = {name for name, _ in model.outputs}
        self.maker = {name: number for number, node in enumerate(model.nodes) for name in node.outputs if name}
        self.readers: dict[str, list[int]] = {}
        for number, node in enumerate(model.nodes):
            for name in set(self.floats(node)):
                self.readers.setdefault(name, []).append(number)
        self.parameters = self._of_weights()
        self.kept = {number for number, node in enumerate(model.nodes) if self._is_kept(node)}
        self.late: set[int] = set()
        self._absorb()
        self.data: set[str] = set()
        self.low: set[int] = set()
        self._descend()

    def floats(self, node: Operation) -> list[str]:
        """The operands that are float32 in the model as it is."""
        return [name for name in operands(node) if self.types.get(name) == "float32"]

    def is_low(self, name: str) -> bool:
        """Whether a float32 value that is no constant and no weight is made in the low type."""
        number = self.maker.get(name)
        return number in self.low if number is not None else not self.keep_ports

    def _floating_outputs(self, node: Operation) -> Iterator[str]:
        return (name for name in node.outputs if self.types.get(name) == "float32")

    def _of_weights(self) -> set[str]:
        """The names of float32 values that are computed of weights and constants alone."""
        found = {tensor.name for tensor in self.model.weights} | self.constants
        for node in self.model.nodes:
            floats = self.floats(node)
            if floats and found.issuperset(floats):
                found.update(self._floating_outputs(node))
        return found

    def _is_kept(self, node: Operation) -> bool:
        """Whether a node is kept for what it is itself."""
        operator = node.node.op if node.node is not None else None
        if node.op_type in _FOR_RANGE or node.op_type in _NORMS or node.domain or node.node is not None and node.node.name in self.named:
            return True
        if node.attributes.values.get("reduction", "none") != "none":  # what is scattered is added up
            return True
        if operator is not None and operator.FAMILY == "norm" and node.op_type not in _STASHING:
            return True
        floats = self.floats(node)
        if operator is not None and operator.NAME in _REPARAMETRIZED and self.parameters.issuperset(floats):
            return True
        return not is_defined(node.op_type, self.dtype, self.model.opset)

    def _absorb(self) -> None:
        """Keep the arithmetic that is read for its range alone; and note the moves that only nodes in float32 read."""
        nodes = self.model.nodes
        absorbing = {number for number in self.kept if nodes[number].op_type in _FOR_RANGE}
        for number in reversed(range(len(nodes))):
            node = nodes[number]
            if number in self.kept or node.op_type not in _ELEMENTWISE and node.op_type not in MOVES:
                continue
            readers = self._readers(node)
            if not readers:
                continue
            if -1 not in readers and readers <= absorbing:
                absorbing.add(number)
                self.kept.add(number)
            elif node.op_type == "Add" and readers <= self.kept:  # a residual sum that norms read: no cast more, and no rounding
                self.kept.add(number)
            elif node.op_type in MOVES and all(r == -1 or r in self.kept or r in self.late for r in readers):
                self.late.add(number)

    def _readers(self, node: Operation) -> set[int]:
        """The numbers of the nodes that read a node's floating results, -1 for an output in float32, -2 for one in the low type."""
        found: set[int] = set()
        for name in self._floating_outputs(node):
            found.update(self.readers.get(name, ()))
            if name in self.outputs:
                found.add(-1 if self.keep_ports else -2)
        return found

    def _descend(self) -> None:
        """Follow the data down the model: what it reaches is low, if nothing keeps it."""
        self.data.update(name for name, kind in self.model.inputs if kind.dtype == "float32")
        self.data.update(tensor.name for tensor in self.model.weights if tensor.dtype == "float32")
        wild = {name for name in self.constants if not self.holds(name)}  # and what is computed of them and of integers
        for number, node in enumerate(self.model.nodes):
            floats = self.floats(node)
            sources = [name for name in floats if name not in self.constants]
            if not self.data.isdisjoint(sources):
                self.data.update(self._floating_outputs(node))
                if number not in self.kept and wild.isdisjoint(floats) and not self._stays(node, number, sources):
                    self.low.add(number)
            elif node.op_type == "Cast" and self.types[node.inputs[0]] in ("float16", "bfloat16", "float64"):
                self.data.update(self._floating_outputs(node))
            elif not wild.isdisjoint(floats):
                wild.update(self._floating_outputs(node))

    def _stays(self, node: Operation, number: int, sources: list[str]) -> bool:
        """Whether a node that nothing keeps is better off in float32, since what it reads is."""
        wide = [name for name in sources if name not in self.parameters and not self.is_low(name)]
        if not any(True for _ in self._floating_outputs(node)):  # comparisons: as exact as what they compare
            return bool(wide)
        if number in self.late and len(wide) == len(sources):
            return True
        if node.op_type not in _ELEMENTWISE:
            return False
        if any(self._is_divisor(node, name) for name in wide):
            return True
        if node.node is not None and any(self._made_by(node, name) for name in wide):
            return True
        computed = {name for name in wide if name in self.data and name in self.maker and len(self.readers[name]) == 1}
        return len(computed) > 1 and len(computed) == len(set(sources))

    def _is_divisor(self, node: Operation, name: str) -> bool:
        """Whether a node divides by data in float32, or multiplies by its inverse: 1e-12 is zero in float16, 1e12 infinite."""
        if name not in self.data or name not in self.maker:
            return False
        made = self.model.nodes[self.maker[name]].node
        inverse = node.op_type == "Mul" and made is not None and made.op.NAME in ("reciprocal", "rsqrt")
        return inverse or node.op_type == "Div" and node.inputs[1] == name

    def _made_by(self, node: Operation, name: str) -> bool:
        """Whether a value is data that the same operator of ours made, in float32."""
        number = self.maker.get(name)
        return number is not None and name in self.data and self.model.nodes[number].node is node.node
