"""The networks for dense prediction: published totals, sizes that they take, initial weights, and maxima put back where they stood."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import netspec
from tests.specs.test_zoo import output_at_typical, shape_of


def conditions(spec: str) -> set[str]:
    """What a network asks of its input's sizes, in words."""
    return {str(c) for port in netspec.load(spec).summary().inputs for c in port["constraints"]}


# ------------------------------------------------------------------------------------------------- published totals
@pytest.mark.parametrize(
    ("spec", "published", "within"),
    [
        ("zoo.unet3d:unet3d_valid", 19_069_955, 0),
        ("zoo.linknet:linknet", 11.5e6, 0.005),
        ("zoo.segnet:segnet", 29.46e6, 0.0005),
        ("zoo.nested_unet:nested_unet", 9.04e6, 0.02),
    ],
    ids=lambda value: str(value),
)
def test_the_networks_have_the_published_size(spec: str, published: float, within: float) -> None:
    """Çiçek 2016, section 2; Chaurasia 2017; Paszke 2016 (of SegNet); Zhou 2018."""
    assert netspec.load(spec).summary().parameters == pytest.approx(published, rel=within, abs=0)


def test_enet_has_less_than_the_published_size_by_its_biases_and_slopes() -> None:
    """Paszke 2016: 0.37 million. In the paper only the projections have no bias, and a PReLU has a slope for every map; the
    reference followed here has no bias anywhere, and one slope for all maps."""
    net = netspec.load("zoo.enet:enet")
    assert 0.34e6 < net.summary().parameters < 0.37e6


@pytest.mark.parametrize(
    ("spec", "size", "published"),
    [("zoo.enet:enet", {"H": 360, "W": 640}, 3.83e9), ("zoo.linknet:linknet", {"H": 352, "W": 640}, 21.2e9 * 352 / 360)],
)
def test_the_fast_networks_cost_what_their_papers_say(spec: str, size: dict[str, int], published: float) -> None:
    """Paszke 2016 and Chaurasia 2017: operations for an image of 640×360, those of norms and activations included."""
    found = netspec.load(spec, sizes=size).summary()
    assert 2 * found.macs < published == pytest.approx(2 * found.macs, rel=0.12)


# ----------------------------------------------------------------------------------------------------------- sizes
@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("zoo.unet_resnet:unet_resnet34", set()),
        ("zoo.fpn:resnet50_fpn", set()),
        ("zoo.deeplabv3plus:deeplabv3plus_resnet34", {"H % 16 == 0", "W % 16 == 0"}),
        ("zoo.linknet:linknet", {"H % 32 == 0", "W % 32 == 0"}),
        ("zoo.residual_unet:resunet", {"H % 8 == 0", "W % 8 == 0"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_sizes_that_a_network_takes_are_found(spec: str, expected: set[str]) -> None:
    assert {c for c in conditions(spec) if "%" in c} == expected
    assert shape_of(netspec.load(spec))[2:] == ("H", "W") or "fpn" in spec


def test_the_3d_unet_makes_44_by_44_by_28_of_132_by_132_by_116() -> None:
    net = netspec.load("zoo.unet3d:unet3d_valid")
    assert net.graph.typical == {"N": 1, "D": 116, "H": 132, "W": 132}
    assert output_at_typical(net) == (3, 28, 44, 44)


def test_every_level_of_a_pyramid_has_half_the_resolution_of_the_one_below() -> None:
    net = netspec.load("zoo.fpn:resnet18_fpn", sizes={"H": 256, "W": 320})
    found = {port.name: tuple(net.graph.values[port.value].shape) for port in net.graph.outputs}
    assert list(found) == ["p2", "p3", "p4", "p5", "p6"]
    assert {str(shape[1]) for shape in found.values()} == {"256"}
    assert [str(shape[2]) for shape in found.values()] == [f"(H + {2**i - 1}) // {2**i}" for i in range(2, 7)]


# -------------------------------------------------------------------------------------------------- initial weights
def start(spec: str) -> dict[str, np.ndarray]:
    """How a network's parameters start."""
    module = netspec.load(spec).torch(seed=0)
    return {name: p.detach().numpy() for name, p in module.named_parameters()}


@pytest.mark.parametrize(
    ("spec", "name", "bound"),
    [
        ("zoo.fpn:resnet18_fpn", "fpn.layer_blocks.2.0.weight", math.sqrt(3 / (9 * 256))),
        ("zoo.fpn:resnet18_fpn", "fpn.inner_blocks.3.0.weight", math.sqrt(3 / 512)),
        ("zoo.unet_resnet:unet_resnet18", "decoder.blocks.0.conv2.0.weight", math.sqrt(6 / (9 * 256))),
        ("zoo.unet_resnet:unet_resnet18", "segmentation_head.0.weight", math.sqrt(6 / (9 * 17))),
        ("zoo.linknet:linknet_resnet18", "decoder.blocks.1.block.2.0.weight", math.sqrt(6 / 64)),
    ],
)
def test_decoders_start_uniform_within_the_references_bounds(spec: str, name: str, bound: float) -> None:
    """torchvision's pyramid: He's with a slope of 1; segmentation_models_pytorch: He's in decoders, Xavier's in the head."""
    pytest.importorskip("torch")
    found = start(spec)[name]
    assert 0.95 * bound < np.abs(found).max() <= bound
    assert found.std() == pytest.approx(bound / math.sqrt(3), rel=0.06)


def test_encoders_start_as_torchvisions_and_biases_from_zero() -> None:
    pytest.importorskip("torch")
    found = start("zoo.fpn:fpn_resnet18")
    assert found["encoder.layer3.1.conv2.weight"].std() == pytest.approx(math.sqrt(2 / (9 * 256)), rel=0.01)
    assert found["encoder.layer3.0.downsample.0.weight"].std() == pytest.approx(math.sqrt(2 / 256), rel=0.01)
    assert all(not value.any() for name, value in found.items() if name.startswith("segmentation_head") and name.endswith("bias"))
    assert all(not value.any() for name, value in found.items() if name.startswith("decoder.p") and name.endswith("bias"))


# ---------------------------------------------------------------------------------------------------------- unpooling
def numbers(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Whole numbers from 0 to 3, so that most windows have several maxima."""
    return np.random.Generator(np.random.PCG64(seed)).integers(0, 4, shape).astype(np.float32)


@pytest.mark.parametrize("size", [(6, 8), (7, 8), (5, 9), (2, 3)])
def test_unpooling_puts_numbers_where_the_first_maxima_stood(size: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    net = netspec.loads("""
      from zoo.segnet import maxima, unpool
      net n {
        input x: [N, C = 3, H, W]
        input y: [N, C, H // 2, W // 2]
        output z = (y, x -> maxima, x) -> unpool
      }
    """)
    x, y = numbers((2, 3, *size), 1), 1 + numbers((2, 3, size[0] // 2, size[1] // 2), 2)
    given: Any = torch.from_numpy(x)
    _, indices = torch.nn.functional.max_pool2d(given, 2, return_indices=True)
    expected = torch.nn.functional.max_unpool2d(torch.from_numpy(y), indices, 2, output_size=given.shape)
    assert torch.equal(net.torch()(given, torch.from_numpy(y)), expected)
    (found,) = net.session()(x=x, y=y).values()
    assert np.array_equal(found, expected.numpy())
