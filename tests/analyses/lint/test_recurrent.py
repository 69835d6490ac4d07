"""Recurrent layers: NS539, around the boundaries of its condition."""

from __future__ import annotations

import pytest

from tests.check import check


@pytest.mark.parametrize(
    ("layer", "fires"),
    [
        ("lstm(8, dropout = 0.1)", True),
        ("gru(8, bidirectional = true, dropout = 1)", True),  # two directions are one layer
        ("rnn(8, layers = 1, dropout = 0.5)", True),
        ("lstm(8, layers = 2, dropout = 0.1)", False),
        ("lstm(8, dropout = 0)", False),
        ("lstm(8) -> dropout(0.1)", False),
    ],
)
def test_dropout_of_one_layer(layer: str, fires: bool) -> None:
    found = check(f"net a {{\n  input x: [N, T = 9, 4]\n  output y = x -> {layer}\n}}\n", lints=("NS539",))
    assert [f.marked for f in found if f.code == "NS539"] == [layer] * fires
