"""Sequences of several lengths in one batch: each by itself gives the same, whatever stands behind its end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import netspec
from tests.ops.compare import disagreements
from tests.ops.harness import Case, Data, accept, random_data
from tests.ops.onnx_terms import run_onnx
from tests.ops.torch_terms import run_torch

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections")

FORMS = (
    "rnn(4", "rnn(4, nonlinearity = relu", "gru(4", "gru(4, reset = before", "lstm(4", "lstm(4, proj = 2",
)  # fmt: skip
LENGTHS = np.array([3, 7, 1, 6])


def layer(form: str, both: bool, given: bool, layers: int = 2) -> Case:
    """The layer on `[N, T, 3]`, its states put out, with lengths, and with initial states if they are `given`."""
    rows, lstm = layers * (1 + both), form.startswith("lstm")
    starts = [f"[{rows}, N, {2 if 'proj' in form else 4}]"] + [f"[{rows}, N, 4]"] * lstm
    words = (", h0 = h, c0 = c" if lstm else ", h0 = h") if given else ""
    call = f"{form}, layers = {layers}, bidirectional = {str(both).lower()}, states = true{words}, lengths = n)"
    return accept(call, ("[N, T = 7, 3]", *(starts if given else ()), "int64 [N]"))


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_each_sequence_by_itself(form: str, both: bool, given: bool) -> None:
    case = layer(form, both, given)
    data = random_data(case, {"N": 4, "T": 7})
    whole = run_torch(case.operator, case.site(), (*data.arrays[:-1], LENGTHS), data.weights, double=True)
    for number, length in enumerate(LENGTHS):
        x, *states, _ = data.arrays
        alone = (x[number : number + 1, :length], *(s[:, number : number + 1] for s in states), np.array([length]))
        y, *last = run_torch(case.operator, case.site(), alone, data.weights, double=True)
        assert torch.allclose(whole[0][number, :length], y[0], atol=1e-12) and not whole[0][number, length:].any()
        assert all(torch.allclose(a[:, number], b[:, 0], atol=1e-12) for a, b in zip(whole[1:], last))


@pytest.mark.parametrize("opset", [17, 22, 26])
@pytest.mark.parametrize(
    ("form", "both", "given"), [(f, b, g) for i, f in enumerate(FORMS) for b, g in ((True, True), (i % 2 == 0, False))]
)
def test_onnxruntime_agrees(form: str, both: bool, given: bool, opset: int) -> None:
    case = layer(form, both, given)
    for sizes in ({"N": 2, "T": 5}, {"N": 1, "T": 1}, {"N": 5, "T": 30}):
        assert disagreements(case, sizes, opset) == []


def test_what_stands_behind_the_end_has_no_say() -> None:
    case = layer("lstm(4, proj = 2", True, True)
    data = random_data(case, {"N": 4, "T": 7})
    changed = data.arrays[0].copy()
    for row, length in zip(changed, LENGTHS):
        row[length:] = np.nan
    runs = [run(case, Data((x, *data.arrays[1:-1], LENGTHS), data.weights)) for x in (data.arrays[0], changed)]
    assert all(np.array_equal(a, b) for a, b in zip(*runs))


def run(case: Case, data: Data) -> list[Any]:
    """The outputs in both engines."""
    in_torch = [t.detach().numpy() for t in run_torch(case.operator, case.site(), data.arrays, data.weights)]
    return in_torch + list(run_onnx(case.operator, case.site(), data.arrays, data.weights))


@pytest.mark.parametrize("length", [0, 8])
def test_a_length_that_is_none_is_refused(length: int) -> None:
    net = netspec.loads("net a { input x: [N, T = 7, 3]\n input n: int64 [N]\n output y = x -> lstm(4, lengths = n) }")
    x, n = torch.randn(2, 7, 3), torch.tensor([3, length])
    with pytest.raises(RuntimeError):
        net.torch(seed=0)(x, n)
    if length > 7:  # onnxruntime takes 0, and gives zeros
        with pytest.raises(Exception, match="sequence_lens"):
            net.session(seed=0).run({"x": x.numpy(), "n": n.numpy()})


def test_a_net_of_two_lengths_verifies() -> None:
    text = """net a {
      input tokens: int64 [N, T = 9]
      input lengths: int64 [N]
      y, h = tokens -> embedding(20, 6) -> gru(8, bidirectional = true, states = true, lengths = lengths)
      real = arange(T) < (lengths -> unsqueeze(1))
      scores = (real, y -> linear(1) -> squeeze(2)) -> where(right = -inf) -> softmax(1)
      output (scores -> unsqueeze(1), y) -> matmul -> squeeze(1)
      output h
    }"""
    verdict = netspec.loads(text).verify()
    assert verdict.ok, str(verdict)
