"""Everything about a net on one HTML page that needs no network: the diagram, in which blocks open by a click, the layer table,
plots of cost, receptive field and signals, valid sizes with their reasons, diagnostics, and the source with its shapes."""

from __future__ import annotations

import argparse
import os
import sys

from netspec.cli.diagram import look_arguments, look_of
from netspec.cli.output import compiled, spec_arguments
from netspec.diagnostics.model import Refusal


def arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC, the file, and how the diagram looks."""
    spec_arguments(parser)
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="report.html")
    look_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Write the page; the old one stays until the new one is whole."""
    from netspec.network import Net

    if os.path.splitext(options.output)[1].lower() not in (".html", ".htm"):
        raise Refusal("NS015", f"a report is an HTML page, not `{options.output}`", helps=("end the file's name in .html",), status=2)
    net = Net(compiled(options))
    page = net.report(options.output, style=options.style, engine=options.engine, theme=options.theme, **look_of(options))
    for remark in page.remarks:
        print(remark, file=sys.stderr)
    by = f", drawn by {page.drawn_by}" if page.drawn_by else ""
    print(f"{options.output}: {os.path.getsize(options.output):,} bytes{by}", file=sys.stderr)
    return 0
