"""`--precision int8`: the calibration data, the file, and what was lost by layer."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from netspec.diagnostics.model import Refusal

if TYPE_CHECKING:
    from netspec.backends.onnx import OnnxOptions
    from netspec.backends.weights import Weights
    from netspec.graph import Graph
    from netspec.runtime.quantization import Examples, Quantized


def int8_arguments(group: Any) -> None:
    """What `--precision int8` takes."""
    group.add_argument(
        "--calibrate", metavar="[NAME=]FILE", action="append", default=[], help="data for --precision int8: .npz, .npy or .h5"
    )
    group.add_argument("--method", choices=("min-max", "percentile", "entropy"), default="min-max", help="how int8 finds ranges")
    group.add_argument("--keep", metavar="LABEL", action="append", default=[], help="leave this layer, or this block, in float32")
    group.add_argument("--full-range", action="store_true", help="int8: weights of all eight bits, for ARM and for processors with VNNI")


def save_int8(graph: "Graph", path: str, weights: "Weights", how: "OnnxOptions", options: argparse.Namespace) -> None:
    """Write the network in int8, and say what came of it on standard error."""
    if how.functions or how.external:
        given = "--functions" if how.functions else "--external"
        raise Refusal("NS015", f"{given} is not for --precision int8: the file is written by onnxruntime's quantizer", status=2)
    found = made_int8(graph, weights, how, options, path)
    for remark in found.remarks:
        print(f"int8: {remark}", file=sys.stderr)
    print(found, file=sys.stderr)


def made_int8(graph: "Graph", weights: "Weights", how: "OnnxOptions", options: argparse.Namespace, path: str | None = None) -> "Quantized":
    """The network in int8, written where a path is given. The model in float32, its norms folded, lies in a folder of its own meanwhile."""
    from dataclasses import replace
    from tempfile import TemporaryDirectory

    from netspec.backends.onnx import save
    from netspec.runtime.quantization import quantize, quantized_model

    examples = read_examples(graph, options)
    given = {"method": options.method, "keep": options.keep, "full_range": options.full_range}
    with TemporaryDirectory(prefix="netspec.") as folder:
        plain = os.path.join(folder, "float32.onnx")
        save(graph, plain, weights, replace(how, fold=True, external=None, functions=False))
        return quantized_model(plain, examples, **given) if path is None else quantize(plain, examples, path, **given)


def read_examples(graph: "Graph", options: argparse.Namespace) -> "Examples":
    """The data of `--calibrate`. Raises Refusal NS752 where they do not fit the network, and NS711 to NS713 for files."""
    from netspec.runtime.arguments import Signature
    from netspec.runtime.arrays import read_array
    from netspec.runtime.quantization import examples_of

    signature = Signature.of(graph)
    if not options.calibrate:
        helps = ("--calibrate data.npz: a hundred examples or so, as the network is given them",)
        raise Refusal("NS752", "--precision int8 needs data to measure ranges on", helps=helps, status=2)
    arrays: dict[str, Any] = {}
    for given in options.calibrate:
        name, sign, file = given.partition("=")
        if sign and name.isidentifier():
            arrays[name] = read_array(file, _sizes(signature, name))
        elif given.endswith(".npz"):
            arrays.update(_archive(given, list(signature.inputs)))
        elif len(signature.inputs) == 1:
            (alone,) = signature.inputs
            arrays[alone] = read_array(given, _sizes(signature, alone))
        else:
            known = ", ".join(signature.inputs)
            raise Refusal("NS752", f"which input is {given} for?", helps=(f"--calibrate NAME={given}; the inputs are {known}",), status=2)
    return examples_of(signature, arrays, raw=options.with_normalization)


def _sizes(signature: Any, name: str) -> tuple[int | None, ...]:
    kind = signature.inputs.get(name)
    return () if kind is None else tuple(size if isinstance(size, int) else None for size in kind.shape)


def _archive(path: str, inputs: list[str]) -> dict[str, Any]:
    """The arrays of the inputs in an archive; a single array needs no name where there is a single input."""
    from netspec.backends.archive import read_npz

    if not os.path.isfile(path):
        raise Refusal("NS711", f"there is no file {path}", status=2)
    members = read_npz(path)
    found = {name: members[name] for name in inputs if name in members}
    if not found and len(inputs) == 1 and len(members) == 1:
        found = {inputs[0]: members[next(iter(members))]}
    if not found:
        helps = (f"it is to hold an array for each of {', '.join(inputs)}",)
        raise Refusal("NS752", f"{path} holds {', '.join(members) or 'nothing'}, and no input of the network", helps=helps, status=2)
    return found


def verify_int8(graph: "Graph", weights: "Weights", how: "OnnxOptions", options: argparse.Namespace) -> int:
    """Measure, print the loss by layer, the worst first, and at the outputs; 1 where these are below what is asked of them."""
    from dataclasses import asdict

    from netspec.runtime.quantization.int8 import TARGET

    found = made_int8(graph, weights, how, options)
    ok = found.losses.worst >= TARGET
    layers = sorted(found.losses.layers, key=lambda loss: loss.total)
    if options.format == "json":
        facts = {
            "ok": ok,
            "method": found.method,
            "examples": found.examples.count,
            "target": TARGET,
            "outputs": found.losses.outputs,
            "layers": [asdict(loss) for loss in layers],
            "in_float32": list(found.left_out),
            "remarks": list(found.remarks),
        }
        print(json.dumps(facts, indent=2))
        return 0 if ok else 1
    rows = [("layer", "operator", "line", "alone", "total")]
    rows += [(x.layer, x.operator, x.line, "float32" if x.alone is None else f"{x.alone:.1f}", f"{x.total:.1f}") for x in layers]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        left = "  ".join(cell.ljust(width) for cell, width in zip(row[:3], widths))
        print("  ".join((left, *(cell.rjust(width) for cell, width in zip(row[3:], widths[3:])))))
    for remark in found.remarks:
        print(remark)
    print(f"{found} (dB; {TARGET:g} are asked for)")
    return 0 if ok else 1
