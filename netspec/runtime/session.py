"""Networks in onnxruntime.

`Session(model)(image=array)` gives `{"mask": array}`. Inputs are held against the network's declaration first, so that a
wrong one is an explained refusal; and what was asked for is what runs: a provider that is not in use is an error.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from netspec.diagnostics.model import Refusal
from netspec.graph import Graph, Requirement
from netspec.runtime.arguments import Signature
from netspec.runtime.options import settings_of
from netspec.runtime.providers import Assignment, available, fallen_back, first_line, start
from netspec.sizes.dim import Dim, Size, parse
from netspec.sizes.tensor import TensorType

if TYPE_CHECKING:
    from netspec.runtime.binding import Bound
    from netspec.runtime.profile import Profile

__all__ = ["Session", "available"]

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

    `inputs` are the shapes that it takes by name, None where a size is open; `outputs` the names of what it gives; `provider` is the
    one in use, `assignments` says which provider runs each node (on the CPU nothing; None where this onnxruntime does not tell),
    `fallback` which layers run on the CPU instead; `metadata` are the facts in the file, and `labels` the names of its classes, if it
    has them.
    """

    def __init__(
        self, model: bytes | str | os.PathLike[str], *, provider: str = "auto", graph: Graph | None = None, **options: Any
    ) -> None:  # fmt: skip
        """Load a model: its bytes, or the path of an .onnx file, which is looked through first (`model_file.inspect`).

        `provider` is auto, cpu, cuda, tensorrt, openvino, coreml or directml; `graph` the network it was written from, whose
        conditions on sizes are then checked at each call (without it, those in the model's metadata); `options` are those of
        `SessionSettings`: `optimize`, `threads`, `strict`, …

        Raises Refusal: NS730 for a provider that is not installed, NS731 for one that does not start, NS732 for a model that
        onnxruntime does not take, NS733 and NS757 for an option, NS735 for an operator without a kernel, NS736 for layers on the CPU
        where `strict`, NS756 for a file that is damaged or hostile, NS633 for one with weights that are no numbers.
        """
        self.settings = settings_of(options)
        if not isinstance(model, bytes) and os.path.isfile(model):
            from netspec.runtime.model_file import inspect

            inspect(model)
        started = start(model, provider, self.settings)
        self.provider, self._session = started.provider, started.session
        self.assignments: tuple[Assignment, ...] | None = started.assignments
        self.graph, self._model = graph, model
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self.signature = Signature.of(graph) if graph is not None else _declared(self._session, self.metadata)
        self.inputs: dict[str, tuple[int | None, ...]] = {
            name: tuple(size if isinstance(size, int) else None for size in kind.shape) for name, kind in self.signature.inputs.items()
        }
        self.outputs: tuple[str, ...] = tuple(output.name for output in self._session.get_outputs())
        ports = (*self._session.get_inputs(), *self._session.get_outputs())
        self._plain = not any(port.type == "tensor(bfloat16)" for port in ports)

    @property
    def fallback(self) -> tuple[str, ...]:
        """The layers that run on the CPU though another provider was asked for; the arithmetic of sizes belongs there."""
        return () if self.provider == "cpu" else fallen_back(self.assignments or ())

    @property
    def labels(self) -> dict[str, list[str]]:
        """The names of the classes in the order of the scores, by column of classes (under `""` where there is one); or nothing."""
        from netspec.backends.onnx.metadata import labels_in

        return labels_in(self.metadata)

    def __call__(self, **inputs: Any) -> dict[str, np.ndarray]:
        """Run the network: inputs and outputs by name."""
        return self.run(inputs)

    def run(self, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """As a call, for names that are no Python names. Raises Refusal: NS720 to NS723 for inputs, NS734 where the run fails."""
        if self.settings.cuda_graph:
            raise Refusal("NS757", "a session with CUDA graphs runs where it is bound", helps=("session.bind(…)(…)",), status=2)
        arrays = self.signature.check(inputs)
        try:
            results = self.compute(self._session, arrays)
        except Exception as error:  # onnxruntime has no class of its own for all of them
            raise Refusal("NS734", f"onnxruntime failed: {first_line(error)}") from error
        return dict(zip(self.outputs, results, strict=True))

    def compute(self, session: Any, arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """What an onnxruntime session of this model gives for checked inputs. bfloat16, which numpy has not, travels as the uint16 of
        its bits."""
        if self._plain:
            return session.run(self.outputs, dict(arrays))
        from netspec.runtime.binding import array_of, value_of

        values = {name: value_of(array, self.signature.inputs[name].dtype) for name, array in arrays.items()}
        return [array_of(value) for value in session.run_with_ort_values(self.outputs, values)]

    def bind(self, sizes: Mapping[str, int] | None = None, /, **arrays: Any) -> Bound:
        """The network for one choice of sizes, with inputs and outputs at fixed places: `Bound`.

        Sizes by the names of open sizes (`{"N": 8, "H": 224, "W": 224}`), or inputs, which tell them and are copied in.
        Raises Refusal: NS720 to NS723 for inputs, NS757 for a size that is not given or that there is not.
        """
        from netspec.runtime.binding import bind

        return bind(self, sizes, arrays)

    def profile(self, inputs: Mapping[str, Any], *, runs: int = 10, warmup: int = 3) -> Profile:
        """Where the time of a run goes, by layer and by block (`profile.Profile`): medians of `runs` after `warmup` ones.

        The model is loaded a second time for it, with onnxruntime's profiler on. Raises Refusal as `run`.
        """
        from netspec.runtime.profile import profile

        return profile(self._model, self.signature.check(inputs), self, runs=runs, warmup=warmup)


def _declared(session: Any, metadata: Mapping[str, str]) -> Signature:
    """What a model file says of its inputs, and of the conditions on their sizes."""
    lines = metadata.get("netspec.conditions", "").splitlines()[:MAX_CONDITIONS]
    return Signature(port_types(session.get_inputs()), tuple(r for line in lines if (r := _requirement(line)) is not None))


def port_types(ports: Iterable[Any], kind: str = "any") -> dict[str, TensorType]:
    """The types of a model's inputs or outputs by name. A named axis is an open size, or an expression of them as netspec writes it; one
    without a name is any size, and has a name of its own, which begins with `kind`."""
    found = {}
    for number, port in enumerate(ports):
        sizes = tuple(_size(size, f"{kind}_{number}_{axis}") for axis, size in enumerate(port.shape))
        found[port.name] = TensorType(sizes, _ELEMENTS.get(port.type, port.type))
    return found


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
    try:
        return parse(size if isinstance(size, str) and size.isascii() and len(size) <= MAX_CONDITION else otherwise)
    except (ValueError, ArithmeticError):  # another exporter's, which are names as often as not
        return Dim.name(otherwise)
