"""The generated module against one written by hand: the forward pass costs the same."""

from __future__ import annotations

from time import process_time
from typing import Any

import pytest

import netspec
from tests.bench.process import best_ratio

pytestmark = pytest.mark.bench
torch = pytest.importorskip("torch")
nn = torch.nn


class Bottleneck(nn.Module):
    """As torchvision writes it."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or inputs != 4 * width:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width))

    def forward(self, x: Any) -> Any:
        identity = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        y += identity
        return self.relu(y)


class ResNet50(nn.Module):
    """As torchvision writes it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1, self.relu = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs = 64
        for stage, (width, depth) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
            blocks = []
            for index in range(depth):
                blocks.append(Bottleneck(inputs, width, 2 if stage and not index else 1))
                inputs = 4 * width
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d((1, 1)), nn.Linear(2048, 1000)

    def forward(self, x: Any) -> Any:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


def test_a_forward_pass_costs_what_a_hand_written_one_does() -> None:
    ours, theirs = netspec.load("zoo.resnet:resnet50").torch().eval(), ResNet50().eval()
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
