"""Figures: that they are drawn for every kind of network, the same bytes each time, and what they show is what was computed."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

import matplotlib  # noqa: E402
import numpy as np  # noqa: E402

from netspec.analyses.effective import effective_field  # noqa: E402
from netspec.analyses.field import fields  # noqa: E402
from netspec.api import load, loads  # noqa: E402
from netspec.backends.plot import save_field_figure, save_summary_figure  # noqa: E402
from netspec.backends.plot.field_figure import AxisView  # noqa: E402
from netspec.backends.plot.joint import joint_mass  # noqa: E402
from netspec.backends.plot.summary_figure import SummaryPoint, save_summary_points  # noqa: E402
from netspec.diagnostics.model import Refusal  # noqa: E402

GRID = """net grid {
  input x: [N, 4, H = 48, W = 64]
  output y = x -> conv(4, 3, padding = 2, dilation = 2) -> conv(4, 3, padding = 4, dilation = 4)
}"""
WAVE = """net wave {
  input audio: [N, 1, T = 4096]
  x = audio
  for i in 0..8 { x = x + (x -> pad((2^i, 0)) -> conv(1, 2, dilation = 2^i)) }
  output y = x
  output z = x -> conv(1, 3, padding = 1)
}"""
VOLUME = "net volume { input x: [N, 1, D = 8, H = 12, W = 10]; output y = x -> conv(2, 3, padding = 1) }"
TWO = "net two { input a: [N, 1, H = 20, W = 20]; input b: [N, 1, T = 30]; output y = a -> conv(1, 3); output z = b -> conv(1, 5) }"


def _pixels(path: Path) -> tuple[int, int]:
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG")
    return struct.unpack(">II", data[16:24])


@pytest.mark.parametrize("text", (GRID, WAVE, VOLUME, TWO))
def test_fields_of_every_rank(text: str, tmp_path: Path) -> None:
    save_field_figure(loads(text).graph, tmp_path / "field.png")
    assert min(_pixels(tmp_path / "field.png")) > 300


def test_a_classifier_is_drawn_at_its_last_layer_that_does_not_see_everything(tmp_path: Path) -> None:
    save_field_figure(load("zoo.resnet:resnet18").graph, tmp_path / "field.svg")
    assert (tmp_path / "field.svg").read_text().startswith("<?xml")


@pytest.mark.parametrize("kind", ("png", "svg", "pdf"))
def test_the_same_figure_has_the_same_bytes(kind: str, tmp_path: Path) -> None:
    graph = loads(GRID).graph
    for name in ("one", "two"):
        (save_summary_figure if kind == "svg" else save_field_figure)(graph, tmp_path / f"{name}.{kind}")
    assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()


def test_nothing_global_changes(tmp_path: Path) -> None:
    before = dict(matplotlib.rcParams)
    save_field_figure(loads(GRID).graph, tmp_path / "field.png")
    assert dict(matplotlib.rcParams) == before


def test_refusals_leave_no_file(tmp_path: Path) -> None:
    graph = loads(GRID).graph
    for path, code in ((tmp_path / "a.gif", "NS015"), (tmp_path / "no" / "a.png", "NS020")):
        with pytest.raises(Refusal) as refused:
            save_field_figure(graph, path)
        assert refused.value.diagnostic.code == code
    with pytest.raises(Refusal) as refused:
        save_field_figure(loads("net a { input x: [N, 4]; output y = x -> linear(2) }").graph, tmp_path / "a.png")
    assert refused.value.diagnostic.code == "NS025" and not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------------------------------ what they show
def test_the_joint_mass_adds_up_to_what_each_axis_has() -> None:
    """Exact inside; the axis by itself knows nothing of the border across."""
    graph = load("zoo.unet:unet").graph
    effective = effective_field(graph)["mask"]
    joint = joint_mass(
        fields(graph), graph.inputs[0].value, (2, 3), graph.outputs[0].value, (effective["H"].position, effective["W"].position)
    )
    assert np.allclose(joint.sum(1), effective["H"].mass) and np.allclose(joint.sum(0), effective["W"].mass)
    assert not np.allclose(joint, np.outer(effective["H"].mass, effective["W"].mass), atol=1e-4)


def test_a_view_reaches_into_the_padding_and_keeps_its_holes() -> None:
    view = AxisView("H", 10, -3, 5, (range(-3, -2), range(0, 2), range(5, 6)), (0.5, 0.5, *[0.0] * 8), 2)
    assert (view.first, view.last) == (-3, 9)
    assert np.flatnonzero(view.seen()).tolist() == [0, 3, 4, 8]
    assert view.density()[3:5].tolist() == [0.5, 0.5] and view.density().sum() == 1


def test_a_long_axis_is_drawn_around_the_field() -> None:
    view = AxisView("T", 10_000, 5000, 5009, (range(5000, 5010),), tuple(0.1 if 5000 <= i < 5010 else 0.0 for i in range(10_000)), 7)
    assert view.last - view.first + 1 == 50 and view.density().sum() == pytest.approx(1)


# ------------------------------------------------------------------------------------------------------------- summaries
def test_summaries(tmp_path: Path) -> None:
    save_summary_figure(load("zoo.unet:unet").graph, tmp_path / "unet.png")
    save_summary_figure(load("zoo.perceptron:mlp").graph, tmp_path / "mlp.png")
    save_summary_figure(loads("net a { input x: [N, 4]; output x }").graph, tmp_path / "nothing.png")
    assert _pixels(tmp_path / "unet.png")[1] > _pixels(tmp_path / "mlp.png")[1]  # nothing is seen along an axis: a panel less


def test_a_summary_of_many_layers_with_gaps(tmp_path: Path) -> None:
    """Names do not collide, infinite and unknown numbers are left out."""
    points = [
        SummaryPoint(
            f"stage{i // 50}.layer{i}",
            i,
            2 * i,
            0,
            math.inf if i > 290 else float(i),
            None if i % 7 == 0 else 1.1**i,
            0.0 if i < 9 else 1e-9,
        )
        for i in range(300)
    ]
    save_summary_points(tmp_path / "deep.png", points, "deep")
    assert min(_pixels(tmp_path / "deep.png")) > 300
