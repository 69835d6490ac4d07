"""What the papers say of DRN, HRNet, ZFNet, perceptrons, maxout and self-normalizing networks, GANs and autoencoders.

Names, shapes and outputs of those that have a reference implementation are held against it in `test_recorded.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import netspec
from netspec.analyses.field import receptive_field
from netspec.sizes.dim import evaluate


def noise(*shape: int, seed: int = 1) -> np.ndarray:
    """Normally distributed numbers."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def sides(net: Any, *operators: str) -> list[int]:
    """The height of what each layer of these operators makes, at the typical size."""
    graph = net.graph
    nodes = [n for n in graph.nodes if n.op.NAME in operators and len(graph.values[n.outputs[0]].shape) == 4]
    return [evaluate(graph.values[n.outputs[0]].shape[2], graph.typical) for n in nodes]


# ---------------------------------------------------------------------------------- dilated and high-resolution networks
@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("a_18", 11.7),
        ("a_34", 21.8),
        ("a_50", 25.6),
        ("c_26", 21.1),
        ("c_42", 31.2),
        ("c_58", 41.6),
        ("d_22", 16.4),
        ("d_38", 26.5),
        ("d_54", 35.8),
        ("d_105", 54.8),
    ],
)
def test_the_dilated_networks_have_the_published_sizes(name: str, published: float) -> None:
    assert round(netspec.load(f"zoo.drn:drn_{name}").summary().parameters / 1e6, 1) == published


@pytest.mark.parametrize("name", ["a_50", "c_26", "d_22"])
def test_a_dilated_network_keeps_an_eighth_of_the_resolution(name: str) -> None:
    assert sides(netspec.load(f"zoo.drn:drn_{name}"), "conv", "batch_norm", "add")[-2] == 28


def coverage(layers: str) -> float:
    """How much of its field a position sees behind these layers of `zoo.drn`."""
    net = netspec.loads(f"""
      from zoo.drn import basic, level, plain, smooth
      net n {{ input x: [N, 4, H = 128, W = 128]; output y = x -> {layers} }}
    """)
    return receptive_field(net.graph)["y"]["H"].coverage


def test_what_comes_last_smooths_the_grids_of_dilation_away() -> None:
    """The paper's figure 4: a position behind dilated layers sees a grid; with less and less dilation, everything between."""
    gridded = "level(basic, 4, 2, dilation = 4) as layer6"
    assert coverage(gridded) == pytest.approx(9 / 33)
    for tail in ("smooth", "plain"):
        assert coverage(f"{gridded} -> {tail}(4, 1, dilation = 2) as layer7") < 0.6
        assert coverage(f"{gridded} -> {tail}(4, 1, dilation = 2) as layer7 -> {tail}(4, 1, dilation = 1) as layer8") == 1


@pytest.mark.parametrize(
    ("name", "published"),
    [("w18_small", 13.2), ("w18_small_v2", 15.6), ("w18", 21.3), ("w30", 37.7), ("w32", 41.2), ("w40", 57.6), ("w44", 67.1), ("w48", 77.5)],
)
def test_the_high_resolution_networks_have_the_published_sizes(name: str, published: float) -> None:
    assert netspec.load(f"zoo.hrnet:hrnet_{name}").summary().parameters / 1e6 == pytest.approx(published, abs=0.06)


def test_every_branch_keeps_its_resolution_and_twice_the_channels_of_the_one_above() -> None:
    """Table 1: 56, 28, 14 and 7 pixels a side, of C, 2 C, 4 C and 8 C channels."""
    net = netspec.load("zoo.hrnet:hrnet_w18")
    for i, side in enumerate([56, 28, 14, 7]):
        last = max((n for n in net.graph.nodes if n.label.startswith(f"stage4.2.branches.{i}.")), key=lambda n: n.outputs)
        _, channels, height, width = (evaluate(s, net.graph.typical) for s in net.graph.values[last.outputs[0]].shape)
        assert (channels, height, width) == (18 * 2**i, side, side)


