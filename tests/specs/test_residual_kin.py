"""ResNet's kin: what their papers publish, how their layers are counted, and what their units do at the start."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import netspec

MILLION = 10**6


def layers(spec: str, besides: str = "") -> int:
    """How many convolutions and linear layers there are, besides those whose labels hold that text."""
    nodes = netspec.load(spec).graph.nodes
    return sum(n.op.NAME in ("conv", "linear") and (not besides or besides not in n.label) for n in nodes)


# ---------------------------------------------------------------------------------------------- sizes, costs and depths
@pytest.mark.parametrize(
    ("spec", "published", "digits"),
    [
        ("wide_resnet:wrn_16_8", 11.0, 1),
        ("wide_resnet:wrn_22_8", 17.2, 1),
        ("wide_resnet:wrn_28_10", 36.5, 1),
        ("wide_resnet:wrn_40_2", 2.2, 1),
        ("wide_resnet:wrn_40_4", 8.9, 1),
        ("wide_resnet:wrn_40_8", 35.7, 1),
        ("preact_resnet:preact_resnet110", 1.7, 1),
        ("preact_resnet:preact_resnet164", 1.7, 1),
        ("sknet:skresnext50_32x4d", 27.5, 1),
        ("xception:legacy_xception", 22.855952, 6),
        ("mobilenet_v1:mobilenetv1_100", 4.2, 1),
        ("mobilenet_v1:mobilenetv1_075", 2.6, 1),
        ("mobilenet_v1:mobilenetv1_050", 1.3, 1),
        ("mobilenet_v1:mobilenetv1_025", 0.5, 1),
    ],
)
def test_a_network_has_the_published_millions_of_parameters(spec: str, published: float, digits: int) -> None:
    """Those of the papers' tables, to their last digit."""
    assert round(netspec.load(f"zoo.{spec}").summary().parameters / MILLION, digits) == published


@pytest.mark.parametrize(
    ("spec", "published"),
    [
        ("mobilenet_v1:mobilenetv1_100", 569),
        ("mobilenet_v1:mobilenetv1_075", 325),
        ("mobilenet_v1:mobilenetv1_050", 149),
        ("mobilenet_v1:mobilenetv1_025", 41),
        ("legacy_senet:legacy_seresnet50", 3_870),
        ("legacy_senet:legacy_seresnet101", 7_600),
        ("legacy_senet:legacy_seresnet152", 11_320),
        ("legacy_senet:legacy_seresnext50_32x4d", 4_250),
        ("sknet:skresnext50_32x4d", 4_470),
        ("res2net:res2net50_26w_8s", 8_300),
    ],
)
def test_a_network_costs_what_its_paper_says(spec: str, published: int) -> None:
    assert netspec.load(f"zoo.{spec}").summary().macs / MILLION == pytest.approx(published, rel=0.01)


@pytest.mark.parametrize(("name", "depth"), [("wrn_16_8", 16), ("wrn_28_10", 28), ("wrn_40_4", 40)])
def test_a_wide_network_is_named_after_all_its_convolutions(name: str, depth: int) -> None:
    """With those of the shortcuts, and without the classifier, as the paper counts."""
    assert layers(f"zoo.wide_resnet:{name}") - 1 == depth


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152, 200, 110, 164, 1001])
def test_a_preactivation_network_is_named_after_its_main_path(depth: int) -> None:
    assert layers(f"zoo.preact_resnet:preact_resnet{depth}", besides="downsample") == depth


@pytest.mark.parametrize(("name", "depth"), [("legacy_xception", 36), ("xception41", 41), ("xception65", 65), ("xception71", 71)])
def test_xception_counts_a_separable_convolution_once(name: str, depth: int) -> None:
    nodes = netspec.load(f"zoo.xception:{name}").graph.nodes
    convs = [n for n in nodes if n.op.NAME == "conv" and n.op.groups == 1]
    assert sum("skip" not in n.label and "shortcut" not in n.label for n in convs) == depth


