"""A file's tensors against a network's: what is missing, what is too many, what has another shape."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import field
from functools import partial

import numpy as np

from netspec.backends.weight_files.entry import Entry
from netspec.backends.weights import BLOCK, Piece, Weights
from netspec.diagnostics.model import Refusal
from netspec.diagnostics.nearest import nearest
from netspec.graph import Graph, Tensor
from netspec.record import record

#: Element types that another holds without loss.
_WIDER = {
    ("float16", "float32"),
    ("bfloat16", "float32"),
    ("float16", "float64"),
    ("float32", "float64"),
    ("int32", "int64"),
    ("int8", "int64"),
    ("uint8", "int64"),
    ("int8", "int32"),
    ("uint8", "int32"),
}
#: What PyTorch called the parts of a normalized weight before 2.0, and still reads under these names.
_BEFORE = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
#: How many names of one kind a message lists.
_SHOWN = 5


@record
class Match:
    """What came of holding a file against a graph. `taken` says which entry each of the graph's tensors is read from.

    `filled` are counters (`num_batches_tracked`) that the file lacks, as files from before torch 0.4.1 do; they are 0, as
    torch has it. `other` are (name, what the graph has, what the file has).
    """

    taken: Mapping[str, Entry]
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    other: tuple[tuple[str, str, str], ...] = ()
    filled: tuple[str, ...] = ()
    helps: tuple[str, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Whether every tensor of the graph has its entry, and every entry its tensor."""
        return not (self.missing or self.unexpected or self.other)

    def require(self, path: str) -> None:
        """Raises Refusal NS624, with every difference, unless the file fits."""
        if self.ok:
            return
        notes = [
            *_listed("missing from the file", self.missing),
            *_listed("in the file, not in the network", self.unexpected),
            *_listed(
                "of another shape or type", [f"{name}: {ours} in the network, {theirs} in the file" for name, ours, theirs in self.other]
            ),
        ]
        counts = f"{len(self.missing)} missing, {len(self.unexpected)} unexpected, {len(self.other)} of another shape or type"
        raise Refusal("NS624", f"{path} does not hold this network's weights: {counts}", notes=tuple(notes), helps=self.helps)


def match(graph: Graph, entries: Mapping[str, Entry], renames: Mapping[str, str] | None = None) -> Match:
    """Hold a file's tensors against the graph's, strictly.

    `renames` maps prefixes of the file's names to what they become (`{"module.": ""}`); the longest that fits is applied.
    Narrower numbers are widened where nothing is lost (float16 to float32), never the other way. What lies where a tensor of
    the network lies is that one under a second name (a tied decoder's weight), and not unexpected. Raises Refusal NS624 where
    two names become one.
    """
    names = {tensor.name for tensor in graph.weights}
    found = _renamed(entries, renames or {})
    absent = names - found.keys()
    found = {name if name in names else _now(name, absent): entry for name, entry in found.items()}
    taken: dict[str, Entry] = {}
    missing: list[str] = []
    filled: list[str] = []
    other: list[tuple[str, str, str]] = []
    for tensor in graph.weights:
        entry = found.get(tensor.name)
        if entry is None:
            (filled if tensor.role == "counter" else missing).append(tensor.name)
        elif entry.shape != tensor.shape or entry.dtype != tensor.dtype and (entry.dtype, tensor.dtype) not in _WIDER:
            other.append((tensor.name, f"{tensor.dtype} {list(tensor.shape)}", str(entry)))
        else:
            taken[tensor.name] = entry
    places = {(entry.place, entry.shape, entry.dtype) for entry in taken.values() if entry.place is not None}
    unexpected = tuple(n for n, entry in found.items() if n not in names and (entry.place, entry.shape, entry.dtype) not in places)
    return Match(taken, tuple(missing), unexpected, tuple(other), tuple(filled), _advice(missing, unexpected))


def _renamed(entries: Mapping[str, Entry], renames: Mapping[str, str]) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
    for name, entry in entries.items():
        prefix = max((prefix for prefix in renames if name.startswith(prefix)), key=len, default=None)
        new = name if prefix is None else renames[prefix] + name[len(prefix) :]
        if new in found:
            raise Refusal("NS624", f"two tensors of the file would both be called {new}", helps=("rename fewer of them",))
        found[new] = entry
    return found


def _now(name: str, absent: Container[str]) -> str:
    """What the network calls the part of a normalized weight that a file has under PyTorch's old name."""
    layer, dot, part = name.rpartition(".")
    new = layer + dot + _BEFORE.get(part, part)
    return new if new in absent else name


def _advice(missing: Sequence[str], unexpected: Sequence[str]) -> tuple[str, ...]:
    """What would probably make the names fit."""
    if missing and unexpected:
        prefix = prefix_of(missing, unexpected)
        if prefix:
            return (f"the file's names begin with `{prefix}`: drop it with `--strip {prefix}`",)
        close = nearest(missing[0], unexpected)
        if close:
            return (f"is `{close[0]}` in the file what the network calls `{missing[0]}`?",)
    return ()


def prefix_of(missing: Sequence[str], unexpected: Sequence[str]) -> str:
    """The prefix (`module.`) under which a file has most of what is missing; empty if there is none."""
    known = set(unexpected)
    found = {name.removesuffix(missing[0]) for name in known if name.endswith("." + missing[0])}
    covered, prefix = max(((sum(prefix + name in known for name in missing), prefix) for prefix in sorted(found)), default=(0, ""))
    return prefix if 2 * covered > len(missing) else ""


def _listed(what: str, names: Sequence[str]) -> Iterator[str]:
    if names:
        more = f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        yield f"{what}: {', '.join(names[:_SHOWN])}{more}"


@record
class Stored(Weights):
    """Weights from a file that was matched; each tensor is read when it is written or asked for."""

    match: Match

    def pieces(self, tensor: Tensor) -> Iterator[Piece]:
        """Parts of at most `BLOCK` elements. A counter that the file lacks is 0."""
        count = int(np.prod(tensor.shape, dtype=np.int64))
        entry = self.match.taken.get(tensor.name)
        if entry is None:
            yield Piece(count, lambda: np.zeros(count, tensor.dtype))
            return
        flat = entry.load().reshape(-1)
        for start in range(0, count, BLOCK):
            part = flat[start : start + BLOCK]
            yield Piece(part.size, partial(_widened, part, entry.dtype, tensor.dtype))


def _widened(part: np.ndarray, stored: str, wanted: str) -> np.ndarray:
    if stored == wanted:
        return part
    if stored == "bfloat16":  # the upper half of a float32
        part = (part.astype("uint32") << 16).view("float32")
    return part.astype(wanted)
