"""`.pt2` and `.ts`: every size that the spec leaves open stays open, the numbers are the module's, and what torch cannot is refused."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from netspec.api import Net, loads
from netspec.backends.weights import Initial
from netspec.diagnostics.model import Refusal
from netspec.runtime import torch_program
from netspec.runtime.torch_dims import Progression, affine, progression
from netspec.sizes.dim import Dim, parse
from netspec.sizes.solution import Solution

UNET = (
    "input x: [N, 3, H = 32, W = 32]\n output y = x ++ (x -> conv(4, 3, padding = 1) -> bn -> 2 * max_pool(2) -> upsample(4) -> conv(2, 1))"
)
HALVES = "input x: [N, 1, L = 20]\n input side: [N, 2, 2 * L + 1]\n output y = (x -> conv(2, 1)) \n output z = side -> relu"
STEPS = "input x: [N, T = 6, 3]\n output y = x -> gru(4)"
LENGTHS = "input x: [N, T = 6, 3]\n input n: int64 [N]\n "
CELL = "block cell {\n input x: [N, C]\n input h: [N, C]\n output h = x + h -> tanh\n output y = h * 2\n}\n"
ROWS = "block rows {\n input x: [N, U, C]\n input s: [N, C]\n f = x -> scan(cell, axis = 1, states = true, reverse = true)\n"
ROWS += " output s = f.h + s\n output y = f.y\n}\n"
BRANCHES = "input x: [N, 4, H = 15, W = 15]\n a = x -> {}\n b = x -> conv(4, 1, stride = {})\n output y = a + b"

pytestmark = pytest.mark.filterwarnings("ignore")


def net(body: str) -> Net:
    return loads("net a {\n " + body + "\n}")


def arrays(of: Net, **sizes: int) -> list[torch.Tensor]:
    from netspec.runtime.cases import inputs

    return [torch.from_numpy(a) for a in inputs(of.graph, {**of.graph.typical, **sizes}, "normal", 7).values()]


def same(found: object, expected: object) -> None:
    """The same values under the same structure, but for a tuple's names."""
    ours, theirs = (list(x) if isinstance(x, (tuple, list)) else [x] for x in (found, expected))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_a_program_takes_every_size_of_the_spec(tmp_path: Path) -> None:
    made = net(UNET)
    made.export(str(tmp_path / "a.pt2"), seed=3)
    extra = {torch_program.FACTS: ""}
    program = torch.export.load(tmp_path / "a.pt2", extra_files=extra)
    module = made.torch(seed=3).eval()
    for sizes in ({"N": 1, "H": 4, "W": 8}, {"N": 5, "H": 64, "W": 36}):
        same(program.module()(*arrays(made, **sizes)), module(*arrays(made, **sizes)))
    with pytest.raises(Exception, match="(?i)guard|assert|expected"):
        program.module()(*arrays(made, H=30))
    shape = next(n.meta["val"].shape for n in program.graph.nodes if n.name == program.graph_signature.user_inputs[0])
    assert str(shape[2]).startswith("4*") and str(shape[3]).startswith("4*")
    facts = json.loads(extra[torch_program.FACTS])
    assert facts["net"] == "a" and facts["inputs"] == {"x": "float32"} and facts["sizes"]["H"] == ["H % 4 == 0"]


def test_torchscript_takes_them_as_well(tmp_path: Path) -> None:
    for body, sizes in ((UNET, {"N": 2, "H": 12, "W": 20}), (STEPS, {"N": 2, "T": 11})):
        made = net(body)
        made.export(str(tmp_path / "a.ts"))
        loaded = torch.jit.load(tmp_path / "a.ts")
        same(loaded(*arrays(made, **sizes)), made.torch().eval()(*arrays(made, **sizes)))


