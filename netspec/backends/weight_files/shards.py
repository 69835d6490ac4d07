"""Weights in several `.safetensors` files beside an index of them, as large models are published.

The index is JSON: `{"metadata": {"total_size": …}, "weight_map": {"fc.weight": "model-00001-of-00003.safetensors", …}}`; see
https://huggingface.co/docs/safetensors, "Sharded checkpoints". It may be anyone's: a shard is a plain file in the index's folder, or below,
and each holds what the index says of it, no more and no less.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from netspec.backends.weight_files.entry import Entry, too_much
from netspec.backends.weight_files.safetensors import read_header
from netspec.diagnostics.model import Refusal

#: How the name of an index ends.
INDEX = ".safetensors.index.json"
#: The longest index, in bytes for each tensor and besides; and how many shards it may name.
_BYTES, _MOST_SHARDS = (1 << 10, 1 << 20), 10_000


def index_of(path: str | os.PathLike[str]) -> str | None:
    """The index that a path means: itself, or the only one in the folder; None for other files.

    Raises Refusal NS620 for a folder without one, or with several.
    """
    path = os.fspath(path)
    if path.lower().endswith(INDEX):
        return path
    if not os.path.isdir(path):
        return None
    found = sorted(name for name in os.listdir(path) if name.lower().endswith(INDEX))
    if len(found) == 1:
        return os.path.join(path, found[0])
    why = f"has several: {', '.join(found[:4])}" if found else f"has no *{INDEX}"
    raise Refusal("NS620", f"the folder {path} {why}", helps=("name the weights file itself",), status=2)


def read_shards(path: str, most: int) -> tuple[dict[str, Entry], int]:
    """The tensors of all shards of an index by name, at most that many; and how many bytes are missing at the shards' ends.

    Raises Refusal: NS631 for a damaged index or one that leads out of its folder, NS632 where shards do not hold what it says, NS622 and
    NS625 for a shard. OSError where the index cannot be opened.
    """
    placed = _weight_map(path, most)
    said: dict[str, set[str]] = {}
    for name, shard in placed.items():
        said.setdefault(shard, set()).add(name)
    entries: dict[str, Entry] = {}
    lacking = 0
    for shard, place in [(shard, _inside(path, shard)) for shard in sorted(said)]:
        held, less = read_header(place, most)
        lacking += less
        _agree(path, shard, said[shard], held, placed)
        entries.update(held)
    return {name: entries[name] for name in placed}, lacking


def _weight_map(path: str, most: int) -> dict[str, str]:
    """Which shard has which tensor."""
    with open(path, "rb") as file:
        raw = file.read(most * _BYTES[0] + _BYTES[1] + 1)
    if len(raw) > most * _BYTES[0] + _BYTES[1]:
        raise too_much(path, f"it is longer than an index of {most:,} tensors")
    try:
        index = json.loads(raw.decode("utf-8"), object_pairs_hook=lambda pairs: _unique(path, pairs))
    except (ValueError, RecursionError):
        raise _damaged(path, "it is not JSON") from None
    placed = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(placed, dict) or not placed or not all(isinstance(shard, str) for shard in placed.values()):
        raise _damaged(path, "its `weight_map` is no table of files by tensors")
    if len(placed) > most or len(set(placed.values())) > _MOST_SHARDS:
        raise too_much(path, f"it names {len(placed):,} tensors in {len(set(placed.values())):,} files")
    return placed


def _unique(path: str, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise _damaged(path, "it names something twice")
    return table


def _inside(path: str, shard: str) -> str:
    """The path of a shard, which must be a file of the index's folder."""
    parts = shard.split("/")
    if not shard.lower().endswith(".safetensors") or {"", ".", ".."} & set(parts) or any(c in shard for c in "\\:\0"):
        raise _damaged(path, f"it says that tensors lie in {shard!r}, which is no file of its folder")
    folder = os.path.dirname(path)
    place = os.path.join(folder, *parts)
    root, real = os.path.realpath(folder or "."), os.path.realpath(place)
    if os.path.commonpath((root, real)) != root:
        helps = ("copy the file itself there: of a download with links, into a folder of its own",)
        raise Refusal("NS631", f"{place} is a link that leads out of its folder", helps=helps)
    if not os.path.isfile(place):
        raise Refusal("NS632", f"there is no {shard}, which {path} names")
    return place


def _agree(path: str, shard: str, said: set[str], held: Mapping[str, Entry], placed: Mapping[str, str]) -> None:
    """A shard holds the tensors that the index says it does."""
    for name in sorted(said - held.keys()):
        raise Refusal("NS632", f"{shard} does not hold `{name}`, which {path} says it does")
    for name in sorted(held.keys() - said):
        where = f"says is in {placed[name]}" if name in placed else "does not name"
        raise Refusal("NS632", f"{shard} holds `{name}`, which {path} {where}")


def _damaged(path: str, why: str) -> Refusal:
    return Refusal("NS631", f"{path} is damaged or no index of shards: {why}")
