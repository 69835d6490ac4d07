"""From a spec that ships to scores in onnxruntime.

python examples/quickstart.py                          # random weights: the scores mean nothing
python examples/quickstart.py resnet18-f37072fd.pth    # torchvision's published ones, by the same names
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

import netspec


def photograph() -> np.ndarray:
    """A photograph, [H, W, 3] in 0…255: scikit-image's or scikit-learn's cat or flower; coloured waves without them."""
    try:
        from skimage.data import chelsea

        return chelsea()
    except ImportError:
        pass
    try:
        from sklearn.datasets import load_sample_image

        return load_sample_image("flower.jpg")
    except ImportError:
        y, x = np.mgrid[0:300, 0:400]
        return np.stack([127 + 127 * np.sin(x / 31), 127 + 127 * np.sin(y / 17), 127 + 127 * np.sin((x + y) / 23)], axis=-1)


def prepare(picture: np.ndarray) -> np.ndarray:
    """The square in the middle, as a batch of one, with the mean and deviation of ImageNet."""
    side = min(picture.shape[:2]) // 32 * 32
    top, left = ((length - side) // 2 for length in picture.shape[:2])
    square = picture[top : top + side, left : left + side] / 255
    normal = (square - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    return normal.transpose(2, 0, 1)[None].astype(np.float32)


def main(weights: str | None = None) -> None:
    """Check, describe, compile and run ResNet-18."""
    net = netspec.load("zoo.resnet:resnet18")
    print(net.summary())

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "resnet18.onnx"
        net.save_onnx(str(path), weights=weights, seed=0)
        print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB")

    session = net.session(weights=weights, seed=0)
    scores = session(image=prepare(photograph()))["logits"][0]
    chances = np.exp(scores - scores.max())
    chances /= chances.sum()
    for index in np.argsort(-chances)[:3]:
        print(f"class {index:3d}: {chances[index]:.1%}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
