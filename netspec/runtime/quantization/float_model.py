"""The float32 model that is quantized, taken apart in a folder: its nodes, which are small, and its weights in a file beside them.

Models for measuring are made of the nodes and read the same file, so that weights are in memory once for each session at most.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import onnxruntime

from netspec.diagnostics.model import Refusal
from netspec.record import record
from netspec.runtime.quantization.axes import name_every_axis

#: Tensors of fewer bytes stay with the nodes: shape arithmetic, which inference reads.
_SMALL = 1024


@record
class FloatModel:
    """A model in a folder. `nodes` is the model without its weights' values, with the types of all values that can be inferred."""

    folder: Path
    nodes: Any

    def whole(self) -> Any:
        """The model with its weights: a new one at each call, for onnxruntime's quantizer changes what it is given."""
        model = onnx.ModelProto()
        model.CopyFrom(self.nodes)
        onnx.load_external_data_for_model(model, str(self.folder))
        return model

    def session(self, model: Any, name: str, optimize: bool = False) -> Any:
        """A session of a model that reads this one's weights. What is not optimized computes as the file says, with int8 values in float32:
        the same on every processor."""
        path = self.folder / name
        big = model.ByteSize() > onnx.checker.MAXIMUM_PROTOBUF
        onnx.save_model(model, path, save_as_external_data=big, location=f"{name}.data", size_threshold=_SMALL)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if not optimize:
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@contextmanager
def taken_apart(source: bytes | str | os.PathLike[str]) -> Iterator[FloatModel]:
    """A model, by its bytes or its path, in a folder that is removed at the end. Raises Refusal NS732 where it is none."""
    with TemporaryDirectory(prefix="netspec.") as place:
        folder = Path(place)
        try:
            model = onnx.load_from_string(source) if isinstance(source, bytes) else onnx.load(source)
        except Exception as error:  # protobuf has no class of its own for all of them
            raise Refusal("NS732", f"the model cannot be read: {type(error).__name__}") from error
        _turn_weights(model.graph)
        onnx.save_model(model, folder / "float.onnx", save_as_external_data=True, location="float.data", size_threshold=_SMALL)
        del model
        nodes = onnx.shape_inference.infer_shapes(onnx.load(folder / "float.onnx", load_external_data=False))
        name_every_axis(nodes)
        yield FloatModel(folder, nodes)


def _turn_weights(graph: Any) -> None:
    """Store weights as they are read: what is transposed before a product, only there, is stored so."""
    stored = {tensor.name: tensor for tensor in graph.initializer}
    uses = Counter(name for node in graph.node for one in (node, *inner_nodes(node)) for name in one.input)
    uses.update(port.name for port in graph.output)
    for node in [node for node in graph.node if node.op_type == "Transpose" and not node.domain and node.input[0] in stored]:
        tensor = stored[node.input[0]]
        if uses[tensor.name] > 1 or uses[node.output[0]] != sum(node.output[0] in other.input for other in graph.node):
            continue  # the second: read inside of a body
        order = next((list(a.ints) for a in node.attribute if a.name == "perm"), None)
        turned = np.ascontiguousarray(np.transpose(onnx.numpy_helper.to_array(tensor), order))
        tensor.CopyFrom(onnx.numpy_helper.from_array(turned, tensor.name))
        for other in graph.node:
            other.input[:] = [tensor.name if name == node.output[0] else name for name in other.input]
        graph.node.remove(node)


@contextmanager
def quiet() -> Iterator[None]:
    """Without the advice that onnxruntime's quantizer gives to whoever calls it."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def float_values(model: Any) -> dict[str, Any]:
    """The types of all float32 values that are computed or given, by name, in the order in which they come to be."""
    known = {info.name: info.type.tensor_type for info in (*model.graph.input, *model.graph.value_info, *model.graph.output)}
    stored = {tensor.name for tensor in model.graph.initializer}
    names = [port.name for port in model.graph.input] + [name for node in model.graph.node for name in node.output]
    return {n: known[n] for n in names if n in known and n not in stored and known[n].elem_type == onnx.TensorProto.FLOAT}


def inner_nodes(node: Any) -> Iterator[Any]:
    """The nodes in a node's bodies, and in theirs."""
    for attribute in node.attribute:
        for inner in attribute.g.node:
            yield inner
            yield from inner_nodes(inner)
