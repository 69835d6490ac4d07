"""Arguments from outside: a net takes those that it, or the net that it is a variant of, leaves open, and no others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import netspec

TEXT = """
net base(depth, width = 4) { input x: [N, 4]; output x -> depth * linear(width) }
net two = base(2)
net again = two
"""


@pytest.mark.parametrize("net", ["two", "again"])
def test_a_variant_takes_what_its_base_leaves_open(net: str) -> None:
    assert netspec.loads(TEXT, net, width=7).graph.values[-1].shape[1] == 7


@pytest.mark.parametrize("net", ["two", "again", "base"])
@pytest.mark.parametrize("argument", ["widht", "nonsense"])
def test_what_a_net_does_not_have_is_an_error(net: str, argument: str) -> None:
    with pytest.raises(netspec.SpecError, match="NS013.*no parameter") as caught:
        netspec.loads(TEXT, net, **{argument: 3}, **({"depth": 1} if net == "base" else {}))
    (found,) = caught.value.diagnostics
    assert ("did you mean `width`?" in found.helps) == (argument == "widht")


def test_what_a_variant_has_set_is_no_argument_of_it() -> None:
    with pytest.raises(netspec.SpecError, match="NS013.*`depth`"):
        netspec.loads(TEXT, "two", depth=3)


def test_sizes_may_be_whole_numbers_of_numpy() -> None:
    text = "net a { input x: [N, T = 3]; output x -> relu }"
    static = netspec.loads(text, static={"T": np.int64(5)}).graph
    assert static.values[0].shape[1] == 5 and [size.name for size in static.sizes] == ["N"]
    assert netspec.loads(text, sizes={"T": np.int32(7)}).graph.sizes[1].typical == 7
    for wrong in (True, 0, -2, "5", 5.5):
        for given in ({"sizes": {"T": wrong}}, {"static": {"T": wrong}}):
            with pytest.raises(netspec.Refusal, match="NS015.*T = "):
                netspec.loads(text, **given)


def test_weights_may_be_a_path(tmp_path: Path) -> None:
    net = netspec.loads("net a { input x: [N, 2]; output x -> linear(1) as fc }")
    np.savez(tmp_path / "a.npz", **{"fc.weight": np.ones((1, 2), "f4"), "fc.bias": np.zeros(1, "f4")})
    assert net.session(weights=tmp_path / "a.npz", provider="cpu")(x=np.ones((1, 2), "f4"))["output"] == 2


@pytest.mark.parametrize(
    ("options", "words"), [({"precision": "fp8"}, "in fp8"), ({"precision": "int8"}, "in int8"), ({"io": "high"}, "not `high`")]
)
def test_models_that_there_are_not(options: dict[str, str], words: str) -> None:
    with pytest.raises(netspec.Refusal, match=f"NS750.*{words}"):
        netspec.loads("net a { input x: [N, 2]; output x -> relu }").onnx(**options)
