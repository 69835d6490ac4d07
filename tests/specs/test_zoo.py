"""The networks that ship and have no counterpart in torchvision: published counts, sizes, and PyTorch written by hand."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec
from netspec.api import check_source
from netspec.diagnostics.model import Report
from netspec.sizes.dim import evaluate
from netspec.source import Source
from netspec.syntax.format import format
from tests.specs.zoo_reference import fill, image, write

SPECS = sorted((Path(__file__).parents[2] / "specs").glob("*.net"))


def shape_of(net: Any) -> tuple[Any, ...]:
    """The shape of the first output, sizes that stay open in words."""
    return tuple(s if isinstance(s, int) else str(s) for s in net.graph.values[net.graph.outputs[0].value].shape)


def output_at_typical(net: Any) -> tuple[int, ...]:
    """The shape of the first output at the typical sizes, without its batch."""
    return tuple(evaluate(s, net.graph.typical) for s in net.graph.values[net.graph.outputs[0].value].shape[1:])


def shapes(net: Any) -> dict[str, tuple[int, ...]]:
    """What a network stores, by name."""
    return {w.name: w.shape for w in net.graph.weights}


def both(net: Any, folder: Path, *inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first output in PyTorch and in onnxruntime, with the weights of `fill`."""
    import torch

    weights = fill({w.name: w for w in net.graph.weights})
    module = net.torch(seed=0)
    module.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()}, strict=True)
    with torch.no_grad():
        ours = module.eval()(*(torch.from_numpy(x) for x in inputs))
    names = [port.name for port in net.graph.inputs]
    (output,) = net.session(weights=write(weights, folder))(**dict(zip(names, inputs))).values()
    return ours.numpy(), output


# -------------------------------------------------------------------------------------------------------- the files
@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_a_spec_is_short_and_says_which_paper_it_follows(path: Path) -> None:
    text = path.read_text()
    lines = text.splitlines()
    assert text.startswith('"""') and len(lines) < 150 and max(map(len, lines)) <= 100
    assert any(year in text.split('"""')[1] for year in map(str, range(1950, 2030)))


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_a_spec_is_as_fmt_writes_it(path: Path) -> None:
    assert format(Source(path.name, path.read_text()), Report()) == path.read_text()


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_every_net_of_a_spec_compiles_without_a_remark(path: Path) -> None:
    for done in check_source(Source(path.name, path.read_text(), str(path))):
        assert [str(d) for d in done.report.diagnostics] == []


# -------------------------------------------------------------------------------------------- perceptrons and LeNet
def test_an_mlp_has_a_layer_for_each_width() -> None:
    net = netspec.load("zoo.perceptron:mlp", widths=[20, 30, 40], inputs=5, classes=3)
    assert shapes(net) == {
        "linear1.weight": (20, 5), "linear1.bias": (20,), "linear2.weight": (30, 20), "linear2.bias": (30,),
        "linear3.weight": (40, 30), "linear3.bias": (40,), "linear4.weight": (3, 40), "linear4.bias": (3,),
    }  # fmt: skip


def test_lenet_has_the_papers_layers(tmp_path: Path) -> None:
    """Trainable parameters by layer: c1 156, c5 48,120, f6 10,164 as the paper has them; c3 2,416 without its table I."""
    net = netspec.load("zoo.lenet:lenet5")
    counts: dict[str, int] = {}
    for tensor in net.graph.weights:
        layer = tensor.name.split(".")[0]
        counts[layer] = counts.get(layer, 0) + int(np.prod(tensor.shape))
    assert counts == {"c1": 156, "c3": 2_416, "c5": 48_120, "f6": 10_164, "output": 850}
    assert net.summary().parameters == 61_706
    ours, theirs = both(net, tmp_path, image(32, 32, channels=1))
    assert np.allclose(ours, theirs, atol=1e-5)


# -------------------------------------------------------------------------------------------------- residual networks
@pytest.mark.parametrize(
    ("depth", "parameters", "published"),
    [(20, 269_722, 0.27e6), (32, 464_154, 0.46e6), (44, 658_586, 0.66e6), (56, 853_018, 0.85e6), (110, 1_727_962, 1.7e6)],
)
def test_the_cifar_networks_have_the_published_size(depth: int, parameters: int, published: float) -> None:
    net = netspec.load(f"zoo.resnet:resnet{depth}")
    assert net.summary().parameters == parameters == pytest.approx(published, rel=0.02)
    assert shape_of(net) == ("N", 10)


