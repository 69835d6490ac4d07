"""What one operator does to the squared gradient along one axis: from each output position to the input positions it comes from."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache

from netspec import reach as r
from netspec.analyses.effective.weights import interpolation_weights
from netspec.analyses.field import Closed, Fields
from netspec.analyses.field.closed import Read
from netspec.analyses.field.taps import border_of, taps_of
from netspec.graph import Node

#: operators that divide by the number of what they sum, where others choose or weight
_MEANS = frozenset({"avg_pool", "adaptive_avg_pool", "global_avg_pool", "mean"})


class Lines:
    """Which axis of each value moves along with one axis of one input."""

    def __init__(self, found: Fields, source: int, axis: int) -> None:
        self.found, self.closed, self.source, self.axis = found, found.closed, source, axis

    def along(self, value: int) -> int | None:
        """The axis of a value; None where no axis moves, and all mass is on one place."""
        return self.axis if value == self.source else self.found.along(value, self.source, self.axis)

    def length(self, value: int) -> int:
        """How many places there are for the mass of a value."""
        along = self.along(value)
        return 1 if along is None else self.closed.shape(value)[along]

    def reaches(self, value: int) -> bool:
        """Whether a value depends on the input at all."""
        return self.axis in self.found.of(value).get(self.source, {})


class Transfer:
    """Mass stays where it is: an elementwise function."""

    def entries(self, position: int) -> Iterable[tuple[int, float]]:
        """The input positions that get mass from an output position, and which share of it."""
        return ((position, 1.0),)

    def pushed(self, mass: list[float]) -> list[float]:
        """The mass of the input for that of the output."""
        return mass


class _Even(Transfer):
    """Every output position hands the same share to every input position; `picked`: to that one alone."""

    def __init__(self, n: int, share: float, picked: int | None = None) -> None:
        self.shares = [share if picked is None else float(i == picked) for i in range(n)]

    def entries(self, position: int) -> Iterable[tuple[int, float]]:
        return enumerate(self.shares)

    def pushed(self, mass: list[float]) -> list[float]:
        total = math.fsum(mass)
        return [total * share for share in self.shares]


class _Before(Transfer):
    """Recurrence: the mass of a position goes to it and all before it, evenly."""

    def __init__(self, n: int) -> None:
        self.n = n

    def entries(self, position: int) -> Iterable[tuple[int, float]]:
        return ((i, 1 / (position + 1)) for i in range(min(position + 1, self.n)))

    def pushed(self, mass: list[float]) -> list[float]:
        found, running = [0.0] * self.n, 0.0
        for position in range(min(self.n, len(mass)) - 1, -1, -1):
            running += mass[position] / (position + 1)
            found[position] = running
        return found


class _Tapped(Transfer):
    """Every output position has its taps, whose shares repeat with its phase; what falls outside is lost, or comes back inside."""

    def __init__(self, look: r.AxisReach, n: int, m: int, means: bool) -> None:
        taps = taps_of(look, n, m)
        assert taps is not None
        self.taps, self.n, self.border = taps, n, border_of(look)
        self.shares = cache(lambda phase: _shares(look, phase, taps.table[phase], n, m, means))

    def entries(self, position: int) -> Iterable[tuple[int, float]]:
        for tap, share in zip(self.taps.at(position), self.shares(position % self.taps.period)):
            place = tap if 0 <= tap < self.n else _inside(tap, self.n, self.border)
            if place is not None:
                yield place, share

    def pushed(self, mass: list[float]) -> list[float]:
        found = [0.0] * self.n
        for position, amount in enumerate(mass):
            if amount:
                for place, share in self.entries(position):
                    found[place] += amount * share
        return found


def transfer(lines: Lines, node: Node, output: int, read: Read) -> Transfer:
    """How the mass of a node's output gets to one of its inputs."""
    along, before, means = lines.along(output), lines.along(read.value), node.op.NAME in _MEANS
    n, m = lines.length(read.value), lines.length(output)
    look = None if along is None else read.looks[along]
    if before is None:
        return _Even(1, 1.0)
    if look is None or look.axis != before:
        return _Even(n, 1 / (n * n) if means else 1 / n, read.picked.get(before))
    if isinstance(look, r.Same) or (isinstance(look, r.All) and node.op.FAMILY == "norm" and n == m):
        return Transfer()  # a norm's gradient is the position's own, but for a share of one in all
    if isinstance(look, r.All):
        return _Even(n, 1 / (n * n) if means else 1 / n)
    return _Before(n) if isinstance(look, r.Causal) else _Tapped(look, n, m, means)


def others(closed: Closed, node: Node, output: int, read: Read, followed: set[int | None]) -> float:
    """What means along axes that are not followed leave of the mass."""
    if node.op.NAME not in _MEANS:
        return 1.0
    shape, after = closed.shape(read.value), closed.shape(output)
    scale, kept = 1.0, {look.axis: axis for axis, look in enumerate(read.looks) if look is not None}
    for axis in range(1, len(shape)):
        look = read.looks[kept[axis]] if axis in kept else None
        if axis in followed or isinstance(look, r.Same):
            continue
        if isinstance(look, r.Window):
            scale /= look.kernel
        else:
            scale *= (after[kept[axis]] if isinstance(look, r.Adaptive) else 1) / shape[axis]
    return scale


def _shares(look: r.AxisReach, phase: int, taps: Iterable[int], n: int, m: int, means: bool) -> list[float]:
    """The share of each tap of an output position of that phase."""
    used = tuple(taps)
    if isinstance(look, r.Transposed):  # on average kernel / stride inputs sum to an output
        return [look.stride / look.kernel] * len(used)
    if isinstance(look, r.Resample):
        return [w * w for w in interpolation_weights(look, phase, used, n, m)]
    even = 1 / max(len(used), 1)
    return [even * even if means else even] * len(used)


def _inside(tap: int, n: int, border: str) -> int | None:
    """Where a tap outside of an axis comes from; None: from nowhere."""
    if border == "replicate":
        return min(max(tap, 0), n - 1)
    if border == "circular":
        return tap % n
    if border == "reflect":
        around = max(2 * (n - 1), 1)
        return min(tap % around, around - tap % around)
    return None
