"""Data-dependent initialization: every layer's output has unit variance on the data, and the seed decides the rest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from netspec.api import Net, loads
from netspec.cli.main import main
from netspec.diagnostics.model import Refusal
from netspec.runtime.data_initial import TOLERANCE, DataInitial, data_initial

_RESIDUAL = """
block unit(width, stride = 1) {
  input x
  y = x -> conv(width, 3, stride = stride, padding = 1) -> relu -> conv(width, 3, padding = 1)
  if stride != 1 { x = x -> conv(width, 1, stride = stride) as down }
  output x + y -> relu
}
"""
NETS = {
    "tanh": ("net a { input x: [N, 32]\n output y = x -> 10 * (linear(48) -> tanh) }", (64, 32)),
    "relu": ("net a { input x: [N, 32]\n output y = x -> 10 * (linear(48) -> relu) }", (64, 32)),
    "images": ("net a { input x: [N, 3, H = 12, W = 12]\n output y = x -> conv(16, 3) -> relu -> max_pool(2) -> conv(24, 3, groups = 2)"
               " -> sigmoid -> conv_transpose(8, 2, stride = 2, groups = 2) -> bn -> relu -> local_conv(4, 3) -> flatten -> linear(5) }",
               (16, 3, 12, 12)),
    "residual": (_RESIDUAL + "net a { input x: [N, 3, H = 16, W = 16]\n output y = x -> conv(8, 3, padding = 1) -> 2 * unit(8)"
                 " -> unit(16, 2) -> global_avg_pool -> flatten -> linear(10) }", (16, 3, 16, 16)),
    "normalized": ("net a { input x: [N, 16]\n"
                   " output y = x -> 3 * (linear(32, bias = false) -> bn -> relu) -> weight_norm(linear(4)) }", (64, 16)),
}  # fmt: skip


def _data(shape: tuple[int, ...]) -> np.ndarray:
    return (3 * np.random.default_rng(1).standard_normal(shape) + 1).astype(np.float32)


def _made(name: str, method: str, seed: int = 0) -> tuple[Net, DataInitial]:
    text, shape = NETS[name]
    net = loads(text)
    return net, data_initial(net.graph, method, {"x": _data(shape)}, seed)


@pytest.mark.parametrize("method", ["lsuv", "data"])
@pytest.mark.parametrize("name", NETS)
def test_every_layer_gives_unit_variance(name: str, method: str) -> None:
    net, found = _made(name, method)
    assert found.notes == []
    assert [s.layer for s in found.layers if not abs(s.after - 1) < TOLERANCE + 0.02] == []
    assert max(s.steps for s in found.layers) <= 3
    assert set(found.arrays) == {w.name for w in net.graph.weights}


def test_the_network_itself_gives_what_was_measured(tmp_path: Path) -> None:
    """The weights in PyTorch, whole: hooks on the layers see the variances that were promised."""
    torch = pytest.importorskip("torch")
    from netspec.backends.torch_module import load_weights

    net, found = _made("residual", "lsuv")
    module = net.torch()
    load_weights(module, found.arrays)
    seen = {}
    for label, layer in module.named_modules():
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
            layer.register_forward_hook(lambda _, __, out, label=label: seen.__setitem__(label, float(out.detach().var())))
    module(torch.from_numpy(_data((16, 3, 16, 16))))
    assert len(seen) == len(found.layers)
    assert all(abs(v - 1) < TOLERANCE + 0.02 for v in seen.values())


def test_channels_by_themselves_have_mean_zero_and_variance_one() -> None:
    torch = pytest.importorskip("torch")
    from netspec.backends.torch_module import load_weights

    net, found = _made("images", "data")
    module = net.torch()
    load_weights(module, found.arrays)
    seen = {}
    for label, layer in module.named_modules():
        if isinstance(layer, (torch.nn.Conv2d, torch.nn.ConvTranspose2d, torch.nn.Linear)):
            layer.register_forward_hook(lambda _, __, out, label=label: seen.__setitem__(label, out.detach()))
    module(torch.from_numpy(_data((16, 3, 12, 12))))
    for out in seen.values():
        axes = [a for a in range(out.ndim) if a != 1]
        assert out.mean(axes).abs().max() < TOLERANCE
        assert (out.var(axes, unbiased=False) - 1).abs().max() < TOLERANCE


@pytest.mark.parametrize("method", ["lsuv", "data"])
def test_seed_and_data_decide(method: str) -> None:
    one, again, other = (_made("relu", method, seed)[1].arrays for seed in (1, 1, 2))
    assert all(np.array_equal(one[name], again[name]) for name in one)
    assert not np.array_equal(one["linear1.weight"], other["linear1.weight"])


def test_lsuv_starts_orthonormal_and_without_bias() -> None:
    arrays = _made("relu", "lsuv")[1].arrays
    weight = arrays["linear2.weight"].astype(np.float64)
    gram = weight @ weight.T
    assert np.allclose(gram, gram[0, 0] * np.eye(48), atol=1e-5)
    assert not arrays["linear2.bias"].any()


def test_what_is_left_as_it_was_is_said() -> None:
    net = loads(
        "net a { input x: [N, 8]\n layer f = linear(8)\n y = x -> linear(8) as silent\n"
        " z = x -> f -> tanh -> f -> spectral_norm(linear(8)) as bounded\n output o = y + z\n init { silent: zeros, bias = zeros } }"
    )
    found = data_initial(net.graph, "lsuv", {"x": _data((32, 8))})
    assert [scaled.layer for scaled in found.layers if scaled.note] == ["silent", "f:2", "bounded"]
    assert not found.arrays["silent.weight"].any()


def test_data_that_does_not_fit_is_refused() -> None:
    graph = loads(NETS["tanh"][0]).graph
    for data, code in (
        ({"x": _data((64, 31))}, "NS722"),
        ({"x": _data((64, 32)).astype(np.float64)}, "NS721"),
        ({"y": _data((64, 32))}, "NS720"),
        ({"x": np.zeros((4, 32), np.float32)}, "NS630"),
        ({"x": np.full((4, 32), np.nan, np.float32)}, "NS630"),
    ):
        with pytest.raises(Refusal) as caught:
            data_initial(graph, "lsuv", data)
        assert caught.value.diagnostic.code == code
    with pytest.raises(Refusal) as caught:
        data_initial(graph, "pca", {"x": _data((64, 32))})
    assert caught.value.diagnostic.code == "NS733"


# ------------------------------------------------------------------------------------------------------------ the command
@pytest.fixture
def spec(tmp_path: Path) -> Path:
    (tmp_path / "a.net").write_text(NETS["images"][0])
    np.save(tmp_path / "x.npy", _data((16, 3, 12, 12)))
    return tmp_path


@pytest.mark.parametrize("method", ["lsuv", "data"])
@pytest.mark.parametrize("kind", ["safetensors", "onnx"])
def test_the_command_writes_the_weights(spec: Path, method: str, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    output = spec / f"net.{kind}"
    assert main(["build", str(spec / "a.net"), "-o", str(output), "--init", method, "--data", str(spec / "x.npy"), "--seed", "3"]) == 0
    assert "5 of 5 layers scaled" in capsys.readouterr().err
    if kind == "safetensors":
        from netspec.backends.weight_files import weights_of

        graph = loads(NETS["images"][0]).graph
        weights = weights_of(graph, path=str(output))
        expected = data_initial(graph, method, {"x": _data((16, 3, 12, 12))}, 3).arrays
        assert all(np.array_equal(weights.array(tensor), expected[tensor.name]) for tensor in graph.weights)


@pytest.mark.parametrize(
    ("more", "code"),
    [(["--init", "lsuv"], "NS015"), (["--init", "lsuv", "--data", "none.npy"], "NS711"),
     (["--init", "data", "--data", "z=x.npy", "--data", "x=x.npy"], "NS710"),
     (["--init", "lsuv", "--data", "x.npy", "--weights", "w.npz"], "NS015")],
)  # fmt: skip
def test_a_wrong_call_is_explained(
    spec: Path, more: list[str], code: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(spec)
    assert main(["build", "a.net", "-o", "net.onnx", *more]) == 2
    assert code in capsys.readouterr().err
    assert not (spec / "net.onnx").exists()
