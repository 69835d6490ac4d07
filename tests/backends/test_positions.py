"""Positions, masks and windows of tests/golden/positions.md: the numbers of PyTorch code as people write it by hand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import netspec

PAGE = (Path(__file__).parents[1] / "golden" / "positions.md").read_text()
CASES = re.findall(r"^## (.*?)\n+```net\n(.*?)```", PAGE, re.MULTILINE | re.DOTALL)


def net_under(heading: str) -> netspec.Net:
    """The net of the case whose heading begins so."""
    return netspec.loads(next(text for title, text in CASES if title.startswith(heading)))


def sinusoidal(x: Tensor) -> Tensor:
    """As in the PyTorch tutorial of the Transformer."""
    length, width = x.shape[1:]
    position = torch.arange(length).unsqueeze(1)
    rates = torch.exp(torch.arange(0, width, 2) * (-torch.log(torch.tensor(10000.0)) / width))
    table = torch.zeros(length, width)
    table[:, 0::2], table[:, 1::2] = torch.sin(position * rates), torch.cos(position * rates)
    return x + table


def rotary(x: Tensor) -> Tensor:
    """As in the reference code of LLaMA's descendants: halves, not neighbours, are the pairs."""
    length, width = x.shape[2:]
    rates = 1.0 / (10000.0 ** (torch.arange(0, width, 2).float() / width))
    angles = torch.outer(torch.arange(length).float(), rates)
    angles = torch.cat((angles, angles), -1)
    a, b = x.chunk(2, -1)
    return x * angles.cos() + torch.cat((-b, a), -1) * angles.sin()


def shift_mask(height: int, width: int, size: int, shift: int) -> Tensor:
    """As in the reference code of the Swin Transformer: regions are numbered, and those that differ do not see each other."""
    picture, count = torch.zeros(1, height, width, 1), 0
    cuts = (slice(0, -size), slice(-size, -shift), slice(-shift, None))
    for rows in cuts:
        for columns in cuts:
            picture[:, rows, columns, :] = count
            count += 1
    windows = picture.view(1, height // size, size, width // size, size, 1).permute(0, 1, 3, 2, 4, 5).reshape(-1, size * size)
    return windows.unsqueeze(1) != windows.unsqueeze(2)


@pytest.mark.parametrize("sizes", [(1, 1), (2, 7), (3, 200)])
def test_sinusoidal(sizes: tuple[int, int]) -> None:
    x = torch.randn(*sizes, 64)
    assert torch.allclose(net_under("A position table").torch()(x), sinusoidal(x), atol=2e-5)


@pytest.mark.parametrize("sizes", [(1, 1), (2, 7), (3, 90)])
def test_rotary(sizes: tuple[int, int]) -> None:
    net, x = net_under("Rotary"), torch.randn(*sizes, 64)
    module = net.torch(seed=0)
    q, k, v = F.linear(x, *module.state_dict().values()).reshape(*sizes, 3, 4, 16).permute(2, 0, 3, 1, 4)
    expected = F.scaled_dot_product_attention(rotary(q), rotary(k), v, is_causal=True).permute(0, 2, 1, 3).reshape(x.shape)
    assert torch.allclose(module(x), expected, atol=1e-5)


def test_learned() -> None:
    module, x = net_under("Learned").torch(seed=0), torch.randn(2, 12, 64)
    assert torch.equal(module(x), x + module.state_dict()["learned1.position.weight"][:12])


def test_bias_of_distances() -> None:
    module, x = net_under("Distances of all pairs").torch(seed=0), torch.randn(2, 9, 32)
    places = torch.arange(9)[:, None] - torch.arange(9)[None, :] + 99
    bias = next(iter(module.state_dict().values()))[places].permute(2, 0, 1)
    h = x.reshape(2, 9, 4, 8).transpose(1, 2)
    assert torch.allclose(module(x), F.scaled_dot_product_attention(h, h, h, bias), atol=1e-6)


def test_masks() -> None:
    module, x, lengths = net_under("Masks").torch(seed=0).eval(), torch.randn(3, 11, 32), torch.tensor([11, 4, 7])
    reference = torch.nn.MultiheadAttention(32, 4, batch_first=True).eval()
    reference.load_state_dict({k.partition(".")[2]: v for k, v in module.state_dict().items()})
    apart = torch.arange(11)[:, None] - torch.arange(11)[None, :]
    hidden = (apart < 0) | (apart >= 4)
    with torch.enable_grad():  # the path that takes any mask
        expected = reference(x, x, x, key_padding_mask=torch.arange(11) >= lengths[:, None], attn_mask=hidden, need_weights=False)[0]
    real = torch.arange(11) < lengths[:, None]  # queries that see nothing are NaN there, and 0 here
    assert torch.allclose(module(x, lengths)[real], expected[real], atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (16, 24), (4, 12)])
def test_shifted_windows(height: int, width: int) -> None:
    module, x = net_under("Windows").torch(), torch.randn(2, height, width, 6)
    mask, y = module(x)
    assert torch.equal(mask, shift_mask(height, width, 4, 2)) and torch.equal(y, x)


@pytest.mark.parametrize("heading", [title for title, text in CASES if "error:" not in text and "parameters" not in text])
def test_onnxruntime_agrees(heading: str) -> None:
    verdict = net_under(heading).verify()
    assert verdict.ok, str(verdict)


@pytest.mark.parametrize("heading", ["A position table", "Rotary", "Learned positions"])
def test_with_parameters_too(heading: str) -> None:
    verdict = net_under(heading).verify()
    assert verdict.ok, str(verdict)


@pytest.mark.filterwarnings("ignore:The tensor attributes")
@pytest.mark.parametrize("heading", ["A position table", "Rotary", "Masks"])
def test_torch_exports_any_length(heading: str) -> None:
    module, inputs = net_under(heading).torch(seed=0).eval(), (torch.randn(2, 12, 64),)
    if heading == "Masks":
        inputs = (torch.randn(2, 12, 32), torch.tensor([12, 5]))  # type: ignore[assignment]
    any_length = torch.export.Dim.DYNAMIC
    exported = torch.export.export(module, inputs, dynamic_shapes=({0: any_length, 1: any_length}, {0: any_length})[: len(inputs)])
    longer = tuple(torch.cat((x, x)) if x.ndim == 1 else torch.cat((x, x))[:, torch.arange(17) % 12] for x in inputs)
    assert torch.allclose(exported.module()(*longer), module(*longer), atol=1e-6)
