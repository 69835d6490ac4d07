"""The figure of a receptive field: what one output position sees, with its holes, and how much of the gradient arrives where."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.patches import Rectangle

from netspec.backends.plot.style import BLUE, GREY, HAIR, HEAT, INK, PALE, bare, check_format, heading, new_figure, save, styled, ticks
from netspec.record import record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

Plane = np.ndarray[Any, np.dtype[np.float64]]

#: inches: the larger side of a picture, its margins, and what stands over and beside it
_SIDE, _LEFT, _BOTTOM, _GAP, _STRIP, _HEADING = 3.15, 0.55, 0.42, 0.07, 0.50, 0.72
#: beyond so many times the field, an axis is not drawn whole
_AROUND = 6
#: the colour of padding, outside of the input
_PADDING = (0.93, 0.935, 0.945)
#: the tint of a position that is seen although next to no gradient arrives there
_SEEN = (0.906, 0.937, 0.972)


@record
class AxisView:
    """One axis of an input as one output position sees it.

    The axis is `length` positions long. The field lies from `start` to `end`, both included, and may stick out into the padding;
    `covered` are the runs of positions within it that are seen. `mass` is the share of the gradient's square at each position
    of the axis; the shortest stretch that holds most of it is `within` long.
    """

    name: str
    length: int
    start: int
    end: int
    covered: tuple[range, ...]
    mass: tuple[float, ...]
    within: int

    @property
    def around(self) -> int:
        """How far an axis is drawn on both sides of the field: to its ends, if it is not very long."""
        size = self.end - self.start + 1
        return 2 * size if self.length > _AROUND * size else self.length

    @property
    def first(self) -> int:
        """The first position to draw: of the input or of the field."""
        return min(max(0, self.start - self.around), self.start)

    @property
    def last(self) -> int:
        """The last position to draw."""
        return max(min(self.length - 1, self.end + self.around), self.end)

    @property
    def whole(self) -> bool:
        """Whether all of the input's axis is drawn."""
        return self.first <= 0 and self.last >= self.length - 1

    @property
    def inside(self) -> slice:
        """The drawn positions that belong to the input, counted from `first`."""
        return slice(max(0, self.first) - self.first, min(self.last, self.length - 1) + 1 - self.first)

    @property
    def shown(self) -> slice:
        """The positions of the input that are drawn."""
        return slice(max(0, self.first), min(self.last, self.length - 1) + 1)

    def seen(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Whether each drawn position is seen."""
        found = np.zeros(self.last - self.first + 1, bool)
        for run in self.covered:
            found[run.start - self.first : run.stop - self.first] = True
        return found

    def density(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The gradient's share at each drawn position."""
        found = np.zeros(self.last - self.first + 1)
        found[self.inside] = self.mass[self.shown]
        return found


@record
class FieldView:
    """What to draw of one output or layer: a title, lines below it, and one axis or two (rows, then columns).

    Of two axes, `mass` is the share of the gradient's square at every place of the input.
    """

    title: str
    below: str
    axes: tuple[AxisView, ...]
    mass: Plane | None = None


def save_field_views(path: str | os.PathLike[str], views: Sequence[FieldView]) -> None:
    """Draw fields side by side into a `.png`, `.svg` or `.pdf` file. Raises `Refusal`: NS015 for another end, NS020."""
    check_format(path)
    columns = 1 if all(len(view.axes) == 1 for view in views) else min(len(views), 3)
    lines = [views[start : start + columns] for start in range(0, len(views), columns)]
    sizes = [_inches(view) for view in views]
    width, heights = max(w for w, _ in sizes), [max(_inches(view)[1] for view in line) for line in lines]
    with styled():
        figure = new_figure(width * columns, sum(heights))
        cells = figure.subfigures(len(lines), columns, squeeze=False, height_ratios=heights)
        for line, row, height in zip(lines, cells, heights):
            for view, cell in zip(line, row):
                heading(cell, view.title, view.below, width, height)
                (_line if len(view.axes) == 1 else _plane)(cell, view, width, height)
        save(figure, path)


def _inches(view: FieldView) -> tuple[float, float]:
    """How wide and high a view is drawn."""
    if len(view.axes) == 1:
        return 6.6, 2.5
    return _SIDE + _LEFT + _GAP + _STRIP + 0.15, _extents(view)[1] + _BOTTOM + _GAP + _STRIP + _HEADING


def _extents(view: FieldView) -> tuple[float, float]:
    """How wide and high the picture of two axes is."""
    rows, columns = view.axes
    tall, wide = rows.last - rows.first + 1, columns.last - columns.first + 1
    scale = _SIDE / max(tall, wide)
    return max(wide * scale, 0.4), max(tall * scale, 0.4)


# ------------------------------------------------------------------------------------------------------- two dimensions
def _plane(cell: SubFigure, view: FieldView, width: float, height: float) -> None:
    rows, columns = view.axes
    assert view.mass is not None
    wide, tall = _extents(view)
    w, h = wide / width, tall / height
    left, bottom = _LEFT / width, 1 - (_HEADING + _STRIP + _GAP) / height - h
    main = cell.add_axes((left, bottom, w, h))
    top = cell.add_axes((left, bottom + h + _GAP / height, w, _STRIP / height), sharex=main)
    right = cell.add_axes((left + w + _GAP / width, bottom, _STRIP / width, h), sharey=main)
    extent = (columns.first - 0.5, columns.last + 0.5, rows.last + 0.5, rows.first - 0.5)
    main.imshow(_picture(rows, columns, view.mass), extent=extent, interpolation="nearest", aspect="auto", origin="upper")
    _frames(main, rows, columns)
    main.set_xlim(extent[:2])
    main.set_ylim(extent[2:])
    for axis, name in ((main.xaxis, columns.name), (main.yaxis, rows.name)):
        axis.set_major_locator(ticks())
        axis.set_label_text(name)
        axis.labelpad = 1
    for spine in main.spines.values():
        spine.set(visible=not (rows.whole and columns.whole), color=HAIR, linewidth=0.5)
    _profile(top, columns, upright=False)
    _profile(right, rows, upright=True)


def _picture(rows: AxisView, columns: AxisView, mass: Plane) -> Plane:
    """Padding grey, the input white, what is seen tinted, and the gradient over it in the colours of heat."""
    picture = np.empty((rows.last - rows.first + 1, columns.last - columns.first + 1, 3))
    picture[:] = _PADDING
    inside = np.zeros(picture.shape[:2], bool)
    inside[rows.inside, columns.inside] = True
    seen = np.outer(rows.seen(), columns.seen())
    picture[inside] = 1.0
    picture[seen & inside] = _SEEN
    picture[seen & ~inside] = np.array(_SEEN) * 0.35 + np.array(_PADDING) * 0.65
    share = np.zeros(picture.shape[:2])
    share[rows.inside, columns.inside] = np.sqrt(mass[rows.shown, columns.shown] / (mass.max() or 1.0))
    picture[share > 0.02] = HEAT(share[share > 0.02])[:, :3]
    return picture


def _frames(main: Axes, rows: AxisView, columns: AxisView) -> None:
    """The input's border, and the field's."""
    main.add_patch(
        _box(0, rows.length - 1, 0, columns.length - 1, edgecolor=INK, linewidth=0.8, clip_on=not (rows.whole and columns.whole), zorder=3)
    )
    field = _box(rows.start, rows.end, columns.start, columns.end, edgecolor=BLUE, linewidth=1.0, linestyle=(0, (3, 2)), clip_on=False)
    main.add_patch(field)
    place = {"textcoords": "offset points", "fontsize": 6.5, "annotation_clip": False}
    if rows.first <= 0 and columns.first <= 0:
        main.annotate("input", (-0.5, -0.5), (3, -3), va="top", ha="left", color=INK, **place)
    beneath = rows.end + (rows.last - rows.first) // 12 < rows.last
    offset, side = ((0, -2), "top") if beneath else ((-3, 3), "bottom")
    main.annotate("field", (columns.end + 0.5, rows.end + 0.5), offset, va=side, ha="right", color=BLUE, **place)


def _box(top: int, bottom: int, left: int, right: int, **style: Any) -> Rectangle:
    return Rectangle((left - 0.5, top - 0.5), right - left + 1, bottom - top + 1, fill=False, **style)


def _profile(axes: Axes, view: AxisView, upright: bool) -> None:
    """The gradient along one axis, over a bar that shows which positions are seen."""
    places, mass = np.arange(view.first, view.last + 1), view.density()
    peak = mass.max() or 1.0
    (axes.fill_betweenx if upright else axes.fill_between)(places, 0, mass / peak, step="mid", color="#a9c7e6", linewidth=0)
    for run in view.covered:
        start, size = run.start - 0.5, len(run)
        box = ((-0.20, start), 0.11, size) if upright else ((start, -0.20), size, 0.11)
        axes.add_patch(Rectangle(*box, facecolor=BLUE, linewidth=0, clip_on=False))
    limits = (-0.22, 1.05)
    (axes.set_xlim if upright else axes.set_ylim)(*limits)
    axes.tick_params(left=False, bottom=False, labelleft=False, labelbottom=False)
    for spine in axes.spines.values():
        spine.set_visible(False)


# -------------------------------------------------------------------------------------------------------- one dimension
def _line(cell: SubFigure, view: FieldView, width: float, height: float) -> None:
    (axis,) = view.axes
    left, w = 0.45 / width, (width - 0.65) / width
    main = cell.add_axes((left, 0.78 / height, w, (height - 0.86 - _HEADING) / height))
    strip = cell.add_axes((left, 0.52 / height, w, 0.16 / height), sharex=main)
    places, mass = np.arange(axis.first, axis.last + 1), axis.density()
    main.axvspan(axis.start - 0.5, axis.end + 0.5, color=PALE, linewidth=0)
    main.fill_between(places, 0, mass / (mass.max() or 1.0), step="mid", color=HEAT(0.55), linewidth=0)
    main.set_ylim(0, 1.08)
    main.set_yticks([])
    main.tick_params(bottom=False, labelbottom=False)
    main.set_ylabel("gradient²", labelpad=3, color=GREY, fontsize=7)
    main.spines["left"].set_visible(False)
    strip.set_ylim(0, 1)
    for run in axis.covered:
        strip.add_patch(Rectangle((run.start - 0.5, 0), len(run), 1, facecolor=BLUE, linewidth=0))
    bare(strip)
    strip.tick_params(bottom=True, labelbottom=True)
    strip.xaxis.set_major_locator(ticks())
    strip.add_patch(Rectangle((-0.5, 0), axis.length, 1, fill=False, edgecolor=HAIR, linewidth=0.8))
    strip.set_xlabel(axis.name, labelpad=1)
    main.set_xlim(axis.first - 0.5, axis.last + 0.5)
