"""Arrays in and out of files: `.npy`, `.npz`, `.h5` and images. Nothing is unpickled; sizes are checked before reading."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from netspec.diagnostics.model import Refusal
from netspec.files import write_atomic

if TYPE_CHECKING:
    import numpy as np

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm")

#: what Pillow may take an image for, whatever its name: some of the formats that it knows run other programs
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF", "PPM")

#: the mean and standard deviation of ImageNet's training images, in RGB, that most published weights were trained with
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

_LARGEST_IMAGE = 1 << 28


def read_array(path: str, shape: tuple[int | None, ...], normalize: str = "none", dtype: str = "float32") -> "np.ndarray":
    """The array in a file (`file.npz:name` and `file.h5:name` pick one of several); an image becomes [1, C, H, W] in [0, 1],
    or, where `dtype` is uint8, the grey values themselves.

    `shape` is what the network's input asks, None where a size is open: an image is read with that many channels and
    resized where its height and width are given. `normalize` is `none`, or `imagenet` for (x - mean) / std of each channel.
    Raises `Refusal` (NS711 to NS713).
    """
    file, _, member = path.rpartition(":") if ":" in path and not os.path.exists(path) else (path, "", "")
    kind = os.path.splitext(file)[1].lower()
    if not os.path.isfile(file):
        raise Refusal("NS711", f"there is no file {file}", status=2)
    if kind in IMAGES:
        return _image(file, shape, normalize, dtype == "uint8")
    reader = {".npy": _npy, ".npz": _npz, ".h5": _h5, ".hdf5": _h5}.get(kind)
    if reader is None:
        raise Refusal("NS712", f"{file} is of no kind that can be read", helps=(".npy, .npz, .h5 and images can",), status=2)
    return reader(file, member)


def _npy(file: str, member: str) -> "np.ndarray":
    import numpy as np

    try:
        return np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise Refusal("NS713", f"{file} cannot be read as an array: {_first_line(error)}") from None


def _npz(file: str, member: str) -> "np.ndarray":
    from netspec.backends.archive import read_npz

    members = read_npz(file)
    if not member and len(members) == 1:
        member = next(iter(members))
    if member not in members:
        raise Refusal("NS713", f"{file} holds {', '.join(members) or 'nothing'}", helps=(f"name one: `{file}:NAME`",), status=2)
    return members[member]


def _h5(file: str, member: str) -> "np.ndarray":
    import h5py

    try:
        with h5py.File(file, "r") as archive:
            names = [n for n in archive if isinstance(archive.get(n, getlink=True), h5py.HardLink)]
            member = member or (names[0] if len(names) == 1 else "")
            if member not in names or not isinstance(archive[member], h5py.Dataset):
                raise Refusal("NS713", f"{file} holds {', '.join(names) or 'nothing'}", helps=(f"name one: `{file}:NAME`",), status=2)
            data = archive[member]
            if data.external or data.is_virtual or data.dtype.hasobject:
                raise Refusal("NS713", f"{file}:{member} points outside the file, or holds objects")
            return data[...]
    except OSError as error:
        raise Refusal("NS713", f"{file} cannot be read: {_first_line(error)}") from None


def _image(file: str, shape: tuple[int | None, ...], normalize: str, grey: bool = False) -> "np.ndarray":
    import numpy as np
    from PIL import Image

    if len(shape) != 4 or shape[1] not in (None, 1, 3):
        raise Refusal("NS712", f"{file} is an image, and the input is no [N, 1 or 3, H, W]", status=2)
    try:
        with Image.open(file, formats=FORMATS) as image:
            if image.width * image.height > _LARGEST_IMAGE:
                raise Refusal("NS713", f"{file} has more than {_LARGEST_IMAGE:,} pixels")
            picture = image.convert("L" if shape[1] == 1 else "RGB")
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise Refusal("NS713", f"{file} cannot be read as an image: {_first_line(error)}") from None
    if shape[2] is not None or shape[3] is not None:
        picture = picture.resize((shape[3] or picture.width, shape[2] or picture.height), Image.Resampling.BILINEAR)
    if grey and normalize != "none":
        raise Refusal("NS015", f"--normalize {normalize}: the network takes grey values, and normalizes them itself", status=2)
    pixels = np.asarray(picture, dtype=np.uint8) if grey else np.asarray(picture, dtype=np.float32) / 255.0
    pixels = pixels[None, None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)[None]
    if normalize == "imagenet":
        mean, std = (np.asarray(v, np.float32)[None, : pixels.shape[1], None, None] for v in IMAGENET)
        pixels = (pixels - mean) / std
    return np.ascontiguousarray(pixels)


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


def write_arrays(path: str, arrays: dict[str, Any]) -> None:
    """Write results, atomically, to `.npz`, or a single one to `.npy` or `.png` (its first item: one channel, or the largest of
    several). Raises `Refusal`: NS712 for another ending or shape, NS020 where the file cannot be written."""
    import io

    import numpy as np

    kind = os.path.splitext(path)[1].lower()
    if kind not in (".npy", ".npz", ".png") or (kind != ".npz" and len(arrays) != 1):
        raise Refusal("NS712", f"{len(arrays)} results cannot be written to {path}", helps=("write them to a .npz",), status=2)
    buffer = io.BytesIO()
    first = next(iter(arrays.values()))
    if kind == ".npz":
        np.savez(buffer, **arrays)
    elif kind == ".npy":
        np.save(buffer, first, allow_pickle=False)
    else:
        _picture(first).save(buffer, "PNG")
    write_atomic(path, buffer.getvalue())


def _picture(array: Any) -> Any:
    """The first item of a batch of maps as a grey picture; of several channels which one is largest, in steps of grey."""
    import numpy as np
    from PIL import Image

    if array.ndim != 4:
        raise Refusal("NS712", f"a result of shape {list(array.shape)} is no picture; write it to .npy", status=2)
    item = array[0]
    if item.shape[0] == 1:
        low, high = float(item.min()), float(item.max())
        grey = (item[0] - low) / (high - low or 1.0) * 255
    else:
        grey = item.argmax(0) * (255 // max(item.shape[0] - 1, 1))
    return Image.fromarray(np.asarray(grey, np.uint8))