def test_a_shortcut_without_parameters_takes_every_second_pixel_and_pads_channels() -> None:
    torch = pytest.importorskip("torch")
    net = netspec.loads("""
      from zoo.resnet import basic_a
      net n { input x: [N, 8, H = 9, W = 9]; output y = x -> basic_a(16, stride = 2) as unit }
    """)
    weights = {name: np.zeros(shape, np.float32) for name, shape in shapes(net).items() if "num_batches" not in name}
    weights |= {name: np.ones(shape, np.float32) for name, shape in shapes(net).items() if name.endswith("running_var")}
    module = net.torch(seed=0).eval()
    module.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()}, strict=False)
    x = torch.from_numpy(np.abs(image(9, 9, channels=8)))
    expected = torch.nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 4, 4))
    assert torch.equal(module(x), expected)


def test_a_published_checkpoint_of_resnet20_classifies_as_it_did(tmp_path: Path) -> None:
    """Needs a data folder: `cifar10_resnet20.npz` with weights, inputs and outputs, and its description beside it."""
    folder = os.environ.get("NETSPEC_DATA")
    if not folder or not (Path(folder) / "cifar10_resnet20.npz").exists():
        pytest.skip("NETSPEC_DATA names no folder with cifar10_resnet20.npz")
    torch = pytest.importorskip("torch")
    about = json.loads((Path(folder) / "cifar10_resnet20.json").read_text())
    data = np.load(Path(folder) / "cifar10_resnet20.npz")
    names = [name for name, _, _ in about["state_dict"]]
    net = netspec.load("zoo.resnet:resnet20")
    weights = {name: data[f"w:{name}"] for name in names}
    assert [w.name for w in net.graph.weights if w.role != "counter"] == names
    counters = {w.name: np.array(0, np.int64) for w in net.graph.weights if w.role == "counter"}
    module = net.torch(seed=0)
    module.load_state_dict({k: torch.from_numpy(v) for k, v in (weights | counters).items()}, strict=True)
    x, expected = data["in:0"], data["out:0"]
    with torch.no_grad():
        ours = module.eval()(torch.from_numpy(x)).numpy()
    theirs = net.session(weights=write(weights | counters, tmp_path))(image=x)["logits"]
    assert np.abs(ours - expected).max() <= about["tolerance"][0]
    assert np.abs(theirs - expected).max() <= about["tolerance"][0]
    assert ours.argmax(1).tolist() == expected.argmax(1).tolist()


