"""The shipped networks as source: names in order, nothing for a formatter to do, values bit for bit."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

import netspec
from netspec.backends.torch_module import build_module, execute, network_class
from netspec.backends.torch_source import write_source
from netspec.cli.zoo_index import Family, families
from netspec.graph import Graph
from tests.backends.torch.interpreter import example_inputs, interpret

SPECS = Path(__file__).parents[3] / "specs"
SMALL = {"unet": {"H": 32, "W": 48}, "resnet50": {"H": 64, "W": 96}, "densenet121": {"H": 64, "W": 64}, "mobilenet_v2": {"H": 64, "W": 64}}


def graphs(family: Family) -> list[Graph]:
    """The cheapest net of a family, and of the others each that applies a block or an operator that none before it does; all of
    them with NETSPEC_LONG=1."""
    found, known = [], set()
    for row in sorted(family.rows, key=lambda row: row["macs"]):
        graph = netspec.load(row["spec"]).graph
        parts = {scope.definition for scope in graph.scopes[1:]} | {node.op.NAME for node in graph.nodes}
        if not found or not parts <= known or os.environ.get("NETSPEC_LONG"):
            found.append(graph)
        known |= parts
    return found


@pytest.mark.parametrize("family", families(), ids=lambda family: family.name)
def test_names_and_layout(family: Family, tmp_path: Path) -> None:
    for graph in graphs(family):
        text = write_source(graph)
        with torch.device("meta"):
            assert list(build_module(text, graph).state_dict()) == [weight.name for weight in graph.weights]
        (tmp_path / f"{graph.name}.py").write_text(text, encoding="utf-8")
    if shutil.which("ruff"):
        for command in (["format", "--diff"], ["check"]):
            done = subprocess.run(["ruff", *command, "-q", "--isolated", str(tmp_path)], capture_output=True, text=True)
            assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_values(name: str) -> None:
    torch.manual_seed(0)
    path = next(path for path in SPECS.glob("*.net") if re.search(rf"^net {name}\b", path.read_text(encoding="utf-8"), re.M))
    graph = netspec.load(f"{path}:{name}").graph
    module = network_class(execute(write_source(graph), graph.name))().eval()
    inputs = example_inputs(graph, SMALL[name])
    with torch.no_grad():
        ours = module(*inputs)
        theirs = interpret(graph, module.state_dict(), inputs)
    assert torch.equal(ours, theirs[0])
