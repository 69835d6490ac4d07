"""Run a net, or an .onnx file, in onnxruntime on arrays and images."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from typing import TYPE_CHECKING, Any

from netspec.cli.normalized import facts_asked, normalization_argument, normalized
from netspec.cli.output import compiled, pairs, spec_arguments
from netspec.cli.session_arguments import session_arguments, session_settings
from netspec.cli.weight_arguments import weight_arguments, weights_asked
from netspec.diagnostics.model import Refusal
from netspec.diagnostics.nearest import suggestion
from netspec.diagnostics.render import show as shown

if TYPE_CHECKING:
    from netspec.runtime.session import Session

#: The longest name of a class that is shown, in characters.
LONGEST = 80
#: How many runs a profile is the median of, unless it is said.
RUNS = 10
#: What a spec is given, and an .onnx file has in it already: the options, and how they are written.
_OF_SPECS = {"parameters": "-p", "sizes": "--size", "weights": "--weights", "strip": "--strip", "partial": "--partial", "seed": "--seed"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC, the inputs, the weights, where it runs and where the results go."""
    spec_arguments(parser)
    parser.add_argument("--input", dest="inputs", metavar="NAME=FILE", action="append", default=[], help=".npy, .npz, .h5 or an image")
    weight_arguments(parser, "trained weights, in place of initial ones")
    parser.add_argument("--seed", type=int, default=0, help="the seed of the initial weights")
    parser.add_argument("--normalize", choices=("none", "imagenet"), default="none", help="of images: subtract and divide per channel")
    normalization_argument(parser)
    parser.add_argument("-o", "--output", metavar="FILE", help="results: .npz, .npy or .png")
    parser.add_argument("--top", type=int, default=5, help="how many of the largest scores to print (default 5)")
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument(
        "--profile", nargs="?", const="", metavar="FILE", help="where the time goes, by layer and block; and as JSON in a file"
    )
    parser.add_argument("--layers-of", metavar="SPEC", help="the spec of an .onnx file: its profile is then by layer, with their cost")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"how many runs a profile is the median of (default {RUNS})")
    session_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Run once; print what came out."""
    from netspec.runtime.arrays import read_array, write_arrays

    _check_fits(options)
    session = _session(options)
    files = pairs(options.inputs, "an input")
    wanted = session.inputs
    missing = [name for name in wanted if name not in files]
    if len(wanted) == 1 and len(files) == 0:
        missing = list(wanted)
    if missing:
        raise Refusal("NS710", f"no file is given for {', '.join(missing)}", helps=(f"--input {missing[0]}=x.npy",), status=2)
    for name in files:
        if name not in wanted:
            raise Refusal("NS710", f"there is no input `{name}`", helps=suggestion(name, wanted), status=2)
    types = {name: kind.dtype for name, kind in session.signature.inputs.items()}
    given = {name: read_array(file, wanted[name], options.normalize, types[name]) for name, file in files.items()}
    results = _results(session, given)
    if options.output:
        write_arrays(options.output, results)
        print(f"{options.output}: {', '.join(results)}", file=sys.stderr)
    _show(results, session.labels, options)
    if options.profile is not None:
        _profile(session, given, options)
    return 0


def _check_fits(options: argparse.Namespace) -> None:
    """Refuse options that say nothing about what is run (NS015)."""
    file = options.spec.endswith(".onnx")
    if file and options.with_normalization:
        helps = ("write it so: netspec build --weights … --with-normalization",)
        raise Refusal("NS015", "an .onnx file carries its normalization in itself, or not at all", helps=helps, status=2)
    if options.layers_of and not file:
        raise Refusal("NS015", "--layers-of is for an .onnx file: a spec has its own layers", status=2)
    idle = [flag for name, flag in _OF_SPECS.items() if getattr(options, name) not in ([], None, "", False, 0)]
    if options.layers_of:  # a spec besides, which has parameters and sizes
        idle = [flag for flag in idle if flag not in ("-p", "--size")]
    if file and idle:
        raise Refusal("NS015", f"{idle[0]} is for a spec, and {options.spec} is written already", status=2)
    if options.profile is None and (options.layers_of or options.runs != RUNS):
        flag = "--layers-of" if options.layers_of else "--runs"
        raise Refusal("NS015", f"{flag} is for --profile", helps=(f"--profile {flag} …",), status=2)


def _session(options: argparse.Namespace) -> "Session":
    from netspec.runtime.session import Session

    settings = session_settings(options)
    if options.spec.endswith(".onnx"):
        return _told(_of_file(options, settings))
    from netspec.backends.onnx import OnnxOptions, model_bytes
    from netspec.backends.onnx.metadata import facts

    done = compiled(options)
    assert done.graph is not None
    if not options.weights:
        print("no --weights: these are the initial ones", file=sys.stderr)
    weights = weights_asked(done.graph, options)
    graph = normalized(done.graph, facts_asked(options))
    return _told(Session(model_bytes(graph, weights, OnnxOptions(metadata=facts(options.weights))), graph=graph, **settings))


def _of_file(options: argparse.Namespace, settings: dict[str, Any]) -> "Session":
    """The session of an .onnx file, and of the network that it was written from, if that is named.

    Raises Refusal NS015 where the file says that it was written from another.
    """
    from netspec.runtime.session import Session

    if not options.layers_of:
        return Session(options.spec, **settings)
    graph = compiled(argparse.Namespace(**{**vars(options), "spec": options.layers_of})).graph
    assert graph is not None
    session = Session(options.spec, graph=graph, **settings)
    said = session.metadata.get("netspec.net"), session.metadata.get("netspec.digest")
    if said != (graph.name, graph.digest):
        what = f"{options.spec} was written from the net {said[0]} of another text" if said[0] else f"{options.spec} is none of netspec's"
        raise Refusal("NS015", f"{what}, not from {options.layers_of}", status=2)
    return session


def _told(session: "Session") -> "Session":
    """The session, with what its user should know of it on standard error."""
    if session.fallback:
        first = ", ".join(session.fallback[:8]) + (f" and {len(session.fallback) - 8} more" if len(session.fallback) > 8 else "")
        print(f"on the CPU, not on {session.provider}: {shown(first)}", file=sys.stderr)
    if session.assignments is None:
        print(f"this onnxruntime does not tell which layers run on {session.provider}, and which on the CPU", file=sys.stderr)
    return session


def _results(session: "Session", given: dict[str, Any]) -> dict[str, Any]:
    """One run; of a session that replays a recorded one, where it is bound."""
    return session.bind(**given)(**given) if session.settings.cuda_graph else session.run(given)


def _profile(session: "Session", given: dict[str, Any], options: argparse.Namespace) -> None:
    """Measure, and tell: the table on standard output (on standard error beside JSON), and the whole in a file."""
    from netspec.files import write_atomic
    from netspec.runtime.profile_table import profile_text

    found = session.profile(given, runs=options.runs)
    print(profile_text(found), file=sys.stderr if options.format == "json" else sys.stdout)
    if options.profile:
        write_atomic(options.profile, (json.dumps(found.facts(), indent=2) + "\n").encode())
        print(f"{options.profile}: {os.path.getsize(options.profile):,} bytes", file=sys.stderr)


def _show(results: dict[str, Any], labels: dict[str, list[str]], options: argparse.Namespace) -> None:
    """What came out; scores with the names of their classes, where the model has as many as there are scores."""
    if options.format == "json":
        found = {name: _facts(array, options.top, _names(labels, name)) for name, array in results.items()}
        print(json.dumps(_finite(found), indent=2, allow_nan=False))
        return
    for name, array in results.items():
        facts = _facts(array, options.top, _names(labels, name))
        extent = "from {min:.6g} to {max:.6g}, mean {mean:.6g}".format(**facts) if array.size else "no elements"
        print(f"{shown(name)}: {facts['dtype']} {facts['shape']}, {extent}")
        names = facts.get("labels", [])
        for row, scores in enumerate(facts.get("top", [])):
            called = names[row] if names else [str(index) for index, _ in scores]
            print(f"  {row}: " + ", ".join(f"{label} ({score:.4g})" for (_, score), label in zip(scores, called)))


def _names(labels: dict[str, list[str]], output: str) -> list[str]:
    """The names of an output's classes: of the only column, or of the one that is called as the output."""
    return labels.get("") or labels.get(output, [])


def _facts(array: Any, top: int, labels: list[str]) -> dict[str, Any]:
    facts: dict[str, Any] = {"shape": list(array.shape), "dtype": str(array.dtype)}
    extent = (array.min(), array.max(), array.mean()) if array.size else (math.nan,) * 3
    facts.update(zip(("min", "max", "mean"), map(float, extent)))
    if array.ndim == 2 and array.dtype.kind == "f" and array.size and top > 0:
        order = (-array).argsort(axis=1)[:, :top]
        facts["top"] = [[(int(i), float(row[i])) for i in picks] for row, picks in zip(array, order)]
        if len(labels) == array.shape[1]:
            facts["labels"] = [[shown(labels[i])[:LONGEST] for i in picks] for picks in order]
    return facts


def _finite(value: Any) -> Any:
    """The same for JSON, which has no infinities and no NaN: they are null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
