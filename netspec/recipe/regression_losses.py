"""Losses of regression, and of embeddings: what compares numbers with numbers."""

from __future__ import annotations

from typing import ClassVar, Mapping

from netspec.recipe.entry import Finite, NonNegative, Positive, Wanted
from netspec.recipe.loss import Loss, Over, alike, masks, prediction_of, same_shape
from netspec.sizes.tensor import TensorType


class _Numbers(Loss):
    """Base of losses of the differences between numbers, one by one."""

    def wants(self, given: Mapping[str, TensorType]) -> dict[str, tuple[Wanted, ...]]:
        """Numbers of the prediction's shape."""
        prediction = prediction_of(self, given)
        same_shape(self, given, "input", "target")
        return {"target": tuple(Wanted("float", s) for s in alike(prediction.shape)), **masks(self, given, prediction.shape)}


class Mse(_Numbers):
    """`mse(y, target)`: the mean of (y − t)², over all numbers, or with `over = batch` over samples, the numbers of each summed."""

    NAME: ClassVar[str] = "mse"
    SOURCE: ClassVar[str] = "Goodfellow, Bengio, Courville 2016, equation 5.4; torch.nn.MSELoss"
    over: Over = "all"


class SquaredError(_Numbers):
    """`squared_error(y, target)`: ½ Σ (y − t)² over the numbers of a sample, the mean of it over samples.

    Its gradient in y is y − t, divided by the number of samples: the error of the classic derivations of backpropagation.
    """

    NAME: ClassVar[str] = "squared_error"
    SOURCE: ClassVar[str] = "Bishop 2006, Pattern Recognition and Machine Learning, equation 5.11"


class L1(_Numbers):
    """`l1(y, target)`: the mean of |y − t|, over all numbers, or with `over = batch` over samples, the numbers of each summed."""

    NAME: ClassVar[str] = "l1"
    SOURCE: ClassVar[str] = "torch.nn.L1Loss"
    over: Over = "all"


class Huber(_Numbers):
    """`huber(y, target)`: the mean of ½ d² where |d| = |y − t| is at most `delta`, and of delta (|d| − ½ delta) beyond."""

    NAME: ClassVar[str] = "huber"
    SOURCE: ClassVar[str] = "Huber 1964, Annals of Mathematical Statistics 35, equation 3.1; torch.nn.HuberLoss"
    delta: Positive = 1.0
    over: Over = "all"


class SmoothL1(_Numbers):
    """`smooth_l1(y, target)`: the mean of ½ d² / beta where |d| = |y − t| is below `beta`, and of |d| − ½ beta beyond."""

    NAME: ClassVar[str] = "smooth_l1"
    SOURCE: ClassVar[str] = "Girshick 2015, arXiv:1504.08083, equation 3; torch.nn.SmoothL1Loss"
    beta: NonNegative = 1.0
    over: Over = "all"


class Cosine(Loss):
    """`cosine(first, second)`: the mean of 1 − cos of the angle between two embeddings `[N, F]`.

    With `sign`, one of 1 and −1 a sample (0 is −1), pairs that are to differ (−1) count max(0, cos − margin).
    """

    NAME: ClassVar[str] = "cosine"
    SOURCE: ClassVar[str] = "torch.nn.CosineEmbeddingLoss"
    OPTIONAL: ClassVar[tuple[str, ...]] = ("sign", "mask")
    margin: Finite = 0.0

    def wants(self, given: Mapping[str, TensorType]) -> dict[str, tuple[Wanted, ...]]:
        """Embeddings of the prediction's shape, and a sign for each sample."""
        first = _embedding(self, given, "input")
        same_shape(self, given, "input", "target")
        found = masks(self, given, first.shape[:1])
        return {"target": (Wanted("float", first.shape),), "sign": (Wanted("float", first.shape[:1]),), "mask": found.get("mask", ())}


class Triplet(Loss):
    """`triplet(anchor, positive, negative)`: the mean of max(0, ‖a − p‖ − ‖a − n‖ + margin), of embeddings `[N, F]`.

    `p` is the norm's; with `swap` the distance from the positive to the negative counts in place of the anchor's, where it is less
    (Balntas et al. 2016).
    """

    NAME: ClassVar[str] = "triplet"
    SOURCE: ClassVar[str] = "Schroff, Kalenichenko, Philbin 2015, arXiv:1503.03832, equation 3; torch.nn.TripletMarginLoss"
    TENSORS: ClassVar[tuple[str, ...]] = ("anchor", "positive", "negative")
    OPTIONAL: ClassVar[tuple[str, ...]] = ("mask",)
    margin: Positive = 1.0
    p: Positive = 2.0
    swap: bool = False

    def wants(self, given: Mapping[str, TensorType]) -> dict[str, tuple[Wanted, ...]]:
        """Embeddings of the anchor's shape."""
        anchor = _embedding(self, given, "anchor")
        same_shape(self, given, "anchor", "positive")
        same_shape(self, given, "anchor", "negative")
        others = {name: (Wanted("float", anchor.shape),) for name in ("positive", "negative")}
        return {**others, **masks(self, given, anchor.shape[:1])}


def _embedding(measure: Loss, given: Mapping[str, TensorType], name: str) -> TensorType:
    """A tensor `[N, F]` of the net. Raises `Reject` for another rank."""
    found = prediction_of(measure, given, name)
    if found.rank != 2:
        from netspec.op import Reject

        raise Reject("NS354", f"{measure.NAME} compares embeddings, of samples and features: this is {found}", argument=name)
    return found
