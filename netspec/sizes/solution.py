"""The set of values of one open size that satisfy all conditions: eventually periodic, and exact."""

from __future__ import annotations

from bisect import bisect_right
from math import lcm

from netspec.record import record

#: How many residues or single values a text lists before it is cut short.
MAX_LISTED = 12


@record
class Solution:
    """The sizes `name` may have.

    From `start` on, exactly those whose remainder by `period` is in `residues` (sorted); below it, exactly the members
    of `exceptions` (disjoint ranges). Where `decided` is False the set is unknown, nothing may be concluded from the
    other fields, and `reason` says why.
    """

    name: str
    period: int = 1
    residues: tuple[int, ...] = (0,)
    start: int = 1
    exceptions: tuple[range, ...] = ()
    decided: bool = True
    reason: str = ""

    @property
    def everything(self) -> bool:
        """Whether every size is allowed."""
        return self.decided and self.start == 1 and len(self.residues) == self.period

    @property
    def empty(self) -> bool:
        """Whether no size is allowed."""
        return self.decided and not self.residues and not self.exceptions

    def contains(self, value: int) -> bool:
        """Whether the size may be `value`. Raises ValueError where the set is not decided."""
        self._need()
        if value < 1:
            return False
        if value < self.start:
            return any(value in part for part in self.exceptions)
        place = bisect_right(self.residues, value % self.period)
        return place > 0 and self.residues[place - 1] == value % self.period

    __contains__ = contains

    def nearest(self, value: int) -> tuple[int | None, int | None]:
        """The greatest allowed size `<= value` and the least `>= value`; None where there is none.

        Raises ValueError where the set is not decided.
        """
        self._need()
        below = [_last(part, value) for part in self.exceptions] + [self._tail_below(value)]
        above = [_first(part, value) for part in self.exceptions] + [self._tail_above(value)]
        return max((n for n in below if n is not None), default=None), min((n for n in above if n is not None), default=None)

    def _need(self) -> None:
        if not self.decided:
            raise ValueError(f"the sizes {self.name} may have are not decided: {self.reason}")

    def _tail_above(self, value: int) -> int | None:
        if not self.residues:
            return None
        value = max(value, self.start)
        return min(value + (residue - value) % self.period for residue in self.residues)

    def _tail_below(self, value: int) -> int | None:
        found = max((value - (value - residue) % self.period for residue in self.residues), default=0)
        return found if found >= self.start and self.residues else None

    def intersection(self, other: Solution) -> Solution:
        """The sizes that both allow. Raises ValueError where one is not decided."""
        self._need()
        other._need()
        period = lcm(self.period, other.period)
        start = max(self.start, other.start)
        finite = [part for mine in self._below(start) for their in other._below(start) for part in _overlap(mine, their)]
        residues = tuple(r for r in range(period) if r % self.period in self.residues and r % other.period in other.residues)
        return Solution(self.name, period, residues, start, tuple(finite))

    def _below(self, stop: int) -> list[range]:
        """The allowed sizes under `stop`, which is at least `start`, as disjoint ranges."""
        firsts = [self.start + (residue - self.start) % self.period for residue in self.residues]
        return [*self.exceptions, *(range(first, stop, self.period) for first in firsts if first < stop)]

    # ------------------------------------------------------------------------------------------------------------ text
    def __str__(self) -> str:
        return " and ".join(self.parts())

    def parts(self) -> tuple[str, ...]:
        """The set as conditions that all hold together: `("H % 16 == 12", "H >= 188")`. One that always holds says so."""
        if not self.decided:
            return (f"{self.name} is not decided: {self.reason}",)
        if self.everything:
            return (f"{self.name} >= 1",)
        if self.empty:
            return (f"no {self.name}",)
        if not self.residues:
            return (self._finite(self.exceptions),)
        without = self._without()
        if without is not None:
            return tuple(without)
        tail = self._tail(self.start)
        if not self.exceptions:
            return tuple(tail)
        text = " and ".join(tail)
        return (f"{f'({text})' if len(tail) > 1 else text} or {self._finite(self.exceptions)}",)

    def _tail(self, start: int) -> list[str]:
        """The periodic part, from `start` on; a bound that the congruence implies is left out."""
        texts = []
        if len(self.residues) < self.period:
            texts.append(self._congruence())
        first = min(start + (residue - start) % self.period for residue in self.residues)
        if not texts or first != min(r or self.period for r in self.residues):
            texts.append(f"{self.name} >= {first}")
        return texts

    def _congruence(self) -> str:
        remainder = f"{self.name} % {self.period}"
        missing = [n for n in range(self.period) if n not in set(self.residues)] if self.period <= 2 * len(self.residues) else []
        if len(self.residues) == 1:
            return f"{remainder} == {self.residues[0]}"
        if len(missing) == 1:
            return f"{remainder} != {missing[0]}"
        return f"{remainder} in {_listed([range(n, n + 1) for n in self.residues])}"

    def _finite(self, parts: tuple[range, ...]) -> str:
        if len(parts) == 1 and size_of(parts[0]) > 2 and parts[0].step == 1:
            low, high = parts[0][0], parts[0][-1]
            return f"{self.name} <= {high}" if low == 1 else f"{low} <= {self.name} <= {high}"
        if sum(map(size_of, parts)) == 1:
            return f"{self.name} == {parts[0][0]}"
        return f"{self.name} in {_listed(parts)}"

    def _without(self) -> list[str] | None:
        """`H % 2 == 0 and H != 8`: the periodic part from further down, without the few that fail."""
        if sum(map(size_of, self.exceptions)) > 10_000 or self.start > 10_000:
            return None
        holes = []
        start = self.start
        allowed = set(self.residues)
        members = {n for part in self.exceptions for n in part}
        for n in range(self.start - 1, 0, -1):
            if n in members and n % self.period not in allowed:
                return None
            if n % self.period in allowed and n not in members:
                holes.append(n)
            elif n in members:
                start = n
        kept = sorted(n for n in holes if n > start)
        if not members or len(kept) > 3 or len(kept) >= len(members):
            return None
        tail = [] if kept and len(allowed) == self.period and start == 1 else self._tail(start)
        return tail + [f"{self.name} != {n}" for n in kept]


