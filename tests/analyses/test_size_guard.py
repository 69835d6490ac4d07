"""What a network says of sizes that it does not take: the generated PyTorch, a session, and a model's metadata."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from netspec.analyses.constraints import valid_sizes
from netspec.api import Net, load, loads
from netspec.diagnostics.model import Refusal
from netspec.runtime.session import Session
from netspec.sizes.dim import evaluate
from tests.timing import in_time

UNET = "input x: [N, 3, H = 32, W = 32]\n output x ++ (x -> 2 * max_pool(2) -> upsample(4) -> conv(2, 1))"
FLAT = "input x: [N, 1, H = 224, W = 224]\n output x -> max_pool(32) -> flatten -> linear(3)"
FINITE = "input x: [N, 1, H = 32, 5]\n output x -> conv(2, 3, stride = 2, padding = 1) -> flatten -> linear(3)"
PAIR = "input x: [N, 2, H = 8]\n input y: [N, 2, G = 8]\n output (x -> max_pool(2) -> upsample(2)) + y"


def net(body: str) -> Net:
    return loads("net a {\n " + body + "\n}")


def inputs(of: Net, **sizes: int) -> list[torch.Tensor]:
    env = {**of.graph.typical, **sizes}
    return [torch.zeros([evaluate(s, env) for s in of.graph.values[p.value].shape]) for p in of.graph.inputs]


@pytest.mark.parametrize(
    ("body", "sizes", "words"),
    [
        (UNET, {"H": 30}, "x: H % 4 == 0 is needed, not 30; the nearest: 28 and 32"),
        (UNET, {"W": 3}, "x: W % 4 == 0 is needed, not 3; the nearest: 4"),
        (FLAT, {"H": 20}, "x: H >= 32 is needed, not 20; the nearest: 32"),
        (FLAT, {"H": 300}, "x: (H // 32) * (W // 32) == 49 (as with H = 224, W = 224) is needed, not [1, 1, 300, 224]"),
        (PAIR, {"H": 11}, "x and y: 2 * (H // 2) == G (as with G = 8, H = 8) is needed, not [1, 2, 11] and [1, 2, 8]"),
        (FINITE, {"H": 40}, "x: H in {31, 32} is needed, not 40; the nearest: 32"),
    ],
)
def test_the_generated_module_names_what_does_not_fit(body: str, sizes: dict[str, int], words: str) -> None:
    made = net(body)
    module = made.torch()
    module(*inputs(made))
    with pytest.raises(ValueError) as caught:
        module(*inputs(made, **sizes))
    assert str(caught.value) == words


def test_it_takes_exactly_the_valid_sizes() -> None:
    made = net("input x: [1, 1, H = 42]\n y = x -> conv(1, 3, padding = 1) -> crop(3)\n output y ++ (y -> 2 * max_pool(2) -> upsample(4))")
    found, module = valid_sizes(made.graph), made.torch()
    for size in range(1, 60):
        try:
            module(*inputs(made, H=size))
            taken = True
        except ValueError:
            taken = False
        assert taken == found.contains({"H": size}), size


def test_networks_without_conditions_carry_no_check() -> None:
    assert "check_size" not in load("zoo.resnet:resnet18").source()
    source = load("zoo.unet:unet").source()
    assert source.count("check_size(") == 3 and "check_sizes" not in source
    assert '        check_size(image.shape[2], "image: H % 16 == 0", 16, (0,))\n' in source


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("body", [UNET, FLAT, FINITE])
def test_tools_that_see_symbols_are_left_alone(body: str) -> None:
    """The check neither breaks the graph, nor fixes or guards a size."""
    made = net(body)
    module, given = made.torch().eval(), inputs(made)
    torch._dynamo.reset()
    assert torch.compile(module, fullgraph=True, backend="eager", dynamic=True)(*given).shape == module(*given).shape
    assert torch.fx.symbolic_trace(module)(*given).shape == module(*given).shape
    assert torch.jit.trace(module, tuple(given))(*given).shape == module(*given).shape


def test_export_keeps_sizes_open() -> None:
    made = net(UNET)
    module, given = made.torch().eval(), inputs(made, N=2)
    sizes = {0: torch.export.Dim("n", max=8), 2: 4 * torch.export.Dim("h", max=64), 3: 4 * torch.export.Dim("w", max=64)}
    program = torch.export.export(module, tuple(given), dynamic_shapes=(sizes,))
    other = inputs(made, N=3, H=20, W=44)
    assert program.module()(*other).shape == module(*other).shape


def test_the_check_costs_next_to_nothing() -> None:
    """A few microseconds a call."""
    made = net(UNET)
    network = type(made.torch())
    check = network.forward.__globals__["check_size"]
    assert in_time(1000 * 5e-6, lambda: [check(32, "x: H % 4 == 0", 4, (0,)) for _ in range(1000)])


def test_a_session_names_input_axis_condition_and_nearest() -> None:
    session = net(UNET).session(provider="cpu", threads=1)
    with pytest.raises(Refusal) as caught:
        session(x=np.zeros((1, 3, 30, 33), "float32"))
    finding = caught.value.diagnostic
    assert finding.code == "NS723"
    assert finding.message == (
        "the inputs do not fit: H % 4 == 0 and W % 4 == 0 is needed, but H = 30 (axis 2 of `x`), W = 33 (axis 3 of `x`)"
    )
    assert finding.helps == ("the nearest sizes that work: H = 28 or H = 32; W = 32 or W = 36",)
    assert finding.notes == (
        "the inputs of a concat differ along axis 2 (at concat1)",
        "the inputs of a concat differ along axis 3 (at concat1)",
    )


def test_metadata_has_the_solved_and_the_raw_conditions() -> None:
    facts = {entry.key: entry.value for entry in net(UNET).onnx().metadata_props}
    assert facts["netspec.sizes"] == "H % 4 == 0\nW % 4 == 0"
    assert "H == 4 * (H // 4)" in facts["netspec.conditions"].splitlines()
    again = {entry.key: entry.value for entry in net(UNET).onnx().metadata_props}
    assert again == facts


def test_a_model_file_is_held_to_the_conditions_in_its_metadata(tmp_path: Path) -> None:
    net(UNET).save_onnx(tmp_path / "unet.onnx")
    session = Session(tmp_path / "unet.onnx", provider="cpu", threads=1)
    assert session(x=np.zeros((1, 3, 28, 36), "float32"))["output"].shape[2:] == (28, 36)
    with pytest.raises(Refusal) as caught:
        session(x=np.zeros((1, 3, 30, 32), "float32"))
    assert caught.value.diagnostic.code == "NS723"
    assert caught.value.diagnostic.helps == ("the nearest sizes that work: H = 28 or H = 32",)


@pytest.mark.parametrize("text", ["H ==", "H = 4", "H == (", "f(H) >= 2", "H // 0 == 1", "K >= 9", "H == " + "1" * 2000, "\n\n"])
def test_conditions_of_strangers_that_say_nothing_are_passed_over(text: str) -> None:
    model = net(UNET).onnx()
    next(entry for entry in model.metadata_props if entry.key == "netspec.conditions").value = text
    session = Session(model.SerializeToString(), provider="cpu", threads=1)
    assert session(x=np.zeros((1, 3, 28, 36), "float32"))["output"].shape[2:] == (28, 36)


def test_long_conditions_keep_their_parentheses() -> None:
    made = net("input volume: [N, 4, D = 5, H = 5, W = 5]\n output volume -> max_pool(2) -> group_norm(4)")
    assert "* (volume.shape[3] // 2)" in made.source()
    made.torch()(*inputs(made))
    with pytest.raises(ValueError, match=r"N \* \(D // 2\) \* \(H // 2\) \* \(W // 2\) >= 2"):
        made.torch()(*inputs(made, D=3, H=3, W=3))
