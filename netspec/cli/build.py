"""Compile a net: to ONNX (.onnx), PyTorch source (.py), initial weights (.safetensors) or the graph (.json)."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any, Callable

from netspec.cli.normalized import facts_asked, normalization_argument, normalized
from netspec.cli.output import compiled, pairs, spec_arguments
from netspec.diagnostics.model import Refusal
from netspec.diagnostics.nearest import suggestion
from netspec.files import write_atomic

if TYPE_CHECKING:
    from netspec.backends.weights import Weights
    from netspec.graph import Graph


def arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC, the output, the weights, and how ONNX is written."""
    spec_arguments(parser)
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="net.onnx, net.py, net.safetensors or net.json")
    parser.add_argument("--weights", metavar="FILE", help="weights to start from: .safetensors, .npz or .pt")
    parser.add_argument("--strip", metavar="PREFIX", default="", help="a prefix to drop from the names in --weights (`module.`)")
    parser.add_argument("--seed", type=int, default=0, help="the seed of the initial weights (default 0)")
    parser.add_argument(
        "--init", choices=("lsuv", "data"), help="scale the initial weights by --data, layer by layer or channel by channel"
    )
    parser.add_argument("--data", metavar="[NAME=]FILE", action="append", default=[], help="a batch for --init: .npy, .npz or .h5")
    parser.add_argument("--opset", type=int, default=21, help="the ONNX opset (default 21)")
    parser.add_argument("--fold", action="store_true", help="fold batch norm into the convolution before it")
    parser.add_argument("--external", action="store_true", help="weights in a file beside the .onnx (always so past 2 GB)")
    normalization_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Write the file; the old one stays until the new one is whole."""
    kind = os.path.splitext(options.output)[1]
    if kind not in _WRITERS:
        known = ", ".join(_WRITERS)
        raise Refusal("NS015", f"`{options.output}` does not say what to build", helps=(f"end it in one of {known}",), status=2)
    if options.weights and kind in (".py", ".json") and not options.with_normalization:
        raise Refusal("NS015", f"a {kind} file holds no weights", helps=("leave out --weights",), status=2)
    if options.with_normalization and kind == ".safetensors":
        why = "a .safetensors file holds weights, and the normalization is in the network"
        raise Refusal("NS015", f"--with-normalization is for .onnx, .py and .json: {why}", status=2)
    if options.init and (options.weights or not options.data or kind in (".py", ".json")):
        what = "takes no --weights" if options.weights else f"writes no {kind} file" if options.data else "needs --data"
        raise Refusal("NS015", f"--init {options.init} {what}", helps=(f"--init {options.init} --data x.npy -o net.onnx",), status=2)
    done = compiled(options)
    assert done.graph is not None
    _WRITERS[kind](normalized(done.graph, facts_asked(options)), options)
    print(f"{options.output}: {os.path.getsize(options.output):,} bytes", file=sys.stderr)
    return 0


def _weights(graph: "Graph", options: argparse.Namespace) -> "Weights":
    """Those of a file, of a seed, or of a seed and data."""
    if not options.init:
        from netspec.backends.weight_files import weights_of

        return weights_of(graph, options.seed, options.weights, options.strip)
    from netspec.runtime.data_initial import data_initial

    found = data_initial(graph, options.init, _data(graph, options.data), options.seed)
    scaled = [layer for layer in found.layers if not layer.note]
    print(f"{options.init}: {len(scaled)} of {len(found.layers)} layers scaled", file=sys.stderr)
    for note in found.notes:
        print(f"  {note}", file=sys.stderr)
    return found.weights


def _data(graph: "Graph", given: list[str]) -> dict[str, Any]:
    """The arrays of the files by input; the name may be left out where there is one input."""
    from netspec.runtime.arrays import read_array

    shapes = {port.name: tuple(s if isinstance(s, int) else None for s in graph.values[port.value].shape) for port in graph.inputs}
    alone = next(iter(shapes)) if len(shapes) == 1 else None
    files = {alone: given[0]} if alone is not None and len(given) == 1 and not given[0].startswith(f"{alone}=") else pairs(given, "data")
    for name in files:
        if name not in shapes:
            raise Refusal("NS710", f"there is no input `{name}`", helps=suggestion(name, shapes), status=2)
    return {name: read_array(file, shapes[name]) for name, file in files.items()}


def _onnx(graph: "Graph", options: argparse.Namespace) -> None:
    from netspec.backends.onnx import OnnxOptions, save

    weights = _weights(graph, options)
    save(graph, options.output, weights, OnnxOptions(opset=options.opset, fold=options.fold, external=True if options.external else None))


def _python(graph: "Graph", options: argparse.Namespace) -> None:
    from netspec.backends.torch_source import write_source

    write_atomic(options.output, write_source(graph).encode())


def _safetensors(graph: "Graph", options: argparse.Namespace) -> None:
    from netspec.backends.weight_files import save_safetensors

    save_safetensors(options.output, graph, _weights(graph, options))


def _json(graph: "Graph", options: argparse.Namespace) -> None:
    write_atomic(options.output, graph.write().encode())


_WRITERS: dict[str, Callable[["Graph", argparse.Namespace], None]] = {
    ".onnx": _onnx,
    ".py": _python,
    ".safetensors": _safetensors,
    ".json": _json,
}
