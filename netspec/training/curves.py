"""The curves of a run, drawn from its log: loss, every metric, and the learning rate, over epochs, as `.png`, `.svg` or `.pdf`."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from netspec.diagnostics.model import Refusal
from netspec.record import record
from netspec.training.progress import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: inches: a panel, the space between two, margins, and the heading
_WIDTH, _HEIGHT, _BETWEEN, _LEFT, _RIGHT, _HEADING, _BOTTOM = 4.4, 1.15, 0.28, 0.62, 0.15, 0.62, 0.42
#: a loss or a rate whose largest value is so many times its smallest is drawn on a logarithmic axis
_DECADES = 15.0


@record
class Curve:
    """One line: its name (`train`, `val`), and its points."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]


@record
class Curves:
    """What is drawn of a section. `panels` are named groups of lines; `best` is the epoch whose weights were kept, 0 for none."""

    title: str
    below: str
    panels: tuple[tuple[str, tuple[Curve, ...]], ...]
    best: int = 0


def curves_of(records: Sequence[Mapping[str, Any]], title: str) -> Curves:
    """The curves in the lines of a log (`logs.read_log`)."""
    epochs = [r for r in records if r.get("event") == "epoch"]
    start = next((r for r in records if r.get("event") == "start"), {})
    names = dict.fromkeys(name for r in epochs for name in r if name.partition(".")[0] in ("train", "val"))
    panels: dict[str, list[Curve]] = {"loss": []}
    steps = [r for r in records if r.get("event") == "step"]
    per_epoch = max(int(start.get("steps", 0)), 1)
    if len(steps) > 2 * len(epochs):
        panels["loss"].append(_curve("batches", [(r["step"] / per_epoch, r.get("loss")) for r in steps]))
    for name in names:
        split, _, metric = name.partition(".")
        panels.setdefault(metric, []).append(_curve(split, [(r["epoch"], r.get(name)) for r in epochs]))
    rates = sorted([(r["step"] / per_epoch, r.get("lr")) for r in steps] + [(r["epoch"], r.get("lr")) for r in epochs[:-1]])
    rates = [(0.0, start.get("lr")), *rates]
    panels["learning rate"] = [_curve("", rates)]
    shown = tuple((name, tuple(c for c in curves if c.x)) for name, curves in panels.items())
    best = max((r["epoch"] for r in epochs if r.get("best")), default=0)
    return Curves(title, _told(records, len(epochs), best), tuple(panel for panel in shown if panel[1]), best)


def _curve(name: str, points: Sequence[tuple[float, Any]]) -> Curve:
    """The line through those points that have a finite value."""
    found = [(x, y) for x, y in points if isinstance(y, (int, float)) and math.isfinite(y)]
    return Curve(name, tuple(x for x, _ in found), tuple(y for _, y in found))


def _told(records: Sequence[Mapping[str, Any]], epochs: int, best: int) -> str:
    """The line below the title: how long it was, and how well it did at last."""
    test: Mapping[str, Any] = next((r for r in reversed(records) if r.get("event") == "test"), {})
    scores = [f"{name} {test[name]:.4g}" for name in test if "." in name and isinstance(test[name], (int, float))]
    return ", ".join([counted(epochs, "epoch") + (f", the best is {best}" if best else ""), *scores])


def check_figure(path: str | os.PathLike[str]) -> None:
    """Raises `Refusal`: NS015 where a file's name says no format that can be drawn, NS020 where its folder is not there;
    ModuleNotFoundError without matplotlib."""
    from netspec.backends.plot.style import check_format

    check_format(path)
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise Refusal("NS020", f"{path} cannot be written: there is no folder {folder}")


def save_curves(path: str | os.PathLike[str], sections: Sequence[Curves]) -> None:
    """Draw sections side by side. Raises `Refusal`: NS015 for another end of the file's name, NS020, NS825 for no epochs."""
    drawn = [section for section in sections if section.panels]
    if not drawn:
        raise Refusal("NS825", "there are no epochs to draw curves of")
    from netspec.backends.plot.style import check_format, new_figure, save, styled

    check_format(path)
    rows = max(len(section.panels) for section in drawn)
    height = _HEADING + rows * (_HEIGHT + _BETWEEN) - _BETWEEN + _BOTTOM
    with styled():
        figure = new_figure(_WIDTH * len(drawn), height)
        for column, section in enumerate(drawn):
            _draw(figure, section, column * _WIDTH, _WIDTH * len(drawn), height)
        save(figure, path)


def _draw(figure: Any, section: Curves, left: float, width: float, height: float) -> None:
    from netspec.backends.plot.style import GREY, ticks

    figure.text((left + 0.1) / width, 1 - 0.10 / height, section.title, fontsize=9, fontweight="bold", va="top")
    figure.text((left + 0.1) / width, 1 - 0.29 / height, section.below, fontsize=7, color=GREY, va="top")
    drawn: list[Axes] = []
    for number, (name, curves) in enumerate(section.panels):
        bottom = height - _HEADING - (number + 1) * _HEIGHT - number * _BETWEEN
        box = ((left + _LEFT) / width, bottom / height, (_WIDTH - _LEFT - _RIGHT) / width, _HEIGHT / height)
        axes = figure.add_axes(box, sharex=drawn[0] if drawn else None)
        axes.set_title(name, fontsize=7.5, color=GREY, pad=2)
        _panel(axes, curves, section.best, name)
        drawn.append(axes)
    for axes in drawn[:-1]:
        axes.tick_params(labelbottom=False)
    drawn[-1].set_xlabel("epochs")
    drawn[-1].xaxis.set_major_locator(ticks())
    drawn[-1].set_xlim(0, max(x for _, curves in section.panels for c in curves for x in c.x) * 1.01 + 1e-9)


def _is_staircase(name: str, values: Sequence[float]) -> bool:
    """Whether a learning rate goes by factors: a smooth one that ends near zero is told better by a linear axis."""
    return name == "learning rate" and len(set(values)) <= max(len(values) // 3, 2)


def _panel(axes: "Axes", curves: Sequence[Curve], best: int, name: str) -> None:
    from matplotlib.ticker import MaxNLocator, NullLocator

    from netspec.backends.plot.style import AMBER, BLUE, GREY, HAIR

    looks: dict[str, dict[str, Any]] = {
        "batches": {"color": HAIR, "linewidth": 0.7}, "train": {"color": BLUE}, "val": {"color": AMBER}, "": {"color": GREY},
    }  # fmt: skip
    for curve in curves:
        dot = "o" if len(curve.x) == 1 else None
        axes.plot(curve.x, curve.y, label=curve.name or None, marker=dot, markersize=3, **looks[curve.name])
    values = [y for curve in curves for y in curve.y]
    if min(values) > 0 and max(values) > _DECADES * min(values) and (name == "loss" or _is_staircase(name, values)):
        axes.set_yscale("log")
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(4))
        if name in ("loss", "learning rate") and min(values) >= 0:
            axes.set_ylim(bottom=0)
    if best:
        axes.axvline(best, color=HAIR, linewidth=0.8, linestyle=(0, (4, 2)), zorder=0)
    if len(curves) > 1:
        axes.legend(loc="best", ncols=len(curves), handlelength=1.4, columnspacing=1.2)
