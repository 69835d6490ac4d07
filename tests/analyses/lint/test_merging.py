"""Resampling and joins: NS550 to NS553, around the boundaries of their conditions."""

from __future__ import annotations

import pytest

from tests.check import check, compilations, diagnostics


def _net(body: str, size: str = "H = 32, W = 32") -> str:
    return f"net a {{\n  input x: [N, 8, {size}]\n  output y = {body}\n}}\n"


def _codes(body: str, *codes: str, size: str = "H = 32, W = 32") -> list[str]:
    return [f.code for f in check(_net(body, size), lints=codes)]


@pytest.mark.parametrize(
    ("body", "fires"),
    [
        ("x -> upsample(2, bilinear) -> upsample(2, bilinear, align_corners = true)", True),
        ("x -> upsample(2, bilinear) -> upsample(2, bicubic)", False),
        ("x -> upsample(2, bilinear, align_corners = true) -> upsample(2)", False),
        ("x -> upsample(2, bilinear, align_corners = true) -> resize(0.5, mode = bicubic)", True),
        ("x -> global_avg_pool -> upsample(32, bilinear, align_corners = true) -> upsample(2, bilinear)", False),  # out of one pixel
        ("x -> resize(size = 32, mode = bilinear, align_corners = true) -> upsample(2, bilinear)", False),  # nothing changes
    ],
)
def test_corners(body: str, fires: bool) -> None:
    assert _codes(body, "NS550") == ["NS550"] * fires


def test_the_rarer_choice_is_reported() -> None:
    body = "x -> upsample(2, bilinear, align_corners = true) -> upsample(2, bilinear) -> upsample(2, bilinear)"
    assert [f.marked for f in check(_net(body), lints=("NS550",))] == ["upsample(2, bilinear, align_corners = true)"]


@pytest.mark.parametrize(
    ("body", "size", "marks"),
    [
        ("x ++ (x -> max_pool(2) -> upsample)", "H = 32, W = 32", ["upsample"]),
        ("x ++ (x -> max_pool(2) -> upsample)", "32, 32", []),
        ("x + (x -> max_pool(2) -> upsample -> conv(8, 3, padding = 1) -> relu)", "H = 32, W = 32", ["upsample"]),
        ("x ++ (x -> max_pool(2) -> resize(2, mode = bilinear))", "H = 32, W = 32", ["resize(2, mode = bilinear)"]),
        ("x ++ (x -> max_pool(2) -> resize(like = x))", "H = 32, W = 32", []),
        ("x ++ (x -> max_pool(2) -> conv_transpose(8, 2, stride = 2))", "H = 32, W = 32", []),
        ("x ++ (x -> upsample -> max_pool(2))", "H = 32, W = 32", []),  # the size is equal for every input
        ("(x -> max_pool(2) -> upsample) + (x -> avg_pool(2) -> upsample)", "H = 32, W = 32", []),
    ],
)
def test_enlarged_and_joined(body: str, size: str, marks: list[str]) -> None:
    assert [f.marked for f in check(_net(body, size), lints=("NS551",))] == marks


def test_the_condition_and_the_repair_are_said() -> None:
    body = "x ++ (x -> max_pool(2) -> max_pool(2) -> upsample(4, bilinear))"
    (found,) = diagnostics(compilations(_net(body), lints=("NS551",)))
    assert "H % 4 == 0, W % 4 == 0" in found.message
    assert "`resize(like = x, mode = bilinear)`" in found.helps[0]


