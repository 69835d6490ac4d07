"""The generated module against one written by hand: the forward pass costs the same."""

from __future__ import annotations

from time import process_time
from typing import Any

import pytest

import netspec
from tests.bench.process import best_ratio

pytestmark = pytest.mark.bench
torch = pytest.importorskip("torch")


def test_a_forward_pass_costs_what_a_hand_written_one_does() -> None:
    from tests.bench.resnet import RESNET50, ResNet

    ours, theirs = netspec.load("zoo.resnet:resnet50").torch().eval(), ResNet(RESNET50).eval()
    theirs.load_state_dict(ours.state_dict())
    image = torch.randn(1, 3, 32, 32)

    def seconds(module: Any) -> float:
        start = process_time()
        for _ in range(4):
            module(image)
        return process_time() - start

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # threads that wait for each other count as busy
    try:
        _compare(ours, theirs, image, seconds)
    finally:
        torch.set_num_threads(threads)


def _compare(ours: Any, theirs: Any, image: Any, seconds: Any) -> None:
    with torch.inference_mode():
        assert torch.allclose(ours(image), theirs(image), atol=1e-4)
        seconds(theirs), seconds(ours)
        assert best_ratio(lambda: seconds(theirs), lambda: seconds(ours), 0.99, rounds=15) >= 0.97
