"""The live module: it compiles, exports, traces, copies and converts as one that was written by hand."""

from __future__ import annotations

import copy
import io
import linecache
import traceback

import numpy as np
import pytest
import torch

import netspec
from netspec.backends.torch_module import build_module, execute, load_weights, with_plain_outputs
from netspec.backends.torch_source import write_source
from netspec.backends.torch_source.naming import MODULE_ATTRIBUTES
from tests.backends.torch.interpreter import example_inputs
from tests.backends.torch.test_source import OPTIONAL, RESIDUAL, SHARED, SIZES, TEXTS, UNET, outputs

WORKING = {"residual": RESIDUAL, "unet": UNET, "sizes": SIZES, "shared": SHARED, "optional": OPTIONAL}


def loaded(text: str) -> tuple[torch.nn.Module, list[torch.Tensor], netspec.api.Net]:
    """A module in evaluation mode with random weights, and inputs of the typical sizes."""
    net = netspec.loads(text)
    module = build_module(write_source(net.graph), net.graph)
    random = np.random.default_rng(0)
    arrays = {name: random.uniform(0.1, 0.9, tuple(t.shape)).astype(np.float32) * 0.2 for name, t in module.state_dict().items()}
    load_weights(module, {name: a.astype(np.int64) if name.endswith("tracked") else a for name, a in arrays.items()})
    return module.eval(), example_inputs(net.graph, {}), net


def same(ours: object, theirs: object, **tolerance: float) -> None:
    for a, b in zip(outputs(ours), outputs(theirs), strict=True):
        torch.testing.assert_close(a, b, **(tolerance or {"rtol": 0, "atol": 0}))


@pytest.mark.parametrize("name", WORKING)
def test_it_compiles_as_one_graph(name: str) -> None:
    module, inputs, _ = loaded(WORKING[name])
    torch._dynamo.reset()
    same(torch.compile(module, fullgraph=True, backend="eager")(*inputs), module(*inputs))


@pytest.mark.parametrize("name", WORKING)
def test_it_exports_with_open_sizes(name: str) -> None:
    module, inputs, net = loaded(WORKING[name])
    dynamic = torch.export.Dim.AUTO
    shapes = tuple(
        {i: dynamic for i, size in enumerate(net.graph.values[p.value].shape) if not isinstance(size, int)} for p in net.graph.inputs
    )
    program = torch.export.export(with_plain_outputs(module), tuple(inputs), dynamic_shapes=(shapes,))
    other = example_inputs(net.graph, {"H": 32, "W": 28, "N": 3}, seed=1)
    same(program.module()(*other), module(*other))
    assert program.state_dict.keys() == module.state_dict().keys()
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    same(torch.export.load(file).module()(*other), module(*other))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", WORKING)
def test_it_traces_with_open_sizes(name: str) -> None:
    module, inputs, net = loaded(WORKING[name])
    traced = torch.jit.trace(module, tuple(inputs))
    other = example_inputs(net.graph, {"H": 32, "W": 28, "N": 3}, seed=1)
    same(traced(*other), module(*other), rtol=1e-5, atol=1e-6)


def test_it_copies_converts_and_switches_modes() -> None:
    module, inputs, _ = loaded(RESIDUAL)
    same(copy.deepcopy(module)(*inputs), module(*inputs))
    assert module.train().training and module.layer1[0].training
    before = module.bn1.running_mean.clone()
    module(*inputs)
    assert not torch.equal(before, module.bn1.running_mean)
    assert module.eval().bfloat16()(inputs[0].bfloat16()).dtype == torch.bfloat16
    assert module.double()(inputs[0].double()).dtype == torch.float64


def test_it_trains() -> None:
    module, inputs, _ = loaded(UNET)
    module.train()
    outputs(module(*inputs))[0].square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in module.parameters())


def test_loading_is_strict() -> None:
    module, _, _ = loaded(SHARED)
    arrays = {name: tensor.numpy().copy() for name, tensor in module.state_dict().items()}
    with pytest.raises(ValueError, match="missing"):
        load_weights(module, {})
    with pytest.raises(ValueError, match="does not have"):
        load_weights(module, {**arrays, "more": np.zeros(1, np.float32)})
    with pytest.raises(ValueError, match=r"g.bias has shape \[4\]"):
        load_weights(module, {**arrays, "g.bias": np.zeros(4, np.float32)})


def test_scalars_and_read_only_arrays_load() -> None:
    module, _, _ = loaded(RESIDUAL)
    arrays = {name: tensor.numpy().copy() for name, tensor in module.state_dict().items()}
    for array in arrays.values():
        array.flags.writeable = False
    arrays["bn1.num_batches_tracked"] = np.asarray(7)
    load_weights(module, arrays)
    assert module.bn1.num_batches_tracked == 7


def test_tracebacks_show_the_line() -> None:
    module, _, _ = loaded(RESIDUAL)
    with pytest.raises(RuntimeError) as caught:
        module(torch.zeros(1, 4, 20, 24))
    shown = "".join(traceback.format_exception(caught.value))
    assert "self.relu1(self.bn1(self.conv1(image)))" in shown


def test_the_same_source_is_executed_once() -> None:
    text = write_source(netspec.loads(SHARED).graph)
    module = execute(text, "siamese")
    assert execute(text, "siamese") is module
    assert linecache.getline(module.__file__ or "", 1).startswith("# siamese")


def test_the_table_of_module_attributes_is_torchs() -> None:
    ours = {name for name in dir(torch.nn.Module()) if not name.startswith("__")}
    assert ours <= MODULE_ATTRIBUTES


def test_reserved_labels_run() -> None:
    module, inputs, net = loaded(TEXTS["lists"])
    assert module(*inputs).shape == (2, 7, 3)
    assert "type.weight" in module.state_dict()
    same(torch.compile(module, fullgraph=True, backend="eager")(*inputs), module(*inputs))
