"""Receptive fields that papers and tools print: size, stride and effective padding of well-known networks.

The numbers of Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019, where their
networks are torchvision's; the others were computed from torchvision's networks by hand and by gradient.
"""

from __future__ import annotations

import math
from typing import Any

import pytest

from netspec.analyses.field import fields, receptive_field
from netspec.api import load, loads

#: spec, last spatial layer, (size, stride, padding)
PUBLISHED = [
    ("zoo.alexnet:alexnet", "features", (195, 32, 66)),
    ("zoo.vgg:vgg16", "features", (212, 32, 90)),
    ("zoo.resnet:resnet18", "layer4", (435, 32, 217)),
    ("zoo.resnet:resnet50", "layer4", (427, 32, 213)),
    ("zoo.resnet:resnet101", "layer4", (971, 32, 485)),
    ("zoo.resnet:resnet152", "layer4", (1451, 32, 725)),
    ("zoo.densenet:densenet121", "features", (2071, 32, 1021)),
    ("zoo.googlenet:googlenet", "inception5b", (379, 32, 167)),
    ("zoo.mobilenet:mobilenet_v2", "features", (491, 32, 245)),
    ("zoo.dilated:context_module", "context", (67, 1, 33)),
]


@pytest.mark.parametrize(("spec", "of", "expected"), PUBLISHED)
def test_published(spec: str, of: str, expected: tuple[int, int, int]) -> None:
    for seen in receptive_field(load(spec).graph, of=of)[of].values():
        assert (seen.size, seen.stride, seen.padding) == expected
        assert (seen.smallest, seen.aligned, seen.coverage, seen.holes, seen.phases) == (seen.size, True, 1.0, (), ())
        assert seen.end - seen.start + 1 == seen.size


@pytest.mark.parametrize("spec", ["zoo.alexnet:alexnet", "zoo.resnet:resnet50", "zoo.densenet:densenet121", "zoo.mobilenet:mobilenet_v2"])
def test_classifiers_see_everything(spec: str) -> None:
    for seen in receptive_field(load(spec).graph)["logits"].values():
        assert (seen.size, seen.start, seen.end, seen.along) == (math.inf, -math.inf, math.inf, None)


INCEPTION = """
def same(k) = conv(1, k, padding = same)
def wide(k) = same((1, k)) -> same((k, 1))
def pooled = avg_pool(3, stride = 1, padding = 1) -> conv(1, 1)
def a(x) = (x -> conv(1, 1)) ++ (x -> same(5)) ++ (x -> same(3) -> same(3)) ++ (x -> pooled())
def b(x) = (x -> conv(1, 3, stride = 2)) ++ (x -> same(3) -> conv(1, 3, stride = 2)) ++ (x -> max_pool(3, stride = 2))
def c(x) = (x -> conv(1, 1)) ++ (x -> wide(7)) ++ (x -> wide(7) -> wide(7)) ++ (x -> pooled())
def d(x) = (x -> conv(1, 3, stride = 2)) ++ (x -> wide(7) -> conv(1, 3, stride = 2)) ++ (x -> max_pool(3, stride = 2))
def split(x) = (x -> same((1, 3))) ++ (x -> same((3, 1)))
def e(x) = (x -> conv(1, 1)) ++ split(x -> conv(1, 1)) ++ split(x -> same(3)) ++ (x -> pooled())
net inception {
  input image: [N, 3, H = 299, W = 299]
  x = image -> conv(1, 3, stride = 2) -> conv(1, 3) -> same(3) -> max_pool(3, stride = 2) -> conv(1, 3) -> max_pool(3, stride = 2)
  output y = e(e(d(c(c(c(c(b(a(a(a(x)))))))))))
}
"""


def test_inception_v3() -> None:
    """torchvision's Inception v3 by its kernels: Szegedy et al., arXiv:1512.00567."""
    for seen in loads(INCEPTION).receptive_field()["y"].values():
        assert (seen.size, seen.stride, seen.padding, seen.aligned) == (1311, 32, 618, True)


