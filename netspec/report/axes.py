"""Axes of charts: round numbers to put at them, and how these are written."""

from __future__ import annotations

import math
from collections.abc import Callable

from netspec.record import record

#: factors of a thousand, and of 1,024 for bytes
_THOUSANDS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_BINARY = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


@record
class Axis:
    """A vertical axis from `low` to `high`: where a value stands (0 at the bottom, 1 at the top), its ticks and their texts."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """Where a value stands; what is beyond the ends stands at them."""
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log10(low), math.log10(high), math.log10(max(value, 1e-300))
        return min(max((value - low) / ((high - low) or 1), 0.0), 1.0)


def linear(most: float, text: Callable[[float], str], unit: float = 1.0) -> Axis:
    """From 0 to a little more than `most`, with two to five ticks at round multiples of `unit`."""
    most = max(most, unit)
    raw = most / unit / 4
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(s * power for s in (1, 2, 2.5, 5, 10) if s * power >= raw * 0.999) * unit
    ticks = [n * step for n in range(1 + int(most / step + 1e-9))]
    return Axis(0, most * 1.06, tuple((tick, text(tick)) for tick in ticks))


def counts(most: float) -> Axis:
    """An axis of counts: `500 k`."""
    return linear(most, compact)


def bytes_axis(most: float) -> Axis:
    """An axis of bytes: `4 MiB`."""
    unit = next((size for size, _ in _BINARY if most >= size), 1)
    return linear(most, lambda value: _scaled(value, _BINARY, " B"), unit)


def logarithmic(least: float, most: float) -> Axis:
    """Powers of ten around values, at least from a tenth to ten, with at most five ticks."""
    low, high = math.floor(math.log10(min(least, 0.1))), math.ceil(math.log10(max(most, 10.0)))
    step = max(1, math.ceil((high - low) / 4))
    powers = sorted({*range(0, high + 1, step), *range(0, low - 1, -step)})
    return Axis(10.0**low, 10.0**high, tuple((10.0**p, _power(p)) for p in powers if low <= p <= high), logarithmic=True)


def compact(value: float) -> str:
    """A count in few characters: `64`, `9.41 k`, `118 M`, `4.09 G`."""
    return _scaled(value, _THOUSANDS, "")


def _scaled(value: float, units: tuple[tuple[float, str], ...], plain: str) -> str:
    for size, name in units:
        if abs(value) >= size * 0.9995:
            return f"{_digits(value / size)} {name}"
    return f"{_digits(value)}{plain}" if value else "0"


def _digits(value: float) -> str:
    """Three significant digits, without zeros at the end of a fraction, never as a power."""
    return f"{value:.0f}" if abs(value) >= 999.5 else f"{value:.3g}"


def _power(exponent: int) -> str:
    """`0.01`, `1`, `100`, then `10⁶`."""
    if -2 <= exponent <= 3:
        return f"{10.0**exponent:g}"
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
