"""Schedules, normalization and augmentation as they are written in specs."""

from __future__ import annotations

import pytest

from netspec import loads
from netspec.diagnostics.model import SpecError
from netspec.recipe import more_augmentations as more
from netspec.recipe import normalizations as normal
from netspec.recipe.augmentations import Hflip, RandomCrop, Rotation
from netspec.recipe.schedules import Cosine, OneCycle, Plateau, Warmup

SPEC = """net a {
  input  image: [N, 3, 32, 32]
  input  extra: [N, T, 6]
  output logits: [N, 10] = image -> flatten -> linear(10)
  output other = extra
  train { loss = cross_entropy(logits, label); optimizer = %s; %s }
}"""


def section(settings, optimizer="sgd(lr = 0.1)"):
    (found,) = loads(SPEC % (optimizer, settings)).graph.training
    return found


@pytest.mark.parametrize(
    "text, pieces",
    [
        ("warmup(5) then cosine(epochs = 95)", (Warmup(epochs=5), Cosine(epochs=95))),
        ("cosine", (Cosine(),)),
        ("one_cycle(0.5, anneal_strategy = linear)", (OneCycle(max_lr=0.5, anneal_strategy="linear"),)),
        ("warmup(0.5) then plateau(monitor = val.accuracy, mode = max)", (Warmup(epochs=0.5), Plateau(monitor="val.accuracy", mode="max"))),
    ],
)
def test_schedules(text, pieces):
    assert section(f"schedule = {text}").schedule == pieces


@pytest.mark.parametrize(
    "text, pairs",
    [
        ("normalize = standardize", (("", normal.Standardize()),)),
        ("normalize = [log, standardize(per = feature)]", (("", normal.Log()), ("", normal.Standardize(per="feature")))),
        ("normalize { image: min_max(-1, 1) }", (("image", normal.MinMax(low=-1, high=1)),)),
        ("normalize = standardize(mean = [0.5, 0.4, 0.3], std = 0.2)", (("", normal.Standardize(mean=(0.5, 0.4, 0.3), std=0.2)),)),
    ],
)
def test_normalization(text, pairs):
    assert section(text).normalize == pairs


def test_augmentation():
    moving = "random_crop(32, padding = 4), horizontal_flip, rotation([-5, 10], input = image)"
    assert section(f"augment = [{moving}, color_jitter(0.2), noise(0.01, input = extra), mixup]").augment == (
        RandomCrop(size=32, padding=4), Hflip(), Rotation(degrees=(-5, 10), input="image"), more.ColorJitter(brightness=0.2),
        more.Noise(std=0.01, input="extra"), more.Mixup(),
    )  # fmt: skip


@pytest.mark.parametrize(
    "settings, optimizer",
    [
        ("schedule = cosine then warmup(5)", "sgd(lr = 0.1)"),
        ("schedule = one_cycle", "adagrad"),
        ("schedule = multi_step([5, 3])", "adagrad"),
        ("normalize = standardize(mean = 1)", "adagrad"),
        ("augment = gaussian_blur(4)", "adagrad"),
        ("augment = random_crop(image)", "adagrad"),
    ],
)
def test_what_cannot_be(settings, optimizer):
    with pytest.raises(SpecError) as refused:
        section(settings, optimizer)
    assert "NS353" in str(refused.value)
