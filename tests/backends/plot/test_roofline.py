"""The roofline: peaks, what layers move once some are fused, and the figure."""

from __future__ import annotations

import struct
from pathlib import Path
from time import sleep

import pytest

pytest.importorskip("matplotlib")

from netspec.analyses.cost import cost  # noqa: E402
from netspec.api import loads  # noqa: E402
from netspec.backends.plot.roofline_figure import RooflinePoint, Roofs, _meet, _moved, _places, save_roofline  # noqa: E402
from netspec.diagnostics.model import Refusal  # noqa: E402
from netspec.runtime.bench import Plan, roofline  # noqa: E402
from netspec.runtime.bench.peaks import Peaks, Probe, best_rates, measure_peaks  # noqa: E402
from netspec.runtime.profile import LayerTime, Profile  # noqa: E402

NET = loads("net a { input x: [N, 3, H = 16, W = 16]; y = x -> conv(8, 3) -> relu; output z = y + (y -> conv(8, 1)) }")
POINTS = [
    RooflinePoint("stem.conv1", "conv", 40.0, 3e10, 0.5), RooflinePoint("stem.pool1", "pool", 0.3, 2e9, 0.02),
    RooflinePoint("fc", "linear", 0.5, 4e9, 0.1), RooflinePoint("stem.conv2", "conv", 41.0, 3.1e10, 0.3),
]  # fmt: skip


def _time(label: str, *fused: str, seconds: float = 1e-3) -> LayerTime:
    flops = sum(layer.flops for layer, node in zip(cost(NET.graph).layers, NET.graph.nodes) if node.name in (label, *fused))
    return LayerTime(label, fused, (), "cpu", seconds, 0.5, 0, flops, 0)


def test_the_roof_bends_at_the_ridge() -> None:
    peaks = Peaks(1e11, 1e10, 5e10)
    assert peaks.ridge == 10.0 and peaks.roof(4.0) == 4e10 and peaks.roof(400.0) == 1e11


def test_the_best_of_each_probe_counts() -> None:
    naps = iter([0.02, 0.02, 0.001, *[0.02] * 100])
    fast, slow = best_rates([Probe(1e-3, lambda: sleep(next(naps))), Probe(1.0, lambda: sleep(0.01))], seconds=0.05)
    assert 0.3 < fast <= 1.0 and 50 < slow <= 100


def test_this_machine_has_peaks() -> None:
    peaks = measure_peaks(1, seconds=0.01)
    assert 1e8 < peaks.flops < 1e13 and 1e8 < peaks.memory < 1e12 and peaks.cache > 1e8


def test_what_is_fused_hands_on_without_moving() -> None:
    sizes = (("N", 1), ("H", 16), ("W", 16))
    rows = (_time("conv1", "relu1"), _time("conv2", "add1"))
    first, second = roofline.points_of(NET.graph, Profile("cpu", 3e-3, 5, sizes, rows, ()))
    x, y, w1, w2 = 4 * 3 * 16 * 16, 4 * 8 * 14 * 14, 4 * (8 * 27 + 8), 4 * (64 + 8)
    assert (first.nbytes, second.nbytes) == (x + w1 + y, y + w2 + y + y)
    assert first.rate == first.flops / 1e-3 and first.intensity == first.flops / first.nbytes
    alone = roofline.points_of(NET.graph, Profile("cpu", 3e-3, 5, sizes, (_time("conv1"), _time("relu1")), ()))
    assert [point.nbytes for point in alone] == [x + w1 + y, 2 * y]


def test_a_network_is_measured_and_drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(roofline, "measure_peaks", lambda threads: Peaks(1.0, 1e9, 1e10))
    found = roofline.measure_roofline(NET.graph, Plan(), 1, 2)
    labels = {label for point in found.points for label in (point.label, *point.fused)}
    assert labels == {"conv1", "relu1", "conv2", "add1"} and found.batch == 2 and dict(found.sizes) == {"H": 16, "W": 16}
    assert found.peaks.flops == max(point.rate for point in found.points)
    assert 0 < found.placed <= 1 and found.rate > 0 and len(found.data()["layers"]) == len(found.points)
    found.save(tmp_path / "a.svg", "a")
    text = (tmp_path / "a.svg").read_text()
    assert "convolution" in text and "batch 2, H = 16, W = 16" in text and "GFLOP/s" in text


def test_a_network_without_arithmetic_has_none() -> None:
    with pytest.raises(Refusal, match="computes anything"):
        roofline.measure_roofline(loads("net a { input x: [N, 4, 4]; output y = x -> flatten }").graph, Plan(), 1, 1)


def test_the_same_figure_is_the_same_bytes(tmp_path: Path) -> None:
    found = []
    for name in ("a.svg", "b.svg", "c.png"):
        save_roofline(tmp_path / name, POINTS, Roofs(9e10, 8e9, 7e10), "net", "batch 1")
        found.append((tmp_path / name).read_bytes())
    assert found[0] == found[1]
    width, height = struct.unpack(">II", found[2][16:24])
    assert 1100 < width < 1700 and 700 < height < 1100


def test_odd_machines_and_layers_are_drawn(tmp_path: Path) -> None:
    for roofs in (Roofs(1e9, 1e12, 1e12), Roofs(1e15, 1e9, 1.01e9)):
        save_roofline(tmp_path / "a.svg", POINTS[:1], roofs, "one layer")
    with pytest.raises(Refusal):
        save_roofline(tmp_path / "a.jpg", POINTS, Roofs(1e9, 1e9, 1e9), "net")


def test_a_name_has_places_that_do_not_meet_its_disc() -> None:
    boxes = [_moved(place, 100.0, 100.0, 50.0) for place in _places(10.0, 50.0)]
    disc = (91.0, 91.0, 109.0, 109.0)
    assert not any(_meet(box, disc) for box in boxes[:4]) and len({*boxes}) == len(boxes)
