"""How a model is written: what a user may ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from netspec.record import record

#: The opsets that the lowerings are written and tested for.
OPSETS = range(17, 27)
#: The element types that computing may be done in; and those that weights alone may be stored in.
LOW = ("fp16", "bf16")
COMPUTED = ("fp32", *LOW)
STORED = ("int8-weights", "int4-weights")


@record
class OnnxOptions:
    """How a model is written.

    opset, ir_version: of the file; `targets` knows which of them a release of onnxruntime reads.
    external: True puts weights beside the model, a name ending in `.safetensors` into that file beside it (or leaves them there, where it
        holds them already); None only what does not fit into the model.
    fold: compute constants now, and batch norms, pads and scales into the layer beside them (close to, not equal to, torch's numbers).
    precision: `fp32`, `fp16`, `bf16`; `int8-weights` and `int4-weights` store the weights of linear layers so, in blocks.
    io: the element type of floating inputs and outputs, `fp32`, or `low` for that of `precision`.
    keep: labels of layers and blocks that stay in float32 in `fp16` and `bf16`.
    functions: keep the blocks of the spec as functions of the model.
    metadata: further facts for the file, by name.
    """

    opset: int = 21
    ir_version: int = 10
    external: bool | str | None = None
    fold: bool = False
    precision: str = "fp32"
    io: str = "fp32"
    keep: tuple[str, ...] = ()
    functions: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)
