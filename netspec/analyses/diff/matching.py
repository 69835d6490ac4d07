"""Which layer of one network is which of the other.

From the top down, block by block: what has one label that somebody wrote is the same; the rest is aligned by what it computes,
by its place, and by its label. What is left over in one place and in another has moved, if it computes the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from netspec.analyses.diff.align import Likeness, align
from netspec.analyses.diff.tree import Item
from netspec.record import record

#: A block counts for as many layers as it has, up to this many.
_WEIGHT = 8


@record
class Matching:
    """Places in `Graph.nodes` and `Graph.scopes` of the first network, with those of the second that they correspond to."""

    nodes: dict[int, int]
    scopes: dict[int, int]


def match(first: Item, second: Item) -> Matching:
    """Match two trees. Exchanging the trees exchanges the sides and nothing else."""
    matching = Matching({}, {})
    _descend(first, second, matching)
    _find_moved(first, second, matching)
    return matching


def _descend(first: Item, second: Item, matching: Matching) -> None:
    """Match two blocks that correspond, and all that is in them."""
    waiting = [(first, second)]
    while waiting:
        above, below = waiting.pop()
        matching.scopes[above.scope] = below.scope  # type: ignore[index,assignment]
        for a, b in _children(above.children, below.children):
            if a.node is not None and b.node is not None:
                matching.nodes[a.node] = b.node
            else:
                waiting.append((a, b))


def _children(first: list[Item], second: list[Item]) -> Iterable[tuple[Item, Item]]:
    """The items of two blocks that correspond."""
    written = {b.label: b for b in second if not b.positional}
    named = [(a, written[a.label]) for a in first if not a.positional and a.label in written and _same_sort(a, written[a.label])]
    rest = _without(first, (a for a, _ in named)), _without(second, (b for _, b in named))
    aligned = [(rest[0][i], rest[1][j]) for i, j in align(*rest, IN_BLOCK)]
    rest = _without(rest[0], (a for a, _ in aligned)), _without(rest[1], (b for _, b in aligned))
    return [*named, *aligned, *_out_of_order(*rest)]


def _out_of_order(first: list[Item], second: list[Item]) -> Iterable[tuple[Item, Item]]:
    """Of what did not align, what has one label and kind, or is the only one of its signature: it stands in another order."""
    places = {_name(b): b for b in second}
    labelled = [(a, places[_name(a)]) for a in first if _name(a) in places]
    first, second = _without(first, (a for a, _ in labelled)), _without(second, (b for _, b in labelled))
    times = Counter(a.signature for a in first), Counter(b.signature for b in second)
    alone = {b.signature: b for b in second if times[1][b.signature] == 1}
    same = [(a, alone[a.signature]) for a in first if times[0][a.signature] == 1 and a.signature in alone]
    return [*labelled, *((a, b) for a, b in same if _same_sort(a, b))]


def _without(items: list[Item], taken: Iterable[Item]) -> list[Item]:
    gone = set(map(id, taken))
    return [item for item in items if id(item) not in gone]


def _same_sort(a: Item, b: Item) -> bool:
    """Whether both are layers, or both are blocks."""
    return (a.node is None) == (b.node is None)


def _name(item: Item) -> tuple[str, str]:
    return item.label, item.kind


def _score(a: Item, b: Item) -> int | None:
    """What it is worth to align two items of a block; a block counts for several layers."""
    if not _same_sort(a, b):
        return None
    label = 2 if a.label == b.label else 0
    alike = _alike(a, b)
    if alike is None:
        return None
    if a.node is not None:
        return alike + label
    return (alike + label) * min(a.count, b.count, _WEIGHT) or None


def _alike(a: Item, b: Item) -> int | None:
    """How much two items have in common apart from their labels. What is written alike under one label comes before what
    stores the same shapes under another: shapes follow from what stands before."""
    if a.signature == b.signature:
        return 10
    if a.written == b.written:
        return 9
    if a.kind == b.kind:
        return 4
    if a.node is not None:
        return 1 if a.family == b.family else None
    shared = sum((a.operators & b.operators).values())
    return 2 if 2 * shared >= max(a.count, b.count) else 0


#: How items of two blocks that correspond compare.
IN_BLOCK = Likeness(key=lambda item: item.signature, name=_name, score=_score)
_MOVED = Likeness(
    key=lambda item: item.signature,
    name=lambda item: item.name,
    score=lambda a, b: (3 if a.label == b.label else 2) if a.signature == b.signature else None,
)


def _find_moved(first: Item, second: Item, matching: Matching) -> None:
    """Match layers that are in no block that corresponds, if they compute the same in the same order."""
    left = [a for a in layers_of(first) if a.node not in matching.nodes]
    taken = set(matching.nodes.values())
    right = [b for b in layers_of(second) if b.node not in taken]
    pairs = align(left, right, _MOVED)
    known = set(pairs)
    for i, j in pairs:
        # a layer of which there are many kinds everywhere (`relu`) has moved only along with a neighbour
        if _telling(left[i]) or (i - 1, j - 1) in known or (i + 1, j + 1) in known:
            matching.nodes[left[i].node] = right[j].node  # type: ignore[index,assignment]


def _telling(item: Item) -> bool:
    return item.family not in ("activation", "merge", "norm", "reshape", "regularizer", "pool")


def layers_of(item: Item) -> list[Item]:
    """The layers in a block, in order; of a layer, itself."""
    found, waiting = [], [item]
    while waiting:
        here = waiting.pop()
        if here.node is not None:
            found.append(here)
        waiting.extend(reversed(here.children))
    return found
