"""What torchvision says of the networks that ship: how the golden file is made, and what its entries mean.

Run by hand (`python tests/specs/zoo_reference.py`) where torchvision is installed; the tests read what it wrote, so that
they hold where it is not. Nothing is downloaded: weights are made from `fill`, a published network's size and cost are in
torchvision's own tables.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

GOLDEN = Path(__file__).with_name("torchvision.json")

FAMILY = {
    "alexnet": ["alexnet"],
    "vgg": ["vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"],
    "resnet": ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "wide_resnet50_2"],
    "densenet": ["densenet121", "densenet161", "densenet169", "densenet201"],
    "googlenet": ["googlenet"],
    "squeezenet": ["squeezenet1_0", "squeezenet1_1"],
    "mobilenet": ["mobilenet_v2"],
}

#: sizes at which outputs are compared: AlexNet and VGG pool to a fixed map, and AlexNet needs a larger image
SIZES = {"alexnet": [(224, 224), (256, 288)]}
DEFAULT_SIZES = [(64, 64), (96, 130)]


def spec_of(name: str) -> str:
    """`zoo.resnet:resnet50` for `resnet50`."""
    return next(f"zoo.{family}:{name}" for family, names in FAMILY.items() if name in names)


def digest(tensors: Iterable[tuple[str, tuple[int, ...]]]) -> str:
    """One number for a list of names and shapes, in its order."""
    lines = "".join(f"{name} {list(shape)}\n" for name, shape in tensors)
    return hashlib.sha256(lines.encode()).hexdigest()


def fill(state: Mapping[str, Any], seed: int = 0) -> dict[str, np.ndarray]:
    """Weights for a state dict of these names and shapes that keep signals near unit size through any depth.

    Every tensor differs from every other, so that two of them exchanged, or statistics left out, change the output.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    filled = {}
    for name, tensor in state.items():
        shape = tuple(tensor.shape)
        if name.endswith("num_batches_tracked"):
            filled[name] = np.array(1, dtype=np.int64)
            continue
        noise = rng.random(shape) - 0.5
        if len(shape) > 1:
            value = noise * (24 / np.prod(shape[1:])) ** 0.5
        elif name.endswith(("running_var", "weight")):
            value = 0.8 + 0.4 * noise
        else:
            value = 0.2 * noise
        filled[name] = value.astype(np.float32)
    return filled


def write(weights: Mapping[str, np.ndarray], folder: Path) -> str:
    """Weights as a checkpoint that PyTorch wrote; its path."""
    import torch

    path = folder / "weights.pt"
    torch.save({name: torch.from_numpy(value) for name, value in weights.items()}, path)
    return str(path)


def image(height: int, width: int, batch: int = 2, channels: int = 3, seed: int = 1) -> np.ndarray:
    """A batch of images that are noise, the same everywhere."""
    rng = np.random.Generator(np.random.PCG64(seed))
    return (rng.random((batch, channels, height, width)) * 2 - 1).astype(np.float32)


def import_torchvision() -> ModuleType:
    """torchvision, also where its compiled operators do not fit the installed torch: none is used here."""
    import torch

    try:
        import torchvision
    except RuntimeError:
        for operator in ("nms", "qnms"):
            torch.library.define(f"torchvision::{operator}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        import torchvision
    return torchvision


def build(torchvision: ModuleType, name: str) -> Any:
    """torchvision's network of that name in eval mode, with the weights of `fill`."""
    import torch

    extra = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    model = torchvision.models.get_model(name, weights=None, **extra)
    model.load_state_dict({k: torch.from_numpy(v) for k, v in fill(model.state_dict()).items()})
    return model.eval()


def describe(torchvision: ModuleType, name: str) -> dict[str, Any]:
    """The golden entry of one network."""
    import torch

    model = build(torchvision, name)
    state = model.state_dict()
    meta = next(iter(torchvision.models.get_model_weights(name))).meta
    height, width = SIZES.get(name, DEFAULT_SIZES)[0]
    with torch.no_grad():
        logits = model(torch.from_numpy(image(height, width)))
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "published_parameters": meta["num_params"],
        "published_gmacs": meta["_ops"],
        "tensors": len(state),
        "digest": digest((k, tuple(v.shape)) for k, v in state.items()),
        "size": [height, width],
        "logits": [round(float(x), 6) for x in logits[0, :4]],
        "scale": round(float(logits.abs().max()), 6),
    }


def main() -> None:
    """Write the golden file."""
    torchvision = import_torchvision()
    entries = {name: describe(torchvision, name) for names in FAMILY.values() for name in names}
    GOLDEN.write_text(json.dumps({"torchvision": torchvision.__version__.partition("+")[0], "networks": entries}, indent=1) + "\n")


if __name__ == "__main__":
    main()
