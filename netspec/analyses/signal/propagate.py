"""The two passes: moments forwards through every operator, second moments of gradients backwards."""

from __future__ import annotations

from collections.abc import Mapping

from netspec.analyses.signal.activation import Curve
from netspec.analyses.signal.borders import backward
from netspec.analyses.signal.moments import Moments, Profile
from netspec.analyses.signal.paths import Paths
from netspec.analyses.signal.result import Signal, Signals
from netspec.analyses.signal.rule import Effect, Place
from netspec.analyses.signal.table import RULES, SOURCES
from netspec.graph import Graph, Node
from netspec.sizes.dim import evaluate
from netspec.sizes.tensor import TensorType


def signals(graph: Graph, sizes: Mapping[str, int] | None = None, train: bool = True, input: Moments = Moments()) -> Signals:
    """Mean and second moment of every activation and of every gradient when the network has just been initialized.

    `sizes` are values of open sizes in place of their typical ones. `train`: norms by the batch's statistics and with dropout;
    else as in evaluation. `input`: the moments of every floating-point input, whose elements are taken for independent.

    The width is taken for large, the batch for infinite. Poole et al., "Exponential expressivity in deep neural networks through
    transient chaos", arXiv:1606.05340; Schoenholz et al., "Deep information propagation", arXiv:1611.01232; Yang et al., "A mean
    field theory of batch normalization", arXiv:1902.08129.
    """
    return _Passes(graph, {**graph.typical, **(sizes or {})}, train, input).run()


