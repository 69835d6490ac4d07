"""From the graph to ONNX nodes: each operator's term is flattened, its constants shared, its symbolic sizes computed.

Names: an operator's last node is called as its label (`layer1.0.conv1`), the helpers before it `layer1.0.conv1/Pad`; values
carry the graph's names, the model's inputs and outputs those of its ports, weights those of a state dict. What nothing reads
(`num_batches_tracked`, the statistics of a norm that ignores them) is not in the model.
"""

from __future__ import annotations

from typing import Any

from netspec.backends.onnx.extents import Constants, Extents
from netspec.backends.onnx.model import NO_ATTRIBUTES, Attributes, OnnxModel, Operation
from netspec.backends.onnx.scans import Scanned
from netspec.diagnostics.model import Refusal
from netspec.graph import Graph, Node, fresh
from netspec.op import Reject, Site, Weight
from netspec.sizes.tensor import TensorType
from netspec.terms import Const, In, OnnxTerm, Op, Out, Own, SizeScalar, SizeVec


def lower(graph: Graph, opset: int = 21) -> OnnxModel:
    """The graph as an ONNX model without weight values.

    Raises Refusal: NS701 for a size that no input's shape tells, and what operators say that have no lowering (NS704, …).
    """
    return _Network(graph, opset).run()


class _Lowering:
    """The lowering of a graph: the network's, or a body's, inside of that `around` it. `names` says what each value of the graph
    is called in the model."""

    def __init__(self, graph: Graph, opset: int, model: OnnxModel, around: _Lowering | None = None) -> None:
        self.graph, self.opset, self.model, self.around = graph, opset, model, around
        kinds: dict[tuple[str, Any], TensorType] = {}  # one object for each type, so that `_terms` may go by identity
        self.types = [kinds.get((v.dtype, v.shape)) or kinds.setdefault((v.dtype, v.shape), v.type) for v in graph.values]
        self.own = [
            Weight(w.local, w.shape, w.init, w.fan_in, w.fan_out, w.dtype, w.trainable, w.role)  # as operators know them
            for w in graph.weights
        ]
        self.names: dict[int, str] = {}
        self.wanted: dict[int, str] = {}
        self.ports: set[int] = set()
        self.terms: dict[tuple[int, ...], tuple[OnnxTerm, ...]] = {}
        self.taken: set[str] = around.taken if around else set()
        self.node_names: set[str] = around.node_names if around else set()
        self.encoded: dict[int | str, Attributes] = around.encoded if around else {}
        self.read: set[str] = around.read if around else set()
        self.constants: Constants = around.constants if around else Constants(model, self.unique)
        self.extents: Extents
        self.kept: list[_Lowering] = around.kept if around else []  # for `encoded` goes by identity
        self.kept.append(self)

    def nodes(self) -> None:
        """Lower every node in order."""
        for node in self.graph.nodes:
            if node.body is None:
                self._node(node)
            else:
                self._scan(node)

    def inside(self, body: Graph, model: OnnxModel) -> _Lowering:
        """The lowering of a body into a model, with names that differ from all around it; its inputs are to be named."""
        return _Lowering(body, self.opset, model, self)

    def begin(self, inputs: dict[int, str]) -> None:
        """Lower the graph anew, its inputs called so."""
        self.names, self.wanted = dict(inputs), {}

    def unique(self, name: str) -> str:
        """`name`, or with a number where a value, weight or port has it already."""
        return fresh(name, self.taken)

    def attributes(self, op: Op) -> Attributes:
        """The call's attributes."""
        if not op.attributes:
            return NO_ATTRIBUTES
        known = self.encoded.get(id(op))
        if known is None:
            key = repr(op.attributes)  # not the tuple itself: 1, 1.0 and True are equal, as are 0.0 and -0.0
            if key not in self.encoded:
                self.encoded[key] = Attributes(op.attributes)
            known = self.encoded[id(op)] = self.encoded[key]
        return known

    def own_name(self, node: Node, local: str) -> str:
        """The full name of a tensor that a node stores, which is noted as read."""
        for number in node.weights:
            weight = self.graph.weights[number]
            if weight.local == local:
                self.read.add(weight.name)
                return weight.name
        raise KeyError(f"{node.op.NAME} has no tensor {local!r}")

    def node_name(self, name: str) -> str:
        """`name`, or with a number where another node has it already."""
        chosen, count = name, 1
        while chosen in self.node_names:
            count += 1
            chosen = f"{name}_{count}"
        self.node_names.add(chosen)
        return chosen

    def _want(self, node: Node) -> None:
        """Choose names for what a node puts out."""
        for number in node.outputs:
            if number not in self.wanted:
                self.wanted[number] = self.unique(self.graph.values[number].name)

    def _scan(self, node: Node) -> None:
        self._want(node)
        found = Scanned(self, node, [self.wanted[number] for number in node.outputs]).lower()
        for number, name in zip(node.outputs, found):
            self._named(number, name)

    def _node(self, node: Node) -> None:
        terms = self._terms(node)
        self._want(node)
        if len(terms) == 1 and _is_plain(terms[0]):
            self._plain(node, terms[0])
            return
        flat = _Flattening(self, node)
        for number, term in zip(node.outputs, terms):
            flat.want(term, self.wanted[number])
        for number, term in zip(node.outputs, terms):
            self._named(number, flat.name(term))

    def _terms(self, node: Node) -> tuple[OnnxTerm, ...]:
        """What the node's operator says. A network applies few operators to few types: each pair is asked once.

        By identity, for equal is not the same (1, 1.0 and True). All terms are kept, so that an id is that of one term only.
        """
        inputs = tuple(map(self.types.__getitem__, node.inputs))
        key = id(node.op), *map(id, inputs)
        terms = self.terms.get(key)
        if terms is None:
            own = tuple(self.own[number] for number in node.weights)
            try:
                said = node.op.onnx(Site(inputs, tuple(map(self.types.__getitem__, node.outputs)), own, self.opset))
            except Reject as error:  # what this opset cannot say
                raise _refusal(node, error) from None
            terms = self.terms[key] = said if isinstance(said, tuple) else (said,)
        return terms

    def _plain(self, node: Node, op: Op) -> None:
        """Write an operator that is one call of its inputs and weights, as most are: nothing to share, nothing to compute."""
        number = node.outputs[0]
        inputs = tuple(
            self.names[node.inputs[term.index]] if type(term) is In else self.own_name(node, term.name)  # type: ignore[union-attr]
            for term in op.inputs
        )
        outputs = (self.wanted[number],)
        self.model.nodes.append(Operation(op.op_type, inputs, outputs, self.node_name(node.name), self.attributes(op), node=node))
        self._named(number, outputs[0])

    def _named(self, number: int, name: str) -> None:
        self.names[number] = name
        if self.around is None and name == self.wanted[number] and number not in self.ports:
            self.model.values.append((name, self.types[number]))


