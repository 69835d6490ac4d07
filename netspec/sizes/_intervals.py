"""Where a polynomial on one residue class is zero or not negative, and the classes put together as one set."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.sizes._quasi import Undecidable, stable
from netspec.sizes.solution import Solution, runs, size_of

#: The longest run of sizes that is searched one by one.
MAX_SEARCH = 200_000

#: Steps `k` from the first to before the second; None is no end.
Interval = tuple[int, int | None]


def intervals(relation: str, differences: Sequence[int]) -> list[Interval]:
    """Where the polynomial of these forward differences is zero, or not negative: intervals of `k >= 0`."""
    leading = next((number for number in reversed(differences[1:]) if number), 0)
    if leading == 0:
        holds = differences[0] == 0 if relation == "==" else differences[0] >= 0
        return [(0, None)] if holds else []
    if relation == "==":  # below the step from which it is at least 1 (or at most -1), search
        shifted = (differences[0] - (1 if leading > 0 else -1), *differences[1:])
        tail: list[Interval] = []
    else:
        shifted = differences if leading > 0 else (differences[0] + 1, *differences[1:])
        tail = [(stable(shifted), None)] if leading > 0 else []
    turn = stable(shifted)
    if not any(differences[2:]):
        return _affine(relation, differences[0], differences[1], turn) + tail
    if turn > MAX_SEARCH:
        raise Undecidable(f"a condition of higher degree is open up to sizes of more than {MAX_SEARCH}")
    return _searched(relation, differences, turn) + tail


def _affine(relation: str, value: int, slope: int, turn: int) -> list[Interval]:
    """The solutions before the turn of `value + slope * k`: a point, or all of a falling line."""
    if relation == "==":
        step, left = divmod(-value, slope)
        return [(step, step + 1)] if left == 0 and step >= 0 else []
    return [(0, turn)] if slope < 0 and turn > 0 else []


def _searched(relation: str, differences: Sequence[int], turn: int) -> list[Interval]:
    row = list(differences)
    found = []
    for step in range(turn):
        if row[0] == 0 or (relation == ">=" and row[0] > 0):
            found.append(step)
        row = [number + following for number, following in zip(row, [*row[1:], 0])]
    return [(part.start, part.stop) for part in runs(found)]


def intersect(left: list[Interval], right: list[Interval]) -> list[Interval]:
    """What lies in both; each is disjoint and ascending, and so is the result."""
    if right == [(0, None)]:
        return left
    found: list[Interval] = []
    for low, high in left:
        for other_low, other_high in right:
            first = max(low, other_low)
            last = high if other_high is None else other_high if high is None else min(high, other_high)
            if last is None or first < last:
                found.append((first, last))
    return found


def gather(name: str, period: int, start: int, allowed: Sequence[list[Interval]], below: list[int]) -> Solution:
    """The set of sizes: `below` before `start`, and after it `allowed` on the classes `start + r + period * k`."""
    finite: list[range] = list(runs(below))
    tails: list[int] = []
    begin = start
    for origin, found in enumerate(allowed, start):
        for low, high in _joined(found):
            first = origin + period * low
            if high is None:
                tails.append(first)
                begin = max(begin, first - period + 1)
            else:
                finite.append(range(first, origin + period * high, period))
                begin = max(begin, finite[-1][-1] + 1)
    finite += [range(first, begin, period) for first in tails if first < begin]
    residues = {first % period for first in tails}
    period, residues = _shortest(period, residues)
    begin, finite = _lowered(begin, period, residues, finite)
    return Solution(name, period, tuple(sorted(residues)), begin, tuple(finite))


def _joined(found: list[Interval]) -> list[Interval]:
    """The same steps with intervals that touch made one."""
    joined: list[Interval] = []
    for low, high in found:
        if joined and joined[-1][1] == low:
            joined[-1] = (joined[-1][0], high)
        else:
            joined.append((low, high))
    return joined


def _shortest(period: int, residues: set[int]) -> tuple[int, set[int]]:
    """The least period with which the residues say the same."""
    for shorter in range(1, period):
        if period % shorter == 0 and len(residues) % (period // shorter) == 0:
            folded = {residue % shorter for residue in residues}
            if len(folded) * (period // shorter) == len(residues):
                return shorter, folded
    return period, residues


def _lowered(begin: int, period: int, residues: set[int], finite: list[range]) -> tuple[int, list[range]]:
    """Begin the periodic part as early as the members below it agree with it; those are then no exceptions."""
    finite = sorted(finite, key=lambda part: part.start)
    if any(part.step != 1 for part in finite):
        if sum(map(size_of, finite)) > MAX_SEARCH:
            return begin, finite
        finite = runs([number for part in finite for number in part])
    while begin > 1 and (bool(finite) and finite[-1].stop == begin) == ((begin - 1) % period in residues):
        begin -= 1
        if finite and finite[-1].stop > begin:
            last = finite.pop()
            finite += [range(last.start, begin)] if last.start < begin else []
    return begin, finite
