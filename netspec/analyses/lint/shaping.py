"""Lints about what a change of shape fixes, spreads unevenly, or mixes."""

from __future__ import annotations

from itertools import accumulate
from math import prod
from operator import mul
from typing import Iterator

from netspec import reach as r
from netspec.analyses.field import Closed
from netspec.analyses.lint.facts import Facts
from netspec.analyses.lint.kinds import is_affine
from netspec.analyses.lint.rule import Finding, rule
from netspec.analyses.lint.sliding import IN_PLACE, along
from netspec.diagnostics.model import Severity
from netspec.graph import Node, Requirement
from netspec.record import record
from netspec.sizes.dim import Dim, evaluate, names, show


@rule("NS554", Severity.INFO)
def uneven_adaptive(net: Facts) -> Iterator[Finding]:
    """Adaptive pooling to m > 1 positions of an axis whose typical size m does not divide: its windows differ in length and
    overlap, or, where m is larger, repeat elements."""
    for node in net.of("adaptive_avg_pool", "adaptive_max_pool"):
        before, after = net.shape(node.inputs[0]), net.shape(node.outputs[0])
        uneven = [axis for axis in range(2, len(before)) if before[axis] % after[axis]]
        if not uneven:
            continue
        n, m = before[uneven[0]], after[uneven[0]]
        lengths = sorted({-(-(o + 1) * n // m) - o * n // m for o in range(m)})
        windows = f"windows of {' and '.join(map(str, lengths))} positions{', which overlap' if len(lengths) == 1 else ''}"
        what = windows if n > m else f"{m} positions out of {n}, so that elements repeat"
        yield Finding(
            f"{m} does not divide the {n} positions of the map{along(net, node, uneven)}: {what}",
            node,
            notes=("in ONNX such windows are gathered by a table of indices",),
            helps=(f"an input for which the map has {max(n // m, 1) * m} or {(n // m + 1) * m} positions here",)
            if n // m
            else (f"a larger input, which leaves at least {m} positions here",),
        )


@rule("NS555", Severity.INFO)
def linear_fixes_size(net: Facts) -> Iterator[Finding]:
    """A linear layer behind a flattening of axes of open size, whose number of weights holds them at their typical values; the
    sizes that remain are those of the solved conditions."""
    labelled = {node.label: node for node in reversed(net.nodes)}
    for asked in net.graph.requirements:
        node = labelled.get(asked.node)
        if asked.code != "NS405" or node is None or node.op.NAME != "linear" or not _flattened(net, node):
            continue
        parts = [part for part in net.sizes.parts if any(node.label in cause.nodes for cause in part.causes)]
        fixed = ", ".join(map(str, parts)) or f"{show(asked.left)} == {show(asked.right)}"
        yield Finding(
            f"the weights of this linear layer, for {net.shape(node.inputs[0])[-1]} inputs, fix the size of the network's input: {fixed}",
            node,
            notes=_ranges(net, asked),
            helps=("an `adaptive_avg_pool` or a `global_avg_pool` before `flatten` takes every size",),
        )


def _ranges(net: Facts, asked: Requirement) -> tuple[str, ...]:
    """For each size that a condition is about, the stretch around its typical value that satisfies it, the others kept."""
    found, condition = [], asked.condition
    for name in sorted(condition.names()):
        start = net.typical[name]
        low, high = start, start
        while low > 1 and start - low < _FAR and condition.at({**net.typical, name: low - 1}):
            low -= 1
        while high - start < _FAR and condition.at({**net.typical, name: high + 1}):
            high += 1
        found.append(f"{name} == {start}" if low == high else f"{low} <= {name} <= {high}")
    return (f"with the other sizes as they are: {', '.join(found)}",) if len(found) > 1 else ()


def _flattened(net: Facts, node: Node) -> bool:
    """Whether what a node reads was flattened, with nothing between that sees more than its own position."""
    maker = net.before(node)
    while maker is not None and maker.op.FAMILY in IN_PLACE and len(maker.inputs) == 1:
        maker = net.before(maker)
    return maker is not None and maker.op.NAME in ("flatten", "reshape")


#: how far from the typical size a stretch of sizes is followed
_FAR = 1000
#: stands for the batch, so that a size that it divides is a multiple of the batch whatever the batch is
_PRIME = 1_000_003


@rule("NS556", Severity.ERROR)
def batch_mixed(net: Facts) -> Iterator[Finding]:
    """A reshape, in row-major order, of which an axis ends among the examples of the batch; or one that merges the batch with
    another axis which a layer with weights, or a window, then sees as one. Batch is the open size that is axis 0 of every input
    and no other axis of them. A shape that divides the batch in so many words (`N // 4`) is meant; merging it, and taking it
    apart again, mixes nothing."""
    batch = _batch(net)
    if batch is not None and any(_regroups(net, node) for node in net.of("reshape", "flatten")):
        yield from _Batches(net, Closed(net.graph), batch).findings


def _batch(net: Facts) -> str | None:
    """The name of the batch's size; None where there is no such."""
    shapes = [net.graph.values[port.value].shape for port in net.graph.inputs]
    first = {names(shape[0]) for shape in shapes if shape and isinstance(shape[0], Dim)}
    if len(first) != 1 or len(only := next(iter(first))) != 1:
        return None
    (name,) = only
    alone = all(not isinstance(shape[0], Dim) or shape[0] == Dim.name(name) for shape in shapes if shape)
    return name if alone and not any(name in names(size) for shape in shapes for size in shape[1:]) else None


def _regroups(net: Facts, node: Node) -> bool:
    """Whether a reshape does anything but keep the batch in front."""
    before, after = net.graph.values[node.inputs[0]].shape, net.graph.values[node.outputs[0]].shape
    return not before or not after or before[0] != after[0]


@record
class _Spot:
    """Where the batch is in a value: in which axis, behind how many other positions of that axis. `merged`: the reshape that
    made one axis of it and others."""

    axis: int
    outer: int = 1
    merged: Node | None = None


class _Batches:
    """Follows the batch through the network, and collects what mixes it."""

    def __init__(self, net: Facts, closed: Closed, batch: str) -> None:
        self.net, self.closed, self.batch = net, closed, batch
        self.sizes = {**net.typical, batch: _PRIME}
        self.findings: list[Finding] = []
        shapes = {port.value: net.graph.values[port.value].shape for port in net.graph.inputs}
        self.spots = {value: _Spot(0) for value, shape in shapes.items() if shape and isinstance(shape[0], Dim)}
        for index, node in enumerate(net.nodes):
            regrouped = node.op.NAME in ("reshape", "flatten")
            for place, output in enumerate(node.outputs):
                spot = self._reshaped(node) if regrouped else self._carried(index, node, place)
                if spot is not None:
                    self.spots[output] = spot

    def _shape(self, value: int) -> list[int]:
        return [evaluate(size, self.sizes) for size in self.net.graph.values[value].shape]

    def _reshaped(self, node: Node) -> _Spot | None:
        """Where the batch is behind a reshape. Its examples are `before` apart, from row to row of the axes in front of it; an axis
        that ends on a multiple of all of them, or in front of them, ends between examples."""
        spot = self.spots.get(node.inputs[0])
        if spot is None:
            return None
        before = prod(self._shape(node.inputs[0])[: spot.axis]) * spot.outer
        after = self._shape(node.outputs[0])
        ends = list(accumulate(after, mul, initial=1))
        inside = [axis for axis, end in enumerate(ends[1:]) if before % end and end % (before * _PRIME)]
        if inside:
            if not self._is_meant(node):
                self._mixes(node, inside[0])
            return None
        axis = max((a for a, end in enumerate(ends[:-1]) if before % end == 0), default=0)
        outer = before // ends[axis]
        return _Spot(axis, outer, None if after[axis] == _PRIME else node)

    def _is_meant(self, node: Node) -> bool:
        written = getattr(node.op, "sizes", ())
        return any(self.batch in names(s) and evaluate(s, self.sizes) % _PRIME for s in written if isinstance(s, Dim))

    def _mixes(self, node: Node, axis: int) -> None:
        shapes = [self.net.graph.values[v].shape for v in (node.inputs[0], node.outputs[0])]
        before, after = ("[" + ", ".join(map(show, shape)) + "]" for shape in shapes)
        self.findings.append(
            Finding(
                f"{before} as {after} mixes the examples of the batch `{self.batch}`: axis {axis} ends in the middle of them",
                node,
                helps=("`permute` changes the order of axes; a reshape keeps the batch where it is in front of the others",),
            )
        )

    def _carried(self, index: int, node: Node, place: int) -> _Spot | None:
        for read in self.closed.reads(index, place):
            spot = self.spots.get(read.value)
            if spot is None:
                continue
            looks = [(axis, look) for axis, look in enumerate(read.looks) if look is not None and look.axis == spot.axis]
            if len(looks) == 1 and isinstance(looks[0][1], r.Same):
                return _Spot(looks[0][0], spot.outer, spot.merged)
            seen = any(isinstance(look, r.Window) for _, look in looks) or is_affine(node)
            if spot.merged is not None and seen:
                self._sees(spot.merged, node)
        return None

    def _sees(self, merged: Node, node: Node) -> None:
        self.findings.append(
            Finding(
                f"this {merged.op.NAME} puts the batch `{self.batch}` on one axis with others, of which the {node.op.NAME} behind it "
                "mixes the examples",
                merged,
                also=((node.origin, "sees them as one"),) if node.origin else (),
                helps=(f"keep the batch: `{'flatten' if merged.op.NAME == 'flatten' else f'reshape(({self.batch}, -1))'}`",),
            )
        )
