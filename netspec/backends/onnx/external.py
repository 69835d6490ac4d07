"""Where weights lie that are not in the model: in a file of their own beside it, or in a `.safetensors` file that PyTorch reads, too.

ONNX says of such a tensor in which file it is (a path from the model's folder on, and never out of it), at which byte and how many; so it
may point into any file that holds elements as memory does. See onnx/docs/ExternalData.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from pathlib import Path

import numpy as np

from netspec.backends.onnx.model import OnnxModel
from netspec.backends.onnx.options import OnnxOptions
from netspec.backends.stream import Part, Slot
from netspec.backends.weight_files import SPARE, Entry, read_entries
from netspec.backends.weight_files.safetensors import laid_out
from netspec.backends.weight_files.shards import INDEX
from netspec.backends.weights import BLOCK, Weights
from netspec.diagnostics.model import Refusal
from netspec.graph import Graph, Tensor
from netspec.record import record
from netspec.sizes.tensor import DTYPES

#: Tensors of fewer bytes stay in the model; in a file of its own, larger ones begin at a multiple of a page, to be mapped.
INLINE_BYTES = 1024
PAGE = 4096
#: How many tensors a message names.
_SHOWN = 5


@record
class Outside:
    """The weights that are outside of a model: for each, the file as the model is to call it, its first byte there, and how many.

    `path` is the file that is to be written with the model, of these `parts`; None where there is nothing to write.
    """

    places: Mapping[str, tuple[str, int, int]]
    path: Path | None = None
    parts: Sequence[Part] = ()


def size(tensor: Tensor) -> int:
    """The bytes of a tensor."""
    return prod(tensor.shape) * DTYPES[tensor.dtype]


def beside(path: Path, tensors: Iterable[Tensor]) -> Outside:
    """Everything but small tensors in `<name>.onnx.data`."""
    location = f"{path.name}.data"
    places: dict[str, tuple[str, int, int]] = {}
    parts: list[Part] = []
    end = 0
    for tensor in tensors:
        nbytes = size(tensor)
        if nbytes >= INLINE_BYTES:
            start = -(-end // PAGE) * PAGE
            places[tensor.name] = (location, start, nbytes)
            parts += (bytes(start - end), Slot(tensor, start, nbytes))
            end = start + nbytes
    return Outside(places, path.with_name(location), parts)


def in_safetensors(path: Path, graph: Graph, model: OnnxModel, weights: Weights, options: OnnxOptions) -> Outside:
    """Everything but small tensors in the file that the options name: written with the model where there is none, pointed into where it
    holds these very tensors. A file that is there is never written to.

    Raises Refusal: NS753 for a file elsewhere, or with other tensors; and what reading weights files does.
    """
    target = _target(path, str(options.external))
    if os.path.lexists(target):
        return _pointed(path, target, model, weights)
    if str(target).lower().endswith(INDEX):
        raise Refusal(
            "NS753", f"there is no {target}", helps=("shards are pointed into, not written: name one .safetensors file",), status=2
        )
    return _new(path, target, graph, model, options)


def _target(path: Path, name: str) -> Path:
    """The file that is meant: a bare name is one beside the model, anything else a path."""
    if not name.lower().endswith((".safetensors", INDEX)):
        helps = ("`--external` alone writes NAME.onnx.data", "`--external model.safetensors` writes what PyTorch reads, too")
        raise Refusal("NS753", f"the weights of a model cannot be put into `{name}`", helps=helps, status=2)
    return path.with_name(name) if os.path.basename(name) == name else Path(name)


def _location(path: Path, target: str | Path) -> str:
    """What the model calls a file, which must be in its folder or below; links are followed, for readers of models do not."""
    folder, real = os.path.realpath(path.parent), os.path.realpath(target)
    if not real.startswith(os.path.join(folder, "")):
        link = f", by way of {target}," if real != os.path.abspath(target) else ""
        helps = ("a model reads nothing outside of its folder: put both into one",)
        raise Refusal("NS753", f"{real}{link} is not in the folder of {path}", helps=helps, status=2)
    return os.path.relpath(real, folder).replace(os.sep, "/")


def _new(path: Path, target: Path, graph: Graph, model: OnnxModel, options: OnnxOptions) -> Outside:
    """A file with the whole state dict. Of a model whose weights are not those of the network, with the model's alone: a state dict
    filled up with what was folded away would load, and compute something else."""
    location = _location(path, target)
    own = options.fold or options.precision != "fp32"
    head, slots = laid_out(model.weights if own else graph.weights)
    outside = {tensor.name for tensor in model.weights if size(tensor) >= INLINE_BYTES}
    places = {slot.tensor.name: (location, slot.start, slot.nbytes) for slot in slots if slot.tensor.name in outside}
    return Outside(places, target, [head, *slots])


# ------------------------------------------------------------------------------------------------- a file that is there
def _pointed(path: Path, target: Path, model: OnnxModel, weights: Weights) -> Outside:
    """The places of the tensors in a file that holds them. Where the weights are read from that file nothing else is read; of another
    one, every tensor is compared."""
    _location(path, target)
    entries = read_entries(str(target), len(model.weights) + SPARE)
    files = {span.stamp: span.path for entry in entries.values() if (span := entry.span) is not None}
    places: dict[str, tuple[str, int, int]] = {}
    unlike: list[str] = []
    for tensor in model.weights:
        if size(tensor) < INLINE_BYTES:
            continue
        span, entry = weights.span(tensor), entries.get(tensor.name)
        if span is None or span.stamp not in files:
            why = _unlike(tensor, entry, weights)
            if why:
                unlike.append(f"{tensor.name}: {why}")
                continue
            assert entry is not None
            span = entry.span
        assert span is not None
        if tensor.dtype == "bool":  # a byte that is no truth value means something else to each reader
            weights.array(tensor)
        places[tensor.name] = (_location(path, files[span.stamp]), span.offset, span.nbytes)
    if unlike:
        raise _other(target, unlike)
    return Outside(places)


def _unlike(tensor: Tensor, entry: Entry | None, weights: Weights) -> str:
    """What differs between a tensor of the model and what the file has under its name; nothing where that is the same, bit for bit."""
    ours = f"{tensor.dtype} {list(tensor.shape)}"
    if entry is None or entry.span is None:
        return "not in the file"
    if (entry.dtype, entry.shape) != (tensor.dtype, tensor.shape):
        return f"{ours} in the model, {entry} in the file"
    start = 0
    for piece in weights.pieces(tensor):
        made = piece.make()
        for first in range(0, piece.count, BLOCK):
            part = made[first : first + BLOCK]
            if not np.array_equal(_bits(part), _bits(entry.span.elements(tensor.dtype, start + first, part.size))):
                return "other values"
        start += piece.count
    return ""


def _bits(elements: np.ndarray) -> np.ndarray:
    """The bytes: two zeros of different signs are not the same."""
    little = np.ascontiguousarray(elements, elements.dtype.newbyteorder("<"))
    return little.view("uint8")


def _other(target: Path, unlike: Sequence[str]) -> Refusal:
    notes = (*unlike[:_SHOWN], *((f"and {len(unlike) - _SHOWN:,} more",) if len(unlike) > _SHOWN else ()))
    helps = (
        "to point into a file, read the weights from it: `--weights` and `--external` with the same name",
        "folding and other precisions change weights: name a file that is not there yet, which is then written",
    )
    return Refusal("NS753", f"{target} is there, is kept as it is, and does not hold the model's weights", notes=notes, helps=helps)
