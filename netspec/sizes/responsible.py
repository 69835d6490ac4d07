"""Which of several conditions are responsible for each part of what they come to, and no more of them than it takes.

Sets of sizes are bits of one integer: every size below the point from which all sets repeat, then one period. A part of a
solution (a congruence, a bound, a size left out) is what it excludes; conditions are taken, the one that excludes most of what
is left first, the earlier of two that exclude the same, until nothing is left; then those that the others make superfluous go.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import lcm

from netspec.sizes.solution import Solution
from netspec.sizes.solve import alone
from netspec.sizes.system import Piece

#: The most points that are told apart, all conditions together. Past them everything is held responsible.
MAX_POINTS = 4_000_000


def responsible(solution: Solution, pieces: Sequence[Piece]) -> tuple[tuple[str, tuple[Piece, ...]], ...]:
    """For each part of a solution (`H % 16 == 12`, `H >= 188`) the pieces that it takes to have it.

    `pieces` are all on the size of the solution, which they come to together. Nothing for a size that may be anything.
    """
    if solution.everything:
        return ()
    texts = solution.parts()
    sets = [_own(piece, solution.name) for piece in pieces]
    period = lcm(*(one.period for one in (*sets, solution)))
    start = max(one.start for one in (*sets, solution))
    if not all(one.decided for one in sets) or (start + period) * (len(sets) + 1) > MAX_POINTS:
        return tuple((text, tuple(pieces)) for text in texts)
    whole = (1 << (start + period)) - 2  # sizes begin at 1
    excluded = [whole & ~_members(one, start, period) for one in sets]
    wanted = whole & ~_members(solution, start, period)
    found = []
    for number, text in enumerate(texts):
        congruence = number == 0 < len(texts) - 1 and 0 < len(solution.residues) < solution.period
        chosen = _cover(wanted >> start << start if congruence else wanted, excluded)  # a congruence is about the period alone
        for index in chosen:
            wanted &= ~excluded[index]
        found.append((text, tuple(pieces[index] for index in chosen)))
    return tuple(found)


def _own(piece: Piece, name: str) -> Solution:
    """The sizes that one piece allows."""
    (owner,) = piece.condition.names() or {name}
    return alone(piece.condition, owner)


def _members(solution: Solution, start: int, period: int) -> int:
    """The members below `start`, and in one period from there, as bits."""
    bits = 0
    for part in solution.exceptions:
        for n in part:
            bits |= 1 << n
    once = sum(1 << (residue - solution.start) % solution.period for residue in solution.residues)
    length = start + period - solution.start
    times = -(-length // solution.period)
    pattern = ((1 << solution.period * times) - 1) // ((1 << solution.period) - 1) * once  # `once`, side by side
    return bits | (pattern & ((1 << length) - 1)) << solution.start


def _cover(wanted: int, excluded: Sequence[int]) -> list[int]:
    """Numbers of sets that together exclude all that is wanted, in order, none of them superfluous."""
    chosen: list[int] = []
    left = wanted
    while left:
        best = max(range(len(excluded)), key=lambda i: (_count(excluded[i] & left), -i))
        if not excluded[best] & left:
            break
        chosen.append(best)
        left &= ~excluded[best]
    for index in list(chosen):
        rest = 0
        for other in chosen:
            rest |= excluded[other] if other != index else 0
        if wanted & ~rest == 0:
            chosen.remove(index)
    return sorted(chosen)


def _count(bits: int) -> int:
    return bin(bits).count("1")
