"""Changes of shape: NS554 to NS556, around the boundaries of their conditions."""

from __future__ import annotations

import pytest

from tests.check import check, compilations, diagnostics


def _net(body: str, shape: str) -> str:
    return f"net a {{\n  input x: {shape}\n  output y = {body}\n}}\n"


@pytest.mark.parametrize(
    ("body", "fires"),
    [
        ("x -> adaptive_avg_pool(4)", False),
        ("x -> adaptive_avg_pool(5)", True),
        ("x -> adaptive_max_pool((4, 5))", True),
        ("x -> adaptive_avg_pool((4, none))", False),
        ("x -> adaptive_avg_pool(1)", False),
        ("x -> adaptive_avg_pool(16)", False),
        ("x -> adaptive_avg_pool(32)", True),
    ],
)
def test_adaptive_windows(body: str, fires: bool) -> None:
    assert [f.code for f in check(_net(body, "[N, 8, H = 16, W = 16]"), lints=("NS554",))] == ["NS554"] * fires


@pytest.mark.parametrize(
    ("body", "shape", "fires"),
    [
        ("x -> flatten -> linear(4)", "[N, 3, H = 8, W = 8]", True),
        ("x -> flatten -> relu -> dropout -> linear(4)", "[N, 3, H = 8, W = 8]", True),
        ("x -> flatten -> linear(4)", "[N, 3, 8, 8]", False),
        ("x -> adaptive_avg_pool(2) -> flatten -> linear(4)", "[N, 3, H = 8, W = 8]", False),
        ("x -> reshape((N, -1)) -> linear(4)", "[N, 3, T = 8]", True),
        ("x -> linear(4)", "[N, D = 8]", False),  # nothing is flattened: the number of features is the input's own
        ("x -> permute((0, 2, 1)) -> linear(4)", "[N, 3, T = 8]", False),
    ],
)
def test_linear_behind_flatten(body: str, shape: str, fires: bool) -> None:
    assert [f.code for f in check(_net(body, shape), lints=("NS555",))] == ["NS555"] * fires


def test_the_sizes_that_remain_are_said() -> None:
    text = _net("x -> max_pool(2) -> flatten -> linear(4)", "[N, 3, T = 32]")
    (found,) = diagnostics(compilations(text, lints=("NS555",)))
    assert "for 48 inputs" in found.message and "T in {32, 33}" in found.message
    text = _net("x -> max_pool(2) -> flatten -> linear(4)", "[N, 3, H = 32, W = 16]")
    (found,) = diagnostics(compilations(text, lints=("NS555",)))
    assert found.notes == ("with the other sizes as they are: 32 <= H <= 33, 16 <= W <= 17",)


@pytest.mark.parametrize(
    ("body", "fires"),
    [
        ("x -> reshape((T, N, 8))", True),
        ("x -> permute((1, 0, 2))", False),
        ("x -> permute((1, 0, 2)) -> reshape((T, N, 2, 4))", False),
        ("x -> permute((1, 0, 2)) -> reshape((N, T, 8))", True),
        ("x -> reshape((-1, 8))", False),
        ("x -> reshape((-1, 8)) -> linear(4) -> reshape((N, T, 4))", False),
        ("x -> reshape((-1, 8)) -> linear(4) -> reshape((T, N, 4))", True),
        ("x -> reshape((N, -1)) -> linear(4)", False),
        ("x -> reshape((8, -1))", True),
        ("x -> reshape((1, -1))", False),
        ("x -> reshape((1, -1)) -> linear(4)", True),
        ("x -> flatten(0, 1) -> linear(4)", False),
        ("x -> flatten(0, 1) -> permute((1, 0)) -> linear(4)", True),
        ("x -> reshape((1, -1, 8)) -> permute((0, 2, 1)) -> conv(4, 3)", True),
        ("x -> reshape((1, -1, 8)) -> permute((0, 2, 1)) -> conv(4, 1)", False),
        ("x -> reshape((N // 2, 2, T, 8))", False),  # in so many words
        ("x -> reshape((-1, 32))", False),  # four steps of one example a row
        ("x -> reshape((-1, 48))", True),  # rows of 6 steps, of which 16 make an example
        ("x -> reshape((N, 4, 4, 8)) -> permute((0, 2, 1, 3)) -> reshape((N, T, 8))", False),
    ],
)
def test_batches(body: str, fires: bool) -> None:
    assert [f.code for f in check(_net(body, "[N = 6, T = 16, 8]"), lints=("NS556",))] == ["NS556"] * fires


def test_a_size_that_is_no_batch() -> None:
    inputs = "input x: [N = 6, 8]\n  input edges: [N, N]"
    text = f"net a {{\n  {inputs}\n  output y = (edges, x -> reshape((8, N)) -> permute((1, 0))) -> matmul\n}}\n"
    assert check(text, lints=("NS556",)) == []
    assert check(_net("x -> reshape((4, 16))", "[2, 32]"), lints=("NS556",)) == []
