"""Data for the specs of this folder, and for `zoo.digits`: `python examples/training/data.py digits` writes `digits.npz`.

Made here or shipped with scikit-learn and scikit-image; nothing is downloaded.
"""

import sys

import numpy as np


def digits():
    """Handwritten digits, 1,797 of 8 by 8 pixels, from 0 to 16 (scikit-learn's)."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return {"image": found.images[:, None].astype(np.float32), "label": found.target}


def pixels():
    """The same digits as rows of numbers from 0 to 16."""
    found = digits()
    return {"pixels": found["image"].reshape(-1, 64), "label": found["label"]}


def shapes(count=400, size=64, seed=0):
    """Discs and rectangles, brighter than a noisy ground, and the masks of where they are."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    masks = np.zeros((count, 1, size, size), np.float32)
    for mask in masks[:, 0]:
        for _ in range(rng.integers(1, 4)):
            (y, x), (h, w) = rng.integers(8, size - 8, 2), rng.integers(5, 14, 2)
            disc = ((rows - y) / h) ** 2 + ((columns - x) / w) ** 2 < 1
            box = (abs(rows - y) < h) & (abs(columns - x) < w)
            mask[disc if rng.random() < 0.5 else box] = 1
    images = masks * rng.uniform(0.5, 1, (count, 1, 1, 1)) + rng.normal(0, 0.3, masks.shape)
    return {"image": images.astype(np.float32), "shape": masks}


def adding(count=8000, length=50, seed=0):
    """The adding problem: numbers in [0, 1], two of them marked, one in each half; the target is their sum."""
    rng = np.random.default_rng(seed)
    values, marks = rng.random((count, length)), np.zeros((count, length))
    for low, high in ((0, length // 2), (length // 2, length)):
        marks[np.arange(count), rng.integers(low, high, count)] = 1
    steps = np.stack([values, marks], axis=2).astype(np.float32)
    return {"steps": steps, "total": (values * marks).sum(1, keepdims=True).astype(np.float32)}


def photographs(scale=2, crop=32, each=60, seed=0):
    """Crops of real photographs in grey, and the same at half the resolution (bicubic, as in the papers)."""
    from PIL import Image

    rng = np.random.default_rng(seed)
    low, high = [], []
    for picture in _pictures():
        for _ in range(each):
            y, x = (rng.integers(0, side - crop * scale + 1) for side in picture.shape)
            sharp = Image.fromarray(picture[y : y + crop * scale, x : x + crop * scale])
            high.append(np.asarray(sharp))
            low.append(np.asarray(sharp.resize((crop, crop), Image.Resampling.BICUBIC)))
    return {"image": _unit(low), "original": _unit(high)}


def _pictures():
    from skimage import color, data
    from sklearn.datasets import load_sample_images

    found = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket(), *load_sample_images().images]
    return [np.round(color.rgb2gray(picture) * 255).astype(np.uint8) for picture in found]


def _unit(pictures):
    return np.stack(pictures)[:, None].astype(np.float32) / 255


if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in ("digits", "pixels", "shapes", "adding", "photographs"):
        sys.exit("usage: python data.py digits|pixels|shapes|adding|photographs")
    np.savez(f"{name}.npz", **globals()[name]())
    print(f"{name}.npz")
