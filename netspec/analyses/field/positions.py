"""Sets of positions along an axis, as the bits of one integer: unions, moves and strides of thousands at machine speed."""

from __future__ import annotations

import math
import re
from typing import Iterable, Iterator, Sequence, Union


class Positions:
    """An immutable set of integers, which may be negative. Bit i of `bits` stands for position `origin + i`.

    The lowest bit is always set, so that equal sets are equal; the empty set has no bits and origin 0.
    """

    __slots__ = ("origin", "bits")

    def __init__(self, origin: int, bits: int) -> None:
        low = (bits & -bits).bit_length() - 1 if bits else 0
        self.origin = origin + low if bits else 0
        self.bits = bits >> low

    @staticmethod
    def of(positions: Iterable[int]) -> Positions:
        """The set of these positions."""
        found = list(positions)
        origin = min(found, default=0)
        bits = 0
        for position in found:
            bits |= 1 << (position - origin)
        return Positions(origin, bits)

    @staticmethod
    def span(start: int, end: int) -> Positions:
        """All positions from `start` to `end`, both included."""
        return Positions(start, (1 << max(0, end - start + 1)) - 1)

    # ------------------------------------------------------------------------------------------------------ questions
    @property
    def start(self) -> Union[int, float]:
        """The first position. Raises ValueError where there is none."""
        self._need()
        return self.origin

    @property
    def end(self) -> Union[int, float]:
        """The last position. Raises ValueError where there is none."""
        self._need()
        return self.origin + self.bits.bit_length() - 1

    @property
    def size(self) -> Union[int, float]:
        """How long the stretch from the first to the last position is."""
        return self.bits.bit_length()

    @property
    def count(self) -> Union[int, float]:
        """How many positions there are."""
        return self.bits.bit_count()

    @property
    def coverage(self) -> float:
        """The share of the stretch that belongs to the set; 1 without holes."""
        return self.count / self.size if self.bits else 1.0

    @property
    def runs(self) -> tuple[range, ...]:
        """The set as maximal runs of neighbours, in order."""
        return self._stretches("1+")

    @property
    def holes(self) -> tuple[range, ...]:
        """The gaps between the runs, in order."""
        return self._stretches("0+")

    def _stretches(self, pattern: str) -> tuple[range, ...]:
        text = format(self.bits, "b")[::-1] if self.bits else ""
        return tuple(range(self.origin + m.start(), self.origin + m.end()) for m in re.finditer(pattern, text))

    def _need(self) -> None:
        if not self.bits:
            raise ValueError("no position belongs to the set")

    def __iter__(self) -> Iterator[int]:
        return (position for run in self.runs for position in run)

    def __len__(self) -> int:
        return int(self.count)

    def __bool__(self) -> bool:
        return self.bits != 0

    def __contains__(self, position: object) -> bool:
        return isinstance(position, int) and position >= self.origin and self.bits >> (position - self.origin) & 1 == 1

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and (self.origin, self.bits) == (other.origin, other.bits)

    def __hash__(self) -> int:
        return hash((self.origin, self.bits))

    def __repr__(self) -> str:
        parts = ", ".join(str(r[0]) if len(r) == 1 else f"{r[0]}..{r[-1]}" for r in self.runs)
        return f"Positions({{{parts}}})"

    # ------------------------------------------------------------------------------------------------------ new sets
    def __or__(self, other: Positions) -> Positions:
        """The union."""
        if other is EVERYWHERE or self is other or not self.bits:
            return other
        if not other.bits:
            return self
        if self.origin <= other.origin:
            return Positions(self.origin, self.bits | other.bits << (other.origin - self.origin))
        return Positions(other.origin, other.bits | self.bits << (self.origin - other.origin))

    def moved(self, by: int) -> Positions:
        """Every position `by` further on."""
        return Positions(self.origin + by, self.bits)

    def within(self, length: int) -> Positions:
        """Those from 0 to `length - 1`."""
        if self.origin < 0:
            return Positions(0, self.bits >> -self.origin & ((1 << length) - 1))
        kept = max(0, length - self.origin)
        return self if self.bits.bit_length() <= kept else Positions(self.origin, self.bits & ((1 << kept) - 1))

    def spread(self, factor: int) -> Positions:
        """Every position times `factor`: at least 0."""
        if factor == 1 or self.bits <= 1:
            return Positions(self.origin * factor, self.bits)
        if factor == 0:
            return Positions(0, 1)
        return Positions(self.origin * factor, int(("0" * (factor - 1)).join(format(self.bits, "b")), 2))

    def every(self, step: int, phase: int) -> Positions:
        """The t for which `phase + step * t` belongs to the set."""
        if step == 1:
            return self.moved(-phase)
        first = -(-(self.origin - phase) // step)  # the least t that may
        text = format(self.bits, "b")[::-1][phase + step * first - self.origin :: step]
        return Positions(first, int(text[::-1], 2)) if text else NOWHERE

    def tapped(self, taps: Sequence[int]) -> Positions:
        """Every sum of a position and a tap."""
        if not taps or not self.bits:
            return NOWHERE
        if not isinstance(taps, range):
            return Positions(self.origin + taps[0], _any(self.bits << (t - taps[0]) for t in taps))
        bits, have = self.bits, 1
        while have < len(taps):
            more = min(have, len(taps) - have)
            bits |= bits << (taps.step * more)
            have += more
        return Positions(self.origin + taps[0], bits)


class _Everywhere(Positions):
    """Every position of an axis without ends: start -inf, end inf, and nothing changes it."""

    __slots__ = ()

    start, end = -math.inf, math.inf
    size = count = math.inf
    coverage, runs, holes = 1.0, (), ()

    def __or__(self, other: Positions) -> Positions:
        return self

    def __contains__(self, position: object) -> bool:
        return True

    def __iter__(self) -> Iterator[int]:
        raise TypeError("an axis without ends has no first position")

    def __repr__(self) -> str:
        return "EVERYWHERE"


def _any(parts: Iterable[int]) -> int:
    found = 0
    for part in parts:
        found |= part
    return found


NOWHERE = Positions(0, 0)
EVERYWHERE = _Everywhere(0, 1)