class _Network(_Lowering):
    """The lowering of a whole network into a model of its own."""

    def __init__(self, graph: Graph, opset: int) -> None:
        model = OnnxModel(opset)
        super().__init__(graph, opset, model)
        model.inputs = [(port.name, self.types[port.value]) for port in graph.inputs]
        model.outputs = [(port.name, self.types[port.value]) for port in graph.outputs]
        self.taken.update(port.name for port in (*graph.inputs, *graph.outputs))
        self.taken.update(weight.name for weight in graph.weights)
        for port in graph.inputs:
            self.names.setdefault(port.value, port.name)
        for port in graph.outputs:
            self.wanted.setdefault(port.value, port.name)
        self.ports = set(self.wanted)
        self.extents = Extents(model, self.constants, self.unique)

    def run(self) -> OnnxModel:
        """Lower every node, then tie the outputs."""
        self.nodes()
        for port in self.graph.outputs:
            if self.names[port.value] != port.name:  # an input or another output under a second name
                self.model.nodes.append(Operation("Identity", (self.names[port.value],), (port.name,), f"{port.name}/Identity"))
        self.model.weights = [weight for weight in self.graph.weights if weight.name in self.read]
        return self.model


def _is_plain(term: OnnxTerm) -> bool:
    return type(term) is Op and term.outputs == 1 and not term.domain and all(type(i) is In or type(i) is Own for i in term.inputs)


