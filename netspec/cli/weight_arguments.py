"""How a command line gives a network its weights: a file, a seed, and what to do where the file has not all of them."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from netspec.diagnostics.model import Refusal

if TYPE_CHECKING:
    from netspec.backends.weight_files import Partial
    from netspec.backends.weights import Weights
    from netspec.graph import Graph


def weight_arguments(parser: argparse.ArgumentParser, words: str) -> None:
    """`--weights`, which `words` explain, `--strip` and `--partial`."""
    parser.add_argument("--weights", metavar="FILE", help=f"{words}: .safetensors (or an index of several), .npz or .pt")
    parser.add_argument("--strip", metavar="PREFIX", default="", help="a prefix to drop from the names in --weights (`module.`)")
    parser.add_argument("--partial", action="store_true", help="let --weights have some of them: the others are drawn, and listed")


def weights_asked(graph: "Graph", options: argparse.Namespace) -> "Weights":
    """The weights of the file, or of the seed. What a partial file lacks is listed on standard error, by name, line and initializer.

    Raises Refusal: NS015 for `--partial` or `--strip` without a file, and as `weights_of` does.
    """
    from netspec.backends.weight_files import Partial, weights_of

    if options.partial and not options.weights:
        raise Refusal("NS015", "--partial is of a file of weights", helps=("--weights backbone.safetensors --partial",), status=2)
    if options.strip and not options.weights:
        raise Refusal("NS015", "--strip is of a file of weights", helps=(f"--weights model.pt --strip {options.strip}",), status=2)
    weights = weights_of(graph, options.seed, options.weights, options.strip, options.partial)
    if isinstance(weights, Partial):
        _tell(weights, graph, options)
    return weights


def _tell(weights: "Partial", graph: "Graph", options: argparse.Namespace) -> None:
    from netspec.backends.weight_files.differences import drawn_table
    from netspec.diagnostics.render import show

    lacking = list(weights.lacking.values())
    some = f"{len(lacking):,} of {len(graph.weights):,} tensors"
    print(f"{show(options.weights)} lacks {some}, drawn from seed {options.seed}:", file=sys.stderr)
    for line in drawn_table(lacking):
        print(f"  {show(line)}", file=sys.stderr)