def _listed(parts: list[range] | tuple[range, ...]) -> str:
    """`{0, 25..31}`: both ends belong to a run."""
    if sum(map(size_of, parts)) <= 100_000:
        parts = runs([n for part in parts for n in part])
    words: list[str] = []
    for part in parts[:MAX_LISTED]:
        if part.step == 1 and size_of(part) > 2:
            words.append(f"{part[0]}..{part[-1]}")
        elif size_of(part) <= 4:
            words.extend(map(str, part))
        else:
            words.append(f"{part[0]}, {part[1]}, ..., {part[-1]}")
    return "{" + ", ".join(words + (["..."] if len(parts) > MAX_LISTED else [])) + "}"


def _overlap(left: range, right: range) -> list[range]:
    """The numbers in both of two ascending ranges, as a range or nothing."""
    base, stop = max(left.start, right.start), min(left.stop, right.stop)
    first = base + (left.start - base) % left.step
    for n in range(first, min(stop, first + left.step * right.step), left.step):
        if (n - right.start) % right.step == 0:
            return [range(n, stop, lcm(left.step, right.step))]
    return []


def runs(numbers: list[int]) -> list[range]:
    """The numbers as maximal runs of neighbours, in order."""
    found: list[range] = []
    for number in sorted(numbers):
        if found and found[-1].stop == number:
            found[-1] = range(found[-1].start, number + 1)
        else:
            found.append(range(number, number + 1))
    return found


def size_of(part: range) -> int:
    """The length of an ascending range, which `len` refuses to tell for long ones."""
    return max(0, -((part.start - part.stop) // part.step))


def _last(part: range, value: int) -> int | None:
    """The greatest member of an ascending range that is at most `value`."""
    if not part or part[0] > value:
        return None
    return min(part[-1], value - (value - part[0]) % part.step)


def _first(part: range, value: int) -> int | None:
    """The least member of an ascending range that is at least `value`."""
    if not part or part[-1] < value:
        return None
    return max(part[0], value + (part[0] - value) % part.step)
