"""What changed from network A to network B: layers and blocks, and what that comes to for cost, receptive field, valid sizes
and checkpoints.

A and B are SPECs, or files at a revision of the repository: `HEAD~1:unet.net unet.net`. Formatting, comments and the order of
definitions do not count; renamed layers are recognized. Of files with several nets, those of one name are compared, unless
one is named (`models.net:unet`). The exit status is 0, or with `--exit-code` 1 where there is a difference.

With `-o` both are also drawn as one picture: what did not change folded and grey, what is new green with `+`, what is gone red and
dotted with `−`, what changed amber with `~`.

The JSON is {"from", "to", "same", "added", "removed", "nets"}: `added` and `removed` are names of nets, `nets` has for each pair
{"from", "to", "same", "parameters", "sizes", "ports", "layers", "blocks", "consequences", "checkpoint", "training"}. Changes are
{"kind", "what", "from", "to"}. `layers` has "added" and "removed" ({"label", "op", "call", "shape", "parameters", "line"}),
"changed" ({"label", "new_label", "kind", "changes"}) and "renamed" ({"from", "to"}); `blocks` the same for whole blocks.
`consequences` are {"what", "of", "from", "to"}: "parameters", "macs", "activation_bytes", "training_bytes", "receptive_field" of `mask H`,
"constraints" of `H`. `checkpoint` tells what becomes of A's weights in B: "fits" ({"count", "bytes"}), "reshaped", "missing",
"unexpected", "renamed" (they fit under another name) and "misplaced" (they load, but into another layer).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING

from netspec.api import Compilation, choose_net, compile, nets_of
from netspec.cli.output import call_arguments, call_of, coloured, limits_of, read_stdin
from netspec.cli.revision import open_any
from netspec.diagnostics.model import Refusal, Report, SpecError
from netspec.limits import Limits
from netspec.record import record
from netspec.source import Source
from netspec.syntax import tree

if TYPE_CHECKING:
    from netspec.analyses.diff import Difference
    from netspec.graph import Graph


def arguments(parser: argparse.ArgumentParser) -> None:
    """A, B, the format, `--exit-code`, and the picture."""
    for name, which in (("a", "the first"), ("b", "the second")):
        parser.add_argument(name, metavar=name.upper(), help=f"{which}: file.net, file.net:net, REVISION:file.net, zoo.family:net, or -")
    call_arguments(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--exit-code", action="store_true", help="exit with 1 where there is a difference")
    parser.add_argument("-o", "--output", metavar="FILE", help="draw it, too: changes.svg, .png, .pdf, .dot or .html")
    parser.add_argument("--depth", type=int, metavar="N", help="of the picture: open changed blocks N deep (default: what fits a page)")
    parser.add_argument("--rankdir", choices=("auto", "TB", "LR"), default="auto", help="draw from top to bottom, or from left to right")
    parser.add_argument("--no-legend", dest="legend", action="store_false", help="leave out what the signs mean")
    parser.add_argument("--theme", choices=("auto", "light", "dark"), default="auto", help="auto: an .svg follows its reader's system")
    parser.add_argument("--engine", choices=("auto", "graphviz-pure", "pygraphviz", "dot"), default="auto", help="who draws")


def run(options: argparse.Namespace) -> int:
    """Print the difference."""
    limits = limits_of(options)
    if options.a == options.b == "-":
        raise Refusal("NS015", "standard input can be one of the two, not both", status=2)
    sides = [_Side.of(spec, limits) for spec in (options.a, options.b)]
    pairs = _pairs(*sides)
    _check_output(options, pairs)
    found = [_compare(sides, names, options, limits) for names in pairs]
    # where nets are compared by name, what one file alone has is a difference, too
    single = [[] if any(side.net for side in sides) or len(pairs) == 1 and pairs[0][0] != pairs[0][1] else side.nets for side in sides]
    removed, added = ([n for n in mine if n not in theirs] for mine, theirs in (single, single[::-1]))
    same = all(d.same for d in found) and not added and not removed
    if options.format == "json":
        data = {"from": options.a, "to": options.b, "same": same, "added": added, "removed": removed, "nets": [d.data() for d in found]}
        print(json.dumps(data, indent=2))
    else:
        print(_text(found, removed, added))
    return 1 if options.exit_code and not same else 0


@record
class _Side:
    """One of the two: its text, the net that was named, and the nets that it has."""

    source: Source
    module: tree.Module
    net: str | None
    nets: list[str]

    @staticmethod
    def of(spec: str, limits: Limits) -> _Side:
        """The side that a SPEC means. Raises `SpecError` where it does not parse."""
        from netspec.syntax.parse import parse

        source, net = open_any(spec, limits, read_stdin(spec))
        report = Report()
        module = parse(source, report, limits)
        if not report.ok:
            raise SpecError(report.errors)
        everything = nets_of(module)
        complete = [s.name for s in everything if all(p.default is not None for p in s.parameters)]
        return _Side(source, module, net, complete or [s.name for s in everything])

    def choose(self, net: str | None) -> str:
        """The net that is meant, if it is that of a name or the only one. Raises `SpecError` NS010 to NS012."""
        report = Report()
        name = choose_net(self.module, net, report)
        if name is None:
            raise SpecError(report.errors)
        return name


def _pairs(a: _Side, b: _Side) -> list[tuple[str, str]]:
    """The nets to compare: those named; else the only ones; else those of one name."""
    if a.net or b.net:
        wanted = a.net or b.net
        return [(a.choose(a.net or _other(a, wanted)), b.choose(b.net or _other(b, wanted)))]
    both = [name for name in a.nets if name in b.nets]
    if len(a.nets) == len(b.nets) == 1 or not both:
        return [(a.choose(None), b.choose(None))]
    return [(name, name) for name in both]


def _other(side: _Side, name: str | None) -> str | None:
    """The net of the side that has no name, if it has one that is called as the other side's."""
    return name if any(s.name == name for s in nets_of(side.module)) else None


