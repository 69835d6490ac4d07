"""`--with-normalization`: the network as it takes data, not as it was trained to take them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from netspec.diagnostics.model import Refusal

if TYPE_CHECKING:
    from netspec.backends.normalization import Facts
    from netspec.graph import Graph


def normalization_argument(parser: argparse.ArgumentParser) -> None:
    """`--with-normalization`."""
    words = "begin with the normalization that --weights was trained with: inputs are then as the data have them"
    parser.add_argument("--with-normalization", action="store_true", help=words)


def facts_asked(options: argparse.Namespace) -> "Facts | None":
    """The normalization of the weights file, where that is asked for. Raises Refusal: NS015 without --weights, NS840 and NS841."""
    if not options.with_normalization:
        return None
    if not options.weights:
        helps = ("--weights weights.safetensors, as `netspec train` writes it",)
        raise Refusal("NS015", "--with-normalization needs --weights: the normalization stands in that file", helps=helps, status=2)
    from netspec.backends.normalization import facts_of

    return facts_of(options.weights)


def normalized(graph: "Graph", facts: "Facts | None") -> "Graph":
    """The graph with the normalization before it, if there is one."""
    if facts is None:
        return graph
    from netspec.backends.normalization import with_normalization

    return with_normalization(graph, facts)
