"""The geometry of plain networks in whole numbers, at a fortieth of the cost of the receptive-field analysis.

Of windows, operators that see their own position, merges, and what sees everything. It answers one question: is there
anything to look at? Where there may be, or where an operator is of another kind, the rules ask the analysis itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from netspec.analyses.lint.kinds import inner
from netspec.graph import Node
from netspec.op import Operator

if TYPE_CHECKING:
    from netspec.analyses.lint.facts import Facts

_MERGES = frozenset({"add", "sub", "mul", "div", "concat"})
_ADAPTIVE = frozenset({"adaptive_avg_pool", "adaptive_max_pool"})
_GLOBAL = frozenset({"global_avg_pool", "global_max_pool", "flatten"})


class Path(NamedTuple):
    """How a value steps and lies along one axis of the input: input positions a step, twice the centre of position 0, and the
    field of the narrowest path."""

    stride: int
    doubled_centre: int
    least: int


class View(NamedTuple):
    """What a value sees of the input along each spatial axis, and whether some path sees all of it."""

    paths: tuple[Path, ...]
    whole: bool


class Unknown(Exception):
    """An operator that is not drawn."""


class Sketch:
    """The view of every value. `agrees`: all that is joined has one stride and one centre. Raises `Unknown`."""

    def __init__(self, net: Facts) -> None:
        self.net = net
        self.agrees = True
        images = [port.value for port in net.graph.inputs if len(net.graph.values[port.value].shape) > 2]
        if len(images) != 1 or len(net.graph.inputs) != 1:
            raise Unknown
        self.lengths = net.shape(images[0])[2:]
        self.views: dict[int, View] = {images[0]: View((Path(1, 0, 1),) * len(self.lengths), False)}
        for node in net.nodes:
            self.views[node.outputs[0]] = self._view(node)

    def _view(self, node: Node) -> View:
        slides = self.net.slides.get(node.outputs[0])
        if slides is not None:
            before = self._of(node.inputs[0])
            if len(before.paths) != len(slides):
                raise Unknown
            return View(tuple(_moved(p, s.extent, s.stride, s.before) for p, s in zip(before.paths, slides)), before.whole)
        op = inner(node)
        if len(node.inputs) == 1 and len(node.outputs) == 1:
            before = self._of(node.inputs[0])
            if type(op).reach is Operator.reach or getattr(op, "track_running_stats", False) or (before.whole and not before.paths):
                return before
            if op.NAME in _ADAPTIVE:
                return self._divided(node, before)
            if op.NAME in _GLOBAL and 1 not in self.net.shape(node.inputs[0])[2:]:
                return View((), True)
        elif op.NAME in _MERGES:
            return self._merged(node)
        raise Unknown

    def _divided(self, node: Node, before: View) -> View:
        """Adaptive pooling into windows of one length, side by side."""
        pairs = list(zip(self.net.shape(node.inputs[0])[2:], self.net.shape(node.outputs[0])[2:]))
        if any(n % m for n, m in pairs):
            raise Unknown
        return View(tuple(_moved(p, n // m, n // m, 0) for p, (n, m) in zip(before.paths, pairs)), before.whole)

    def _merged(self, node: Node) -> View:
        views = [self._of(value) for value in node.inputs]
        ranks = {len(self.net.graph.values[value].shape) for value in (*node.inputs, *node.outputs)}
        if len(ranks) > 1 or (node.op.NAME == "concat" and getattr(node.op, "axis", 1) != 1):
            raise Unknown
        drawn = [view.paths for view in views if view.paths]
        for same in zip(*drawn):
            self.agrees = self.agrees and len({path[:2] for path in same}) == 1
        joined = tuple(same[0]._replace(least=min(path.least for path in same)) for same in zip(*drawn))
        return View(joined, any(view.whole for view in views))

    def _of(self, value: int) -> View:
        if value not in self.views:
            raise Unknown
        return self.views[value]


def _moved(path: Path, extent: int, stride: int, padding: int) -> Path:
    """A path behind a window (Araujo, Norris and Sim, Distill 2019)."""
    centre = path.doubled_centre + path.stride * (extent - 1 - 2 * padding)
    return Path(stride * path.stride, centre, path.least + (extent - 1) * path.stride)


def sketched(net: Facts) -> Sketch | None:
    """The sketch of a network; None where it has operators that are not drawn."""
    try:
        return Sketch(net)
    except Unknown:
        return None