def preact_reference(depths: list[int], state: dict[str, Any], x: Any) -> Any:
    """The pre-activation network as a function of its weights, from the paper's figure 4e and the authors' unit."""
    import torch.nn.functional as F

    def norm(x: Any, name: str) -> Any:
        mean, var, scale, shift = (state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return F.relu(F.batch_norm(x, mean, var, scale, shift))

    x = F.max_pool2d(F.conv2d(x, state["conv1.weight"], stride=2, padding=3), 3, 2, 1)
    for stage, depth in enumerate(depths):
        for i in range(depth):
            at, stride = f"layer{stage + 1}.{i}", 2 if stage and not i else 1
            a = norm(x, f"{at}.bn1")
            y = norm(F.conv2d(a, state[f"{at}.conv1.weight"]), f"{at}.bn2")
            y = norm(F.conv2d(y, state[f"{at}.conv2.weight"], stride=stride, padding=1), f"{at}.bn3")
            shortcut = x if i else F.conv2d(a, state[f"{at}.downsample.weight"], stride=stride)
            x = F.conv2d(y, state[f"{at}.conv3.weight"]) + shortcut
    return F.linear(norm(x, "bn").mean((2, 3)), state["fc.weight"], state["fc.bias"])


def test_a_preactivation_network_computes_what_its_paper_draws(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    net = netspec.load("zoo.preact_resnet:preact_resnet", depths=[2, 1, 1, 2], classes=7)
    x = image(40, 56)
    ours, theirs = both(net, tmp_path, x)
    state = {name: torch.from_numpy(value) for name, value in fill({w.name: w for w in net.graph.weights}).items()}
    expected = preact_reference([2, 1, 1, 2], state, torch.from_numpy(x)).numpy()
    scale = np.abs(expected).max()
    assert np.abs(ours - expected).max() <= 1e-5 * scale
    assert np.abs(theirs - expected).max() <= 1e-4 * scale


def test_resnet_200_has_200_layers() -> None:
    """Counted as the paper counts: convolutions on the main path and the classifier."""
    net = netspec.load("zoo.preact_resnet:preact_resnet200")
    layers = [n for n in net.graph.nodes if n.op.NAME in ("conv", "linear") and "downsample" not in n.label]
    assert len(layers) == 200
    assert net.summary().parameters == 64_666_152
    assert shape_of(net) == ("N", 1000)


# ----------------------------------------------------------------------------------------------------------- U-Nets
def test_the_papers_unet_makes_388_of_572() -> None:
    net = netspec.load("zoo.unet:unet_valid")
    assert net.graph.typical == {"N": 1, "H": 572, "W": 572}
    assert output_at_typical(net) == (2, 388, 388)
    assert net.summary().parameters == 31_030_658


@pytest.mark.parametrize("size", [188, 204, 572])
def test_the_papers_unet_takes_sizes_that_stay_even(size: int) -> None:
    net = netspec.load("zoo.unet:unet_valid", base=2, sizes={"H": size, "W": 188})
    assert output_at_typical(net) == (2, size - 184, 4)


@pytest.mark.parametrize("size", [184, 190, 512])
def test_the_papers_unet_refuses_sizes_that_do_not(size: int) -> None:
    with pytest.raises(netspec.SpecError):
        netspec.load("zoo.unet:unet_valid", base=2, sizes={"H": size, "W": 188})


def unet_reference(depth: int, state: dict[str, Any], x: Any) -> Any:
    """The paper's figure 1 as a function of its weights."""
    import torch
    import torch.nn.functional as F

    def double(x: Any, name: str) -> Any:
        for i in (0, 2):
            x = F.relu(F.conv2d(x, state[f"{name}.{i}.weight"], state[f"{name}.{i}.bias"]))
        return x

    kept = []
    for i in range(depth):
        kept.append(double(x, f"enc.{i}"))
        x = F.max_pool2d(kept[-1], 2)
    x = double(x, "mid")
    for i in reversed(range(depth)):
        x = F.conv_transpose2d(x, state[f"up.{i}.weight"], state[f"up.{i}.bias"], stride=2)
        top, left = ((kept[i].shape[a] - x.shape[a]) // 2 for a in (2, 3))
        x = torch.cat((kept[i][:, :, top : top + x.shape[2], left : left + x.shape[3]], x), 1)
        x = double(x, f"dec.{i}")
    return F.conv2d(x, state["head.weight"], state["head.bias"])


def test_the_papers_unet_computes_what_its_figure_draws(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    net = netspec.load("zoo.unet:unet_valid", base=4, depth=3)
    x = image(108, 92, channels=1)
    ours, theirs = both(net, tmp_path, x)
    state = {name: torch.from_numpy(value) for name, value in fill({w.name: w for w in net.graph.weights}).items()}
    expected = unet_reference(3, state, torch.from_numpy(x)).numpy()
    scale = np.abs(expected).max()
    assert ours.shape == expected.shape == (2, 2, 20, 4)
    assert np.abs(ours - expected).max() <= 1e-5 * scale
    assert np.abs(theirs - expected).max() <= 1e-4 * scale


def test_a_padded_unet_gives_a_mask_as_large_as_its_image(tmp_path: Path) -> None:
    net = netspec.load("zoo.unet:unet", base=4)
    assert shape_of(net) == ("N", 2, "H", "W")
    for x in (image(32, 48, channels=1), image(64, 16, batch=1, channels=1)):
        ours, theirs = both(net, tmp_path, x)
        assert ours.shape == (len(x), 2, *x.shape[2:])
        assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(ours).max()


def test_a_padded_unet_says_that_sizes_must_divide() -> None:
    conditions = {str(c) for i in netspec.load("zoo.unet:unet").summary().inputs for c in i["constraints"]}
    assert {"H % 16 == 0", "W % 16 == 0"} <= conditions


# ------------------------------------------------------------------------------------- autoencoder, dilated convolutions
@pytest.mark.parametrize("widths", [[8], [4, 8], [16, 32, 64]])
def test_an_autoencoder_gives_back_an_image_of_its_inputs_size(widths: list[int], tmp_path: Path) -> None:
    net = netspec.load("zoo.autoencoder:autoencoder", widths=widths, channels=3)
    assert shape_of(net) == ("N", 3, "H", "W")
    encoder = [shape[0] for name, shape in shapes(net).items() if name.startswith("encoder") and name.endswith("weight")]
    decoder = [shape[1] for name, shape in shapes(net).items() if name.startswith("decoder") and name.endswith("weight")]
    assert encoder == widths and decoder == [*reversed(widths[:-1]), 3]
    ours, theirs = both(net, tmp_path, image(16, 24))
    assert ours.shape == (2, 3, 16, 24) and np.allclose(ours, theirs, atol=1e-5)


def test_the_context_module_has_the_papers_parameters() -> None:
    """64 C² weights without biases in the basic form. (That it sees 67×67 pixels, the spec itself expects.)"""
    net = netspec.load("zoo.dilated:context_basic")
    assert sum(int(np.prod(s)) for n, s in shapes(net).items() if n.endswith("weight")) == 64 * 21**2


def test_the_basic_context_module_starts_as_the_identity() -> None:
    x = np.abs(image(20, 24, channels=21))
    (result,) = netspec.load("zoo.dilated:context_basic").session()(features=x).values()
    assert np.allclose(result, x, atol=1e-6)
