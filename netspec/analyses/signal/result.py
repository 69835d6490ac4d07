"""What the analysis says: a signal a value, and the chains of layers that make it explode or vanish."""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Any

from netspec.record import record

if TYPE_CHECKING:
    from netspec.analyses.signal.chains import Problem
    from netspec.analyses.signal.rule import Effect
    from netspec.graph import Graph


@record
class Signal:
    """Moments of one value at initialization; None where they are not known.

    `mean` and `second` (the second moment) are over units, positions, examples and draws of the weights. `variance` is that of
    one unit over examples and positions. `gradient` is the second moment of the gradient an element, where the gradient of every
    output has independent elements of second moment 1; 0 where none flows. `note` is a word of `NOTES`: how it was found.
    """

    value: str
    node: str
    op: str
    mean: float | None
    second: float | None
    variance: float | None
    gradient: float | None
    note: str = ""


@record
class Signals:
    """The signals of a network: one a value, numbered as the graph's; by name with `signals["conv1"]`."""

    net: str
    values: tuple[Signal, ...]
    graph: "Graph" = field(repr=False, compare=False)
    #: (forward, backward) factor of every layer that stores weights, by node name, with what follows it
    factors: dict[str, tuple[float, float]] = field(repr=False, compare=False)
    effects: "tuple[Effect | None, ...]" = field(repr=False, compare=False)
    sizes: tuple[int, ...] = field(repr=False, compare=False)

    def of(self, name: str) -> Signal:
        """The signal of an output of the network, of a node's first output, or of a value, by name. Raises KeyError."""
        for port in self.graph.outputs:
            if port.name == name:
                return self.values[port.value]
        for node in self.graph.nodes:
            if node.name == name:
                return self.values[node.outputs[0]]
        for signal in self.values:
            if signal.value == name:
                return signal
        raise KeyError(name)

    __getitem__ = of

    def elements(self, number: int) -> int:
        """How many elements a value has at the sizes that the signals are for."""
        return self.sizes[number]

    def rows(self) -> tuple[Signal, ...]:
        """One a layer, in order: that of its first output."""
        return tuple(self.values[node.outputs[0]] for node in self.graph.nodes)

    def factor(self, name: str) -> tuple[float, float] | None:
        """What a layer with stored weights, and the activation behind it, makes of the second moment forwards and of the squared
        norm of the gradient backwards; None for another node, or where it is unknown."""
        return self.factors.get(name)

    def fitting(self, name: str) -> str:
        """The initializer, as it is written, that holds the signal at 1 through a layer and the activation behind it."""
        from netspec.analyses.signal.chains import fitting

        return fitting(self.graph, name)

    def problems(self) -> "tuple[Problem, ...]":
        """Chains of layers that multiply a second moment by more than a thousand, or by less than a thousandth."""
        from netspec.analyses.signal.chains import problems

        return problems(self)

    def data(self) -> dict[str, Any]:
        """As plain data."""
        rows = [
            {
                "label": s.node,
                "op": s.op,
                "mean": s.mean,
                "second": s.second,
                "variance": s.variance,
                "gradient": s.gradient,
                "note": s.note,
            }
            for s in self.rows()
        ]
        found = [
            {"kind": p.kind, "first": p.first, "last": p.last, "factor": p.factor, "layers": p.layers, "advice": p.advice}
            for p in self.problems()
        ]
        return {"net": self.net, "layers": rows, "problems": found}
