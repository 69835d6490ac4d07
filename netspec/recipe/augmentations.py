"""Augmentations that move pictures: the input `[N, C, H, W]`, and with it what the data have for each of its pixels.

Augmentations are applied in the order in which they are written, to training batches alone, before normalization. Every sample has
random numbers of its own, which depend on the seed, the epoch, and its place in the order of the epoch. Those of this file move masks
with the picture: class numbers and truth values by the nearest pixel, other numbers as the picture. `input` names the picture where a
network has several; without it all are moved alike.

The arithmetic is Kornia's (Riba et al. 2020, "Kornia: an Open Source Differentiable Computer Vision Library for PyTorch",
arXiv:1910.02190; Apache-2.0): it works on batches of tensors with other parameters for each sample, on any device. Of the other libraries
in wide use, torchvision's transforms move all pictures of a batch alike, and Albumentations, which is for NumPy arrays one by one, is no
longer maintained (its successor is under the AGPL). Flips and crops are plain indexing; a crop takes a tenth of the time that way.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from netspec.op import Reject
from netspec.recipe.entry import Count, Entry, Finite, NonNegative, Positive, Share, Slot

#: height and width, or one number for both
Extent = Count | Annotated[tuple[Count, Count], Field()]
#: from -most to most, or from one to the other
Spread = NonNegative | tuple[Finite, Finite]
#: what is beyond the border: zeros, the nearest pixel, or the picture mirrored
Border = Literal["zeros", "border", "reflection"]


class Augmentation(Entry):
    """Base of all augmentations."""

    SLOT: ClassVar[Slot] = "augmentation"


def ordered(entry: Entry, *fields: str) -> None:
    """Ranges go from the smaller number to the larger one. Raises `op.Reject` NS353."""
    for field in fields:
        value = getattr(entry, field)
        if isinstance(value, tuple) and len(value) == 2 and value[0] > value[1]:
            raise Reject("NS353", f"a range from {value[0]:g} to {value[1]:g} is empty", argument=field)


class RandomCrop(Augmentation):
    """`random_crop(28, padding = 4)`: a part of that size, anywhere in the picture with that many zeros around it."""

    NAME: ClassVar[str] = "random_crop"
    SOURCE: ClassVar[str] = "He et al. 2016, arXiv:1512.03385, section 4.2"
    size: Extent
    padding: Annotated[int, Field(ge=0, le=10**6)] = 0
    border: Border = "zeros"
    input: str | None = None


class RandomResizedCrop(Augmentation):
    """`random_resized_crop(224)`: a part of random area (`scale`: a share of the picture) and aspect ratio, resized to that size.

    Where ten tries of area and ratio do not fit into the picture, its middle is taken, as near to the ratios as it can be.
    """

    NAME: ClassVar[str] = "random_resized_crop"
    SOURCE: ClassVar[str] = "Szegedy et al. 2015, Going Deeper with Convolutions, arXiv:1409.4842, section 6"
    size: Extent
    scale: tuple[Positive, Positive] = (0.08, 1.0)
    ratio: tuple[Positive, Positive] = (3 / 4, 4 / 3)
    input: str | None = None

    def check(self) -> None:
        """Ranges are in order, and areas are at most the whole."""
        ordered(self, "scale", "ratio")
        if self.scale[1] > 1:
            raise Reject("NS353", "a part of more than the whole picture", argument="scale")


class Hflip(Augmentation):
    """`hflip`: left becomes right, with probability `p`."""

    NAME: ClassVar[str] = "hflip"
    SOURCE: ClassVar[str] = "Krizhevsky, Sutskever, Hinton 2012, section 4.1"
    p: Share = 0.5
    input: str | None = None


class Vflip(Augmentation):
    """`vflip`: top becomes bottom, with probability `p`."""

    NAME: ClassVar[str] = "vflip"
    SOURCE: ClassVar[str] = "Krizhevsky, Sutskever, Hinton 2012, section 4.1"
    p: Share = 0.5
    input: str | None = None


class Rotation(Augmentation):
    """`rotation(15)`: about the middle by an angle from -15 to 15 degrees, counterclockwise."""

    NAME: ClassVar[str] = "rotation"
    SOURCE: ClassVar[str] = "Simard, Steinkraus, Platt 2003, Best Practices for Convolutional Neural Networks, section 2"
    degrees: Spread
    p: Share = 1.0
    border: Border = "zeros"
    input: str | None = None

    def check(self) -> None:
        """The range is in order."""
        ordered(self, "degrees")


class Affine(Augmentation):
    """`affine(10, translate = (0.1, 0.1), scale = (0.9, 1.1), shear = 5)`: about the middle.

    `translate` are the largest shifts as shares of width and height, `shear` angles in degrees along x.
    """

    NAME: ClassVar[str] = "affine"
    SOURCE: ClassVar[str] = "Simard, Steinkraus, Platt 2003, Best Practices for Convolutional Neural Networks, section 2"
    degrees: Spread = 0.0
    translate: tuple[Share, Share] = (0.0, 0.0)
    scale: tuple[Positive, Positive] = (1.0, 1.0)
    shear: Spread = 0.0
    p: Share = 1.0
    border: Border = "zeros"
    input: str | None = None

    def check(self) -> None:
        """Ranges are in order."""
        ordered(self, "degrees", "scale", "shear")


class Perspective(Augmentation):
    """`perspective(0.3)`: each corner moves inwards by up to half of that share of width and height, with probability `p`."""

    NAME: ClassVar[str] = "perspective"
    SOURCE: ClassVar[str] = "Hartley, Zisserman 2004, Multiple View Geometry, section 2.3"
    distortion: Share = 0.5
    p: Share = 0.5
    border: Border = "zeros"
    input: str | None = None
