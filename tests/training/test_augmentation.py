"""Augmentation: each does what it says, masks move with pictures, and random numbers depend on seed, epoch, step and place alone."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec import loads
from netspec.diagnostics.model import Refusal
from netspec.op import Reject
from netspec.recipe import known, lookup
from netspec.recipe import losses as loss_recipes
from netspec.recipe import more_augmentations as more
from netspec.recipe.augmentations import Affine, Hflip, Perspective, RandomCrop, RandomResizedCrop, Rotation, Vflip
from netspec.recipe.entry import read_entry, write_entry
from netspec.recipe.section import Section
from netspec.training.augmentation import make_augment
from netspec.training.augmentation.draws import draws_of, table
from netspec.training.augmentation.geometry import cut
from tests.training.augmented import ALL, CLASSES, CROSS, GREY, MSE, OPEN, ROWS, SUPER, pictures, places, section


def test_all_are_tried():
    assert set(ALL) == set(known()["augmentation"])


@pytest.mark.parametrize("name", ALL)
def test_entries(name):
    """Documented, with a source, and the same after JSON."""
    entry = lookup("augmentation", name)
    ALL[name].check()
    assert isinstance(ALL[name], entry) and entry.__doc__ and entry.SOURCE
    assert read_entry(json.loads(json.dumps(write_entry(ALL[name])))) == ALL[name]


@pytest.mark.parametrize("name", ALL)
def test_a_pure_function_of_four_numbers(name):
    """The same again; another with any other number; nothing outside changes, nor do the tensors that are given."""
    augment, batch = make_augment(CLASSES, section(ALL[name])), pictures()
    kept = {key: value.clone() for key, value in batch.items()}
    states = torch.get_rng_state(), str(np.random.get_state())
    first = augment(batch, 7, 3, 4)
    assert torch.equal(torch.get_rng_state(), states[0]) and str(np.random.get_state()) == states[1]
    torch.manual_seed(99)
    again = augment(batch, 7, 3, 4)
    assert all(torch.equal(first[key], again[key]) for key in first) and all(torch.equal(batch[key], kept[key]) for key in kept)
    assert first["image"].shape == batch["image"].shape and first["image"].dtype == torch.float32
    assert torch.isfinite(first["image"]).all() and not torch.equal(first["image"], batch["image"])
    for other in ((8, 3, 4), (7, 4, 4), (7, 3, 5)):
        assert not torch.equal(augment(batch, *other)["image"], first["image"])


@pytest.mark.parametrize("name", [name for name in ALL if name not in ("mixup", "cutmix")])
@pytest.mark.parametrize("cuts", [(0, 18, 37), (0, 13, 25, 37), (0, 1, 2, 37), (0, 37, 37)])
def test_the_same_on_any_number_of_processes(name, cuts):
    augment, batch = make_augment(CLASSES, section(ALL[name], more.Noise(std=0.1))), pictures()
    whole = augment(batch, 1, 2, 3)
    parts = [augment({k: v[a:b] for k, v in batch.items()}, 1, 2, 3, a) for a, b in zip(cuts, cuts[1:])]
    joined = torch.cat([part["image"] for part in parts])
    assert torch.allclose(joined, whole["image"], atol=1e-6)
    if name not in ("rotation", "affine", "perspective", "random_resized_crop", "gaussian_blur", "pca_jitter", "color_jitter"):
        assert torch.equal(joined, whole["image"])


def test_nothing_asked_for():
    assert make_augment(CLASSES, Section()) is None


@given(st.integers(1, 6), st.integers(1, 4), st.integers(1, 9), st.integers(1, 9), st.data())
@settings(max_examples=60, deadline=None)
def test_cut(count, planes, height, width, data):
    rows, columns = data.draw(st.integers(height, 12)), data.draw(st.integers(width, 12))
    x = torch.arange(count * planes * rows * columns).reshape(count, planes, rows, columns)
    top = torch.tensor([data.draw(st.integers(0, rows - height)) for _ in range(count)])
    left = torch.tensor([data.draw(st.integers(0, columns - width)) for _ in range(count)])
    expected = torch.stack([x[n, :, top[n] : top[n] + height, left[n] : left[n] + width] for n in range(count)])
    assert torch.equal(cut(x, top, left, height, width), expected)
    assert torch.equal(cut(x[:, 0], top, left, height, width), expected[:, 0])


def test_crops_are_parts_and_every_place_is_as_likely():
    augment = make_augment(CLASSES, section(RandomCrop(size=(12, 10), padding=2)))
    batch = {"image": places(400, 12, 10), "label": torch.zeros(400, dtype=torch.int64)}
    counts = np.zeros((5, 5))
    for x, made in zip(batch["image"], augment(batch, 0, 0, 0)["image"]):
        padded = torch.nn.functional.pad(x, (2, 2, 2, 2))
        found = [(i, j) for i in range(5) for j in range(5) if torch.equal(padded[:, i : i + 12, j : j + 10], made)]
        assert len(found) == 1
        counts[found[0]] += 1
    assert counts.min() > 3 and counts.max() < 40


@pytest.mark.parametrize("entry, axis", [(Hflip(), -1), (Vflip(p=0.25), -2)])
def test_flips(entry, axis):
    augment, batch = make_augment(CLASSES, section(entry)), {"image": places(2000, 12, 10), "label": torch.zeros(2000, dtype=torch.int64)}
    made = augment(batch, 0, 0, 0)["image"]
    same = (made == batch["image"]).all((1, 2, 3))
    flipped = (made == batch["image"].flip(axis)).all((1, 2, 3))
    assert (same ^ flipped).all() and abs(flipped.float().mean().item() - entry.p) < 0.04


def test_masks_move_with_pictures():
    """The picture carries each pixel's place; a mask made of the places before must be that made of the places after."""
    for entry in (
        RandomCrop(size=(8, 6), padding=2),
        Hflip(),
        Vflip(),
        RandomResizedCrop(size=(12, 10), scale=(1, 1), ratio=(10 / 12, 10 / 12)),
    ):
        augment = make_augment(OPEN, section(entry))
        batch = {"image": places(50, 12, 10)}
        batch["label"] = (batch["image"][:, 0] + 2 * batch["image"][:, 1]).long() % 4
        made = augment(batch, 0, 0, 0)
        x = made["image"].round()
        expected = torch.where(x[:, 0] > 0, (x[:, 0] + 2 * x[:, 1]).long() % 4, 0)
        assert torch.equal(made["label"], expected) and made["label"].dtype == torch.int64