def _compare(sides: list[_Side], names: tuple[str, str], options: argparse.Namespace, limits: Limits) -> Difference:
    """What changed between two nets; drawn, where a picture is asked for."""
    old, new = (_graph(compile(side.source, name, *call_of(options), limits)) for side, name in zip(sides, names))
    before, after = (f"{side.source.name}:{name}" for side, name in zip(sides, names))
    if options.output is None:
        from netspec.analyses.diff import diff

        return diff(old, new, before, after)
    from netspec.backends.diagram.changes.compared import compared

    found = compared(old, new, before, after)
    look = {"rankdir": options.rankdir, "legend": options.legend}
    picture = found.diagram(options.depth, engine=options.engine, theme=options.theme, **look)
    picture.save(options.output)
    by = f", drawn by {picture.drawn_by}" if picture.drawn_by else ""
    print(f"{options.output}: {os.path.getsize(options.output):,} bytes{by}", file=sys.stderr)
    return found


def _check_output(options: argparse.Namespace, pairs: list[tuple[str, str]]) -> None:
    """Raises `Refusal` (NS015) where no picture can be drawn, before anything is compared."""
    if options.output is None:
        return
    from netspec.backends.diagram.picture import FORMS

    if os.path.splitext(options.output)[1].lower() not in FORMS:
        helps = (f"end it in one of {', '.join(FORMS)}",)
        raise Refusal("NS015", f"`{options.output}` does not say what to draw", helps=helps, status=2)
    if len(pairs) > 1:
        names = ", ".join(name for name, _ in pairs)
        helps = (f"name one: `{options.a}:{pairs[-1][0]}`",)
        raise Refusal("NS015", f"a picture shows one net, and these are {len(pairs)}: {names}", helps=helps, status=2)


def _graph(done: Compilation) -> Graph:
    if done.graph is None:
        raise SpecError(done.report.errors)
    return done.graph


def _text(found: list[Difference], removed: list[str], added: list[str]) -> str:
    from netspec.analyses.diff.text import text_of

    parts = [text_of(d, coloured(sys.stdout)) for d in found]
    nets = [f"- net {name}: only in the first" for name in removed] + [f"+ net {name}: only in the second" for name in added]
    return "\n\n".join([*parts, *(["\n".join(nets)] if nets else [])])
