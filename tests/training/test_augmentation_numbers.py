"""Augmentations that change numbers where they are, or mix samples, against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from netspec.diagnostics.model import Refusal
from netspec.recipe import more_augmentations as more
from netspec.recipe.section import Section
from netspec.training.augmentation import make_augment
from netspec.training.augmentation.apply import covariance
from netspec.training.augmentation.draws import draws_of, table
from netspec.training.data import open_data
from tests.training.augmented import CLASSES, GREY, MSE, OPEN, ROWS, pictures, places, section


@pytest.mark.parametrize("index", range(3))
def test_colours_as_defined(index):
    """One factor alone, against its definition: brightness is a product, the others blend with the mean grey, and with the grey."""
    name, batch = ("brightness", "contrast", "saturation")[index], pictures(count=6)
    x = batch["image"]
    made = make_augment(CLASSES, section(more.ColorJitter(**{name: (1.3, 1.3)})))(batch, 0, 0, 0)["image"]
    grey = (x * torch.tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1)).sum(1, keepdim=True)
    other = [torch.zeros(1), grey.mean((1, 2, 3), keepdim=True), grey][index]
    assert torch.allclose(made, (1.3 * x - 0.3 * other).clamp(0, 1), atol=1e-5)


def test_hue_all_the_way_round_is_the_same():
    batch = pictures(count=4)
    from kornia.enhance import adjust_hue

    assert torch.allclose(adjust_hue(batch["image"], 2 * torch.pi), batch["image"], atol=1e-5)
    made = make_augment(CLASSES, section(more.ColorJitter(hue=0.2)))(batch, 0, 0, 0)["image"]
    assert torch.allclose(made.amax(1), batch["image"].amax(1), atol=1e-5)  # hue keeps the value of HSV


def test_colours_of_wide_ranges_are_not_cut():
    batch = pictures(GREY)
    batch["image"] *= 16
    made = make_augment(GREY, section(more.ColorJitter(brightness=(0.5, 0.5))))(batch, 0, 0, 0)["image"]
    assert torch.allclose(made, batch["image"] / 2)


def test_grayscale_and_blur():
    batch = pictures(count=8)
    grey = make_augment(CLASSES, section(more.Grayscale(p=1)))(batch, 0, 0, 0)["image"]
    assert torch.equal(grey[:, 0], grey[:, 1]) and torch.equal(grey[:, 0], grey[:, 2])
    blurred = make_augment(CLASSES, section(more.GaussianBlur(kernel=3, sigma=(1, 1), p=1)))(batch, 0, 0, 0)["image"]
    weights = torch.exp(-(torch.tensor([-1.0, 0, 1]) ** 2) / 2)
    kernel = torch.outer(weights, weights) / weights.sum() ** 2
    expected = torch.nn.functional.conv2d(batch["image"].reshape(-1, 1, 12, 10), kernel[None, None])
    assert torch.allclose(blurred[..., 1:-1, 1:-1].reshape(-1, 1, 10, 8), expected, atol=1e-5)


def test_pca_jitter_against_the_paper(tmp_path):
    """Shifts of whole pictures along the eigenvectors, with deviations of std times the eigenvalues, of the training rows' pixels."""
    rng, mix = np.random.default_rng(0), np.array([[1, 0.5, 0.2], [0, 1, 0.4], [0, 0, 0.3]])
    data = (np.einsum("ncp,cd->ndp", rng.normal(size=(60, 3, 120)), mix) * 0.3).reshape(60, 3, 12, 10).astype(np.float32)
    rows = np.arange(40)
    np.savez(tmp_path / "d.npz", image=data)
    data_table = open_data(str(tmp_path / "d.npz"), {}, {"image": CLASSES.values[CLASSES.inputs[0].value].type})
    pixels = data[rows].transpose(1, 0, 2, 3).reshape(3, -1).astype(np.float64)
    expected = np.cov(pixels, bias=True)
    assert np.allclose(covariance(data_table, rows, ("image",)), expected, rtol=1e-9)
    augment = make_augment(CLASSES, section(more.PcaJitter(std=0.1)), data_table, rows)
    batch = {"image": torch.zeros(4000, 3, 12, 10), "label": torch.zeros(4000, dtype=torch.int64)}
    made = augment(batch, 0, 0, 0)["image"]
    assert torch.equal(made, made[:, :, :1, :1].expand_as(made))
    values, vectors = np.linalg.eigh(expected)
    shifts = made[:, :, 0, 0].double().numpy() @ vectors
    assert np.allclose(shifts.std(0), 0.1 * values, rtol=0.05) and np.abs(np.corrcoef(shifts.T) - np.eye(3)).max() < 0.06
    with pytest.raises(Refusal):
        make_augment(CLASSES, section(more.PcaJitter()))(batch, 0, 0, 0)


