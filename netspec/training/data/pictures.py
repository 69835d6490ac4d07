"""Images in files, decoded when they are read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from netspec.diagnostics.model import Refusal
from netspec.runtime.arrays import FORMATS
from netspec.sizes.dim import Size
from netspec.training.data.guard import reading
from netspec.training.data.need import Need, asked

#: the most pixels of one image
_LARGEST = 1 << 28
#: more pixels than this in one image must be at most so many to a byte of its file
_HARMLESS, _MOST_RATIO = 1 << 24, 1000
#: how many images are decoded at once, where more than some are asked for
_WORKERS, _SOME = max(2, min(8, os.cpu_count() or 2)), 64
#: Pillow's modes by the channels that are asked for
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


class Pictures:
    """Images as a column of uint8. `mode` is Pillow's (None: whole numbers as the file has them, of palette images the index, so that
    a mask keeps its labels), `size` the height and width they are brought to; both are known once the column is `fitted` to a need.

    Photographs are turned as their camera says, brought to the size with Pillow's antialiased bilinear filter, masks with the nearest.
    """

    dtype, pixels, resident, block, window = np.dtype(np.uint8), True, False, 0, 0

    def __init__(self, files: Sequence[str], mode: str | None = "RGB", size: tuple[int, int] | None = None, flat: bool = False) -> None:
        self.files, self.mode, self.size, self.flat = files, mode, size, flat
        channels = () if mode is None or flat else (len(mode),)
        self.sample: tuple[int | None, ...] = (*channels, *(size or (None, None)))

    def __len__(self) -> int:
        return len(self.files)

    def at(self, row: int) -> str:
        """The file of a row."""
        return self.files[row]

    def fitted(self, need: Need, title: str) -> Pictures:
        """The images with the channels and the size that a need asks for; where it leaves the size open, all must have one. Raises
        Refusal NS802 for what is no form of an image, and for images of several sizes."""
        form = need.forms[0]
        labels = form.kind in ("index", "mask", "count")
        planar = len(form.shape) == 3 or (labels and len(form.shape) == 4 and form.shape[1] == 1)
        channels = form.shape[1] if len(form.shape) == 4 else 1
        if not planar and (len(form.shape) != 4 or labels or channels not in _MODES and isinstance(channels, int)):
            raise Refusal("NS802", f"{title} holds images, which cannot be {form}", notes=asked(need))
        mode = None if labels else _MODES[channels if isinstance(channels, int) else 3]
        return Pictures(self.files, mode, self._size(form.shape[-2:], need, title), planar)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """The images of these rows, uint8 [len(rows), C, H, W] or [len(rows), H, W]."""
        files = [self.files[row] for row in rows]
        if len(files) <= _SOME:
            return np.stack([self._decoded(file) for file in files]) if files else np.zeros((0, *self.sample), np.uint8)  # type: ignore[arg-type]
        made = np.empty((len(files), *self.sample), np.uint8)  # type: ignore[arg-type]
        with ThreadPoolExecutor(_WORKERS, "netspec-images") as pool:
            for at, pixels in enumerate(pool.map(self._decoded, files)):
                made[at] = pixels
        return made

    def _size(self, asked_for: Sequence[Size], need: Need, title: str) -> tuple[int, int]:
        height, width = asked_for
        if isinstance(height, int) and isinstance(width, int):
            return height, width
        sizes: dict[tuple[int, int], str] = {}
        for file in self.files:
            with _opened(file) as image:
                sizes.setdefault((image.height, image.width), file)
        if len(sizes) != 1:
            (one, first), (other, second) = list(sizes.items())[:2]
            message = f"the images of {title} differ in size: {first} is {one[0]}×{one[1]}, {second} {other[0]}×{other[1]}"
            helps = ("write the height and the width into the spec: images are brought to the size that an input states",)
            raise Refusal("NS802", message, notes=asked(need), helps=helps)
        found = next(iter(sizes))
        return height if isinstance(height, int) else found[0], width if isinstance(width, int) else found[1]

    def _decoded(self, file: str) -> np.ndarray:
        from PIL import Image, ImageOps

        with reading(file, " as an image"), _opened(file) as image:
            picture: Any = ImageOps.exif_transpose(image)
            if picture.mode.startswith(("I", "F")):
                raise Refusal("NS713", f"{file} has more than 8 bits a pixel, which would be lost", helps=("keep such images in .npy",))
            if self.mode is None:
                picture = picture if picture.mode in ("L", "P") else picture.convert("L")
            elif picture.mode != self.mode:
                picture = picture.convert(self.mode)
            size = (self.size[1], self.size[0]) if self.size else picture.size
            if picture.size != size:
                picture = picture.resize(size, Image.Resampling.NEAREST if self.mode is None else Image.Resampling.BILINEAR)
            pixels = np.asarray(picture, np.uint8)
        return pixels if pixels.ndim == 2 and self.flat or self.mode is None else pixels.reshape(*pixels.shape[:2], -1).transpose(2, 0, 1)


def _opened(file: str) -> Any:
    """An image, opened and not yet decoded. Raises Refusal NS713, also for one that claims many pixels for a small file."""
    from PIL import Image

    with reading(file, " as an image"):
        image = Image.open(file, formats=FORMATS)
        pixels = image.width * image.height
        if pixels > _LARGEST or pixels > max(_HARMLESS, _MOST_RATIO * os.path.getsize(file)):
            image.close()
            raise Refusal("NS713", f"{file} claims {pixels:,} pixels")
    return image
