"""Hold PyTorch and onnxruntime against each other: node by node and end to end, over several input sizes and batches."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Callable

from netspec.cli.normalized import facts_asked, normalization_argument, normalized
from netspec.cli.output import compiled, spec_arguments

if TYPE_CHECKING:
    from netspec.backends.normalization import Facts
    from netspec.graph import Graph


def arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC, the seed, how many sizes, which opset."""
    spec_arguments(parser)
    parser.add_argument("--seed", type=int, default=0, help="of the weights and inputs")
    parser.add_argument("--cases", dest="count", type=int, default=3, help="how many input sizes (default 3)")
    parser.add_argument("--opset", type=int, default=21)
    parser.add_argument("--weights", metavar="FILE", help="compare on these weights instead of made ones")
    normalization_argument(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(options: argparse.Namespace) -> int:
    """Compare; 1 where they differ."""
    from netspec.runtime.verify import verify

    done = compiled(options)
    assert done.graph is not None
    weights = None
    if options.weights:
        from netspec.backends.weight_files import weights_of

        weights = weights_of(done.graph, options.seed, options.weights).array
    facts = facts_asked(options)
    draw = _raw(done.graph, facts) if facts is not None else None
    graph = normalized(done.graph, facts)
    verdict = verify(graph, options.seed, count=options.count, opset=options.opset, weights=weights, draw=draw)
    if options.format == "json":
        facts = {"ok": verdict.ok, "nodes": verdict.nodes, "cases": verdict.cases, "differences": [asdict(d) for d in verdict.differences]}
        print(json.dumps(facts, indent=2, default=str))
    else:
        print(verdict)
    return 0 if verdict.ok else 1


def _raw(graph: "Graph", facts: "Facts") -> "Callable[[dict[str, int], str, int], dict[str, Any]]":
    """What makes inputs as the data have them, of the usual ones for the plain network."""
    from netspec.backends.normalization import raw_arrays
    from netspec.runtime.cases import inputs

    return lambda sizes, character, seed: raw_arrays(facts, inputs(graph, sizes, character, seed))
