"""`icnr`: behind a pixel shuffle the layer starts as a smaller one and an enlargement by nearest neighbours."""

from __future__ import annotations

import math

import numpy as np
import pytest

import netspec
from netspec.analyses.signal.law import law_of
from netspec.backends.torch_source import write_source
from netspec.backends.weights import Initial
from netspec.diagnostics.model import SpecError
from netspec.graph import Graph
from netspec.initializers import make, resolve
from netspec.initializers.distributions import Constant
from netspec.op import Reject

#: what one kernel is drawn from, by name and by call; fan_in is the same however many copies there are
BASES = ("he_normal", "he_uniform(nonlinearity = linear)", "orthogonal(gain = 2)", "truncated_normal(std = 0.3)", "dirac")


def net(layer: str, shuffle: int, channels: int = 8) -> netspec.Net:
    """A convolution and a pixel shuffle on pictures."""
    return netspec.loads(
        f"net a {{\n  input x: [N, {channels}, H = 6, W = 7]\n  output y = x -> {layer} as up -> pixel_shuffle({shuffle})\n}}"
    )


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize(("factor", "groups"), [(2, 1), (3, 1), (2, 4)])
def test_the_shuffled_output_is_the_smaller_layers_enlarged(base: str, factor: int, groups: int) -> None:
    """The smaller layer has the same label and seed, hence the same draws: not one bit may differ."""
    torch = pytest.importorskip("torch")
    rest = f"3, padding = 1, groups = {groups}, bias = false, init ="
    shuffled = net(f"conv({8 * factor**2}, {rest} icnr({factor}, init = {base}))", factor).torch(seed=2)
    smaller = net(f"conv(8, {rest} {base})", 1).torch(seed=2)
    assert np.array_equal(shuffled.state_dict()["up.weight"][:: factor**2].numpy(), smaller.state_dict()["up.weight"].numpy())
    x = torch.randn(2, 8, 6, 7)
    with torch.no_grad():
        enlarged = torch.nn.functional.interpolate(smaller(x), scale_factor=factor)
        torch.testing.assert_close(shuffled(x), enlarged, rtol=1e-5, atol=1e-5)


def test_torch_and_onnx_start_with_the_same_bits() -> None:
    pytest.importorskip("torch")
    from onnx import numpy_helper

    made = net("conv(16, 3, init = icnr(2))", 2)
    (stored,) = (numpy_helper.to_array(i) for i in made.onnx(seed=5).graph.initializer if i.name == "up.weight")
    assert np.array_equal(made.torch(seed=5).state_dict()["up.weight"].numpy(), stored)
    assert np.array_equal(stored[::4], stored[3::4]) and len(np.unique(stored)) == 4 * 8 * 9


@pytest.mark.parametrize(("shape", "copies"), [((12, 3, 5), 2), ((12, 3, 5, 5), 4), ((16, 3, 5, 5, 5), 8)])
def test_as_many_copies_as_a_step_has_neighbours(shape: tuple[int, ...], copies: int) -> None:
    taps = math.prod(shape[2:])
    fans = 3 * taps, shape[0] * taps
    law = resolve(make("icnr"), shape, *fans)
    assert law.copies == copies and law.law == resolve(make("he_normal"), shape, *fans)