@pytest.mark.parametrize("entry", [Rotation(degrees=30), Affine(translate=(0.2, 0.2), scale=(0.7, 1.3)), Perspective(p=1)])
def test_masks_keep_to_classes(entry):
    augment = make_augment(OPEN, section(entry, loss=CROSS.model_copy(update={"measure": loss_recipes.CrossEntropy(ignore_index=255)})))
    batch = {"image": torch.zeros(40, 3, 12, 10), "label": torch.full((40, 12, 10), 2)}
    batch["image"][:, :, 4:8, 3:7], batch["label"][:, 4:8, 3:7] = 1, 3
    made = augment(batch, 0, 0, 0)
    assert set(made["label"].unique().tolist()) == {2, 3, 255}
    assert ((made["image"][:, 0] > 0.75) <= (made["label"] == 3)).all() and (
        (made["image"][:, 0] < 0.01) <= (made["label"] != 3)
    ).float().mean() > 0.99


def test_targets_of_another_resolution_flip_but_do_not_warp():
    batch = {"image": places(20, 12, 10), "label": places(20, 24, 20)}
    made = make_augment(SUPER, section(Hflip(p=1), loss=MSE))(batch, 0, 0, 0)
    assert torch.equal(made["label"], batch["label"].flip(-1))
    with pytest.raises(Refusal) as refused:
        make_augment(SUPER, section(Rotation(degrees=5), loss=MSE))
    assert refused.value.diagnostic.code == "NS843"


def test_rotation_by_a_right_angle():
    graph, batch = GREY, pictures(GREY, 3)
    made = make_augment(graph, section(Rotation(degrees=(90, 90))))(batch, 0, 0, 0)["image"]
    assert torch.allclose(made, torch.rot90(batch["image"], 1, (2, 3)), atol=1e-5)


def test_shift_by_whole_pixels():
    batch = pictures(GREY, 400)
    made = make_augment(GREY, section(Affine(translate=(1, 1))))(batch, 0, 0, 0)["image"]
    assert torch.isfinite(made).all() and made.abs().sum() > 0
    still = make_augment(GREY, section(Affine()))(batch, 0, 0, 0)["image"]
    assert torch.allclose(still, batch["image"], atol=1e-5)


def test_resized_crop_of_everything_is_the_picture():
    batch = pictures(GREY, 5)
    whole = RandomResizedCrop(size=9, scale=(1, 1), ratio=(1, 1))
    assert torch.allclose(make_augment(GREY, section(whole))(batch, 0, 0, 0)["image"], batch["image"], atol=1e-5)
    wide = RandomResizedCrop(size=9, scale=(1, 1), ratio=(4, 4))  # never fits: the middle rows
    made = make_augment(GREY, section(wide))(batch, 0, 0, 0)["image"]
    assert (made <= batch["image"].amax((1, 2, 3), keepdim=True) + 1e-6).all()


