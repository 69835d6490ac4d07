"""A network bound to one choice of sizes: inputs and outputs stay at their places, and a run moves and allocates nothing more.

    bound = session.bind({"N": 8, "H": 224, "W": 224})
    bound(image=photographs)["logits"]       # a view of the output's buffer, which the next run overwrites

On the CPU the buffers are arrays: `bound.inputs["image"]` can be filled in place, and `bound.run()` reads it where it is. On a GPU they
lie on the device. With `cuda_graph` the launches of the first run are recorded and replayed by all others: see "Using CUDA Graphs",
https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from math import prod
from numbers import Integral
from typing import Any

import numpy as np
import onnxruntime

from netspec.diagnostics.model import Refusal
from netspec.diagnostics.nearest import suggestion
from netspec.record import record
from netspec.runtime.providers import PROVIDERS, first_line
from netspec.runtime.session import Session, port_types
from netspec.sizes.dim import evaluate, names
from netspec.sizes.tensor import TensorType
from netspec.terms import ONNX_ELEMENT

#: A session keeps the recorded runs of its bindings apart by number. All sessions count together: no two have the same.
_GRAPHS = itertools.count(1)


@record
class _Place:
    """Where tensors lie: onnxruntime's name of the kind of device, and its number."""

    device: str
    number: int

    @property
    def is_host(self) -> bool:
        return self.device == "cpu"


class Bound:
    """A network with buffers for one choice of sizes. Not for several threads at once: they would share the buffers.

    `sizes` are the open sizes by name; `inputs` the input buffers where they are arrays (on the CPU; empty elsewhere); `shapes` those of
    the outputs, None where only a run tells (then onnxruntime allocates that output in each).
    """

    def __init__(self, session: Session, shapes: Mapping[str, tuple[int, ...]], sizes: Mapping[str, int]) -> None:
        """Allocate the buffers. Raises Refusal NS757 where a CUDA graph needs an output's size that nothing tells."""
        self.sizes = dict(sizes)
        self._session, self._place = session._session, _place_of(session)
        self._binding = self._session.io_binding()
        self._values: dict[str, Any] = {}
        self._kinds = dict(session.signature.inputs)
        self.inputs: dict[str, np.ndarray] = {}
        for name, shape in shapes.items():
            array, self._values[name] = _buffer(shape, self._kinds[name].dtype, self._place)
            if array is not None:
                self.inputs[name] = array
            self._binding.bind_ortvalue_input(name, self._values[name])
        self._outputs: dict[str, np.ndarray | None] = {}
        self.shapes: dict[str, tuple[int, ...] | None] = {}
        for name, kind in output_types(session).items():
            self._bind_output(name, kind)
        self._options = self._recorded(session)

    def __call__(self, **arrays: Any) -> dict[str, np.ndarray]:
        """Copy these inputs in (others stay as they were), run, and give the outputs by name. Raises Refusal: NS720 to NS722, NS734."""
        self.update(arrays)
        self.run()
        return self.outputs()

    def update(self, arrays: Mapping[str, Any]) -> None:
        """Copy inputs to their places. Raises Refusal: NS720 names, NS721 element types, NS722 axes."""
        for name, array in arrays.items():
            if name not in self._values:
                raise Refusal("NS720", f"the network has no input `{name}`", helps=suggestion(name, self._values))
            kind = self._kinds[name]
            given = np.asarray(array) if isinstance(array, np.ndarray) else np.asarray(array, storage(kind.dtype))
            if given.dtype != storage(kind.dtype):
                raise Refusal("NS721", f"the input `{name}` is {kind.dtype}, but {given.dtype} was given")
            shape = tuple(self._values[name].shape())
            if given.shape != shape:
                raise Refusal("NS722", f"`{name}` is bound to the shape {list(shape)}, but {list(given.shape)} was given")
            if name in self.inputs:
                np.copyto(self.inputs[name], given)
            else:
                self._values[name].update_inplace(np.ascontiguousarray(given))

    def run(self) -> None:
        """Run on what the inputs hold. Raises Refusal NS734."""
        try:
            self._session.run_with_iobinding(self._binding, self._options)
        except Exception as error:  # onnxruntime has no class of its own for all of them
            raise Refusal("NS734", f"onnxruntime failed: {first_line(error)}") from error

    def outputs(self) -> dict[str, np.ndarray]:
        """What the last run gave: on the CPU the buffers themselves, which the next run overwrites, elsewhere copies."""
        if all(array is not None for array in self._outputs.values()):
            return dict(self._outputs)  # type: ignore[arg-type]
        made = dict(zip(self._outputs, self._binding.copy_outputs_to_cpu()))
        return {name: made[name] if array is None else array for name, array in self._outputs.items()}

    def _bind_output(self, name: str, kind: TensorType) -> None:
        """Give an output its place, if its size can be told; else let onnxruntime allocate it, in each run."""
        known = all(names(size) <= self.sizes.keys() for size in kind.shape)
        self.shapes[name] = shape = tuple(evaluate(size, self.sizes) for size in kind.shape) if known else None
        self._outputs[name] = None
        if shape is None or kind.dtype not in ONNX_ELEMENT:
            self._binding.bind_output(name, self._place.device, self._place.number)
            return
        self._outputs[name], value = _buffer(shape, kind.dtype, self._place)
        self._binding.bind_ortvalue_output(name, value)

    def _recorded(self, session: Session) -> Any:
        """Run options with a number for the recording, and the first run, in which it is made; None without CUDA graphs."""
        if not session.settings.cuda_graph:
            return None
        if not PROVIDERS[session.provider].graphs:
            raise Refusal("NS757", f"CUDA graphs are for the providers cuda and tensorrt, not for `{session.provider}`", status=2)
        unknown = [name for name, shape in self.shapes.items() if shape is None]
        if unknown:
            what = f"a CUDA graph needs all sizes, and nothing tells those of the output `{unknown[0]}`"
            raise Refusal("NS757", what, helps=("write the model with --static, or by netspec",))
        self._options = onnxruntime.RunOptions()
        self._options.add_run_config_entry("gpu_graph_id", str(next(_GRAPHS)))
        self.run()
        return self._options