@pytest.mark.parametrize(
    ("layer", "code", "words"),
    [
        ("conv(18, 3, init = icnr(2))", "NS332", "4 channels alike, which does not divide the 18"),
        ("conv(16, 3, groups = 8, init = icnr(2))", "NS332", "does not divide the 2 channels of a group"),
        ("conv_transpose(16, 3, init = icnr(2))", "NS332", "icnr is for the weight of conv, not of conv_transpose"),
        ("conv(16, 3, init = icnr(0))", "NS331", "1 or more"),
        ("conv(16, 3, init = icnr(2, init = icnr))", "NS331", "not icnr again"),
        ("conv(16, 3, init = icnr(2, init = normal))", "NS331", "normal needs std"),
        ("conv(16, 3, init = icnr(2, init = 3))", "NS331", "init must be an initializer"),
        ("conv(16, 3, init = icnr(2, init = he_norml))", "NS601", "he_norml"),
        ("conv(16, 3, init = icnr(2, init = sparse(0.5)))", "NS332", "a matrix"),
    ],
)
def test_what_is_refused(layer: str, code: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        net(layer, 1)
    assert f"error[{code}]" in str(caught.value) and words in str(caught.value)


def test_a_tensor_that_is_no_kernel_is_refused() -> None:
    with pytest.raises(Reject) as caught:
        resolve(make("icnr"), (16, 3), 3, 16)
    assert caught.value.code == "NS332"


def test_copies_of_a_constant_are_that_constant() -> None:
    assert resolve(make("icnr", (), {"init": "ones"}), (16, 3, 3, 3), 27, 144) == Constant(1.0)


@pytest.mark.parametrize("method", ["lsuv", "data"])
def test_scaling_by_data_keeps_them_alike(method: str) -> None:
    pytest.importorskip("onnxruntime")
    from netspec.runtime.data_initial import data_initial

    graph = net("conv(16, 3, init = icnr(2))", 2).graph
    data = {"x": np.random.default_rng(0).standard_normal((4, 8, 6, 7), dtype="float32")}
    weight = data_initial(graph, method, data).weights.array(next(w for w in graph.weights if w.name == "up.weight"))
    np.testing.assert_allclose(weight[::4], weight[3::4], rtol=1e-5)
    assert not np.allclose(weight[:4], weight[4:8])


def test_a_graphs_json_keeps_what_one_kernel_is_drawn_from() -> None:
    graph = net("conv(16, 3, init = icnr(2, init = he_uniform(mode = fan_out)))", 2).graph
    again = Graph.model_validate_json(graph.model_dump_json())
    assert again == graph and str(again.weights[0].init) == "icnr(factor = 2, init = he_uniform(mode = fan_out))"


@pytest.mark.parametrize("base", ["he_normal", "uniform(bound = 0.1)", "orthogonal"])
def test_signals_know_the_variance(base: str) -> None:
    (weight, *_) = net(f"conv(64, 3, init = icnr(2, init = {base}))", 2).graph.weights
    law, drawn = law_of(weight), Initial(0).array(weight).astype("float64")
    assert law is not None and law.mean == 0 and law.variance == pytest.approx(drawn.var(), rel=0.1)


@pytest.mark.parametrize("wrapper", ["weight_norm", "spectral_norm"])
def test_reparametrized_layers_start_alike_too(wrapper: str) -> None:
    torch = pytest.importorskip("torch")
    made = netspec.loads(f"net a {{ input x: [N, 8, H = 6, W = 7]\n output y = x -> {wrapper}(conv(64, 3, bias = false)) as up"
                         " -> pixel_shuffle(2)\n init { up: icnr(2) } }")  # fmt: skip
    with torch.no_grad():
        y = made.torch(seed=1).eval()(torch.randn(200, 8, 6, 7))
    torch.testing.assert_close(y[:, :, ::2, ::2], y[:, :, 1::2, 1::2])
    predicted = made.signals()["up"].second
    assert predicted == pytest.approx(float(y.square().mean()), rel=0.15)


def test_written_source_starts_so() -> None:
    torch = pytest.importorskip("torch")
    layers = (
        "conv(16, 3, init = icnr(2)) as one -> conv(36, 3, init = icnr(3)) as two",
        "conv(4, 3, init = he_normal) as three -> weight_norm(conv(8, 1, init = icnr(2))) as four",
    )
    text = f"net a {{ input x: [N, 8, H = 9, W = 9]; output y = x -> {' -> '.join(layers)} }}"
    written = write_source(netspec.loads(text).graph)
    names: dict[str, object] = {"__name__": "written"}
    exec(compile(written, "written", "exec"), names)  # our own text
    module = names["A"]()  # type: ignore[operator]
    assert 'for name in ("one.weight", "four.parametrizations.weight.original1"):' in written
    assert 'nn.init.kaiming_normal_(parameters[name][::4], nonlinearity="relu")' in written
    for layer, copies, terms in ((module.one, 4, 72), (module.two, 9, 144)):
        kernels = layer.weight[::copies]
        assert torch.equal(layer.weight, kernels.repeat_interleave(copies, 0)) and kernels.unique().numel() == kernels.numel()
        assert kernels.std().item() == pytest.approx((2 / terms) ** 0.5, rel=0.15)
    assert module.three.weight.unique().numel() == module.three.weight.numel()
    lengths, directions = module.four.parametrizations.weight.parameters()
    assert torch.equal(directions[::4], directions[3::4]) and not torch.equal(directions[:4], directions[4:])
    torch.testing.assert_close(lengths.flatten(), directions.flatten(1).norm(dim=1))
