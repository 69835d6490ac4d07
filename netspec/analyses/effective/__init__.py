"""The effective receptive field at initialization: how much of the gradient of one output position arrives at each input position.

Within the field, positions do not count alike: many paths lead to the middle and one to each end, so under independent
weights of mean zero the expected squared gradient of a deep stack is close to a Gaussian whose width grows as the square root
of the depth: Luo, Li, Urtasun, Zemel, "Understanding the effective receptive field in deep convolutional neural networks",
NIPS 2016, arXiv:1701.04128. Here it is carried backwards exactly, as a mass on every position, along one axis at a time:

- a layer of weights, and a maximum, hand the mass of a position on in equal parts to its taps, preserving the total: what an
  initialization by fan-in with the right gain does;
- fixed weights (means, interpolation) act with their squares; what only moves positions (pad, crop, shuffle) moves the mass;
- branches that merge each get the whole, and masses add where branches part: independent weights leave them uncorrelated;
- mass on zero padding is lost; elementwise functions and norms leave it where it is.

Gradients at neighbouring positions are taken for uncorrelated, which is exact behind a layer of weights, and not for one mean
behind another. Of gates that see everything (`x * (x -> global_avg_pool -> …)`) the mean spreads next to nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from netspec.analyses.effective.transfer import Lines, others, transfer
from netspec.analyses.field import AxisField, Closed, Fields, fields_at, receptive_field, value_of
from netspec.analyses.field.closed import Read
from netspec.analyses.field.report import At
from netspec.graph import Graph, Node
from netspec.record import record


@record
class EffectiveField:
    """The share of the gradient's expected square at every position of an input's axis, for one output position.

    `mass` has an entry a position of the axis and sums to 1 (to 0 where nothing arrives). `position` is the output's.
    """

    input: str
    axis: int
    position: int
    mass: tuple[float, ...]

    @property
    def centre(self) -> float:
        """The mean position."""
        return sum(i * m for i, m in enumerate(self.mass))

    @property
    def deviation(self) -> float:
        """The standard deviation, in positions."""
        centre = self.centre
        return math.sqrt(sum((i - centre) ** 2 * m for i, m in enumerate(self.mass)))

    def within(self, share: float = 0.68) -> int:
        """The length of the shortest stretch of positions that holds `share` of the gradient; 0 where nothing arrives."""
        least, total, first = len(self.mass) + 1, 0.0, 0
        for last, mass in enumerate(self.mass):
            total += mass
            while total >= share - 1e-12 and first <= last:
                least = min(least, last - first + 1)
                total -= self.mass[first]
                first += 1
        return least if least <= len(self.mass) else 0


def effective_field(
    graph: Graph, of: str | None = None, at: At = None, sizes: Mapping[str, int] | None = None
) -> dict[str, dict[str, EffectiveField]]:  # fmt: skip
    """The effective field of each output, or of the layer `of`: by its name, by axis. Arguments and errors as for
    `receptive_field`, whose axes and positions these are."""
    closed = Closed(graph, sizes)
    found = fields_at(closed)
    values = {port.name: port.value for port in graph.outputs} if of is None else {of: value_of(graph, of)}
    seen = receptive_field(graph, of, at, sizes)
    return {label: {name: effective_at(found, values[label], field) for name, field in axes.items()} for label, axes in seen.items()}


def effective_at(found: Fields, value: int, field: AxisField) -> EffectiveField:
    """The effective field that belongs to a receptive field of a value."""
    source = next(p.value for p in found.closed.graph.inputs if p.name == field.input)
    mass = _Walk(found, source, field.axis).run(value, field.position)
    total = math.fsum(mass)
    shares = tuple(m / total for m in mass) if total > 0 else tuple(mass)
    return EffectiveField(field.input, field.axis, field.position, shares)


class _Walk:
    """From one position of a value back to one axis of an input. Each value has its mass along the axis that moves along with
    the input's, or all of it on one place where no axis does."""

    def __init__(self, found: Fields, source: int, axis: int) -> None:
        self.closed, self.source = found.closed, source
        self.lines = Lines(found, source, axis)
        self.mass: dict[int, list[float]] = {}

    def run(self, value: int, position: int) -> list[float]:
        """The mass on every position of the input's axis."""
        start = [0.0] * self.lines.length(value)
        start[min(position, len(start) - 1)] = 1.0
        self.mass[value] = start
        nodes = self.closed.graph.nodes
        for index in range(len(nodes) - 1, -1, -1):
            for place, output in enumerate(nodes[index].outputs):
                if output in self.mass:
                    for read in self.closed.reads(index, place):
                        self._carry(nodes[index], output, read)
        return self.mass.get(self.source, [0.0] * self.lines.length(self.source))

    def _carry(self, node: Node, output: int, read: Read) -> None:
        """Add what one input of a node gets of the mass of one of its outputs."""
        if not self.lines.reaches(read.value):
            return
        parts = transfer(self.lines, node, output, read).pushed(self.mass[output])
        scale = others(self.closed, node, output, read, {self.lines.along(read.value)})
        if scale != 1.0:
            parts = [p * scale for p in parts]
        known = self.mass.get(read.value)
        self.mass[read.value] = parts if known is None else [a + b for a, b in zip(known, parts)]
