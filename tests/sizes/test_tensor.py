"""Tensor types: their axes, their text, their count."""

from __future__ import annotations

import dataclasses

import pytest

from netspec.sizes import DTYPES, Dim, TensorType, count

N, H, W, T = map(Dim.name, "NHWT")
IMAGE = TensorType((N, 64, H // 2, W // 2))


def test_axes():
    assert (IMAGE.rank, IMAGE.channels, IMAGE.spatial) == (4, 64, (H // 2, W // 2))
    assert (IMAGE.height, IMAGE.width, IMAGE.length) == (H // 2, W // 2, W // 2)
    assert TensorType((N, 8, T)).spatial == (T,) and TensorType((N, 8, T)).length == T
    for shape, axis in (((N,), "channels"), ((), "length"), ((N, 3, T), "height"), ((N, 3, T), "width")):
        with pytest.raises(ValueError, match=axis):
            getattr(TensorType(shape), axis)


def test_text():
    assert str(IMAGE) == "[N, 64, H // 2, W // 2]"
    assert str(TensorType((N, T), "int64")) == "int64 [N, T]"
    assert str(TensorType(())) == "[]"


def test_a_type_is_a_value():
    assert IMAGE == TensorType((N, 64, H // 2, W // 2)) and hash(IMAGE) == hash(dataclasses.replace(IMAGE))
    assert IMAGE != dataclasses.replace(IMAGE, dtype="float16")
    other = TensorType((N, T), "int64").with_shape((N, 1))
    assert other == TensorType((N, 1), "int64")


def test_count_and_bytes():
    assert count(IMAGE) == 64 * N * (H // 2) * (W // 2)
    assert count(TensorType((2, 3))) == 6 and count(TensorType(())) == 1
    assert DTYPES["float32"] == 4 and DTYPES["bfloat16"] == 2 and DTYPES["bool"] == 1
