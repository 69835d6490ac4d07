"""Equal changes in repeated blocks told once: `conv2 in layer1.0, layer1.1, … layer4.1 (8 blocks)`."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

from netspec.analyses.diff.model import Change, Changed, Piece, Renaming
from netspec.record import record

T = TypeVar("T")
#: How many names a line lists whole.
_SHOWN = 3


def grouped(items: Iterable[T], key: Callable[[T], Hashable]) -> list[list[T]]:
    """Items of one key together, in the order of the first of each."""
    found: dict[Hashable, list[T]] = {}
    for item in items:
        found.setdefault(key(item), []).append(item)
    return list(found.values())


# ------------------------------------------------------------------------------------------------------------------ names
def own(name: str) -> str:
    """The last part of a dotted name."""
    return name.rpartition(".")[2]


def above(name: str) -> str:
    """A dotted name without its last part: the block."""
    return name.rpartition(".")[0]


def _stem(label: str) -> str:
    return re.sub(r"\d+$", "", label)


def places(names: list[str], what: str = "layers") -> tuple[str, str]:
    """Names as a subject and where: `("conv2", "in layer1.0, layer1.1, … (16 blocks)")`, or all of them and nothing."""
    owns, blocks = list(dict.fromkeys(map(own, names))), list(dict.fromkeys(map(above, names)))
    if len(blocks) > 1 and "" not in blocks and len(owns) * len(blocks) == len(names) and len(owns) <= _SHOWN:
        return ", ".join(owns), f"in {listed(blocks, 'blocks')}"
    return listed(names, what), ""


def listed(names: list[str], what: str) -> str:
    """`a, b, c` or `a, b, … z (26 letters)`; what all stand in is told once, unless they are numbers."""
    if len(set(map(above, names))) == 1 and not any(own(name).isdigit() for name in names):
        names = [names[0], *map(own, names[1:])]
    if len(names) <= _SHOWN:
        return ", ".join(names)
    return f"{', '.join(names[: _SHOWN - 1])}, … {names[-1]} ({len(names)} {what})"


# ---------------------------------------------------------------------------------------------------- pieces and changes
def fold_pieces(pieces: Iterable[Piece]) -> list[list[Piece]]:
    """Pieces of one kind, whatever their arguments: those of a block together, and blocks that have them alike."""
    inside = grouped(pieces, lambda p: (above(p.name), _stem(p.label), p.kind, tuple(layer.op for layer in p.layers)))
    alike = grouped(inside, lambda group: (tuple(p.label for p in group), group[0].kind, tuple(layer.op for layer in group[0].layers)))
    return [[p for group in groups for p in group] for groups in alike]


def fold_changed(changed: Iterable[Changed]) -> list[list[Changed]]:
    """What changed alike; names of values are taken relative to the block."""
    return grouped(changed, lambda c: (c.kind, relative(c)))


def relative(changed: Changed) -> tuple[Change, ...]:
    """What somebody changed of a layer, names of values relative to its block."""
    return tuple(_relative(c, above(changed.name), above(changed.new_name)) for c in changed.causes)


def _relative(change: Change, old: str, new: str) -> Change:
    if change.kind != "input":
        return change
    short = Change(change.kind, change.what, _inside(change.old, old), _inside(change.new, new))
    return short if short.old != short.new else change


def _inside(names: str | None, block: str) -> str | None:
    return names and ", ".join(name.removeprefix(block + ".") for name in names.split(", "))


# -------------------------------------------------------------------------------------------------------------- renamings
@record
class Move:
    """`count` layers renamed alike: `old` stands for `new` in their names, `where` says in which blocks."""

    old: str
    new: str
    where: str
    count: int


def fold_renamed(renamed: Iterable[Renaming]) -> list[Move]:
    """Renamings by what they exchange: within a block, number by number; otherwise the part of the name that differs."""
    everything = list(renamed)
    inside = [r for r in everything if above(r.old) == above(r.new)]
    blocks = grouped(inside, lambda r: (above(r.old), _stem(own(r.old)), _stem(own(r.new))))
    alike = grouped(blocks, lambda block: tuple((own(r.old), own(r.new)) for r in block))
    moves = [_within(group) for group in alike]
    prefixes = grouped((r for r in everything if above(r.old) != above(r.new)), _exchanged)
    runs = grouped([(*_exchanged(group[0]), len(group)) for group in prefixes], lambda m: (_stem(m[0]), _stem(m[1])))
    return [*moves, *(Move(_run([r[0] for r in run]), _run([r[1] for r in run]), "", sum(r[2] for r in run)) for run in runs)]


def _within(blocks: list[list[Renaming]]) -> Move:
    first, count = blocks[0], sum(map(len, blocks))
    if len(blocks) == 1:
        return Move(_run([r.old for r in first]), _run([r.new for r in first]), "", count)
    where = f"in {listed([above(block[0].old) for block in blocks], 'blocks')}"
    return Move(_run([own(r.old) for r in first]), _run([own(r.new) for r in first]), where, count)


def _exchanged(renaming: Renaming) -> tuple[str, str]:
    """Both names without the parts at their end that are the same: `enc.0.conv1`, `encoder.0.conv1` give `enc`, `encoder`."""
    old, new = renaming.old.split("."), renaming.new.split(".")
    while len(old) > 1 and len(new) > 1 and old[-1] == new[-1]:
        del old[-1], new[-1]
    return ".".join(old), ".".join(new)


def _run(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} … {own(names[-1])}"
