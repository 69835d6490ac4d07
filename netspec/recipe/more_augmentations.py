"""Augmentations that change numbers where they are (colours, blur, erasing, noise), and those that mix samples.

Pictures are `[N, C, H, W]`, and colours are those of numbers from 0 to 1. `input` names the input where not every one that fits is
meant; each gets random numbers of its own.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from netspec.op import Reject
from netspec.recipe.augmentations import Augmentation, ordered
from netspec.recipe.entry import Count, Finite, NonNegative, Positive, Share

#: factors from 1 - most to 1 + most, or from one to the other
Factors = NonNegative | tuple[NonNegative, NonNegative]


class ColorJitter(Augmentation):
    """`color_jitter(0.2, 0.2, 0.2, 0.05)`: brightness, contrast, saturation times a factor from 1 - 0.2 to 1 + 0.2, hue turned by up to
    0.05 of the whole circle; in an order that is drawn for each batch.

    Results stay from 0 to 1, or within the range of the picture where that is wider. Saturation and hue need three channels.
    """

    NAME: ClassVar[str] = "color_jitter"
    SOURCE: ClassVar[str] = "Howard 2013, arXiv:1312.5402, section 2; torchvision.transforms.ColorJitter"
    brightness: Factors = 0.0
    contrast: Factors = 0.0
    saturation: Factors = 0.0
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    p: Share = 1.0
    input: str | None = None

    def check(self) -> None:
        """Ranges are in order."""
        ordered(self, "brightness", "contrast", "saturation")


class Grayscale(Augmentation):
    """`grayscale(0.1)`: the luminance in all three channels, with probability `p`."""

    NAME: ClassVar[str] = "grayscale"
    SOURCE: ClassVar[str] = "Chen et al. 2020, SimCLR, arXiv:2002.05709, appendix A"
    p: Share = 0.1
    input: str | None = None


class GaussianBlur(Augmentation):
    """`gaussian_blur(5, (0.1, 2))`: with a kernel of odd size, its deviation drawn from the range, with probability `p`."""

    NAME: ClassVar[str] = "gaussian_blur"
    SOURCE: ClassVar[str] = "Chen et al. 2020, SimCLR, arXiv:2002.05709, appendix A"
    kernel: Annotated[int, Field(ge=1, le=999)]
    sigma: tuple[Positive, Positive] = (0.1, 2.0)
    p: Share = 0.5
    input: str | None = None

    def check(self) -> None:
        """The kernel has a middle, and the range is in order."""
        ordered(self, "sigma")
        if self.kernel % 2 == 0:
            raise Reject("NS353", f"a kernel of {self.kernel} has no middle", argument="kernel", help=f"gaussian_blur({self.kernel + 1})")


class PcaJitter(Augmentation):
    """`pca_jitter(0.1)`: adds multiples of the principal components of the colours of all pixels: `sum_i alpha_i lambda_i p_i`, each
    `alpha_i` normal with deviation `std`, drawn once for a picture.

    Eigenvalues and eigenvectors (one row each) of the covariance of the channels are measured on the training data, or given.
    """

    NAME: ClassVar[str] = "pca_jitter"
    SOURCE: ClassVar[str] = "Krizhevsky, Sutskever, Hinton 2012, section 4.1"
    std: NonNegative = 0.1
    eigenvalues: tuple[NonNegative, ...] | None = None
    eigenvectors: tuple[tuple[Finite, ...], ...] | None = None
    input: str | None = None

    def check(self) -> None:
        """Both or none, as many values as vectors, and square."""
        if (self.eigenvalues is None) != (self.eigenvectors is None):
            raise Reject("NS353", "`eigenvalues` and `eigenvectors` are given together, or both measured", argument="eigenvalues")
        if self.eigenvalues is not None and self.eigenvectors is not None:
            count = len(self.eigenvalues)
            if count < 1 or [len(row) for row in self.eigenvectors] != [count] * count:
                raise Reject("NS353", f"{count} eigenvalues need {count} eigenvectors, of {count} numbers each", argument="eigenvectors")


class RandomErasing(Augmentation):
    """`random_erasing`: a rectangle of random area (a share of the picture) and aspect ratio becomes `value`, with probability `p`."""

    NAME: ClassVar[str] = "random_erasing"
    SOURCE: ClassVar[str] = "Zhong et al. 2020, arXiv:1708.04896, algorithm 1"
    p: Share = 0.5
    scale: tuple[Positive, Positive] = (0.02, 0.33)
    ratio: tuple[Positive, Positive] = (0.3, 3.3)
    value: Finite = 0.0
    input: str | None = None

    def check(self) -> None:
        """Ranges are in order, and areas are at most the whole."""
        ordered(self, "scale", "ratio")
        if self.scale[1] > 1:
            raise Reject("NS353", "more than the whole picture cannot be erased", argument="scale")


class Cutout(Augmentation):
    """`cutout(8)`: a square of that many pixels, its middle anywhere in the picture, becomes `value`."""

    NAME: ClassVar[str] = "cutout"
    SOURCE: ClassVar[str] = "DeVries, Taylor 2017, arXiv:1708.04552, section 3.2"
    size: Count
    value: Finite = 0.0
    p: Share = 1.0
    input: str | None = None


class Noise(Augmentation):
    """`noise(0.01)`: adds normal numbers of that deviation to every number of every floating-point input."""

    NAME: ClassVar[str] = "noise"
    SOURCE: ClassVar[str] = "Goodfellow, Bengio, Courville 2016, section 7.5; Bishop 1995, Training with Noise"
    std: NonNegative
    input: str | None = None


class Masking(Augmentation):
    """`masking(0.1)`: every number of the input becomes `value` with probability `p`; with `axis`, all numbers at a position of that axis
    together (`axis = 1` of `[N, T, F]`: whole steps of time)."""

    NAME: ClassVar[str] = "masking"
    SOURCE: ClassVar[str] = "Vincent et al. 2008, Denoising Autoencoders, section 2.3"
    p: Share
    axis: Annotated[int, Field(ge=1, le=63)] | None = None
    value: Finite = 0.0
    input: str | None = None


class Mixup(Augmentation):
    """`mixup(0.2)`: every sample becomes `lambda x + (1 - lambda) x'` with another one `x'` of the batch, and so do targets: class numbers
    become probabilities. `lambda` is drawn from Beta(alpha, alpha), once for a batch."""

    NAME: ClassVar[str] = "mixup"
    SOURCE: ClassVar[str] = "Zhang et al. 2018, arXiv:1710.09412, equation 2 and section 3"
    alpha: Positive = 0.2
    p: Share = 1.0


class Cutmix(Augmentation):
    """`cutmix(1)`: a rectangle of another picture of the batch, its share of the area drawn from Beta(alpha, alpha), replaces that part of
    every picture; targets of whole pictures are mixed by area, and those of pixels are replaced with them."""

    NAME: ClassVar[str] = "cutmix"
    SOURCE: ClassVar[str] = "Yun et al. 2019, arXiv:1905.04899, equations 1 and 2"
    alpha: Positive = 1.0
    p: Share = 1.0
