"""The taps of one operator along one axis: which input positions an output position uses, for every output position.

They repeat: `period` outputs further on, every tap is `advance` inputs further on. A strided window has period 1 and its
stride as advance, a transposed convolution the stride as period and advance 1, an interpolation from n to m positions the
reduced fraction n / m. Borders are left out: input and output go on for ever. What a border does with a tap that falls
outside is `border_of`'s answer.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any, Callable, Sequence, Union

from netspec import reach as r
from netspec.record import record

_HALF = Fraction(1, 2)


class OnDemand:
    """A table whose entries are computed when they are asked for: interpolation may have as many phases as there are outputs."""

    def __init__(self, entry: Callable[[int], Sequence[int]]) -> None:
        self._entry = cache(entry)

    def __getitem__(self, phase: int) -> Sequence[int]:
        return self._entry(phase)


@record
class Taps:
    """Output position o uses `table[o % period]`, each moved by `advance * (o // period)`; entries ascend, and may be empty."""

    period: int
    advance: int
    table: Union[tuple[Sequence[int], ...], OnDemand]

    def at(self, output: int) -> Sequence[int]:
        """The input positions that an output position uses, in ascending order."""
        turns, phase = divmod(output, self.period)
        taps, moved = self.table[phase], turns * self.advance
        if isinstance(taps, range):
            return range(taps.start + moved, taps.stop + moved, taps.step)
        return tuple(t + moved for t in taps)


@lru_cache(maxsize=4096)
def taps_of(look: r.AxisReach, n: int, m: int) -> Taps | None:
    """The taps of an operator that looks from an output axis of length m at an input axis of length n.

    None where a position sees all of the axis, or all before it (`All`, `Causal`).
    """
    make = _TAPS[type(look)]
    return None if make is None else make(look, n, m)


def border_of(look: r.AxisReach) -> str:
    """What stands outside of the input: `zeros` (nothing), `reflect`, `replicate` or `circular`, as in `reach.Window`."""
    if isinstance(look, (r.Window, r.Shift)):
        return look.mode
    if isinstance(look, r.Resample) and not look.antialias and look.mode != "area":
        return "replicate"  # interpolation holds its taps inside
    return "zeros"


def _window(look: r.Window, n: int, m: int) -> Taps:
    first = -look.padding
    return Taps(1, look.stride, (range(first, first + look.dilation * (look.kernel - 1) + 1, look.dilation),))


def _transposed(look: r.Transposed, n: int, m: int) -> Taps:
    """Of the kernel's taps j, those for which `o + padding - dilation * j` divides by the stride."""
    step = look.stride // math.gcd(look.dilation, look.stride)  # every so many taps meet an input again
    down = look.dilation * step // look.stride  # and it is so many inputs before
    table = []
    for o in range(look.stride):
        first = next((j for j in range(min(step, look.kernel)) if (o + look.padding - look.dilation * j) % look.stride == 0), None)
        if first is None:
            table.append(range(0))
            continue
        last = (o + look.padding - look.dilation * first) // look.stride
        count = (look.kernel - 1 - first) // step
        table.append(range(last - down * count, last + 1, down))
    return Taps(look.stride, 1, tuple(table))


def _resample(look: r.Resample, n: int, m: int) -> Taps:
    ratio = _ratio(look, n, m)
    find = _INTERPOLATIONS[look.mode]
    return Taps(ratio.denominator, ratio.numerator, OnDemand(lambda o: find(look, o, ratio)))


def _ratio(look: r.Resample, n: int, m: int) -> Fraction:
    """Input positions a step of the output."""
    if look.align_corners:
        return Fraction(n - 1, max(m - 1, 1))
    if look.scale is not None and look.mode != "area":
        return 1 / look.scale
    return Fraction(n, m)


def _nearest(look: r.Resample, o: int, ratio: Fraction) -> Sequence[int]:
    at = math.floor((o if look.mode == "nearest" else o + _HALF) * ratio)
    return range(at, at + 1)


def _smooth(look: r.Resample, o: int, ratio: Fraction) -> Sequence[int]:
    """Linear and cubic interpolation: a tap where the kernel's weight is not zero, which it is at whole distances."""
    reach, step, steps = (2 if look.mode == "cubic" else 1), ratio.numerator, ratio.denominator
    if look.antialias:
        return _widened(reach * max(ratio, Fraction(1)), (o + _HALF) * ratio - _HALF, max(ratio, Fraction(1)))
    low, rest = divmod(o * step, steps) if look.align_corners else divmod((2 * o + 1) * step - steps, 2 * steps)
    return range(low - reach + 1, low + reach + 1) if rest else range(low, low + 1)


def _widened(half: Fraction, x: Fraction, width: Fraction) -> Sequence[int]:
    """The taps of a kernel around x that is stretched to `width`, up to `half` on either side."""
    inside = range(math.ceil(x - half), math.floor(x + half) + 1)
    found = [i for i in inside if abs(i - x) / width not in (1, 2)]
    return range(found[0], found[-1] + 1) if found[-1] - found[0] == len(found) - 1 else tuple(found)


def _area(look: r.Resample, o: int, ratio: Fraction) -> Sequence[int]:
    return range(math.floor(o * ratio), math.ceil((o + 1) * ratio))


_INTERPOLATIONS: dict[str, Callable[[r.Resample, int, Fraction], Sequence[int]]] = {
    "nearest": _nearest,
    "nearest-exact": _nearest,
    "linear": _smooth,
    "cubic": _smooth,
    "area": _area,
}


def _adaptive(look: r.Adaptive, n: int, m: int) -> Taps:
    return _resample(r.Resample(look.axis, "area"), n, m)


def _blocks(look: r.Blocks, n: int, m: int) -> Taps:
    if look.up:
        return Taps(look.factor, 1, (range(1),) * look.factor)
    return Taps(1, look.factor, (range(look.factor),))


def _shift(look: r.Shift, n: int, m: int) -> Taps:
    return Taps(1, look.step, (range(look.offset, look.offset + 1),))


def _same(look: r.Same, n: int, m: int) -> Taps:
    return Taps(1, 1, (range(1),))


_TAPS: dict[type, Any] = {
    r.Same: _same,
    r.Window: _window,
    r.Transposed: _transposed,
    r.Resample: _resample,
    r.Adaptive: _adaptive,
    r.Blocks: _blocks,
    r.Shift: _shift,
    r.Causal: None,
    r.All: None,
}
