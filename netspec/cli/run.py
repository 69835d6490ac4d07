"""Run a net, or an .onnx file, in onnxruntime on arrays and images."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from netspec.cli.normalized import facts_asked, normalization_argument, normalized
from netspec.cli.output import compiled, pairs, spec_arguments
from netspec.diagnostics.model import Refusal
from netspec.diagnostics.nearest import suggestion

if TYPE_CHECKING:
    from netspec.runtime.session import Session


def arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC, the inputs, the weights, where it runs and where the results go."""
    spec_arguments(parser)
    parser.add_argument("--input", dest="inputs", metavar="NAME=FILE", action="append", default=[], help=".npy, .npz, .h5 or an image")
    parser.add_argument("--weights", metavar="FILE", help=".safetensors, .npz or .pt (default: initial weights)")
    parser.add_argument("--strip", metavar="PREFIX", default="", help="a prefix to drop from the names in --weights (`module.`)")
    parser.add_argument("--seed", type=int, default=0, help="the seed of the initial weights")
    parser.add_argument("--provider", choices=("auto", "cpu", "cuda", "tensorrt"), default="auto")
    parser.add_argument("--normalize", choices=("none", "imagenet"), default="none", help="of images: subtract and divide per channel")
    normalization_argument(parser)
    parser.add_argument("-o", "--output", metavar="FILE", help="results: .npz, .npy or .png")
    parser.add_argument("--top", type=int, default=5, help="how many of the largest scores to print (default 5)")
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(options: argparse.Namespace) -> int:
    """Run once; print what came out."""
    from netspec.runtime.arrays import read_array, write_arrays

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
    results = session(**given)
    if options.output:
        write_arrays(options.output, results)
        print(f"{options.output}: {', '.join(results)}", file=sys.stderr)
    _show(results, options)
    return 0


def _session(options: argparse.Namespace) -> "Session":
    from netspec.runtime.session import Session

    if options.spec.endswith(".onnx"):
        if options.with_normalization:
            helps = ("write it so: netspec build --weights … --with-normalization",)
            raise Refusal("NS015", "an .onnx file carries its normalization in itself, or not at all", helps=helps, status=2)
        return Session(options.spec, provider=options.provider)
    from netspec.backends.onnx import model_bytes
    from netspec.backends.weight_files import weights_of

    done = compiled(options)
    assert done.graph is not None
    if not options.weights:
        print("no --weights: these are the initial ones", file=sys.stderr)
    weights = weights_of(done.graph, options.seed, options.weights, options.strip)
    graph = normalized(done.graph, facts_asked(options))
    return Session(model_bytes(graph, weights), provider=options.provider, graph=graph)


def _show(results: dict[str, Any], options: argparse.Namespace) -> None:
    if options.format == "json":
        print(json.dumps({name: _facts(array, options.top) for name, array in results.items()}, indent=2))
        return
    for name, array in results.items():
        facts = _facts(array, options.top)
        print(f"{name}: {facts['dtype']} {facts['shape']}, from {facts['min']:.6g} to {facts['max']:.6g}, mean {facts['mean']:.6g}")
        for row, scores in enumerate(facts.get("top", [])):
            print(f"  {row}: " + ", ".join(f"{index} ({score:.4g})" for index, score in scores))


def _facts(array: Any, top: int) -> dict[str, Any]:
    facts: dict[str, Any] = {"shape": list(array.shape), "dtype": str(array.dtype)}
    facts.update(min=float(array.min()), max=float(array.max()), mean=float(array.mean()))
    if array.ndim == 2 and array.dtype.kind == "f" and top > 0:
        order = (-array).argsort(axis=1)[:, :top]
        facts["top"] = [[(int(i), float(row[i])) for i in picks] for row, picks in zip(array, order)]
    return facts
