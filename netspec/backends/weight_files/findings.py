"""A weights file held against a spec by its header alone: what fits, and of the rest, which source line asks for what."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from netspec.backends.weight_files import npz
from netspec.backends.weight_files.differences import Difference
from netspec.backends.weight_files.entry import Entry, kind
from netspec.backends.weight_files.match import Match, match
from netspec.backends.weight_files.safetensors import read_header
from netspec.backends.weight_files.shards import INDEX, index_of, read_shards
from netspec.backends.weight_files.suggested import suggested
from netspec.diagnostics.model import Diagnostic, Mark, Refusal, Severity
from netspec.diagnostics.nearest import nearest
from netspec.graph import Graph, Tensor
from netspec.record import record
from netspec.source import Place, Source

#: How many tensors a finding lists, how many a file may have beyond those of the network, and in how many names a like one is sought.
_SHOWN, _SPARE, _SOUGHT = 6, 10_000, 2_000


@record
class Fit:
    """How a file fits a network: so many of the tensors that it stores, what there is to say of the others, and these one by one."""

    path: str
    fitting: int
    total: int
    findings: tuple[Diagnostic, ...]
    differences: tuple[Difference, ...] = ()

    def __str__(self) -> str:
        return f"{self.path}: {self.fitting:,} of {self.total:,} tensors fit"


def weights_findings(graph: Graph, path: str, strip: str = "", sources: Mapping[str, Source] | None = None) -> list[Diagnostic]:
    """What there is to say of a weights file; see `fit`."""
    return list(fit(graph, path, strip, sources).findings)


def fit(graph: Graph, path: str, strip: str = "", sources: Mapping[str, Source] | None = None) -> Fit:
    """Hold the header of a `.safetensors` file (or those in an `.npz`) against a network; no data is read.

    `strip` is a prefix to drop from the file's names; `sources` are the texts that origins name. Findings: NS626 missing, NS627
    of another shape or type, NS628 (warning) unexpected, NS629 (warning) a file that is cut off. Raises Refusal: NS620 where the
    file cannot be opened, NS621 for another kind of file, NS622 and NS625 for a damaged or hostile one.
    """
    entries, lacking = _headers(path, len(graph.weights) + _SPARE)
    told = [_cut_off(path, lacking)] if lacking else []
    found = match(graph, entries, strip)
    prefix = "" if strip else _prefix(graph, found, entries)
    fitting, differences = len(found.taken) + len(found.filled), found.differences
    if prefix:
        told.append(_prefixed(path, prefix, found))
        found = match(graph, entries, prefix)
        fitting = 0
    told += _Findings(graph, path, found, entries, sources or {}).all()
    return Fit(path, fitting, len(graph.weights), tuple(told), differences)


def _headers(path: str, most: int) -> tuple[dict[str, Entry], int]:
    """The tensors of a file by name, and how many bytes are missing at its end."""
    path = index_of(path) or path
    suffix = INDEX if path.lower().endswith(INDEX) else kind(path)
    if suffix not in (INDEX, ".safetensors", ".npz"):
        helps = (f"known are .safetensors, *{INDEX} and .npz; `netspec build SPEC --weights W.pt -o W.safetensors` writes one",)
        raise Refusal("NS621", f"{path} has no header that could be read alone", helps=helps, status=2)
    try:
        if not os.path.isfile(path):
            raise Refusal("NS620", f"there is no file {path}", status=2)
        if suffix == INDEX:
            return read_shards(path, most)
        return read_header(path, most) if suffix == ".safetensors" else (npz.read_entries(path, most), 0)
    except OSError as error:
        raise Refusal("NS620", f"{path} cannot be read: {error.strerror or error}", status=2) from error


def _cut_off(path: str, lacking: int) -> Diagnostic:
    message = f"{path} ends {lacking:,} bytes before its data does"
    return Diagnostic("NS629", message, severity=Severity.WARNING, notes=("its header is whole, and is what is looked at here",))


def _prefix(graph: Graph, found: Match, entries: Mapping[str, Entry]) -> str:
    """The prefix (`module.`) under which a file has most of what is missing; empty if there is none."""
    lacking = frozenset(found.missing)
    missing = [tensor for tensor in graph.weights if tensor.name in lacking]
    strays = {found.called[name]: entries[found.called[name]] for name in found.unexpected}
    pairs = suggested(missing, strays, [found.called[name] for name in found.taken]) if missing and strays else []
    return pairs[0][0] if len(pairs) == 1 and not pairs[0][1] else ""


def _prefixed(path: str, prefix: str, found: Match) -> Diagnostic:
    message = f"the names in {path} begin with `{prefix}`, so that it lacks {len(found.missing):,} tensors of the network"
    return Diagnostic("NS626", message, helps=found.helps, notes=("all else is said as if it were dropped",))


class _Findings:
    """The findings of one file against one network."""

    def __init__(self, graph: Graph, path: str, found: Match, entries: Mapping[str, Entry], sources: Mapping[str, Source]) -> None:
        self._tensors = {tensor.name: tensor for tensor in graph.weights}
        self._path, self._found, self._sources = path, found, sources
        self._free = {found.called[name]: entries[found.called[name]] for name in found.unexpected}

    def all(self) -> list[Diagnostic]:
        """Missing and reshaped ones by the place that asks for them, in the order of the text; then what is too many."""
        found = [self._missing(group) for group in self._by_place(self._found.missing)]
        described = {name: (ours, theirs) for name, ours, theirs in self._found.other}
        found += [self._reshaped(group, described) for group in self._by_place(described)]
        found.sort(key=lambda d: (d.place.source.name, d.place.start) if d.place else ("", -1))
        return found + ([self._unexpected()] if self._free else [])

    def _by_place(self, names: Iterable[str]) -> list[list[Tensor]]:
        """Tensors that one place of a source makes: of all copies of a block together."""
        groups: dict[object, list[Tensor]] = {}
        for name in names:
            tensor = self._tensors[name]
            origin = tensor.origin
            groups.setdefault((origin.file, origin.start, origin.end) if origin else name, []).append(tensor)
        return list(groups.values())

    def _marks(self, group: list[Tensor], word: str) -> tuple[Mark, ...]:
        origin = group[0].origin
        source = self._sources.get(origin.file) if origin else None
        return (Mark(Place(source, origin.start, origin.end), word),) if origin and source else ()

    def _missing(self, group: list[Tensor]) -> Diagnostic:
        first = group[0]
        message = (
            f"`{first.name}` is not in {self._path}" if len(group) == 1 else f"{len(group):,} tensors stored here are not in {self._path}"
        )
        likely = [(tensor, name) for tensor in group[:_SHOWN] if (name := self._like(tensor))]
        helps = tuple(f"`{tensor.name}` is in the file as `{name}`, it seems" for tensor, name in likely[:2])
        notes = _listed(f"`{tensor.name}` {_type(tensor)}" for tensor in group)
        return Diagnostic("NS626", message, self._marks(group, _stores(group)), notes=notes, helps=helps)

    def _like(self, tensor: Tensor) -> str | None:
        """What the file probably calls a tensor: of its type and last name, the only one or the most like it."""
        own = tensor.name.rpartition(".")[2]
        same = [n for n, e in self._free.items() if (e.shape, e.dtype) == (tensor.shape, tensor.dtype) and n.rpartition(".")[2] == own]
        if len(same) == 1:
            return same[0]
        return next(iter(nearest(tensor.name, same)), None) if len(same) <= _SOUGHT else None

    def _reshaped(self, group: list[Tensor], described: Mapping[str, tuple[str, str]]) -> Diagnostic:
        first = group[0]
        what = "element type" if all(self._same_shape(t, described) for t in group) else "shape"
        subject = f"`{first.name}` has" if len(group) == 1 else f"{len(group):,} tensors stored here have"
        notes = _listed("`{}`: {} in the network, {} in the file".format(t.name, *described[t.name]) for t in group)
        return Diagnostic("NS627", f"{subject} another {what} in {self._path}", self._marks(group, _stores(group)), notes=notes)

    @staticmethod
    def _same_shape(tensor: Tensor, described: Mapping[str, tuple[str, str]]) -> bool:
        return described[tensor.name][1].endswith(f" {list(tensor.shape)}")

    def _unexpected(self) -> Diagnostic:
        count = len(self._free)
        subject = f"{count:,} tensors that the network does not store" if count > 1 else "a tensor that the network does not store"
        notes = _listed(f"`{name}` {entry}" for name, entry in self._free.items())
        helps = tuple(help for help in self._found.helps if "rename" in help)
        return Diagnostic("NS628", f"{self._path} holds {subject}", severity=Severity.WARNING, notes=notes, helps=helps)


def _stores(group: list[Tensor]) -> str:
    """What a place stores: ``stores `weight` and `bias` ``, and how often."""
    names = list(dict.fromkeys(f"`{tensor.local}`" for tensor in group))
    layers = len({tensor.name.removesuffix("." + tensor.local) for tensor in group})
    words = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return f"stores {words}" + (f" in {layers:,} layers" if layers > 1 else "")


def _type(tensor: Tensor) -> str:
    return f"{tensor.dtype} {list(tensor.shape)}"


def _listed(lines: Iterable[str]) -> tuple[str, ...]:
    every = list(lines)
    return (*every[:_SHOWN], *((f"and {len(every) - _SHOWN:,} more",) if len(every) > _SHOWN else ()))
