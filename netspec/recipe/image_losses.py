"""Losses of images: of overlap (segmentation), of smoothness, and the divergence of a variational autoencoder's code."""

from __future__ import annotations

from typing import ClassVar, Literal, Mapping

from netspec.op import Reject
from netspec.recipe.entry import NonNegative, Wanted
from netspec.recipe.loss import ClassWeights, Loss, Over, fits_classes, prediction_of, same_shape
from netspec.recipe.losses import Activated
from netspec.sizes.tensor import TensorType


class _Overlap(Activated):
    """Base of losses of the overlap of predicted regions with true ones, one number for each class."""

    smooth: NonNegative = 1.0
    per: Literal["sample", "batch"] = "sample"
    background: bool = True
    weight: ClassWeights | None = None
    ignore_index: int | None = None

    def wants(self, given: Mapping[str, TensorType]) -> dict[str, tuple[Wanted, ...]]:
        """Class numbers, or masks of the prediction's shape."""
        prediction = prediction_of(self, given)
        if prediction.rank < 2:
            raise Reject("NS354", f"{self.NAME} needs samples and channels: this is {prediction}", argument="input")
        channels = prediction.shape[1]
        fits_classes(self, "weight", self.weight and len(self.weight), channels)
        if not self.background and channels == 1:
            raise Reject("NS354", "one channel alone is no background", argument="background")
        return super().wants(given)


class Dice(_Overlap):
    """`dice(logits, mask)`: 1 − (2 Σ p t + s) / (Σ p + Σ t + s), the mean over samples and classes.

    Sums are over the pixels of a sample, or with `per = batch` of all samples. With `squared` the denominator has Σ p² + Σ t², as in
    the paper. `smooth` is s: it makes the overlap of nothing with nothing whole (which it is, too, with `smooth = 0`). `weight` has a
    number for each class, and `background = false` leaves out class 0. Pixels of `ignore_index`, and those without `mask`, do not count.
    """

    NAME: ClassVar[str] = "dice"
    SOURCE: ClassVar[str] = "Milletari, Navab, Ahmadi 2016, arXiv:1606.04797, section 3; Sudre et al. 2017, arXiv:1707.03237"
    squared: bool = False


class Jaccard(_Overlap):
    """`jaccard(logits, mask)`: 1 − (Σ p t + s) / (Σ p + Σ t − Σ p t + s), the mean over samples and classes; arguments as of `dice`."""

    NAME: ClassVar[str] = "jaccard"
    SOURCE: ClassVar[str] = "Rahman & Wang 2016, Optimizing Intersection-Over-Union in Deep Neural Networks, equation 3"


class TotalVariation(Loss):
    """`1e-4 * total_variation(y)`: the sum of absolute differences of neighbours along every spatial axis, of each channel.

    A mean over samples, or with `over = all` that sum divided by the number of all numbers.
    """

    NAME: ClassVar[str] = "total_variation"
    SOURCE: ClassVar[str] = "Rudin, Osher, Fatemi 1992, the anisotropic form; as TensorFlow's tf.image.total_variation"
    TENSORS: ClassVar[tuple[str, ...]] = ("input",)
    OPTIONAL: ClassVar[tuple[str, ...]] = ()
    over: Over = "batch"

    def wants(self, given: Mapping[str, TensorType]) -> dict[str, tuple[Wanted, ...]]:
        """Nothing: it is about the prediction alone."""
        prediction = prediction_of(self, given)
        if prediction.rank < 3:
            raise Reject("NS354", f"total_variation needs spatial axes: {prediction} has none", argument="input")
        return {}


class GaussianKl(Loss):
    """`gaussian_kl(mu, logvar)`: −½ Σ (1 + log σ² − μ² − σ²), the divergence of N(μ, σ²) from N(0, 1), the mean over samples.

    With a reconstruction term summed over each sample (`over = batch`), it is the negative lower bound of a variational autoencoder.
    """

    NAME: ClassVar[str] = "gaussian_kl"
    SOURCE: ClassVar[str] = "Kingma & Welling 2014, arXiv:1312.6114, equation 10 and appendix B"
    TENSORS: ClassVar[tuple[str, ...]] = ("mu", "logvar")
    OPTIONAL: ClassVar[tuple[str, ...]] = ()

    def wants(self, given: Mapping[str, TensorType]) -> dict[str, tuple[Wanted, ...]]:
        """Nothing: both are outputs of the network, of one shape."""
        for name in self.TENSORS:
            prediction_of(self, given, name)
        same_shape(self, given, "mu", "logvar")
        return {}
