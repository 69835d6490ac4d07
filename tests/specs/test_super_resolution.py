"""What the papers of the super-resolution networks print: parameters, costs, receptive fields; and how their weights start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec
from netspec.sizes.dim import evaluate
from tests.specs.recording import arrays
from tests.specs.zoo_reference import fill, write

#: as published, and to how many parts in 1,000 it was rounded
PUBLISHED = {
    "vdsr:vdsr": (665e3, 1),
    "srresnet:srresnet_x4": (1.5e6, 35),
    "edsr:edsr_baseline_x4": (1.5e6, 35),
    "edsr:edsr_x4": (43e6, 12),
    "rcan:rcan_x4": (16e6, 32),
    "rdn:rdn_x2": (22.1e6, 3),
    "rdn:rdn_x3": (22.3e6, 3),
    "rdn:rdn_x4": (22.3e6, 3),
    "dbpn:dbpn_x2": (5953e3, 1),
    "dbpn:dbpn_x4": (10426e3, 1),
    "dbpn:dbpn_x8": (23205e3, 1),
}

#: one of each shape, with arguments that make it small
SMALL: dict[str, dict[str, Any]] = {
    "srcnn:srcnn_935": {},
    "espcn:espcn_x3": {},
    "vdsr:vdsr": {"depth": 4, "width": 8},
    "vdsr:vdsr_rgb": {"scale": 3, "depth": 3, "width": 8},
    "srresnet:srresnet": {"scale": 2, "blocks": 2, "width": 8},
    "edsr:edsr": {"scale": 3, "width": 8, "depth": 2, "factor": 0.1},
    "rcan:rcan": {"scale": 2, "groups": 1, "depth": 2},
    "rdn:rdn": {"scale": 3, "blocks": 2, "depth": 2, "growth": 8},
    "dbpn:dbpn": {"scale": 4, "stages": 3, "width": 8, "features": 16, "colors": 3, "dense": True},
    "dbpn_recurrent:dbpn_mr": {"scale": 2, "runs": 2, "stages": 3, "width": 8, "features": 16},
    "dsrn:dsrn": {"scale": 3, "width": 8},
}
FACTOR = {"srcnn:srcnn_935": 1, "espcn:espcn_x3": 3, "vdsr:vdsr": 1}


def load(spec: str, **arguments: Any) -> Any:
    """A network of the zoo: `edsr:edsr_x2`."""
    return netspec.load(f"zoo.{spec}", **arguments)


def parameters(spec: str, **arguments: Any) -> int:
    """How many parameters it has."""
    return load(spec, **arguments).summary().parameters


@pytest.mark.parametrize("spec", PUBLISHED)
def test_parameters_are_as_many_as_published(spec: str) -> None:
    published, thousandths = PUBLISHED[spec]
    assert parameters(spec) == pytest.approx(published, rel=thousandths / 1000)


@pytest.mark.parametrize(("name", "weights", "field"), [("srcnn_915", 8_032, 13), ("srcnn_935", 24_416, 15), ("srcnn_955", 57_184, 17)])
def test_srcnn_has_the_weights_of_the_papers_table(name: str, weights: int, field: int) -> None:
    net = load(f"srcnn:{name}")
    assert sum(int(np.prod(w.shape)) for w in net.graph.weights if w.local == "weight") == weights
    assert field_of(net) == field


def field_of(net: Any) -> int:
    """How many pixels a pixel of the output sees along an axis."""
    (axes,) = net.receptive_field().values()
    (size,) = {axis.size for axis in axes.values()}
    return size


def test_vdsr_sees_41_pixels_and_two_more_with_every_layer() -> None:
    assert [field_of(load("vdsr:vdsr", depth=depth)) for depth in (5, 20)] == [11, 41]


def test_shares_of_the_back_projection_networks_are_those_that_their_paper_prints() -> None:
    """By how many percent they are smaller than VDSR, LapSRN (812 K) and EDSR."""
    vdsr, edsr = parameters("vdsr:vdsr"), parameters("edsr:edsr_x4")

    def smaller(spec: str, other: float) -> int:
        return round(100 - 100 * parameters(f"dbpn:{spec}") / other)

    assert [smaller("dbpn_ss_x4", vdsr), smaller("dbpn_ss_x8", vdsr), smaller("dbpn_s_x4", 812e3)] == [72, 37, 27]
    assert smaller("dbpn_x4", edsr) == 76


@pytest.mark.parametrize("spec", SMALL)
def test_every_size_of_image_is_taken_and_comes_out_as_many_times_larger(spec: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    net = load(spec, **SMALL[spec])
    scale = SMALL[spec].get("scale", FACTOR.get(spec))
    value = net.graph.values[net.graph.outputs[0].value]
    channels = net.graph.values[net.graph.inputs[0].value].shape[1]
    weights = fill({w.name: w for w in net.graph.weights})
    module = net.torch(seed=0).eval()
    module.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()}, strict=True)
    session = net.session(weights=write(weights, tmp_path))
    for height, width in ((1, 1), (5, 8)):
        expected = (2, channels, scale * height, scale * width)
        assert tuple(evaluate(s, {"N": 2, "H": height, "W": width}) for s in value.shape) == expected
        x = arrays({"image": ([2, channels, height, width], None)})["image"]
        with torch.no_grad():
            ours = module(torch.from_numpy(x)).numpy()
        (theirs,) = session(image=x).values()
        assert ours.shape == theirs.shape == expected
        assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(ours).max()


@pytest.mark.parametrize(("spec", "brightest"), [("edsr:edsr_baseline_x2", 255), ("rcan:rcan_x2", 255), ("vdsr:vdsr_x2", 1)])
def test_the_mean_colour_is_subtracted_first_and_added_last(spec: str, brightest: int) -> None:
    net = load(spec, **({"groups": 1, "depth": 1} if spec.startswith("rcan") else {}))
    start = {name: tensor.numpy() for name, tensor in net.torch(seed=0).state_dict().items() if "mean" in name}
    assert list(start) == ["sub_mean.weight", "sub_mean.bias", "add_mean.weight", "add_mean.bias"]
    mean = brightest * np.array([0.4488, 0.4371, 0.4040])
    for name, sign in (("sub_mean", -1), ("add_mean", 1)):
        assert np.array_equal(start[f"{name}.weight"].reshape(3, 3), np.eye(3))
        assert start[f"{name}.bias"] == pytest.approx(sign * mean, rel=1e-6)


def test_steps_and_runs_share_their_weights() -> None:
    assert len({parameters("dsrn:dsrn_x2", steps=steps) for steps in (3, 4, 7)}) == 1
    once, thrice = (load("dbpn_recurrent:dbpn_mr", **SMALL["dbpn_recurrent:dbpn_mr"] | {"runs": runs}) for runs in (1, 3))
    more = thrice.summary().parameters - once.summary().parameters
    assert more == 2 * 8 * 3 * 9  # the image is made of three times as many channels
    assert thrice.summary().macs > 2.9 * once.summary().macs
    lines = "\n".join(w.name for w in thrice.graph.weights)
    assert lines.count("up1.up_conv1.deconv.weight") == lines.count("down2.conv.act.weight") == 1


def test_srcnn_may_see_the_pixels_of_the_border_beyond_it() -> None:
    """A flat image stays flat to its border where that is continued, and not where zeros follow."""
    torch = pytest.importorskip("torch")
    spread = {}
    for border in ("zeros", "replicate"):
        with torch.no_grad():
            y = load("srcnn:srcnn_915", border=border).torch(seed=1)(torch.ones(1, 1, 16, 16))
        spread[border] = float(y.max() - y.min())
    assert spread["replicate"] < 1e-6 < 1e-3 < spread["zeros"]


def test_enlarging_starts_as_in_the_references() -> None:
    start = load("espcn:espcn_x3").torch(seed=0).state_dict()
    assert float(start["last_part.0.weight"].std()) == pytest.approx(0.001, rel=0.1)
    assert float(start["first_part.0.weight"].std()) == pytest.approx((2 / (64 * 25)) ** 0.5, rel=0.1)
    start = load("dbpn:dbpn_s_x4").torch(seed=0).state_dict()
    for name in ("up1.up_conv1.deconv.weight", "up1.up_conv2.conv.weight"):
        assert float(start[name].std()) == pytest.approx((2 / (32 * 64)) ** 0.5, rel=0.05)
    assert float(start["up1.up_conv1.deconv.bias"].abs().max()) == 0
