"""PyTorch source: a graph as a stand-alone, readable Python file, one class a block."""

from netspec.backends.torch_source.lower import SourceError
from netspec.backends.torch_source.source import write_source

__all__ = ["SourceError", "write_source"]
