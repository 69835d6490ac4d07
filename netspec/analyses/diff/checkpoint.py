"""Which tensors of a checkpoint of one network still load into another, strictly and by name."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from netspec.analyses.diff.compare import type_of
from netspec.analyses.diff.matching import Matching
from netspec.analyses.diff.model import Checkpoint, Stored
from netspec.graph import Graph, Tensor
from netspec.sizes.tensor import DTYPES


def checkpoint(old: Graph, new: Graph, matching: Matching) -> Checkpoint:
    """What becomes of a checkpoint of `old` in `new`."""
    before, after = {t.name: t for t in old.weights}, {t.name: t for t in new.weights}
    belongs = _belongs(old, new, matching)
    both = [(t, after[t.name]) for t in old.weights if t.name in after]
    fitting = [a for a, b in both if _type(a) == _type(b)]
    missing = [t for t in new.weights if t.name not in before]
    unexpected = [t for t in old.weights if t.name not in after]
    elsewhere = [(a, after[belongs[a.name]]) for a in old.weights if a.name in belongs and belongs[a.name] != a.name]
    return Checkpoint(
        fitting=len(fitting),
        bytes=sum(prod(t.shape) * DTYPES[t.dtype] for t in fitting),
        reshaped=_pairs((a, b) for a, b in both if _type(a) != _type(b)),
        missing=tuple(Stored(t.name, type_of(t)) for t in missing),
        unexpected=tuple(Stored(t.name, type_of(t)) for t in unexpected),
        renamed=_pairs((a, b) for a, b in elsewhere if a.name not in after and b.name not in before and _type(a) == _type(b)),
        misplaced=_pairs((a, b) for a, b in elsewhere if a.name in after and _type(a) == _type(after[a.name])),
    )


def _pairs(pairs: Iterable[tuple[Tensor, Tensor]]) -> tuple[Stored, ...]:
    return tuple(Stored(a.name, type_of(a), b.name, type_of(b)) for a, b in pairs)


def _type(tensor: Tensor) -> tuple[tuple[int, ...], str]:
    return tensor.shape, tensor.dtype


def _belongs(old: Graph, new: Graph, matching: Matching) -> dict[str, str]:
    """For each tensor of the first, the tensor of the second that the same layer stores under the same local name."""
    found: dict[str, str] = {}
    for a, b in matching.nodes.items():
        after = {new.weights[w].local: new.weights[w].name for w in new.nodes[b].weights}
        for w in old.nodes[a].weights:
            tensor = old.weights[w]
            if tensor.local in after:
                found.setdefault(tensor.name, after[tensor.local])
    return found
