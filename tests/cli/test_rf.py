"""`netspec rf`: receptive fields as text and as JSON, from an output or a layer, from any position."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Command

GRIDDING = """\
net gridding {
  input x: [N, 4, H = 48, W = 64]
  a = x -> conv(4, 3, dilation = 2, padding = 2) -> relu -> conv(4, 3, dilation = 4, padding = 4)
  output y = a -> relu -> conv(4, 3, dilation = 8, padding = 8)
  output z = (x -> conv(4, 3, padding = 1)) + (x -> conv(4, 2) -> pad(((1, 0), (1, 0))))
  output u = x -> conv_transpose(4, 2, stride = 3) -> conv(4, 3, stride = 2, padding = 1)
}
"""


@pytest.fixture
def gridding(tmp_path: Path) -> str:
    (tmp_path / "gridding.net").write_text(GRIDDING)
    return "gridding.net"


# ---------------------------------------------------------------------------------------------------------------- JSON
def test_the_json_is_as_promised(netspec: Command) -> None:
    done = netspec("rf", "zoo.unet:unet", "--format", "json")
    assert done.status == 0 and done.err == "" and list(done.data) == ["net", "outputs", "local", "checkerboards"]
    axes = done.data["outputs"]["mask"]
    assert list(axes) == ["H", "W"]
    height = axes["H"]
    assert {"size", "stride", "padding", "start", "end", "aligned", "coverage"} <= height.keys()
    assert (height["size"], height["smallest"], height["stride"], height["coverage"]) == (204, 188, 1, 1.0)
    assert height["end"] - height["start"] + 1 == 204 and height["aligned"] is True
    assert [phase["size"] for phase in height["phases"]] == [188] * 2 + [204] * 12 + [188] * 2
    assert 10 < height["effective"]["within"] < 40 and height["start"] < height["effective"]["centre"] < height["end"]


def test_everything_is_all(netspec: Command) -> None:
    data = netspec("rf", "zoo.resnet:resnet18", "--format", "json").data
    height = data["outputs"]["logits"]["H"]
    assert (height["size"], height["start"], height["end"], height["stride"]) == ("all", 0, 223, 0)
    assert data["local"] == {"logits": "layer4.1.relu2"}


def test_holes_and_fractions(netspec: Command, gridding: str) -> None:
    found = netspec("rf", gridding, "--format", "json").data["outputs"]
    assert found["y"]["H"]["holes"] == [[i, i] for i in range(1, 29, 2)]
    assert found["y"]["H"]["coverage"] == pytest.approx(15 / 29)
    assert found["u"]["W"]["stride"] == pytest.approx(2 / 3)
    assert found["z"]["H"]["aligned"] is False


def test_of_and_at(netspec: Command, gridding: str) -> None:
    found = netspec("rf", gridding, "--of", "a", "--at", "3,5", "--format", "json").data["outputs"]
    assert list(found) == ["a"]
    assert [(found["a"][n]["start"], found["a"][n]["end"], found["a"][n]["position"]) for n in "HW"] == [(-3, 9, 3), (-1, 11, 5)]
    named = netspec("rf", gridding, "--of", "a", "--at", "W=5,H=3", "--format", "json").data["outputs"]
    assert named == found


def test_sizes_and_parameters(netspec: Command) -> None:
    large = netspec("rf", "zoo.resnet:resnet18", "--of", "layer4", "--size", "H=640,W=640", "--format", "json")
    assert large.data["outputs"]["layer4"]["H"]["size"] == 435
    assert netspec("rf", "zoo.dilated:context_module", "-p", "channels=3", "--format", "json").status == 0


# ---------------------------------------------------------------------------------------------------------------- text
def test_the_table(netspec: Command) -> None:
    text = netspec("rf", "zoo.unet:unet_valid").out
    assert text.startswith("unet_valid at H = 572, W = 572\n")
    assert "H, W: 188 at positions 0 to 3 of each 16, 204 at the others" in text


def test_holes_are_drawn_and_joins_are_named(netspec: Command, gridding: str) -> None:
    text = netspec("rf", gridding).out
    assert "H, W: █·█·█·█·█·█·█·█·█·█·█·█·█·█·█  14 of 29 positions do not reach it" in text
    assert "out of alignment: add1 (line 5) joins paths with centres 0 and -0.5 along H, W" in text
    assert "2 at position 1 of each 3, 1 at the others" in text


def test_a_classifier_is_shown_before_it_sees_everything(netspec: Command) -> None:
    text = netspec("rf", "zoo.resnet:resnet50").out
    assert re.search(
        r"logits sees everything, from global_avg_pool1 \(line \d+\) on; the last layer that does not is layer4.2.relu3:", text
    )
    (row,) = [line for line in text.splitlines() if line.startswith("H, W")]
    assert row.split()[2:8] == ["427", "32", "213", "-117", "309", "100"]


def test_a_network_without_positions(netspec: Command) -> None:
    done = netspec("rf", "zoo.perceptron:mlp")
    assert done.status == 0 and "no axis of an input has positions to see" in done.out


# ------------------------------------------------------------------------------------------------------------- mistakes
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--of", "nothing"), "NS021"),
        (("--at", "3,500"), "NS025"),
        (("--at", "3,5,7"), "NS025"),
        (("--at", "T=3"), "NS025"),
        (("--at", "middle"), "NS015"),
        (("--at", "H=x"), "NS015"),
        (("--at", "-1,2"), "NS015"),
        (("--plot", "figure.jpg"), "NS015"),
        (("--plot", "missing/figure.png"), "NS020"),
    ],
)
def test_mistakes_have_codes(netspec: Command, gridding: str, arguments: tuple[str, str], code: str) -> None:
    if "--plot" in arguments:
        pytest.importorskip("matplotlib")
    done = netspec("rf", gridding, "--of", "y", *arguments)
    assert f"error[{code}]" in done.err and done.status in (1, 2) and "Traceback" not in done.err


def test_a_figure_needs_its_extra(netspec: Command, gridding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib" or name.startswith("netspec.backends.plot")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = netspec("rf", gridding, "--plot", "figure.png")
    assert done.status == 3 and "error[NS016]" in done.err and "netspec-lang[plot]" in done.err
    assert not Path("figure.png").exists()


def test_uneven_overlap_is_told(netspec: Command) -> None:
    Path("board.net").write_text(
        "net board {\n  input x: [N, 4, H = 9, 8]\n  output y = x -> conv_transpose(4, (3, 4), stride = 2) as up -> conv(4, 3)\n}\n"
    )
    assert "  checkerboard: up (line 3) sums 2, 1 inputs in turn along H" in netspec("rf", "board.net").out.splitlines()
    assert netspec("rf", "board.net", "--format", "json").data["checkerboards"] == {"up": {"2": [2, 1]}}
    assert netspec("rf", "zoo.unet:unet", "--format", "json").data["checkerboards"] == {}
