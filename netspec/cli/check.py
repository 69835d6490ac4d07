"""Check specs: parse, expand, infer shapes, and report everything that is wrong with any of them, in one run."""

from __future__ import annotations

import argparse
import json
import sys

from netspec.api import check_source, open_spec
from netspec.cli.output import call_of, complain, limits_of, read_stdin, spec_arguments
from netspec.diagnostics.model import Diagnostic, Refusal, Severity


def arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC…, the format, and `--watch`."""
    spec_arguments(parser, many=True)
    parser.add_argument("--format", choices=("text", "json", "sarif", "github"), default="text")
    parser.add_argument("--watch", action="store_true", help="check again whenever a file changes")
    parser.add_argument("--exit-zero", action="store_true", help="exit with 0 even where there are errors")


def run(options: argparse.Namespace) -> int:
    """Check all specs; 1 where any has an error."""
    if options.watch:
        return _watch(options)
    found, nets = _check_all(options)
    _report(found, nets, options.format)
    return 1 if any(d.severity is Severity.ERROR for d in found) and not options.exit_zero else 0


def _check_all(options: argparse.Namespace) -> tuple[list[Diagnostic], list[str]]:
    parameters, sizes = call_of(options)
    limits = limits_of(options)
    found: list[Diagnostic] = []
    nets: list[str] = []
    for spec in options.spec:
        try:
            source, net = open_spec(spec, limits, read_stdin(spec))
            for done in check_source(source, net, limits, arguments=parameters, sizes=sizes):
                found.extend(done.report.diagnostics)
                if done.graph is not None:
                    nets.append(f"{source.name}:{done.name}")
        except Refusal as refusal:
            if refusal.status == 2 and len(options.spec) == 1:
                raise
            found.append(refusal.diagnostic)
    return _once(found), nets


def _once(found: list[Diagnostic]) -> list[Diagnostic]:
    """Each finding once (a block used by three nets has its mistakes once), in the order of the text."""
    unique: dict[object, Diagnostic] = {}
    for d in found:
        place = d.place
        key = (d.code, place.source.name, place.start, place.end) if place else (d.code, d.message)
        unique.setdefault(key, d)
    order = {name: i for i, name in enumerate(dict.fromkeys(d.place.source.name for d in unique.values() if d.place))}
    return sorted(unique.values(), key=lambda d: (order[d.place.source.name], d.place.start) if d.place else (-1, 0))


def _report(found: list[Diagnostic], nets: list[str], form: str) -> None:
    if form == "text":
        complain(found)
        errors = sum(d.severity is Severity.ERROR for d in found)
        if errors:
            print(f"{errors} error{'s' if errors > 1 else ''}", file=sys.stderr)
        else:
            for net in nets:
                print(f"{net}: fine")
    elif form == "github":
        from netspec.diagnostics.render import github

        for d in found:
            print(github(d))
    elif form == "sarif":
        from netspec import __version__
        from netspec.diagnostics.render import sarif

        print(sarif(found, __version__))
    else:
        from netspec.diagnostics.render import as_data

        print(json.dumps({"nets": nets, "diagnostics": [as_data(d) for d in found]}, indent=2))


def _watch(options: argparse.Namespace) -> int:
    """Check whenever one of the files changes, until interrupted."""
    import os
    import time

    seen: dict[str, float] | None = None
    while True:
        files = [s.rpartition(":")[0] if s.count(":") and not s.endswith(".net") else s for s in options.spec]
        now = {f: os.stat(f).st_mtime_ns for f in files if os.path.exists(f)}
        if now != seen:
            seen = now
            print(f"── {time.strftime('%H:%M:%S')}", file=sys.stderr)
            found, nets = _check_all(options)
            _report(found, nets, options.format)
        time.sleep(0.3)
