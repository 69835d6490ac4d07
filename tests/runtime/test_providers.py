"""Providers: what was asked for runs, options are held against what there is, and what falls back to the CPU is named."""

from __future__ import annotations

from types import SimpleNamespace

import onnxruntime
import pytest

from netspec.cli.session_arguments import PROVIDERS as OFFERED
from netspec.diagnostics.model import Refusal
from netspec.runtime import providers
from netspec.runtime.options import FLAGS, WORDS, pairs_of, session_options, settings_of
from netspec.runtime.providers import PROVIDERS, Assignment, Started, assignments_of, chain_of, fallen_back, refuse_fallback
from netspec.runtime.session import Session
from tests.runtime.test_session import GRAPH, MODEL


def test_names_are_those_of_onnxruntime():
    known = set(onnxruntime.get_all_providers())
    assert {one.theirs for one in PROVIDERS.values()} <= known
    assert OFFERED == ("auto", *PROVIDERS)


@pytest.mark.parametrize(
    ("name", "chain"),
    [
        ("cpu", ["CPUExecutionProvider"]),
        ("cuda", ["CUDAExecutionProvider", "CPUExecutionProvider"]),
        ("tensorrt", ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]),
        ("openvino", ["OpenVINOExecutionProvider", "CPUExecutionProvider"]),
    ],
)
def test_chains(name, chain, monkeypatch):
    monkeypatch.setattr(providers, "available", lambda: tuple(PROVIDERS))
    assert [theirs for theirs, _ in chain_of(PROVIDERS[name], settings_of({}))] == chain


def test_options_reach_the_provider_as_text(monkeypatch):
    monkeypatch.setattr(providers, "available", lambda: tuple(PROVIDERS))
    given = settings_of({"provider_options": {"trt_fp16_enable": True, "device_id": 2}, "tf32": True, "cuda_graph": True})
    assert chain_of(PROVIDERS["tensorrt"], given) == [
        ("TensorrtExecutionProvider", {"device_id": "2", "trt_fp16_enable": "1", "trt_cuda_graph_enable": "1"}),
        ("CUDAExecutionProvider", {"use_tf32": "1", "device_id": "2"}),
        ("CPUExecutionProvider", {}),
    ]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ({"provider_options": {"gpu_mem_limt": 1}}, "NS757", "did you mean `gpu_mem_limit`?"),
        ({"session_options": {"session.set_denormal_as_zeros": 1}}, "NS733", "did you mean `session.set_denormal_as_zero`?"),
        ({"session_options": {"session.set_denormal_as_zero": "yes"}}, "NS733", "is 0 or 1"),
        ({"session_options": {"session.intra_op_thread_affinities": "1" * 10_000}}, "NS733", "8192"),
        ({"thread": 2}, "NS733", "did you mean `threads`?"),
        ({"threads": -1}, "NS733", "number of threads"),
        ({"execution": "both"}, "NS733", "sequential, parallel"),
        ({"optimize": "most"}, "NS733", "none, basic, extended, all"),
    ],
)
def test_options_that_there_are_not(options, code, words):
    with pytest.raises(Refusal) as caught:
        settings = settings_of(options)
        session_options(settings)
        chain_of(PROVIDERS["cuda"], settings)
    finding = caught.value.diagnostic
    assert finding.code == code and words in " ".join((finding.message, *finding.helps))


def test_options_reach_the_session():
    given = {"session.set_denormal_as_zero": True, "session.intra_op.allow_spinning": "0"}
    options = {"threads": 2, "inter_threads": 3, "execution": "parallel", "optimize": "basic", "arena": False, "memory_pattern": False}
    made = session_options(settings_of({**options, "deterministic": True, "session_options": given}))
    assert (made.intra_op_num_threads, made.inter_op_num_threads) == (2, 3)
    assert made.execution_mode == onnxruntime.ExecutionMode.ORT_PARALLEL
    assert made.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    assert not made.enable_cpu_mem_arena and not made.enable_mem_pattern and made.use_deterministic_compute
    assert made.get_session_config_entry("session.set_denormal_as_zero") == "1"
    assert Session(MODEL, graph=GRAPH, provider="cpu", **options).settings.threads == 2
    assert not FLAGS & WORDS


def test_pairs_are_written_with_a_sign():
    assert pairs_of(["a.b=1", "c = x=y"], "--session-option") == {"a.b": "1", "c": "x=y"}
    with pytest.raises(Refusal, match="NS733"):
        pairs_of(["a"], "--session-option")