def test_mixing_alone_changes_nothing():
    batch = pictures(count=1)
    made = make_augment(CLASSES, section(more.Mixup()))(batch, 0, 0, 0)
    assert torch.allclose(made["image"], batch["image"]) and made["label"].shape == (1, 5)


def test_other_element_types():
    batch = {"image": torch.rand(9, 3, 12, 10).half(), "label": torch.randint(5, (9,))}
    for name, entry in ALL.items():
        if name not in ("gaussian_blur", "color_jitter"):
            assert make_augment(CLASSES, section(entry))(batch, 0, 0, 0)["image"].dtype == torch.float16, name


@pytest.mark.parametrize(
    "graph, entries",
    [
        (ROWS, [Hflip()]),
        (ROWS, [more.Cutmix()]),
        (ROWS, [more.Masking(p=0.1, axis=3)]),
        (CLASSES, [Hflip(input="picture")]),
        (CLASSES, [RandomCrop(size=8)]),
        (CLASSES, [RandomResizedCrop(size=12)]),
        (GREY, [more.ColorJitter(saturation=0.1)]),
        (GREY, [more.Grayscale()]),
        (CLASSES, [more.PcaJitter(eigenvalues=(1.0,), eigenvectors=((1.0,),))]),
        (CLASSES, [more.Mixup(), Hflip()]),
    ],
)
def test_what_does_not_suit(graph, entries):
    with pytest.raises(Refusal) as refused:
        make_augment(graph, Section(augment=tuple(entries)) if graph is ROWS else section(*entries))
    assert refused.value.diagnostic.code == "NS843"


def test_mixing_needs_a_loss_of_probabilities():
    nll = CROSS.model_copy(update={"measure": loss_recipes.Nll()})
    with pytest.raises(Refusal) as refused:
        make_augment(CLASSES, section(more.Mixup(), loss=nll))
    assert "class numbers alone" in str(refused.value)


def test_pictures_that_are_too_small():
    augment = make_augment(OPEN, section(RandomCrop(size=16)))
    with pytest.raises(Refusal):
        augment({"image": torch.rand(2, 3, 12, 10), "label": torch.zeros(2, 12, 10, dtype=torch.int64)}, 0, 0, 0)


@pytest.mark.parametrize(
    "entry",
    [
        RandomResizedCrop(size=8, scale=(0.9, 0.2)),
        RandomResizedCrop(size=8, scale=(0.5, 2)),
        Rotation(degrees=(5, -5)),
        more.GaussianBlur(kernel=4),
        more.PcaJitter(eigenvalues=(1, 2)),
        more.PcaJitter(eigenvalues=(1, 2), eigenvectors=((1, 0), (0, 1, 0))),
        more.RandomErasing(scale=(0.1, 1.5)),
    ],
)
def test_arguments(entry):
    with pytest.raises(Reject):
        entry.check()


def test_numbers_of_a_batch_are_uniform_and_do_not_repeat():
    bits = table(5, 0, 0, 0, 999, 4)
    draws = draws_of(bits, [4], 0, torch.device("cpu"))[0].each
    assert abs(draws.mean().item() - 0.5) < 0.02 and draws.min() >= 0 and draws.max() < 1
    assert not np.intersect1d(bits, table(5, 0, 1, 0, 999, 4)).size and not np.intersect1d(bits, table(5, 1, 0, 0, 999, 4)).size
    assert np.array_equal(table(5, 0, 0, 600, 399, 4)[1:], bits[601:])


@pytest.mark.bench
def test_time_of_a_batch_of_digits():
    """128 pictures of 28 by 28 are cropped several times as fast as by Kornia's own class."""
    import kornia.augmentation as kornia

    graph = loads("net a { input image: [N, 1, 28, 28]; output y = image -> flatten -> linear(5) }").graph
    augment, batch = make_augment(graph, section(RandomCrop(size=28, padding=4))), pictures(graph, 128)
    theirs = kornia.RandomCrop((28, 28), 4)

    def best(run):
        found = []
        for _ in range(20):
            start = time.perf_counter()
            run()
            found.append(time.perf_counter() - start)
        return min(found)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        ours = best(lambda: augment(batch, 0, 0, 0))
        assert ours < 5e-3 and best(lambda: theirs(batch["image"])) > 3 * ours
    finally:
        torch.set_num_threads(threads)
