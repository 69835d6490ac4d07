"""ResNet-50 and a U-Net, from their text to a running network: checked, compiled, run on a photograph, held against PyTorch.

python examples/quickstart.py                            # initial weights: the scores mean nothing yet
python examples/quickstart.py resnet50-11ad3fa6.pth      # a published checkpoint loads as it is, by the same names
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

import netspec
from netspec.runtime.arrays import read_array

PHOTOGRAPH = Path(__file__).with_name("cat.jpg")


def show(net: netspec.Net, image: np.ndarray, weights: str | None = None) -> dict[str, np.ndarray]:
    """Describe a network, write it as ONNX, run that on an image, and hold PyTorch against it."""
    facts = net.summary()
    asked = " and ".join(facts.inputs[0]["constraints"]) or "any size"
    print(f"\n{net.name}: {facts.parameters:,} parameters, {facts.macs / 1e9:.2f} G multiply-adds, takes {asked}")

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{net.name}.onnx"
        net.save_onnx(str(path), weights=weights)
        print(f"  ONNX file: {path.stat().st_size / 1e6:.1f} MB, written without torch")

    session = net.session(weights=weights)
    outputs = session(image=image)
    for name, array in outputs.items():
        print(f"  onnxruntime ({session.provider}): {name} {list(array.shape)}, from {array.min():.4g} to {array.max():.4g}")
    compare(net, image, outputs, weights)
    return outputs


def compare(net: netspec.Net, image: np.ndarray, outputs: dict[str, np.ndarray], weights: str | None) -> None:
    """The same weights and the same image in PyTorch."""
    try:
        import torch
    except ImportError:
        print("  PyTorch is not installed: nothing to hold this against")
        return
    module = net.torch(weights=weights).eval()
    with torch.no_grad():
        expected = module(torch.from_numpy(image)).numpy()
    (found,) = outputs.values()
    error = np.abs(expected - found).max() / np.abs(expected).max()
    print(f"  PyTorch: the same to {error:.1e} of the largest value")
    assert error < 1e-4


def main(weights: str | None = None) -> None:
    """Both networks, each at a size that it takes."""
    resnet = netspec.load("zoo.resnet:resnet50")
    scores = show(resnet, read_array(str(PHOTOGRAPH), (1, 3, 224, 224), "imagenet"), weights)["logits"][0]
    chances = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
    print("  likeliest classes: " + ", ".join(f"{i} ({chances[i]:.1%})" for i in np.argsort(-chances)[:3]))

    unet = netspec.load("zoo.unet:unet", base=32)
    show(unet, read_array(str(PHOTOGRAPH), (1, 1, 256, 384)))


if __name__ == "__main__":
    main(*sys.argv[1:2])
