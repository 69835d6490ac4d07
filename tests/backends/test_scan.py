"""Scans against PyTorch as one would write it: cells of the course, at several lengths, in both back ends and in both ONNX forms."""

from __future__ import annotations

from textwrap import dedent

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from torch import Tensor, nn

import netspec
from netspec.graph import Graph
from netspec.runtime.session import Session

JORDAN = """
block jordan(width, outputs) {
  input x: [N, C]
  input y: [N, outputs]
  h = x ++ y -> linear(width) as hidden -> tanh
  output y = h -> linear(outputs) as out -> sigmoid
  output sequence = y
}
net n {
  input x: [N, T = 7, 5]
  f = x -> scan(jordan(8, 2), over = T, states = true) as cell
  output sequence = f.sequence
  output y = f.y
}
"""

PEEPHOLE = """
block peephole(width) {
  input x: [N, C]
  input h: [N, width]
  input c: [N, width]
  i, f, g, o = x ++ h -> linear(4 * width) as gates -> chunk(4)
  i = i + c * (param([width], init = normal(std = 0.5)) as peep_i) -> sigmoid
  f = f + c * (param([width], init = normal(std = 0.5)) as peep_f) -> sigmoid
  output c = f * c + i * (g -> tanh)
  o = o + c * (param([width], init = normal(std = 0.5)) as peep_o) -> sigmoid
  output h = o * (c -> tanh)
  output y = h
}
net n {
  input x: [N, T = 7, 5]
  f = x -> scan(peephole(4), over = T, states = true) as cell
  output y = f.y
  output h = f.h
  output c = f.c
}
"""

DUAL = """
block dual(width) {
  input x: [N, C]
  input s: [N, width]
  input l: [N, width]
  mixed = x ++ s -> linear(width) as up -> relu
  output l = mixed ++ l -> linear(width) as back -> relu
  output s = mixed + (l -> linear(width) as down)
  output y = s + l
}
net n {
  input x: [N, T = 7, 5]
  output y = x -> scan(dual(4), over = T, reverse = true) as cell
}
"""

DECODER = """
block decoder(width) {
  input x: [N, C]
  input memory: [N, S, D]
  input h: [N, width]
  query = h -> linear(D) as query -> unsqueeze(1)
  context = (query, memory, memory) -> scaled_dot_product -> squeeze(1)
  output h = (x ++ context, h) -> gru_cell(width) as cell
  output y = h ++ context -> linear(10) as out
}
net n {
  input x: [N, T = 7, 5]
  input memory: [N, S = 9, 8]
  input start: [N, 6]
  f = (x, memory, start) -> scan(decoder(6), over = T, states = true) as decode
  output y = f.y
  output h = f.h
}
"""


class Jordan(nn.Module):
    """The output feeds back."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.ModuleDict({"hidden": nn.Linear(7, 8), "out": nn.Linear(8, 2)})

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        y, found = torch.zeros(len(x), 2), []
        for t in range(x.shape[1]):
            y = torch.sigmoid(self.cell["out"](torch.tanh(self.cell["hidden"](torch.cat([x[:, t], y], 1)))))
            found.append(y)
        return torch.stack(found, 1), y


class Peephole(nn.Module):
    """Gers, Schraudolph and Schmidhuber 2002."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.Module()
        self.cell.peep_i, self.cell.peep_f, self.cell.peep_o = (nn.Parameter(torch.randn(4)) for _ in range(3))
        self.cell.gates = nn.Linear(9, 16)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        h = c = torch.zeros(len(x), 4)
        found = []
        for t in range(x.shape[1]):
            i, f, g, o = self.cell.gates(torch.cat([x[:, t], h], 1)).chunk(4, 1)
            i, f = torch.sigmoid(i + self.cell.peep_i * c), torch.sigmoid(f + self.cell.peep_f * c)
            c = f * c + i * torch.tanh(g)
            h = torch.sigmoid(o + self.cell.peep_o * c) * torch.tanh(c)
            found.append(h)
        return torch.stack(found, 1), h, c


class Dual(nn.Module):
    """Two states that feed each other, from the last step to the first."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.ModuleDict({"up": nn.Linear(9, 4), "back": nn.Linear(8, 4), "down": nn.Linear(4, 4)})

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        s = lower = torch.zeros(len(x), 4)
        found = [torch.empty(0)] * x.shape[1]
        for t in reversed(range(x.shape[1])):
            mixed = torch.relu(self.cell["up"](torch.cat([x[:, t], s], 1)))
            lower = torch.relu(self.cell["back"](torch.cat([mixed, lower], 1)))
            s = mixed + self.cell["down"](lower)
            found[t] = s + lower
        return (torch.stack(found, 1),)


class Decoder(nn.Module):
    """Bahdanau's order of things: look at the memory with the old state, then step."""

    def __init__(self) -> None:
        super().__init__()
        self.decode = nn.ModuleDict({"query": nn.Linear(6, 8), "cell": nn.GRUCell(13, 6), "out": nn.Linear(14, 10)})

    def forward(self, x: Tensor, memory: Tensor, h: Tensor) -> tuple[Tensor, ...]:
        found = []
        for t in range(x.shape[1]):
            scores = torch.einsum("nd,nsd->ns", self.decode["query"](h), memory) / 8**0.5
            context = torch.einsum("ns,nsd->nd", scores.softmax(1), memory)
            h = self.decode["cell"](torch.cat([x[:, t], context], 1), h)
            found.append(self.decode["out"](torch.cat([h, context], 1)))
        return torch.stack(found, 1), h


