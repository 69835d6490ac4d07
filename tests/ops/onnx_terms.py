"""Turns ONNX terms into a model of one operator and runs it: sizes come from the inputs' shapes at run time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from netspec.op import Operator, Site
from netspec.sizes.dim import Dim, Size, names, show
from netspec.sizes.parse_size import read
from netspec.sizes.tensor import TensorType
from netspec.terms import Const, In, OnnxTerm, Op, Out, Own, SizeScalar, SizeVec, op, scalar

ELEMENT = {name: getattr(TensorProto, name.upper()) for name in ("float16", "bfloat16", "int64", "int32", "int8", "uint8", "bool")}
ELEMENT |= {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE}
#: the newest opset that both the onnx package and the installed onnxruntime know
NEWEST = min(onnx.defs.onnx_opset_version(), 26)


def onnx_model(operator: Operator, site: Site, weights: Mapping[str, np.ndarray]) -> onnx.ModelProto:
    """The operator as a checked model, its open sizes symbolic."""
    graph = _Graph(site, weights)
    terms = operator.onnx(site)
    for index, term in enumerate(terms if isinstance(terms, tuple) else (terms,)):
        graph.add("Identity", [graph.emit(term)], {}, [f"y{index}"])
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            operator.NAME,
            [_info(f"x{i}", t) for i, t in enumerate(site.inputs)],
            [_info(f"y{i}", t) for i, t in enumerate(site.outputs)],
            graph.initializers,
        ),
        opset_imports=[helper.make_opsetid("", site.opset)],
    )
    model.ir_version = max(8, helper.find_min_ir_version_for(model.opset_import, ignore_unknown=True))
    onnx.checker.check_model(model, full_check=True)
    return model


def session(model: onnx.ModelProto, optimize: bool) -> ort.InferenceSession:
    """The model in onnxruntime on the CPU, one thread, with all of its graph optimizations or none."""
    options = ort.SessionOptions()
    level = ort.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimize else level.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run_onnx(
    operator: Operator, site: Site, arrays: tuple[np.ndarray, ...], weights: Mapping[str, np.ndarray], optimize: bool = True
) -> tuple[np.ndarray, ...]:
    """The outputs of the operator in onnxruntime, at `site.opset`."""
    running = session(onnx_model(operator, site, weights), optimize)
    wanted = {i.name for i in running.get_inputs()}
    return tuple(running.run(None, {f"x{i}": a for i, a in enumerate(arrays) if f"x{i}" in wanted}))


def _info(name: str, kind: TensorType) -> onnx.ValueInfoProto:
    shape = [s if isinstance(s, int) else show(s) if names(s) == {show(s)} else None for s in kind.shape]
    return helper.make_tensor_value_info(name, ELEMENT[kind.dtype], shape)


class _Graph:
    """Nodes and initializers under construction; equal terms are emitted once."""

    def __init__(self, site: Site, weights: Mapping[str, np.ndarray]) -> None:
        self.site = site
        self.nodes: list[onnx.NodeProto] = []
        self.initializers = [numpy_helper.from_array(np.asarray(w), _stored(name)) for name, w in weights.items()]
        self.made: dict[Any, Any] = {}
        self.kept: list[Any] = []  # the terms whose identity is a key of `made`

    def add(self, op_type: str, inputs: list[str], attributes: Mapping[str, Any], outputs: list[str], domain: str = "") -> None:
        """One node, its attributes typed as the operator's schema says."""
        node = helper.make_node(op_type, inputs, outputs, domain=domain)
        schema = onnx.defs.get_schema(op_type, self.site.opset, domain) if domain == "" else None
        for name, value in attributes.items():
            kind = schema.attributes[name].type if schema else None
            node.attribute.append(_attribute(name, value, kind))
        self.nodes.append(node)

    def emit(self, term: OnnxTerm | None) -> str:
        """The name of the value that `term` computes."""
        if term is None:
            return ""
        if isinstance(term, In):
            return f"x{term.index}"
        if isinstance(term, Own):
            return _stored(term.name)
        if isinstance(term, Out):
            return self._results(term.op)[term.index]
        if isinstance(term, Op):
            return self._results(term)[0]
        key = repr(term)
        if key not in self.made:
            self.made[key] = self._make(term)
        name: str = self.made[key]
        return name

    def _make(self, term: Const | SizeVec | SizeScalar) -> str:
        if isinstance(term, Const):
            name = f"c{len(self.initializers)}"
            self.initializers.append(helper.make_tensor(name, ELEMENT[term.dtype], term.shape, _flat(term)))
            return name
        if isinstance(term, SizeScalar):
            value = self._size(term.size)
            return self.emit(value if term.dtype == "int64" else op("Cast", value, to=ELEMENT[term.dtype]))
        if not term.sizes:
            return self.emit(Const("int64", (0,), ()))
        axis = Const("int64", (1,), (0,))
        return self.emit(op("Concat", *(op("Unsqueeze", self._size(s), axis) for s in term.sizes), axis=0))

    def _results(self, node: Op) -> list[str]:
        key = id(node)
        if key not in self.made:
            self.kept.append(node)
            inputs = [self.emit(i) for i in node.inputs]
            outputs = [f"t{len(self.nodes)}_{i}" for i in range(node.outputs)]
            self.add(node.op_type, inputs, dict(node.attributes), outputs, node.domain)
            self.made[key] = outputs
        results: list[str] = self.made[key]
        return results

    def _size(self, size: Size) -> OnnxTerm:
        """A size as a term: its own text, read over graph nodes in place of numbers."""
        if isinstance(size, int):
            return scalar(size, "int64")
        functions = {
            name: lambda *v, kind=kind: _Number(op(kind, *(_term(x) for x in v))) for name, kind in (("min", "Min"), ("max", "Max"))
        }
        return _term(read(show(size), lambda name: _Number(self._shape(name)), functions))

    def _shape(self, name: str) -> OnnxTerm:
        for index, kind in enumerate(self.site.inputs):
            for axis, size in enumerate(kind.shape):
                if isinstance(size, Dim) and show(size) == name:
                    return op("Gather", op("Shape", In(index)), scalar(axis, "int64"))
        raise ValueError(f"no input has an axis of size {name}")


