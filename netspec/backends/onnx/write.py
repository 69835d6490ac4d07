"""The model's bytes, streamed: everything but the weights is encoded first, then the weights are drawn straight to their
places in the file by several threads. No two copies of a large tensor are ever in memory.

Past the 2 GiB that one protocol buffer can hold, or if asked, weights are outside of the model: see `external`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import field, replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from netspec.analyses.constraints import constraints
from netspec.backends.onnx import wire
from netspec.backends.onnx.encode import Types, file_name, function_bytes, node_bytes, opset_bytes
from netspec.backends.onnx.external import INLINE_BYTES, Outside, beside, in_safetensors, size
from netspec.backends.onnx.lower import lower
from netspec.backends.onnx.model import OnnxModel
from netspec.backends.onnx.options import OPSETS, OnnxOptions
from netspec.backends.onnx.passes import rewritten
from netspec.backends.stream import Slot, write_parts
from netspec.backends.weights import Weights
from netspec.collector import paused
from netspec.diagnostics.model import Refusal
from netspec.files import write_all, write_together
from netspec.graph import Graph, Tensor
from netspec.record import draft
from netspec.sizes.dim import show
from netspec.version import VERSION

#: The largest protocol buffer.
PROTOBUF_LIMIT = (1 << 31) - 1

DEFAULT_OPTIONS = OnnxOptions()


def save(graph: Graph, path: str | os.PathLike[str], weights: Weights, options: OnnxOptions = DEFAULT_OPTIONS) -> None:
    """Write the graph as an ONNX file, atomically.

    Raises Refusal: NS020 where the file cannot be written, NS701 to NS704 where the model cannot be made, NS753 where the weights cannot be
    where they are asked for.
    """
    here = Path(path)

    def outside(model: OnnxModel, found: Weights) -> Outside:
        if isinstance(options.external, str):
            return in_safetensors(here, graph, model, found, options)
        return beside(here, model.weights)

    plan = _plan(graph, options, weights, outside)
    files: list[tuple[Path, Callable[[BinaryIO], None]]] = [(here, plan.write_model)]
    if plan.outside.path is not None:
        files.insert(0, (plan.outside.path, plan.write_data))
    write_together(files)


def model_bytes(graph: Graph, weights: Weights, options: OnnxOptions = DEFAULT_OPTIONS) -> bytes:
    """The whole model in memory. Raises Refusal NS702 past 2 GiB: only a pair of files can hold more."""
    plan = _plan(graph, replace(options, external=None), weights, lambda model, _: beside(Path("model.onnx"), model.weights))
    if plan.outside.places:
        raise Refusal("NS702", "the model is larger than the 2 GiB that one ONNX file can hold", helps=("save it to a file",))
    buffer = BytesIO()
    plan.write_model(buffer)
    return buffer.getvalue()


def encoded(graph: Graph, model: OnnxModel, weights: Weights, options: OnnxOptions = DEFAULT_OPTIONS) -> bytes:
    """A model of the graph that the caller has made and rewritten, in memory. Raises Refusal NS702 past 2 GiB."""
    if sum(map(size, model.weights)) > PROTOBUF_LIMIT:
        raise Refusal("NS702", "the model is larger than the 2 GiB that one ONNX file can hold")
    buffer = BytesIO()
    _Plan(graph, model, weights, options).write_model(buffer)
    return buffer.getvalue()


#: Finds places outside of the model for its weights.
_Placing = Callable[[OnnxModel, Weights], Outside]


def _plan(graph: Graph, options: OnnxOptions, weights: Weights, outside: _Placing) -> _Plan:
    if options.opset not in OPSETS:
        raise Refusal("NS703", f"opset {options.opset} is not supported: choose {OPSETS[0]} to {OPSETS[-1]}", status=2)
    with paused():
        model, weights = rewritten(lower(graph, options.opset), weights, graph, options)
        total = sum(map(size, model.weights))
        if isinstance(options.external, str) or options.external and total >= INLINE_BYTES or total > PROTOBUF_LIMIT:
            return _Plan(graph, model, weights, options, outside(model, weights))
        plan = _Plan(graph, model, weights, options)
        if sum(map(len, plan.pieces)) <= PROTOBUF_LIMIT:
            return plan
        return _Plan(graph, model, weights, options, outside(model, weights))


@draft
class _Plan:
    """Where every byte goes. `pieces` are the model's encoded stretches; a Slot among them is a weight's place."""

    graph: Graph
    model: OnnxModel
    weights: Weights
    options: OnnxOptions
    outside: Outside = Outside({})
    pieces: list[bytes | Slot] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Encode the model around its weights: a message's length comes before it, so the graph is laid out first."""
        inner = self._graph()
        length = sum(map(len, inner))
        head, tail = _model_ends(self.graph, self.model, self.options)
        self.pieces = _joined([head, wire.MODEL.opening("graph", length), *inner, tail])

    def write_model(self, file: BinaryIO) -> None:
        """Write the model file: encoded stretches one after the other, weights into the gaps."""
        if not file.seekable():  # a pipe: in memory first
            buffer = BytesIO()
            self.write_model(buffer)
            write_all(file, buffer.getbuffer())
            return
        write_parts(file, self.pieces, self.weights)

    def write_data(self, file: BinaryIO) -> None:
        """Write the file of weights outside of the model."""
        write_parts(file, self.outside.parts, self.weights)

    def _graph(self) -> list[bytes | Slot]:
        model = self.model
        shapes = Types()
        pieces: list[bytes | Slot] = [
            wire.GRAPH.encode(node=[node_bytes(node) for node in model.nodes], name=self.graph.name),
        ]
        for tensor in model.weights:
            pieces += self._weight(tensor)
        constants = [wire.tensor(constant.name, constant.dtype, constant.shape, constant.raw) for constant in model.constants]
        pieces.append(
            wire.GRAPH.encode(
                initializer=constants,
                doc_string=self.graph.doc or None,
                input=[shapes.value(*port) for port in model.inputs],
                output=[shapes.value(*port) for port in model.outputs],
                value_info=[shapes.value(*value) for value in model.values],
            )
        )
        return pieces

    def _weight(self, tensor: Tensor) -> list[bytes | Slot]:
        """A weight's TensorProto inside the graph: its head, and its place here or a reference to the other file."""
        nbytes = size(tensor)
        head = {"dims": tensor.shape, "data_type": wire.ELEMENT[tensor.dtype], "name": tensor.name}
        if tensor.name in self.outside.places:
            location, start, length = self.outside.places[tensor.name]
            entries = (("location", location), ("offset", str(start)), ("length", str(length)))
            whole = wire.TENSOR.encode(**head, external_data=[wire.ENTRY.encode(key=k, value=v) for k, v in entries], data_location=1)
            return [wire.GRAPH.encode(initializer=whole)]
        begin = wire.TENSOR.encode(**head) + wire.TENSOR.opening("raw_data", nbytes)
        return [wire.GRAPH.opening("initializer", len(begin) + nbytes) + begin, Slot(tensor, 0, nbytes)]