# -------------------------------------------------------------------------------------------------- units at the start
def run(text: str, x: np.ndarray, **weights: Any) -> np.ndarray:
    """The first output of a net of one unit, as it starts; `weights` by label, with `__` for the dots."""
    import torch

    module = netspec.loads(text).torch(seed=0).eval()
    state = module.state_dict()
    for name, value in weights.items():
        state[name.replace("__", ".")].fill_(value)
    with torch.no_grad():
        return module(torch.from_numpy(x)).numpy()


def image(channels: int, size: int = 8) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(1)).random((2, channels, size, size)).astype(np.float32)


@pytest.mark.parametrize("family", ["resnet_d", "senet"])
def test_a_unit_starts_as_the_identity(family: str) -> None:
    """Its last norm scales by zero, and its shortcut has no parameters; the input is not negative."""
    pytest.importorskip("torch")
    text = f"from zoo.{family} import bottleneck\nnet n {{ input x: [N, 256, H, W]; output x -> bottleneck(64) as unit }}"
    x = image(256)
    assert np.array_equal(run(text, x), x)


def test_a_shortcut_of_resnet_d_averages_where_others_skip() -> None:
    pytest.importorskip("torch")
    text = "from zoo.resnet_d import shortcut\nnet n { input x: [N, 1, H, W]; output x -> shortcut(1, 2) as s }"
    x = image(1)
    mean = x.reshape(2, 1, 4, 2, 4, 2).mean((3, 5))
    assert run(text, x, s__1__weight=1) == pytest.approx(mean / np.sqrt(1 + 1e-5), abs=1e-6)


def test_a_shortcut_of_resnet_d_averages_what_there_is_at_odd_borders() -> None:
    pytest.importorskip("torch")
    text = "from zoo.resnet_d import shortcut\nnet n { input x: [N, 1, H, W]; output x -> shortcut(1, 2) as s }"
    x = image(1, 5)
    assert run(text, x, s__1__weight=1)[:, :, 2, 2] == pytest.approx(x[:, :, 4, 4] / np.sqrt(1 + 1e-5), abs=1e-6)


def test_kernels_share_alike_until_the_mixture_has_learned() -> None:
    """With the mixture's weights at zero each of two kernels has half: that of maps that are equal is the map itself."""
    pytest.importorskip("torch")
    text = "from zoo.sknet import selective\nnet n { input x: [N, 2, H, W]; output x -> selective(2, 1, 1, 8, halves = false) as sk }"
    x = np.ones((1, 2, 9, 9), np.float32)
    result = run(text, x, sk__paths__0__conv__weight=1 / 18, sk__paths__1__conv__weight=1 / 18, sk__attn__fc_select__weight=0)
    assert result[:, :, 4, 4] == pytest.approx(1 / np.sqrt(1 + 1e-5), abs=1e-5)


def test_dropout_of_a_wide_network_stands_between_the_convolutions() -> None:
    net = netspec.load("zoo.wide_resnet:wrn_16_8", drop=0.3)
    dropped = [n for n in net.graph.nodes if n.op.NAME == "dropout"]
    assert len(dropped) == 6 and all(n.op.p == 0.3 for n in dropped)
    assert not any(n.op.NAME == "dropout" for n in netspec.load("zoo.wide_resnet:wrn_16_8").graph.nodes)


def test_parts_of_res2net_see_more_and_more() -> None:
    """Of four parts the first three have seen 3×3, 5×5 and 7×7, and the last what its pixel saw: figure 2b."""
    net = netspec.loads("""
      from zoo.res2net import bottle2neck
      net n { input x: [N, 64, H = 32, W = 32]; output x -> bottle2neck(16, 1, 64, 4, 1) as unit }
    """)
    module = net.torch(seed=0)
    torch = pytest.importorskip("torch")
    for norm in (m for m in module.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        torch.nn.init.ones_(norm.weight)
    for conv in (m for m in module.modules() if isinstance(m, torch.nn.Conv2d)):
        torch.nn.init.constant_(conv.weight, 0.01)
    x = torch.zeros(1, 64, 15, 15)
    x[:, :, 7, 7] = 1
    with torch.no_grad():
        seen = module.eval()(x)[0, 0] > 0
    assert seen.any(0).sum() == seen.any(1).sum() == 7
