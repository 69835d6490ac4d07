"""A picture of a net: .svg, .png, .pdf, .dot, or an .html page on which blocks open by a click.

Blocks are drawn as the author wrote them, equal ones in a row once with their number. Without --depth the picture fits a page.
Drawing needs no system package; which renderer drew is said on standard error.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from netspec.cli.output import compiled, spec_arguments
from netspec.diagnostics.model import Refusal


def arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC, the file, what is shown of the network, and how."""
    spec_arguments(parser)
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="net.svg, net.png, net.pdf, net.dot or net.html")
    parser.add_argument("--depth", type=int, metavar="N", help="open blocks N deep: 1 folds all of them (default: what fits a page)")
    parser.add_argument("--only", metavar="LABEL", default="", help="one block, opened, instead of the net")
    look_arguments(parser)


def look_arguments(parser: argparse.ArgumentParser) -> None:
    """How a picture looks, and who draws it."""
    parser.add_argument("--style", choices=("cards", "maps"), default="cards", help="layers as cards, or feature maps as in papers")
    parser.add_argument("--rankdir", choices=("auto", "TB", "LR"), default="auto", help="from top to bottom, or from left to right")
    parser.add_argument(
        "--sizes", dest="shapes", choices=("typical", "symbolic"), default="typical", help="shapes as numbers, or expressions"
    )
    parser.add_argument("--heat", choices=("parameters", "macs", "bytes", "field"), help="colour boxes by what they cost or see")
    parser.add_argument("--no-legend", dest="legend", action="store_false", help="leave out the legend")
    parser.add_argument("--theme", choices=("auto", "light", "dark"), default="auto", help="auto: an .svg follows its reader's system")
    parser.add_argument("--engine", choices=("auto", "graphviz-pure", "pygraphviz", "dot"), default="auto", help="who draws")


def run(options: argparse.Namespace) -> int:
    """Draw; the old file stays until the new one is whole."""
    from netspec.backends.diagram.picture import FORMS
    from netspec.collector import paused
    from netspec.network import Net

    if os.path.splitext(options.output)[1].lower() not in FORMS:
        helps = (f"end it in one of {', '.join(FORMS)}",)
        raise Refusal("NS015", f"`{options.output}` does not say what to draw", helps=helps, status=2)
    done = compiled(options)
    assert done.graph is not None
    chosen = {"style": options.style, "engine": options.engine, "theme": options.theme, **look_of(options)}
    with paused():
        picture = Net(done).diagram(options.depth, options.only, **chosen)
        picture.save(options.output)
    for note in picture.sketch.notes:
        print(note, file=sys.stderr)
    by = f", drawn by {picture.drawn_by}" if picture.drawn_by else ""
    print(f"{options.output}: {os.path.getsize(options.output):,} bytes{by}", file=sys.stderr)
    return 0


def look_of(options: argparse.Namespace) -> dict[str, Any]:
    """The choices of a command line."""
    return {"rankdir": options.rankdir, "sizes": options.shapes, "heat": options.heat, "legend": options.legend}
