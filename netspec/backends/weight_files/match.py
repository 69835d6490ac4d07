"""A file's tensors against a network's, by name: what is missing, what is too many, what has another shape.

Names are those of the file, less a prefix that somebody asks to drop, then renamed as the net's `weights` section says: unless the file
has the network's own names, as every file has that was written for it.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import field, replace

from netspec.backends.weight_files.differences import Difference, table
from netspec.backends.weight_files.entry import Entry
from netspec.backends.weight_files.suggested import advice
from netspec.diagnostics.model import Refusal
from netspec.graph import Graph, Tensor
from netspec.record import record
from netspec.renaming import Renames

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


@record
class Match:
    """What came of holding a file against a graph. `taken` says which entry each of the graph's tensors is read from.

    `missing` are names of the network, `unexpected` of the file, as they are called by now. `filled` are counters (`num_batches_tracked`)
    that the file lacks, as files from before torch 0.4.1 do; they are 0, as torch has it. `other` are (name, what the graph has, what the
    file has). `called` says what the file calls what it has.
    """

    taken: Mapping[str, Entry]
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    other: tuple[tuple[str, str, str], ...] = ()
    filled: tuple[str, ...] = ()
    called: Mapping[str, str] = field(default_factory=dict)
    differences: tuple[Difference, ...] = ()
    helps: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every tensor of the graph has its entry, and every entry its tensor."""
        return not (self.missing or self.unexpected or self.other)

    def require(self, path: str, partial: bool = False) -> None:
        """Raises Refusal NS624, with a table of the differences, unless the file fits; `partial` lets it have less than all."""
        if self.ok or partial and self.taken and not (self.unexpected or self.other):
            return
        counts = f"{len(self.missing):,} missing, {len(self.unexpected):,} unexpected, {len(self.other):,} of another shape or type"
        differences = [one for one in self.differences if one.kind != "unexpected" or self.unexpected]
        notes = tuple(table(differences))
        raise Refusal("NS624", f"{path} does not hold this network's weights: {counts}", notes=notes, helps=self.helps)


def match(graph: Graph, entries: Mapping[str, Entry], strip: str = "") -> Match:
    """Hold a file's tensors against the graph's, strictly.

    `strip` is a prefix to drop from the file's names. The graph's renames apply to what that leaves, where the file lacks names of the
    network and has others: one that has the network's own names is read as it is. Narrower numbers are widened where nothing is lost
    (float16 to float32), never the other way. What lies where a tensor of the network lies is that one under a second name (a tied
    decoder's weight), and not unexpected. Raises Refusal NS624 where two names become one.
    """
    called = {name: name.removeprefix(strip) for name in entries}
    found = _held(graph, entries, called)
    if graph.renames and found.missing and found.unexpected:
        become = Renames((rename.old, rename.new) for rename in graph.renames)
        found = _held(graph, entries, {name: become(short) for name, short in called.items()})
    return found


def _held(graph: Graph, entries: Mapping[str, Entry], called: Mapping[str, str]) -> Match:
    """Hold a file's tensors, called so, against the graph's."""
    names = {tensor.name for tensor in graph.weights}
    theirs = _turned(called)
    absent = names - theirs.keys()
    theirs = {name if name in names else _now(name, absent): old for name, old in theirs.items()}
    taken: dict[str, Entry] = {}
    missing: list[Tensor] = []
    filled: list[str] = []
    other: list[Tensor] = []
    for tensor in graph.weights:
        entry = entries[theirs[tensor.name]] if tensor.name in theirs else None
        if entry is None:
            filled.append(tensor.name) if tensor.role == "counter" else missing.append(tensor)
        elif entry.shape != tensor.shape or entry.dtype != tensor.dtype and (entry.dtype, tensor.dtype) not in _WIDER:
            other.append(tensor)
        else:
            taken[tensor.name] = entry
    places = {(entry.place, entry.shape, entry.dtype) for entry in taken.values() if entry.place is not None}
    strays = {n: e for n, old in theirs.items() if n not in names for e in (entries[old],) if (e.place, e.shape, e.dtype) not in places}
    found = Match(
        taken, tuple(tensor.name for tensor in missing), tuple(strays),
        tuple((tensor.name, _type(tensor), str(entries[theirs[tensor.name]])) for tensor in other), tuple(filled), theirs,
    )  # fmt: skip
    return found if found.ok else _described(found, graph, missing, other, strays)


def _described(found: Match, graph: Graph, missing: list[Tensor], other: list[Tensor], strays: Mapping[str, Entry]) -> Match:
    """With what there is to say of a file that does not fit."""
    differences = [Difference("missing", tensor.name, _type(tensor), "", tensor.origin) for tensor in missing]
    had = {name: theirs for name, _, theirs in found.other}
    differences += [Difference("other", tensor.name, _type(tensor), had[tensor.name], tensor.origin) for tensor in other]
    differences += [Difference("unexpected", found.called[name], "", str(entry), None) for name, entry in strays.items()]
    own = {found.called[name]: entry for name, entry in strays.items()}
    helps = advice(missing, own, [found.called[name] for name in found.taken], bool(graph.renames))
    return replace(found, differences=tuple(differences), helps=helps)


def _turned(called: Mapping[str, str]) -> dict[str, str]:
    """What the file calls each name that it has by now. Raises Refusal NS624 where two names become one."""
    theirs: dict[str, str] = {}
    for old, new in called.items():
        if new in theirs:
            message = f"two tensors of the file would both be called `{new}`: `{theirs[new]}` and `{old}`"
            raise Refusal("NS624", message, helps=("rename fewer of them",))
        theirs[new] = old
    return theirs


def _type(tensor: Tensor) -> str:
    return f"{tensor.dtype} {list(tensor.shape)}"


def _now(name: str, absent: Container[str]) -> str:
    """What the network calls the part of a normalized weight that a file has under PyTorch's old name."""
    layer, dot, part = name.rpartition(".")
    new = layer + dot + _BEFORE.get(part, part)
    return new if new in absent else name
