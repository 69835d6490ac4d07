"""`reset_parameters` says in few loops how parameters start, and says it of the right ones."""

from __future__ import annotations

import importlib
import pkgutil
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

import netspec
import netspec.ops
from netspec.backends.torch_module import execute, network_class
from netspec.backends.torch_source import write_source
from netspec.terms import Support

UNITS = """
block unit(c) {
  input x
  y = x -> conv(c, 3, padding = 1) as conv1 -> bn as bn1 -> relu -> conv(c, 3, padding = 1) as conv2 -> bn as bn2
  output x + y -> relu
  init { bn2: weight = zeros }
}
net units() {
  input image: [N, 3, 8, 8]
  output features: [N, 4, 8, 8] = image -> conv(4, 1) as stem -> bn as norm -> (3 * unit(4)) as layers
  %s
}
"""


def written(init: str) -> tuple[str, dict[str, torch.Tensor]]:
    """The source with `init` in the net, and what an instance starts with."""
    graph = netspec.loads(UNITS % init).graph
    text = write_source(graph)
    return text, dict(network_class(execute(text, graph.name))().named_parameters())


def test_what_a_block_asks_for_is_said_once_for_its_class() -> None:
    text, parameters = written("")
    assert "elif" not in text and "if isinstance(module, Unit):" in text and "nn.init.zeros_(module.bn2.weight)" in text
    zeros = [name for name, value in parameters.items() if name.endswith("weight") and not value.any()]
    assert zeros == [f"layers.{i}.bn2.weight" for i in range(3)]


def test_a_loop_over_a_class_does_not_undo_that_over_its_owner() -> None:
    text, parameters = written("init { bn: weight = constant(0.5) }")
    assert text.count("for module in self.modules():") == 2
    for name, value in parameters.items():
        wanted = 0.0 if "bn2.weight" in name else 0.5 if "bn1.weight" in name or name == "norm.weight" else None
        assert wanted is None or (value == wanted).all(), name


def test_a_part_of_the_network_has_a_loop_of_its_own() -> None:
    part = """block tower() { input x; output x -> 3 * (conv(4, 1) -> relu); init { conv: bias = constant(2) } }
      net n() { input x: [N, 4, 8, 8]; output x -> tower() as decoder -> conv(4, 1) as head }"""
    graph = netspec.loads(part.replace("; ", "\n")).graph
    text = write_source(graph)
    parameters = dict(network_class(execute(text, graph.name))().named_parameters())
    assert "for module in self.decoder.modules():" in text and "named_parameters" not in text
    twos = [name for name, value in parameters.items() if (value == 2).all()]
    assert len(twos) == 3 and all(name.startswith("decoder.") and name.endswith(".bias") for name in twos)


@pytest.mark.skipif(not shutil.which("ruff"), reason="needs ruff")
def test_what_operators_add_to_a_file_is_formatted(tmp_path: Path) -> None:
    for found in pkgutil.iter_modules(netspec.ops.__path__):
        for value in vars(importlib.import_module(f"netspec.ops.{found.name}")).values():
            if isinstance(value, Support):
                (tmp_path / f"{value.name}.py").write_text(value.source.strip("\n") + "\n", encoding="utf-8")
    done = subprocess.run(["ruff", "format", "--diff", "-q", "--isolated", str(tmp_path)], capture_output=True, text=True)
    assert list(tmp_path.iterdir()) and done.returncode == 0, done.stdout
