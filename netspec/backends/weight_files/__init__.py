"""Weights in files: `.safetensors`, `.npz`, `.pt` read as what anybody may have sent, and `.safetensors` written."""

from __future__ import annotations

import os

from netspec.backends.weight_files.entry import Entry, kind
from netspec.backends.weight_files.match import Match, Stored, match
from netspec.backends.weight_files.safetensors import read_metadata, read_safetensors, write_arrays, write_safetensors
from netspec.backends.weights import Initial, Weights
from netspec.diagnostics.model import Refusal
from netspec.graph import Graph

__all__ = ["Entry", "Match", "Stored", "match", "read_entries", "read_metadata", "save_safetensors", "weights_of", "write_arrays"]

#: How many tensors a file may have beyond those of the network.
SPARE = 10_000


def weights_of(graph: Graph, seed: int = 0, path: str | None = None, strip: str = "") -> Weights:
    """The weights of a network: those of a file, held strictly against the graph, or those that the seed gives.

    `strip` is a prefix to drop from the file's names (`module.`). Raises Refusal: NS620 where the file cannot be opened, NS621
    for another kind of file, NS622 and NS625 for a damaged or hostile one, NS623 without PyTorch, NS624 for other weights.
    """
    if path is None:
        return Initial(seed, {tensor.name: tensor for tensor in graph.weights})
    found = match(graph, read_entries(path, len(graph.weights) + SPARE), {strip: ""} if strip else None)
    found.require(path)
    return Stored(found)


def read_entries(path: str, most: int = SPARE) -> dict[str, Entry]:
    """The tensors of a weights file by name, by the kind that its suffix says. Raises Refusal as `weights_of` does."""
    suffix = kind(path)
    if suffix not in (".safetensors", ".npz", ".pt", ".pth"):
        raise Refusal(
            "NS621", f"{path} is no kind of weights file that is known", helps=("known are .safetensors, .npz, .pt and .pth",), status=2
        )
    try:
        if not os.path.isfile(path):
            raise Refusal("NS620", f"there is no file {path}", status=2)
        if suffix == ".safetensors":
            return read_safetensors(path, most)
        if suffix == ".npz":
            from netspec.backends.weight_files import npz

            return npz.read_entries(path, most)
        from netspec.backends.torch_weights import read_pt

        return read_pt(path, most)
    except OSError as error:
        raise Refusal("NS620", f"{path} cannot be read: {error.strerror or error}", status=2) from error


def save_safetensors(path: str | os.PathLike[str], graph: Graph, weights: Weights) -> None:
    """Write a network's weights, all of its state dict, atomically. Raises Refusal NS020 where the file cannot be written."""
    write_safetensors(path, graph.weights, weights)
