"""Reading `.pt` and `.pth`: only the zip container, only tensors, only with `weights_only=True`, and never a second try."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from netspec.backends.weight_files.archive import inspect
from netspec.backends.weight_files.entry import Entry, malformed, too_much
from netspec.diagnostics.model import Refusal

if TYPE_CHECKING:
    import numpy as np


def read_pt(path: str, most: int) -> dict[str, Entry]:
    """The tensors of a state dict that `torch.save` wrote, by name; at most that many. Storages are mapped, not read.

    Raises Refusal: NS622 for anything but a flat table of dense tensors, NS623 without torch, NS625 past a bound.
    """
    inspect(path, stored=True)
    try:
        import torch
    except ImportError:
        raise Refusal("NS623", f"{path} can only be read with PyTorch", helps=("pip install 'netspec-lang[torch]'",), status=3) from None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch's own words may advise weights_only=False, and are not passed on
        raise malformed(path, "PyTorch does not read it as weights alone") from error
    if not isinstance(state, dict):
        raise malformed(path, "it holds no table of tensors")
    inner = [key for key, value in state.items() if isinstance(value, dict)]
    if inner:
        raise Refusal(
            "NS622",
            f"{path} is a checkpoint with tables inside it ({', '.join(map(repr, inner[:4]))}), not a table of tensors",
            helps=("save the model's own table alone: `torch.save(model.state_dict(), …)`",),
        )
    if len(state) > most:
        raise too_much(path, f"it has {len(state):,} tensors, more than {most:,}")
    return {_name(path, key): _entry(path, key, value) for key, value in state.items()}


def _name(path: str, key: Any) -> str:
    if not isinstance(key, str):
        raise malformed(path, "a key is no string")
    return key


def _entry(path: str, name: str, value: Any) -> Entry:
    import torch

    if not isinstance(value, torch.Tensor):
        raise malformed(path, f"{name!r} is no tensor")
    if value.layout != torch.strided or value.is_quantized or value.device.type != "cpu" or value.is_complex():
        raise malformed(path, f"{name!r} is no plain dense tensor")
    last = value.storage_offset() + sum((size - 1) * stride for size, stride in zip(value.shape, value.stride()))
    if value.numel() and (min(value.stride(), default=0) < 0 or (last + 1) * value.element_size() > value.untyped_storage().nbytes()):
        raise malformed(path, f"{name!r} is larger than what is stored of it")
    place = (value.data_ptr(), value.stride()) if value.numel() else None
    return Entry(str(value.dtype).removeprefix("torch."), tuple(value.shape), partial(_load, value), place)


def _load(value: Any) -> np.ndarray:
    import torch

    dense = value.detach().contiguous()
    if dense.dtype == torch.bfloat16:
        return dense.view(torch.int16).numpy().view("uint16")
    return dense.numpy()
