"""The segmentation networks that ship, against torchvision: names, shapes, order, counts, costs and outputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec
from tests.specs.zoo_reference import fill, image, write

RESNETS = [f"{head}_resnet{depth}" for head in ("fcn", "deeplabv3") for depth in (50, 101)]
MOBILE = ["lraspp_mobilenet_v3_large", "deeplabv3_mobilenet_v3_large"]
SIDE = [*RESNETS, "deeplabv3_mobilenet_v3_large"]


def load(name: str, **arguments: Any) -> Any:
    """The network of that name, whichever family it is in."""
    return netspec.load(f"zoo.{'segmentation' if name in RESNETS else 'lraspp'}:{name}", **arguments)


def reference(torchvision: Any, name: str, aux: bool = False) -> Any:
    """torchvision's network, with no memory for its weights where the current device is meta."""
    extra = {"aux_loss": aux} if name in SIDE else {}
    return torchvision.models.get_model(name, weights=None, weights_backbone=None, **extra)


@pytest.mark.parametrize("name", [*RESNETS, *MOBILE])
def test_names_shapes_order_count_and_cost_are_torchvisions(name: str, torchvision: Any) -> None:
    """The published weights are of the network with its side classifier, where it has one."""
    import torch

    (weights,) = torchvision.models.get_model_weights(name)
    for aux in (False, True) if name in SIDE else (False,):
        with torch.device("meta"):
            state = reference(torchvision, name, aux).state_dict()
        net = load(name, **({"aux": aux} if aux else {}))
        assert [(w.name, w.shape) for w in net.graph.weights] == [(key, tuple(value.shape)) for key, value in state.items()]
    assert net.summary().parameters == weights.meta["num_params"]
    assert net.summary().macs / 1e9 == pytest.approx(weights.meta["_ops"], abs=6e-4)


SIZED = [*MOBILE, *(pytest.param(name, marks=pytest.mark.slow) for name in ("fcn_resnet50", "deeplabv3_resnet50"))]


@pytest.mark.parametrize("name", SIZED)
def test_outputs_agree_with_torchvision_and_onnxruntime(name: str, torchvision: Any, tmp_path: Path) -> None:
    import torch

    theirs = reference(torchvision, name, aux=True)
    weights = fill(theirs.state_dict())
    filled = {key: torch.from_numpy(value) for key, value in weights.items()}
    theirs.load_state_dict(filled)
    net = load(name, **({"aux": True} if name in SIDE else {}))
    module = net.torch(seed=0)
    module.load_state_dict(filled, strict=True)
    assert list(module.state_dict()) == list(weights)
    session = net.session(weights=write(weights, tmp_path))
    for height, width in ((64, 64), (72, 101)):
        x = image(height, width)
        with torch.no_grad():
            expected = [value.numpy() for value in theirs.eval()(torch.from_numpy(x)).values()]
            found = module.eval()(torch.from_numpy(x))
        ours = [found] if isinstance(found, torch.Tensor) else list(found)
        for wanted, mine, other in zip(expected, ours, session(image=x).values(), strict=True):
            scale = np.abs(wanted).max()
            assert wanted.shape == (2, 21, height, width)
            assert np.abs(mine.numpy() - wanted).max() <= 1e-5 * scale
            assert np.abs(other - wanted).max() <= 1e-4 * scale
