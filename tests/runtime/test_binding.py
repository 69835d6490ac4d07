"""Buffers that stay: nothing is allocated anew, and the numbers are right."""

from __future__ import annotations

import numpy as np
import pytest

from netspec.backends.onnx import model_bytes, save
from netspec.backends.weights import Initial
from netspec.diagnostics.model import Refusal
from netspec.runtime import binding
from netspec.runtime.providers import PROVIDERS, chain_of
from netspec.runtime.session import Session
from netspec.sizes.dim import Dim
from tests.runtime.test_session import GRAPH, MODEL, inputs


@pytest.fixture(scope="module")
def session() -> Session:
    return Session(MODEL, graph=GRAPH, provider="cpu", threads=1)


def test_buffers_are_kept_and_numbers_are_right(session):
    bound = session.bind({"N": 2, "H": 16, "W": 5})
    assert bound.shapes == {"a": (2, 2, 16, 5), "b": (2, 3, 16, 10)}
    random = np.random.default_rng(0)
    places = set()
    for _ in range(3):
        given = {name: random.normal(size=array.shape).astype("f") for name, array in inputs(n=2).items()}
        found = bound(**given)
        for name, array in session.run(given).items():
            np.testing.assert_array_equal(found[name], array)
        places.add(tuple(array.ctypes.data for array in (*found.values(), *bound.inputs.values())))
    assert len(places) == 1


def test_inputs_are_read_where_they_are(session):
    bound = session.bind(**inputs())
    before = bound()["b"].copy()
    bound.inputs["mask"] *= 3
    bound.run()
    np.testing.assert_array_equal(bound.outputs()["b"], 3 * before)
    bound(image=np.zeros((1, 3, 16, 5), "f"))  # the mask stays as it was
    np.testing.assert_array_equal(bound.outputs()["b"], 3 * before)


@pytest.mark.parametrize(
    ("sizes", "code", "words"),
    [
        (None, "NS757", "H, N, W are open"),
        ({"N": 1, "H": 16}, "NS757", "W is open"),
        ({"N": 1, "H": 16, "W": 5, "C": 3}, "NS757", "no open size `C`"),
        ({"N": 1, "H": 16, "W": 0}, "NS757", "W = 0"),
        ({"N": 1, "H": 20, "W": 5}, "NS723", "H = 20"),
    ],
)
def test_sizes_that_do_not_do(session, sizes, code, words):
    with pytest.raises(Refusal) as caught:
        session.bind(sizes)
    assert caught.value.diagnostic.code == code and words in caught.value.diagnostic.message


@pytest.mark.parametrize(
    ("array", "code"),
    [({"imgae": 0}, "NS720"), ({"image": np.ones((1, 3, 16, 5))}, "NS721"), ({"image": np.ones((1, 3, 32, 5), "f")}, "NS722")],
)
def test_inputs_that_do_not_fit(session, array, code):
    with pytest.raises(Refusal, match=code):
        session.bind({"N": 1, "H": 16, "W": 5})(**array)


def test_sizes_and_inputs_are_one_too_many(session):
    with pytest.raises(Refusal, match="NS757"):
        session.bind({"N": 1}, **inputs())


def test_a_model_file_tells_the_sizes_of_its_outputs(tmp_path):
    save(GRAPH, tmp_path / "net.onnx", Initial(0))
    bound = Session(tmp_path / "net.onnx", provider="cpu").bind({"N": 1, "H": 32, "W": 5})
    assert bound.shapes == {"a": (1, 2, 32, 5), "b": (1, 3, 32, 10)}


def test_an_output_whose_size_nobody_tells_is_allocated_in_each_run(session, monkeypatch):
    unknown = {name: binding.TensorType((Dim.name("unknown"),) * 4) for name in session.outputs}
    monkeypatch.setattr(binding, "output_types", lambda session: unknown)
    bound = session.bind(**inputs())
    assert bound.shapes == {"a": None, "b": None}
    np.testing.assert_array_equal(bound()["a"], session(**inputs())["a"])


