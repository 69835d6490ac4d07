"""Transposed convolutions: NS545 and NS546, around the boundaries of their conditions."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.check import check


def _codes(body: str) -> list[str]:
    text = f"net a {{\n  input x: [N, 8, T = 40]\n  output y = {body}\n}}\n"
    return [f.code for f in check(text, lints=("NS545", "NS546"))]


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        ("x -> conv_transpose(4, 2, stride = 2)", []),
        ("x -> conv_transpose(4, 3, stride = 2)", ["NS545"]),
        ("x -> conv_transpose(4, 4, stride = 2, padding = 1)", []),
        ("x -> conv_transpose(4, 1, stride = 2)", ["NS546"]),
        ("x -> conv_transpose(4, 3)", []),
        ("x -> conv_transpose(4, 3, stride = 2, dilation = 2)", ["NS546"]),
        ("x -> conv_transpose(4, 4, stride = 2, dilation = 3)", []),
        ("x -> conv_transpose(4, 3, stride = 3, dilation = 2)", []),
        ("x -> weight_norm(conv_transpose(4, 3, stride = 2))", ["NS545"]),
        ("x -> global_avg_pool -> conv_transpose(4, 3, stride = 2)", []),  # one input overlaps with nothing
    ],
)
def test_overlaps(body: str, codes: list[str]) -> None:
    assert _codes(body) == codes


@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_counts_by_writing_every_kernel(kernel: int, stride: int, dilation: int) -> None:
    written = [0] * (40 * stride + kernel * dilation)
    for i in range(40):
        for j in range(kernel):
            written[i * stride + j * dilation] += 1
    inner = written[kernel * dilation : 40 * stride - kernel * dilation]
    expected = [] if len(set(inner)) == 1 else ["NS545"] if all(inner) else ["NS546"]
    assert _codes(f"x -> conv_transpose(4, {kernel}, stride = {stride}, dilation = {dilation})") == expected


def test_one_axis_of_two() -> None:
    text = "net a {\n  input x: [N, 8, H = 8, W = 8]\n  output y = x -> conv_transpose(4, (4, 3), stride = 2)\n}\n"
    from tests.check import compilations, diagnostics

    (found,) = diagnostics(compilations(text, lints=("NS545",)))
    assert found.message == "outputs get 2 and 1 inputs in turn along the width: a checkerboard"
