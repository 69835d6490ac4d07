"""What a picture of two networks writes: changes of layers and blocks, names that were others, and what it all comes to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import prod

from netspec.analyses.diff.folding import above, grouped, own, relative
from netspec.analyses.diff.model import Change, Changed, Consequence, Difference
from netspec.analyses.diff.overlay import Overlay
from netspec.analyses.diff.union import Mark, Status
from netspec.backends.diagram.escape import short
from netspec.backends.diagram.figures import Figures
from netspec.backends.diagram.look import Look
from netspec.backends.diagram.wording import QUIET, arguments, name
from netspec.graph import Graph, Node

#: how each is marked, so that nobody needs to see colours
SIGNS: dict[Status, str] = {"added": "+", "removed": "−", "changed": "~", "follows": "≈", "same": ""}
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_DIGITS = re.compile(r"\d+\.\d{4,}(e-?\d+)?")
#: how long each side of a change may be in a picture, and in the words over it
_LONG, _READ = 24, 240


def arrow(old: object, new: object) -> str:
    """`1 → 2`."""
    return f"{old} → {new}"


def spell(change: Change) -> str:
    """A change as a picture writes it: `dilation 1 → 2`, `relu → gelu`, `input 1: x → skip`; what is new or gone with its sign."""
    if change.kind == "operator":
        return arrow(_head(change.old), _head(change.new))
    if change.old is None:
        return f"{SIGNS['added']}{change.what} {_cut(change.new)}"
    if change.new is None:
        return f"{SIGNS['removed']}{change.what} {_cut(change.old)}"
    told = arrow(*_both(change.old, change.new))
    if change.kind == "input":
        return f"inputs {told}" if change.what == "inputs" else f"input {change.what}: {told}"
    if change.kind == "initializer":
        heads = _head(change.old), _head(change.new)
        return f"{change.what} init {arrow(*heads) if heads[0] != heads[1] else told}"
    return f"{change.what} trains: {told}" if change.kind == "trainable" else f"{change.what} {told}"


def _both(old: str, new: str) -> tuple[str, str]:
    """Two texts, numbers of many digits with four of them, as long as they can be told apart."""
    rounded = tuple(_DIGITS.sub(lambda found: f"{float(found[0]):.4g}", text) for text in (old, new))
    old, new = rounded if rounded[0] != rounded[1] else (old, new)
    return _cut(old), _cut(new)


def _head(text: str | None) -> str:
    """`normal` of `normal(std = 0.1)`."""
    return (text or "none").partition("(")[0]


def _cut(text: str | None) -> str:
    text = "none" if text is None else text
    return text if len(text) <= _LONG else text[: _LONG - 1] + "…"


def _alike(changes: Iterable[Change]) -> list[Change]:
    """The changes, equal ones of several weights as one: `2 weights`."""
    groups = grouped(changes, lambda c: (c.kind, c.old, c.new) if c.kind in ("initializer", "trainable") else c)
    return [replace(group[0], what=f"{len(group)} weights") if len(group) > 1 else group[0] for group in groups]


class Words:
    """What is written of the layers of an overlay. `figures` know the sizes of the union, `before` those of the first network."""

    def __init__(self, overlay: Overlay, look: Look) -> None:
        self.overlay, self.union = overlay, overlay.union
        self.figures, self.before = Figures(overlay.union.graph, look), Figures(overlay.union.pair.before, look)
        self._known: dict[object, str] = {}

    def node(self, number: int) -> tuple[Node, Graph]:
        """A layer of the union as its own network has it, that network being the second where both do."""
        mark, pair = self.union.marks[number], self.union.pair
        if mark.new is not None:
            return pair.after.nodes[mark.new], pair.after
        assert mark.old is not None
        return pair.before.nodes[mark.old], pair.before

    def layer(self, number: int) -> tuple[str, str]:
        """An operator's name and arguments, without those of which a change is told."""
        node, graph = self.node(number)
        told = frozenset(c.what for c in self.union.marks[number].changes if c.kind == "argument")
        key = (node.op, told, tuple(graph.values[n].shape for n in (*node.inputs, *node.outputs)))
        if key not in self._known:
            self._known[key] = arguments(node.op, graph.types(node.inputs), graph.types(node.outputs), told)
        return name(node.op), self._known[key]

    def changes(self, number: int, inputs: bool = True) -> list[str]:
        """What somebody changed of a layer, what is seen in a picture first; what it takes only with `inputs`."""
        mark = self.union.marks[number]
        new = self.union.graph.nodes[number].name
        found = _alike(relative(Changed(mark.was or new, new, "", mark.changes)))
        found = [change for change in found if inputs or change.kind != "input"]
        return [spell(change) for change in sorted(found, key=lambda c: (c.kind != "operator", c.what in QUIET))]

    def shape_change(self, number: int) -> str:
        """`64×56×56 → 128×56×56`, for a layer whose output's shape is another; else empty."""
        mark = self.union.marks[number]
        found = {c.kind: c for c in reversed(mark.changes)}
        if "output" in found and mark.old is not None and mark.new is not None:
            ends = self.union.pair.before.nodes[mark.old].outputs[0], self.union.pair.after.nodes[mark.new].outputs[0]
            return arrow(self.before.shape(ends[0]), self.figures.shape(ends[1]))
        return f"{found['weight'].what} {arrow(found['weight'].old, found['weight'].new)}" if "weight" in found else ""

    def parameters(self, nodes: Iterable[int]) -> int:
        """How many trained numbers layers store."""
        graph = self.union.graph
        stored = {weight for number in nodes for weight in graph.nodes[number].weights}
        return sum(prod(graph.weights[weight].shape) for weight in stored if graph.weights[weight].trainable)

    def was(self, nodes: Sequence[int], frame: int | None = None) -> str:
        """The former name of a block, or of those layers of a box that store something; empty where none was called otherwise."""
        if frame is not None and (block := self.union.was(frame)):
            return f"was {block}"
        graph = self.union.graph
        found = [(self.union.marks[n].was, graph.nodes[n].name) for n in nodes if self.union.marks[n].was and graph.nodes[n].weights]
        if frame is None and found:
            here = found[0] if above(found[0][0]) != above(found[0][1]) else map(own, found[0])
            return f"renamed {arrow(*here)}" + (f" and {len(found) - 1} more" if len(found) > 1 else "")
        return f"{len(found)} renamed" if found else ""

    def count(self, nodes: Iterable[int]) -> str:
        """How many of some layers were added, removed and changed: `+2 −1 ~3 of 14 layers`; `14 layers, unchanged`."""
        found = [self.union.marks[number].status for number in nodes]
        told = [f"{SIGNS[status]}{found.count(status)}" for status in ("added", "removed", "changed") if status in found]
        layers = f"{len(found)} layer{'s' if len(found) > 1 else ''}"
        follows = f"{found.count('follows')} follow{'' if found.count('follows') > 1 else 's'} in shape" if "follows" in found else ""
        if len(set(found)) == 1 and "follows" not in found:
            return f"{layers}, unchanged" if found[0] == "same" else layers
        return ", ".join(filter(None, [f"{' '.join(told)} of {layers}" if told else layers, follows]))