def test_one_name_in_two_inputs_is_one_dimension() -> None:
    made = net(HALVES)
    program = torch_program.exported(made.graph, Initial(0, {t.name: t for t in made.graph.weights}))[0].module()
    same(program(*arrays(made, N=2, L=7)), made.torch().eval()(*arrays(made, N=2, L=7)))
    with pytest.raises(Exception, match="(?i)guard|expected"):
        program(arrays(made, L=7)[0], arrays(made, L=8)[1])


def test_open_steps_are_refused_and_fixed_ones_are_not(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match=r"NS755.*steps of gru1 \(line 3\), and so fixes") as refused:
        net(STEPS).export(str(tmp_path / "a.pt2"))
    assert refused.value.diagnostic.helps[0] == "--static T=6 makes them numbers" and not list(tmp_path.iterdir())
    loads("net a {\n " + STEPS + "\n}", static={"T": 6}).export(str(tmp_path / "a.pt2"))
    assert torch.export.load(tmp_path / "a.pt2").module()(torch.zeros(5, 6, 3)).shape == (5, 6, 4)


@pytest.mark.parametrize(
    "body",
    [
        "input x: [N, T = 6, 3]\n output y = x -> scan(cell, over = T, reverse = true)",
        "input x: [N, T = 6, 3]\n output y = (x -> scan(cell, over = T)) ++ (x -> scan(cell, over = T, reverse = true)) -> gru(2)",
        "input x: [N, T = 6, U = 4, 3]\n output y = x -> scan(rows, axis = 1, reverse = true)",
        "input x: [N, T = 6, 3]\n output y = x -> gru(4, layers = 2, bidirectional = true, reset = before)",
        LENGTHS + "output y = x -> gru(4, reset = before, bias = false, lengths = n) -> scan(cell, over = T)",
        LENGTHS + "output y = x -> lstm(4, lengths = n) -> gru(2, reset = before)",  # packed: traced, the second layer compiled
    ],
)
def test_torchscript_keeps_the_steps_open(body: str) -> None:
    made = loads(CELL + ROWS + "net a {\n " + body + "\n}")
    program = torch_program.scripted(made.graph, Initial(0, {t.name: t for t in made.graph.weights}))
    module = made.torch().eval()
    for steps in (1, 9):
        same(program(*arrays(made, N=2, T=steps)), module(*arrays(made, N=2, T=steps)))


def test_only_what_works_is_named_as_a_way_out() -> None:
    def helps(body: str) -> tuple[str, ...]:
        made = loads(CELL + "net a {\n " + body + "\n}")
        with pytest.raises(Refusal, match="NS755") as refused:
            torch_program.exported(made.graph, Initial(0, {t.name: t for t in made.graph.weights}))
        return refused.value.diagnostic.helps

    assert helps(STEPS) == ("--static T=6 makes them numbers", "-o net.onnx keeps every size open", "so does -o net.ts, TorchScript")
    packed = LENGTHS + "output y = x -> lstm(3, lengths = n)"
    assert helps(packed) == ("-o net.onnx says all of it", "so does -o net.ts, TorchScript")
    assert helps(packed + " -> scan(cell, over = T)") == ("-o net.onnx says all of it",)


def test_a_trace_that_writes_a_scan_out_names_it() -> None:
    made = loads(CELL + "net a {\n " + LENGTHS + "output y = x -> lstm(3, lengths = n) -> scan(cell, over = T)\n}")
    with pytest.raises(Refusal, match=r"NS755.*tracing does not keep the sizes of a open \(at scan1"):
        torch_program.scripted(made.graph, Initial(0, {t.name: t for t in made.graph.weights}))


