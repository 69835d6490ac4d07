"""Recurrent layers and cells: against the formulas step by step, in all their forms, and with states that are handed on."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pytest
import torch

import netspec
from tests.ops.compare import disagreements
from tests.ops.harness import Case, accept, random_data
from tests.ops.torch_terms import run_torch

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections")

FORMS = ("rnn", "rnn relu", "gru", "gru before", "lstm", "lstm proj")
EXTRA = {"rnn relu": ", nonlinearity = relu", "gru before": ", reset = before", "lstm proj": ", proj = 2"}


def layer(form: str, layers: int = 1, both: bool = False, bias: bool = True, given: bool = False, hidden: int = 4) -> Case:
    """A layer in one of its forms on `[N, T, 3]`, its states put out too; `given`: it starts from states."""
    name, flags = form.split()[0], {True: "true", False: "false"}
    call = f"{name}({hidden}, layers = {layers}, bidirectional = {flags[both]}, bias = {flags[bias]}, states = true{EXTRA.get(form, '')}"
    rows, inputs = layers * (1 + both), ["[N, T = 5, 3]"]
    if given:
        call += ", h0 = h" + (", c0 = c" if name == "lstm" else "")
        inputs.append(f"[{rows}, N, {2 if form == 'lstm proj' else hidden}]")
        inputs += [f"[{rows}, N, {hidden}]"] * (name == "lstm")
    return accept(call + ")", tuple(inputs))


# ----------------------------------------------------------------------------------------------------------- the formulas
def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def step(form: str, x: np.ndarray, h: np.ndarray, c: np.ndarray, w: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The next h and c, by the formulas of the papers, in float64."""
    into, back = x @ w["weight_ih"].T + w["bias_ih"], h @ w["weight_hh"].T + w["bias_hh"]
    if form.startswith("rnn"):
        return (np.tanh if form == "rnn" else lambda v: np.maximum(v, 0))(into + back), c
    parts, pasts = np.split(into, len(into[0]) // c.shape[1], 1), np.split(back, len(into[0]) // c.shape[1], 1)
    if form.startswith("lstm"):
        i, f, g, o = (a + b for a, b in zip(parts, pasts))
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        m = sigmoid(o) * np.tanh(c)
        return (m @ w["weight_hr"].T if "proj" in form else m), c
    r, z = sigmoid(parts[0] + pasts[0]), sigmoid(parts[1] + pasts[1])
    third = pasts[2]
    if form == "gru before":
        rows = slice(2 * h.shape[1], None)
        third, r = (r * h) @ w["weight_hh"][rows].T + w["bias_hh"][rows], np.ones_like(r)
    n = np.tanh(parts[2] + r * third)
    return (1 - z) * n + z * h, c


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_two_layers_are_the_formulas(form: str, both: bool) -> None:
    case = layer(form, 2, both, given=True)
    data = random_data(case, {"N": 2, "T": 5})
    results = run_torch(case.operator, case.site(), data.arrays, data.weights, double=True)
    x, h0, *rest = (a.astype(np.float64) for a in data.arrays)
    c0 = rest[0] if rest else np.zeros((4, 2, 4))
    last: list[np.ndarray] = []
    for number in range(2):
        sides = []
        for side, suffix in enumerate(("", "_reverse")[: 1 + both]):
            own = {k.removesuffix(f"_l{number}{suffix}"): v for k, v in data.weights.items() if k.endswith(f"_l{number}{suffix}")}
            h, c, steps = h0[len(last)], c0[len(last)], [np.zeros(0)] * 5
            for t in range(5)[:: -1 if side else 1]:
                h, c = step(form, x[:, t], h, c, own)
                steps[t] = h
            sides.append(np.stack(steps, 1))
            last.append(h)
        x = np.concatenate(sides, 2)
    assert np.allclose(results[0].detach(), x, atol=1e-9) and np.allclose(results[1].detach(), np.stack(last), atol=1e-9)


# ------------------------------------------------------------------------------------------------------------- the forms
def forms_at_random(count: int) -> list[Any]:
    every = list(itertools.product(FORMS, (1, 2, 3), (False, True), (True, False), (False, True), (17, 22, 26)))
    return random.Random(5).sample(every, count)


@pytest.mark.parametrize(("form", "layers", "both", "bias", "given", "opset"), forms_at_random(24))
def test_onnxruntime_agrees(form: str, layers: int, both: bool, bias: bool, given: bool, opset: int) -> None:
    case = layer(form, layers, both, bias, given, hidden=7)
    for sizes in ({"N": 2, "T": 5}, {"N": 1, "T": 1}, {"N": 3, "T": 40}):
        assert disagreements(case, sizes, opset) == []


@pytest.mark.parametrize("form", FORMS)
def test_a_sequence_in_two_calls_is_the_sequence(form: str) -> None:
    """What one call ends with, the next begins with: in PyTorch and in onnxruntime."""
    name = form.split()[0]
    states = "h, c" if name == "lstm" else "h"
    starts = "h0 = h, c0 = c" if name == "lstm" else "h0 = h"
    width = 2 if form == "lstm proj" else 4
    cell = "input c: [2, N, 4]" if name == "lstm" else ""
    text = f"""net a {{
      input x: [N, T = 6, 3]
      input h: [2, N, {width}]
      {cell}
      y, {states} = x -> {name}(4, layers = 2, states = true, {starts}{EXTRA.get(form, "")})
      output y
      output last_h = h
      {"output last_c = c" if cell else ""}
    }}"""
    net, x = netspec.loads(text), np.random.default_rng(0).normal(size=(3, 8, 3)).astype(np.float32)
    zeros = [np.zeros((2, 3, w), np.float32) for w in ((width, 4) if cell else (width,))]
    module, session = net.torch(seed=1).eval(), net.session(seed=1)
    names = [p.name for p in net.graph.inputs]

    def in_torch(part: np.ndarray, before: list[np.ndarray]) -> list[np.ndarray]:
        return [v.detach().numpy() for v in module(*map(torch.from_numpy, (part, *before)))]

    def in_onnx(part: np.ndarray, before: list[np.ndarray]) -> list[np.ndarray]:
        return list(session.run(dict(zip(names, (part, *before)))).values())

    for run in (in_torch, in_onnx):
        whole, first = run(x, zeros), run(x[:, :5], zeros)
        second = run(x[:, 5:], first[1:])
        assert np.allclose(np.concatenate([first[0], second[0]], 1), whole[0], atol=1e-5)
        assert all(np.allclose(a, b, atol=1e-5) for a, b in zip(second[1:], whole[1:]))


@pytest.mark.parametrize(("layer", "cell"), [("rnn(4)", "rnn_cell(4)"), ("gru(4, reset = before)", "gru_cell(4, reset = before)")])
def test_a_cell_in_a_loop_is_the_layer(layer: str, cell: str) -> None:
    whole = netspec.loads(f"net a {{ input x: [N, 3, 2]\n output y = x -> {layer} -> select(-1) }}")
    steps = """net a {
      input x: [N, 3, 2]
      layer cell = %s
      h = x -> select(0) -> cell
      for t in 1..3 {
        h = (x -> select(t), h) -> cell
      }
      output h
    }"""
    looped = netspec.loads(steps % cell)
    one, other = whole.torch(seed=0).eval(), looped.torch(seed=0).eval()
    other.load_state_dict({f"cell.{k.partition('.')[2].removesuffix('_l0')}": v for k, v in one.state_dict().items()}, strict=True)
    x = torch.randn(5, 3, 2)
    assert torch.allclose(one(x), other(x), atol=1e-6)
    assert looped.verify().ok


# ------------------------------------------------------------------------------------------------- in torch, in training
def test_weights_start_and_are_named_as_torch_does() -> None:
    net = netspec.loads("net a { input x: [N, T = 5, 3]\n output y = x -> lstm(64, layers = 2, bidirectional = true) as rnn }")
    reference = torch.nn.LSTM(3, 64, 2, bidirectional=True, batch_first=True)
    state = net.torch(seed=0).state_dict()
    assert {k: v.shape for k, v in state.items()} == {f"rnn.{k}": v.shape for k, v in reference.state_dict().items()}
    assert all(0.9 / 8 < float(v.abs().max()) <= 1 / 8 for v in state.values())  # 1 / sqrt(64)


@pytest.mark.parametrize("form", ["gru", "gru before"])
def test_dropout_acts_between_layers_in_training(form: str) -> None:
    text = f"net a {{ input x: [N, T = 5, 3]\n output y = x -> gru(8, layers = 2, dropout = 0.5{EXTRA.get(form, '')}) }}"
    module, x = netspec.loads(text).torch(seed=0), torch.randn(2, 5, 3)
    assert not torch.equal(module.train()(x), module(x)) and torch.equal(module.eval()(x), module(x))


@pytest.mark.filterwarnings("ignore:The tensor attributes")
@pytest.mark.parametrize("body", ["lstm(4, layers = 2)", "gru(4, reset = before)", "rnn(4) -> lstm(6, proj = 2)"])
def test_torch_exports_any_batch(body: str) -> None:
    module = netspec.loads(f"net a {{ input x: [N, 5, 3]\n output y = x -> {body} }}").torch(seed=0).eval()
    exported = torch.export.export(module, (torch.randn(2, 5, 3),), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    x = torch.randn(7, 5, 3)
    assert torch.allclose(exported.module()(x), module(x), atol=1e-6)


@pytest.mark.parametrize("body", ["lstm(8, states = true)", "gru(8, layers = 2, bidirectional = true, states = true)"])
def test_nets_verify(body: str) -> None:
    text = f"net a {{ input x: int64 [N, T = 9]\n f = x -> embedding(20, 6) -> {body}\n output y = f.y -> linear(5)\n output f.h }}"
    verdict = netspec.loads(text).verify()
    assert verdict.ok, str(verdict)