@pytest.mark.parametrize(
    ("body", "fires"),
    [
        ("x + (x -> conv(8, 3, padding = 1))", False),
        ("x + (x -> conv(8, 4, padding = same))", True),
        ("x + (x -> conv(8, 4, padding = same) -> conv(8, 4, padding = ((2, 1), (2, 1))))", False),  # there, and back again
        ("(x -> conv(8, 3, stride = 2, padding = 1)) + (x -> conv(8, 1, stride = 2))", False),
        ("(x -> conv(8, 3, stride = 2, padding = same_upper)) + (x -> conv(8, 1, stride = 2))", True),
        ("(x -> conv(8, 4, stride = 2, padding = 1)) + (x -> conv(8, 1, stride = 2))", False),  # a quarter of a step
        ("(x -> conv(8, 4, stride = 2, padding = 1)) + (x -> avg_pool(2))", False),
        ("x ++ (x -> max_pool(2) -> conv_transpose(8, 2, stride = 2))", False),
        ("x ++ (x -> max_pool(2) -> conv_transpose(8, 4, stride = 2, padding = 1))", False),
        ("x ++ (x -> max_pool(2) -> conv_transpose(8, 3, 2, 1, 1))", True),
        ("x ++ (x -> conv(8, 3, stride = 2, padding = 1) -> conv_transpose(8, 3, 2, 1, 1))", False),
        ("x ++ (x -> max_pool(2) -> upsample(2, bilinear))", False),
        ("x ++ (x -> max_pool(2) -> upsample(2, bilinear, align_corners = true))", True),
        ("x ++ (x -> max_pool(2) -> upsample)", False),
        ("(x -> crop((1, 1))) + (x -> conv(8, 3))", False),
        ("(x -> slice(0, 30, axis = 2) -> slice(0, 30, axis = 3)) + (x -> conv(8, 3))", True),
        ("x * (x -> global_avg_pool -> conv(8, 1) -> sigmoid)", False),
        ("(x -> slice(1, 32, axis = 2)) + (x -> slice(0, 31, axis = 2))", True),
        ("(x -> slice(1, 32, axis = 2)) - (x -> slice(0, 31, axis = 2))", False),
    ],
)
def test_centres(body: str, fires: bool) -> None:
    assert _codes(body, "NS552", "NS553") == ["NS552"] * fires


@pytest.mark.parametrize(
    ("body", "fires"),
    [
        ("x + (x -> conv(8, 3, padding = (2, 0)) -> conv(8, 3, padding = (4, 0), dilation = 2))", False),
        ("x + (x -> conv(8, 3, padding = (0, 2)))", True),  # sees the future alone
    ],
)
def test_causal_layers_are_meant_so(body: str, fires: bool) -> None:
    assert _codes(body, "NS552", size="T = 32") == ["NS552"] * fires


def test_a_shift_along_one_axis_of_two() -> None:
    text = _net("x + (x -> conv(8, (3, 4), padding = same))")
    (found,) = diagnostics(compilations(text, lints=("NS552",)))
    assert found.message == "these branches look 0.5 input positions past each other along W, in steps of 1"


@pytest.mark.parametrize(("size", "fires"), [("T = 8", False), ("T = 10", True)])
def test_strides_that_rounding_could_explain(size: str, fires: bool) -> None:
    body = "(x -> conv(8, 2, stride = 2)) + (x -> slice(0, T // 2, axis = 2))"  # 4 or 5 positions, that drift apart by 3 or 4
    assert _codes(body, "NS553", size=size) == ["NS553"] * fires


@pytest.mark.parametrize(
    ("body", "fires"),
    [
        ("(x -> conv(8, 2, stride = 2)) + (x -> crop((8, 8)))", True),
        ("(x -> conv(8, 2, stride = 2)) + (x -> max_pool(2))", False),
        ("(x -> conv(8, 2, stride = 2)) + (x -> resize(size = (16, 16)))", False),
        ("(x -> resize(size = (24, 24))) + (x -> crop((4, 4)))", False),  # 4/3: another picture, but no other scale
        ("(x -> resize(size = (20, 20))) + (x -> crop((6, 6)))", True),
        ("(x -> conv(8, 2, stride = 2) -> flatten) + (x -> crop((8, 8)) -> flatten)", False),  # no positions are left
        ("(x -> conv(8, 2, stride = 2) -> resize(1.0, mode = bilinear, align_corners = true)) + (x -> crop((8, 8)))", True),
    ],
)
def test_strides(body: str, fires: bool) -> None:
    assert _codes(body, "NS553") == ["NS553"] * fires


@pytest.mark.parametrize(
    ("body", "severity"),
    [
        ("x + (x -> conv(8, 3, stride = 2, padding = 1) -> resize(like = x) -> conv(8, 3, padding = 1))", "info"),
        ("x + (x -> conv(8, 4, padding = same))", "warning"),
    ],
)
def test_what_was_interpolated_is_information(body: str, severity: str) -> None:
    assert [f.severity for f in check(_net(body), lints=("NS552",))] == [severity]


@pytest.mark.parametrize("positions", [2, 3, 6])
def test_a_pyramid_may_align_corners(positions: int) -> None:
    body = f"x ++ (x -> adaptive_avg_pool({positions}) -> resize(like = x, mode = bilinear, align_corners = true))"
    assert _codes(body, "NS552", "NS553", size="H = 60, W = 60") == []
