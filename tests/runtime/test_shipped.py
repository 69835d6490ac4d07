"""Every network that ships: PyTorch and onnxruntime agree, node by node and end to end, at three sizes and batches 1, 3, 2.

The small ones always; all of them where NETSPEC_LONG is set (half an hour).
"""

from __future__ import annotations

import os

import pytest

import netspec
from netspec.runtime.verify import verify
from tests.shipped import SHIPPED

torch = pytest.importorskip("torch")

#: one of every family whose nodes are quickly run
QUICK = [
    "zoo.autoencoder:autoencoder", "zoo.dilated:context_basic", "zoo.lenet:lenet5", "zoo.perceptron:mlp",
    "zoo.perceptron:nand", "zoo.resnet:resnet20", "zoo.resnet:resnet18", "zoo.squeezenet:squeezenet1_1", "zoo.unet:unet",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("spec", SHIPPED if os.environ.get("NETSPEC_LONG") else QUICK)
def test_pytorch_and_onnxruntime_agree(spec: str) -> None:
    graph = netspec.load(spec, **({"base": 16} if spec == "zoo.unet:unet" else {})).graph
    verdict = verify(graph)
    assert verdict.ok, str(verdict)
    assert len(verdict.cases) == 3
    assert [c.split(",")[0] for c in verdict.cases] == ["N = 1", "N = 3", "N = 2"]


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["zoo.densenet:densenet121", "zoo.googlenet:googlenet", "zoo.mobilenet:mobilenet_v2"])
def test_whole_runs_agree(spec: str) -> None:
    """Networks of many nodes: end to end only, optimized and not."""
    verdict = verify(netspec.load(spec).graph, nodes=False)
    assert verdict.ok, str(verdict)