# ------------------------------------------------------------------------------------------- ZFNet, network in network
def test_zfnet_has_the_maps_of_its_figure() -> None:
    assert sides(netspec.load("zoo.zfnet:zfnet"), "conv", "max_pool") == [110, 55, 26, 13, 13, 13, 13, 6]


def test_a_network_in_network_sees_every_class_as_a_map() -> None:
    net = netspec.load("zoo.nin:nin_cifar10", classes=7)
    assert not [n for n in net.graph.nodes if n.op.NAME == "linear"]
    maps = net.graph.values[next(n for n in net.graph.nodes if n.op.NAME == "global_avg_pool").inputs[0]]
    assert maps.shape[1] == 7


# ---------------------------------------------------------------------------------------------------------- perceptrons
@pytest.mark.parametrize(("name", "truth"), [("nand", [1, 1, 1, 0]), ("xor", [0, 1, 1, 0])])
def test_gates_of_neurons(name: str, truth: list[int]) -> None:
    table = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    assert netspec.load(f"zoo.perceptron:{name}").session()(x=table)["y"].ravel().tolist() == truth


def test_logistic_regression_is_a_probability_of_a_linear_function() -> None:
    torch = pytest.importorskip("torch")
    module = netspec.load("zoo.perceptron:logistic_regression", inputs=3).torch(seed=0)
    x = noise(5, 3)
    weight, bias = (module.state_dict()[f"linear1.{part}"].numpy() for part in ("weight", "bias"))
    with torch.no_grad():
        assert np.allclose(module(torch.from_numpy(x)).numpy(), 1 / (1 + np.exp(-(x @ weight.T + bias))), atol=1e-6)


def test_without_hidden_layers_an_mlp_is_softmax_regression() -> None:
    net = netspec.load("zoo.perceptron:softmax_regression")
    assert [(w.name, w.shape) for w in net.graph.weights] == [("linear1.weight", (10, 784)), ("linear1.bias", (10,))]


def test_dropout_scales_while_training_so_that_it_does_nothing_later() -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = netspec.load("zoo.perceptron:dropout_mlp", inputs=4, widths=[4096], classes=1).torch(seed=0)
    x = torch.ones(512, 4)
    with torch.no_grad():
        steady = module.eval()(x)
        first = torch.relu(module.linear1(x))[0]
        dropped = module.train().dropout2(first.expand(512, -1))
    assert (steady == steady[0]).all()
    assert (dropped == 0).float().mean().item() == pytest.approx(0.5 + 0.5 * (first == 0).float().mean().item(), abs=0.01)
    assert dropped.mean().item() == pytest.approx(first.mean().item(), rel=0.02)


@pytest.mark.parametrize(("name", "low", "high"), [("deep_mlp", 0.05, 20), ("deep_mlp_xavier", 1e-3, 1), ("deep_mlp_small", 0, 1e-20)])
def test_how_weights_start_decides_whether_anything_comes_through(name: str, low: float, high: float) -> None:
    torch = pytest.importorskip("torch")
    with torch.no_grad():
        power = netspec.load(f"zoo.perceptron:{name}").torch(seed=0)(torch.from_numpy(noise(256, 784))).square().mean().item()
    assert low <= power <= high


# ------------------------------------------------------------------------------------ maxout, self-normalizing networks
def test_a_maxout_network_of_pieces_that_are_zero_is_one_of_relu() -> None:
    """Every unit keeps one piece; the others, zero, are the other side of relu."""
    torch = pytest.importorskip("torch")
    module = netspec.load("zoo.maxout:maxout_mnist").torch(seed=0).eval()
    x = torch.from_numpy(noise(3, 784))
    with torch.no_grad():
        for layer in (module.h0, module.h1):
            layer.weight.view(240, 5, -1)[:, 1:] = 0
            layer.weight *= 20
        h = x
        for layer in (module.h0, module.h1):
            h = torch.relu(h @ layer.weight[::5].T)
        assert torch.allclose(module(x), h @ module.y.weight.T, atol=1e-6)
        assert h.abs().max() > 0.1


