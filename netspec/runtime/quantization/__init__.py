"""Networks in int8: ranges measured on examples, weights by channel, and the layers left out that lose too much."""

from netspec.runtime.quantization.examples import Examples, examples_of
from netspec.runtime.quantization.int8 import METHODS, Quantized, quantize, quantized_model
from netspec.runtime.quantization.loss import Loss

__all__ = ["METHODS", "Examples", "Loss", "Quantized", "examples_of", "quantize", "quantized_model"]
