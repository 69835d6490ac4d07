"""Hold PyTorch and onnxruntime against each other: node by node and end to end, over several input sizes and batches."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Callable

from netspec.cli.int8 import int8_arguments, verify_int8
from netspec.cli.normalized import facts_asked, normalization_argument, normalized
from netspec.cli.output import compiled, spec_arguments
from netspec.cli.weight_arguments import weight_arguments, weights_asked

if TYPE_CHECKING:
    from netspec.backends.normalization import Facts
    from netspec.graph import Graph


def arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC, the seed, how many sizes, which opset."""
    spec_arguments(parser)
    parser.add_argument("--seed", type=int, default=0, help="of the weights and inputs")
    parser.add_argument("--cases", dest="count", type=int, default=3, help="how many input sizes (default 3)")
    parser.add_argument("--opset", type=int, help="the ONNX opset (default 21)")
    weight_arguments(parser, "compare on these weights instead of made ones")
    words = "fp16, bf16, int8: report what each layer loses against float32, in place of comparing with PyTorch"
    parser.add_argument("--precision", choices=("fp32", "fp16", "bf16", "int8"), default="fp32", help=words)
    int8_arguments(parser)
    normalization_argument(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(options: argparse.Namespace) -> int:
    """Compare; 1 where they differ."""
    from netspec.runtime.verify import verify

    done = compiled(options)
    assert done.graph is not None
    if options.precision == "int8":
        return _int8(done.graph, options)
    weights = None
    if options.precision == "fp32" and (options.weights or options.partial):
        weights = weights_asked(done.graph, options).array
    facts = facts_asked(options)
    draw = _raw(done.graph, facts) if facts is not None else None
    graph = normalized(done.graph, facts)
    if options.precision != "fp32":
        return _low(graph, options, draw)
    verdict = verify(graph, options.seed, count=options.count, opset=options.opset or 21, weights=weights, draw=draw)
    if options.format == "json":
        facts = {"ok": verdict.ok, "nodes": verdict.nodes, "cases": verdict.cases, "differences": [asdict(d) for d in verdict.differences]}
        print(json.dumps(facts, indent=2, default=str))
    else:
        print(verdict)
    return 0 if verdict.ok else 1


def _int8(graph: "Graph", options: argparse.Namespace) -> int:
    from netspec.backends.onnx import OnnxOptions

    how = OnnxOptions(opset=options.opset or 21)
    return verify_int8(normalized(graph, facts_asked(options)), weights_asked(graph, options), how, options)


def _low(graph: "Graph", options: argparse.Namespace, draw: Any) -> int:
    """Compare a low precision with float32, on the weights that a model would be written with; 1 beyond the bound."""
    from netspec.runtime.precision_check import check_precision

    weights = weights_asked(graph, options)
    verdict = check_precision(
        graph, options.precision, options.seed, count=options.count, weights=weights, opset=options.opset, draw=draw,
        keep=tuple(options.keep),
    )  # fmt: skip
    print(json.dumps(verdict.facts(), indent=2) if options.format == "json" else verdict)
    return 0 if verdict.ok else 1


def _raw(graph: "Graph", facts: "Facts") -> "Callable[[dict[str, int], str, int], dict[str, Any]]":
    """What makes inputs as the data have them, of the usual ones for the plain network."""
    from netspec.backends.normalization import raw_arrays
    from netspec.runtime.cases import inputs

    return lambda sizes, character, seed: raw_arrays(facts, inputs(graph, sizes, character, seed))
