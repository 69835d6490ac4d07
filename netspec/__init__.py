"""netspec: the language in which neural networks are written down.

    import netspec

    net = netspec.load("zoo.resnet:resnet50")
    print(net.summary())
    net.save_onnx("resnet50.onnx", seed=0)

Importing this loads neither torch, onnx nor onnxruntime; each is imported when something asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = ["Compilation", "Diagnostic", "Limits", "Net", "Refusal", "Report", "Source", "SpecError", "compile", "diff", "load", "loads"]

_HOMES = {
    "Compilation": "netspec.network",
    "Net": "netspec.network",
    "compile": "netspec.api",
    "diff": "netspec.api",
    "load": "netspec.api",
    "loads": "netspec.api",
    "Diagnostic": "netspec.diagnostics.model",
    "Refusal": "netspec.diagnostics.model",
    "Report": "netspec.diagnostics.model",
    "SpecError": "netspec.diagnostics.model",
    "Limits": "netspec.limits",
    "Source": "netspec.source",
}

if TYPE_CHECKING:
    from netspec.api import compile, diff, load, loads
    from netspec.diagnostics.model import Diagnostic, Refusal, Report, SpecError
    from netspec.limits import Limits
    from netspec.network import Compilation, Net
    from netspec.source import Source


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module 'netspec' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
