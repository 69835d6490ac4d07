"""One node as a network of its own, so that it can be run and judged apart from all others."""

from __future__ import annotations

from netspec import graph as g
from netspec.op import Needs, Reject
from netspec.sizes.dim import Dim, evaluate
from netspec.sizes.tensor import TensorType

#: the label that the node has in its own network
LABEL = "layer"


def isolate(graph: g.Graph, node: g.Node, sizes: dict[str, int]) -> g.Graph:
    """The node alone. Its inputs' open sizes become fresh names, so that one build serves all sizes; an operator that holds
    open sizes itself (`reshape`), or that only works out for related ones, is built for `sizes` instead. Its stored tensors are
    called `layer.weight` and so on; a node with a body keeps its label, which is part of those in the body."""
    types = graph.types(node.inputs)
    if not any(_holds_size(getattr(node.op, name)) for name in type(node.op).model_fields):
        try:
            return _alone(graph, node, node.op, *_fresh(types, sizes))
        except Reject:
            pass
    fixed = tuple(TensorType(tuple(_number(s, sizes) for s in t.shape), t.dtype) for t in types)
    operator = type(node.op).model_construct(**{n: _settled(getattr(node.op, n), sizes) for n in type(node.op).model_fields})
    return _alone(graph, node, operator, fixed, {})


def _fresh(types: tuple[TensorType, ...], sizes: dict[str, int]) -> tuple[tuple[TensorType, ...], dict[str, int]]:
    names: dict[Dim, str] = {}
    for type_ in types:
        for size in type_.shape:
            if isinstance(size, Dim):
                names.setdefault(size, f"d{len(names)}")
    renamed = tuple(TensorType(tuple(Dim.name(names[s]) if isinstance(s, Dim) else s for s in t.shape), t.dtype) for t in types)
    return renamed, {name: evaluate(size, sizes) for size, name in names.items()}


def _holds_size(value: object) -> bool:
    return isinstance(value, Dim) or (isinstance(value, tuple) and any(map(_holds_size, value)))


def _number(size: object, sizes: dict[str, int]) -> int:
    return size if isinstance(size, int) else evaluate(size, sizes)  # type: ignore[arg-type]


def _settled(value: object, sizes: dict[str, int]) -> object:
    if isinstance(value, tuple):
        return tuple(_settled(v, sizes) for v in value)
    return evaluate(value, sizes) if isinstance(value, Dim) else value


def _alone(graph: g.Graph, node: g.Node, operator: object, types: tuple[TensorType, ...], typical: dict[str, int]) -> g.Graph:
    found = operator.shape(types, Needs())  # type: ignore[attr-defined]
    outputs = found if isinstance(found, tuple) else (found,)
    count = len(types)
    values = [g.Value.trusted(name=f"x{i}", hint=f"x{i}", dtype=t.dtype, shape=t.shape) for i, t in enumerate(types)]
    values += [g.Value.trusted(name=f"y{i}", hint=f"y{i}", dtype=t.dtype, shape=t.shape) for i, t in enumerate(outputs)]
    ins = tuple(g.Port.trusted(name=f"x{i}", value=i, origin=None) for i in range(count))
    outs = tuple(g.Port.trusted(name=f"y{i}", value=count + i, origin=None) for i in range(len(outputs)))
    stored = tuple(graph.weights[w] for w in node.weights)
    bodies = () if node.body is None else (graph.bodies[node.body],)
    label, weights = (node.label, stored) if bodies else (LABEL, tuple(map(_renamed, stored)))
    alone = g.Node.trusted(
        name=label, label=label, op=operator, inputs=tuple(range(count)), outputs=tuple(range(count, len(values))),
        weights=tuple(range(len(weights))), frame=0, origin=node.origin, body=0 if bodies else None,
    )  # fmt: skip
    scope = g.Scope.trusted(label="", path="", parent=None, kind="net", definition="one", arguments=(), doc="", origin=None)
    return g.Graph.trusted(
        format="netspec.graph", version=1, name="one", doc="", arguments=(), source="", digest="",
        sizes=tuple(g.OpenSize.trusted(name=n, typical=t) for n, t in typical.items()), inputs=ins, outputs=outs,
        values=tuple(values), nodes=(alone,), weights=weights, scopes=(scope,),
        frames=(g.Frame.trusted(scope=0, parent=None, inputs=ins, outputs=outs, origin=None),), requirements=(), bodies=bodies,
        training=(), renames=(),
    )  # fmt: skip


def _renamed(tensor: g.Tensor) -> g.Tensor:
    return tensor.model_copy(update={"name": f"{LABEL}.{tensor.local}" if tensor.local else LABEL})
