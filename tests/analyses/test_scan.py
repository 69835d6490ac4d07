"""What analyses say of a scan: its cost is that of its steps, its reach that of its gradient, and changes inside of it are told."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import netspec
from netspec import diff, loads
from netspec.analyses.cost import cost, expressed
from netspec.analyses.field import reaching
from netspec.sizes.dim import evaluate
from tests.analyses.test_memory import Kept
from tests.backends.test_scan import ACCUMULATE, COURSE, OTHERS

SPECS = {name: (text, None) for name, (text, _) in COURSE.items()}
SPECS |= {name: (OTHERS, name) for name in ("tokens", "video", "first", "nested", "shared", "both")}


def compiled(name: str) -> netspec.Net:
    """One of the networks of the back ends' tests."""
    text, net = SPECS[name]
    return loads(text, net)


def arguments(net: netspec.Net, sizes: dict[str, int]) -> list[torch.Tensor]:
    """Inputs of these sizes."""
    found = []
    for value in (net.graph.values[port.value] for port in net.graph.inputs):
        shape = [size if isinstance(size, int) else evaluate(size, sizes) for size in value.shape]
        found.append(torch.randint(0, 10, shape) if value.dtype == "int64" else torch.randn(shape))
    return found


UNROLLED = """
block cell(width) {
  input x: [N, C]
  input h: [N, width]
  output h = x ++ h -> linear(width) -> tanh -> linear(width)
  output y = h -> relu -> linear(2)
}
net scanned { input x: [N, 4, 5]; output y = x -> scan(cell(3), over = 4, reverse = true) }
net by_hand {
  input x: [N, 4, 5]
  layer step = cell(3)
  h = constant([[0, 0, 0]]) -> expand((N, 3))
  for t in 0..4 { h, y[t] = (x -> select(3 - t), h) -> step }
  output y = [y[3], y[2], y[1], y[0]] -> stack(1)
}
"""


def test_a_scan_costs_what_its_steps_cost() -> None:
    scanned, by_hand = (loads(UNROLLED, name).summary() for name in ("scanned", "by_hand"))
    assert (scanned.parameters, scanned.macs) == (by_hand.parameters, by_hand.macs)
    found, wanted = (cost(loads(UNROLLED, name).graph, {"N": 3}).total for name in ("scanned", "by_hand"))
    assert (found.macs, found.operations) == (wanted.macs, wanted.operations)


def test_a_scan_computes_what_its_steps_compute() -> None:
    scanned, by_hand = (loads(UNROLLED, name) for name in ("scanned", "by_hand"))
    one, two = scanned.torch(), by_hand.torch()
    two.load_state_dict({key.replace("scan1", "step"): value for key, value in one.state_dict().items()})
    x = torch.randn(2, 4, 5)
    torch.testing.assert_close(one(x), two(x))


@pytest.mark.parametrize("name", SPECS)
def test_expressions_come_to_the_numbers(name: str) -> None:
    net = compiled(name)
    sizes = {**net.graph.typical, "N": 3}
    found = cost(net.graph, sizes)
    opened = expressed(net.graph, found)
    assert opened.total.at(dict(found.sizes)) == found.total
    assert evaluate(opened.memory.kept, dict(found.sizes)) == found.memory.kept


@pytest.mark.parametrize("name", [name for name in SPECS if name != "decoder"])
@pytest.mark.parametrize("batch", (1, 3))
def test_what_training_keeps_is_what_autograd_saves(name: str, batch: int) -> None:
    net = compiled(name)
    sizes = {**net.graph.typical, "N": batch}
    module = net.torch().train()
    kept = Kept([*module.parameters(), *module.buffers()])
    with kept.hooks:
        module(*arguments(net, sizes))
    assert cost(net.graph, sizes).memory.kept == kept.bytes


@pytest.mark.parametrize("reverse", (False, True))
def test_a_step_sees_no_step_that_gradients_do_not(reverse: bool) -> None:
    net = loads(ACCUMULATE.replace("REVERSE", str(reverse).lower()))
    module = net.torch().double()
    x = torch.randn(1, 6, 3, dtype=torch.float64, requires_grad=True)
    source = net.graph.inputs[0].value
    for position in range(6):
        (gradient,) = torch.autograd.grad(module(x).before[:, position].sum(), x)
        seen = {int(t) for t in torch.nonzero(gradient.abs().sum((0, 2)))}
        field = reaching(net.graph, net.graph.outputs[0].value, {1: position}, {"N": 1, "T": 6})[source][1]
        assert seen <= set(field)
        assert reverse or max(field) == position


def test_examples_of_a_batch_are_kept_apart_where_the_block_does() -> None:
    text = "block b { input x: [N, C]; input h: [N, C]; output h = h + x MIXED }\nnet n { input x: [N, T, 4]; output x -> scan(b) }"
    apart, mixed = (loads(text.replace("MIXED", word)) for word in ("", "-> softmax(axis = 0)"))
    assert [net.graph.nodes[0].op.step.aligned for net in (apart, mixed)] == [(True, True), (False, False)]


def test_changes_inside_are_told() -> None:
    text = COURSE["peephole"][0]
    assert diff(loads(text), loads(text)).same
    deeper = diff(loads(text), loads(text.replace("(g -> tanh)", "(g -> relu)")))
    assert not deeper.same and "relu" in str(deeper)
    wider = diff(loads(text), loads(text.replace("peephole(4)", "peephole(6)")))
    assert "cell.gates" in str(wider) and "16 -> 24" in str(wider)
    assert not diff(loads(text), loads(text.replace("x ++ h", "h ++ x"))).same
    backward = diff(loads(text), loads(text.replace("states = true", "states = true, reverse = true")))
    assert "reverse: false -> true" in str(backward)


def test_advice_reaches_into_what_is_scanned() -> None:
    text = "block b { input x: [N, C, H, W]; input h: [N, 4, H, W]; output h = x ++ h -> conv(4, 3, padding = 1) -> bn -> relu -> relu }\n"
    net = loads(text + "net n { input x: [N, T, 3, H, W]; output x -> scan(b) }")
    assert [d.code for d in net.check()] == ["NS510", "NS521"]
    assert not any(compiled(name).check() for name in COURSE)


def test_signals_end_where_a_scan_begins() -> None:
    """What comes of states that go round is not predicted, and nobody pretends it is."""
    assert compiled("jordan").signals()["sequence"].second is None


def test_data_dependent_weights_leave_it_as_it_is() -> None:
    text = "block b { input x: [N, C]; input h: [N, 4]; output h = x ++ h -> linear(4) -> tanh }\n"
    net = loads(text + "net n { input x: [N, T = 5, 6]; output x -> linear(8) -> scan(b) -> linear(3) }")
    found = net.initial("lsuv", {"x": np.random.default_rng(0).normal(size=(16, 5, 6)).astype("float32")})
    assert [scaled.layer for scaled in found.layers] == ["linear1", "scan1", "linear2"]
    assert found.notes == ["scan1: its layers run at every step, and start as the spec says"]
    assert abs(found.layers[2].after - 1) < 0.1
    plain = net.torch(0).state_dict()
    np.testing.assert_array_equal(found.arrays["scan1.linear1.weight"], plain["scan1.linear1.weight"].numpy())
