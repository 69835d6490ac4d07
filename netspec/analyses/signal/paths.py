"""How two values, or two gradients, of a graph depend on each other: their covariance, followed along the linear parts of operators.

Forwards, `cov(a, b)`: of the two the one that was made later is a regression on its operator's inputs plus something new (for
`relu`, the slope E f' times its input plus what is uncorrelated with it; for drawn weights, all of it is new); so the question
is handed on to earlier values until they are one, or no part is left. Backwards it is the same with consumers for inputs.
"""

from __future__ import annotations

from netspec.analyses.signal.moments import Moments
from netspec.analyses.signal.rule import Effect
from netspec.graph import Graph
from netspec.record import draft

#: how many operators one question may look at; beyond that, branches count as uncorrelated
BUDGET = 256
#: how many consumers of a value are compared with each other
_FORK = 24


@draft
class Trail:
    """The state of one question: how many steps are left, and whether a dependence was given up."""

    left: int = BUDGET
    lost: bool = False


class Paths:
    """Covariances in one graph, as far as its effects and moments are known yet."""

    def __init__(self, graph: Graph) -> None:
        self.producer = {out: index for index, node in enumerate(graph.nodes) for out in node.outputs}
        self.consumers: dict[int, list[tuple[int, int]]] = {}
        for index, node in enumerate(graph.nodes):
            for position, number in enumerate(node.inputs):
                self.consumers.setdefault(number, []).append((index, position))
        self.nodes = graph.nodes
        self.effects: list[Effect | None] = [None] * len(graph.nodes)
        self.moments: dict[int, Moments | None] = {}

    def covariance(self, a: int, b: int) -> tuple[float, float, str]:
        """Covariance of two values, and of their parts that differ between examples; with the note of how it was found."""
        trail = Trail()
        total, varying = self._forward(a, b, trail)
        if trail.lost:
            return total, varying, "independent"
        return total, varying, "correlated" if total or varying else "fresh"

    def _forward(self, a: int, b: int, trail: Trail) -> tuple[float, float]:
        if a == b:
            x = self.moments.get(a)
            return (x.spread, x.varying) if x is not None else (0.0, 0.0)
        if self.producer.get(a, -1) < self.producer.get(b, -1):
            a, b = b, a
        maker = self.producer.get(a)
        effect = self.effects[maker] if maker is not None else None
        if maker is None or effect is None:
            return 0.0, 0.0
        total = varying = 0.0
        for number, carry in zip(self.nodes[maker].inputs, effect.carries):
            if carry == 0.0:
                continue
            trail.left -= 1
            if carry is None or trail.left < 0:
                trail.lost = trail.lost or self._related(number, b)
                continue
            one, two = self._forward(number, b, trail)
            total, varying = total + carry * one, varying + carry * two
        return (varying, varying) if effect.centred else (total, varying)

    def _related(self, a: int, b: int) -> bool:
        """Whether there may be a dependence to give up: both come from somewhere, and one of them from what an input brought."""
        return a in self.producer or b in self.producer or a == b

    # ------------------------------------------------------------------------------------------------------- backwards
    def shared(self, number: int, gradients: dict[int, float | None]) -> tuple[float, bool]:
        """Twice the sum of covariances between what the consumers of a value hand back to it, and whether some were given up."""
        handed = []
        trail = Trail()
        for index, position in self.consumers.get(number, ()):
            effect = self.effects[index]
            if effect is None or len(self.nodes[index].outputs) != 1 or position >= len(effect.carries):
                continue
            carry = effect.carries[position]
            if carry is None:
                trail.lost = True
            elif carry:
                handed.append((carry, self.nodes[index].outputs[0]))
        if len(handed) > _FORK:
            return 0.0, True
        total = 0.0
        for i, (one, first) in enumerate(handed):
            for two, second in handed[:i]:
                total += 2 * one * two * self._backward(first, second, gradients, trail)
        return total, trail.lost

    def _backward(self, a: int, b: int, gradients: dict[int, float | None], trail: Trail) -> float:
        if a == b:
            return gradients.get(a) or 0.0
        if self.producer[a] > self.producer[b]:
            a, b = b, a
        total = 0.0
        for index, position in self.consumers.get(a, ()):
            effect = self.effects[index]
            if effect is None or len(self.nodes[index].outputs) != 1 or position >= len(effect.carries):
                continue
            carry = effect.carries[position]
            if carry == 0.0:
                continue
            trail.left -= 1
            if carry is None or trail.left < 0:
                trail.lost = True
                continue
            total += carry * self._backward(self.nodes[index].outputs[0], b, gradients, trail)
        return total
