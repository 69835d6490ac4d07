"""Residual networks by hand, as torchvision writes them. `python resnet.py torchinfo|fvcore` builds ResNet-152 and counts its cost.

A process of its own, so that what is measured is what a user would wait for.
"""

import sys

import torch
from torch import Tensor, nn

IMAGE = (1, 3, 224, 224)
#: how many blocks each of the four stages has
RESNET50, RESNET152 = (3, 4, 6, 3), (3, 8, 36, 3)


class Bottleneck(nn.Module):
    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, 4 * width, 1, bias=False), nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or inputs != 4 * width:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width))

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        y += identity
        return self.relu(y)


class ResNet(nn.Module):
    def __init__(self, depths: tuple[int, ...]) -> None:
        super().__init__()
        self.conv1, self.bn1, self.relu = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs = 64
        for stage, (width, depth) in enumerate(zip((64, 128, 256, 512), depths)):
            blocks = []
            for index in range(depth):
                blocks.append(Bottleneck(inputs, width, 2 if stage and not index else 1))
                inputs = 4 * width
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.avgpool, self.fc = nn.AdaptiveAvgPool2d((1, 1)), nn.Linear(2048, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


def torchinfo_text(network: nn.Module) -> str:
    from torchinfo import summary

    return str(summary(network, input_size=IMAGE, verbose=0))


def fvcore_macs(network: nn.Module) -> float:
    from fvcore.nn import FlopCountAnalysis

    counter = FlopCountAnalysis(network.eval(), torch.zeros(IMAGE))
    return counter.unsupported_ops_warnings(False).uncalled_modules_warnings(False).total()


if __name__ == "__main__":
    print({"torchinfo": torchinfo_text, "fvcore": fvcore_macs}[sys.argv[1]](ResNet(RESNET152)))
