"""Lints about dilation: a stack whose taps fall on a grid reads a part of its field only ("gridding")."""

from __future__ import annotations

from dataclasses import field
from typing import Iterator, Sequence

from netspec import reach as r
from netspec.analyses.field import Closed, Positions
from netspec.analyses.lint.facts import Facts
from netspec.analyses.lint.rule import Finding, rule
from netspec.analyses.lint.sliding import along
from netspec.diagnostics.model import Severity
from netspec.record import draft, record

#: an axis of a value
Line = tuple[int, int]
#: so many positions of a field are drawn, and so many layers of a stack are listed
_DRAWN, _LISTED = 61, 64


@rule("NS544", Severity.WARNING)
def gridding(net: Facts) -> Iterator[Finding]:
    """Windows at one resolution, of which one is dilated, that leave positions of their common field unread where the
    resolution ends: at an output of the network, at what shrinks, enlarges or sees everything. The field is the exact set of
    taps over all paths since the resolution began, borders aside; its holes lie between its first and its last position."""
    if not any(s.dilation > 1 and s.kernel > 1 for slides in net.slides.values() for s in slides):
        return
    stacks = _Stacks(net, Closed(net.graph))
    found: dict[int, list[_Grid]] = {}
    for grid in stacks.grids():
        found.setdefault(grid.node, []).append(grid)
    for index, grids in found.items():
        axes = {grid.axis: grid for grid in reversed(grids)}
        yield _finding(net, stacks, index, grids[0], sorted(axes))


def _finding(net: Facts, stacks: _Stacks, index: int, grid: _Grid, axes: list[int]) -> Finding:
    node, seen = net.nodes[index], grid.seen
    windows, alone = stacks.windows(grid.line)
    rates = ", ".join(str(w.dilation) for w in windows)
    widest = max(len(hole) for hole in seen.holes)
    drawn = "".join("#" if p in seen else "." for p in range(int(seen.start), min(int(seen.end), int(seen.start) + _DRAWN - 1) + 1))
    plain = f"a convolution of at least {widest + 1} without dilation before or behind them"
    return Finding(
        f"dilations of {rates} reach {seen.count} of the {seen.size} positions that they span{along(net, node, axes)}",
        node,
        notes=(drawn + ("…" if seen.size > _DRAWN else ""), *(_published(windows) if alone else ())),
        helps=(*(_better(windows) if alone else ()), plain),
    )


@record
class _Grid:
    """Where a resolution ends with holes: the axis of a value, the positions seen, the last dilated node on the way there."""

    line: Line
    seen: Positions
    node: int
    axis: int