class _Number:
    """A size computed by nodes, with Python's operators (floor division is floor division)."""

    def __init__(self, term: OnnxTerm) -> None:
        self.term = term

    def __add__(self, other: Any) -> _Number:
        return _Number(op("Add", self.term, _term(other)))

    def __sub__(self, other: Any) -> _Number:
        return _Number(op("Sub", self.term, _term(other)))

    def __mul__(self, other: Any) -> _Number:
        return _Number(op("Mul", self.term, _term(other)))

    def __mod__(self, other: Any) -> _Number:
        return _Number(op("Mod", self.term, _term(other)))

    def __floordiv__(self, other: Any) -> _Number:
        return _Number(op("Div", op("Sub", self.term, op("Mod", self.term, _term(other))), _term(other)))

    def __pow__(self, exponent: int) -> _Number:
        result = self
        for _ in range(exponent - 1):
            result = result * self
        return result

    def __neg__(self) -> _Number:
        return _Number(op("Neg", self.term))

    def __radd__(self, other: int) -> _Number:
        return _Number(_term(other)) + self

    def __rsub__(self, other: int) -> _Number:
        return _Number(_term(other)) - self

    def __rmul__(self, other: int) -> _Number:
        return _Number(_term(other)) * self

    def __rfloordiv__(self, other: int) -> _Number:
        return _Number(_term(other)) // self

    def __rmod__(self, other: int) -> _Number:
        return _Number(_term(other)) % self


def _stored(name: str) -> str:
    """The name of a weight in the graph: `param` has one of no name."""
    return name or "value"


def _term(value: Any) -> OnnxTerm:
    return value.term if isinstance(value, _Number) else scalar(value, "int64")


def _flat(term: Const) -> list[Any]:
    return [bool(v) for v in term.values] if term.dtype == "bool" else list(term.values)


def _attribute(name: str, value: Any, kind: Any) -> onnx.AttributeProto:
    """An attribute of the schema's type: a whole number may stand for a float, a dtype's name for its number."""
    types = onnx.defs.OpSchema.AttrType
    if isinstance(value, Const):
        value = helper.make_tensor(name, ELEMENT[value.dtype], value.shape, _flat(value))
    elif kind == types.FLOAT:
        value = float(value)
    elif kind == types.FLOATS:
        value = [float(v) for v in value]
    elif kind == types.INT:
        value = ELEMENT[value] if isinstance(value, str) else int(value)
    elif isinstance(value, tuple):
        value = list(value)
    return helper.make_attribute(name, value, attr_type=kind.value if kind is not None else None)