def test_the_maps_of_the_convolutional_maxout_network() -> None:
    """33 and 15, as the authors' script counts them, need the window that reaches over the border."""
    assert sides(netspec.load("zoo.maxout:maxout_cifar10"), "conv", "max_pool") == [33, 16, 15, 7, 9, 5]


@pytest.mark.parametrize("training", [False, True])
def test_activations_stay_at_the_fixed_point(training: bool) -> None:
    """Mean 0 and variance 1, through 32 layers, and with alpha dropout, too."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = netspec.load("zoo.selu:snn", inputs=256, width=256, depth=32).torch(seed=0).train(training)
    seen = []
    module.alpha_dropout32.register_forward_hook(lambda *_: seen.append(_[2]))
    with torch.no_grad():
        module(torch.from_numpy(noise(256, 256)))
    assert seen[0].mean().item() == pytest.approx(0, abs=0.1)
    assert seen[0].var().item() == pytest.approx(1, abs=0.2)


# -------------------------------------------------------------------------------------------------- generative networks
def test_weights_of_dcgan_start_as_the_paper_says() -> None:
    """Normal, with a standard deviation of 0.02; scales of batch norm around 1."""
    state = netspec.load("zoo.dcgan:generator").torch(seed=0).state_dict()
    assert state["main.3.weight"].std().item() == pytest.approx(0.02, rel=0.01)
    assert state["main.1.weight"].mean().item() == pytest.approx(1, abs=0.01)
    assert state["main.1.weight"].std().item() == pytest.approx(0.02, rel=0.2)


def test_a_discriminator_reads_what_a_generator_makes() -> None:
    image = netspec.load("zoo.dcgan:generator", base=4).session()(z=noise(2, 100, 1, 1))["image"]
    assert image.shape == (2, 3, 64, 64) and np.abs(image).max() <= 1
    real = netspec.load("zoo.dcgan:discriminator", base=4).session()(image=image)["real"]
    assert real.shape == (2,) and ((0 < real) & (real < 1)).all()


def test_the_noise_of_a_variational_autoencoder_is_scaled_by_the_codes_deviation() -> None:
    torch = pytest.importorskip("torch")
    module = netspec.load("zoo.vae:vae").torch(seed=0).eval()
    image, drawn = torch.from_numpy(noise(2, 1, 28, 28)), torch.from_numpy(noise(2, 20, seed=2))
    with torch.no_grad():
        reconstruction, mean, log_variance = module(image, drawn)
        code = mean + drawn * torch.exp(log_variance / 2)
        again = torch.sigmoid(module.fc4(torch.relu(module.fc3(code))))
    assert torch.allclose(reconstruction, again, atol=1e-6)
    assert mean.shape == log_variance.shape == (2, 20)


def test_a_denoising_autoencoder_sees_only_what_is_kept() -> None:
    session = netspec.load("zoo.denoising_autoencoder").session()
    x, kept = noise(2, 784), (noise(2, 784, seed=2) > 0).astype(np.float32)
    (whole,) = session(x=x * kept, kept=np.ones_like(x)).values()
    (part,) = session(x=x, kept=kept).values()
    assert np.array_equal(whole, part)


def test_a_denoising_autoencoder_has_one_matrix_both_ways() -> None:
    net = netspec.load("zoo.denoising_autoencoder")
    assert [(w.name, w.shape) for w in net.graph.weights] == [("W", (784, 500)), ("b", (500,)), ("b_prime", (784,))]


def test_a_deep_autoencoder_squeezes_a_digit_into_30_numbers() -> None:
    widths = [n.op.features for n in netspec.load("zoo.deep_autoencoder").graph.nodes if n.op.NAME == "linear"]
    assert widths == [1000, 500, 250, 30, 250, 500, 1000, 784]