@draft
class _Stacks:
    """Every axis of every value, as the positions that it sees of where its resolution begins: `seen[line][source]`.

    `before` has what a line is made of in one step, `after` the lines that are read on at the same resolution, `last` the last
    dilated node on the way to a line, and `leaving` the taps of the strided windows that read it (None: another reader).
    """

    net: Facts
    closed: Closed
    seen: dict[Line, dict[Line, Positions]] = field(default_factory=dict)
    before: dict[Line, list[tuple[Line, r.AxisReach]]] = field(default_factory=dict)
    after: set[Line] = field(default_factory=set)
    last: dict[Line, int] = field(default_factory=dict)
    leaving: dict[Line, list[range | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for index, node in enumerate(self.net.nodes):
            for place, output in enumerate(node.outputs):
                self._output(index, place, output)

    def grids(self) -> Iterator[_Grid]:
        """Where a resolution ends with holes in what is seen of its beginning, behind a dilated window."""
        for line, sources in self.seen.items():
            value, axis = line
            if line not in self.last or value not in self.net.live or (line in self.after and value not in self.net.outputs):
                continue
            ends = [None] if value in self.net.outputs else self.leaving.get(line, [])
            for seen in sources.values():
                final = [seen if taps is None else seen.tapped(taps) for taps in ends]
                holed = next((s for s in final if s.holes), None)
                if holed is not None:
                    yield _Grid(line, holed, self.last[line], axis)
                    break

    def windows(self, line: Line) -> tuple[list[r.Window], bool]:
        """The windows on the way to a line, the first one first, and whether there is only this way; of branches, the one with
        the last dilation."""
        found: list[r.Window] = []
        alone = True
        while line in self.before and len(found) < _LISTED:
            alone = alone and len(self.before[line]) == 1
            line, look = max(self.before[line], key=lambda step: (_dilates(step[1]), self.last.get(step[0], -1)))
            if isinstance(look, r.Window) and look.kernel > 1:
                found.append(look)
        return found[::-1], alone

    def _output(self, index: int, place: int, output: int) -> None:
        reads = [(read.value, read.looks) for read in self.closed.reads(index, place)]
        for axis in range(2, len(self.closed.shape(output))):
            steps = [((number, look.axis), look) for number, looks in reads if (look := looks[axis]) is not None]
            joined = sum(isinstance(look, r.Shift) for _, look in steps) > 1
            for before, look in steps:
                if _stays(look) and not joined:
                    self._step((output, axis), before, look, index)
                else:
                    self.leaving.setdefault(before, []).append(_taps(look))
        for number, looks in reads:
            for axis in set(range(2, len(self.closed.shape(number)))) - {look.axis for look in looks if look is not None}:
                self.leaving.setdefault((number, axis), []).append(None)

    def _step(self, line: Line, before: Line, look: r.AxisReach, index: int) -> None:
        self.before.setdefault(line, []).append((before, look))
        self.after.add(before)
        seen = self.seen.setdefault(line, {})
        for source, positions in self.seen.get(before, {before: Positions(0, 1)}).items():
            made = _through(positions, look)
            seen[source] = made if source not in seen else seen[source] | made
        last = index if _dilates(look) else self.last.get(before, -1)
        if last >= 0:
            self.last[line] = max(last, self.last.get(line, -1))


def _stays(look: r.AxisReach | None) -> bool:
    """Whether the resolution goes on."""
    return isinstance(look, r.Same) or (isinstance(look, r.Window) and look.stride == 1) or (isinstance(look, r.Shift) and look.step == 1)


def _dilates(look: r.AxisReach) -> bool:
    return isinstance(look, r.Window) and look.dilation > 1 and look.kernel > 1


def _taps(look: r.AxisReach | None) -> range | None:
    return range(-look.padding, -look.padding + look.dilation * look.kernel, look.dilation) if isinstance(look, r.Window) else None


def _through(positions: Positions, look: r.AxisReach) -> Positions:
    taps = _taps(look)
    if taps is not None:
        return positions.tapped(taps)
    return positions.moved(look.offset) if isinstance(look, r.Shift) else positions


def _published(windows: Sequence[r.Window]) -> Iterator[str]:
    """What the published rule says of a stack of one kernel: `M_2 <= K` (Wang, Chen, Yuan, Liu, Huang, Hou and Cottrell,
    "Understanding convolution for semantic segmentation", WACV 2018, eq. 2). It is neither sufficient nor necessary."""
    rates = [w.dilation for w in windows]
    kernels = {w.kernel for w in windows}
    if len(rates) < 2 or len(kernels) > 1:
        return
    most = rates[-1]
    for rate in reversed(rates[1:-1]):
        most = max(most - 2 * rate, most - 2 * (most - rate), rate)
    kernel = kernels.pop()
    verdict = "passes" if most <= kernel else "refuses"
    yield f"the published rule (Wang et al. 2018, eq. 2) {verdict} them: M₂ = {most}, K = {kernel}; what is drawn is exact"


def _better(windows: Sequence[r.Window]) -> Iterator[str]:
    """Rates of as many layers that reach everything between their first and last tap, and nearly as far or as far."""
    rates = [w.dilation for w in windows]
    kernels = {w.kernel for w in windows}
    if len(kernels) == 1 and 1 < len(rates) < _LISTED:
        yield f"dilations of {', '.join(map(str, whole_rates(kernels.pop(), sum(rates), len(rates))))} leave no hole"


def whole_rates(kernel: int, total: int, layers: int) -> list[int]:
    """Rates without holes, ascending, as even as can be, whose sum is `total` or as near below it as so many layers come.

    A layer leaves no hole in what those before it reach iff its rate is at most their field, `1 + (kernel - 1) * sum`. So each
    takes its share of what is left, or all that it may: with those, no other choice reaches farther.
    """
    found: list[int] = []
    for left in range(layers, 0, -1):
        share = -(-(total - sum(found)) // left)
        found.append(max(1, min(share, 1 + (kernel - 1) * sum(found))))
    return sorted(found)
