"""Networks in onnxruntime: the one place that imports it.

`Session(model)(image=array)` gives `{"mask": array}`. Inputs are held against the network's declaration first, so that a
wrong one is an explained refusal; and what was asked for is what runs: a provider that is not in use is an error.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime

from netspec.diagnostics.model import Refusal
from netspec.graph import Graph, Requirement
from netspec.runtime.arguments import Signature
from netspec.sizes.dim import Dim, Size, parse
from netspec.sizes.tensor import TensorType

#: onnxruntime's names of the providers that can be asked for.
PROVIDERS: dict[str, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
#: `auto` takes the first of these that works; TensorRT, which compiles for minutes, only on request.
_AUTOMATIC = ("cuda", "cpu")

_LEVELS = {
    "none": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
_ELEMENTS = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(bfloat16)": "bfloat16",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
}


#: The most conditions that are read from a model file, and the longest, in characters.
MAX_CONDITIONS = 1_000
MAX_CONDITION = 1_000


class Session:
    """A model that is loaded and ready. Safe to call from several threads.

    `inputs` are the shapes that it takes by name, None where a size is open; `outputs` the names of what it gives; `provider`
    is the one in use.
    """

    def __init__(
        self,
        model: bytes | str | os.PathLike[str],
        *,
        provider: str = "auto",
        graph: Graph | None = None,
        optimize: bool | str = True,
        threads: int = 0,
        tf32: bool = False,
    ) -> None:
        """Load a model: its bytes, or the path of an .onnx file.

        `provider` is auto, cpu, cuda or tensorrt; `graph` the network it was written from, whose conditions on sizes are
        then checked at each call (without it, those in the model's metadata); `optimize` is a truth value or a level: none,
        basic, extended, all; `threads` 0 leaves their number to onnxruntime; `tf32` lets CUDA round products to 10 bits, as
        it otherwise would by default.

        Raises Refusal: NS730 for a provider that is not installed, NS731 for one that does not start, NS732 for a model that
        onnxruntime does not take, NS733 for an option.
        """
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = _choice("level of optimization", _level(optimize), _LEVELS)
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # what matters comes as an exception
        self.provider, self._session = _start(model, provider, options, tf32)
        self.signature = Signature.of(graph) if graph is not None else _declared(self._session)
        self.inputs: dict[str, tuple[int | None, ...]] = {
            name: tuple(size if isinstance(size, int) else None for size in kind.shape) for name, kind in self.signature.inputs.items()
        }
        self.outputs: tuple[str, ...] = tuple(output.name for output in self._session.get_outputs())

    def __call__(self, **inputs: Any) -> dict[str, np.ndarray]:
        """Run the network: inputs and outputs by name."""
        return self.run(inputs)

    def run(self, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """As a call, for names that are no Python names. Raises Refusal: NS720 to NS723 for inputs, NS734 where the run fails."""
        arrays = self.signature.check(inputs)
        try:
            results = self._session.run(self.outputs, arrays)
        except Exception as error:  # onnxruntime has no class of its own for all of them
            raise Refusal("NS734", f"onnxruntime failed: {_first_line(error)}") from error
        return dict(zip(self.outputs, results, strict=True))


def available() -> tuple[str, ...]:
    """The providers that this onnxruntime was built with, by our names."""
    built = onnxruntime.get_available_providers()
    return tuple(name for name, theirs in PROVIDERS.items() if theirs in built)


def _start(model: Any, provider: str, options: Any, tf32: bool) -> tuple[str, Any]:
    """The provider in use, and the session."""
    if provider == "auto":
        for candidate in _AUTOMATIC:
            session = _load(model, candidate, options, tf32) if candidate in available() else None
            if session is not None and PROVIDERS[candidate] in session.get_providers():
                return candidate, session
    _choice("provider", provider, {"auto": "", **PROVIDERS})
    if provider not in available():
        helps = (f"available: {', '.join(available())}", "CUDA and TensorRT come with onnxruntime-gpu, in place of onnxruntime")
        raise Refusal("NS730", f"this onnxruntime has no provider `{provider}`", helps=helps, status=3)
    session = _load(model, provider, options, tf32)
    if PROVIDERS[provider] not in session.get_providers():
        used = ", ".join(session.get_providers())
        why = ("onnxruntime's log says why: a missing driver or CUDA library, most often",)
        raise Refusal("NS731", f"the provider `{provider}` did not start; onnxruntime fell back to {used}", helps=why)
    return provider, session


def _load(model: Any, provider: str, options: Any, tf32: bool) -> Any:
    if provider != "cpu" and hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()  # finds CUDA where pip put it
    settings: dict[str, Any] = {"use_tf32": int(tf32)} if provider == "cuda" else {}  # torch's products are exact by default
    chain: list[Any] = [(PROVIDERS[provider], settings)]
    if provider != "cpu":
        chain.append(PROVIDERS["cpu"])  # shape arithmetic runs there
    if not isinstance(model, bytes):
        model = os.fspath(model)
        if not os.path.isfile(model):
            raise Refusal("NS732", f"there is no file {model}", status=2)
    try:
        return onnxruntime.InferenceSession(model, options, providers=chain)
    except Exception as error:  # onnxruntime has no class of its own for all of them
        shown = "the model" if isinstance(model, bytes) else model
        raise Refusal("NS732", f"onnxruntime does not take {shown}: {_first_line(error)}") from error


def _declared(session: Any) -> Signature:
    """What a model file says of its inputs. A named axis is an open size; one without a name is any size."""
    inputs = {}
    for number, port in enumerate(session.get_inputs()):
        sizes = tuple(_size(size, f"any_{number}_{axis}") for axis, size in enumerate(port.shape))
        inputs[port.name] = TensorType(sizes, _ELEMENTS.get(port.type, port.type))
    lines = session.get_modelmeta().custom_metadata_map.get("netspec.conditions", "").splitlines()[:MAX_CONDITIONS]
    return Signature(inputs, tuple(r for line in lines if (r := _requirement(line)) is not None))


def _requirement(line: str) -> Requirement | None:
    """A condition as our own models carry it, `H == 4 * (H // 4)`; None for a line that is none: the file may be anyone's."""
    left, relation, right = line.partition(" == ") if " == " in line else line.partition(" >= ")
    if not relation or len(line) > MAX_CONDITION:
        return None
    try:
        sides = parse(left), parse(right)
    except (ValueError, ArithmeticError):
        return None
    reason = f"the model asks for {line}"
    return Requirement(relation="==" if relation == " == " else ">=", left=sides[0], right=sides[1], code="NS723", reason=reason)


def _size(size: Any, otherwise: str) -> Size:
    if isinstance(size, int):
        return size
    return Dim.name(size if isinstance(size, str) and size.isascii() and size.isidentifier() else otherwise)


def _level(optimize: bool | str) -> str:
    return optimize if isinstance(optimize, str) else "all" if optimize else "none"


def _choice(what: str, given: str, known: Mapping[str, Any]) -> Any:
    if given not in known:
        raise Refusal("NS733", f"there is no {what} `{given}`", helps=(f"choose one of {', '.join(known)}",), status=2)
    return known[given]


def _first_line(error: Exception) -> str:
    """The first line of onnxruntime's message, without what only its developers read."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].split(" : ")[-1][:300]