DILATED_RESNET = """
block bottleneck(width, stride = 1, dilation = 1) {
  input x
  y = x -> conv(width, 1) -> relu
    -> conv(width, 3, stride = stride, padding = dilation, dilation = dilation) -> relu -> conv(4 * width, 1)
  if stride != 1 or x.channels != 4 * width {
    x = x -> conv(4 * width, 1, stride = stride)
  }
  output y + x -> relu
}
net dilated(strides, dilations) {
  input image: [N, 3, H = 224, W = 224]
  x = image -> conv(8, 7, stride = 2, padding = 3) -> max_pool(3, stride = 2, padding = 1)
  d = 1
  for count, width, stride, next in zip([3, 4, 6, 3], [2, 4, 8, 16], strides, dilations) {
    x = x -> bottleneck(width, stride, d) -> (count - 1) * bottleneck(width, 1, next)
    d = next
  }
  output y = x
}
"""


@pytest.mark.parametrize(
    ("strides", "dilations", "stride"),
    [([1, 2, 2, 2], [1, 1, 1, 1], 32), ([1, 2, 2, 1], [1, 1, 1, 2], 16), ([1, 2, 1, 1], [1, 1, 2, 4], 8)],
)
def test_dilation_for_stride_keeps_the_field(strides: list[int], dilations: list[int], stride: int) -> None:
    """torchvision's `replace_stride_with_dilation`: the first unit of a stage keeps the dilation of the stage before."""
    seen = loads(DILATED_RESNET, "dilated", strides=strides, dilations=dilations).receptive_field()["y"]["H"]
    assert (seen.size, seen.stride, seen.padding, seen.aligned) == (427, stride, 213, True)


@pytest.mark.parametrize(("net", "padding", "narrow"), [("unet_valid", 0, {0, 1, 2, 3}), ("unet", 94, {0, 1, 14, 15})])
def test_unet_by_phase(net: str, padding: int, narrow: set[int]) -> None:
    """188 rows at four of each 16 output rows, 204 at the others, where the formula of jumps says 200."""
    seen = load(f"zoo.unet:{net}").receptive_field()["mask"]["H"]
    assert (seen.size, seen.smallest, seen.stride, seen.aligned) == (204, 188, 1, True)
    assert [p.size for p in seen.phases] == [188 if phase in narrow else 204 for phase in range(16)]
    assert seen.padding == padding


def wavenet(stacks: int) -> Any:
    return loads(
        """net wavenet(stacks) {
          input x: [N, 1, T = 8000]
          y = x -> conv(2, 1)
          for _ in 0..stacks { for i in 0..10 { y = y + (y -> pad((2^i, 0)) -> conv(2, 2, dilation = 2^i) -> tanh) } }
          output y
        }""",
        stacks=stacks,
    )


@pytest.mark.parametrize(("stacks", "size"), [(1, 1024), (2, 2047)])
def test_wavenet(stacks: int, size: int) -> None:
    """Kernel 2 and dilations 1, 2, …, 512: van den Oord et al., "WaveNet", arXiv:1609.03499, section 2.1."""
    net = wavenet(stacks)
    seen = net.receptive_field()["y"]["T"]
    assert (seen.size, seen.padding, seen.end, seen.coverage) == (size, size - 1, seen.position, 1.0)
    assert seen.least == 1


@pytest.mark.parametrize(("kernel", "depth"), [(2, 4), (3, 5), (7, 3)])
def test_temporal_convolutional_network(kernel: int, depth: int) -> None:
    """`1 + 2 (k - 1) (2^n - 1)`: Bai, Kolter and Koltun, arXiv:1803.01271, two convolutions a residual block."""
    net = loads(
        """net tcn(kernel, depth) {
          input x: [N, 2, T = 500]
          y = x
          for i in 0..depth {
            y = y + (y -> 2 * (pad(((kernel - 1) * 2^i, 0)) -> conv(2, kernel, dilation = 2^i) -> relu))
          }
          output last: [N, 2] = y -> select(-1, axis = 2)
        }""",
        kernel=kernel,
        depth=depth,
    )
    seen = net.receptive_field()["last"]["T"]
    assert (seen.size, seen.stride, seen.start, seen.end) == (1 + 2 * (kernel - 1) * (2**depth - 1), 0, 500 - seen.size, 499)
    assert seen.along is None


def test_fast_enough() -> None:
    """Not a benchmark: a guard against work that grows with the square of the layers."""
    net = loads("net deep { input x: [N, 2, H = 64, W = 64]; output y = x -> 3000 * (conv(2, 3, padding = 1) -> relu) }")
    assert fields(net.graph).size(net.graph.outputs[0].value) == {"H": 6001, "W": 6001}
