"""Networks, sections and batches that augmentations are tried on."""

from __future__ import annotations

import torch

from netspec import loads
from netspec.recipe import losses, regression_losses
from netspec.recipe import more_augmentations as more
from netspec.recipe.augmentations import Affine, Hflip, Perspective, RandomCrop, RandomResizedCrop, Rotation, Vflip
from netspec.recipe.section import Reference, Section, Term

CLASSES = loads("net a { input image: [N, 3, 12, 10]; output y = image -> flatten -> linear(5) }").graph
GREY = loads("net a { input image: [N, 1, 9, 9]; output y = image -> flatten -> linear(5) }").graph
OPEN = loads("net a { input image: [N, 3, H = 12, W = 10]; output y = image -> conv(4, 1) }").graph
SUPER = loads("net a { input image: [N, 3, H = 12, W = 10]; output y = image -> conv(12, 1) -> pixel_shuffle(2) }").graph
ROWS = loads("net a { input x: [N, T, 6]; output y = x -> linear(3) }").graph

CROSS = Term(
    measure=losses.CrossEntropy(),
    tensors=(("input", Reference(kind="output", name="y")), ("target", Reference(kind="target", name="label"))),
)
MSE = CROSS.model_copy(update={"measure": regression_losses.Mse()})


def section(*entries, loss=CROSS):
    return Section(augment=entries, loss=(loss,))


def pictures(graph=CLASSES, count=37, seed=0):
    kind = graph.values[graph.inputs[0].value]
    shape = [count, *(size if isinstance(size, int) else graph.typical[str(size)] for size in kind.shape[1:])]
    draw = torch.Generator().manual_seed(seed)
    return {graph.inputs[0].name: torch.rand(shape, generator=draw), "label": torch.randint(5, (count,), generator=draw)}


ALL = {
    "random_crop": RandomCrop(size=(12, 10), padding=3),
    "random_resized_crop": RandomResizedCrop(size=(12, 10)),
    "hflip": Hflip(),
    "vflip": Vflip(),
    "rotation": Rotation(degrees=20),
    "affine": Affine(degrees=10, translate=(0.1, 0.2), scale=(0.8, 1.2), shear=(0, 8), p=0.8),
    "perspective": Perspective(),
    "color_jitter": more.ColorJitter(brightness=0.4, contrast=(0.5, 1.5), saturation=0.3, hue=0.1, p=0.9),
    "grayscale": more.Grayscale(p=0.5),
    "gaussian_blur": more.GaussianBlur(kernel=5),
    "pca_jitter": more.PcaJitter(eigenvalues=(3, 2, 1), eigenvectors=((1, 0, 0), (0, 1, 0), (0, 0, 1))),
    "random_erasing": more.RandomErasing(),
    "cutout": more.Cutout(size=4),
    "noise": more.Noise(std=0.1),
    "masking": more.Masking(p=0.2),
    "mixup": more.Mixup(alpha=1),
    "cutmix": more.Cutmix(),
}


def places(count, height, width):
    """Pictures whose numbers say where each pixel was: row, column, sample."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([torch.stack([rows, columns, torch.full_like(rows, n)]) for n in range(count)]).float() + 1
