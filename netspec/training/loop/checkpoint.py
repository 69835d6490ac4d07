"""Checkpoints: one `.safetensors` file that is either whole or not there, with everything that a run needs to go on.

Tensors lie in it by name, `weights/…`, `best/…` and what the optimizer keeps; all else is JSON under one key of the metadata. It is
read as a file that anybody may have sent is: bounds and structure first, no pickle, and every fault has a code.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING, Any, Iterable, Mapping

import numpy as np
import torch

from netspec.backends.weight_files import read_metadata, write_arrays
from netspec.backends.weight_files.safetensors import read_safetensors
from netspec.diagnostics.model import Refusal
from netspec.files import write_atomic
from netspec.recipe import spelling
from netspec.record import record

if TYPE_CHECKING:
    from netspec.graph import Graph
    from netspec.recipe.section import Section

#: the files of a run, in its folder
LAST, BEST, WEIGHTS = "last.safetensors", "best.safetensors", "weights.safetensors"
#: the key of the metadata that all facts are under, and the version of what is under it
_KEY, _VERSION = "netspec.training", 1
_MOST = 10_000_000
#: what does not change what is trained: where things were written, and what was said about them
_SILENT = frozenset({"origin", "origins", "doc", "source", "digest", "hint", "search", "renames"})


@record
class Snapshot:
    """Tensors by name, and facts that JSON can say."""

    tensors: Mapping[str, torch.Tensor]
    facts: Mapping[str, Any]


class Store:
    """Where checkpoints go: `last.safetensors` in a folder, or memory where the run writes nothing."""

    def __init__(self, folder: str | None, digest: str, settings: Mapping[str, Any]) -> None:
        self.folder, self.digest, self.settings = folder, digest, dict(settings)
        self._kept: Snapshot | None = None

    @property
    def path(self) -> str | None:
        """The file."""
        return None if self.folder is None else os.path.join(self.folder, LAST)

    def prepare(self) -> None:
        """Make the folder, and see that files can be written in it. Raises Refusal NS020."""
        if self.folder is None:
            return
        probe = os.path.join(self.folder, f".probe.{os.urandom(4).hex()}")
        try:
            os.makedirs(self.folder, exist_ok=True)
            write_atomic(probe, b"")
            os.unlink(probe)
        except OSError as error:
            raise Refusal("NS020", f"{self.folder} cannot be written: {error.strerror or error}") from error

    def save(self, snapshot: Snapshot) -> None:
        """Keep a snapshot in place of the one before. Raises Refusal NS020 where it cannot be written; the one before is kept then."""
        if self.path is None:
            self._kept = Snapshot({name: tensor.detach().clone() for name, tensor in snapshot.tensors.items()}, snapshot.facts)
            return
        facts = {"version": _VERSION, "digest": self.digest, "settings": self.settings, **snapshot.facts}
        write_tensors(self.path, snapshot.tensors, {_KEY: json.dumps(facts, sort_keys=True)})

    def load(self) -> Snapshot | None:
        """The last snapshot; None where there is none yet. Raises Refusal: NS811 for a damaged one, NS812 for that of another run."""
        if self.path is None:
            return self._kept
        if not os.path.exists(self.path):
            return None
        facts, tensors = _read(self.path)
        if facts["digest"] != self.digest:
            raise _another(self.path, facts["settings"], self.settings)
        return Snapshot(tensors, facts)


def _read(path: str) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    try:
        entries = read_safetensors(path, _MOST)
        facts = json.loads(read_metadata(path)[_KEY])
        if facts["version"] != _VERSION or not isinstance(facts["digest"], str) or not isinstance(facts["settings"], dict):
            raise ValueError("of another version")
        tensors = {name: tensor_of(entry.dtype, np.array(entry.load())) for name, entry in entries.items()}
    except OSError as error:
        raise Refusal("NS811", f"{path} cannot be read: {error.strerror or error}") from error
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError, Refusal) as error:
        why = error.diagnostic.message if isinstance(error, Refusal) else "it does not hold what a checkpoint of this version does"
        raise damaged(path, why) from error
    return facts, tensors


def damaged(path: str | None, why: str) -> Refusal:
    """The refusal of a file that no run wrote, or that was changed since."""
    helps = ("delete the file to train from the beginning", f"the weights of the best epoch are in {BEST}, where there is one")
    return Refusal("NS811", f"{path or 'the checkpoint'} is no checkpoint, or is damaged", notes=(why,), helps=helps)


def _another(path: str, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> Refusal:
    names = [name for name in {**theirs, **ours} if theirs.get(name) != ours.get(name)]
    notes = tuple(f"{name}: {_short(theirs.get(name))} in the checkpoint, {_short(ours.get(name))} now" for name in names[:6])
    helps = ("call it as it was called before", "or train anew in another folder, from these weights if they help (`weights = …`)")
    return Refusal("NS812", f"{path} is the checkpoint of another run", notes=notes, helps=helps, status=2)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else "not given" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 90 else text[:87] + "…"


# ------------------------------------------------------------------------------------------------------------- files
def write_tensors(path: str, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors of any device as a `.safetensors` file, atomically. Raises Refusal NS020."""
    write_arrays(path, {name: _array(tensor) for name, tensor in tensors.items()}, metadata)


def _array(tensor: torch.Tensor) -> tuple[str, np.ndarray]:
    dtype = str(tensor.dtype).removeprefix("torch.")
    here = tensor.detach().cpu()
    return dtype, (here.contiguous().view(torch.uint16) if here.dtype == torch.bfloat16 else here).numpy()


def tensor_of(dtype: str, array: np.ndarray) -> torch.Tensor:
    """An array of a weights file as a tensor (bfloat16 comes as the uint16 of its bits)."""
    tensor = torch.from_numpy(array)
    return tensor.view(torch.bfloat16) if dtype == "bfloat16" else tensor


# ----------------------------------------------------------------------------------------------------------- identity
def identity(graph: "Graph", section: "Section", data: Mapping[str, Any], processes: int, before: str = "") -> tuple[str, dict[str, Any]]:
    """What tells a run from all others, as a digest and as the settings that a message shows: the network, the section, the data
    (`data` says what is to be known of them), the number of processes, and the digest of the section before.

    Where something was written, and its documentation, do not count: a comment in the spec makes no other run.
    """
    network = json.loads(graph.model_copy(update={"training": ()}).write())
    whole = {"network": _hash(_plain(network)), "data": dict(data), "processes": processes, "before": before}
    digest = _hash({**whole, "section": _plain(json.loads(section.model_dump_json()))})
    return digest, {**whole, **spelling.settings(section)}


def fingerprint(columns: Mapping[str, np.ndarray], names: Iterable[str]) -> str:
    """A digest of some rows of data, by column."""
    made = hashlib.sha256()
    for name in sorted(names):
        array = np.ascontiguousarray(columns[name])
        made.update(f"{name} {array.dtype} {array.shape}".encode())
        made.update(array.tobytes())
    return made.hexdigest()[:16]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items() if name not in _SILENT}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
