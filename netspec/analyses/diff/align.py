"""Alignment of two sequences: which entry of one stands where which entry of the other does.

What is the same at both ends is cut off first; then the best alignment is found by dynamic programming (Needleman and Wunsch,
"A general method applicable to the search for similarities in the amino acid sequence of two proteins", J. Mol. Biol. 48, 1970).
That takes time with the product of the lengths, so long sequences are cut at what surely corresponds: the shortest edit script
of their keys (Myers, "An O(ND) difference algorithm", Algorithmica 1, 1986), given up beyond a few hundred edits; then entries
of one name, in the longest run that keeps the order.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

from netspec.record import record

T = TypeVar("T")
#: Pairs of positions, rising in both.
Pairs = list[tuple[int, int]]

#: How many cells the table of the dynamic programme may have: a few hundredths of a second.
_MOST_CELLS = 20_000
#: How many edits the shortest edit script may have.
_MOST_EDITS = 400


@record
class Likeness:
    """How entries compare. `key`: entries of one key are alike. `name`: what they are called. `score`: what it is worth to align
    two, None where they cannot be."""

    key: Callable[[Any], bytes]
    name: Callable[[Any], Hashable]
    score: Callable[[Any, Any], "int | None"]


def align(first: Sequence[T], second: Sequence[T], likeness: Likeness) -> Pairs:
    """Positions that correspond, rising in both sequences.

    Exchanging the sequences exchanges the pairs and nothing else: of alignments equally good, the same one is found.
    """
    left, right = [likeness.key(x) for x in first], [likeness.key(x) for x in second]
    if (len(left), left) > (len(right), right):
        return [(i, j) for j, i in _Aligner(second, first, right, left, likeness).pairs()]
    return _Aligner(first, second, left, right, likeness).pairs()


class _Aligner:
    """One alignment. All positions are those of the whole sequences; ranges leave out their ends."""

    def __init__(self, first: Sequence[T], second: Sequence[T], left: list[bytes], right: list[bytes], likeness: Likeness) -> None:
        self.first, self.second, self.left, self.right, self.likeness = first, second, left, right, likeness
        self.names = [likeness.name(x) for x in first], [likeness.name(x) for x in second]

    def pairs(self) -> Pairs:
        """All pairs."""
        return sorted(self._between(0, len(self.left), 0, len(self.right)))

    def _between(self, a: int, b: int, c: int, d: int) -> Pairs:
        """Align positions a to b of the first with c to d of the second."""
        found: Pairs = []
        while a < b and c < d and self._same(a, c):
            found.append((a, c))
            a, c = a + 1, c + 1
        while a < b and c < d and self._same(b - 1, d - 1):
            b, d = b - 1, d - 1
            found.append((b, d))
        if a == b or c == d:
            return found
        if (b - a) * (d - c) <= _MOST_CELLS:
            return found + self._best(a, b, c, d)
        anchors = shortest_edit(self.left[a:b], self.right[c:d]) or self._named(a, b, c, d)
        if not anchors:
            return found + self._in_order(a, b, c, d)
        for i, j in [*((a + i, c + j) for i, j in anchors), (b, d)]:
            found += self._between(a, i, c, j)
            if (i, j) != (b, d):
                found.append((i, j))
            a, c = i + 1, j + 1
        return found

    def _same(self, i: int, j: int) -> bool:
        return self.left[i] == self.right[j] and self.names[0][i] == self.names[1][j]

    def _best(self, a: int, b: int, c: int, d: int) -> Pairs:
        """The alignment of the highest score."""
        score = self.likeness.score
        worth = [[score(self.first[i], self.second[j]) for j in range(c, d)] for i in range(a, b)]
        table = [[0] * (d - c + 1)]
        for row in worth:
            above, line = table[-1], [0]
            for j, value in enumerate(row):
                best = above[j + 1] if above[j + 1] >= line[j] else line[j]
                line.append(best if value is None or above[j] + value <= best else above[j] + value)
            table.append(line)
        found: Pairs = []
        i, j = b - a, d - c
        while i and j:
            value = worth[i - 1][j - 1]
            if value is not None and table[i][j] == table[i - 1][j - 1] + value:
                i, j = i - 1, j - 1
                found.append((a + i, c + j))
            elif table[i][j] == table[i - 1][j]:
                i -= 1
            else:
                j -= 1
        return found

    def _named(self, a: int, b: int, c: int, d: int) -> Pairs:
        """Entries of one name, the longest run of them that keeps the order; positions count from a and c."""
        places = {self.names[1][j]: j - c for j in range(c, d)}
        both = [(i - a, places[self.names[0][i]]) for i in range(a, b) if self.names[0][i] in places]
        return rising([(i, j) for i, j in both if self.likeness.score(self.first[a + i], self.second[c + j]) is not None])

    def _in_order(self, a: int, b: int, c: int, d: int) -> Pairs:
        """Without anything to hold on to: each entry with the next that it can be aligned with."""
        found: Pairs = []
        for i in range(a, b):
            reach = range(c, min(c + _MOST_EDITS, d))
            j = next((j for j in reach if self.likeness.score(self.first[i], self.second[j]) is not None), None)
            if j is not None:
                found.append((i, j))
                c = j + 1
        return found


def rising(pairs: Pairs) -> Pairs:
    """The longest subsequence of pairs, rising in the first, that rises in the second, too (patience sorting)."""
    tops: list[int] = []
    ends: list[int] = []
    before: list[int] = []
    for index, (_, j) in enumerate(pairs):
        pile = bisect_left(tops, j)
        before.append(ends[pile - 1] if pile else -1)
        tops[pile : pile + 1] = [j]
        ends[pile : pile + 1] = [index]
    found: Pairs = []
    index = ends[-1] if ends else -1
    while index >= 0:
        found.append(pairs[index])
        index = before[index]
    return found[::-1]


def shortest_edit(first: Sequence[Hashable], second: Sequence[Hashable]) -> Pairs:
    """A longest common subsequence as pairs of positions; nothing where more than `_MOST_EDITS` entries would not be in it."""
    n, m = len(first), len(second)
    furthest = {1: 0}
    trace: list[dict[int, int]] = []
    for edits in range(min(n + m, _MOST_EDITS) + 1):
        trace.append(dict(furthest))
        for k in range(-edits, edits + 1, 2):
            down = k == -edits or k != edits and furthest[k - 1] < furthest[k + 1]
            x = furthest[k + 1] if down else furthest[k - 1] + 1
            while x < n and x - k < m and first[x] == second[x - k]:
                x += 1
            furthest[k] = x
            if x >= n and x - k >= m:
                return _retrace(trace, n, m)
    return []


def _retrace(trace: list[dict[int, int]], x: int, y: int) -> Pairs:
    """The diagonals on the way back from the end."""
    found: Pairs = []
    for edits in range(len(trace) - 1, -1, -1):
        furthest, k = trace[edits], x - y
        down = k == -edits or k != edits and furthest[k - 1] < furthest[k + 1]
        start = furthest[k + 1] if down else furthest[k - 1]
        first = start if down else start + 1
        while x > first:
            x, y = x - 1, y - 1
            found.append((x, y))
        x, y = start, start - (k + 1 if down else k - 1)
    return found[::-1]
