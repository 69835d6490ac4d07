"""What torchvision says of the networks that ship: how the golden file is made, and what its entries mean.

Run by hand (`python tests/specs/zoo_reference.py`) where torchvision is installed; the tests read what it wrote, so that
they hold where it is not. Nothing is downloaded: weights are made from `fill`, a published network's size and cost are in
torchvision's own tables.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from netspec.backends.weights import generate

GOLDEN = Path(__file__).with_name("torchvision.json")

FAMILY = {
    "alexnet": ["alexnet"],
    "vgg": ["vgg11", "vgg13", "vgg16", "vgg19", "vgg11_bn", "vgg13_bn", "vgg16_bn", "vgg19_bn"],
    "resnet": [
        "resnet18",
        "resnet34",
        "resnet50",
        "resnet101",
        "resnet152",
        "resnext50_32x4d",
        "resnext101_32x8d",
        "resnext101_64x4d",
        "wide_resnet50_2",
        "wide_resnet101_2",
    ],
    "densenet": ["densenet121", "densenet161", "densenet169", "densenet201"],
    "googlenet": ["googlenet"],
    "squeezenet": ["squeezenet1_0", "squeezenet1_1"],
    "mobilenet": ["mobilenet_v2"],
    "mobilenet_v3": ["mobilenet_v3_small", "mobilenet_v3_large"],
    "inception_v3": ["inception_v3"],
    "shufflenet": [f"shufflenet_v2_x{width}" for width in ("0_5", "1_0", "1_5", "2_0")],
    "mnasnet": [f"mnasnet{width}" for width in ("0_5", "0_75", "1_0", "1_3")],
    "efficientnet": [f"efficientnet_b{i}" for i in range(8)],
    "efficientnet_v2": [f"efficientnet_v2_{size}" for size in "sml"],
    "regnet": [
        *(f"regnet_x_{cost}" for cost in ("400mf", "800mf", "1_6gf", "3_2gf", "8gf", "16gf", "32gf")),
        *(f"regnet_y_{cost}" for cost in ("400mf", "800mf", "1_6gf", "3_2gf", "8gf", "16gf", "32gf", "128gf")),
    ],
    "convnext": [f"convnext_{size}" for size in ("tiny", "small", "base", "large")],
}

#: one of each shape, whose outputs are compared: the others differ from these by depth and width alone
SMALL = (
    "resnet18 densenet121 googlenet squeezenet1_0 squeezenet1_1 mobilenet_v2 mobilenet_v3_small shufflenet_v2_x0_5 mnasnet0_5 "
    "efficientnet_b0 regnet_x_400mf regnet_y_400mf"
).split()
LARGE = "alexnet vgg11_bn resnet50 resnext50_32x4d wide_resnet50_2 inception_v3 efficientnet_b5 efficientnet_v2_s convnext_tiny".split()

#: sizes at which outputs are compared: AlexNet and VGG pool to a fixed map, and AlexNet and Inception need a larger image
SIZES = {"alexnet": [(224, 224), (256, 288)], "inception_v3": [(96, 96), (107, 150)]}
DEFAULT_SIZES = [(64, 64), (96, 130)]

#: factors on weights where those of `fill` are so large that rounding decides over the outputs
GAINS = {"efficientnet_v2_s": 0.9}


def spec_of(name: str) -> str:
    """`zoo.resnet:resnet50` for `resnet50`."""
    return next(f"zoo.{family}:{name}" for family, names in FAMILY.items() if name in names)


def digest(tensors: Iterable[tuple[str, tuple[int, ...]]]) -> str:
    """One number for a list of names and shapes, in its order."""
    lines = "".join(f"{name} {list(shape)}\n" for name, shape in tensors)
    return hashlib.sha256(lines.encode()).hexdigest()


def fill(state: Mapping[str, Any], seed: int = 0, gain: float = 1.0) -> dict[str, np.ndarray]:
    """Weights for a state dict of these names and shapes that keep signals near unit size through any depth.

    Every tensor differs from every other, so that two of them exchanged, or statistics left out, change the output. Integers,
    which mean something, stay what they are.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    filled = {}
    for name, tensor in state.items():
        shape = tuple(tensor.shape)
        if name.endswith("num_batches_tracked"):
            filled[name] = np.array(1, dtype=np.int64)
            continue
        if "int" in str(tensor.dtype):
            filled[name] = tensor.numpy() if hasattr(tensor, "numpy") else generate(tensor, seed)
            continue
        noise = rng.random(shape) - 0.5
        if len(shape) > 1:
            value = noise * gain * (24 / np.prod(shape[1:])) ** 0.5
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


def plain(torchvision: ModuleType, name: str) -> Any:
    """torchvision's network of that name without side classifiers, its weights in any state."""
    extra = {"aux_logits": False, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
    return torchvision.models.get_model(name, weights=None, **extra)


def build(torchvision: ModuleType, name: str) -> Any:
    """torchvision's network of that name in eval mode, with the weights of `fill`."""
    import torch

    model = plain(torchvision, name)
    state = model.state_dict()
    for key, value in fill(
        state, gain=GAINS.get(name, 1.0)
    ).items():  # in place: MNASNet takes no state dict that does not carry its version
        state[key].copy_(torch.from_numpy(value))
    return model.eval()


def tensors_of(torchvision: ModuleType, name: str) -> list[tuple[str, tuple[int, ...], bool]]:
    """Names, shapes and whether they train of torchvision's state dict, without the memory for it (that of `regnet_y_128gf` is 2.6 GB)."""
    import torch
    from torch.overrides import TorchFunctionMode

    class Hollow(TorchFunctionMode):
        """Makes on the meta device what is to be filled later. (Not everything: RegNet computes its widths with tensors.)"""

        def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            device = {"device": "meta"} if function is torch.empty else {}
            return function(*args, **((kwargs or {}) | device))

    with Hollow():
        model = plain(torchvision, name)
    trainable = {key for key, _ in model.named_parameters()}
    return [(key, tuple(value.shape), key in trainable) for key, value in model.state_dict().items()]


def describe(torchvision: ModuleType, name: str) -> dict[str, Any]:
    """The golden entry of one network. Of several published weights, those for the smallest images count."""
    tensors = tensors_of(torchvision, name)
    published = min((weights.meta for weights in torchvision.models.get_model_weights(name)), key=lambda meta: meta["_ops"])
    entry = {
        "parameters": sum(math.prod(shape) for _, shape, trainable in tensors if trainable),
        "published_parameters": published["num_params"],
        "published_gmacs": published["_ops"],
        "tensors": len(tensors),
        "digest": digest((key, shape) for key, shape, _ in tensors),
    }
    return entry | (outputs_of(torchvision, name) if name in SMALL + LARGE else {})


def outputs_of(torchvision: ModuleType, name: str) -> dict[str, Any]:
    """What torchvision's network computes with the weights of `fill`: of one image, four scores, and the largest of all."""
    import torch

    height, width = SIZES.get(name, DEFAULT_SIZES)[0]
    with torch.no_grad():
        logits = build(torchvision, name)(torch.from_numpy(image(height, width)))
    return {
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