def _joined(pieces: Sequence[bytes | Slot]) -> list[bytes | Slot]:
    """The same with neighbouring stretches made one."""
    joined: list[bytes | Slot] = []
    run: list[bytes] = []
    for piece in pieces:
        if isinstance(piece, Slot):
            joined += (b"".join(run), piece)
            run = []
        else:
            run.append(piece)
    return [*joined, b"".join(run)]


def _model_ends(graph: Graph, model: OnnxModel, options: OnnxOptions) -> tuple[bytes, bytes]:
    """What stands before and after the graph in a ModelProto."""
    head = wire.MODEL.encode(
        ir_version=options.ir_version,
        producer_name="netspec",
        producer_version=VERSION,
        doc_string=graph.doc or None,
    )
    conditions = "\n".join(f"{show(r.left)} {r.relation} {show(r.right)}" for r in graph.requirements)
    sizes = "\n".join(dict.fromkeys(text for texts in constraints(graph).values() for text in texts))
    facts = {
        "netspec.version": VERSION,
        "netspec.net": graph.name,
        "netspec.source": file_name(graph.source),
        "netspec.digest": graph.digest,
        "netspec.sizes": sizes,  # what the conditions come to: `H % 16 == 0`
        "netspec.conditions": conditions,
        **{str(key): str(value) for key, value in options.metadata.items()},
    }
    entries = [wire.ENTRY.encode(key=key, value=value) for key, value in facts.items() if value]
    return head, wire.MODEL.encode(
        opset_import=opset_bytes(model.opset, model.domains),
        metadata_props=entries,
        functions=[function_bytes(function, model.opset) for function in model.functions],
    )
