"""What the feature maps of a view are: how long each axis is, which of them are channels, and what makes each map.

Nothing is known of single operators here: a layer that enlarges is an upsampling whatever it is called, one that lengthens an
axis by what its other inputs have there is a concatenation, and what the channels are follows from who makes and takes a tensor.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from functools import cached_property

from netspec.analyses.outline.model import Box, View
from netspec.backends.diagram.figures import Figures
from netspec.backends.diagram.look import Look
from netspec.graph import Node
from netspec.op import Operator
from netspec.record import record
from netspec.sizes.dim import Size, evaluate, show

#: operator families that work along space and mix channels on axis 1, and those that work on the last axis
_SPATIAL, _LAST = frozenset({"conv", "pool", "upsample"}), frozenset({"linear", "attention", "recurrent"})
#: which of several families a folded block is of, the most telling first
_TELLING = ("attention", "recurrent", "conv", "linear", "upsample", "pool", "norm", "activation", "reshape", "merge", "regularizer", "io")
#: from how much of an octave on a map is larger than another
_LARGER = 0.25
#: what the legend tells of a folded chain
_HEADS = frozenset({"attention", "recurrent", "conv", "linear", "upsample", "pool"})
#: short names of operators that are longer than their arrow
_LONGEST_ALIAS = 3
#: of more skips, none is labelled
_LABELLED = 12
#: how many letters of a name stand over an arrow
_LONGEST_BRIEF = 9
#: how many operators of a run the legend tells
_TOLD = 4


@record
class Tensor:
    """A tensor as a picture shows it. `channels` is None for tokens and scalars; `extent` are the axes that are no channels."""

    shape: tuple[Size, ...]
    channels: Size | None
    extent: tuple[Size, ...]
    sizes: tuple[int, ...]  # of `extent`, at the typical sizes
    width: int  # channels at the typical sizes, 1 for none
    #: whether it is a sequence of vectors, and no map
    sequence: bool = False

    @property
    def flat(self) -> bool:
        """Whether it has nothing but channels: a vector, or a map of one position."""
        return all(size == 1 for size in self.sizes)

    @property
    def resolution(self) -> float:
        """The octaves of its extent: log2 of the geometric mean of its sides; 0 for a vector."""
        return sum(math.log2(max(1, size)) for size in self.sizes) / len(self.sizes) if self.sizes else 0.0


@record
class Making:
    """How a map is made: the family that colours its arrow, what the legend says of it and what the arrow does."""

    family: str
    told: str
    brief: str
    #: whether a folded block makes it
    block: bool = False


class Facts:
    """The tensors of a view, with sizes as the look has them."""

    def __init__(self, view: View, look: Look) -> None:
        self.view, self.graph, self.symbolic = view, view.graph, look.sizes == "symbolic"
        self.figures = Figures(view.graph, look)
        self._typical = _Typical({**self.graph.typical, **look.typical})
        self._tensors: dict[int, Tensor] = {}
        self._makings: dict[str, Making] = {}

    # ------------------------------------------------------------------------------------------------------- tensors
    def number(self, size: Size) -> int:
        """A size at the typical sizes; what no size of the network tells (a length inside a scan) counts as 1."""
        return evaluate(size, self._typical)

    def written(self, size: Size) -> str:
        """A size as it is written."""
        return show(size) if self.symbolic else str(self.number(size))

    def extent(self, tensor: Tensor) -> str:
        """The resolution: `56²` where sides are equal, else `56×48`; empty for a vector."""
        texts = [self.written(size) for size in tensor.extent]
        if len(texts) > 1 and len(set(texts)) == 1:
            return f"{_bracketed(texts[0])}{'²³⁴⁵'[len(texts) - 2]}" if len(texts) <= 5 else _times(texts)
        return _times(texts)

    def tensor(self, value: int) -> Tensor:
        """The tensor of that number."""
        if value not in self._tensors:
            self._tensors[value] = self._read(value)
        return self._tensors[value]

    def _read(self, value: int) -> Tensor:
        found = self.graph.values[value]
        axes = tuple(found.shape) if value in self._stored or len(found.shape) < 2 else tuple(found.shape[1:])
        channels: Size | None = None
        rest = axes
        if axes and (len(axes) > 1 or not found.dtype.startswith(("int", "uint"))):
            channels, rest = (axes[-1], axes[:-1]) if len(axes) > 1 and self._last[value] else (axes[0], axes[1:])
        sizes = tuple(self.number(size) for size in rest)
        width = 1 if channels is None else max(1, self.number(channels))
        return Tensor(found.shape, channels, rest, sizes, width, len(axes) == 2 and self._last[value])

    @cached_property
    def _stored(self) -> set[int]:
        """What is no example's: parameters and constants that stand in the network as tensors. They have no batch."""
        made = (value for node in self.graph.nodes if not node.inputs for value in node.outputs)
        return {value for value in made if self.graph.values[value].shape and isinstance(self.graph.values[value].shape[0], int)}

    @cached_property
    def _last(self) -> dict[int, bool]:
        """Whether a value's channels are its last axis: told by who makes it, else by who takes it, else by its rank."""
        wanted: dict[int, bool] = {}
        for node in reversed(self.graph.nodes):
            told = self._works_on_last(node)
            for value in node.inputs:
                if told is not None:
                    wanted[value] = told
                elif self._keeps(node, value) and node.outputs[0] in wanted:
                    wanted.setdefault(value, wanted[node.outputs[0]])
        found = {v: wanted.get(v, self._rank(v) == 3 or v in self._stored) for v in range(len(self.graph.values))}
        for node in self.graph.nodes:
            told = self._works_on_last(node)
            for value in node.outputs:
                if told is not None:
                    found[value] = told
                elif node.inputs and self._keeps(node, node.inputs[0]) and self._rank(value) == self._rank(node.inputs[0]):
                    found[value] = found[node.inputs[0]]
        return found

    def _works_on_last(self, node: Node) -> bool | None:
        """Whether an operator takes the last axis for the channels, or axis 1; None where it does not say."""
        family = acting(node).FAMILY
        if family in _LAST:
            return True
        slides = family in _SPATIAL and bool(node.inputs) and self._rank(node.inputs[0]) == self._rank(node.outputs[0])
        return False if slides else None

    def _keeps(self, node: Node, value: int) -> bool:
        """Whether the axes of what a layer makes are those of what it takes."""
        return acting(node).FAMILY != "reshape" and bool(node.outputs) and self._rank(value) == self._rank(node.outputs[0])

    def _rank(self, value: int) -> int:
        return len(self.graph.values[value].shape)

    # --------------------------------------------------------------------------------------------------------- boxes
    def main(self, box: Box) -> int | None:
        """The value whose map a box is: the first that others take, of what its last layer makes if that is among them."""
        if not box.nodes:
            return next(iter((*box.gives, *box.takes)), None)
        made = [value for number in reversed(box.nodes) for value in self.graph.nodes[number].outputs]
        return next((value for value in made if value in box.gives), made[0] if made else None)

    def joined(self, box: Box) -> int | None:
        """The layer that puts a box's inputs side by side along an axis, if that is what the box begins with."""
        if not box.nodes or box.kind not in ("merge", "layers"):
            return None
        node = self.graph.nodes[box.nodes[0]]
        plain = acting(node).FAMILY == "merge" and len(node.inputs) > 1 and not hasattr(node.op, "SIGN")
        return box.nodes[0] if plain and hasattr(node.op, "axis") else None

    def joins(self, box: Box) -> bool:
        """Whether a box does nothing but put its inputs side by side."""
        return self.joined(box) is not None and len(box.rows or box.nodes) == 1

    def sign(self, box: Box) -> str:
        """What an elementwise merge does: `+`, `×`; empty for all other boxes."""
        if box.kind != "merge" or self.joined(box) is not None:
            return ""
        op = self.graph.nodes[box.nodes[-1]].op
        return {"*": "×", "-": "−", "/": "÷"}.get(getattr(op, "SIGN", ""), getattr(op, "SIGN", "")) or op.NAME

    def making(self, box: Box) -> Making:
        """What the arrows into a box stand for."""
        if box.key not in self._makings:
            self._makings[box.key] = self._making(box)
        return self._makings[box.key]

    def _making(self, box: Box) -> Making:
        if box.kind in ("input", "output"):
            return Making("io", "", "")
        nodes = [self.graph.nodes[number] for number in (box.rows or box.nodes)]
        if box.kind in ("block", "stretch"):
            families = {acting(self.graph.nodes[number]).FAMILY for number in box.nodes}
            family = "upsample" if self._enlarges(box) else next((f for f in _TELLING if f in families), "io")
            return Making(family, self._block(box), "", block=True)
        if self.joined(box) is not None and len(nodes) > 1:
            nodes = nodes[1:]
        head = min(nodes, key=lambda node: _TELLING.index(self.family(node)) if self.family(node) in _TELLING else len(_TELLING))
        told = [self.told(node) for node in nodes]
        return Making(self.family(head), _listed(told), self.told(head, name=False) or _brief(_title(acting(head))))

    @cached_property
    def _crowded(self) -> bool:
        return sum(link.course == "skip" for link in self.view.links) > _LABELLED

    def _enlarges(self, box: Box) -> bool:
        """Whether a block makes a map of more positions than the one that it takes first."""
        value = self.main(box)
        if value is None or not box.takes:
            return False
        before, after = self.tensor(box.takes[0]), self.tensor(value)
        return len(before.extent) == len(after.extent) > 0 and after.resolution > before.resolution + _LARGER

    def _block(self, box: Box) -> str:
        """What the legend says of a folded block: its definition, or the layers of a chain that has none."""
        if box.call:
            return box.call.split("(")[0]
        nodes = [self.graph.nodes[number] for number in box.nodes]
        heads = [node for node in nodes if acting(node).FAMILY in _HEADS] or nodes
        return _listed([self.told(node) for node in heads])

    @cached_property
    def _first(self) -> dict[int, int]:
        """The link of each box that tells what it does: the first along the way."""
        links = list(enumerate(self.view.links))
        return {link.target: n for n, link in reversed(links)} | {link.target: n for n, link in reversed(links) if link.course == "flow"}

    def words(self, number: int) -> str:
        """What stands over a link: a skip's shape, else what the operator does to it, or the shape of what is no box's own map."""
        link = self.view.links[number]
        target = self.view.boxes[link.target]
        if link.course == "skip":
            return "" if self._crowded else self.figures.shape(link.shown)
        own = self.main(self.view.boxes[link.source])
        if own is not None and self.graph.values[link.shown].shape != self.graph.values[own].shape:
            return self.figures.shape(link.shown)
        plain = self.sign(target) or self.joins(target)
        return self.making(target).brief if self._first[link.target] == number and not plain else ""

    def family(self, node: Node) -> str:
        """An operator's family; what enlarges a map is an upsampling, whatever it is."""
        family = acting(node).FAMILY
        if family not in _SPATIAL or not node.inputs or self._rank(node.inputs[0]) != self._rank(node.outputs[0]):
            return family
        before, after = self.tensor(node.inputs[0]), self.tensor(node.outputs[0])
        return "upsample" if after.resolution > before.resolution + _LARGER else family

    def told(self, node: Node, name: bool = True) -> str:
        """An operator as the legend says it: `Conv 3×3 /2`; without its name `3×3 /2`."""
        op, space = acting(node), max(1, self._rank(node.outputs[0]) - 2)
        words = [_title(op)] if name else []
        kernel, stride = getattr(op, "kernel", None), getattr(op, "stride", None)
        if kernel is not None:
            words.append(_window(kernel, space))
            default = kernel if type(op).FAMILY == "pool" else 1
            if stride is not None and _spread(stride, space) != _spread(default, space):
                words.append(f"{'↑' if self.family(node) == 'upsample' else '/'}{_window(stride, space, brief=True)}")
            dilation = getattr(op, "dilation", 1)
            if _spread(dilation, space) != (1,) * space:
                words.append(f"d{_window(dilation, space, brief=True)}")
        elif (factor := getattr(op, "scale", None) or getattr(op, "factor", None)) and self.family(node) in _SPATIAL:
            words.append(f"{'↑' if self.family(node) == 'upsample' else '/'}{factor:g}" if isinstance(factor, (int, float)) else "")
        if name and op is not node.op:
            words.append(f"({_title(node.op)})")
        return " ".join(word for word in words if word)


