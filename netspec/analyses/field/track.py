"""How a receptive field moves: the interval of an input axis that output position o sees, as a function of o.

Behind convolutions and pooling it is an arithmetic sequence, `[-P + S o, -P + S o + r - 1]` (Araujo, Norris and Sim,
"Computing Receptive Fields of Convolutional Neural Networks", Distill 2019, doi:10.23915/distill.00021). Behind anything that
enlarges, it depends on the phase of o as well: the padding-free U-Net sees 188 rows from output rows 0 to 3 of each 16 and 204
from the others, where the formula says 200. So a `Track` keeps a table: both ends for one period of positions, and how far on
the next period is. Such maps are closed under composition and, at equal strides, under union; all of it is exact.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Callable, Iterable, Optional, Sequence, Union

from netspec.analyses.field.taps import Taps
from netspec.record import record

#: How many phases a table may have. Beyond, it holds the real output positions, and beyond that, bounds of one slope.
MAX_PERIOD = 4096
#: How long an axis may be for those bounds; on a longer one the field is said to be everything.
MAX_BOUNDED = 65_536

#: First and last input position of an output position; None where nothing reaches it.
Ends = Optional[tuple[int, int]]


@record
class Track:
    """The interval that output position o sees: `ends[o % period]`, moved by `advance * (o // period)`; borders do not cut it.

    `whole`: every position sees the whole axis, and the other fields say nothing. `aligned` is False where paths of other
    strides or centres were joined on the way, `approximate` where the interval is only a bound.
    """

    period: int
    advance: int
    ends: tuple[Ends, ...]
    whole: bool = False
    aligned: bool = True
    approximate: bool = False

    @property
    def stride(self) -> Fraction:
        """Input positions a step of the output position, on average; 0 where it does not move."""
        return Fraction(self.advance, self.period)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many positions the interval has, by phase: 0 where nothing is seen."""
        return tuple(0 if e is None else e[1] - e[0] + 1 for e in self.ends)

    @property
    def size(self) -> Union[int, float]:
        """The largest size over the phases; `inf` where the whole axis is seen."""
        return math.inf if self.whole else max(self.sizes)

    def largest(self, length: int) -> Union[int, float]:
        """The largest size over the output positions 0 to `length` - 1: of a long period not every phase may be there."""
        return math.inf if self.whole else max(self.sizes[:length])

    @property
    def smallest(self) -> Union[int, float]:
        """The smallest size over the phases; `inf` where the whole axis is seen."""
        return math.inf if self.whole else min(self.sizes)

    @property
    def padding(self) -> int:
        """The effective padding: so many positions before the input does the field of position 0 begin."""
        return next((-e[0] for e in self.ends if e is not None), 0)

    @property
    def centre(self) -> Fraction:
        """Where the middle of the field of position 0 lies, on average over the phases."""
        middles = [Fraction(e[0] + e[1], 2) - o * self.stride for o, e in enumerate(self.ends) if e is not None]
        return sum(middles, Fraction(0)) / max(len(middles), 1)

    @property
    def monotone(self) -> bool:
        """Whether every phase sees something, and neither end ever steps back."""
        if None in self.ends:
            return False
        if self.period == 1:
            return True
        after = (*self.ends[1:], self.at(self.period))
        return all(a[0] <= b[0] and a[1] <= b[1] for a, b in zip(self.ends, after))  # type: ignore[index]

    def at(self, output: int) -> Ends:
        """First and last input position that an output position sees."""
        turns, phase = divmod(output, self.period)
        ends = self.ends[phase]
        return None if ends is None else (ends[0] + turns * self.advance, ends[1] + turns * self.advance)


#: Every position sees the whole axis.
WHOLE = Track(1, 0, ((0, 0),), whole=True)
#: The same, where that is a bound: the field depends on several axes at once.
BOUND = Track(1, 0, ((0, 0),), whole=True, approximate=True)
#: Every position sees itself: an input.
ITSELF = Track(1, 1, ((0, 0),))


def held(track: Track, position: int) -> Track:
    """What every position sees where one position of the axis is picked: the same, for all."""
    return track if track.whole else Track(1, 0, (track.at(position),), False, track.aligned, track.approximate)


