"""The layer table of a net: label, operator, output shape, parameters, multiply-accumulates; totals; valid input sizes."""

from __future__ import annotations

import argparse

from netspec.cli.output import compiled, spec_arguments


def arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC and the format."""
    spec_arguments(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(options: argparse.Namespace) -> int:
    """Print the summary."""
    from netspec.analyses.summary import summarize

    done = compiled(options)
    assert done.graph is not None
    summary = summarize(done.graph)
    print(summary.json() if options.format == "json" else str(summary))
    return 0