class _Passes:
    """The state of the two passes over one graph."""

    def __init__(self, graph: Graph, sizes: Mapping[str, int], train: bool, source: Moments) -> None:
        self.graph, self.train = graph, train
        self.types = _closed(graph, sizes)
        self.paths = Paths(graph)
        self.moments = self.paths.moments
        self.units: list[int | None] = [None] * len(graph.values)
        self.profiles: list[Profile] = [()] * len(graph.values)
        self.curves: dict[int, tuple[Curve, Moments]] = {}
        self.mixtures: dict[int, tuple[Curve, Moments, Moments]] = {}
        self.harmonics = [1.0] * len(graph.values)
        self.normal = [True] * len(graph.values)
        self.notes: list[str] = [""] * len(graph.values)
        for port in graph.inputs:
            shape, dtype = self.types[port.value].shape, self.types[port.value].dtype
            known = dtype.startswith(("float", "bfloat"))
            self.moments[port.value] = Moments(source.mean, source.second, source.varying) if known else None
            self.units[port.value] = 1 if len(shape) > 1 else None

    def run(self) -> Signals:
        """Forwards, backwards, and what it comes to."""
        for index, node in enumerate(self.graph.nodes):
            self._apply(index, node)
        gradients = self._gradients()
        values = []
        for number, value in enumerate(self.graph.values):
            made = self.paths.producer.get(number)
            maker = self.graph.nodes[made] if made is not None else None
            m = self.moments.get(number)
            values.append(
                Signal(
                    value.name, maker.name if maker else "", maker.op.NAME if maker else "",
                    m.mean if m else None, m.second if m else None, m.varying if m else None,
                    gradients.get(number, 0.0), self.notes[number],
                )
            )  # fmt: skip
        from netspec.analyses.signal.chains import factors

        found = tuple(values)
        sizes = tuple(Place.elements(t) for t in self.types)
        return Signals(self.graph.name, found, self.graph, factors(self.graph, self.paths, found), tuple(self.paths.effects), sizes)

    # --------------------------------------------------------------------------------------------------------- forwards
    def _apply(self, index: int, node: Node) -> None:
        effect = self._effect(node)
        self.paths.effects[index] = effect
        for position, number in enumerate(node.outputs):
            self.moments[number] = effect.outputs[position] if effect is not None else None
            if effect is None:
                self.notes[number] = "unknown"
                continue
            self.notes[number], self.units[number], self.normal[number] = effect.note, effect.unit, effect.normal
            if node.inputs:
                self.harmonics[number] = self.harmonics[node.inputs[0]] if effect.harmonic is None else effect.harmonic
            if effect.profile:
                self.profiles[number] = effect.profile
            if effect.curve is not None:
                self.curves[number] = effect.curve
            if effect.mixture is not None:
                self.mixtures[number] = effect.mixture

    def _effect(self, node: Node) -> Effect | None:
        inputs = tuple(self.moments.get(i) for i in node.inputs)
        rule = RULES.get(node.op.NAME)
        sizes_only = {len(node.inputs) - 1} if getattr(node.op, "like", False) else set()
        blind = any(m is None for position, m in enumerate(inputs) if position not in sizes_only)
        if rule is None or (blind and node.op.NAME not in SOURCES and _unwrapped(node) not in SOURCES):
            return None
        place = Place(
            op=node.op, inputs=inputs, types=tuple(self.types[i] for i in node.inputs),
            outputs=tuple(self.types[o] for o in node.outputs), units=tuple(self.units[i] for i in node.inputs),
            profiles=tuple(self.profiles[i] for i in node.inputs), curves=tuple(self.curves.get(i) for i in node.inputs),
            harmonics=tuple(self.harmonics[i] for i in node.inputs), mixture=self.mixtures.get(node.inputs[0]) if node.inputs else None,
            weights={w.local: w for w in (self.graph.weights[i] for i in node.weights)}, train=self.train,
            covariance=lambda a, b: self.paths.covariance(node.inputs[a], node.inputs[b]),
            normals=tuple(self.normal[i] for i in node.inputs), same=len(node.inputs) == 2 and node.inputs[0] == node.inputs[1],
        )  # fmt: skip
        try:
            effect = rule(place)
        except (OverflowError, ZeroDivisionError):
            return None
        return effect if effect is None or _finite(effect) else _unknown(effect)

    # -------------------------------------------------------------------------------------------------------- backwards
    def _gradients(self) -> dict[int, float | None]:
        """Second moments of gradients by value, from the outputs to the inputs."""
        found: dict[int, float | None] = {}
        for port in self.graph.outputs:
            found[port.value] = _sum(found.get(port.value, 0.0), 1.0)
        chosen: dict[int, float] = {}
        rows: dict[int, Profile] = {}
        for index in range(len(self.graph.nodes) - 1, -1, -1):
            node = self.graph.nodes[index]
            for number in node.outputs:
                self._fork(number, found)
            self._hand_back(index, node, found, chosen, rows)
        for port in self.graph.inputs:
            self._fork(port.value, found)
        return found

    def _fork(self, number: int, found: dict[int, float | None]) -> None:
        """A value that several operators use: what they hand back may agree."""
        if len(self.paths.consumers.get(number, ())) < 2 or not found.get(number):
            return
        shared, lost = self.paths.shared(number, found)
        before = found[number]
        assert before is not None
        found[number] = max(before + shared, 0.0)
        if lost and not self.notes[number]:
            self.notes[number] = "independent"

    def _hand_back(
        self, index: int, node: Node, found: dict[int, float | None], chosen: dict[int, float], rows: dict[int, Profile]
    ) -> None:
        effect, weights = self.paths.effects[index], [Place.elements(self.types[o]) for o in node.outputs]
        gradient = found.get(node.outputs[0], 0.0) if len(weights) == 1 else self._of_pieces(node, found, weights)
        if gradient == 0.0:
            return
        for position, number in enumerate(node.inputs):
            if effect is None or gradient is None or position >= len(effect.gains) or effect.gains[position] is None:
                found[number] = None if not _integer(self.types[number]) else 0.0
                continue
            gain, row = effect.gains[position], rows.get(node.outputs[0], ())
            assert gain is not None
            if effect.looks:
                reached, row = self._reached(effect, node, number, row)
                gain *= reached
            handed = gradient * gain
            if effect.curve is not None and effect.curve is not self.curves.get(number) and node.outputs[0] in chosen:
                handed += chosen[node.outputs[0]]
            found[number] = _sum(found.get(number, 0.0), handed)
            if effect.selected is not None and number in self.curves:
                slope = self._slope(number)
                chosen[number] = chosen.get(number, 0.0) + handed * (effect.selected - slope)
            if row and number not in rows and (effect.looks or self.types[number].shape == self.types[node.outputs[0]].shape):
                rows[number] = row

    def _of_pieces(self, node: Node, found: dict[int, float | None], weights: list[int]) -> float | None:
        """The gradient an element of what was cut into the outputs."""
        parts = [found.get(o, 0.0) for o in node.outputs]
        if any(p is None for p in parts):
            return None
        return sum(w * p for w, p in zip(weights, parts) if p is not None) / sum(weights)

    def _slope(self, number: int) -> float:
        """E f'² of the activation that made a value."""
        effect = self.paths.effects[self.paths.producer[number]]
        gain = effect.gains[0] if effect is not None else None
        return gain if gain is not None else 0.0

    def _reached(self, effect: Effect, node: Node, number: int, row: Profile) -> tuple[float, Profile]:
        """How many outputs an input reaches, along all axes, and the profile of its gradient."""
        before, after = self.types[number].shape, self.types[node.outputs[0]].shape
        reached, found = 1.0, []
        for axis, look in enumerate(effect.looks):
            count, new = backward(look, before[axis + 2], after[axis + 2], row[axis] if row else None)
            reached *= count
            found.append(new)
        return reached, tuple(found) if any(found) else ()


def _sum(one: float | None, two: float | None) -> float | None:
    return None if one is None or two is None or two != two else one + two


def _integer(tensor: TensorType) -> bool:
    return not tensor.dtype.startswith(("float", "bfloat"))


def _unwrapped(node: Node) -> str:
    return str(getattr(getattr(node.op, "layer", None), "NAME", ""))


_FAR = 1e150


def _finite(effect: Effect) -> bool:
    """Whether all moments are known, and are numbers that can still be squared."""
    return all(m is not None and m.second < _FAR for m in effect.outputs)


def _unknown(effect: Effect) -> Effect:
    return Effect((None,) * len(effect.outputs), effect.gains if effect.outputs[0] is None else (None,) * len(effect.gains), (), "unknown")


def _closed(graph: Graph, sizes: Mapping[str, int]) -> list[TensorType]:
    """The type of every value at these sizes."""
    known: dict[object, tuple[int, ...]] = {}
    found = []
    for value in graph.values:
        shape = known.get(value.shape)
        if shape is None:
            shape = known[value.shape] = tuple(s if isinstance(s, int) else evaluate(s, sizes) for s in value.shape)
        found.append(TensorType(shape, value.dtype))
    return found
