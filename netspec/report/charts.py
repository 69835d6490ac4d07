"""The plots of a report: what layers hold, cost, keep and see, and how large signals are, from the first layer to the last.

They are drawn here, as SVG of a few kilobytes, and not by matplotlib: their colours are the page's, in light and in dark; every
bar belongs to a row of the table, which a click on it shows; the text is real text; and no extra has to be installed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from itertools import groupby

from netspec.analyses.cost.liveness import course, tasks_of
from netspec.analyses.cost.storage import storages
from netspec.analyses.cost.typed import typed
from netspec.analyses.summary import Summary
from netspec.analyses.table import size_text
from netspec.diagnostics.render import show
from netspec.record import record
from netspec.report.axes import Axis, bytes_axis, compact, counts, linear, logarithmic
from netspec.report.layers import LayerRow, moment

#: the width of a chart and of what stands left, right, over and below the drawing, and the height of that; in pixels
_WIDTH, _LEFT, _RIGHT, _OVER, _BELOW, _HEIGHT = 760, 54, 10, 8, 20, 112
#: a chart has at most so many bars; of more layers, neighbours share one
_MOST_BARS = 400
#: the width of a character of the names below, in pixels
_LETTER = 6.0
#: beyond these a signal has exploded or vanished
_HIGH, _LOW = 1e3, 1e-3


@record
class Chart:
    """A plot: its heading, a sentence that says what it shows, and the drawing, which is safe HTML."""

    name: str
    note: str
    drawing: str


@record
class _Slot:
    """Neighbouring layers that share a bar: mostly one."""

    rows: tuple[LayerRow, ...]

    @property
    def label(self) -> str:
        first, last = self.rows[0].label, self.rows[-1].label
        return first if first == last else f"{first} … {last}"


class _Frame:
    """The ground of a chart: where layers stand, the blocks behind them with their names, and the axis."""

    def __init__(self, rows: Sequence[LayerRow]) -> None:
        together = -(-len(rows) // _MOST_BARS) or 1
        self.slots = [_Slot(tuple(rows[n : n + together])) for n in range(0, len(rows), together)]
        self.step = (_WIDTH - _LEFT - _RIGHT) / max(len(self.slots), 1)
        self.ground = self._blocks()

    def x(self, place: float) -> float:
        """The left side of the slot of that number."""
        return _LEFT + place * self.step

    def _blocks(self) -> str:
        """Every other outermost block on a pale ground, and the names for which there is room."""
        found, shaded, free = [], False, 0.0
        for name, run in groupby(enumerate(self.slots), key=lambda pair: pair[1].rows[0].block):
            places = [place for place, _ in run]
            left, width = self.x(places[0]), len(places) * self.step
            if len(places) > 1 and (shaded := not shaded):
                found.append(_rectangle("band", (left, _OVER, width, _HEIGHT)))
            half = len(name) * _LETTER / 2
            middle = min(max(left + width / 2, _LEFT + half), _WIDTH - half)
            if middle - half >= free and (len(places) > 1 or len(self.slots) <= 40) and half <= 90:
                found.append(f'<text class="tick" x="{middle:.1f}" y="{_OVER + _HEIGHT + 14}" text-anchor="middle">{_text(name)}</text>')
                free = middle + half + 8
        return "".join(found)

    def drawing(self, name: str, axis: Axis, marks: str, note: str) -> str:
        """The whole SVG."""
        lines = []
        for tick, text in axis.ticks:
            y = _y(axis, tick)
            lines.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>')
            lines.append(f'<text class="tick" x="{_LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{_text(text)}</text>')
        height = _OVER + _HEIGHT + _BELOW
        return (
            f'<svg class="chart" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(show(f"{name}. {note}"))}">'
            f"{self.ground}{''.join(lines)}{marks}</svg>"
        )

    def bars(self, values: Sequence[float], axis: Axis, texts: Sequence[str], coloured: bool = True) -> str:
        """A bar for each slot that has something, in the colour of the operators' family or all in one."""
        width, found = max(self.step * 0.86, 0.5), []
        for place, (slot, value, text) in enumerate(zip(self.slots, values, texts)):
            if value > 0:
                high = max(axis.at(value) * _HEIGHT, 0.8)
                kind = f" f-{max(slot.rows, key=lambda row: row.macs).family}" if coloured else ""
                box = self.x(place) + (self.step - width) / 2, _OVER + _HEIGHT - high, width, high
                found.append(_rectangle(f"bar{kind}", box, f"{slot.label}: {text}", slot.rows[0].number))
        return "".join(found)

    def hovers(self, texts: Sequence[str]) -> str:
        """A title over the whole height of each slot, for what is drawn as a line; empty texts give none."""
        return "".join(
            _rectangle("hover", (self.x(place), _OVER, self.step, _HEIGHT), f"{slot.label}: {text}", slot.rows[0].number)
            for place, (slot, text) in enumerate(zip(self.slots, texts))
            if text
        )


