"""The figure of a summary: what each layer costs and sees, and how large signals are, from the first layer to the last."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullLocator

from netspec.backends.plot.style import AMBER, BLUE, GREY, HAIR, PALE, TEAL, check_format, heading, new_figure, save, styled
from netspec.record import record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: inches: a panel, the space between two, margins, and the heading
_PANEL, _BETWEEN, _LEFT, _RIGHT, _HEADING, _WIDTH = 0.82, 0.20, 0.72, 0.15, 0.68, 7.2
#: up to so many layers, each has its name below
_NAMED = 60
#: beyond these a signal has exploded or vanished
_HIGH, _LOW = 1e3, 1e-3


@record
class SummaryPoint:
    """One layer in the figure: its label, what it costs, what a position of its output sees along the axis where it sees most
    (`inf`: all; None: no such axis), and the second moments of its output and of the gradient there (None: not known)."""

    label: str
    parameters: int
    macs: int
    bytes: int
    field: float | None = None
    forward: float | None = None
    backward: float | None = None


def save_summary_points(path: str | os.PathLike[str], points: Sequence[SummaryPoint], title: str, below: str = "") -> None:
    """Draw layers from left to right into a `.png`, `.svg` or `.pdf` file. Panels of which nothing is known are left out.

    Raises `Refusal`: NS015 for another end of the name, NS020.
    """
    check_format(path)
    panels = [panel for panel in _PANELS if any(panel[1](point) for point in points)]
    height = _HEADING + len(panels) * (_PANEL + _BETWEEN)
    with styled():
        figure = new_figure(_WIDTH, height)
        heading(figure, title, below, _WIDTH, height)
        drawn: list[Axes] = []
        for number, (name, _, draw) in enumerate(panels):
            bottom = height - _HEADING - (number + 1) * (_PANEL + _BETWEEN) + _BETWEEN
            box = (_LEFT / _WIDTH, bottom / height, (_WIDTH - _LEFT - _RIGHT) / _WIDTH, _PANEL / height)
            axes = figure.add_axes(box, sharex=drawn[0] if drawn else None)
            axes.set_title(name, fontsize=7.5, color=GREY, pad=2)
            _blocks(axes, points)
            draw(axes, points)
            drawn.append(axes)
        if drawn:  # a network may have no layers
            _below(figure, drawn, points)
        save(figure, path)


# ------------------------------------------------------------------------------------------------------------- panels
def _bars(axes: Axes, values: Sequence[int], unit: str = "") -> None:
    axes.bar(np.arange(len(values)), values, width=0.86, color=BLUE, linewidth=0)
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.yaxis.set_major_formatter(EngFormatter(unit=unit, sep=" " if unit else ""))
    axes.set_ylim(0, max(*values, 1) * 1.06)


def _field(axes: Axes, points: Sequence[SummaryPoint]) -> None:
    """Steps that rise, and a band on top where all is seen."""
    known = [p.field for p in points if p.field is not None and math.isfinite(p.field)]
    top = max(known, default=1.0) * 1.25
    sizes = np.array([np.nan if p.field is None or math.isinf(p.field) else p.field for p in points])
    axes.step(np.arange(len(points)), sizes, where="mid", color=TEAL, linewidth=1.3)
    whole = [i for i, p in enumerate(points) if p.field is not None and math.isinf(p.field)]
    for _, run in groupby(enumerate(whole), key=lambda pair: pair[1] - pair[0]):
        inside = [place for _, place in run]
        axes.axvspan(inside[0] - 0.5, inside[-1] + 0.5, color=TEAL, alpha=0.16, linewidth=0)
        if len(inside) > 0.04 * len(points):
            axes.text((inside[0] + inside[-1]) / 2, top / 2, "all", color=TEAL, ha="center", va="center", fontsize=7)
    axes.set_ylim(0, top)
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))


def _signals(axes: Axes, points: Sequence[SummaryPoint]) -> None:
    """Second moments on a logarithmic axis, at least two decades high; what is beyond a factor of 1000 is tinted."""
    places, shown = np.arange(len(points)), []
    for name, colour, values in (
        ("activations", BLUE, [p.forward for p in points]),
        ("gradients", AMBER, [p.backward for p in points]),
    ):
        numbers = np.array([np.nan if v is None or v <= 0 or math.isinf(v) else v for v in values])
        if np.isfinite(numbers).any():
            axes.plot(places, numbers, color=colour, label=name, linewidth=1.2, solid_joinstyle="round")
            shown.append(numbers)
    axes.set_yscale("log")
    low, high = (float(f([f(n[np.isfinite(n)]) for n in shown])) for f in (min, max))
    low, high = min(low, 0.1) / 2, max(high, 10.0) * 2
    for start, end in ((_HIGH, high), (low, _LOW)):
        if start < end:
            axes.axhspan(start, end, color=AMBER, alpha=0.10, linewidth=0)
    axes.axhline(1.0, color=HAIR, linewidth=0.8, zorder=0)
    axes.set_ylim(low, high)
    axes.yaxis.set_major_locator(LogLocator(numticks=5))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 0.98), ncols=2, handlelength=1.4, borderaxespad=0, columnspacing=1.2)


def _knows_signals(point: SummaryPoint) -> bool:
    return bool(point.forward) or bool(point.backward)


#: name, whether a point has something to show, and how
_PANELS: tuple[tuple[str, Any, Any], ...] = (
    ("parameters", lambda p: p.parameters, lambda axes, points: _bars(axes, [p.parameters for p in points])),
    ("multiply-accumulates", lambda p: p.macs, lambda axes, points: _bars(axes, [p.macs for p in points])),
    ("bytes read and written", lambda p: p.bytes, lambda axes, points: _bars(axes, [p.bytes for p in points], "B")),
    ("receptive field", lambda p: p.field is not None, _field),
    ("second moments at initialization", _knows_signals, _signals),
)


# -------------------------------------------------------------------------------------------------------------- layers
def _groups(points: Sequence[SummaryPoint]) -> list[tuple[str, int, int]]:
    """Neighbours of one outermost block: its name, the first and the last."""
    found = []
    for name, run in groupby(enumerate(points), key=lambda pair: pair[1].label.split(".")[0]):
        inside = [place for place, _ in run]
        found.append((name, inside[0], inside[-1]))
    return found


def _blocks(axes: Axes, points: Sequence[SummaryPoint]) -> None:
    """Every other block of several layers on a pale ground."""
    several = [(first, last) for _, first, last in _groups(points) if last > first]
    for first, last in several[::2]:
        axes.axvspan(first - 0.5, last + 0.5, color=PALE, linewidth=0, zorder=-2)
    axes.set_xlim(-0.8, len(points) - 0.2)


def _names(points: Sequence[SummaryPoint]) -> list[tuple[float, str]]:
    """Where names stand below, and which: of layers if they are few, else of blocks, as many as there is room for."""
    if len(points) <= _NAMED:
        return [(float(place), point.label) for place, point in enumerate(points)]
    apart, found = len(points) / _NAMED, list[tuple[float, str]]()
    for name, first, last in _groups(points):
        middle = (first + last) / 2
        if not found or middle - found[-1][0] >= apart:
            found.append((middle, name))
    return found


def _below(figure: Figure, drawn: Sequence[Axes], points: Sequence[SummaryPoint]) -> None:
    """Names under the last panel, ticks nowhere else."""
    for axes in drawn[:-1]:
        axes.tick_params(bottom=False, labelbottom=False)
    names = _names(points)
    steep = len(names) > 10 or max(len(name) for _, name in names) > 60 / len(names)
    drawn[-1].set_xticks(
        [place for place, _ in names], [_short(name) for _, name in names], rotation=90 if steep else 0, fontsize=6.5
    )  # fmt: skip
    drawn[-1].tick_params(axis="x", length=2 if len(points) <= _NAMED else 0)


def _short(name: str) -> str:
    return name if len(name) <= 26 else f"…{name[-25:]}"
