"""Numbers of recurrent networks that a course works out by hand."""

from __future__ import annotations

import numpy as np

import netspec
from tests.course.test_worked_numbers import forward, parameters, weights

ONES = """
net ones {
  input x: [N, T = 3, 2]
  output y: [N, T, 2] = x -> rnn(2, nonlinearity = relu, bias = false) -> linear(2, bias = false)
}
"""


def test_the_recurrent_net_of_ones() -> None:
    """All weights 1, no biases, linear units (which relu is on positive numbers): (1,1), (1,1), (2,2) give (4,4), (12,12), (32,32);
    the order of the inputs matters."""
    net = netspec.loads(ONES)
    ones = {name: np.ones(shape) for name, shape in weights(net).items()}
    assert forward(net, ones, x=[[[1, 1], [1, 1], [2, 2]]]).tolist() == [[[4, 4], [12, 12], [32, 32]]]
    assert forward(net, ones, x=[[[2, 2], [1, 1], [1, 1]]]).tolist() == [[[8, 8], [20, 20], [44, 44]]]


def test_onnxruntime_has_the_same_ones() -> None:
    net = netspec.loads(ONES.replace("bias = false)", "bias = false, init = ones)"))
    x = np.array([[[1, 1], [1, 1], [2, 2]]], np.float32)
    assert net.session().run({"x": x})["y"].tolist() == [[[4, 4], [12, 12], [32, 32]]]


CELL = """
block cell() {
  input x
  input c
  value = x -> linear(1) as value
  kept = (x -> linear(1) as forget -> sigmoid) * c + (x -> linear(1) as write -> sigmoid) * value
  output y = (x -> linear(1) as show -> sigmoid) * kept
  output c = kept
}

net memory {
  input x: [N, 9, 3]
  input start: [N, 1]
  layer step = cell
  c = start
  for t in 0..9 {
    y[t], c = (x -> select(t), c) -> step
  }
  output shown: [N, 9] = y[0..9] -> concat
}
"""


def test_the_lstm_cell_with_weights_by_hand() -> None:
    """The first number is written where the second is 1, forgotten where it is -1, and shown where the third is 1; the gates
    are weighted by 100. The cell itself is linear: 0 0 0 0 0 7 0 0 6."""
    net = netspec.loads(CELL)
    values = {
        "step.value.weight": [[1, 0, 0]], "step.value.bias": [0],
        "step.write.weight": [[0, 100, 0]], "step.write.bias": [-10],
        "step.forget.weight": [[0, 100, 0]], "step.forget.bias": [10],
        "step.show.weight": [[0, 0, 100]], "step.show.bias": [-10],
    }  # fmt: skip
    sequence = [(1, 0, 0), (3, 1, 0), (2, 0, 0), (4, 1, 0), (2, 0, 0), (1, 0, 1), (3, -1, 0), (6, 1, 0), (1, 0, 1)]
    assert np.round(forward(net, values, x=[sequence], start=[[0]])).tolist() == [[0, 0, 0, 0, 0, 7, 0, 0, 6]]


def test_an_lstm_has_four_times_the_parameters_of_a_plain_layer() -> None:
    def count(layer: str) -> int:
        return parameters(netspec.loads(f"net a {{ input x: [N, T = 5, 8]\n output y = x -> {layer} }}"))

    assert count("lstm(16)") == 4 * count("rnn(16)") == 4 * (8 * 16 + 16 * 16 + 2 * 16)
    assert count("gru(16)") == 3 * count("rnn(16)")
