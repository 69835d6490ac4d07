"""What is done to a model between lowering and writing. Each pass takes a model and the weights to write it with, and gives both."""

from __future__ import annotations

from netspec.backends.onnx.kept import NOTHING, Kept, kept_layers
from netspec.backends.onnx.model import OnnxModel
from netspec.backends.onnx.options import COMPUTED, STORED, OnnxOptions
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
    if options.io == "low" and options.precision not in ("fp16", "bf16"):
        raise Refusal("NS750", f"inputs and outputs are `low` in fp16 and bf16, not in {options.precision}", status=2)
    kept = _kept(graph, weights, options)
    if options.fold:
        from netspec.backends.onnx.fold import fold

        model, weights = fold(model, weights)
    if options.precision in COMPUTED and options.precision != "fp32":
        from netspec.backends.onnx.precision import lower_precision

        model, weights = lower_precision(model, weights, options.precision, options.io == "fp32", kept)
    if options.precision in STORED:
        from netspec.backends.onnx.weight_only import store_in_blocks

        model, weights = store_in_blocks(model, weights, bits=8 if options.precision == "int8-weights" else 4)
    if options.functions:
        from netspec.backends.onnx.functions import outline

        model = outline(model, graph)
    return model, weights


def _kept(graph: Graph, weights: Weights, options: OnnxOptions) -> Kept:
    """The layers that stay in float32 by name; asked before any pass puts other weights in place of those given."""
    if options.precision not in COMPUTED or options.precision == "fp32":
        return NOTHING
    return kept_layers(graph, weights, options.precision, options.keep)
