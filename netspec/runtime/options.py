"""The options of a session: what there is, and which words they take.

onnxruntime takes any key for a setting of a session and ignores those that it does not know, so that a misspelt one does nothing.
Here every key is held against the list of onnxruntime's `onnxruntime_session_options_config_keys.h` (as of 1.31) first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, fields
from typing import Any

import onnxruntime

from netspec.diagnostics.model import Refusal
from netspec.diagnostics.nearest import suggestion
from netspec.record import record

LEVELS = {
    "none": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
MODES = {"sequential": onnxruntime.ExecutionMode.ORT_SEQUENTIAL, "parallel": onnxruntime.ExecutionMode.ORT_PARALLEL}

#: Settings of a session that are on or off.
FLAGS = frozenset({
    "ep.context_embed_mode", "ep.context_enable", "ep.enable_weightless_ep_context_nodes", "memory.enable_memory_arena_shrinkage",
    "mlas.disable_kleidiai", "mlas.enable_gemm_fastmath_arm64_bfloat16", "mlas.use_lut_gemm", "optimization.enable_cast_chain_elimination",
    "optimization.enable_gelu_approximation", "session.allow_released_opsets_only", "session.debug_layout_transformation",
    "session.disable_aot_function_inlining", "session.disable_cpu_ep_fallback", "session.disable_double_qdq_remover",
    "session.disable_model_compile", "session.disable_prepacking", "session.disable_qdq_constant_folding", "session.disable_quant_qdq",
    "session.enable_dq_matmulnbits_fusion", "session.enable_quant_qdq_cleanup", "session.fail_on_suboptimal_compiled_model",
    "session.force_spinning_stop", "session.inter_op.allow_spinning", "session.intra_op.allow_spinning",
    "session.name_based_layer_assignment", "session.qdqisint8allowed", "session.record_ep_graph_assignment_info",
    "session.save_external_prepacked_constant_initializers", "session.set_denormal_as_zero", "session.strict_shape_type_inference",
    "session.use_device_allocator_for_initializers", "session.use_env_allocators", "session.use_ort_model_bytes_directly",
    "session.use_ort_model_bytes_for_initializers", "session.x64quantprecision",
})  # fmt: skip
#: Settings of a session that take a number, a path or a word.
WORDS = frozenset({
    "ep.context_file_path", "ep.context_model_external_initializers_file_name", "ep.context_node_name_prefix",
    "optimization.constant_folding_max_output_size_in_bytes", "optimization.disable_specified_optimizers",
    "optimization.minimal_build_optimizations", "session.collect_node_memory_stats_to_file", "session.dynamic_block_base",
    "session.graph_optimizations_loop_level", "session.inter_op.spin_backoff_max", "session.inter_op.spin_duration_us",
    "session.intra_op.spin_backoff_max", "session.intra_op.spin_duration_us", "session.intra_op_thread_affinities",
    "session.layer_assignment_settings", "session.load_model_format", "session.model_external_initializers_file_folder_path",
    "session.node_partition_config_file", "session.optimized_model_external_initializers_file_name",
    "session.optimized_model_external_initializers_min_size_in_bytes", "session.qdq_matmulnbits_accuracy_level",
    "session.qdq_matmulnbits_block_size", "session.resource_cuda_partitioning_settings", "session.save_model_format",
})  # fmt: skip
#: How the settings of a provider that comes as a library of its own begin: `ep.cuda.prefer_nhwc`.
_OF_PROVIDERS = ("ep.cuda.", "ep.tensorrt.", "ep.nvtensorrtrtxexecutionprovider.", "ep.openvino.", "ep.qnn.", "ep.webgpuexecutionprovider.")
#: The longest key and value that onnxruntime takes, in characters.
_LONGEST_KEY, _LONGEST_VALUE = 1024, 8192


@record
class SessionSettings:
    """How a session is set up.

    optimize: a truth value, or how far the graph is rewritten: `none`, `basic`, `extended`, `all`.
    threads, inter_threads: how many work within an operator and, where `execution` is `parallel`, on operators side by side; 0 leaves
        their number to onnxruntime.
    execution: `sequential` or `parallel`.
    arena, memory_pattern: keep freed memory for the next tensor, and plan where tensors lie after the first run of fixed sizes.
    deterministic: kernels that give the same bits each time, where a provider has several.
    tf32: let CUDA round products to 10 bits, as it otherwise would by default.
    cuda_graph: record the launches of a run once and replay them (CUDA and TensorRT; `Session.bind` runs it).
    strict: refuse a session of which another provider than the one that was asked for runs layers on the CPU.
    session_options, provider_options: further settings, by onnxruntime's names.
    """

    optimize: bool | str = True
    threads: int = 0
    inter_threads: int = 0
    execution: str = "sequential"
    arena: bool = True
    memory_pattern: bool = True
    deterministic: bool = False
    tf32: bool = False
    cuda_graph: bool = False
    strict: bool = False
    session_options: Mapping[str, Any] = field(default_factory=dict)
    provider_options: Mapping[str, Any] = field(default_factory=dict)


def settings_of(options: Mapping[str, Any]) -> SessionSettings:
    """Settings from options by name. Raises Refusal NS733 for a name that there is not."""
    known = tuple(one.name for one in fields(SessionSettings))
    for name in options:
        if name not in known:
            helps = suggestion(name, known) or (f"a session has {', '.join(known)}",)
            raise Refusal("NS733", f"a session has no option `{name}`", helps=helps, status=2)
    return SessionSettings(**options)


def session_options(settings: SessionSettings) -> Any:
    """The `onnxruntime.SessionOptions` of settings. Raises Refusal NS733 for what onnxruntime does not have."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = choice("level of optimization", _level(settings.optimize), LEVELS)
    options.execution_mode = choice("mode of execution", settings.execution, MODES)
    options.intra_op_num_threads = _count("threads", settings.threads)
    options.inter_op_num_threads = _count("inter_threads", settings.inter_threads)
    options.enable_cpu_mem_arena = settings.arena
    options.enable_mem_pattern = settings.memory_pattern
    options.use_deterministic_compute = settings.deterministic
    options.log_severity_level = 4  # what matters comes as an exception
    for key, value in settings.session_options.items():
        options.add_session_config_entry(key, _entry(key, value))
    return options


