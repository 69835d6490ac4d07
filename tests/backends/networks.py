"""Small networks, built by hand: a few operators of the tests' own, and a builder of graphs."""

from __future__ import annotations

from typing import Any

from netspec.graph import Frame, Graph, Node, OpenSize, Port, Scope, Tensor, Value
from netspec.op import ONES, ZEROS, Initializer, Operator, Site, Weight, initializer
from netspec.sizes.dim import Dim, Size, names
from netspec.sizes.tensor import TensorType
from netspec.terms import In, OnnxTerm, Own, SizeScalar, SizeVec, op, scalar, vector


class Conv(Operator):
    """A square two-dimensional convolution that keeps height and width."""

    NAME = "conv"
    FAMILY = "conv"
    channels: int
    kernel: int = 3
    bias: bool = False

    def shape(self, inputs, need) -> TensorType:
        return inputs[0].with_shape((inputs[0].shape[0], self.channels, *inputs[0].shape[2:]))

    def params(self, inputs) -> tuple[Weight, ...]:
        c, k = inputs[0].channels, self.kernel
        he = initializer("he_normal", mode="fan_out")
        weight = Weight("weight", (self.channels, c, k, k), he, c * k * k, self.channels * k * k)
        return (weight, Weight("bias", (self.channels,), ZEROS, role="bias")) if self.bias else (weight,)

    def onnx(self, site: Site) -> OnnxTerm:
        p = self.kernel // 2
        own = (Own("weight"), Own("bias")) if self.bias else (Own("weight"),)
        return op("Conv", In(), *own, kernel_shape=(self.kernel,) * 2, pads=(p,) * 4, strides=(1, 1))


class Norm(Operator):
    """Batch normalization."""

    NAME = "batch_norm"
    FAMILY = "norm"

    def shape(self, inputs, need) -> TensorType:
        return inputs[0]

    def params(self, inputs) -> tuple[Weight, ...]:
        c = (inputs[0].channels,)
        statistics = (("running_mean", ZEROS, "statistic"), ("running_var", ONES, "statistic"))
        return (
            Weight("weight", c, ONES, role="scale"),
            Weight("bias", c, ZEROS, role="bias"),
            *(Weight(name, c, init, trainable=False, role=role) for name, init, role in statistics),
            Weight("num_batches_tracked", (), ZEROS, dtype="int64", trainable=False, role="counter"),
        )

    def onnx(self, site: Site) -> OnnxTerm:
        own = (Own("weight"), Own("bias"), Own("running_mean"), Own("running_var"))
        return op("BatchNormalization", In(), *own, epsilon=1e-5)


class Linear(Operator):
    """`x W^T + b` on the last of two axes."""

    NAME = "linear"
    FAMILY = "linear"
    features: int

    def shape(self, inputs, need) -> TensorType:
        return inputs[0].with_shape((*inputs[0].shape[:-1], self.features))

    def params(self, inputs) -> tuple[Weight, ...]:
        n = inputs[0].shape[-1]
        default = initializer("torch_default", fan=n)
        return Weight("weight", (self.features, n), default, n, self.features), Weight("bias", (self.features,), default, role="bias")

    def onnx(self, site: Site) -> OnnxTerm:
        return op("Gemm", In(), Own("weight"), Own("bias"), transB=1)


class Plain(Operator):
    """One ONNX node on all inputs, keeping the shape."""

    NAME = "plain"
    FAMILY = "activation"
    what: str = "Relu"

    def shape(self, inputs, need) -> TensorType:
        return inputs[0]

    def onnx(self, site: Site) -> OnnxTerm:
        return op(self.what, *(In(i) for i in range(len(site.inputs))))


class Identity(Operator):
    """Hands its input on without a node."""

    NAME = "identity"
    FAMILY = "reshape"

    def shape(self, inputs, need) -> TensorType:
        return inputs[0]

    def onnx(self, site: Site) -> OnnxTerm:
        return In()


class Flatten(Operator):
    """All axes but the first into one."""

    NAME = "flatten"
    FAMILY = "reshape"

    def shape(self, inputs, need) -> TensorType:
        size: Size = 1
        for s in inputs[0].shape[1:]:
            size = size * s
        return inputs[0].with_shape((inputs[0].shape[0], size))

    def onnx(self, site: Site) -> OnnxTerm:
        return op("Reshape", In(), SizeVec(site.output.shape))


class Sizes(Operator):
    """Puts out sizes of its input, computed in the model: a vector, and their first as a float32 scalar times one."""

    NAME = "sizes"
    FAMILY = "reshape"
    sizes: tuple[Any, ...]

    def shape(self, inputs, need) -> tuple[TensorType, ...]:
        return TensorType((len(self.sizes),), "int64"), TensorType((), "float32")

    def onnx(self, site: Site) -> tuple[OnnxTerm, ...]:
        return op("Identity", SizeVec(self.sizes)), op("Mul", SizeScalar(self.sizes[0], "float32"), scalar(1.0))


