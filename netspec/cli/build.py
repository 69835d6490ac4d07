"""Compile a net: to ONNX (.onnx), PyTorch source (.py), a program of torch.export (.pt2), TorchScript (.ts), initial weights
(.safetensors) or the graph (.json); or, with `--package triton`, to a folder that a Triton server loads."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any, Callable

from netspec.cli.normalized import facts_asked, normalization_argument, normalized
from netspec.cli.onnx_arguments import metadata, onnx_arguments, onnx_options
from netspec.cli.output import compiled, pairs, spec_arguments
from netspec.cli.weight_arguments import weight_arguments, weights_asked
from netspec.diagnostics.model import Refusal
from netspec.diagnostics.nearest import suggestion
from netspec.files import write_atomic
from netspec.record import record

if TYPE_CHECKING:
    from netspec.backends.weights import Weights
    from netspec.graph import Graph

#: what `--package` makes
PACKAGES = ("triton",)


def arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC, the output, the weights, and how ONNX is written."""
    spec_arguments(parser)
    written = "net.onnx, net.py, net.pt2, net.ts, net.safetensors or net.json; the folder of a --package"
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help=written)
    parser.add_argument("--package", choices=PACKAGES, help="a folder that a server loads, with the .onnx in it: -o models")
    parser.add_argument("--accelerator", choices=("tensorrt", "openvino"), help="what the server is to run the package's model with")
    weight_arguments(parser, "weights to start from")
    parser.add_argument("--seed", type=int, default=0, help="the seed of the initial weights (default 0)")
    parser.add_argument(
        "--init", choices=("lsuv", "data"), help="scale the initial weights by --data, layer by layer or channel by channel"
    )
    parser.add_argument("--data", metavar="[NAME=]FILE", action="append", default=[], help="a batch for --init: .npy, .npz or .h5")
    normalization_argument(parser)
    onnx_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Write the file; the old one stays until the new one is whole."""
    kind = _kind(options)
    _check_fits(options, kind)
    done = compiled(options)
    assert done.graph is not None
    _WRITERS[kind].write(normalized(done.graph, facts_asked(options)), options)
    written = os.path.join(options.output, done.graph.name) if options.package else options.output
    print(f"{written}: {_size(written):,} bytes", file=sys.stderr)
    return 0


def _kind(options: argparse.Namespace) -> str:
    """What is to be written: a suffix, or the name of a package. Raises Refusal NS015 where neither says so."""
    kind = os.path.splitext(options.output)[1]
    if options.package:
        if kind in _WRITERS:
            raise Refusal("NS015", f"--package {options.package} writes a folder, not a {kind} file", helps=("-o models",), status=2)
        return str(options.package)
    if kind not in _WRITERS:
        known = ", ".join(name for name in _WRITERS if name.startswith("."))
        raise Refusal("NS015", f"`{options.output}` does not say what to build", helps=(f"end it in one of {known}",), status=2)
    return kind


def _size(path: str) -> int:
    """The bytes of a file, or of all in a folder."""
    if not os.path.isdir(path):
        return os.path.getsize(path)
    return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names)


# ------------------------------------------------------------------------------------------------------- what fits what
def _check_fits(options: argparse.Namespace, kind: str) -> None:
    """Refuse options that say nothing about this output, or nothing without another."""
    weightless = not _WRITERS[kind].weights
    if options.weights and weightless and not options.with_normalization:
        raise Refusal("NS015", f"a {kind} file holds no weights", helps=("leave out --weights",), status=2)
    if options.with_normalization and kind == ".safetensors":
        why = "a .safetensors file holds weights, and the normalization is in the network"
        raise Refusal("NS015", f"--with-normalization is for .onnx, .pt2, .ts, .py and .json: {why}", status=2)
    if options.init and (options.weights or not options.data or weightless):
        what = "takes no --weights" if options.weights else f"writes no {kind} file" if options.data else "needs --data"
        raise Refusal("NS015", f"--init {options.init} {what}", helps=(f"--init {options.init} --data x.npy -o net.onnx",), status=2)
    if options.accelerator and not options.package:
        raise Refusal("NS015", "--accelerator is for --package", helps=("--package triton --accelerator tensorrt -o models",), status=2)
    _check_model_options(options, kind)


def _check_model_options(options: argparse.Namespace, kind: str) -> None:
    """The same of the options of models."""
    what, suits = f"a {kind} file" if kind.startswith(".") else f"a {kind} package", _WRITERS[kind].suits
    for name in (*_OF_MODELS, *_OF_FACTS):
        if getattr(options, name) not in (None, False, [], _DEFAULTS.get(name)) and name not in suits:
            raise Refusal("NS015", f"--{name.replace('_', '-')} is for ONNX{_also(name)}, and the output is {what}", status=2)
    asked = [name for name in ("calibrate", "method", "full_range") if getattr(options, name) not in ([], False, _DEFAULTS["method"])]
    if options.precision != "int8" and asked:
        given = f"--{asked[0].replace('_', '-')}"
        raise Refusal("NS015", f"{given} is for --precision int8", helps=("--precision int8 --calibrate data.npz",), status=2)
    if options.keep and options.precision not in ("int8", "fp16", "bf16"):
        raise Refusal("NS015", "--keep is for --precision fp16, bf16 and int8", helps=("--precision fp16 --keep head",), status=2)
    if options.io == "low" and options.precision not in ("fp16", "bf16"):
        raise Refusal("NS015", "--io low is for --precision fp16 and bf16", helps=("--precision fp16 --io low",), status=2)


def _also(name: str) -> str:
    return " and the programs of torch" if name in _OF_FACTS else ""


_DEFAULTS = {"precision": "fp32", "io": "fp32", "method": "min-max"}
_OF_MODELS = (
    "precision", "io", "calibrate", "method", "keep", "full_range", "opset", "target", "fold", "functions", "external", "train_mode",
)  # fmt: skip
_OF_FACTS = ("license", "labels", "meta")


# ------------------------------------------------------------------------------------------------------------- weights
def _weights(graph: "Graph", options: argparse.Namespace) -> "Weights":
    """Those of a file, of a seed, or of a seed and data."""
    if not options.init:
        return weights_asked(graph, options)
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


# ------------------------------------------------------------------------------------------------------------- writers
def _onnx(graph: "Graph", options: argparse.Namespace) -> None:
    _save_onnx(graph, options.output, options)


def _save_onnx(graph: "Graph", path: str, options: argparse.Namespace) -> None:
    """The ONNX file as the command line asks for it."""
    how = onnx_options(options, graph)
    weights = _weights(graph, options)
    if options.precision == "int8":
        from netspec.cli.int8 import save_int8

        save_int8(graph, path, weights, how, options)
        return
    from netspec.backends.onnx import save

    save(graph, path, weights, how)


def _triton(graph: "Graph", options: argparse.Namespace) -> None:
    from netspec.backends.triton import save_package

    if isinstance(options.external, str):
        raise Refusal("NS015", "the weights of a package lie in it", helps=("--external alone puts them beside the model",), status=2)
    facts, low = metadata(options, graph), _low(options)
    save_package(graph, options.output, lambda path: _save_onnx(graph, path, options), facts, low=low, accelerator=options.accelerator)


def _low(options: argparse.Namespace) -> str:
    """The element type of the model's floating ports: of `--precision` with `--io low`."""
    return {"fp16": "float16", "bf16": "bfloat16"}[options.precision] if options.io == "low" else "float32"


