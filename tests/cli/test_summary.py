"""`netspec summary`: what each option shows, that it fits, and that the JSON keeps what it promises."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command

TINY = "zoo.lenet:lenet5"
#: the keys that tools rely on
TOP = {"net", "parameters", "trainable", "macs", "activation_bytes", "inputs", "outputs", "layers"}
LAYER = {"label", "op", "inputs", "shape", "parameters", "macs", "line"}


def test_json_keeps_its_keys(netspec: Command) -> None:
    data = netspec("summary", "zoo.unet:unet", "--format", "json").data
    assert TOP <= set(data) and all(LAYER <= set(layer) for layer in data["layers"])
    assert data["inputs"] == [
        {"name": "image", "dtype": "float32", "shape": ["N", 1, "H", "W"], "constraints": ["H % 16 == 0", "W % 16 == 0"]}
    ]
    assert {"operations", "read_bytes", "written_bytes", "intensity", "memory", "typical", "conditions"} <= set(data)
    assert "expressions" not in data and "signal" not in data["layers"][0]
    assert data["layers"][0]["receptive_field"] == {"H": 3, "W": 3}
    assert (
        data["memory"]["training_bytes"]
        == 2 * data["memory"]["parameter_bytes"] + data["memory"]["buffer_bytes"] + data["memory"]["kept_bytes"]
    )


def test_json_says_who_asks_for_sizes_and_which_are_nearest(netspec: Command) -> None:
    data = netspec("summary", "zoo.unet:unet", "--format", "json").data
    (height, _) = data["conditions"]
    assert height["condition"] == "H % 16 == 0" and "max_pool" in height["because"][0]["text"]
    assert data["nearest"] == {"H": [496, 528], "W": [496, 528]}


def test_json_with_everything(netspec: Command) -> None:
    data = netspec("summary", TINY, "--all", "--by", "op", "--sort", "macs", "--format", "json").data
    assert data["expressions"]["macs"] == "416520 * N"
    assert set(data["layers"][0]["signal"]) == {"mean", "second", "gradient", "note"}
    assert [layer["macs"] for layer in data["layers"]] == sorted((layer["macs"] for layer in data["layers"]), reverse=True)
    assert data["groups"][0]["label"] == "conv" and data["groups"][0]["layers"] == ["c1", "c3", "c5"]
    for share in ("parameters", "macs", "operations", "bytes"):
        assert sum(group["shares"][share] for group in data["groups"]) == pytest.approx(1)


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
@pytest.mark.parametrize(
    "options",
    [(), ("--cost",), ("--memory",), ("--signal",), ("--symbolic",), ("--all",), ("--by", "block", "--all"), ("--by", "op", "--cost")],
    ids=" ".join,
)
@pytest.mark.parametrize("spec", [TINY, "zoo.unet:unet", "zoo.resnet:resnet50"])
def test_the_table_fits(netspec: Command, monkeypatch: pytest.MonkeyPatch, spec: str, options: Any, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    done = netspec("summary", spec, *options)
    assert done.status == 0
    assert max(map(len, done.out.splitlines())) <= width


def test_columns(netspec: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    heads = {options: netspec("summary", TINY, *options.split()).out.splitlines()[2].split() for options in ("", "--cost", "--signal")}
    plain = ["layer", "operator", "output", "parameters", "multiply-adds", "field"]
    assert heads[""] == plain
    assert heads["--cost"] == [*plain, "operations", "bytes", "op/byte"]
    assert heads["--signal"] == [*plain, "mean", "second", "moment", "gradient"]


def test_a_whole_table(netspec: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "110")
    Path("tiny.net").write_text("net tiny {\n  input x: [N, 8, H = 32, W = 32]\n  output y = x -> conv(4, 3, stride = 2) -> relu\n}\n")
    rule = "─" * 107
    assert netspec("summary", "tiny.net").out.splitlines() == [
        "net tiny   at N = 1, H = 32, W = 32",
        rule,
        "layer  operator                output                                      parameters  multiply-adds  field",
        rule,
        "conv1  conv(4, 3, stride = 2)  [N, 4, (H + 1) // 2 - 1, (W + 1) // 2 - 1]         292         64,800      3",
        "relu1  relu                    [N, 4, (H + 1) // 2 - 1, (W + 1) // 2 - 1]                                 3",
        rule,
        "parameters          292  1.1 KiB",
        "multiply-adds    64,800",
        "operations        1,800  elementwise, beside them",
        "moved          43.7 KiB  36.7 KiB read, 7.0 KiB written; 2.9 floating-point operations a byte",
        "activations    35.5 KiB  at the peak in conv1; no order needs less",
        "training       37.8 KiB  1.1 KiB parameters + 1.1 KiB gradients + 35.5 KiB kept for the backward pass; Adam",
        "                         keeps 2.3 KiB more",
        "input          x: [N, 8, H, W]",
        "output         y: [N, 4, (H + 1) // 2 - 1, (W + 1) // 2 - 1]",
        "valid sizes    H >= 3",
        "                 because `conv` at line 3 needs H >= 3",
        "               W >= 3",
        "                 because `conv` at line 3 needs W >= 3",
    ]


def test_equal_blocks_are_told_once_unless_asked_for(netspec: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    text = netspec("summary", "zoo.resnet:resnet152").out
    lines = text.splitlines()
    (many,) = (line for line in lines if "× 35" in line)
    assert many.startswith("layer3.1 … layer3.35 × 35  bottleneck(width = 256, stride = 1")
    assert many.endswith("[N, 1024,  14,  14]  39,101,440  7,642,808,320   1291")
    assert len(lines) < 130 and "--unfold" in text
    whole = netspec("summary", "zoo.resnet:resnet152", "--unfold").out
    assert len(whole.splitlines()) > 515 and "layer3.17.conv2" in whole and "×" not in whole
    assert [line for line in text.splitlines() if line.startswith(("parameters", "multiply-adds"))] == [
        line for line in whole.splitlines() if line.startswith(("parameters", "multiply-adds"))
    ]


@pytest.mark.parametrize("options", [("--sort", "macs"), ("--by", "block"), ("--by", "op"), ("--depth", "2")], ids=" ".join)
def test_what_is_sorted_or_grouped_is_not_folded(netspec: Command, options: tuple[str, ...]) -> None:
    out = netspec("summary", "zoo.resnet:resnet50", *options).out
    assert "×" not in out and "--unfold" not in out


def test_shapes_stand_below_one_another(netspec: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "110")
    out = netspec("summary", "zoo.resnet:resnet18").out
    four = {shape for shape in re.findall(r"\[N,.*?\]", out) if re.fullmatch(r"\[N(, *\d+){3}\]", shape)}
    assert "[N,  64, 112, 112]" in four and "[N, 512,   7,   7]" in four and len({len(shape) for shape in four}) == 1


def test_colours_only_add_to_the_text(netspec: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    plain = netspec("summary", "zoo.resnet:resnet50").out
    assert "\x1b" not in plain
    monkeypatch.setattr("netspec.cli.summary.coloured", lambda stream: True)
    painted = netspec("summary", "zoo.resnet:resnet50").out
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == plain
    assert "\x1b[34mconv(64, 1, bias = false)\x1b[0m" in painted and "\x1b[1mparameters" in painted
    everything = netspec("summary", "zoo.resnet:resnet50", "--all").out
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in everything.splitlines()) <= 140


def test_shares_by_block_and_depth(netspec: Command) -> None:
    blocks = netspec("summary", "zoo.resnet:resnet18", "--by", "block").out
    assert "layer1 " in blocks and "layer1.0" not in blocks and blocks.splitlines()[2].count("%") == 2
    deeper = netspec("summary", "zoo.resnet:resnet18", "--depth", "2").out
    assert "layer1.0" in deeper


def test_sorting(netspec: Command) -> None:
    first = netspec("summary", TINY, "--sort", "parameters").out.splitlines()[4]
    assert first.startswith("c5 ")


def test_why_sizes_must_be_what_they_must_be(netspec: Command) -> None:
    lines = [line.strip() for line in netspec("summary", "zoo.unet:unet").out.splitlines()]
    where = lines.index("valid sizes    H % 16 == 0 and W % 16 == 0")
    assert lines[where + 1].startswith("because `++` at line ") and "meets `max_pool` at line" in lines[where + 1]


def test_what_is_alive_at_the_peak(netspec: Command) -> None:
    out = netspec("summary", TINY, "--memory").out
    assert "alive then" in out and "tanh1" in out


@pytest.mark.parametrize("options", [("--depth", "0"), ("--by", "net"), ("--sort", "size")])
def test_wrong_calls(netspec: Command, options: tuple[str, ...]) -> None:
    done = netspec("summary", TINY, *options)
    assert done.status == 2 and "NS015" in done.err
