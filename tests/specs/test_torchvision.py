"""The classification networks that ship, against torchvision: names, shapes, order, counts, costs and outputs.

The golden file holds what torchvision says, so most of this runs without it. Where it is installed, its networks are
built again and compared at two sizes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec
from tests.specs.zoo_reference import DEFAULT_SIZES, FAMILY, GAINS, LARGE, SIZES, SMALL, build, digest, fill, image, plain, spec_of, write

NAMES = [name for names in FAMILY.values() for name in names]
SIZED = [*SMALL, *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE)]


@pytest.fixture(scope="module", params=NAMES)
def entry(request: pytest.FixtureRequest, golden: dict[str, Any]) -> tuple[str, dict[str, Any], Any]:
    """A network's name, its golden entry, and the network."""
    return request.param, golden[request.param], netspec.load(spec_of(request.param))


def test_names_shapes_and_order_are_torchvisions(entry: tuple[str, dict[str, Any], Any]) -> None:
    _, expected, net = entry
    tensors = [(w.name, w.shape) for w in net.graph.weights]
    assert (len(tensors), digest(tensors)) == (expected["tensors"], expected["digest"])


def test_parameters_are_those_published(entry: tuple[str, dict[str, Any], Any]) -> None:
    name, expected, net = entry
    assert net.summary().parameters == expected["parameters"]
    if name != "inception_v3":  # which is published with its side classifier: see below
        assert expected["parameters"] == expected["published_parameters"]


def test_cost_is_the_one_published(entry: tuple[str, dict[str, Any], Any]) -> None:
    """torchvision's tables give three decimals of a GMAC."""
    _, expected, net = entry
    assert net.summary().macs / 1e9 == pytest.approx(expected["published_gmacs"], abs=6e-4)


def test_a_thousand_scores_come_out(entry: tuple[str, dict[str, Any], Any]) -> None:
    _, _, net = entry
    (output,) = net.graph.outputs
    batch, classes = net.graph.values[output.value].shape
    assert (output.name, str(batch), classes) == ("logits", "N", 1000)


def test_nothing_is_wrong_with_it(entry: tuple[str, dict[str, Any], Any]) -> None:
    _, _, net = entry
    assert not [d for d in net.check() if d.severity == "error"]


def weights_of(net: Any, name: str) -> dict[str, np.ndarray]:
    """The weights of `fill` for the network of that name."""
    return fill({w.name: w for w in net.graph.weights}, gain=GAINS.get(name, 1.0))


def module_with(net: Any, weights: dict[str, np.ndarray]) -> Any:
    """The network in PyTorch, in eval mode, with exactly these weights."""
    import torch

    module = net.torch(seed=0)
    module.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()}, strict=True)
    return module.eval()


