"""Fields and parameters: NS560 to NS562, around the boundaries of their conditions."""

from __future__ import annotations

import pytest

from netspec import load
from netspec.analyses.lint.facts import Facts
from tests.check import check
from tests.shipped import daily


def _fires(body: str, code: str, shape: str) -> bool:
    found = check(f"net a {{\n  input x: {shape}\n  output y = {body}\n}}\n", lints=(code,))
    assert {f.code for f in found} <= {code}
    return bool(found)


@pytest.mark.parametrize(
    ("body", "fires"),
    [
        ("x -> 3 * conv(8, 3, padding = 1) -> select(4, axis = 2)", True),  # 7 of 8
        ("x -> 4 * conv(8, 3, padding = 1) -> select(4, axis = 2)", False),  # 9
        ("x -> 3 * conv(8, 3, padding = 1) -> global_avg_pool", False),
        ("x -> 3 * conv(8, 3, padding = 1) -> flatten -> linear(2)", False),
        ("x -> 3 * conv(8, 3, padding = 1)", False),  # one answer a position
        ("x -> conv(8, 8)", False),
        ("x -> conv(8, 7, stride = 2)", True),
        ("(x -> select(4, axis = 2)) + (x -> global_avg_pool(keepdim = false))", False),
    ],
)
def test_fields_of_answers(body: str, fires: bool) -> None:
    assert _fires(body, "NS560", "[N, 8, T = 8]") == fires


@pytest.mark.parametrize(
    ("body", "fires"),
    [
        ("x -> 3 * conv(8, 3, padding = 1) -> global_avg_pool", False),  # the last one reads 5 of 8
        ("x -> 4 * conv(8, 3, padding = 1) -> global_avg_pool", False),  # 7 of 8
        ("x -> 5 * conv(8, 3, padding = 1) -> global_avg_pool", True),  # 9 of 8
        ("x -> 4 * conv(8, 3, padding = 1) -> conv(8, 1) -> global_avg_pool", False),
        ("x -> 5 * conv(8, 3, padding = 1)", False),  # a map is the answer
        ("x -> conv(8, 8) -> upsample(4) -> conv(8, 3) -> global_avg_pool", True),
    ],
)
def test_layers_that_see_nothing_new(body: str, fires: bool) -> None:
    assert _fires(body, "NS561", "[N, 8, T = 8]") == fires


def test_the_narrowest_path_counts() -> None:
    unit = "block unit {\n  input x\n  output x + (x -> conv(8, 3, padding = 1))\n}\n"
    text = unit + "net a {\n  input x: [N, 8, T = 8]\n  output y = x -> 6 * unit -> global_avg_pool\n}\n"
    assert check(text, lints=("NS561",)) == []


@pytest.mark.parametrize(
    ("body", "fires"),
    [
        ("x -> linear(100) -> 2 * linear(10)", False),  # three layers are too few to compare
        ("x -> unsqueeze(1) -> conv(2, 3) -> flatten -> linear(10)", True),  # fewer, of which one is no linear layer
        ("x -> linear(100) -> 3 * linear(10)", True),
        ("x -> 5 * linear(64)", False),
        ("x -> weight_norm(linear(100)) -> 3 * linear(10)", True),
        ("x -> unsqueeze(-1) -> conv(500, 1) -> conv(10, 1) -> squeeze(-1) -> 2 * linear(2)", False),  # no linear layer
    ],
)
def test_heavy_layers(body: str, fires: bool) -> None:
    assert _fires(body, "NS562", "[N, 64]") == fires


@pytest.mark.parametrize("spec", daily("lints"))
def test_the_sketch_says_what_the_analysis_says(spec: str) -> None:
    net = Facts(load(spec).graph)
    if net.sketch is None:
        return
    assert net.sketch.agrees == (not net.fields.misaligned)
    (source,) = (port.value for port in net.graph.inputs)
    for value, view in net.sketch.views.items():
        tracks = net.fields.least(value).get(source, {})
        for axis, path in enumerate(view.paths, start=2):
            assert tracks[axis].size == path.least
        if not view.paths and tracks:
            assert all(track.whole for track in tracks.values())
