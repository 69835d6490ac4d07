"""Execution providers: which there are, which run here, what they may be told, and which of them runs which layer.

What was asked for is what runs: a provider that is not in use is an error, never a silent run on the CPU; and where a provider
leaves layers to the CPU, they are named.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any

import onnxruntime

from netspec.diagnostics.model import Refusal
from netspec.diagnostics.nearest import suggestion
from netspec.record import record
from netspec.runtime.options import SessionSettings, as_text, choice, session_options

_RECORD = "session.record_ep_graph_assignment_info"
_NO_FALLBACK = "session.disable_cpu_ep_fallback"


@record
class Provider:
    """An execution provider. `theirs` is onnxruntime's name of it, `package` what brings it; `device` is where its tensors lie;
    what it cannot run goes to `then`, and the rest to the CPU. `options` are those that onnxruntime reads, `graphs` the one that turns
    CUDA graphs on."""

    name: str
    theirs: str
    package: str
    options: tuple[str, ...] = ()
    device: str = "cpu"
    then: tuple[str, ...] = ()
    graphs: str = ""


#: Options as each provider's page under https://onnxruntime.ai/docs/execution-providers has them.
_CUDA = (
    "device_id", "has_user_compute_stream", "user_compute_stream", "gpu_mem_limit", "arena_extend_strategy", "cudnn_conv_algo_search",
    "cudnn_conv_use_max_workspace", "cudnn_conv1d_pad_to_nc1d", "do_copy_in_default_stream", "enable_cuda_graph",
    "enable_skip_layer_norm_strict_mode", "fuse_conv_bias", "gpu_external_alloc", "gpu_external_empty_cache", "gpu_external_free",
    "prefer_nhwc", "sdpa_kernel", "tunable_op_enable", "tunable_op_max_tuning_duration_ms", "tunable_op_tuning_enable",
    "use_ep_level_unified_stream", "use_tf32",
)  # fmt: skip
_TENSORRT = (
    "device_id", "has_user_compute_stream", "user_compute_stream", "trt_auxiliary_streams", "trt_bf16_enable",
    "trt_build_heuristics_enable", "trt_builder_optimization_level", "trt_context_memory_sharing_enable", "trt_cuda_graph_enable",
    "trt_detailed_build_log", "trt_dla_core", "trt_dla_enable", "trt_dump_ep_context_model", "trt_dump_subgraphs",
    "trt_engine_cache_enable", "trt_engine_cache_path", "trt_engine_cache_prefix", "trt_engine_decryption_enable",
    "trt_engine_decryption_lib_path", "trt_engine_hw_compatible", "trt_ep_context_embed_mode", "trt_ep_context_file_path",
    "trt_extra_plugin_lib_paths", "trt_force_sequential_engine_build", "trt_force_timing_cache", "trt_fp16_enable",
    "trt_int8_calibration_table_name", "trt_int8_enable", "trt_int8_use_native_calibration_table", "trt_layer_norm_fp32_fallback",
    "trt_max_partition_iterations", "trt_max_workspace_size", "trt_min_subgraph_size", "trt_onnx_bytestream",
    "trt_onnx_model_folder_path", "trt_op_types_to_exclude", "trt_preview_features", "trt_profile_max_shapes",
    "trt_profile_min_shapes", "trt_profile_opt_shapes", "trt_sparsity_enable", "trt_tactic_sources", "trt_timing_cache_enable",
    "trt_timing_cache_path", "trt_weight_stripped_engine_enable",
)  # fmt: skip
_OPENVINO = (
    "cache_dir", "context", "device_id", "device_luid", "device_type", "disable_dynamic_shapes", "enable_causallm",
    "enable_opencl_throttling", "enable_qdq_optimizer", "layout", "load_config", "model_priority", "num_of_threads", "num_streams",
    "precision", "reshape_input",
)  # fmt: skip
_COREML = (
    "AllowLowPrecisionAccumulationOnGPU", "EnableOnSubgraphs", "MLComputeUnits", "ModelCacheDirectory", "ModelFormat",
    "ProfileComputePlan", "RequireStaticInputShapes", "SpecializationStrategy",
)  # fmt: skip
_DIRECTML = ("device_filter", "device_id", "disable_metacommands", "enable_graph_capture", "performance_preference")

PROVIDERS: dict[str, Provider] = {
    one.name: one
    for one in (
        Provider("cpu", "CPUExecutionProvider", "onnxruntime"),
        Provider("cuda", "CUDAExecutionProvider", "onnxruntime-gpu", _CUDA, "cuda", graphs="enable_cuda_graph"),
        Provider("tensorrt", "TensorrtExecutionProvider", "onnxruntime-gpu", _TENSORRT, "cuda", ("cuda",), "trt_cuda_graph_enable"),
        Provider("openvino", "OpenVINOExecutionProvider", "onnxruntime-openvino", _OPENVINO),
        Provider("coreml", "CoreMLExecutionProvider", "onnxruntime for macOS", _COREML),
        Provider("directml", "DmlExecutionProvider", "onnxruntime-directml", _DIRECTML, "dml"),
    )
}
#: What keeps a provider from starting, as a rule.
_LIBRARIES = ("onnxruntime's log says why: a missing driver or CUDA library, most often",)
#: `auto` takes the first of these that works. TensorRT, OpenVINO and Core ML compile the model, some for minutes: only on request.
AUTOMATIC = ("cuda", "directml", "cpu")


@record
class Assignment:
    """Which provider runs a node of the model: its name there, its operator, and the provider by our name (or onnxruntime's)."""

    node: str
    op_type: str
    provider: str


@record
class Started:
    """A session of onnxruntime that runs, and the provider that was asked for. `assignments` is None where this onnxruntime
    (before 1.24) does not tell."""

    provider: str
    session: Any
    assignments: tuple[Assignment, ...] | None


def available() -> tuple[str, ...]:
    """The providers that this onnxruntime was built with, by our names."""
    built = onnxruntime.get_available_providers()
    return tuple(name for name, one in PROVIDERS.items() if one.theirs in built)


def start(model: bytes | str | os.PathLike[str], provider: str, settings: SessionSettings, profile: str = "") -> Started:
    """Load a model, and see to it that the provider is in use; with the profiler on, if there is a place for its file (a prefix).

    Raises Refusal: NS730 not installed, NS731 does not start, NS732 a model that it does not take, NS733 and NS757 options, NS735 an
    operator without a kernel, NS736 layers on the CPU where `settings.strict`.
    """
    choice("provider", provider, {"auto": "", **PROVIDERS})
    if provider != "auto":
        return _started(model, provider, settings, profile)
    for candidate in AUTOMATIC:
        if candidate in available():
            try:
                return _started(model, candidate, settings, profile)
            except Refusal as refusal:
                if refusal.diagnostic.code != "NS731" or candidate == "cpu":
                    raise
    raise Refusal("NS730", "this onnxruntime has no provider that netspec knows", helps=("pip install onnxruntime",), status=3)


def _started(model: Any, provider: str, settings: SessionSettings, profile: str) -> Started:
    one = PROVIDERS[provider]
    if provider not in available():
        helps = (f"available: {', '.join(available())}", f"it comes with the package {one.package}, in place of onnxruntime")
        raise Refusal("NS730", f"this onnxruntime has no provider `{provider}`", helps=helps, status=3)
    session = _load(model, one, settings, profile)
    if one.theirs not in session.get_providers():
        used = ", ".join(session.get_providers())
        raise Refusal("NS731", f"the provider `{provider}` did not start; onnxruntime fell back to {used}", helps=_LIBRARIES)
    found = Started(provider, session, assignments_of(session) if provider != "cpu" else ())
    if settings.strict:
        refuse_fallback(found)
    return found


def _load(model: Any, provider: Provider, settings: SessionSettings, profile: str) -> Any:
    if provider.device == "cuda" and hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()  # finds CUDA where pip put it
    chain, options = chain_of(provider, settings), session_options(settings)
    if profile:
        options.enable_profiling, options.profile_file_prefix = True, profile
    if provider.name != "cpu":
        options.log_severity_level = 3  # why a provider does not start, it only logs
        options.add_session_config_entry(_RECORD, "1")
    if provider.name == "directml":  # it plans memory itself, and refuses the others
        options.enable_mem_pattern, options.execution_mode = False, onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    if not isinstance(model, bytes):
        model = os.fspath(model)
        if not os.path.isfile(model):
            raise Refusal("NS732", f"there is no file {model}", status=2)
    try:
        # without `enable_fallback=0` an error starts the session anew on the CPU, with a word about it on standard output
        return onnxruntime.InferenceSession(model, options, providers=chain, enable_fallback=0)
    except Exception as error:  # onnxruntime has no class of its own for all of them
        raise _refused(model, provider, error) from error


def chain_of(provider: Provider, settings: SessionSettings) -> list[tuple[str, dict[str, str]]]:
    """The providers in order of preference, each with its options. Raises Refusal NS757 for options that they do not have."""
    given = {name: as_text(value) for name, value in settings.provider_options.items()}
    for name in given:
        if name not in provider.options:
            helps = suggestion(name, provider.options) or ((f"it has {', '.join(provider.options)}",) if provider.options else ())
            raise Refusal("NS757", f"the provider `{provider.name}` has no option `{name}`", helps=helps, status=2)
    if settings.cuda_graph:
        if not provider.graphs:
            raise Refusal("NS757", f"CUDA graphs are for the providers cuda and tensorrt, not for `{provider.name}`", status=2)
        given[provider.graphs] = "1"
    chain = []
    for one in (provider, *(PROVIDERS[name] for name in provider.then), PROVIDERS["cpu"]):
        if one.name in (provider.name, "cpu") or one.name in available():
            own = {"use_tf32": as_text(settings.tf32)} if one.name == "cuda" else {}  # torch's products are exact by default
            if "device_id" in given and "device_id" in one.options:
                own["device_id"] = given["device_id"]
            chain.append((one.theirs, {**own, **given} if one is provider else own))
    return chain if provider.name != "cpu" else chain[:1]


# ------------------------------------------------------------------------------------------------------------ who runs what
def assignments_of(session: Any) -> tuple[Assignment, ...] | None:
    """Which provider runs each node, in the order of the graph; None where onnxruntime does not tell."""
    try:
        parts = session.get_provider_graph_assignment_info()
    except Exception:  # no such method before 1.24; an error of its own where nothing was recorded
        return None
    ours = {one.theirs: name for name, one in PROVIDERS.items()}
    return tuple(Assignment(node.name, node.op_type, ours.get(part.ep_name, part.ep_name)) for part in parts for node in part.get_nodes())


def fallen_back(assignments: Iterable[Assignment]) -> tuple[str, ...]:
    """The layers of which nodes run on the CPU. The arithmetic of sizes belongs there, and is no layer."""
    found: dict[str, None] = {}
    for one in assignments:
        if one.provider == "cpu" and not _of_sizes(one):
            found[label_of(one.node) or one.op_type] = None
    return tuple(found)


def label_of(node: str) -> str:
    """The layer of a node that netspec has named: `layer1.0.conv1/Pad` is part of `layer1.0.conv1`."""
    return node.split("/", 1)[0]


def _of_sizes(one: Assignment) -> bool:
    return one.op_type in ("Shape", "Size") or one.node.startswith("size/")


def refuse_fallback(found: Started) -> None:
    """Raise Refusal NS736 where layers run on the CPU though another provider was asked for; or where nobody can tell."""
    if found.provider == "cpu":
        return
    if found.assignments is None:
        helps = ("onnxruntime 1.24 and later do", f"session option {_NO_FALLBACK}=1 makes older ones refuse whatever is left to the CPU")
        raise Refusal("NS736", "this onnxruntime does not tell which provider runs which node", helps=helps, status=3)
    layers = fallen_back(found.assignments)
    if layers:
        shown = ", ".join(layers[:8]) + (f" and {len(layers) - 8} more" if len(layers) > 8 else "")
        what = f"{len(layers)} {'layer runs' if len(layers) == 1 else 'layers run'} on the CPU, not on `{found.provider}`: {shown}"
        raise Refusal("NS736", what, helps=("without --no-fallback they are reported, and run",))


# ------------------------------------------------------------------------------------------------------------ what went wrong
_NO_KERNEL = re.compile(r"Could not find an implementation for (\S+)\((\d+)\) node with name '([^']*)'")
_NO_START = re.compile(
    r"[Ff]ailed to load|onnxruntime_providers_|able to be loaded|CUDA failure|CUDNN failure|no CUDA-capable|[Dd]river version"
)
_NO_VALUE = re.compile(r"provider option|graph capture", re.IGNORECASE)
_NO_TYPE = re.compile(r"Type '(tensor\(\w+\))' of input parameter \((.*?)\) of operator \((\w+)\) in node \((.*?)\) is invalid")


def _refused(model: Any, provider: Provider, error: Exception) -> Refusal:
    """What onnxruntime says of a model that it does not load, as a refusal."""
    text = str(error)
    if (found := _NO_KERNEL.search(text)) is not None:
        from netspec.runtime.kernels import lacking

        operator, version, node = found.groups()
        notes = (f"first at {node}" if node else "", *lacking(model, provider.theirs))
        helps = ("another provider may have it; or write the model in fp32",)
        message = f"the provider `{provider.name}` has no {operator} (opset {version}) for the element types that the model gives it"
        return Refusal("NS735", message, notes=tuple(filter(None, notes)), helps=helps)
    if (found := _NO_TYPE.search(text)) is not None and found.group(1) in ("tensor(bfloat16)", "tensor(float16)"):
        kind, _, operator, node = found.groups()
        message = f"{operator} takes no {kind} at the opset of this model (node {node})"
        return Refusal("NS735", message, helps=("write it at a later --opset: 22 has bfloat16 for convolutions and pools",))
    if provider.name != "cpu" and (code := "NS757" if _NO_VALUE.search(text) else "NS731" if _NO_START.search(text) else ""):
        what = "does not start" if code == "NS731" else "was told what it does not take"
        return Refusal(code, f"the provider `{provider.name}` {what}: {first_line(error)}", helps=_LIBRARIES if code == "NS731" else ())
    shown = "the model" if isinstance(model, bytes) else model
    return Refusal("NS732", f"onnxruntime does not take {shown}: {first_line(error)}")


def first_line(error: Exception) -> str:
    """The first line of onnxruntime's message, without what only its developers read."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].split(" : ")[-1][:300]
