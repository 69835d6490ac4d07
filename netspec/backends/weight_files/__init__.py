"""Weights in files: `.safetensors` (and an index of such), `.npz`, `.pt` read as what anybody may have sent, and `.safetensors` written."""

from __future__ import annotations

import os

from netspec.backends.weight_files.entry import Entry, kind
from netspec.backends.weight_files.match import Match, match
from netspec.backends.weight_files.partial import Partial
from netspec.backends.weight_files.safetensors import read_metadata, read_safetensors, write_arrays, write_safetensors
from netspec.backends.weight_files.shards import INDEX, index_of, read_shards
from netspec.backends.weight_files.stored import Stored
from netspec.backends.weights import Initial, Weights
from netspec.diagnostics.model import Refusal
from netspec.graph import Graph

__all__ = [
    "Entry", "Match", "Partial", "Stored", "match", "read_entries", "read_metadata", "save_safetensors", "weights_of", "write_arrays",
]  # fmt: skip

#: How many tensors a file may have beyond those of the network.
SPARE = 10_000


def weights_of(graph: Graph, seed: int = 0, path: str | os.PathLike[str] | None = None, strip: str = "", partial: bool = False) -> Weights:
    """The weights of a network: those of a file, held strictly against the graph, or those that the seed gives.

    `strip` is a prefix to drop from the file's names (`module.`); the net's own renames apply to what is left. With `partial`, what the
    file lacks is drawn from the seed: then the result may be a `Partial`, which says what that is.

    Raises Refusal: NS620 where the file cannot be opened, NS621 for another kind of file, NS622 and NS625 for a damaged or hostile one,
    NS623 without PyTorch, NS624 for other weights, NS631 and NS632 for shards.
    When weights are read: NS633 for what is no number, NS634 for a file that changed since.
    """
    if path is None:
        return Initial(seed, {tensor.name: tensor for tensor in graph.weights})
    found = match(graph, read_entries(path, len(graph.weights) + SPARE), strip)
    found.require(os.fspath(path), partial)
    if not found.missing:
        return Stored(found)
    initial = Initial(seed, {tensor.name: tensor for tensor in graph.weights})
    return Partial(Stored(found), initial, {name: initial.siblings[name] for name in found.missing})


def read_entries(path: str | os.PathLike[str], most: int = SPARE) -> dict[str, Entry]:
    """The tensors of a weights file by name, by the kind that its suffix says; of a folder, by the index of shards in it.

    Raises Refusal as `weights_of` does, NS631 and NS632 for shards.
    """
    path = index_of(os.fspath(path)) or os.fspath(path)
    suffix = INDEX if path.lower().endswith(INDEX) else kind(path)
    if suffix not in (INDEX, ".safetensors", ".npz", ".pt", ".pth"):
        helps = (f"known are .safetensors, *{INDEX}, .npz, .pt and .pth",)
        raise Refusal("NS621", f"{path} is no kind of weights file that is known", helps=helps, status=2)
    try:
        if not os.path.isfile(path):
            raise Refusal("NS620", f"there is no file {path}", status=2)
        if suffix == INDEX:
            return _whole(path, *read_shards(path, most))
        if suffix == ".safetensors":
            return read_safetensors(path, most)
        if suffix == ".npz":
            from netspec.backends.weight_files import npz

            return npz.read_entries(path, most)
        from netspec.backends.torch_weights import read_pt

        return read_pt(path, most)
    except OSError as error:
        raise Refusal("NS620", f"{path} cannot be read: {error.strerror or error}", status=2) from error


def _whole(path: str, entries: dict[str, Entry], lacking: int) -> dict[str, Entry]:
    if lacking:
        raise Refusal("NS632", f"the shards of {path} end {lacking:,} bytes before their data do")
    return entries


def save_safetensors(path: str | os.PathLike[str], graph: Graph, weights: Weights) -> None:
    """Write a network's weights, all of its state dict, atomically. Raises Refusal NS020 where the file cannot be written."""
    write_safetensors(path, graph.weights, weights)