def _refusal(node: Node, error: Reject) -> Refusal:
    place = (f"{node.origin.file}:{node.origin.line}:{node.origin.column}",) if node.origin else ()
    return Refusal(error.code, f"{node.name} cannot be written as ONNX: {error}", notes=place, helps=(error.help,) if error.help else ())


class _Flattening:
    """The nodes of one operator. Equal calls are written once; a name is `wanted` for what the operator puts out."""

    def __init__(self, lowering: _Lowering, node: Node) -> None:
        self.lowering, self.node = lowering, node
        self.wanted: dict[tuple[int, int], str] = {}
        self.done: dict[int, tuple[str, ...]] = {}
        self.calls: dict[tuple[Any, ...], tuple[str, ...]] = {}

    def want(self, term: OnnxTerm, name: str) -> None:
        """Ask for a result to be called `name`, if nobody has named it yet."""
        if isinstance(term, Out):
            self.wanted.setdefault((id(term.op), term.index), name)
        elif isinstance(term, Op):
            self.wanted.setdefault((id(term), 0), name)

    def name(self, term: OnnxTerm) -> str:
        """The name of the value that a term stands for; its nodes are written if they are not yet."""
        if isinstance(term, In):
            return self.lowering.names[self.node.inputs[term.index]]
        if isinstance(term, Op):
            return self._call(term)[0]
        if isinstance(term, Own):
            return self.lowering.own_name(self.node, term.name)
        if isinstance(term, Out):
            return self._call(term.op)[term.index]
        if isinstance(term, Const):
            return self.lowering.constants.name(term.dtype, term.shape, term.values)
        if isinstance(term, SizeVec):
            return self.lowering.extents.vector(term.sizes)
        if isinstance(term, SizeScalar):
            return self.lowering.extents.scalar(term.size, term.dtype)
        raise TypeError(f"{self.node.op.NAME} was lowered to {term!r}, which is no ONNX term")

    def _call(self, op: Op) -> tuple[str, ...]:
        if (known := self.done.get(id(op))) is not None:
            return known
        inputs = tuple("" if term is None else self.name(term) for term in self._inputs(op))
        while inputs and not inputs[-1]:
            inputs = inputs[:-1]
        attributes = self.lowering.attributes(op)
        key = op.domain, op.op_type, inputs, attributes.encoded, op.outputs
        results = self.calls.get(key)
        if results is None:
            results = self.calls[key] = self._write(op, inputs, attributes)
        self.done[id(op)] = results
        return results

    def _write(self, op: Op, inputs: tuple[str, ...], attributes: Attributes) -> tuple[str, ...]:
        model, wanted = self.lowering.model, self.wanted
        last = any((id(op), index) in wanted for index in range(op.outputs))
        name = self.lowering.node_name(self.node.name if last else f"{self.node.name}/{op.op_type}")
        results = tuple(
            wanted.get((id(op), index)) or self.lowering.unique(f"{self.node.name}/{op.op_type}" + (f".{index}" if index else ""))
            for index in range(op.outputs)
        )
        model.nodes.append(Operation(op.op_type, inputs, results, name, attributes, op.domain, self.node))
        if op.domain:
            model.domains.add(op.domain)
        return results

    def _inputs(self, op: Op) -> tuple[OnnxTerm | None, ...]:
        """The call's inputs; a Reshape to a shape with one open size is given -1 for it, and needs no computation."""
        if op.op_type != "Reshape" or op.domain or len(op.inputs) != 2 or not isinstance(op.inputs[1], SizeVec):
            return op.inputs
        data, sizes = op.inputs[0], list(op.inputs[1].sizes)
        known: tuple[Any, ...] = self.lowering.types[self.node.inputs[data.index]].shape if isinstance(data, In) else ()
        if 0 in sizes or dict(op.attributes).get("allowzero"):
            return op.inputs
        for axis, size in enumerate(sizes):
            if axis < len(known) and not isinstance(size, int) and size == known[axis]:
                sizes[axis] = 0  # keeps the axis
        still = [axis for axis, size in enumerate(sizes) if not isinstance(size, int)]
        if len(still) > 1:
            return op.inputs
        if still:
            sizes[still[0]] = -1
        return data, SizeVec(tuple(sizes))
