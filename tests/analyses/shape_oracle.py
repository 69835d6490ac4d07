"""Which sizes PyTorch itself takes: a network's own module, run on the meta device, with the check of sizes switched off.

Three things that PyTorch does without a word are no valid networks, and count as failures here: an addition that broadcasts an
axis which only happens to be 1, a tensor without elements, and a slice that reaches past its axis and is cut short. (A fourth, a
dilated maximum of nothing but padding, gives minus infinity rather than a shape; the random networks have none.)
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from netspec.api import Net
from netspec.backends.torch_module import build_module
from netspec.sizes.dim import evaluate

_ADDITIONS = {torch.add, torch.Tensor.add, torch.Tensor.__add__, torch.Tensor.__radd__}
#: What keeps the shape of its first argument, and is slow to say so.
_POINTWISE = {F.relu, F.batch_norm, torch.relu, *_ADDITIONS}
_SHAPE = torch.Tensor.shape.__get__


class Unsound(Exception):
    """PyTorch would go on, and should not."""


class Strict(TorchFunctionMode):
    """Raises `Unsound` for what is named above. The shape that a call gives, or its error, is asked of PyTorch once."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[object, tuple[torch.Size, torch.dtype] | Exception] = {}

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is _SHAPE:
            return func(*args)
        if func in _POINTWISE and (func not in _ADDITIONS or _shape(args[0]) == _shape(args[1])):
            return args[0]
        key = (func, *map(_plain, args), *((name, _plain(value)) for name, value in (kwargs or {}).items()))
        known = self.known.get(key)
        if known is None:
            result = self._call(func, args, kwargs or {})
            if isinstance(result, torch.Tensor):
                self.known[key] = result.shape, result.dtype
                return result
            if not isinstance(result, Exception):
                return result
            known = self.known[key] = result
        if isinstance(known, Exception):
            raise known.with_traceback(None)
        shape, kind = known
        return torch.empty(shape, dtype=kind, device="meta")

    def _call(self, func, args, kwargs):
        try:
            result = func(*args, **kwargs)
        except (RuntimeError, ValueError, IndexError) as error:
            return error.with_traceback(None)
        if func is torch.Tensor.__getitem__ and _reaches_past(args[0], args[1]):
            return Unsound("a slice reaches past its axis")
        if func in _ADDITIONS and _broadcast(*args[:2]):
            return Unsound(f"{args[0].shape} and {args[1].shape} broadcast")
        if isinstance(result, torch.Tensor) and 0 in result.shape:
            return Unsound("nothing is left")
        return result


def _shape(value: object) -> torch.Size | None:
    return value.shape if isinstance(value, torch.Tensor) else None


def _plain(value: object) -> object:
    """An argument as a key: of a tensor only its shape and element type matter here."""
    if isinstance(value, torch.Tensor):
        return value.shape, value.dtype
    if isinstance(value, (tuple, list)):
        return tuple(map(_plain, value))
    return ("slice", value.start, value.stop, value.step) if isinstance(value, slice) else (type(value), value)


def _broadcast(left: object, right: object) -> bool:
    """Whether two tensors of one rank differ: of two ranks, a table of positions is meant to serve all examples."""
    return isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor) and left.ndim == right.ndim and left.shape != right.shape


def _reaches_past(tensor: torch.Tensor, index: object) -> bool:
    for length, part in zip(tensor.shape, index if isinstance(index, tuple) else (index,)):
        if part is Ellipsis:
            return False
        if isinstance(part, slice):
            start, stop = part.start or 0, length if part.stop is None else part.stop
            if not -length <= start <= length or not -length <= stop <= length:
                return True
    return False


STRICT = Strict()


class Oracle:
    """Runs one network's shapes in PyTorch, in evaluation mode."""

    def __init__(self, net: Net) -> None:
        self.graph = net.graph
        self.module = build_module(net.source(), net.graph).to("meta").eval()
        sys.modules[type(self.module).__module__].__dict__.update(check_size=_anything, check_sizes=_anything)

    def takes(self, sizes: Mapping[str, int]) -> bool:
        """Whether the network runs at these sizes, and gives outputs of the shapes that are written."""
        shapes = [self._shape(port.value, sizes) for port in self.graph.inputs]
        kinds = [getattr(torch, self.graph.values[port.value].dtype) for port in self.graph.inputs]
        if any(size < 1 for shape in shapes for size in shape):
            return False
        try:
            with torch.no_grad(), STRICT:
                made = self.module(*(torch.empty(shape, dtype=kind, device="meta") for shape, kind in zip(shapes, kinds)))
        except (RuntimeError, ValueError, IndexError, Unsound):
            return False
        outputs = (made,) if isinstance(made, torch.Tensor) else made
        return all(list(tensor.shape) == self._shape(port.value, sizes) for tensor, port in zip(outputs, self.graph.outputs))

    def _shape(self, value: int, sizes: Mapping[str, int]) -> list[int]:
        return [evaluate(size, sizes) for size in self.graph.values[value].shape]


def _anything(*_: object, **__: object) -> None:
    """In place of the check of sizes."""