class Twice(Operator):
    """`(x * 2 + x * 2)`, its halves written as two equal terms."""

    NAME = "twice"
    FAMILY = "merge"

    def shape(self, inputs, need) -> TensorType:
        return inputs[0]

    def onnx(self, site: Site) -> OnnxTerm:
        return op("Add", op("Mul", In(), scalar(2.0)), op("Mul", In(), scalar(2.0)))


class Halves(Operator):
    """Two outputs of one node."""

    NAME = "halves"
    FAMILY = "reshape"

    def shape(self, inputs, need) -> tuple[TensorType, ...]:
        half = inputs[0].with_shape((inputs[0].shape[0], inputs[0].shape[1] // 2, *inputs[0].shape[2:]))
        return half, half

    def onnx(self, site: Site) -> tuple[OnnxTerm, ...]:
        from netspec.terms import Out

        half = site.output.shape[1]
        return tuple(Out(op("Split", In(), vector((half, half)), axis=1, outputs=2), i) for i in range(2))


class Builder:
    """Collects a graph node by node. `values` are numbers, as in the graph."""

    def __init__(self, name: str = "net") -> None:
        self.name = name
        self.inputs: list[Port] = []
        self.values: list[Value] = []
        self.nodes: list[Node] = []
        self.weights: list[Tensor] = []
        self.opens: dict[str, OpenSize] = {}
        self.shared: dict[str, tuple[int, ...]] = {}

    def input(self, name: str, *shape: Size, dtype: str = "float32") -> int:
        """An input of the network."""
        for size in shape:
            for free in sorted(names(size)):
                self.opens.setdefault(free, OpenSize(name=free, typical=4))
        self.inputs.append(Port(name=name, value=self._value(name, TensorType(shape, dtype))))
        return self.inputs[-1].value

    def add(self, label: str, op: Operator, *inputs: int, init: Initializer | None = None) -> Any:
        """Apply an operator; a label that was there already shares its weights. Gives a number, or one for each output."""
        types = tuple(self.values[i].type for i in inputs)
        out = op.shape(types, None)
        several = isinstance(out, tuple)
        again = label in self.shared
        if not again:
            self.shared[label] = tuple(self._weight(label, w, init) for w in op.params(types))
        name = f"{label}:{sum(n.label == label for n in self.nodes) + 1}" if again else label
        outputs = tuple(self._value(f"{name}.{i}" if several else name, t) for i, t in enumerate(out if several else (out,)))
        self.nodes.append(Node(name=name, label=label, op=op, inputs=inputs, outputs=outputs, weights=self.shared[label]))
        return outputs if several else outputs[0]

    def graph(self, **outputs: int) -> Graph:
        """The finished graph."""
        return Graph(
            name=self.name,
            source="net.net",
            digest="0123",
            sizes=tuple(self.opens.values()),
            inputs=tuple(self.inputs),
            outputs=tuple(Port(name=n, value=v) for n, v in outputs.items()),
            values=tuple(self.values),
            nodes=tuple(self.nodes),
            weights=tuple(self.weights),
            scopes=(Scope(label="", path="", parent=None, kind="net", definition=self.name),),
            frames=(Frame(scope=0, parent=None),),
        )

    def _value(self, name: str, kind: TensorType) -> int:
        self.values.append(Value(name=name, dtype=kind.dtype, shape=kind.shape))
        return len(self.values) - 1

    def _weight(self, label: str, w: Weight, init: Initializer | None) -> int:
        init = init if init is not None and w.role == "weight" else w.init
        fields = {"shape": w.shape, "dtype": w.dtype, "fan_in": w.fan_in, "fan_out": w.fan_out, "trainable": w.trainable, "role": w.role}
        self.weights.append(Tensor(name=f"{label}.{w.name}", local=w.name, init=init, **fields))
        return len(self.weights) - 1


def small() -> Graph:
    """conv, norm, relu, shared conv twice, residual sum, flatten, linear: on a [N, 3, 6, 5] image."""
    b = Builder("small")
    x = b.input("image", Dim.name("N"), 3, 6, 5)
    y = b.add("stem.conv1", Conv(channels=4, bias=True), x)
    y = b.add("stem.bn1", Norm(), y)
    y = b.add("stem.relu1", Plain(), y)
    for _ in range(2):
        z = b.add("shared", Conv(channels=4), y)
        y = b.add(f"add{len(b.nodes)}", Plain(what="Add"), y, z)
    y = b.add("flatten", Flatten(), y)
    return b.graph(logits=b.add("fc", Linear(features=7), y))


def chain(length: int) -> Graph:
    """`length` times conv and relu."""
    b = Builder("chain")
    x = b.input("x", Dim.name("N"), 8, Dim.name("H"), Dim.name("W"))
    for i in range(length):
        x = b.add(f"body.{2 * i}", Conv(channels=8), x)
        x = b.add(f"body.{2 * i + 1}", Plain(), x)
    return b.graph(y=x)
