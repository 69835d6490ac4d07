"""Reading `.pt` and `.pth`: only the zip container, only tensors, only with `weights_only=True`, and never a second try.

PyTorch maps the file; from where it has mapped a storage follows where that lies in the file, and we read it from there, in parts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from netspec.backends.span import Span, stamp
from netspec.backends.weight_files.archive import inspect
from netspec.backends.weight_files.entry import Entry, at, malformed, too_much
from netspec.diagnostics.model import Refusal
from netspec.record import record

if TYPE_CHECKING:
    import numpy as np

#: The most bytes of the table of tensors for each, and besides.
_BYTES = (4 << 10, 1 << 20)


def read_pt(path: str, most: int) -> dict[str, Entry]:
    """The tensors of a state dict that `torch.save` wrote, by name; at most that many. None of their elements is read yet.

    Raises Refusal: NS622 for anything but a flat table of dense tensors, NS623 without torch, NS625 past a bound.
    """
    state = os.stat(path)
    for member in inspect(path, stored=True):
        if member.filename.endswith("data.pkl") and member.file_size > most * _BYTES[0] + _BYTES[1]:
            raise too_much(path, f"its table of tensors has {member.file_size:,} bytes, too many for {most:,} of them")
    try:
        import torch
    except ImportError:
        raise Refusal("NS623", f"{path} can only be read with PyTorch", helps=("pip install 'netspec-lang[torch]'",), status=3) from None
    try:
        table = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch's own words may advise weights_only=False, and are not passed on
        raise malformed(path, "PyTorch does not read it as weights alone") from error
    if not isinstance(table, dict):
        raise malformed(path, "it holds no table of tensors")
    inner = [key for key, value in table.items() if isinstance(value, dict)]
    if inner:
        raise Refusal(
            "NS622",
            f"{path} is a checkpoint with tables inside it ({', '.join(map(repr, inner[:4]))}), not a table of tensors",
            helps=("save the model's own table alone: `torch.save(model.state_dict(), …)`",),
        )
    if len(table) > most:
        raise too_much(path, f"it has {len(table):,} tensors, more than {most:,}")
    maps = _Maps(path, state, tuple(_stretches(state)))
    return {_name(path, key): _entry(path, key, value, maps) for key, value in table.items()}


@record
class _Maps:
    """Where a file is mapped: addresses from, to, and the place in the file of the first."""

    path: str
    status: os.stat_result
    stretches: tuple[tuple[int, int, int], ...]

    def span(self, address: int, nbytes: int) -> Span | None:
        """The span of the file that is mapped there; None where it is not, or the system does not say."""
        for start, end, offset in self.stretches:
            if start <= address and address + nbytes <= min(end, start - offset + self.status.st_size):
                return Span(self.path, address - start + offset, nbytes, stamp(self.status))
        return None


def _stretches(status: os.stat_result) -> Iterator[tuple[int, int, int]]:
    """By Linux's table of what the process has mapped: address range, rights, place in the file, device, number of the file."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                addresses, _, offset, _, number = line.split(maxsplit=5)[:5]
                if int(number) == status.st_ino:
                    start, end = (int(part, 16) for part in addresses.split("-"))
                    yield start, end, int(offset, 16)
    except (OSError, ValueError):
        return


def _name(path: str, key: Any) -> str:
    if not isinstance(key, str):
        raise malformed(path, "a key is no string")
    return key


def _entry(path: str, name: str, value: Any, maps: _Maps) -> Entry:
    import torch

    if not isinstance(value, torch.Tensor):
        raise malformed(path, f"{name!r} is no tensor")
    if value.layout != torch.strided or value.is_quantized or value.device.type != "cpu" or value.is_complex() or value.is_neg():
        raise malformed(path, f"{name!r} is no plain dense tensor")
    last = value.storage_offset() + sum((size - 1) * stride for size, stride in zip(value.shape, value.stride()))
    if value.numel() and (min(value.stride(), default=0) < 0 or (last + 1) * value.element_size() > value.untyped_storage().nbytes()):
        raise malformed(path, f"{name!r} is larger than what is stored of it")
    place = (value.data_ptr(), value.stride()) if value.numel() else None
    dtype, shape = str(value.dtype).removeprefix("torch."), tuple(value.shape)
    span = maps.span(value.data_ptr(), value.numel() * value.element_size()) if value.numel() and value.is_contiguous() else None
    return at(dtype, shape, span, place) if span is not None else Entry(dtype, shape, partial(_load, value), place)


def _load(value: Any) -> np.ndarray:
    import torch

    dense = value.detach().contiguous()
    if dense.dtype == torch.bfloat16:
        return dense.view(torch.int16).numpy().view("uint16")
    return dense.numpy()