COURSE = {"jordan": (JORDAN, Jordan), "peephole": (PEEPHOLE, Peephole), "dual": (DUAL, Dual), "decoder": (DECODER, Decoder)}
LENGTHS = (1, 2, 5)


def feed(net: netspec.Net, **sizes: int) -> dict[str, np.ndarray]:
    """Random inputs at these sizes, the others typical."""
    rng, known, found = np.random.default_rng(0), {**net.graph.typical, **sizes}, {}
    for port in net.graph.inputs:
        shape = [size if isinstance(size, int) else known[str(size)] for size in net.graph.values[port.value].shape]
        found[port.name] = rng.normal(size=shape).astype("float32")
    return found


def run(module: nn.Module, given: dict[str, np.ndarray]) -> list[np.ndarray]:
    """What a module puts out, as arrays."""
    with torch.no_grad():
        found = module(*map(torch.from_numpy, given.values()))
    return [f.numpy() for f in (found if isinstance(found, tuple) else (found,))]


@pytest.mark.parametrize("name", COURSE)
def test_cells_of_the_course_are_what_one_would_write(name: str) -> None:
    text, written = COURSE[name]
    net = netspec.loads(text)
    module, hand = net.torch().eval(), written().eval()
    hand.load_state_dict(module.state_dict())
    for length in LENGTHS:
        for batch in (1, 3):
            given = feed(net, N=batch, T=length)
            for got, wanted in zip(run(module, given), run(hand, given), strict=True):
                np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", COURSE)
def test_verify_passes_open_and_fixed(name: str) -> None:
    text = COURSE[name][0]
    sizes = [{"N": n, "T": t} for n, t in ((3, 5), (1, 1), (3, 2), (1, 2), (3, 1))]
    net = netspec.loads(text)
    known = net.graph.typical
    verdict = net.verify(sizes=[{**known, **s} for s in sizes])
    assert verdict.ok, str(verdict)
    assert "Scan" in {node.op_type for node in net.onnx().graph.node}
    fixed = netspec.loads(text.replace("T = 7", "4").replace("over = T", "over = 4"))
    assert fixed.verify(count=2).ok
    assert "Scan" not in {node.op_type for node in fixed.onnx().graph.node}


