"""The networks that attend: what their papers and first implementations say beyond names and numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec
from tests.specs.zoo_reference import fill, image, write

torch = pytest.importorskip("torch")

GPT = {"width": 32, "heads": 4, "depth": 2, "words": 50, "length": 20}
LLAMA = {"words": 50, "width": 32, "depth": 2, "heads": 4, "inner": 48, "groups": 2}
BERT = {"width": 32, "heads": 4, "depth": 2, "words": 50, "length": 20}


def module_of(spec: str, **arguments: Any) -> Any:
    """A network with weights that hide nothing, in eval mode."""
    net = netspec.load(spec, **arguments)
    module = net.torch(seed=0)
    module.load_state_dict({k: torch.from_numpy(v) for k, v in fill({w.name: w for w in net.graph.weights}).items()})
    return module.eval()


def words(batch: int, length: int, below: int = 50, seed: int = 0) -> Any:
    """Sentences of random words."""
    return torch.from_numpy(np.random.default_rng(seed).integers(0, below, (batch, length)))


@pytest.mark.parametrize(("spec", "arguments"), [("zoo.gpt2:gpt", GPT), ("zoo.llama:llama", LLAMA)])
def test_no_word_looks_ahead(spec: str, arguments: dict[str, Any]) -> None:
    module, tokens = module_of(spec, **arguments), words(2, 12)
    other = tokens.clone()
    other[:, 7] = (other[:, 7] + 1) % 50
    with torch.no_grad():
        first, second = module(tokens), module(other)
    assert first[:, :7].equal(second[:, :7])
    assert all(not torch.allclose(first[:, t], second[:, t], atol=1e-3) for t in range(7, 12))


def test_rotary_positions_are_relative() -> None:
    """Attention between two words depends on how far they stand apart alone: of equal words all scores are equal."""
    module = module_of("zoo.llama:llama", **LLAMA)
    with torch.no_grad():
        scores = module(torch.full((1, 9), 3))
    assert torch.allclose(scores, scores[:, :1].expand_as(scores), atol=1e-5)


def test_bert_does_not_see_padding() -> None:
    module, tokens = module_of("zoo.bert:bert", **BERT), words(2, 11)
    seen, segment = torch.arange(11).expand(2, 11) < 8, torch.zeros(2, 11, dtype=torch.int64)
    other = torch.where(seen, tokens, (tokens + 1) % 50)
    with torch.no_grad():
        first, second, short = (
            module(tokens, seen, segment),
            module(other, seen, segment),
            module(tokens[:, :8], seen[:, :8], segment[:, :8]),
        )
    assert first.states[:, :8].equal(second.states[:, :8])
    assert torch.allclose(first.pooled, short.pooled, atol=1e-6)


def test_a_translation_ignores_padding_and_what_comes_later(tmp_path: Path) -> None:
    net = netspec.load("zoo.transformer:translator", width=32, heads=4, hidden=64, drop=0.1, depth=2, vocabulary=50, pad=0)
    weights = fill({w.name: w for w in net.graph.weights})
    module, session = net.torch(seed=0).eval(), net.session(weights=write(weights, tmp_path))
    module.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()})
    source, target = words(3, 9) % 49 + 1, words(3, 7, seed=1) % 49 + 1
    padded = torch.cat((source, torch.zeros(3, 4, dtype=torch.int64)), 1)
    with torch.no_grad():
        plain, longer, shorter = module(source, target), module(padded, target), module(source, target[:, :4])
    assert torch.allclose(plain, longer, atol=1e-5)
    assert torch.allclose(plain[:, :4], shorter, atol=1e-5)
    (logits,) = session(source=padded.numpy(), target=target.numpy()).values()
    assert np.abs(logits - longer.numpy()).max() <= 1e-5 * np.abs(logits).max()


def test_positions_are_sines_and_cosines() -> None:
    """Vaswani et al., section 3.5: PE(pos, 2i) = sin(pos / 10000^(2i/d)), PE(pos, 2i + 1) = cos of the same."""
    spec = "from zoo.transformer import embed\nnet a {\n  input t: int64 [N, T = 9]\n  output t -> embed(param([5, 8]), 0.0)\n}\n"
    module = netspec.loads(spec).torch(seed=0).eval()
    found = module(torch.zeros(1, 9, dtype=torch.int64))[0].detach().numpy()
    at, pair = np.arange(9)[:, None], np.arange(4)[None]
    angle = at / 10000 ** (2 * pair / 8)
    assert found[:, 0::2] == pytest.approx(np.sin(angle), abs=1e-6)
    assert found[:, 1::2] == pytest.approx(np.cos(angle), abs=1e-6)


def alike(ours: Any, theirs: Any) -> None:
    """Weights that start from the same distributions: equal constants, spreads and means."""
    mine = ours.state_dict()
    for key, expected in theirs.state_dict().items():
        expected = expected.float()
        if expected.numel() > 2000:
            assert float(mine[key].float().std()) == pytest.approx(float(expected.std()), rel=0.15), key
        elif expected.unique().numel() == 1:
            assert torch.allclose(mine[key].float(), expected), key


def test_vision_transformers_start_as_torchvisions(torchvision: Any) -> None:
    theirs = torchvision.models.VisionTransformer(64, 16, 2, 4, 64, 128, num_classes=70)
    alike(netspec.load("zoo.vit:vit", patch=16, width=64, depth=2, heads=4, hidden=128, size=64, classes=70).torch(seed=0), theirs)


SWIN = {"width": 24, "depths": [2, 2], "heads": 3, "drop": 0.2, "classes": 50}


def test_shifted_windows_start_as_torchvisions(torchvision: Any) -> None:
    """The places and distances that are stored, too."""
    from torchvision.models import swin_transformer as swin

    theirs = torchvision.models.SwinTransformer([4, 4], 24, [2, 2], [3, 6], [7, 7], num_classes=50)
    ours = netspec.load("zoo.swin:swin", **SWIN).torch(seed=0)
    alike(ours, theirs)
    second = {"block": swin.SwinTransformerBlockV2, "downsample_layer": swin.PatchMergingV2}
    theirs2 = torchvision.models.SwinTransformer([4, 4], 24, [2, 2], [3, 6], [8, 8], num_classes=50, **second)
    ours2 = netspec.load("zoo.swin_v2:swin_v2", **SWIN).torch(seed=0)
    alike(ours2, theirs2)
    for mine, other in ((ours, theirs), (ours2, theirs2)):
        table = dict(other.named_buffers())
        assert table
        for name, values in mine.named_buffers():
            if name in table:
                assert torch.allclose(values, table[name], atol=1e-6), name


@pytest.mark.parametrize("size", [(4, 4), (30, 28), (57, 33), (64, 96)])
def test_shifted_windows_take_images_of_any_size(size: tuple[int, int], tmp_path: Path) -> None:
    """Smaller than a window, one window and a little, several: onnxruntime takes the same file for all of them."""
    net = netspec.load("zoo.swin:swin", **SWIN)
    weights = fill({w.name: w for w in net.graph.weights})
    module = net.torch(seed=0).eval()
    module.load_state_dict({k: torch.from_numpy(v) for k, v in weights.items()})
    x = image(*size, batch=3)
    with torch.no_grad():
        ours = module(torch.from_numpy(x)).numpy()
    other = net.session(weights=write(weights, tmp_path))(image=x)["logits"]
    assert np.abs(other - ours).max() <= 1e-5 * np.abs(ours).max()


def test_transformers_start_as_torchs() -> None:
    """`nn.Transformer` starts all matrices uniformly by Glorot and Bengio's rule."""
    theirs = torch.nn.Transformer(64, 4, 1, 1, 128, batch_first=True)
    ours = netspec.load("zoo.transformer:encoder_decoder", width=64, heads=4, depth=1, hidden=128, drop=0.1)
    alike(ours.torch(seed=0), theirs)
