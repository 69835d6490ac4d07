"""The ONNX back end: a graph as an ONNX model, written without importing onnx or protobuf."""

from netspec.backends.onnx.options import OPSETS, OnnxOptions
from netspec.backends.onnx.write import model_bytes, save

__all__ = ["OPSETS", "OnnxOptions", "model_bytes", "save"]
