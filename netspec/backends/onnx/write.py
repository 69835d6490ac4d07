"""The model's bytes, streamed: everything but the weights is encoded first, then the weights are drawn straight to their
places in the file by several threads. No two copies of a large tensor are ever in memory.

Past the 2 GiB that one protocol buffer can hold, or if asked, weights go to `<name>.onnx.data` beside the model.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import field
from io import BytesIO
from math import prod
from pathlib import Path
from typing import BinaryIO

from netspec.analyses.constraints import constraints
from netspec.backends.onnx import wire
from netspec.backends.onnx.encode import Types, node_bytes
from netspec.backends.onnx.lower import lower
from netspec.backends.onnx.model import OnnxModel
from netspec.backends.stream import Slot, write_parts
from netspec.backends.weights import Weights
from netspec.collector import paused
from netspec.diagnostics.model import Refusal
from netspec.files import write_all, write_together
from netspec.graph import Graph, Tensor
from netspec.record import draft, record
from netspec.sizes.dim import show
from netspec.sizes.tensor import DTYPES
from netspec.version import VERSION

#: The opsets that the lowerings are written and tested for.
OPSETS = range(17, 27)
#: The largest protocol buffer.
PROTOBUF_LIMIT = (1 << 31) - 1
#: In external data, tensors of fewer bytes stay in the model; larger ones begin at a multiple of a page, to be mapped.
INLINE_BYTES = 1024
PAGE = 4096


@record
class OnnxOptions:
    """How a model is written. `external` None puts weights beside the model only where they do not fit into it;
    `fold` computes convolutions and linear layers with the batch norm behind them (close to, not equal to, torch's numbers)."""

    opset: int = 21
    ir_version: int = 10
    external: bool | None = None
    fold: bool = False


DEFAULT_OPTIONS = OnnxOptions()


def save(graph: Graph, path: str | os.PathLike[str], weights: Weights, options: OnnxOptions = DEFAULT_OPTIONS) -> None:
    """Write the graph as an ONNX file, atomically.

    Raises Refusal: NS020 where the file cannot be written, NS701 to NS703 where the model cannot be made.
    """
    location = f"{Path(path).name}.data"
    plan = _plan(graph, options, weights, location)
    if not plan.external:
        write_together([(path, plan.write_model)])
        return
    data = Path(path).with_name(location)
    write_together([(data, plan.write_data), (path, plan.write_model)])


def model_bytes(graph: Graph, weights: Weights, options: OnnxOptions = DEFAULT_OPTIONS) -> bytes:
    """The whole model in memory. Raises Refusal NS702 past 2 GiB: only a pair of files can hold more."""
    plan = _plan(graph, options, weights, "")
    if plan.external:
        raise Refusal("NS702", "the model is larger than the 2 GiB that one ONNX file can hold", helps=("save it to a file",))
    buffer = BytesIO()
    plan.write_model(buffer)
    return buffer.getvalue()


def _plan(graph: Graph, options: OnnxOptions, weights: Weights, location: str) -> _Plan:
    if options.opset not in OPSETS:
        raise Refusal("NS703", f"opset {options.opset} is not supported: choose {OPSETS[0]} to {OPSETS[-1]}", status=2)
    with paused():
        model = lower(graph, options.opset)
        if options.fold:
            from netspec.backends.onnx.fold import fold_norms

            model, weights = fold_norms(model, weights)
        return _Plan(graph, model, options, weights, location)


@draft
class _Plan:
    """Where every byte goes. `pieces` are the model's encoded stretches; a Slot among them is a weight's place."""

    graph: Graph
    model: OnnxModel
    options: OnnxOptions
    weights: Weights
    location: str
    external: bool = False
    pieces: list[bytes | Slot] = field(default_factory=list)
    data: list[Slot] = field(default_factory=list)

    def __post_init__(self) -> None:
        total = sum(_bytes(tensor) for tensor in self.model.weights)
        self.external = bool(self.options.external) and total >= INLINE_BYTES or total > PROTOBUF_LIMIT
        self._lay_out()
        if not self.external and sum(map(len, self.pieces)) > PROTOBUF_LIMIT:
            self.external = True
            self._lay_out()

    def write_model(self, file: BinaryIO) -> None:
        """Write the model file: encoded stretches one after the other, weights into the gaps."""
        if not file.seekable():  # a pipe: in memory first
            buffer = BytesIO()
            self.write_model(buffer)
            write_all(file, buffer.getbuffer())
            return
        write_parts(file, self.pieces, self.weights)

    def write_data(self, file: BinaryIO) -> None:
        """Write the file beside the model, every tensor at its page."""
        parts: list[bytes | Slot] = []
        end = 0
        for slot in self.data:
            parts += (bytes(slot.start - end), slot)
            end = slot.start + slot.nbytes
        write_parts(file, parts, self.weights)

    def _lay_out(self) -> None:
        """Encode the model around its weights: a message's length comes before it, so the graph is laid out first."""
        self.data = []
        inner = self._graph()
        length = sum(map(len, inner))
        head, tail = _model_ends(self.graph, self.model, self.options)
        self.pieces = _joined([head, wire.MODEL.opening("graph", length), *inner, tail])

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
        nbytes = _bytes(tensor)
        head = {"dims": tensor.shape, "data_type": wire.ELEMENT[tensor.dtype], "name": tensor.name}
        if self.external and nbytes >= INLINE_BYTES:
            end = self.data[-1].start + self.data[-1].nbytes if self.data else 0
            slot = Slot(tensor, -(-end // PAGE) * PAGE, nbytes)
            self.data.append(slot)
            entries = (("location", self.location), ("offset", str(slot.start)), ("length", str(nbytes)))
            whole = wire.TENSOR.encode(**head, external_data=[wire.ENTRY.encode(key=k, value=v) for k, v in entries], data_location=1)
            return [wire.GRAPH.encode(initializer=whole)]
        start = wire.TENSOR.encode(**head) + wire.TENSOR.opening("raw_data", nbytes)
        return [wire.GRAPH.opening("initializer", len(start) + nbytes) + start, Slot(tensor, 0, nbytes)]


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


def _bytes(tensor: Tensor) -> int:
    return prod(tensor.shape) * DTYPES[tensor.dtype]


def _model_ends(graph: Graph, model: OnnxModel, options: OnnxOptions) -> tuple[bytes, bytes]:
    """What stands before and after the graph in a ModelProto."""
    head = wire.MODEL.encode(
        ir_version=options.ir_version,
        producer_name="netspec",
        producer_version=VERSION,
        doc_string=graph.doc or None,
    )
    opsets = [wire.OPSET.encode(domain="", version=model.opset)]
    opsets += [wire.OPSET.encode(domain=domain, version=1) for domain in sorted(model.domains)]
    conditions = "\n".join(f"{show(r.left)} {r.relation} {show(r.right)}" for r in graph.requirements)
    sizes = "\n".join(dict.fromkeys(text for texts in constraints(graph).values() for text in texts))
    facts = {
        "netspec.version": VERSION,
        "netspec.net": graph.name,
        "netspec.source": graph.source.replace("\\", "/").rsplit("/", 1)[-1],  # not the folder: it is not part of the network
        "netspec.digest": graph.digest,
        "netspec.sizes": sizes,  # what the conditions come to: `H % 16 == 0`
        "netspec.conditions": conditions,
    }
    entries = [wire.ENTRY.encode(key=key, value=value) for key, value in facts.items() if value]
    return head, wire.MODEL.encode(opset_import=opsets, metadata_props=entries)