def choice(what: str, given: str, known: Mapping[str, Any]) -> Any:
    """What a word stands for. Raises Refusal NS733 for one that is not known."""
    if given not in known:
        raise Refusal("NS733", f"there is no {what} `{given}`", helps=(f"choose one of {', '.join(known)}",), status=2)
    return known[given]


def pairs_of(texts: Iterable[str], flag: str) -> dict[str, str]:
    """`["session.set_denormal_as_zero=1"]` as a mapping. Raises Refusal NS733 for anything else."""
    found = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign or not key.strip():
            raise Refusal("NS733", f"{flag} is written KEY=VALUE, not `{text}`", status=2)
        found[key.strip()] = value.strip()
    return found


def as_text(value: Any) -> str:
    """A value as onnxruntime's tables of strings have it: a truth value is 1 or 0."""
    return str(int(value)) if isinstance(value, bool) else str(value)


def _entry(key: str, value: Any) -> str:
    text = as_text(value)
    if key not in FLAGS and key not in WORDS and not key.startswith(_OF_PROVIDERS) or len(key) > _LONGEST_KEY:
        helps = suggestion(key, FLAGS | WORDS) or ("onnxruntime lists its keys in onnxruntime_session_options_config_keys.h",)
        raise Refusal("NS733", f"onnxruntime has no session option `{key[:100]}`", helps=helps, status=2)
    if key in FLAGS and text not in ("0", "1") or len(text) > _LONGEST_VALUE or "\0" in text:
        asked = "is 0 or 1" if key in FLAGS else f"has at most {_LONGEST_VALUE} characters"
        raise Refusal("NS733", f"the session option `{key}` {asked}, not `{text[:40]}`", status=2)
    return text


def _count(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 4096:
        raise Refusal("NS733", f"`{name}` is a number of threads, 0 for onnxruntime's own choice, not {value!r}", status=2)
    return value


def _level(optimize: bool | str) -> str:
    return optimize if isinstance(optimize, str) else "all" if optimize else "none"