def _python(graph: "Graph", options: argparse.Namespace) -> None:
    from netspec.backends.torch_source import write_source

    write_atomic(options.output, write_source(graph).encode())


def _exported(graph: "Graph", options: argparse.Namespace) -> None:
    from netspec.runtime.torch_program import save_exported

    least = save_exported(graph, options.output, _weights(graph, options), metadata(options, graph))
    for name, size in least.items():
        print(f"{options.output}: takes {name} >= {size} only: torch.export cannot tell for less", file=sys.stderr)


def _scripted(graph: "Graph", options: argparse.Namespace) -> None:
    from netspec.runtime.torch_program import save_scripted

    save_scripted(graph, options.output, _weights(graph, options), metadata(options, graph))


def _safetensors(graph: "Graph", options: argparse.Namespace) -> None:
    from netspec.backends.weight_files import save_safetensors

    save_safetensors(options.output, graph, _weights(graph, options))


def _json(graph: "Graph", options: argparse.Namespace) -> None:
    write_atomic(options.output, graph.write().encode())


@record
class _Writer:
    """How a kind of output is written, whether it holds weights, and which of the options of models say something about it."""

    write: Callable[["Graph", argparse.Namespace], None]
    weights: bool = True
    suits: tuple[str, ...] = ()


_WRITERS: dict[str, _Writer] = {
    ".onnx": _Writer(_onnx, suits=(*_OF_MODELS, *_OF_FACTS)),
    ".py": _Writer(_python, weights=False),
    ".pt2": _Writer(_exported, suits=_OF_FACTS),
    ".ts": _Writer(_scripted, suits=_OF_FACTS),
    ".safetensors": _Writer(_safetensors),
    ".json": _Writer(_json, weights=False),
    "triton": _Writer(_triton, suits=(*_OF_MODELS, *_OF_FACTS)),
}