def mark_text(mark: Mark) -> list[str]:
    """All changes of a layer, a line each, uncut as far as anybody reads."""
    told = [f"{change.what}: {arrow(*(short(text or 'none', _READ) for text in (change.old, change.new)))}" for change in mark.changes]
    return told + ([f"was {mark.was}"] if mark.was else [])


# ---------------------------------------------------------------------------------------------------------------- the title
def figures_line(difference: Difference) -> list[tuple[str, str]]:
    """What it comes to: pairs of a text and its change in brackets, which is empty where nothing changed."""
    found = []
    for what, word in (("parameters", "params"), ("macs", "MACs")):
        found += [_total(word, c) for c in difference.consequences if c.what == what]
    fields = [c for c in difference.consequences if c.what == "receptive_field" and None not in (c.old, c.new)]
    groups = grouped(fields, lambda c: (c.old, c.new))
    changed = [group[0] for group in groups if not group[0].same]
    for c in changed[:2] or [group[0] for group in groups[:1]]:
        where = f" {c.of}" if len(groups) > 1 else ""
        text = f"RF{where} {c.old}" if c.same else f"RF{where} {arrow(c.old, c.new)}"
        found.append((text, _percent(c.old, c.new) if isinstance(c.old, int) and isinstance(c.new, int) else ""))
    return found


def _total(word: str, c: Consequence) -> tuple[str, str]:
    if c.same:
        return f"{word} {_number(c.old)}", "="
    old, new = _number(c.old), _number(c.new)
    if old == new:
        old, new = f"{c.old:,}", f"{c.new:,}"
    return f"{word} {arrow(old, new)}", _percent(c.old, c.new)


def _percent(old: int, new: int) -> str:
    if old == new:
        return "="
    if not old:
        return ""
    ratio = new / old
    if ratio >= 10:
        return f"× {ratio:,.0f}"
    percent = 100 * (ratio - 1)
    if abs(percent) < 0.05:
        return f"{new - old:+,}".replace("-", "−")
    return f"{percent:+.1f} %".replace("-", "−")


def _number(value: float) -> str:
    """Four digits and a letter: `11.69 M`."""
    for power, letter in _PREFIXES:
        if value >= power:
            digits = 2 if value < 100 * power else 1
            return f"{value / power:.{digits}f} {letter}"
    return f"{value:,}"


def remarks(difference: Difference) -> list[str]:
    """What changed of the network as a whole: how many layers, what a checkpoint does, its parameters, its open sizes."""
    layers = [sum(len(piece.layers) for piece in pieces) for pieces in (difference.added, difference.removed)]
    layers.append(sum(bool(c.causes) for c in difference.changed))
    told = [f"{sign}{n}" for sign, n in zip("+−~", layers) if n]
    found = [f"layers {' '.join(told)}"] if told else []
    fits = difference.checkpoint
    if not fits.whole:
        found.append(f"of a checkpoint fit {fits.fitting:,} of {fits.fitting + len(fits.reshaped) + len(fits.missing):,} tensors")
    return [*found, *map(spell, (*difference.net, *difference.sizes))]
