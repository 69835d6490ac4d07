"""The engines that are measured: PyTorch, eager or through its compiler, and onnxruntime. Each lives in a process of its own.

A call of `run` returns when the result is there: on a GPU it waits for it. Inputs and outputs stay on the device that computes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from netspec.diagnostics.model import Refusal
from netspec.record import record
from netspec.runtime.bench.memory import device_free, resident

if TYPE_CHECKING:
    from netspec.graph import Graph

#: the package of each engine
LIBRARIES: Mapping[str, str] = {"eager": "torch", "compile": "torch", "ort": "onnxruntime"}


@record
class Task:
    """What a process is to run: an engine, the network (a graph with its weights for PyTorch, a model file for onnxruntime), inputs."""

    engine: str
    provider: str
    precision: str
    threads: int
    tf32: bool
    inputs: Mapping[str, np.ndarray]
    graph: "Graph | None" = None
    seed: int = 0
    weights: str | None = None
    model: str = ""


class Engine(Protocol):
    """A network that is loaded. `idle` and `free` are memory and device memory before it was, with the engine's library in memory."""

    idle: int
    free: int | None
    note: str

    @property
    def run(self) -> Callable[[], Any]:
        """Does one inference, until its result is there."""

    def outputs(self) -> dict[str, np.ndarray]:
        """The outputs by name, of one more inference."""

    def facts(self) -> dict[str, str]:
        """What it is: version, device."""


def load(task: Task) -> Engine:
    """The engine of a task. Raises what the engine raises: `failures.reason` puts it into words."""
    return _OnnxRuntime(task) if task.engine == "ort" else _Torch(task)


class _Torch:
    """PyTorch: the module that netspec generates, in evaluation mode, without gradients."""

    def __init__(self, task: Task) -> None:
        import torch

        self.torch, self.cuda, self.note = torch, task.provider == "cuda", ""
        torch.set_num_threads(task.threads)
        if self.cuda:
            torch.backends.cudnn.benchmark = True
            torch.backends.cudnn.allow_tf32 = task.tf32
            torch.set_float32_matmul_precision("high" if task.tf32 else "highest")
            if not torch.cuda.is_available():
                raise Refusal("NS758", "PyTorch finds no GPU" if torch.version.cuda else "this PyTorch was built without CUDA")
            torch.zeros(1, device="cuda")  # its context and libraries are not the network's
        self.dtype = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[task.precision]
        self.free, self.idle = device_free() if self.cuda else None, resident()
        self.given = [self._placed(torch.from_numpy(array)) for array in task.inputs.values()]
        module = self._module(task)
        self.call = torch.compile(module, dynamic=False) if task.engine == "compile" else module
        self._try(module, task.engine)

    def _module(self, task: Task) -> Any:
        from netspec.backends.torch_module import build_module, load_weights
        from netspec.backends.torch_source import write_source
        from netspec.backends.weight_files import weights_of
        from netspec.backends.weights import arrays_of

        assert task.graph is not None
        module = build_module(write_source(task.graph), task.graph)
        load_weights(module, arrays_of(task.graph, weights_of(task.graph, task.seed, task.weights)))
        self.names = [port.name for port in task.graph.outputs]
        return module.eval().to("cuda" if self.cuda else "cpu", self.dtype)

    def _placed(self, tensor: Any) -> Any:
        kind = self.dtype if tensor.is_floating_point() else tensor.dtype
        return tensor.to("cuda" if self.cuda else "cpu", kind)

    def _try(self, module: Any, engine: str) -> None:
        """A first call. A network that makes float32 of its own (positions, masks) does not take low weights everywhere: autocast."""
        if self.dtype is self.torch.float32:
            self.run()
            return
        try:
            self.run()
        except RuntimeError as error:
            if "dtype" not in str(error) and "type" not in str(error):
                raise
            self.note, plain = "by autocast", module.float()
            self.given = [t.float() if t.is_floating_point() else t for t in self.given]
            place = "cuda" if self.cuda else "cpu"

            def cast(*inputs: Any) -> Any:
                with self.torch.autocast(place, self.dtype):
                    return plain(*inputs)

            self.call = self.torch.compile(cast, dynamic=False) if engine == "compile" else cast
            self.run()

    def run(self) -> Any:
        with self.torch.inference_mode():
            found = self.call(*self.given)
        if self.cuda:
            self.torch.cuda.synchronize()
        return found

    def outputs(self) -> dict[str, np.ndarray]:
        found = self.run()
        tensors = [t.detach() for t in (found if isinstance(found, (tuple, list)) else [found])]  # an output may be a parameter itself
        return {name: (t.float() if t.is_floating_point() else t).cpu().numpy() for name, t in zip(self.names, tensors)}

    def facts(self) -> dict[str, str]:
        facts = {"PyTorch": self.torch.__version__}
        if self.cuda:
            facts.update(device=self.torch.cuda.get_device_name(), CUDA=str(self.torch.version.cuda))
        return facts


class _OnnxRuntime:
    """onnxruntime, on the file that netspec wrote or that was given. On a GPU inputs and outputs are bound to it."""

    def __init__(self, task: Task) -> None:
        import onnxruntime

        from netspec.runtime.providers import PROVIDERS
        from netspec.runtime.session import Session

        device, self.version = PROVIDERS[task.provider].device, onnxruntime.__version__
        self.free, self.idle = device_free() if device == "cuda" else None, resident()
        session = Session(task.model, provider=task.provider, threads=task.threads, tf32=task.tf32)
        self.note = f"layers on the CPU: {len(session.fallback)}" if session.fallback else ""
        wanted = {name: kind.dtype for name, kind in session.signature.inputs.items()}
        if wanted.keys() != task.inputs.keys():
            raise Refusal("NS758", f"it is of another network: its inputs are {', '.join(wanted)}, not {', '.join(task.inputs)}")
        given = {name: array.astype(wanted[name], copy=False) for name, array in task.inputs.items()}
        self.names, self.bound = session.outputs, session.bind(**given) if device != "cpu" else None
        raw, names = session._session, list(session.outputs)
        self.run: Callable[[], Any] = partial(raw.run, names, given) if self.bound is None else self.bound.run
        self.run()

    def outputs(self) -> dict[str, np.ndarray]:
        found = self.run()
        return dict(zip(self.names, found, strict=True)) if self.bound is None else dict(self.bound.outputs())

    def facts(self) -> dict[str, str]:
        return {"onnxruntime": self.version}
