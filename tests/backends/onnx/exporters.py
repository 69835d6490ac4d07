"""What torch's two exporters make of a network's module: the one of today (`dynamo`), and TorchScript's before it (`script`)."""

from __future__ import annotations

import io
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import onnx
import torch

from netspec.backends.onnx import OnnxOptions, model_bytes
from netspec.network import Net
from netspec.runtime.cases import inputs, size_cases
from tests.backends.onnx.forms import Telling


def ours(net: Net) -> bytes:
    """The folded model."""
    return model_bytes(net.graph, Telling(), OnnxOptions(fold=True))


def theirs(net: Net, path: Path, dynamo: bool) -> bytes:
    """The file that an exporter writes, all open sizes left open, of the same weights."""
    graph = net.graph
    module = net.torch().eval()
    arrays = {tensor.name: torch.from_numpy(Telling().array(tensor)) for tensor in graph.weights}
    module.load_state_dict({name: arrays[name] for name in module.state_dict()})
    feeds = inputs(graph, size_cases(graph, 1, batches=(2,))[0], "normal")
    given = tuple(torch.from_numpy(array) for array in feeds.values())
    open_axes = {
        port.name: [axis for axis, size in enumerate(graph.values[port.value].shape) if not isinstance(size, int)] for port in graph.inputs
    }
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        if dynamo:
            shapes = tuple(dict.fromkeys(open_axes[name], torch.export.Dim.AUTO) for name in feeds)
            torch.onnx.export(module, given, path, dynamo=True, dynamic_shapes=shapes, external_data=False, verbose=False)
        else:
            named = {name: {axis: f"{name}_{axis}" for axis in axes} for name, axes in open_axes.items()}
            torch.onnx.export(module, given, path, dynamo=False, dynamic_axes=named, input_names=list(feeds))
    return path.read_bytes()


def nodes(graph: onnx.GraphProto) -> int:
    """The nodes of a graph and of the bodies in it."""
    return sum(1 + sum(nodes(attribute.g) for attribute in node.attribute if attribute.HasField("g")) for node in graph.node)


def bare(model: onnx.ModelProto) -> int:
    """The bytes of a model without what TorchScript's exporter leaves out: the types of values, where nodes were written, and what the
    model says of itself."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.value_info[:], copy.metadata_props[:]
    copy.graph.ClearField("doc_string")
    copy.ClearField("doc_string")
    for node in copy.graph.node:
        node.ClearField("doc_string")
    return copy.ByteSize()