@pytest.mark.parametrize("opset", (17, 21, 26))
@pytest.mark.parametrize("name", COURSE)
def test_the_onnx_reference_agrees(name: str, opset: int) -> None:
    net = netspec.loads(COURSE[name][0])
    model, module = net.onnx(opset=opset), net.torch().eval()
    onnx.checker.check_model(model, full_check=True)
    given = feed(net, N=2, T=3)
    for got, wanted in zip(ReferenceEvaluator(model).run(None, given), run(module, given), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def test_both_onnx_forms_are_one_network() -> None:
    """Open and fixed lengths store the same weights, and give the same numbers with them."""
    net = netspec.loads(PEEPHOLE)
    fixed = netspec.loads(PEEPHOLE.replace("T = 7", "7").replace("over = T", "over = 7"))
    assert [w.name for w in net.graph.weights] == [w.name for w in fixed.graph.weights]
    given = feed(net, N=2)
    for got, wanted in zip(net.session()(**given).values(), fixed.session()(**given).values(), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-7)


def test_many_steps_stay_a_loop() -> None:
    counted = {}
    for steps in (64, 65):
        model = netspec.loads(JORDAN.replace("T = 7", str(steps)).replace("over = T", f"over = {steps}")).onnx()
        counted[steps] = sum(node.op_type == "Scan" for node in model.graph.node)
    assert counted == {64: 0, 65: 1}


ACCUMULATE = """
block running {
  input x: [N, C]
  input s: [N, C]
  output before = s
  output s = s + x
}
net n {
  input x: [N, T = 4, 3]
  f = x -> scan(running, over = T, states = true, reverse = REVERSE)
  output before = f.before
  output s = f.s
}
"""


@pytest.mark.parametrize("fixed", (False, True))
@pytest.mark.parametrize("reverse", (False, True))
def test_outputs_stay_in_the_order_of_the_inputs(reverse: bool, fixed: bool) -> None:
    """The sum of what came before, from either end; an output that is nothing but the old state."""
    text = ACCUMULATE.replace("REVERSE", str(reverse).lower())
    net = netspec.loads(text.replace("T = 4", "4").replace("over = T", "over = 4") if fixed else text)
    x = np.arange(24, dtype="float32").reshape(2, 4, 3)
    order = x[:, ::-1] if reverse else x
    before = np.cumsum(order, 1) - order
    before = before[:, ::-1] if reverse else before
    for found in (run(net.torch(), {"x": x}), list(net.session()(x=x).values()), ReferenceEvaluator(net.onnx()).run(None, {"x": x})):
        assert np.array_equal(found[0], before) and np.array_equal(found[1], x.sum(1))


OTHERS = """
block embed(width) {
  input x: [N]
  input h: [N, width]
  output h = (x -> embedding(10, width), h) -> gru_cell(width)
  output logits = h -> linear(10)
}
block frames(width) {
  input x: [N, C, H, W]
  input h: [N, width, H, W]
  output h = x ++ h -> conv(width, 3, padding = 1) -> batch_norm -> dropout(0.3) -> relu
  output y = h -> max_pool(2)
}
block words(width) {
  input x: [N, C]
  input h: [N, width]
  output h = x ++ h -> linear(width) -> tanh
}
block sentences(width) {
  input x: [N, L, C]
  input s: [N, width]
  word = x -> scan(words(width), over = L)
  output s = word ++ s -> linear(width) -> tanh
  output y = s
}
block axes {
  input x: [N, L]
  input m: [L]
  input h: [N, L]
  output h = h * 0.5 + x + m
  output y = h -> unsqueeze(1)
}
net tokens { input x: int64 [N, T = 7]; output y = x -> scan(embed(6), over = T) }
net video { input x: [N, T = 4, 3, H = 8, W = 8]; y = x -> scan(frames(4), over = T); output y -> reshape((N, -1, H // 2, W // 2)) }
net first { input x: [T = 6, N, 5]; output y = x -> scan(words(3), axis = 0) }
net nested { input x: [N, T = 4, L = 3, 6]; output y = x -> scan(sentences(5), over = T, reverse = true) }
net inner { input x: [N, 3, L = 3, 6]; output y = x -> scan(sentences(5), over = 3) }
net shared {
  input q: [N, Q = 5, 8]
  input a: [N, A = 7, 8]
  layer read = scan(words(4))
  output (q -> read) * (a -> read)
}
net sizes { input x: [N, 4, L = 12]; input m: [K = 6]; output y = (x -> max_pool(2), m) -> scan(axes); where K == L // 2 }
net both { input x: [N, T = 6, 5]; a = x -> scan(words(3)); b = x -> scan(words(4)); output a ++ b }
"""


@pytest.mark.parametrize("name", ("tokens", "video", "first", "nested", "inner", "shared", "sizes", "both"))
def test_other_scans_verify(name: str) -> None:
    net = netspec.loads(OTHERS, name)
    assert Graph.read(net.graph.write()) == net.graph
    assert Graph.read(net.graph.write()).write() == net.graph.write()
    assert list(net.torch().state_dict()) == [w.name for w in net.graph.weights]
    verdict = net.verify()
    assert verdict.ok, str(verdict)


def test_the_source_is_a_loop() -> None:
    wanted = """
        class N(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.decode = Decoder()

            def forward(self, x: Tensor, memory: Tensor, start: Tensor) -> NOutputs:
                h = start
                steps = []
                for x_t in x.unbind(1):
                    h, y_t = self.decode(x_t, memory, h)
                    steps.append(y_t)
                y = torch.stack(steps, 1)
                return NOutputs(y, h)
    """
    assert dedent(wanted).strip() in netspec.loads(DECODER).source()


def test_a_fixed_length_exports() -> None:
    net = netspec.loads(DUAL.replace("T = 7", "4").replace("over = T", "over = 4"))
    module, x = net.torch().eval(), torch.randn(3, 4, 5)
    exported = torch.export.export(module, (x,), dynamic_shapes={"x": {0: torch.export.Dim("batch")}})
    other = torch.randn(5, 4, 5)
    torch.testing.assert_close(exported.module()(other), module(other))


def test_gradients_flow_through_all_steps() -> None:
    module = netspec.loads(PEEPHOLE).torch()
    x = torch.randn(2, 6, 5, requires_grad=True)
    module(x).y[:, -1].sum().backward()
    assert x.grad is not None and (x.grad.abs().sum((0, 2)) > 0).all()
    assert all(parameter.grad is not None for parameter in module.parameters())


def test_weights_beside_the_model_and_norms_folded(tmp_path) -> None:
    net = netspec.loads(OTHERS, "video")
    given = feed(net, N=2)
    wanted = net.session()(**given)["output"]
    net.save_onnx(str(tmp_path / "beside.onnx"), external=True)
    net.save_onnx(str(tmp_path / "folded.onnx"), fold=True)
    for name in ("beside", "folded"):
        found = Session(tmp_path / f"{name}.onnx")(**given)["output"]
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_a_state_is_carried_across_calls() -> None:
    """Two halves, the second from the state that the first ended with, are the whole."""
    net = netspec.loads(DECODER)
    session, given = net.session(), feed(net, N=2, T=6)
    whole = session(**given)
    first = session(**{**given, "x": given["x"][:, :3]})
    second = session(**{**given, "x": given["x"][:, 3:], "start": first["h"]})
    np.testing.assert_allclose(np.concatenate([first["y"], second["y"]], 1), whole["y"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(second["h"], whole["h"], rtol=1e-5, atol=1e-6)
