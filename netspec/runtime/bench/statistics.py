"""Numbers about times: medians with their spread, when warm-up is over, and ratios of what ran side by side.

Times of runs are skewed (nothing is ever faster than the machine, much is slower), so means and standard deviations mislead.
"""

from __future__ import annotations

from collections.abc import Sequence

from netspec.record import record

#: warm-up is over when the last so many runs are no faster, by more than this share, than any before
WINDOW, GAIN = 3, 0.05


@record
class Spread:
    """Of `count` numbers the median, the quartiles, and the median absolute deviation."""

    median: float
    low: float
    high: float
    deviation: float
    count: int


def quantile(numbers: Sequence[float], share: float) -> float:
    """The number below which this share lies, linear between neighbours (Hyndman and Fan 1996, type 7).

    >>> quantile([1, 2, 3, 4], 0.5), quantile([4, 1, 3], 0.25)
    (2.5, 2.0)
    """
    ordered = sorted(numbers)
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def spread(numbers: Sequence[float]) -> Spread:
    """Median, quartiles and deviation. Raises ValueError for no numbers."""
    if not numbers:
        raise ValueError("there are no numbers")
    middle = quantile(numbers, 0.5)
    deviation = quantile([abs(number - middle) for number in numbers], 0.5)
    return Spread(middle, quantile(numbers, 0.25), quantile(numbers, 0.75), deviation, len(numbers))


def settled(times: Sequence[float]) -> bool:
    """Whether runs have stopped getting faster: of the last few, the fastest gains next to nothing on all before.

    >>> settled([9.0, 3.0, 1.0, 0.7]), settled([9.0, 1.0, 1.1, 1.2, 0.99])
    (False, True)
    """
    if len(times) <= WINDOW:
        return False
    return min(times[-WINDOW:]) >= (1 - GAIN) * min(times[:-WINDOW])


def speeds(reference: Sequence[Sequence[float]], own: Sequence[Sequence[float]]) -> Spread | None:
    """How many times as fast as the reference: the ratio of medians in every round that both ran in, and the spread over rounds.

    What slows a whole round hits both sides of its ratio, and cancels. None where no round has both.
    """
    ratios = [quantile(a, 0.5) / quantile(b, 0.5) for a, b in zip(reference, own) if a and b and quantile(b, 0.5) > 0]
    return spread(ratios) if ratios else None
