"""How a command line sets a session of onnxruntime up: provider, threads, and what else it may be told."""

from __future__ import annotations

import argparse
from typing import Any

#: The providers by our names: those of `runtime.providers`, which is not imported for a command line alone.
PROVIDERS = ("auto", "cpu", "cuda", "tensorrt", "openvino", "coreml", "directml")


def session_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of a session."""
    group = parser.add_argument_group("onnxruntime")
    group.add_argument("--provider", choices=PROVIDERS, default="auto", help="where it runs; auto: CUDA or DirectML, or else the CPU")
    group.add_argument("--no-fallback", action="store_true", help="an error where the provider leaves layers to the CPU")
    group.add_argument("--threads", type=int, default=0, metavar="N", help="within an operator (default: onnxruntime's choice)")
    group.add_argument("--inter-threads", type=int, default=0, metavar="N", help="on operators side by side, with --execution parallel")
    group.add_argument("--execution", choices=("sequential", "parallel"), default="sequential")
    group.add_argument("--optimize", choices=("none", "basic", "extended", "all"), default="all", help="how far the graph is rewritten")
    group.add_argument("--no-arena", action="store_true", help="give memory back after every tensor")
    group.add_argument("--no-memory-pattern", action="store_true", help="do not plan where tensors lie after the first run")
    group.add_argument("--deterministic", action="store_true", help="kernels that give the same bits each time")
    group.add_argument("--cuda-graph", action="store_true", help="record the launches of a run once, and replay them")
    group.add_argument("--session-option", metavar="KEY=VALUE", action="append", default=[], help="session.set_denormal_as_zero=1, …")
    group.add_argument("--provider-option", metavar="KEY=VALUE", action="append", default=[], help="cudnn_conv_algo_search=HEURISTIC, …")


def session_settings(options: argparse.Namespace) -> dict[str, Any]:
    """The same as `Session` takes them, the provider among them. Raises Refusal NS733 for a setting that is written wrong."""
    from netspec.runtime.options import pairs_of

    return {
        "provider": options.provider,
        "strict": options.no_fallback,
        "threads": options.threads,
        "inter_threads": options.inter_threads,
        "execution": options.execution,
        "optimize": options.optimize,
        "arena": not options.no_arena,
        "memory_pattern": not options.no_memory_pattern,
        "deterministic": options.deterministic,
        "cuda_graph": options.cuda_graph,
        "session_options": pairs_of(options.session_option, "--session-option"),
        "provider_options": pairs_of(options.provider_option, "--provider-option"),
    }
