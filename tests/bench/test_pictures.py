"""How long a picture takes, in seconds of the processor, the renderer's among them: what a user waits for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.process import command_in_time

pytestmark = pytest.mark.bench


def _drawn(seconds: float, folder: Path, spec: str, *options: str) -> bool:
    """Whether the picture takes no more than so many seconds."""
    return command_in_time(seconds, "diagram", spec, "-o", str(folder / "net.svg"), *options)


def test_resnet152_takes_a_second(tmp_path: Path) -> None:
    assert _drawn(1, tmp_path, "zoo.resnet:resnet152")


def test_three_hundred_boxes_take_three_seconds(tmp_path: Path) -> None:
    """Of a residual network with so many different layers that none can stand for another."""
    body = "\n".join(
        f"  x = x + (x -> conv(8, 3, padding = 1, dilation = 1) -> bn -> conv(8, {2 * n + 1}, padding = {n}))" for n in range(100)
    )
    path = tmp_path / "many.net"
    path.write_text(f"net many {{\n  input x: [N, 8, H = 512, W = 512]\n{body}\n  output y = x\n}}\n")
    assert _drawn(3, tmp_path, str(path), "--depth", "1")
    assert (tmp_path / "net.svg").read_text().count('class="box ') >= 300


@pytest.mark.parametrize("shape", ["chain", "blocks", "different"])
def test_ten_thousand_layers_take_five_seconds(shape: str, tmp_path: Path) -> None:
    path = tmp_path / "long.net"
    path.write_text(_LONG[shape])
    assert _drawn(5, tmp_path, str(path))


_BLOCK = "block unit(c) {\n  input x\n  output x + (x -> conv(c, 3, padding = 1) -> bn -> relu -> conv(c, 3, padding = 1))\n}\n"
_LONG = {
    "chain": "net long {\n  input x: [N, 8]\n  output y = x -> 5000 * (linear(8) -> relu)\n}\n",
    "blocks": _BLOCK + "net long {\n  input x: [N, 8, H = 16, W = 16]\n  output y = x -> 2000 * unit(8)\n}\n",
    "different": "net long {\n  input x: [N, 8]\n  for i in 0..5000 {\n    x = x -> linear(8 + i % 7) -> relu\n  }\n  output y = x\n}\n",
}