@pytest.mark.parametrize(
    ("layer", "stride"),
    [
        ("conv(4, 3, padding = same_upper, stride = 2)", 2),
        ("conv(4, 2, padding = same_upper, stride = 2)", 2),
        ("conv(4, 3, padding = same_upper, stride = 2, dilation = 2)", 2),
        ("conv(4, 2, padding = same_upper, stride = 3)", 3),
        ("max_pool(3, padding = same_upper, stride = 2)", 2),
        ("pad(((0, -H % 8), (0, -W % 8))) -> conv(4, 8, stride = 8)", 8),
    ],
)
def test_branches_of_a_stride_meet_at_every_size(layer: str, stride: int) -> None:
    made = net(BRANCHES.format(layer, stride))
    program, least = torch_program.exported(made.graph, Initial(0, {t.name: t for t in made.graph.weights}))
    assert not least
    module, run = made.torch().eval(), program.module()
    for size in (1, 2, 15, 16, 17, 18, 21):
        given = torch.randn(2, 4, size, size + 1)
        same(run(given), module(given))


def test_a_trace_that_bakes_a_size_in_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripting is made to fail, and the module to count its input: the trace has that as a number."""
    made = net("input x: [N, T = 5, 3]\n output y = x -> rnn(4)")
    source = made.torch().eval()

    class Baked(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = source

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x) * float(np.prod(x.shape))

    monkeypatch.setattr(torch_program, "_module", lambda graph, weights: Baked().eval())
    monkeypatch.setattr(torch.jit, "script", lambda module: (_ for _ in ()).throw(RuntimeError("no")))
    with pytest.raises(Refusal, match="NS755.*tracing does not keep the sizes of a open"):
        torch_program.scripted(made.graph, Initial(0, {}))


def test_nothing_is_left_where_writing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = net("input x: [N, 2]\n output y = x -> linear(2)")
    (tmp_path / "a.pt2").write_bytes(b"old")
    monkeypatch.setattr(torch.export, "save", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        made.export(str(tmp_path / "a.pt2"))
    assert [p.name for p in tmp_path.iterdir()] == ["a.pt2"] and (tmp_path / "a.pt2").read_bytes() == b"old"
    with pytest.raises(Refusal, match="NS015"):
        made.export("a.onnx")


def test_short_writes_are_made_whole() -> None:
    """What torch hands over goes through a buffer: a raw file may take only some of it."""

    class Slow(io.RawIOBase):
        def __init__(self) -> None:
            self.held = b""

        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            self.held += bytes(memoryview(data))[:3]  # type: ignore[arg-type]
            return min(3, len(memoryview(data)))  # type: ignore[arg-type]

    slow = Slow()
    torch_program._through_buffer(lambda file: file.write(b"abcdefgh") and None)(slow)  # type: ignore[arg-type]
    assert slow.held == b"abcdefgh"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (Solution("H"), Progression(1, 0, 1)),
        (Solution("H", 32), Progression(32, 0, 1)),
        (Solution("H", 16, (12,), 188), Progression(16, 12, 11)),
        (Solution("H", 4, (1, 3), 1), Progression(2, 1, 0)),
        (Solution("T", residues=(), start=513, exceptions=(range(1, 513),)), Progression(1, 0, 1, 512)),
        (Solution("H", residues=(), start=10, exceptions=(range(7, 8), range(9, 10))), Progression(2, 1, 3, 4)),
        (Solution("H", 4, (0, 1)), None),
        (Solution("H", 2, (0,), 8, (range(3, 4),)), None),
        (Solution("H", decided=False, reason="?"), None),
    ],
)
def test_sets_of_sizes_as_progressions(found: Solution, expected: Progression | None) -> None:
    assert progression(found) == expected
    if expected is not None:
        last = expected.last if expected.last is not None else 300
        members = {expected.step * k + expected.offset for k in range(expected.first, last + 1)}
        assert {n for n in range(1, 300) if n in found} == {n for n in members if n < 300}


def test_sizes_as_multiples() -> None:
    assert affine(Dim.name("H")) == ("H", 1, 0)
    assert [affine(parse(text)) for text in ("2 * H + 1", "H // 2", "H * W")] == [("H", 2, 1), None, None]  # type: ignore[arg-type]
