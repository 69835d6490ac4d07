"""Windows, strides and padding: NS540 to NS543 and NS547 to NS549, around the boundaries of their conditions."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.analyses.lint.sliding import Slide
from tests.check import check


def _marks(body: str, code: str, size: int = 32) -> list[str]:
    text = f"net a {{\n  input x: [N, 8, H = {size}, W = {size}]\n  output y = {body}\n}}\n"
    return [f.marked for f in check(text, lints=(code,)) if f.code == code]


@pytest.mark.parametrize(
    ("body", "marks"),
    [
        ("x -> conv(8, 1, stride = 2)", ["conv(8, 1, stride = 2)"]),
        ("x -> conv(8, 2, stride = 2)", []),
        ("x -> conv(8, (2, 1), stride = 2)", ["conv(8, (2, 1), stride = 2)"]),
        ("x -> conv(8, (2, 1), stride = (2, 1))", []),
        ("x -> max_pool(2, stride = 3)", ["max_pool(2, stride = 3)"]),
        ("x -> conv(8, 3, stride = 2, dilation = 2)", ["conv(8, 3, stride = 2, dilation = 2)"]),
        ("x -> conv(8, 3, stride = 2, dilation = 3)", []),
        ("x -> conv(8, 2, stride = 3, dilation = 2)", ["conv(8, 2, stride = 3, dilation = 2)"]),
        ("x -> conv(8, 3, stride = 3, dilation = 2)", []),
        ("x -> conv(8, 31, stride = 32)", []),  # one place only: it steps nowhere
    ],
)
def test_positions_that_a_stride_passes_over(body: str, marks: list[str]) -> None:
    assert _marks(body, "NS540") == marks


@pytest.mark.parametrize(
    ("body", "marks"),
    [
        ("(x -> conv(8, 1, stride = 2)) + (x -> conv(8, 3, stride = 2, padding = 1))", []),
        ("(x -> conv(8, 1, stride = 2)) + (x -> conv(8, 1, stride = 2))", ["conv(8, 1, stride = 2)"] * 2),
        ("(x -> relu -> conv(8, 1, stride = 2)) + (x -> max_pool(2))", []),
        ("(x -> conv(8, 1) -> conv(8, 1, stride = 2)) + (x -> max_pool(2))", ["conv(8, 1, stride = 2)"]),
        ("(x -> max_pool((1, 2), 2)) + (x -> max_pool((2, 1), 2))", ["max_pool((1, 2), 2)", "max_pool((2, 1), 2)"]),
        ("(x -> conv(8, (1, 2), stride = 2)) + (x -> conv(8, (1, 2), stride = 2, padding = (1, 0)) -> crop((8, 8)))", []),
        ("(x -> conv(8, 1, stride = 2)) + (x -> crop((8, 8)))", []),  # a crop counts as a reader of everything
    ],
)
def test_positions_that_another_window_reads(body: str, marks: list[str]) -> None:
    assert _marks(body, "NS540") == marks


def test_an_output_reads_everything() -> None:
    text = "net a {\n  input x: [N, 8, T = 32]\n  h = x -> conv(8, 3)\n  output h\n  output z = h -> conv(8, 1, stride = 2)\n}\n"
    assert check(text, lints=("NS540",)) == []


@pytest.mark.parametrize(
    ("body", "marks"),
    [
        ("x -> conv(8, 4, padding = same)", ["conv(8, 4, padding = same)"]),
        ("x -> conv(8, 4, padding = same_upper)", ["conv(8, 4, padding = same_upper)"]),
        ("x -> conv(8, 5, padding = same)", []),
        ("x -> conv(8, 2, padding = same, dilation = 2)", []),
        ("x -> conv(8, 2, padding = same, dilation = 3)", ["conv(8, 2, padding = same, dilation = 3)"]),
        ("x -> conv(8, (3, 4), padding = same)", ["conv(8, (3, 4), padding = same)"]),
        ("x -> conv(8, 4, padding = same, stride = 2)", []),
        ("x -> conv(8, 4, padding = same, stride = 3)", ["conv(8, 4, padding = same, stride = 3)"]),
        ("x -> conv(8, 4, padding = ((1, 2), (1, 2)))", []),
        ("x -> max_pool(2, stride = 1, padding = same)", ["max_pool(2, stride = 1, padding = same)"]),
    ],
)
def test_even_windows(body: str, marks: list[str]) -> None:
    assert _marks(body, "NS541") == marks


@pytest.mark.parametrize(
    ("body", "marks"),
    [
        ("x -> conv(8, 1, padding = 1)", ["conv(8, 1, padding = 1)"]),
        ("x -> conv(8, 3, padding = 2)", []),
        ("x -> conv(8, 3, padding = 3)", ["conv(8, 3, padding = 3)"]),
        ("x -> conv(8, 3, padding = 4, dilation = 2)", []),
        ("x -> conv(8, 3, padding = 5, dilation = 2)", ["conv(8, 3, padding = 5, dilation = 2)"]),
        ("x -> conv(8, 3, padding = ((0, 3), 0))", ["conv(8, 3, padding = ((0, 3), 0))"]),
        ("x -> conv(8, 3, stride = 5, padding = ((0, 3), 0))", []),  # the stride passes over the place in the padding
        ("x -> conv(8, 3, padding = 3, padding_mode = reflect)", []),
    ],
)
def test_outputs_that_see_padding_alone(body: str, marks: list[str]) -> None:
    assert _marks(body, "NS542") == marks


@pytest.mark.parametrize(
    ("body", "size", "marks"),
    [
        ("x -> conv(8, 3, padding = 1)", 2, []),
        ("x -> conv(8, 3, padding = 1)", 1, ["conv(8, 3, padding = 1)"]),
        ("x -> conv(8, 3, padding = 15, dilation = 15)", 16, []),
        ("x -> conv(8, 3, padding = 16, dilation = 16)", 16, ["conv(8, 3, padding = 16, dilation = 16)"]),
        ("x -> conv(8, (1, 3), padding = (0, 16), dilation = 16)", 16, ["conv(8, (1, 3), padding = (0, 16), dilation = 16)"]),
        ("x -> conv(8, 3, padding = 16, dilation = 16, padding_mode = circular)", 16, []),
        ("x -> max_pool(3, stride = 1, padding = 1)", 1, []),
        ("x -> conv(8, 3, stride = 2, padding = 1)", 2, ["conv(8, 3, stride = 2, padding = 1)"]),
        ("x -> conv(8, 3, stride = 2, padding = 1)", 3, []),
    ],
)
def test_taps_that_never_meet_the_map(body: str, size: int, marks: list[str]) -> None:
    assert _marks(body, "NS543", size) == marks


@pytest.mark.parametrize(
    ("body", "size", "marks"),
    [
        ("x -> max_pool(2)", 32, []),
        ("x -> max_pool(2)", 33, ["max_pool(2)"]),
        ("x -> max_pool(2, ceil_mode = true)", 33, []),
        ("x -> conv(8, 3, stride = 2)", 32, ["conv(8, 3, stride = 2)"]),
        ("x -> conv(8, 3, stride = 2)", 33, []),
        ("x -> conv(8, 3, stride = 2, padding = 1)", 32, []),  # what is lost is padding
        ("x -> conv(8, 3, stride = 3, padding = ((1, 0), (1, 0)))", 34, ["conv(8, 3, stride = 3, padding = ((1, 0), (1, 0)))"]),
        ("x -> conv(8, 1, stride = 2)", 32, []),  # it reads no odd position anywhere: NS540
        ("(x -> max_pool(2)) + (x -> conv(8, 3, stride = 2) -> relu)", 33, []),
        ("(x -> max_pool(2)) + (x -> conv(8, 2, stride = 2))", 33, ["max_pool(2)", "conv(8, 2, stride = 2)"]),
    ],
)
def test_positions_at_the_end(body: str, size: int, marks: list[str]) -> None:
    assert _marks(body, "NS547", size) == marks


@pytest.mark.parametrize(("size", "marks"), [(224, ["conv(8, 3, stride = 2, padding = 1)"]), (225, [])])
def test_padding_on_one_side(size: int, marks: list[str]) -> None:
    assert _marks("x -> conv(8, 3, stride = 2, padding = 1)", "NS548", size) == marks
    assert _marks("x -> conv(8, 3, padding = 1) -> conv(8, 2, stride = 2)", "NS548", size) == []


def test_uneven_padding_is_off_unless_asked_for() -> None:
    text = "net a {\n  input x: [N, 8, T = 32]\n  output y = x -> conv(8, 3, stride = 2, padding = 1)\n}\n"
    assert [f.code for f in check(text, lints=("NS548",))] == ["NS548"]
    from netspec.analyses.lint import Settings
    from netspec.analyses.lint.rule import RULES

    assert Settings().severity(RULES["NS548"]) is None


@pytest.mark.parametrize(
    ("body", "marks"),
    [
        ("x -> conv(8, 1, dilation = 2)", ["conv(8, 1, dilation = 2)"]),
        ("x -> conv(8, 1)", []),
        ("x -> conv(8, (1, 3), dilation = 2)", []),
        ("x -> conv(8, (1, 3), dilation = (2, 1))", ["conv(8, (1, 3), dilation = (2, 1))"]),
    ],
)
def test_dilations_of_nothing(body: str, marks: list[str]) -> None:
    assert _marks(body, "NS549") == marks


@st.composite
def _slides(draw: st.DrawFn) -> Slide:
    kernel, stride, dilation = draw(st.integers(1, 5)), draw(st.integers(1, 5)), draw(st.integers(1, 4))
    n, before, after = draw(st.integers(1, 14)), draw(st.integers(0, 9)), draw(st.integers(0, 9))
    extent = dilation * (kernel - 1) + 1
    n = max(n, extent - before - after)
    return Slide(2, kernel, stride, dilation, before, after, n, (n + before + after - extent) // stride + 1)


@given(_slides())
@settings(max_examples=400, deadline=None)
def test_windows_by_trying_every_tap(slide: Slide) -> None:
    places = [{o * slide.stride - slide.before + slide.dilation * j for j in range(slide.kernel)} for o in range(slide.m + 20)]
    on_map = [{p for p in taps if 0 <= p < slide.n} for taps in places]
    real = on_map[: slide.m]
    sided = [taps for taps in places[: slide.m] if max(taps) < 0 or min(taps) >= slide.n]
    assert slide.blind == len(sided)
    by_tap = [any(0 <= o * slide.stride - slide.before + slide.dilation * j < slide.n for o in range(slide.m)) for j in range(slide.kernel)]
    assert slide.idle_taps == by_tap.count(False)
    last = max((p for taps in real[-1:] for p in taps), default=-1)
    assert slide.dropped == (slide.stride > 1) * len({p for taps in on_map[slide.m :] for p in taps if p > last})
    if slide.m > 1:
        far = {p % slide.stride for taps in places for p in taps}
        assert slide.residues == far


def test_findings_name_the_axis() -> None:
    from tests.check import compilations, diagnostics

    text = "net a {\n  input x: [N, 8, H = 32, W = 33]\n  output y = x -> max_pool(2)\n}\n"
    (found,) = diagnostics(compilations(text, lints=("NS547",)))
    assert found.message == "the stride of 2 passes over the last of 33 positions along the width"