def compose(track: Track, taps: Taps, length: int) -> Track:
    """What the output of an operator sees, whose input sees `track`. `length`: of the output axis."""
    if track.whole:
        return track
    ends = track.ends[0]
    if track.period == 1 and taps.period == 1 and ends is not None:
        used = taps.table[0]
        moved = ends[0] + used[0] * track.advance, ends[1] + used[-1] * track.advance
        return Track(1, taps.advance * track.advance, (moved,), False, track.aligned, track.approximate)
    repeats = track.period // math.gcd(taps.advance, track.period)
    period, advance = taps.period * repeats, taps.advance * repeats // track.period * track.advance
    monotone = track.monotone
    if period > MAX_PERIOD:
        return _real(lambda o: _hull(track, taps.at(o), monotone), Fraction(advance, period), length, track.aligned, track.approximate)
    table = tuple(_hull(track, taps.at(o), monotone) for o in range(period))
    return reduced(Track(period, advance, table, False, track.aligned, track.approximate))


def _hull(track: Track, positions: Sequence[int], monotone: bool) -> Ends:
    """The interval that holds what the positions see."""
    if not positions:
        return None
    if monotone:
        return track.at(positions[0])[0], track.at(positions[-1])[1]  # type: ignore[index]
    return _union(track.at(p) for p in positions)


def _union(intervals: Iterable[Ends]) -> Ends:
    """The smallest interval that holds all of them."""
    found = [i for i in intervals if i is not None]
    return (min(i[0] for i in found), max(i[1] for i in found)) if found else None


def _real(seen: Callable[[int], Ends], stride: Fraction, length: int, aligned: bool, approximate: bool) -> Track:
    """What has too long a period, or none because two strides meet: the truth at the `length` real positions while a table
    holds it, beyond that intervals of one stride that contain it, beyond that everything."""
    stride = stride.limit_denominator(MAX_PERIOD)
    if length > MAX_PERIOD:
        return _bounds(seen, stride, length, aligned) if length <= MAX_BOUNDED else BOUND
    around = length // 4  # positions beyond the ends, which windows over a border ask for: they see what the last one sees, moved
    period = stride.denominator * -(-(length + 2 * around) // stride.denominator)
    table: list[Ends] = []
    for o in range(period):
        outside = o - period if o >= length + around else max(0, o - length + 1)
        real = 0 if outside < 0 else min(o, length - 1)
        table.append(_moved(seen(real), math.floor(outside * stride) + (int(period * stride) if outside < 0 else 0)))
    return Track(period, int(period * stride), tuple(table), False, aligned, approximate)


def _bounds(seen: Callable[[int], Ends], stride: Fraction, length: int, aligned: bool) -> Track:
    """Intervals of one stride that contain what every real position sees."""
    step, steps = stride.numerator, stride.denominator
    found = [(ends[0] * steps - o * step, ends[1] * steps - o * step) for o in range(length) if (ends := seen(o)) is not None]
    low, high = min((f[0] for f in found), default=0), max((f[1] for f in found), default=0)
    table = tuple(((low + o * step) // steps, -(-(high + o * step) // steps)) for o in range(steps))
    return Track(steps, step, table, False, aligned, True)


def reduced(track: Track) -> Track:
    """The same with the shortest period."""
    for period in range(1, track.period // 2 + 1):
        if track.period % period == 0 and track.advance * period % track.period == 0:
            step = track.advance * period // track.period
            if all(_moved(track.ends[o], step) == track.ends[o + period] for o in range(track.period - period)):
                return Track(period, step, track.ends[:period], track.whole, track.aligned, track.approximate)
    return track


def _moved(ends: Ends, by: int) -> Ends:
    return None if ends is None else (ends[0] + by, ends[1] + by)


def together(left: Track, right: Track) -> bool:
    """Whether two tracks have one stride and one centre: what can be joined without the field growing lopsided."""
    if left.period == right.period == 1 and left.ends[0] and right.ends[0]:
        return left.advance == right.advance and sum(left.ends[0]) == sum(right.ends[0])
    return left.stride == right.stride and left.centre == right.centre


def join(left: Track, right: Track, length: int) -> Track:
    """The smallest intervals that hold both; exact for an axis of `length` positions even where the strides differ."""
    if left.whole or right.whole or left is right:
        return left if left.whole and not left.approximate else right if right.whole else left
    aligned = left.aligned and right.aligned and together(left, right)
    approximate = left.approximate or right.approximate
    if left.stride == right.stride:
        period = math.lcm(left.period, right.period)
        if period <= MAX_PERIOD:
            table = tuple(_union((left.at(o), right.at(o))) for o in range(period))
            return reduced(Track(period, int(period * left.stride), table, False, aligned, approximate))
    widest = max(left, right, key=lambda t: t.size)
    return _real(lambda o: _union((left.at(o), right.at(o))), widest.stride, length, aligned, approximate)
