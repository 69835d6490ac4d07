"""Check specs: parse, expand, infer shapes, lint; report everything that is wrong with any of them, in one run.

Lints are set in `[tool.netspec.lint]` of the nearest pyproject.toml (`ignore`, `enable`, `levels`), by the options here, and by
comments in the spec: `# netspec: ignore NS512 because …`.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import field
from typing import TYPE_CHECKING, Any

from netspec.api import Compilation, check_source, open_spec
from netspec.cli.output import call_of, complain, limits_of, read_stdin, spec_arguments
from netspec.diagnostics.model import Diagnostic, Refusal, Severity
from netspec.record import draft

if TYPE_CHECKING:
    from netspec.analyses.constraints import Part, ValidSizes
    from netspec.analyses.lint import Settings
    from netspec.backends.weight_files.findings import Fit

_LINTS = {
    "select": "run these lints alone: codes, beginnings of codes (NS54), or all",
    "ignore": "leave these lints out",
    "enable": "run these as well, where they are off by default",
    "level": "how bad a finding is: NS512=error, warning or info",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC…, the format, `--watch`, the lints, and the weights to hold against."""
    spec_arguments(parser, many=True)
    parser.add_argument("--format", choices=("text", "json", "sarif", "github"), default="text")
    parser.add_argument("--watch", action="store_true", help="check again whenever a file changes")
    parser.add_argument("--exit-zero", action="store_true", help="exit with 0 even where there are errors")
    parser.add_argument("--strict", action="store_true", help="exit with 1 where there are warnings, too")
    for name, text in _LINTS.items():
        parser.add_argument(f"--{name}", metavar="CODE=LEVEL,…" if name == "level" else "CODE,…", action="append", default=[], help=text)
    parser.add_argument("--weights", metavar="FILE", help="hold a weights file against the one net that SPEC names; reads only its header")
    parser.add_argument("--strip", metavar="PREFIX", default="", help="a prefix to drop from the names in --weights (`module.`)")


def run(options: argparse.Namespace) -> int:
    """Check all specs; 1 where any has an error."""
    if options.watch:
        return _watch(options)
    checked = _check_all(options)
    _report(checked, options.format)
    bad = (Severity.ERROR, Severity.WARNING) if options.strict else (Severity.ERROR,)
    return 1 if any(d.severity in bad for d in checked.found) and not options.exit_zero else 0


@draft
class _Checked:
    """What a run found: findings, the valid sizes of each net that compiled, and how a weights file fits."""

    found: list[Diagnostic] = field(default_factory=list)
    nets: dict[str, "ValidSizes"] = field(default_factory=dict)
    fits: list["Fit"] = field(default_factory=list)


def _check_all(options: argparse.Namespace) -> _Checked:
    from netspec.analyses.constraints import valid_sizes

    parameters, sizes = call_of(options)
    limits = limits_of(options)
    checked = _Checked()
    for spec in options.spec:
        try:
            source, net = open_spec(spec, limits, read_stdin(spec))
            nets = check_source(source, net, limits, _advice(options, source.path), arguments=parameters, sizes=sizes)
            for done in nets:
                checked.found.extend(done.report.diagnostics)
                if done.graph is not None:
                    checked.nets[f"{source.name}:{done.name}"] = valid_sizes(done.graph)
            if options.weights:
                _hold_weights(nets, options, checked)
        except Refusal as refusal:
            if refusal.status == 2 and len(options.spec) == 1:
                raise
            checked.found.append(refusal.diagnostic)
    checked.found = _once(checked.found)
    return checked


def _advice(options: argparse.Namespace, path: str | None) -> "Settings":
    """Which lints are run on a file: the project's settings, then the call's."""
    from netspec.analyses.lint import settings_from
    from netspec.cli.project import lint_settings

    return lint_settings(path).join(settings_from(options.ignore, options.enable, options.level, options.select))


def _hold_weights(nets: list[Compilation], options: argparse.Namespace, checked: _Checked) -> None:
    """Hold the weights file against the one net. Raises `Refusal`: NS015 where there are several, NS620 to NS625 for the file."""
    from netspec.backends.weight_files.findings import fit

    named = [done for done in nets if done.name]
    if len(named) > 1:
        name = named[0].source.name
        helps = (f"name one: `{name}:{named[-1].name}`",)
        raise Refusal("NS015", f"a weights file is of one network, and {name} has several", helps=helps, status=2)
    for done in named:
        if done.graph is not None:
            fitted = fit(done.graph, options.weights, options.strip, done.sources)
            checked.found.extend(fitted.findings)
            checked.fits.append(fitted)


def _once(found: list[Diagnostic]) -> list[Diagnostic]:
    """Each finding once (a block used by three nets has its mistakes once), in the order of the text."""
    unique: dict[object, Diagnostic] = {}
    for d in found:
        place = d.place
        key = (d.code, place.source.name, place.start, place.end) if place else (d.code, d.message)
        unique.setdefault(key, d)
    order = {name: i for i, name in enumerate(dict.fromkeys(d.place.source.name for d in unique.values() if d.place))}
    return sorted(unique.values(), key=lambda d: (order[d.place.source.name], d.place.start) if d.place else (-1, 0))


# ------------------------------------------------------------------------------------------------------------- reports
def _report(checked: _Checked, form: str) -> None:
    _REPORTS[form](checked)


def _text(checked: _Checked) -> None:
    complain(checked.found)
    for fitted in checked.fits:
        print(fitted)
    errors = sum(d.severity is Severity.ERROR for d in checked.found)
    if errors:
        print(f"{errors} error{'s' if errors > 1 else ''}", file=sys.stderr)
        return
    for net, sizes in checked.nets.items():
        print("\n".join([f"{net}: fine", *_conditions(sizes)]))


def _conditions(sizes: "ValidSizes") -> list[str]:
    """A line for all that the same layers ask of the open sizes: `H % 16 == 0 and W % 16 == 0   because …`."""
    together: dict[object, list[Part]] = {}
    for part in sizes.parts:
        lines = tuple((origin.file, origin.line) for cause in part.causes for origin in cause.origins)
        together.setdefault(lines, []).append(part)
    texts = [" and ".join(map(str, parts)) for parts in together.values()]
    causes = ["; ".join(cause.text for cause in parts[0].causes) for parts in together.values()]
    width = max((len(text) for text in texts), default=0)
    return [f"  {text:<{width}}   because {cause}" if cause else f"  {text}" for text, cause in zip(texts, causes)]


def _json(checked: _Checked) -> None:
    from netspec.diagnostics.render import as_data

    data: dict[str, Any] = {
        "nets": list(checked.nets),
        "conditions": {net: sizes.data() for net, sizes in checked.nets.items()},
        "diagnostics": [as_data(d) for d in checked.found],
    }
    if checked.fits:
        data["weights"] = [
            {"path": f.path, "fitting": f.fitting, "total": f.total, "differences": [one.data() for one in f.differences]}
            for f in checked.fits
        ]
    print(json.dumps(data, indent=2))


def _github(checked: _Checked) -> None:
    from netspec.diagnostics.render import github

    for d in checked.found:
        print(github(d))


def _sarif(checked: _Checked) -> None:
    from netspec import __version__
    from netspec.diagnostics.render import sarif

    print(sarif(checked.found, __version__))


_REPORTS = {"text": _text, "json": _json, "github": _github, "sarif": _sarif}


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
            _report(_check_all(options), options.format)
        time.sleep(0.3)