@pytest.mark.parametrize("name", SIZED)
def test_outputs_are_those_that_torchvision_gave(name: str, golden: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    net, expected = netspec.load(spec_of(name)), golden[name]
    module = module_with(net, weights_of(net, name))
    with torch.no_grad():
        logits = module(torch.from_numpy(image(*expected["size"])))
    assert logits[0, :4].numpy() == pytest.approx(expected["logits"], abs=2e-5 * expected["scale"])


@pytest.mark.parametrize("name", SIZED)
def test_outputs_agree_with_torchvision_and_onnxruntime(name: str, torchvision: Any, tmp_path: Path) -> None:
    import torch

    net = netspec.load(spec_of(name))
    theirs = build(torchvision, name)
    weights = {key: value.numpy() for key, value in theirs.state_dict().items()}
    module = module_with(net, weights)
    assert list(module.state_dict()) == list(weights)
    session = net.session(weights=write(weights, tmp_path))
    for height, width in SIZES.get(name, DEFAULT_SIZES):
        x = image(height, width)
        with torch.no_grad():
            expected, ours = theirs(torch.from_numpy(x)).numpy(), module(torch.from_numpy(x)).numpy()
        scale = np.abs(expected).max()
        assert np.abs(ours - expected).max() <= 1e-5 * scale
        assert np.abs(session(image=x)["logits"] - expected).max() <= 1e-4 * scale


@pytest.mark.parametrize("name", SMALL)
def test_weights_start_as_torchvisions_do(name: str, torchvision: Any) -> None:
    """The same spread in every tensor that is large enough to measure it, and the same constants in all others."""
    extra = {"aux_logits": False, "init_weights": True} if name in ("googlenet", "inception_v3") else {}
    theirs = torchvision.models.get_model(name, weights=None, **extra).state_dict()
    ours = netspec.load(spec_of(name)).torch(seed=0).state_dict()
    for key, expected in theirs.items():
        if expected.numel() > 4000:
            assert float(ours[key].std()) == pytest.approx(float(expected.std()), rel=0.1), key
            assert abs(float(ours[key].mean() - expected.mean())) < 0.1 * float(expected.std()), key
        elif expected.unique().numel() == 1:
            assert ours[key].equal(expected), key


def test_googlenets_side_classifiers_stand_where_torchvision_has_them(torchvision: Any) -> None:
    import torch

    model = torchvision.models.googlenet(weights=None, aux_logits=True, init_weights=False)
    net = netspec.load("zoo.googlenet:googlenet", aux=True)
    theirs = [(name, tuple(t.shape)) for name, t in model.state_dict().items()]
    assert [(w.name, w.shape) for w in net.graph.weights] == theirs
    module = module_with(net, fill(model.state_dict()))
    model.load_state_dict({k: torch.from_numpy(v) for k, v in fill(model.state_dict()).items()})
    # torchvision computes them while training only: run it so, with its norms and dropouts as in eval mode
    model.eval().training = True
    x = torch.from_numpy(image(64, 64))
    with torch.no_grad():
        expected, ours = model(x), module(x)
    for mine, other in zip((ours.logits, ours.logits2, ours.logits1), expected):
        assert torch.allclose(mine, other, atol=1e-5 * float(other.abs().max()))


def test_inceptions_side_classifier_stands_where_torchvision_has_it(torchvision: Any) -> None:
    import torch

    model = torchvision.models.inception_v3(weights=None, aux_logits=True, init_weights=False)
    net = netspec.load("zoo.inception_v3:inception_v3", aux=True)
    assert [(w.name, w.shape) for w in net.graph.weights] == [(n, tuple(t.shape)) for n, t in model.state_dict().items()]
    (weights,) = torchvision.models.Inception_V3_Weights
    assert net.summary().parameters == weights.meta["num_params"]
    filled = {k: torch.from_numpy(v) for k, v in fill(model.state_dict()).items()}
    model.load_state_dict(filled)
    model.eval().training = True  # as above
    module = module_with(net, fill(model.state_dict()))
    x = torch.from_numpy(image(299, 299, batch=1))
    with torch.no_grad():
        expected, ours = model(x), module(x)
    for mine, other in zip((ours.logits, ours.aux_logits), expected):
        assert torch.allclose(mine, other, atol=1e-5 * float(other.abs().max()))


@pytest.mark.parametrize("width", [0.35, 0.5, 1.4])
def test_mobilenets_width_rounds_channels_as_torchvision_does(width: float, torchvision: Any) -> None:
    model = torchvision.models.mobilenet_v2(weights=None, width_mult=width)
    net = netspec.load("zoo.mobilenet:mobilenet_v2", width=width)
    assert [(w.name, w.shape) for w in net.graph.weights] == [(n, tuple(t.shape)) for n, t in model.state_dict().items()]


@pytest.mark.parametrize(("name", "width"), [("mobilenet_v3_small", 0.35), ("mobilenet_v3_large", 0.75)])
def test_mobilenet_v3_too(name: str, width: float, torchvision: Any) -> None:
    model = torchvision.models.get_model(name, weights=None, width_mult=width)
    net = netspec.load(spec_of(name), width=width)
    assert [(w.name, w.shape) for w in net.graph.weights] == [(n, tuple(t.shape)) for n, t in model.state_dict().items()]


# ------------------------------------------------------------------------------------------------------- arguments
def arguments_of(model: Any) -> dict[str, Any]:
    """What outputs with a state dict of its own do not show, or hardly: of torchvision's modules, by name."""
    from torch import nn

    found: dict[str, Any] = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            found[name] = (module.eps, pytest.approx(module.momentum))
        elif isinstance(module, nn.LayerNorm):
            found[name] = (module.eps,)
        elif isinstance(module, nn.Dropout):
            found.setdefault("dropouts", []).append(module.p)
        elif type(module).__name__ == "StochasticDepth":
            found[name.removesuffix(".stochastic_depth") + ".drop_path1"] = pytest.approx(module.p)
    return found


@pytest.mark.parametrize("name", [*SMALL, "inception_v3", "efficientnet_b5", "efficientnet_v2_s", "convnext_tiny"])
def test_norms_and_dropouts_have_torchvisions_arguments(name: str, torchvision: Any) -> None:
    expected = arguments_of(plain(torchvision, name))
    found: dict[str, Any] = {}
    for node in netspec.load(spec_of(name)).graph.nodes:
        if node.op.NAME == "batch_norm":
            found[node.label] = (node.op.eps, node.op.momentum)
        elif node.op.NAME == "layer_norm":
            found[node.label] = (node.op.eps,)
        elif node.op.NAME == "dropout":
            found.setdefault("dropouts", []).append(node.op.p)
        elif node.op.NAME == "drop_path":
            found[node.label] = node.op.p
    # torchvision makes a stochastic depth in every block, and uses it where there is a shortcut
    assert found == {key: value for key, value in expected.items() if key in found or "drop_path" not in key}


def test_drop_path_is_torchvisions_stochastic_depth(torchvision: Any) -> None:
    import torch

    x = torch.from_numpy(image(5, 7, batch=64))
    for p in (0.0, 0.3, 1.0):
        net = netspec.loads(f"net a {{ input x: [N, 3, H = 5, W = 7]; output y = x -> drop_path({p}) }}")
        ours, theirs = net.torch(seed=0).train(), torchvision.ops.StochasticDepth(p, "row")
        torch.manual_seed(3)
        expected = theirs(x)
        torch.manual_seed(3)
        assert torch.equal(ours(x), expected)
        assert torch.equal(ours.eval()(x), x)


def test_another_number_of_classes_changes_the_last_layer_alone() -> None:
    full, small = netspec.load("zoo.resnet:resnet18"), netspec.load("zoo.resnet:resnet18", classes=10)
    changed = {w.name for w, v in zip(full.graph.weights, small.graph.weights) if w.shape != v.shape}
    assert changed == {"fc.weight", "fc.bias"}
