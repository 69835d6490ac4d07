"""Resizing by `nearest` to the size of another value: one node where both engines take the same positions, whatever the sizes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import netspec
from netspec.backends.onnx import model_bytes
from netspec.backends.weights import Initial

torch = pytest.importorskip("torch")

PYRAMID = """
net pyramid {
  input x: [N, 1, H = 37, W = 22]
  half = x -> max_pool(1, 2)
  output y = half -> resize(like = x, mode = MODE)
}
"""
LINE = "net line { input x: [N, 1, T = 37]\n half = x -> max_pool(1, STRIDE)\n output y = half -> resize(like = x, mode = nearest) }"


def operators(net: netspec.Net) -> set[str]:
    return {node.op_type for node in onnx.load_from_string(model_bytes(net.graph, Initial(0))).graph.node}


def agree(net: netspec.Net, *sizes: tuple[int, ...]) -> None:
    session, module = net.session(), net.torch()
    for size in sizes:
        x = np.random.default_rng(0).standard_normal((2, 1, *size), np.float32)
        np.testing.assert_array_equal(session.run({"x": x})["y"], module(torch.from_numpy(x)).numpy())


def test_what_a_stride_of_two_left_of_it() -> None:
    net = netspec.loads(PYRAMID.replace("MODE", "nearest"))
    assert operators(net) <= {"MaxPool", "Slice", "Shape", "Concat", "Resize"}
    agree(net, *((n, m) for n in range(1, 24) for m in (n, 2 * n + 1, 24 - n)))


@pytest.mark.parametrize("stride", [2, 3])
def test_lengths_as_far_as_engines_are_compared(stride: int) -> None:
    net = netspec.loads(LINE.replace("STRIDE", str(stride)))
    assert ("Gather" in operators(net)) == (stride == 3)
    agree(net, *((n,) for n in (*range(1, 300), 2047, 4095, 4096)))


def test_exact_positions_are_others() -> None:
    net = netspec.loads(PYRAMID.replace("MODE", "nearest_exact"))
    assert "Gather" in operators(net)
    agree(net, *((n, m) for n in range(1, 12) for m in (n, n + 1)))