def test_a_provider_that_is_not_there_says_what_brings_it():
    with pytest.raises(Refusal) as caught:
        Session(MODEL, provider="openvino")
    assert caught.value.diagnostic.code == "NS730" and "onnxruntime-openvino" in " ".join(caught.value.diagnostic.helps)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("Failed to load library libonnxruntime_providers_cuda.so: libcudnn.so.9: cannot open shared object file", "NS731"),
        ("CUDA_PATH is set but CUDA wasn't able to be loaded", "NS731"),
        ("CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version", "NS731"),
        ('Failed to parse provider option "gpu_mem_limit": Failed to parse value: "much"', "NS757"),
        ("This session cannot use the graph capture feature as requested by the user as the model has control flow nodes", "NS757"),
        ("INVALID_GRAPH : This is an invalid model", "NS732"),
    ],
)
def test_what_a_provider_says_as_it_starts(message, code, monkeypatch):
    """Not that the model is at fault; and `auto` goes on to the next."""

    def starts(model, options, providers, **others):
        if providers[0][0] != "CPUExecutionProvider":
            raise RuntimeError(message)
        return real(model, options, providers=providers, **others)

    real = onnxruntime.InferenceSession
    monkeypatch.setattr(providers, "available", lambda: ("cpu", "cuda"))
    monkeypatch.setattr(providers.onnxruntime, "InferenceSession", starts)
    monkeypatch.setattr(providers.onnxruntime, "preload_dlls", lambda: None, raising=False)
    with pytest.raises(Refusal, match=code):
        Session(MODEL, provider="cuda")
    if code == "NS731":
        assert Session(MODEL, provider="auto").provider == "cpu"


# ----------------------------------------------------------------------------------------------------------- assignments
def part(name, *nodes):
    return SimpleNamespace(ep_name=name, get_nodes=lambda: [SimpleNamespace(name=node, op_type=kind, domain="") for node, kind in nodes])


class _Told:
    """Stands for a session of which CUDA runs all but a Resize and the sizes."""

    @staticmethod
    def get_provider_graph_assignment_info():
        return [
            part("CUDAExecutionProvider", ("conv1", "Conv")),
            part("CPUExecutionProvider", ("size/H", "Shape"), ("size/2 * H", "Mul"), ("up.0/Resize", "Resize"), ("up.0", "Add")),
            part("NewExecutionProvider", ("fc", "Gemm")),
        ]


def test_who_runs_what():
    found = assignments_of(_Told())
    assert [one.provider for one in found] == ["cuda", "cpu", "cpu", "cpu", "cpu", "NewExecutionProvider"]
    assert fallen_back(found) == ("up.0",)
    assert assignments_of(SimpleNamespace()) is None  # before onnxruntime 1.24


def test_fallback_is_an_error_where_that_is_asked():
    with pytest.raises(Refusal, match=r"NS736.*1 layer runs on the CPU, not on `cuda`: up\.0"):
        refuse_fallback(Started("cuda", None, assignments_of(_Told())))
    refuse_fallback(Started("cuda", None, (Assignment("conv1", "Conv", "cuda"), Assignment("size/N", "Shape", "cpu"))))
    refuse_fallback(Started("cpu", None, ()))
    with pytest.raises(Refusal, match="NS736.*does not tell"):
        refuse_fallback(Started("cuda", None, None))


def test_onnxruntime_tells_by_our_labels():
    """The call itself, where this onnxruntime has it: nodes are called as the layers are."""
    options = session_options(settings_of({"session_options": {providers._RECORD: "1"}}))
    session = onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])
    found = assignments_of(session)
    if found is None:
        pytest.skip("this onnxruntime does not tell")
    assert {providers.label_of(one.node) for one in found} == {"conv", "relu"} and {one.provider for one in found} == {"cpu"}


def test_a_session_names_what_fell_back(monkeypatch):
    monkeypatch.setattr(Session, "assignments", assignments_of(_Told()), raising=False)
    session = Session(MODEL, graph=GRAPH, provider="cpu")
    assert session.fallback == ()
    session.provider, session.assignments = "cuda", assignments_of(_Told())
    assert session.fallback == ("up.0",)


# --------------------------------------------------------------------------------------------------------------- kernels
def bfloat16(opset):
    from onnx import TensorProto, helper

    nodes = [helper.make_node("Conv", ["x", "w"], ["c"], "conv1"), helper.make_node("Relu", ["c"], ["r"], "relu1")]
    nodes.append(helper.make_node("Identity", ["r"], ["y"], "id"))
    ports = [helper.make_tensor_value_info(name, TensorProto.BFLOAT16, [1, 1, 4, 4]) for name in ("x", "y")]
    weight = helper.make_tensor("w", TensorProto.BFLOAT16, [1, 1, 1, 1], [1.0])
    graph = helper.make_graph(nodes, "one", ports[:1], ports[1:], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10).SerializeToString()


def test_what_the_cpu_has_no_kernel_for():
    with pytest.raises(Refusal) as caught:
        Session(bfloat16(22), provider="cpu")
    finding = caught.value.diagnostic
    assert finding.code == "NS735" and "`cpu` has no Conv" in finding.message
    assert "in bfloat16 it lacks Conv, Relu" in finding.notes


def test_what_an_opset_has_no_type_for():
    with pytest.raises(Refusal, match=r"NS735.*Conv takes no tensor\(bfloat16\)"):
        Session(bfloat16(21), provider="cpu")