def charts(summary: Summary, rows: Sequence[LayerRow]) -> tuple[Chart, ...]:
    """The plots of a network; those of which nothing is known are left out."""
    if not rows:
        return ()
    frame = _Frame(rows)
    found = [_parameters(frame, summary), _cost(frame, summary), _memory(frame, summary), _field(frame), _signals(frame)]
    return tuple(chart for chart in found if chart is not None)


# --------------------------------------------------------------------------------------------------------------- bars
def _amounts(frame: _Frame, name: str, part: Callable[[LayerRow], int], whole: int, what: str) -> Chart | None:
    """Bars of what layers have of a whole."""
    values = [sum(map(part, slot.rows)) for slot in frame.slots]
    if not any(values):
        return None
    axis, most = counts(max(values)), max(values)
    share = f"{100 * most / whole:.3g} %" if whole else ""
    note = f"{whole:,} {what}; most in {frame.slots[values.index(most)].label}: {most:,} ({share})."
    return Chart(name, note, frame.drawing(name, axis, frame.bars(values, axis, [f"{value:,}" for value in values]), note))


def _parameters(frame: _Frame, summary: Summary) -> Chart | None:
    return _amounts(frame, "Parameters", lambda row: row.parameters, summary.parameters, "parameters")


def _cost(frame: _Frame, summary: Summary) -> Chart | None:
    return _amounts(frame, "Cost", lambda row: row.macs, summary.macs, "multiply-accumulates")


def _memory(frame: _Frame, summary: Summary) -> Chart | None:
    """The activations that are alive while each layer runs in the written order, at inference."""
    graph = summary.graph
    alive = course(tasks_of(graph, storages(graph, typed(graph, dict(summary.typical)).types)), range(len(graph.nodes))).during
    values = [max(alive[row.number] for row in slot.rows) for slot in frame.slots]
    if not any(values):
        return None
    axis, most = bytes_axis(max(values)), max(values)
    note = f"Activations alive while each layer runs, at inference; at most {size_text(most)}, in {frame.slots[values.index(most)].label}."
    bars = frame.bars(values, axis, [size_text(value) for value in values], coloured=False)
    return Chart("Memory", note, frame.drawing("Memory", axis, bars, note))


# -------------------------------------------------------------------------------------------------------------- lines
def _field(frame: _Frame) -> Chart | None:
    """Steps that rise, and a band where everything is seen."""
    values = [max(row.reach for row in slot.rows) for slot in frame.slots]
    known = [value for value in values if 0 <= value < math.inf]
    if not known and math.inf not in values:
        return None
    axis = linear(max(known, default=1.0) * 1.1, compact)
    bands = []
    for whole, run in groupby(range(len(values)), key=lambda place: math.isinf(values[place])):
        places = list(run)
        if whole:
            left, width = frame.x(places[0]), len(places) * frame.step
            bands.append(_rectangle("all", (left, _OVER, width, _HEIGHT)))
            if width > 28:
                bands.append(f'<text class="allof" x="{left + width / 2:.1f}" y="{_OVER + 16}" text-anchor="middle">all</text>')
    steps = [None if value < 0 or math.isinf(value) else value for value in values]
    texts = ["" if value < 0 else "everything" if math.isinf(value) else f"{value:,.0f}" for value in values]
    note = f"Positions of an input that one position of a layer's output sees, on the axis where it sees most; {_most(known, values)}."
    marks = f'{"".join(bands)}<path class="line field" d="{_stairs(frame, axis, steps)}"/>{frame.hovers(texts)}'
    return Chart("Receptive field", note, frame.drawing("Receptive field", axis, marks, note))


