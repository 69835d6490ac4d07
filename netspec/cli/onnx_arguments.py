"""How a command line asks for an ONNX file: precision, opset or runtime, weights beside it, blocks, what it says of itself."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from netspec.cli.int8 import int8_arguments
from netspec.cli.output import static_arguments
from netspec.diagnostics.model import Refusal

if TYPE_CHECKING:
    from netspec.backends.onnx import OnnxOptions
    from netspec.graph import Graph

#: what `--precision` may be
PRECISIONS = ("fp32", "fp16", "bf16", "int8", "int8-weights", "int4-weights")


def onnx_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of an ONNX file."""
    group = parser.add_argument_group("ONNX")
    group.add_argument("--precision", choices=PRECISIONS, default="fp32", help="what is computed in; `-weights` stores weights alone so")
    group.add_argument("--io", choices=("fp32", "low"), default="fp32", help="inputs and outputs in float32 (default), or as --precision")
    int8_arguments(group)
    group.add_argument("--opset", type=int, help="the ONNX opset (default 21, for bf16 22, or what --target reads)")
    group.add_argument("--target", metavar="RUNTIME", help="write what a release reads: ort-1.17")
    group.add_argument("--fold", action="store_true", help="fold batch norms, pads and constants into the layers beside them")
    group.add_argument("--functions", action="store_true", help="keep the blocks as functions of the model")
    group.add_argument(
        "--external", nargs="?", const=True, metavar="FILE", help="weights beside the .onnx (always so past 2 GB); or in this .safetensors"
    )
    group.add_argument("--train-mode", action="store_true", help="(not any more: see `netspec explain NS754`)")
    group.add_argument("--license", metavar="ID", help="the licence, for the file's metadata (`MIT`)")
    group.add_argument("--labels", metavar="FILE", help="the names of the classes, a line each, for the metadata")
    group.add_argument("--meta", metavar="KEY=VALUE", action="append", default=[], help="a further fact for the metadata")
    static_arguments(parser)


def onnx_options(options: argparse.Namespace, graph: "Graph") -> "OnnxOptions":
    """The options as the back end takes them. `int8` is none of its: it is made of the model in float32."""
    from netspec.backends.onnx.targets import options_for

    if options.train_mode:
        raise Refusal("NS754", "onnxruntime trains no ONNX models any more", helps=("train with `netspec train`",), status=2)
    precision = "fp32" if options.precision == "int8" else options.precision
    opset = 22 if precision == "bf16" and not (options.opset or options.target) else options.opset  # whose convolutions take it
    return options_for(
        options.target, opset, fold=options.fold, external=options.external, precision=precision, io=options.io,
        functions=options.functions, keep=tuple(options.keep) if precision in ("fp16", "bf16") else (), metadata=metadata(options, graph),
    )  # fmt: skip


def metadata(options: argparse.Namespace, graph: "Graph | None" = None) -> dict[str, str]:
    """The facts that the file is to carry beside those of the spec: labels, licence, normalization, and what else is given."""
    from netspec.backends.onnx.metadata import facts

    inside = options.with_normalization
    return facts(options.weights, options.labels, options.license, options.meta, inside=inside, graph=graph)
