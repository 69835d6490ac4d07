"""Lowering bugs of the kinds that real exporters had, planted one at a time into the ONNX side of a network.

A bug is a rewriting of the ONNX term of one node: an attribute dropped or changed, inputs swapped, one weight off by a
tenth of a percent. The PyTorch side stays as it is, so `verify` must see it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, Callable

from netspec.graph import Graph
from netspec.op import Site
from netspec.terms import Const, In, Op, Out, Own

Rewrite = Callable[[Any, Site], Any]


@dataclass(frozen=True)
class Bug:
    """A network, the operator in it that is lowered wrongly (its first application), and how."""

    name: str
    net: str
    operator: str
    rewrite: Rewrite


def plant(graph: Graph, bug: Bug) -> Graph:
    """The graph with the bug in it."""
    nodes = list(graph.nodes)
    index = next(i for i, n in enumerate(nodes) if n.op.NAME == bug.operator)
    before = nodes[index].op

    def onnx(self: Any, site: Site) -> Any:
        term = type(before).onnx(self, site)
        rewritten = bug.rewrite(term, site)
        assert rewritten != term, f"{bug.name}: the bug changes nothing"
        return rewritten

    mutant = type("Mutant", (type(before),), {"onnx": onnx, "__module__": __name__})
    fields = {name: getattr(before, name) for name in type(before).model_fields}
    nodes[index] = nodes[index].model_copy(update={"op": mutant.model_construct(**fields)})
    return graph.model_copy(update={"nodes": tuple(nodes)})


def walk(term: Any, change: Callable[[Any], Any]) -> Any:
    """Rebuild a term, innermost first, with `change` applied to every part."""
    if isinstance(term, tuple):
        return tuple(walk(t, change) for t in term)
    if isinstance(term, Op):
        term = Op(term.op_type, tuple(walk(i, change) for i in term.inputs), term.attributes, term.outputs, term.domain)
    elif isinstance(term, Out):
        term = Out(walk(term.op, change), term.index)
    return change(term)


def attribute(op_type: str, name: str, value: Any) -> Rewrite:
    """Set an attribute of every node of a type; None drops it; a function gets the old value."""

    def change(term: Any) -> Any:
        if not isinstance(term, Op) or term.op_type != op_type:
            return term
        old = dict(term.attributes)
        new = value(old.get(name)) if callable(value) else value
        kept = {k: v for k, v in old.items() if k != name}
        if new is not None:
            kept[name] = new
        return Op(term.op_type, term.inputs, tuple(kept.items()), term.outputs, term.domain)

    return lambda term, site: walk(term, change)


def swapped(op_type: str, first: int = 0, second: int = 1) -> Rewrite:
    """Swap two inputs of every node of a type."""

    def change(term: Any) -> Any:
        if not isinstance(term, Op) or term.op_type != op_type:
            return term
        inputs = list(term.inputs)
        inputs[first], inputs[second] = inputs[second], inputs[first]
        return Op(term.op_type, tuple(inputs), term.attributes, term.outputs, term.domain)

    return lambda term, site: walk(term, change)


def retyped(before: str, after: str) -> Rewrite:
    """One operator in place of another."""

    def change(term: Any) -> Any:
        if isinstance(term, Op) and term.op_type == before:
            return Op(after, term.inputs, term.attributes, term.outputs, term.domain)
        return term

    return lambda term, site: walk(term, change)


def constant(change: Callable[[tuple[Any, ...]], tuple[Any, ...]], dtype: str = "float32") -> Rewrite:
    """Change the values of every constant of a dtype."""

    def rewrite(term: Any) -> Any:
        if isinstance(term, Const) and term.dtype == dtype:
            return Const(term.dtype, term.shape, change(term.values))
        return term

    return lambda term, site: walk(term, rewrite)


def off_by(name: str, factor: float = 1.001) -> Rewrite:
    """One element of a stored tensor off by `factor`."""

    def rewrite(term: Any, site: Site) -> Any:
        shape = site.weight(name).shape
        values = [1.0] * prod(shape)
        values[len(values) // 2] = factor
        wrong = Op("Mul", (Own(name), Const("float32", shape, tuple(values))))
        return walk(term, lambda t: wrong if t == Own(name) else t)

    return rewrite


def scaled(factor: float) -> Rewrite:
    """The result times a factor."""
    return lambda term, site: Op("Mul", (term, Const("float32", (), (factor,))))


def _shift(pads: Any) -> Any:
    """Explicit pads moved by one from the end to the beginning, on every axis where that can be."""
    half = len(pads) // 2
    begin, end = list(pads[:half]), list(pads[half:])
    return tuple(b + 1 for b in begin) + tuple(e - 1 for e in end)


def _net(body: str, shape: str = "[N, 6, H = 9, W = 8]") -> str:
    return f"net f {{\n  input x: {shape}\n  output x -> {body}\n}}"


CONV = _net("conv(8, 3, padding = 1, groups = 2) -> bn -> relu -> conv(5, 3, stride = 2, dilation = 2, padding = 2)")
UP = _net("conv_transpose(4, 3, stride = 2, padding = 1, output_padding = 1, groups = 2) -> leaky_relu(0.2)")
POOL = _net("avg_pool(3, stride = 2, padding = 1) -> relu")
FLAT = _net("global_avg_pool -> flatten -> linear(7) -> softmax")
SEQUENCE = _net("layer_norm -> linear(12) -> gelu", "[N, T = 7, 12]")

BUGS = [
    Bug("batch norm with twice the epsilon", CONV, "batch_norm", attribute("BatchNormalization", "epsilon", 2e-5)),
    Bug("batch norm mean and variance swapped", CONV, "batch_norm", swapped("BatchNormalization", 3, 4)),
    Bug("batch norm scale and bias swapped", CONV, "batch_norm", swapped("BatchNormalization", 1, 2)),
    Bug("batch norm scale off by 0.1 %", CONV, "batch_norm", off_by("weight")),
    Bug("batch norm bias off by 0.1 %", CONV, "batch_norm", off_by("bias")),
    Bug("batch norm mean off by 0.1 %", CONV, "batch_norm", off_by("running_mean")),
    Bug("batch norm variance off by 0.1 %", CONV, "batch_norm", off_by("running_var")),
    Bug("one convolution weight off by 0.1 %", CONV, "conv", off_by("weight")),
    Bug("one convolution bias off by 0.1 %", CONV, "conv", off_by("bias")),
    Bug("convolution bias left out", CONV, "conv", lambda t, s: Op(t.op_type, t.inputs[:2], t.attributes)),
    Bug("pads moved by one", CONV, "conv", attribute("Conv", "pads", _shift)),
    Bug("transposed pads moved by one", UP, "conv_transpose", attribute("ConvTranspose", "pads", _shift)),
    Bug("transposed output padding left out", UP, "conv_transpose", attribute("ConvTranspose", "output_padding", None)),
    Bug("transposed weight off by 0.1 %", UP, "conv_transpose", off_by("weight")),
    Bug("leaky slope at ONNX's default", UP, "leaky_relu", attribute("LeakyRelu", "alpha", None)),
    Bug("leaky slope off by 1 %", UP, "leaky_relu", attribute("LeakyRelu", "alpha", lambda a: a * 1.01)),
    Bug("average pooling without counting the padding", POOL, "avg_pool", attribute("AveragePool", "count_include_pad", None)),
    Bug("average pooling off by one part in 10,000", POOL, "avg_pool", scaled(1.0001)),
    Bug("average pads moved by one", POOL, "avg_pool", attribute("AveragePool", "pads", _shift)),
    Bug("one linear weight off by 0.1 %", FLAT, "linear", off_by("weight")),
    Bug("one linear bias off by 0.1 %", FLAT, "linear", off_by("bias")),
    Bug("softmax over the batch", FLAT, "softmax", attribute("Softmax", "axis", 0)),
    Bug("layer norm with twice the epsilon", SEQUENCE, "layer_norm", attribute("LayerNormalization", "epsilon", 2e-5)),
    Bug("layer norm over two axes", SEQUENCE, "layer_norm", attribute("LayerNormalization", "epsilon", 1e-3)),
    Bug("layer norm scale off by 0.1 %", SEQUENCE, "layer_norm", off_by("weight")),
    Bug("gelu by tanh", SEQUENCE, "gelu", attribute("Gelu", "approximate", "tanh")),
    Bug("sequence linear weight off by 0.1 %", SEQUENCE, "linear", off_by("weight")),
    Bug("max pool pads moved by one", _net("max_pool(3, stride = 2, padding = 1)"), "max_pool", attribute("MaxPool", "pads", _shift)),
    Bug("max pool without dilation", _net("max_pool(2, stride = 1, dilation = 2)"), "max_pool", attribute("MaxPool", "dilations", None)),
    Bug("relu in place of relu6", _net("relu6"), "relu6", lambda t, s: Op("Relu", (In(),))),
    Bug("elu with another alpha", _net("elu(0.5)"), "elu", constant(lambda v: tuple(x * 1.01 if x == 1.0 else x for x in v))),
    Bug("hard sigmoid at ONNX's default", _net("hard_sigmoid"), "hard_sigmoid", attribute("HardSigmoid", "alpha", None)),
    Bug("sigmoid in place of tanh", _net("tanh"), "tanh", retyped("Tanh", "Sigmoid")),
    Bug("prelu slope off by 0.1 %", _net("prelu(per_channel = true)"), "prelu", off_by("weight")),
    Bug("softplus without beta", _net("softplus(2.0)"), "softplus", lambda t, s: Op("Softplus", (In(),))),
    Bug("nearest by rounding", _net("resize(scale = 2.5)"), "resize", attribute("Resize", "nearest_mode", "round_prefer_floor")),
    Bug(
        "nearest by half pixels", _net("resize(scale = 1.5)"), "resize", attribute("Resize", "coordinate_transformation_mode", "half_pixel")
    ),
    Bug(
        "bilinear with aligned corners",
        _net("resize(scale = 2, mode = bilinear)"),
        "resize",
        attribute("Resize", "coordinate_transformation_mode", "align_corners"),
    ),
    Bug("bicubic with ONNX's own a", _net("resize(scale = 2, mode = bicubic)"), "resize", attribute("Resize", "cubic_coeff_a", -0.5)),
    Bug(
        "pixel shuffle in depth order",
        _net("pixel_shuffle(2)", "[N, 8, H = 5, W = 6]"),
        "pixel_shuffle",
        attribute("DepthToSpace", "mode", "DCR"),
    ),
    Bug("concat in the other order", "net f {\n  input x: [N, 4, 5]\n  output (x -> relu) ++ (x -> tanh)\n}", "concat", swapped("Concat")),
    Bug("subtraction the wrong way", "net f {\n  input x: [N, 4]\n  output (x -> relu) - (x -> tanh)\n}", "sub", swapped("Sub")),
    Bug("division the wrong way", "net f {\n  input x: [N, 4]\n  output (x -> exp) / ((x -> exp) + 1)\n}", "div", swapped("Div")),
    Bug("product for a sum", "net f {\n  input x: [N, 4]\n  output (x -> relu) + (x -> tanh)\n}", "add", retyped("Add", "Mul")),
    Bug("transposed axes", _net("permute([0, 2, 1])", "[N, 6, 6]"), "permute", attribute("Transpose", "perm", (0, 1, 2))),
    Bug("mean over the wrong axis", _net("mean(axis = 1, keepdim = true)", "[N, 6, 6]"), "mean", constant(lambda v: (2,), "int64")),
    Bug(
        "maximum for a minimum",
        "net f {\n  input x: [N, 4]\n  output (x -> relu, x -> tanh) -> maximum\n}",
        "maximum",
        retyped("Max", "Min"),
    ),
    Bug("group norm with twice the epsilon", _net("gn(3)"), "group_norm", attribute("InstanceNormalization", "epsilon", 2e-5)),
    Bug("group norm scale off by 0.1 %", _net("gn(3)"), "group_norm", off_by("weight")),
    Bug(
        "instance norm with twice the epsilon", _net("instance_norm"), "instance_norm", attribute("InstanceNormalization", "epsilon", 2e-5)
    ),
    Bug("rms norm scale off by 0.1 %", _net("rms_norm", "[N, T = 7, 12]"), "rms_norm", off_by("weight")),
    Bug(
        "one embedding entry off by 0.1 %",
        "net f {\n  input x: int64 [N, 9]\n  output x -> embedding(3, 4)\n}",
        "embedding",
        off_by("weight"),
    ),
]
