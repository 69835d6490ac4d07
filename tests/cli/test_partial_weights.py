"""`--partial`: nothing random is left without a word."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.cli.conftest import Command

SPEC = "net a {\n  input x: [N, 8]\n  output x -> linear(4) as body -> linear(2, init = zeros) as head\n}\n"


def test_what_is_drawn_is_listed(netspec: Command) -> None:
    Path("a.net").write_text(SPEC)
    np.savez("w.npz", **{"body.weight": np.ones((4, 8), "float32"), "body.bias": np.ones(4, "float32")})
    strict = netspec("build", "a.net", "--weights", "w.npz", "-o", "a.onnx")
    assert strict.status == 1 and "NS624" in strict.err and not Path("a.onnx").exists()
    done = netspec("build", "a.net", "--weights", "w.npz", "--partial", "--seed", "3", "-o", "a.onnx")
    lines = [" ".join(line.split()) for line in done.err.splitlines()]
    assert done.status == 0 and lines[0] == "w.npz lacks 2 of 4 tensors, drawn from seed 3:"
    assert lines[1] == "tensor type drawn from source" and lines[2] == "head.weight float32 [2, 4] zeros a.net:3"
    assert lines[3].startswith("head.bias float32 [2] torch_default")


def test_partial_of_no_file(netspec: Command) -> None:
    Path("a.net").write_text(SPEC)
    assert "NS015" in netspec("build", "a.net", "--partial", "-o", "a.onnx").err
