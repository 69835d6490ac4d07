"""The roofline figure: what each layer achieves, over how much it computes a byte, under the roofs of the machine.

After Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for multicore architectures", CACM 52(4), 2009,
doi:10.1145/1498765.1498785. Below the slope of a roof, bytes are what takes the time; below its flat part, arithmetic.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from netspec.backends.diagram.palette import FAMILIES, family
from netspec.backends.plot.style import GREY, HAIR, INK, PALE, check_format, heading, new_figure, save, styled
from netspec.record import record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: inches: the figure, and its margins
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _BOTTOM, _HEADING = 6.6, 4.5, 0.62, 1.42, 0.50, 0.52
#: layers with names, and the smallest share of the time that earns one
_NAMED, _WORTH = 8, 0.01
#: square points: a disc of the whole time, and the smallest
_LARGEST, _SMALLEST = 1500.0, 10.0
#: points: half a line of a name, and the width of a letter
_LINE, _LETTER = 4.2, 3.8


@record
class RooflinePoint:
    """One layer: operations a byte, operations a second, and its share of the time."""

    label: str
    family: str
    intensity: float
    rate: float
    share: float


@record
class Roofs:
    """What the machine can do: operations a second, and bytes a second from memory and from cache."""

    flops: float
    memory: float
    cache: float


def save_roofline(path: str | os.PathLike[str], points: Sequence[RooflinePoint], roofs: Roofs, title: str, below: str = "") -> None:
    """Draw layers under the roofs into a `.png`, `.svg` or `.pdf` file. Discs have areas by their shares of the time.

    Raises `Refusal`: NS015 for another end of the name, NS020.
    """
    check_format(path)
    with styled():
        figure = new_figure(_WIDTH, _HEIGHT)
        heading(figure, title, below, _WIDTH, _HEIGHT)
        box = (_LEFT / _WIDTH, _BOTTOM / _HEIGHT, (_WIDTH - _LEFT - _RIGHT) / _WIDTH, (_HEIGHT - _BOTTOM - _HEADING) / _HEIGHT)
        axes = figure.add_axes(box)
        _axes(axes, points, roofs)
        _roofs(axes, roofs)
        _discs(axes, points)
        _names(axes, points, roofs)
        _legend(axes, points)
        save(figure, path)


# --------------------------------------------------------------------------------------------------------------- axes
def _axes(axes: Axes, points: Sequence[RooflinePoint], roofs: Roofs) -> None:
    """Both logarithmic: all layers, the ridge, and room under the roof."""
    ridge = roofs.flops / roofs.memory
    intensities, rates = [p.intensity for p in points], [p.rate for p in points]
    left, right = min(*intensities, ridge / 8) / 1.8, max(*intensities, ridge * 4) * 1.8
    low = max(min(*rates, roofs.flops / 30) / 2.2, roofs.flops / 1e6)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(left, right)
    axes.set_ylim(low, max(roofs.flops, *rates) * 1.6)
    axes.set_xlabel("operations a byte (FLOP/B)", labelpad=3)
    axes.set_ylabel("achieved (GFLOP/s)", labelpad=3)
    for axis, unit in ((axes.xaxis, 1.0), (axes.yaxis, 1e9)):
        axis.set_major_locator(LogLocator(numticks=8))
        axis.set_minor_formatter(NullFormatter())
        axis.set_major_formatter(FuncFormatter(lambda value, _, unit=unit: f"{value / unit:,.10g}"))
    axes.grid(True, which="major", color=HAIR, linewidth=0.35, alpha=0.7)
    axes.set_axisbelow(True)


def _roofs(axes: Axes, roofs: Roofs) -> None:
    """The roof over main memory filled below, that of the cache beyond it, thin; and a tenth of the roof."""
    left, right = axes.get_xlim()
    low, high = axes.get_ylim()
    ridge, inner = roofs.flops / roofs.memory, roofs.flops / roofs.cache
    x = np.array([left, ridge, right])
    roof = np.minimum(roofs.flops, roofs.memory * x)
    axes.fill_between(x, low, roof, color=PALE, linewidth=0, zorder=0)
    axes.plot(x, roof, color=INK, linewidth=1.4, solid_joinstyle="miter", zorder=2)
    axes.plot(x, roof / 10, color=GREY, linewidth=0.5, linestyle=(0, (4, 3)), zorder=1)
    if roofs.cache > 1.15 * roofs.memory and inner > left:
        start = max(left, low / roofs.cache)
        axes.plot([start, inner, ridge], [start * roofs.cache, roofs.flops, roofs.flops], color=GREY, linewidth=0.8, zorder=1)
        _along(axes, roofs.cache, inner, start, f"cache, {_rate(roofs.cache, 'B/s')}", GREY)
    _along(axes, roofs.memory, ridge, max(left, low / roofs.memory), f"memory, {_rate(roofs.memory, 'B/s')}", INK)
    place = {"textcoords": "offset points", "ha": "right", "va": "bottom"}
    axes.annotate(f"arithmetic, {_rate(roofs.flops, 'FLOP/s')}", (right, roofs.flops), (-2, 3), fontsize=7, color=INK, **place)
    axes.annotate("a tenth", (right, roofs.flops / 10), (-2, 2), fontsize=6, color=GREY, **place)
    if ridge < right:
        axes.plot([ridge, ridge], [low, roofs.flops], color=HAIR, linewidth=0.7, zorder=1)
        axes.annotate(f"{ridge:.3g}", (ridge, low), (2, 3), textcoords="offset points", fontsize=6, color=GREY)


def _along(axes: Axes, slope: float, end: float, start: float, text: str, color: str) -> None:
    """Words along the slope of a roof, just over it, in the middle of what is seen of it; over its end where that is too short."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    wide, tall = (_WIDTH - _LEFT - _RIGHT) * 72 / math.log10(right / left), (_HEIGHT - _BOTTOM - _HEADING) * 72 / math.log10(high / low)
    start, middle = max(start, left), math.sqrt(max(start, left) * end)
    if math.log10(end / start) * math.hypot(wide, tall) < (len(text) + 2) * _LETTER:
        axes.annotate(text, (end, end * slope), (0, 3), textcoords="offset points", ha="left", va="bottom", fontsize=7, color=color)
        return
    axes.annotate(
        text, (middle, middle * slope), (-4, 5), textcoords="offset points", rotation=math.degrees(math.atan2(tall, wide)),
        rotation_mode="anchor", ha="center", va="bottom", fontsize=7, color=color,
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------------- layers
def _discs(axes: Axes, points: Sequence[RooflinePoint]) -> None:
    """The largest first, so that small ones lie on top."""
    for point in sorted(points, key=lambda p: -p.share):
        ink, area = family(point.family).ink, max(_LARGEST * point.share, _SMALLEST)
        axes.scatter(
            point.intensity, point.rate, s=area, facecolor=ink, alpha=0.62, edgecolor="white", linewidth=0.6, zorder=3, clip_on=False
        )  # fmt: skip


def _names(axes: Axes, points: Sequence[RooflinePoint], roofs: Roofs) -> None:
    """Names of the layers that take the most time, where they cover least: no other name, few discs, and the slope not at all."""
    wide, tall = (_WIDTH - _LEFT - _RIGHT) * 72, (_HEIGHT - _BOTTOM - _HEADING) * 72
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()

    def across(intensity: float) -> float:
        return math.log(intensity / left) / math.log(right / left) * wide

    def up(rate: float) -> float:
        return math.log(rate / low) / math.log(high / low) * tall

    def cost(place: tuple[float, float], box: Box, size: float) -> float:
        """What a place covers, and how far away it is."""
        roof = up(min(roofs.flops, roofs.memory * left * (right / left) ** (box[0] / wide)))
        covered = sum(_covers(box, *disc) for disc in discs) + 2 * (box[3] > roof)
        return 60 * covered + math.hypot(place[0] + size / 2, place[1])

    discs = [(across(p.intensity), up(p.rate), math.sqrt(max(_LARGEST * p.share, _SMALLEST) / math.pi)) for p in points]
    taken: list[Box] = [(wide - 120, up(roofs.flops), wide, up(roofs.flops) + 12)]  # what stands over the roof
    for point, (x, y, radius) in sorted(zip(points, discs), key=lambda pair: -pair[0].share)[:_NAMED]:
        text = f"{_short(point.label)}  {_share(point.share)}"
        size = len(text) * _LETTER
        places = {place: _moved(place, x, y, size) for place in _places(radius + 2, size)}
        free = [p for p, box in places.items() if _inside(box, wide, tall) and not any(_meet(box, other) for other in taken)]
        if point.share < _WORTH or not free:
            continue
        _, best = min((cost(place, places[place], size), place) for place in free)
        taken.append(places[best])
        axes.annotate(
            text, (point.intensity, point.rate), best, textcoords="offset points", ha="left", va="center", fontsize=6.5,
            color=family(point.family).ink, zorder=4, arrowprops=_leader(*best, radius, size), annotation_clip=False,
            path_effects=[withStroke(linewidth=1.8, foreground=PALE)],
        )  # fmt: skip


#: left, bottom, right, top; in points from the corner of the axes
Box = tuple[float, float, float, float]


def _places(reach: float, size: float) -> list[tuple[float, float]]:
    """Where a name may begin, from its disc's middle: beside, below, above it, and around it further away."""
    near = [(reach, 0.0), (-reach - size, 0.0), (-size / 2, -reach - _LINE), (-size / 2, reach + _LINE)]
    steps = [step * 9.0 for step in range(-14, 8) if step]
    return near + [(side, step) for step in steps for side in (reach + 8, -reach - 8 - size, -size / 2)]


def _moved(place: tuple[float, float], x: float, y: float, size: float) -> Box:
    return (x + place[0], y + place[1] - _LINE, x + place[0] + size, y + place[1] + _LINE)


def _inside(box: Box, wide: float, tall: float) -> bool:
    return box[0] >= 2 and box[2] <= wide + 6 and box[1] >= 2 and box[3] <= tall


def _covers(box: Box, x: float, y: float, radius: float) -> bool:
    """Whether a name lies on a disc."""
    return math.hypot(x - min(max(x, box[0]), box[2]), y - min(max(y, box[1]), box[3])) < radius


def _leader(dx: float, dy: float, radius: float, size: float) -> dict[str, object] | None:
    """A hairline to a name that stands away from its disc."""
    if dy == 0 or abs(dy) < radius + 3 * _LINE and abs(dx + size / 2) < 1e-6:
        return None
    side = 0.5 if abs(dx + size / 2) < 1e-6 else 0.0 if dx > 0 else 1.0
    at = (side, 0.5) if side != 0.5 else (0.5, 0.9 if dy < 0 else 0.1)
    return {"arrowstyle": "-", "color": GREY, "linewidth": 0.4, "shrinkA": 1, "shrinkB": max(radius - 1, 0), "relpos": at}


def _meet(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _legend(axes: Axes, points: Sequence[RooflinePoint]) -> None:
    """The families that there are, in the order of our diagrams, and their shares of the time."""
    shares: dict[str, float] = {}
    for point in points:
        shares[point.family] = shares.get(point.family, 0.0) + point.share
    order = [name for name in FAMILIES if name in shares] + [name for name in shares if name not in FAMILIES]
    handles = [
        Line2D([], [], linestyle="", marker="o", markersize=5.5, markerfacecolor=family(name).ink, markeredgecolor="white", alpha=0.75,
               label=f"{family(name).words}  {_share(shares[name])}")
        for name in order
    ]  # fmt: skip
    axes.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0, handletextpad=0.2, labelspacing=0.6,
        title="time by family", title_fontsize=7, alignment="left",
    )  # fmt: skip


def _rate(number: float, unit: str) -> str:
    for prefix, factor in (("P", 1e15), ("T", 1e12), ("G", 1e9)):
        if number >= factor or prefix == "G":
            return f"{number / factor:.3g} {prefix}{unit}"
    raise AssertionError(number)


def _share(share: float) -> str:
    return f"{share:.0%}" if share >= 0.005 else "<1%"


def _short(name: str) -> str:
    return name if len(name) <= 26 else f"…{name[-25:]}"