def acting(node: Node) -> Operator:
    """The operator that works on the tensor: the one inside of an operator that wraps another (`weight_norm(conv(…))`)."""
    op: Operator = node.op
    while isinstance(inner := getattr(op, "layer", None), Operator):
        op = inner
    return op


class _Typical(dict[str, int]):
    def __missing__(self, name: str) -> int:
        return 1


def _title(op: Operator) -> str:
    """An operator's name in a legend: a short alias in capitals (`BN`), else as a title (`MaxPool`, `ReLU`)."""
    short = [alias for alias in op.ALIASES if len(alias) <= _LONGEST_ALIAS]
    if short:
        return short[0].upper()
    if type(op).FAMILY == "recurrent":
        name, *more = type(op).NAME.split("_")
        return name.upper() + "".join(more).title()
    return re.sub(r"lu(?=$|\d)", "LU", "".join(part.title() for part in type(op).NAME.split("_")))


def _brief(title: str) -> str:
    """The end of a long name: `AvgPool` of `AdaptiveAvgPool`."""
    words = re.findall(r"[A-Z]+[^A-Z]*", title)
    while len(words) > 1 and sum(map(len, words)) > _LONGEST_BRIEF:
        words = words[1:]
    return "".join(words)


def _listed(told: Sequence[str]) -> str:
    runs: list[str] = []
    for text in told:
        if not runs or runs[-1] != text:
            runs.append(text)
    return ", ".join(runs) if len(runs) <= _TOLD else f"{', '.join(runs[: _TOLD - 1])}, …"


def _spread(value: object, count: int) -> tuple[object, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * count


def _window(value: object, count: int, brief: bool = False) -> str:
    sides = [str(side) for side in _spread(value, count)]
    if brief and len(set(sides)) == 1:
        return sides[0]
    return "×".join(sides) if count > 1 else f"k={sides[0]}"


def _bracketed(text: str) -> str:
    return text if re.fullmatch(r"\w+", text) else f"({text})"


def _times(texts: Iterable[str]) -> str:
    found = list(texts)
    return found[0] if len(found) == 1 else "×".join(_bracketed(text) for text in found)