def bind(session: Session, sizes: Mapping[str, int] | None, arrays: Mapping[str, Any]) -> Bound:
    """What `Session.bind` gives. Raises Refusal: NS720 to NS723 for inputs, NS757 for sizes."""
    kinds = session.signature.inputs
    if arrays:
        if sizes is not None:
            raise Refusal("NS757", "a session is bound to sizes, or to inputs that tell them, not to both", status=2)
        checked = session.signature.check(arrays)
        bound = Bound(session, {name: array.shape for name, array in checked.items()}, session.signature.sizes(checked))
        bound.update(checked)
        return bound
    given, wanted = dict(sizes or {}), {name for kind in kinds.values() for size in kind.shape for name in names(size)}
    for name, value in given.items():
        if name not in wanted:
            helps = suggestion(name, wanted) or ((f"open are {', '.join(sorted(wanted))}",) if wanted else ("all sizes are fixed",))
            raise Refusal("NS757", f"the network has no open size `{name}`", helps=helps, status=2)
        if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
            raise Refusal("NS757", f"a size is a positive whole number, not {name} = {value!r}", status=2)
    if missing := sorted(wanted - given.keys()):
        helps = (f'session.bind({{"{missing[0]}": 8, …}}), or inputs that tell it: session.bind({next(iter(kinds))}=array)',)
        are = "is" if len(missing) == 1 else "are"
        raise Refusal("NS757", f"a run with fixed buffers needs all sizes: {', '.join(missing)} {are} open", helps=helps, status=2)
    shapes = {name: tuple(evaluate(size, given) for size in kind.shape) for name, kind in kinds.items()}
    session.signature.check_sizes({name: _Shaped(shape) for name, shape in shapes.items()})
    return Bound(session, shapes, {name: int(value) for name, value in given.items()})


@record
class _Shaped:
    """Stands for an array of which only the shape is known."""

    shape: tuple[int, ...]


def output_types(session: Session) -> dict[str, TensorType]:
    """The outputs' types by name: from the network, or as the file declares them."""
    if session.graph is not None:
        values = session.graph.values
        return {port.name: values[port.value].type for port in session.graph.outputs}
    return port_types(session._session.get_outputs(), "unknown")


def storage(dtype: str) -> np.dtype:
    """The array type that holds an element type: numpy has no bfloat16, which travels as the uint16 of its bits."""
    return np.dtype("uint16" if dtype == "bfloat16" else dtype)


def _place_of(session: Session) -> _Place:
    number = session.settings.provider_options.get("device_id", 0)
    return _Place(PROVIDERS[session.provider].device, int(number))


def _buffer(shape: tuple[int, ...], dtype: str, place: _Place) -> tuple[np.ndarray | None, Any]:
    """A buffer of zeros: on the host an array, and onnxruntime's view of it; on a device a tensor there."""
    if not place.is_host:
        element = ONNX_ELEMENT["bfloat16"] if dtype == "bfloat16" else np.dtype(dtype)
        value = onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, element, place.device, place.number)
        value.update_inplace(np.zeros(shape, storage(dtype)))
        return None, value
    array = np.zeros(shape, storage(dtype))
    return array, value_of(array, dtype)


def value_of(array: np.ndarray, dtype: str) -> Any:
    """onnxruntime's view of an array in memory: nothing is copied, and the array must outlive it."""
    if dtype == "bfloat16":
        return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(array, ONNX_ELEMENT[dtype])
    return onnxruntime.OrtValue.ortvalue_from_numpy(array)


def array_of(value: Any) -> np.ndarray:
    """A copy of a tensor of onnxruntime's on the host; bfloat16 as the uint16 of its bits, which `OrtValue.numpy` refuses."""
    if value.data_type() != "tensor(bfloat16)":
        return np.array(value.numpy())
    import ctypes

    shape = tuple(value.shape())
    memory = (ctypes.c_uint16 * prod(shape)).from_address(value.data_ptr()) if prod(shape) else ()
    return np.array(memory, np.uint16).reshape(shape)