def test_bfloat16_travels_as_its_bits():
    """numpy has no bfloat16: inputs and outputs are the uint16 of their bits, bound or not."""
    from onnx import TensorProto, helper

    ports = [helper.make_tensor_value_info(name, TensorProto.BFLOAT16, ["N"]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "one", ports[:1], ports[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10).SerializeToString()
    session = Session(model, provider="cpu")
    bits = np.array([0x3F80, 0x4000, 0x7FC0], np.uint16)
    assert session(x=bits)["y"].tolist() == bits.tolist()
    assert session.bind(x=bits)()["y"].tolist() == bits.tolist()
    with pytest.raises(Refusal, match="NS721"):
        session(x=np.ones(3, "float32"))


# ------------------------------------------------------------------------------------------------------------ without a GPU
class _Value:
    """Stands for a tensor on a device."""

    def __init__(self, shape, element, device, number):
        self.array, self.where, self.copies = np.zeros(shape, element), (device, number), 0

    def shape(self):
        return list(self.array.shape)

    def update_inplace(self, array):
        self.array[...] = array
        self.copies += 1


class _Binding:
    """Stands for onnxruntime's binding, and notes what is bound to what."""

    def __init__(self):
        self.bound = {}

    def bind_ortvalue_input(self, name, value):
        self.bound[name] = value

    bind_ortvalue_output = bind_ortvalue_input

    def bind_output(self, name, device, number):
        self.bound[name] = (device, number)

    def copy_outputs_to_cpu(self):
        return [self.bound[name].array for name in ("a", "b")]


class _Device:
    """Stands for a session on a GPU: it doubles nothing, and counts its runs."""

    def __init__(self):
        self.graphs = []

    def io_binding(self):
        return _Binding()

    def run_with_iobinding(self, binding, options):
        self.graphs.append(options.get_run_config_entry("gpu_graph_id") if options else None)
        binding.bound["b"].array[...] = binding.bound["mask"].array


@pytest.fixture
def on_gpu(session, monkeypatch):
    """The session as it would be on the second GPU, with CUDA graphs."""
    from dataclasses import replace

    fake = Session.__new__(Session)
    fake.__dict__.update(session.__dict__)
    fake.provider, fake._session = "cuda", _Device()
    fake.settings = replace(session.settings, cuda_graph=True, provider_options={"device_id": 1})
    monkeypatch.setattr(binding.onnxruntime.OrtValue, "ortvalue_from_shape_and_type", _Value)
    return fake


def test_buffers_on_a_device_and_a_recorded_run(on_gpu):
    bound = on_gpu.bind({"N": 1, "H": 16, "W": 5})
    assert bound._values["image"].where == ("cuda", 1) and bound.inputs == {}
    assert len(on_gpu._session.graphs) == 1  # the run that is recorded
    found = bound(**inputs())
    np.testing.assert_array_equal(found["b"], inputs()["mask"])
    another = on_gpu.bind({"N": 2, "H": 16, "W": 5})
    another.run()
    first, _, second, _ = on_gpu._session.graphs
    assert first != second, "two bindings of a session must not replay one recording"
    with pytest.raises(Refusal, match="NS757"):
        on_gpu(**inputs())


def test_cuda_graphs_need_known_sizes_and_cuda(on_gpu, session, monkeypatch):
    settings = on_gpu.settings
    assert ("CUDAExecutionProvider", {"use_tf32": "0", "device_id": "1", "enable_cuda_graph": "1"}) == chain_of(
        PROVIDERS["cuda"], settings
    )[0]
    for name in ("cpu", "openvino", "coreml", "directml"):
        with pytest.raises(Refusal, match="NS757"):
            chain_of(PROVIDERS[name], binding_settings(cuda_graph=True))
    with pytest.raises(Refusal, match="NS757"):
        Session(model_bytes(GRAPH, Initial(0)), provider="cpu", cuda_graph=True)
    unknown = {name: binding.TensorType((Dim.name("unknown"),) * 4) for name in session.outputs}
    monkeypatch.setattr(binding, "output_types", lambda session: unknown)
    with pytest.raises(Refusal, match="NS757"):
        on_gpu.bind({"N": 1, "H": 16, "W": 5})


def binding_settings(**options):
    from netspec.runtime.options import settings_of

    return settings_of(options)
