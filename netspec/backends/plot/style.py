"""One look for all figures, and how they become files. The only place that imports matplotlib.

Figures are made without pyplot, so nothing global changes, no window opens, and no display is needed. The same figure gives the
same bytes: dates and names of programs are left out, and the identifiers in an SVG are salted with a constant.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import matplotlib
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from netspec.diagnostics.model import Refusal
from netspec.files import write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: formats by the end of a file's name, with what keeps dates and versions out of them
FORMATS: dict[str, dict[str, str | None]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}

#: ink for text and lines, the same thinned, hairlines, and the ground of what is pointed out
INK, GREY, HAIR, PALE = "#1f2933", "#6b7785", "#c9d1d9", "#f3f5f8"
#: the colours of data, in order of use; they differ in lightness, too
BLUE, AMBER, TEAL, RED = "#2f6db5", "#d98c1f", "#3a9188", "#b8403f"
#: from nothing to the most
HEAT = LinearSegmentedColormap.from_list("netspec", ["#e8eff8", "#a9c7e6", "#5b93cd", "#2760a8", "#12356b"])

_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 8.0,
    "axes.titlesize": 9.0,
    "axes.labelsize": 8.0,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "text.color": INK,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.2,
    "legend.frameon": False,
    "legend.fontsize": 7.0,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.hashsalt": "netspec",
    "pdf.fonttype": 42,
}


@contextmanager
def styled() -> Iterator[None]:
    """Make and draw figures in the common look; matplotlib's own settings are as they were afterwards."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)  # type: ignore[arg-type]
        yield


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure as its file's name asks, atomically. Call within `styled`. Raises `Refusal`: NS020, NS015."""
    kind = check_format(path)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind[1:], dpi=200, metadata=FORMATS[kind], bbox_inches="tight", pad_inches=0.08)
    write_atomic(path, buffer.getvalue())


def check_format(path: str | os.PathLike[str]) -> str:
    """The end of a file's name, `.png`, `.svg` or `.pdf`. Raises `Refusal` (NS015) for another."""
    kind = os.path.splitext(os.fspath(path))[1].lower()
    if kind not in FORMATS:
        known = ", ".join(FORMATS)
        raise Refusal("NS015", f"a figure is a file that ends in {known}, not `{os.path.basename(path)}`", status=2)
    return kind


def bare(axes: Axes) -> None:
    """Take away everything but the data."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def heading(cell: Figure | SubFigure, title: str, below: str, width: float, height: float) -> None:
    """A bold title with grey lines under it, at the top left of a cell so many inches wide and high."""
    cell.text(0.10 / width, 1 - 0.10 / height, title, fontsize=9, fontweight="bold", va="top", ha="left")
    cell.text(0.10 / width, 1 - 0.29 / height, below, fontsize=7, color=GREY, va="top", ha="left", linespacing=1.35)


def ticks() -> MaxNLocator:
    """A handful of whole, round positions."""
    return MaxNLocator(6, integer=True, steps=[1, 2, 5, 10])


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches."""
    return Figure(figsize=(width, height))
