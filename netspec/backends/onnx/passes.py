"""What is done to a model between lowering and writing. Each pass takes a model and the weights to write it with, and gives both."""

from __future__ import annotations

from netspec.backends.onnx.kept import NOTHING, kept_layers
from netspec.backends.onnx.model import OnnxModel
from netspec.backends.onnx.options import COMPUTED, LOW, STORED, OnnxOptions
from netspec.backends.weights import Weights
from netspec.diagnostics.model import Refusal
from netspec.graph import Graph


def rewritten(model: OnnxModel, weights: Weights, graph: Graph, options: OnnxOptions) -> tuple[OnnxModel, Weights]:
    """The model as the options ask for it. Raises Refusal NS750 for a precision that there is not."""
    if options.precision not in (*COMPUTED, *STORED):
        known = ", ".join((*COMPUTED, *STORED))
        measured = ("int8 is made of data: netspec build --precision int8 --calibrate data.npz",) if options.precision == "int8" else ()
        helps = (f"known are {known}", *measured)
        raise Refusal("NS750", f"a model cannot be written in {options.precision}", helps=helps, status=2)
    if options.io not in ("fp32", "low"):
        raise Refusal("NS750", f"inputs and outputs are `fp32` or `low`, not `{options.io}`", status=2)
    if options.io == "low" and options.precision not in LOW:
        raise Refusal("NS750", f"inputs and outputs are `low` in fp16 and bf16, not in {options.precision}", status=2)
    # asked before any pass puts other weights in place of those given
    kept = kept_layers(graph, weights, options.precision, options.keep) if options.precision in LOW else NOTHING
    if options.fold:
        from netspec.backends.onnx.fold import fold

        model, weights = fold(model, weights)
    if options.precision in LOW:
        from netspec.backends.onnx.precision import lower_precision

        model, weights = lower_precision(model, weights, options.precision, options.io == "fp32", kept)
    if options.precision in STORED:
        from netspec.backends.onnx.weight_only import store_in_blocks

        model, weights = store_in_blocks(model, weights, bits=8 if options.precision == "int8-weights" else 4)
    if options.functions:
        from netspec.backends.onnx.functions import outline

        model = outline(model, graph)
    return model, weights