def _most(known: Sequence[float], values: Sequence[float]) -> str:
    """Up to how many."""
    if not known:
        return "all of them"
    return f"up to {max(known):,.0f}" + (", and all of them where the ground is tinted" if math.inf in values else "")


def _signals(frame: _Frame) -> Chart | None:
    """Second moments of activations and gradients on a logarithmic axis; what has exploded or vanished is tinted."""
    forward = [slot.rows[-1].forward for slot in frame.slots]
    backward = [slot.rows[-1].backward for slot in frame.slots]
    shown = [value for value in (*forward, *backward) if value and math.isfinite(value)]
    if not shown:
        return None
    axis = logarithmic(max(min(shown), 1e-30), min(max(shown), 1e30))
    tints = "".join(
        _rectangle("beyond", (_LEFT, _y(axis, high), _WIDTH - _LEFT - _RIGHT, _y(axis, low) - _y(axis, high)))
        for low, high in ((_HIGH, axis.high), (axis.low, _LOW))
        if low < high
    )
    lines = "".join(
        f'<path class="line {kind}" d="{_curve(frame, axis, values)}"/>' for kind, values in (("forward", forward), ("backward", backward))
    )
    texts = [
        "; ".join(f"{name} {moment(value)}" for name, value in (("activation", a), ("gradient", b)) if value is not None)
        for a, b in zip(forward, backward)
    ]
    note = "Second moments at initialization: of activations (solid) and of gradients (dashed); 1 is held, beyond 1000 and 0.001 is tinted."
    return Chart("Signal", note, frame.drawing("Signal", axis, f"{tints}{lines}{frame.hovers(texts)}", note))


def _stairs(frame: _Frame, axis: Axis, values: Sequence[float | None]) -> str:
    """A path of one level a slot, broken where nothing is known."""
    parts, broken = [], True
    for place, value in enumerate(values):
        if value is not None:
            y = _y(axis, value)
            parts.append(f"M{frame.x(place):.1f} {y:.1f}" if broken else f"V{y:.1f}")
            parts.append(f"H{frame.x(place + 1):.1f}")
        broken = value is None
    return "".join(parts)


def _curve(frame: _Frame, axis: Axis, values: Sequence[float | None]) -> str:
    """A path through the middles of slots, broken where nothing is known."""
    parts, broken = [], True
    for place, value in enumerate(values):
        known = value is not None and value > 0
        if known:
            parts.append(f"{'M' if broken else 'L'}{frame.x(place + 0.5):.1f} {_y(axis, value or 0):.1f}")
        broken = not known
    return "".join(parts)


def _y(axis: Axis, value: float) -> float:
    return _OVER + _HEIGHT * (1 - axis.at(value))


def _rectangle(kind: str, box: tuple[float, float, float, float], title: str = "", row: int | None = None) -> str:
    """A rectangle of a class: left, top, width, height; its title, and the number of the row to which it belongs."""
    x, y, width, height = (f"{length:.1f}".removesuffix(".0") for length in box)
    owner = "" if row is None else f' data-n="{row}"'
    shape = f'<rect class="{kind}"{owner} x="{x}" y="{y}" width="{width}" height="{height}"'
    return f"{shape}><title>{_text(title)}</title></rect>" if title else f"{shape}/>"


def _text(text: str) -> str:
    """Foreign text in a drawing."""
    return escape(show(text))
