"""What a searched value is drawn from, in numbers: the values of a grid, the one that a trial gets, and how it is written down.

Numbers from a continuous range are rounded to four digits: they are to be written into a spec, and no training can tell them apart
from those that were drawn.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Union

from netspec.recipe.settings import Choice, Int, Log, Uniform
from netspec.syntax.layout import quoted

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial

Range = Union[Log, Uniform, Int, Choice]

#: significant digits of a number from a continuous range
DIGITS = 4


# --------------------------------------------------------------------------------------------------------- finite sets
def values(range_: Range, points: int | None = None) -> tuple[Any, ...] | None:
    """All values of a range, in order, each once; None where it is continuous and `points` does not say how many to take of it.

    `points` are spaced evenly, in a logarithmic range by their logarithms; both ends are among them.

    >>> values(Uniform(low=0, high=0.5, step=0.1))
    (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
    >>> values(Log(low=1e-4, high=1)), values(Log(low=1e-4, high=1.0), 5)
    (None, (0.0001, 0.001, 0.01, 0.1, 1.0))
    """
    if isinstance(range_, Choice):
        return tuple({spelled(value): value for value in range_.values}.values())
    if isinstance(range_, Int) and not (range_.log and points):
        return tuple(range(range_.low, range_.high + 1, range_.step))
    if isinstance(range_, Uniform) and range_.step is not None:
        return _steps(range_.low, range_.high, range_.step)
    if points is None:
        return None
    spaced = (between(range_, part / (points - 1) if points > 1 else 0.5) for part in range(points))
    return tuple(dict.fromkeys(spaced))


def _steps(low: float, high: float, step: float) -> tuple[float, ...]:
    """`low`, `low + step`, … up to `high`, without the rounding errors of binary addition; whole numbers where both are whole."""
    start, by = Decimal(repr(low)), Decimal(repr(step))
    whole = start == int(start) and by == int(by)
    count = int((Decimal(repr(high)) - start) / by)
    found = (start + by * k for k in range(count + 1))
    return tuple(int(value) if whole else float(value) for value in found)


def between(range_: Range, part: float) -> Any:
    """The value a share `part` of the way through a range (0 its first, 1 its last), by the logarithm where the range has one."""
    if isinstance(range_, Choice):
        return range_.values[min(int(part * len(range_.values)), len(range_.values) - 1)]
    if isinstance(range_, Uniform) and range_.step is not None:
        steps = _steps(range_.low, range_.high, range_.step)
        return steps[min(int(part * len(steps)), len(steps) - 1)]
    if part in (0, 1) and not isinstance(range_, Int):
        return range_.high if part else range_.low
    if isinstance(range_, Log) or (isinstance(range_, Int) and range_.log):
        value = math.exp(math.log(range_.low) + part * (math.log(range_.high) - math.log(range_.low)))
    else:
        value = range_.low + part * (range_.high - range_.low)
    if isinstance(range_, Int):
        return min(range_.low + round((value - range_.low) / range_.step) * range_.step, range_.high)
    return _rounded(value, range_.low, range_.high)


def _rounded(value: float, low: float, high: float) -> float:
    """A number to four significant digits, within its bounds."""
    return min(max(float(f"{value:.{DIGITS}g}"), float(low)), float(high))


# -------------------------------------------------------------------------------------------------------------- drawing
def draw(trial: "Trial | FrozenTrial", name: str, range_: Range) -> Any:
    """The value that a trial of Optuna's has for a range, drawn by its study's sampler where it has none yet."""
    if isinstance(range_, Choice):
        known = {spelled(value): value for value in range_.values}
        return known[trial.suggest_categorical(name, list(known))]
    if isinstance(range_, Int):
        last = range_.high if range_.log else range(range_.low, range_.high + 1, range_.step)[-1]
        return trial.suggest_int(name, range_.low, last, step=range_.step, log=range_.log)
    if isinstance(range_, Uniform) and range_.step is not None:
        steps = _steps(range_.low, range_.high, range_.step)
        drawn = trial.suggest_float(name, steps[0], steps[-1], step=range_.step)
        return min(steps, key=lambda value: abs(value - drawn))
    return _rounded(trial.suggest_float(name, range_.low, range_.high, log=isinstance(range_, Log)), range_.low, range_.high)


def stored(range_: Range, value: Any) -> Any:
    """A value as Optuna's storage holds it: one of a list by its text, for any type of value."""
    return spelled(value) if isinstance(range_, Choice) else value


# -------------------------------------------------------------------------------------------------------------- writing
def spelled(value: Any) -> str:
    """A value in the language's own spelling, which compiles to the same value.

    >>> spelled(1e-05), spelled([0.5, True, None, "relu"])
    ('1e-5', '[0.5, true, none, "relu"]')
    """
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return re.sub(r"e(-?)\+?0*", r"e\1", repr(value))
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(spelled, value))}]"
    return quoted(value) if isinstance(value, str) else str(value)


def shown(range_: Range) -> str:
    """A range as it is written in a spec.

    >>> shown(Log(low=1e-4, high=1)), shown(Choice(values=(0, 0.9)))
    ('log(0.0001, 1.0)', '[0, 0.9]')
    """
    if isinstance(range_, Choice):
        return spelled(range_.values)
    given = [(name, getattr(range_, name)) for name in type(range_).model_fields]
    words = [
        spelled(value) if number < 2 else f"{name} = {spelled(value)}"
        for number, (name, value) in enumerate(given)
        if number < 2 or value != type(range_).model_fields[name].default
    ]
    return f"{range_.NAME}({', '.join(words)})"