def test_erasing():
    batch = {"image": torch.ones(500, 3, 12, 10), "label": torch.zeros(500, dtype=torch.int64)}
    made = make_augment(CLASSES, section(more.RandomErasing(p=1, value=-1)))(batch, 0, 0, 0)["image"]
    gone = made[:, 0] == -1
    assert set(made.unique().tolist()) == {-1.0, 1.0} and torch.equal(made[:, 0], made[:, 2])
    share = gone.float().mean((1, 2))
    assert share.min() > 0.005 and share.max() < 0.4
    for one in gone[:50]:
        rows, columns = one.any(1), one.any(0)
        assert one.sum() == rows.sum() * columns.sum()
    squares = make_augment(CLASSES, section(more.Cutout(size=4)))(batch, 0, 0, 0)["image"][:, 0] == 0
    assert squares.sum((1, 2)).max() == 16 and squares.any(0).all() and squares.sum((1, 2)).min() >= 4


def test_noise_and_masking_of_anything():
    batch = {"x": torch.ones(200, 7, 6)}
    make = lambda *entries: make_augment(ROWS, Section(augment=entries))(batch, 0, 0, 0)["x"]  # noqa: E731
    noisy = make(more.Noise(std=0.5)) - 1
    assert abs(noisy.std().item() - 0.5) < 0.02 and abs(noisy.mean().item()) < 0.02 and len(noisy.unique()) > 8000
    masked = make(more.Masking(p=0.3, value=-2))
    assert set(masked.unique().tolist()) == {-2.0, 1.0} and abs((masked == -2).float().mean().item() - 0.3) < 0.02
    steps = make(more.Masking(p=0.3, axis=1))
    assert torch.equal(steps, steps[:, :, :1].expand_as(steps)) and abs((steps == 0).float().mean().item() - 0.3) < 0.05
    assert not torch.equal(steps, steps[:, :1].expand_as(steps))


def test_mixup():
    augment, batch = make_augment(CLASSES, section(more.Mixup(alpha=1))), pictures(count=9)
    made = augment(batch, 0, 0, 2)
    mixed, share = made["label"], None
    assert mixed.shape == (9, 5) and torch.allclose(mixed.sum(1), torch.ones(9))
    for n in range(9):
        fits = []
        for m in range(9):
            difference = batch["image"][n] - batch["image"][m]
            found = ((made["image"][n] - batch["image"][m]) * difference).sum() / difference.square().sum().clamp(min=1e-9)
            if m != n and torch.allclose(torch.lerp(batch["image"][m], batch["image"][n], found), made["image"][n], atol=1e-5):
                fits.append((found.item(), m))
        ((found, partner),) = fits
        share = share if share is not None else found
        expected = torch.zeros(5)
        expected[batch["label"][n]] += found
        expected[batch["label"][partner]] += 1 - found
        assert abs(found - share) < 1e-4 and torch.allclose(mixed[n], expected, atol=1e-4)
    shares = [draws_of(table(0, 0, step, 0, 1, 2), [2], 0, torch.device("cpu"))[0].beta(0.4) for step in range(3000)]
    assert abs(np.mean(shares) - 0.5) < 0.03 and abs(np.var(shares) - 1 / (4 * 1.8)) < 0.02


def test_cutmix():
    augment = make_augment(CLASSES, section(more.Cutmix()))
    batch = {"image": places(8, 12, 10), "label": torch.arange(8) % 5}
    seen = set()
    for step in range(12):
        made = augment(batch, 0, 0, step)
        x = made["image"]
        assert torch.equal(x[:, :2], batch["image"][:, :2])  # every pixel stays where it was
        own = x[:, 2] == batch["image"][:, 2]
        for n in range(8):
            share, others = own[n].float().mean(), x[n, 2][~own[n]].unique()
            assert len(others) <= 1
            expected = torch.zeros(5)
            expected[batch["label"][n]] += share
            expected[batch["label"][int(others[0]) - 1] if len(others) else batch["label"][n]] += 1 - share
            assert torch.allclose(made["label"][n], expected, atol=1e-5)
            seen.add(round(float(share), 3))
    assert len(seen) > 6


def test_mixing_masks_and_numbers():
    batch = pictures(OPEN, 6)
    batch["label"] = torch.randint(4, (6, 12, 10))
    mixed = make_augment(OPEN, section(more.Mixup(alpha=1)))(batch, 0, 0, 1)["label"]
    assert mixed.shape == (6, 4, 12, 10) and torch.allclose(mixed.sum(1), torch.ones(6, 12, 10))
    cut_out = make_augment(OPEN, section(more.Cutmix()))(batch, 0, 0, 1)
    assert cut_out["label"].dtype == torch.int64 and cut_out["label"].shape == (6, 12, 10)
    numbers = {**batch, "label": torch.rand(6, 4, 12, 10)}
    assert make_augment(OPEN, section(more.Mixup(), loss=MSE))(numbers, 0, 0, 1)["label"].shape == (6, 4, 12, 10)
