"""The layer table of a net: label, operator, output shape, parameters, multiply-accumulates, receptive field; by layer (equal
blocks in a row once), block or operator; cost, memory, signals, and for which sizes it is well defined."""

from __future__ import annotations

import argparse
import sys

from netspec.cli.output import coloured, compiled, spec_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC, what the rows are and in which order, which columns there are, a figure, and the format."""
    spec_arguments(parser)
    parser.add_argument("--by", choices=("layer", "block", "op"), default="layer", help="a row for each layer, block or operator")
    parser.add_argument("--depth", type=int, metavar="N", help="blocks down to N parts of the dotted name (implies --by block)")
    orders = ("order", "parameters", "macs", "operations", "bytes", "label")
    parser.add_argument("--sort", choices=orders, default="order", help="numbers from the greatest down")
    parser.add_argument("--unfold", action="store_true", help="every layer, those of equal blocks in a row too")
    parser.add_argument("--cost", action="store_true", help="operations, bytes moved, and operations a byte")
    parser.add_argument("--memory", action="store_true", help="what is alive at the peak, and the best order of execution")
    parser.add_argument("--signal", action="store_true", help="mean and second moment of activations and gradients at initialization")
    parser.add_argument("--symbolic", action="store_true", help="the cost as expressions of the open sizes")
    parser.add_argument("--all", action="store_true", help="all of these")
    parser.add_argument("--plot", metavar="FILE", help="draw cost, memory and signals through the network (.png, .svg, .pdf)")
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(options: argparse.Namespace) -> int:
    """Print the summary; draw it where a figure is asked for."""
    from netspec.analyses.summary import summarize
    from netspec.collector import paused
    from netspec.diagnostics.model import Refusal

    if options.depth is not None and options.depth < 1:
        raise Refusal("NS015", f"a depth is at least 1, not {options.depth}", status=2)
    done = compiled(options)
    assert done.graph is not None
    by = "block" if options.depth is not None and options.by == "layer" else options.by
    signal, symbolic = options.signal or options.all, options.symbolic or options.all
    with paused():
        summary = summarize(done.graph)
        if options.format == "json":
            text = summary.json(signal=signal, symbolic=symbolic, by=by, depth=options.depth or 1, sort=options.sort)
        else:
            text = summary.table(
                by=by, depth=options.depth or 1, sort=options.sort, cost=options.cost or options.all,
                memory=options.memory or options.all, signal=signal, symbolic=symbolic, unfold=options.unfold,
                colour=coloured(sys.stdout),
            )  # fmt: skip
    if options.plot:
        from netspec.backends.plot import save_summary_figure

        save_summary_figure(done.graph, options.plot)
    print(text)
    return 0
