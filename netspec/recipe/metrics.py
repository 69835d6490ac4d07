"""Metrics: what is reported of a network while it trains, and what `monitor` may name. They are computed by torchmetrics."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Mapping

from pydantic import Field

from netspec.op import Reject
from netspec.recipe.entry import Count, Positive, Share, Wanted
from netspec.recipe.loss import Loss, Task, prediction_of
from netspec.recipe.losses import labels_of
from netspec.recipe.metric import Average, Metric
from netspec.sizes.tensor import TensorType

#: into how many thresholds scores are sorted; None keeps all scores
Thresholds = Annotated[int, Field(ge=2)]


class _Counted(Metric):
    """Base of metrics of right and wrong decisions; a yes is a probability above `threshold`.

    `ignore_index` is a class that does not count; that of the loss does not count either way.
    """

    threshold: Share = 0.5
    ignore_index: int | None = None


class Accuracy(_Counted):
    """`accuracy`: the share of right decisions; `average = macro` takes the mean of each class's share (balanced accuracy)."""

    NAME: ClassVar[str] = "accuracy"
    SOURCE: ClassVar[str] = "torchmetrics.Accuracy"
    average: Average = "micro"


class TopK(Metric):
    """`top_k(5)`: the share of samples whose class is among the k with the highest scores; `top_5` in logs."""

    NAME: ClassVar[str] = "top_k"
    SOURCE: ClassVar[str] = "torchmetrics.Accuracy(top_k=k)"
    TASKS: ClassVar[tuple[Task, ...]] = ("multiclass",)
    k: Count = 5
    ignore_index: int | None = None

    def label(self) -> str:
        """`top_5`."""
        return f"top_{self.k}"

    def fits(self, prediction: TensorType, loss: Loss | None) -> None:
        """There are more than k classes."""
        super().fits(prediction, loss)
        classes = prediction.shape[self.class_axis(prediction, loss)]
        if isinstance(classes, int) and self.k >= classes:
            raise Reject("NS354", f"one of {classes} classes is always among {self.k}", argument="k")


class Precision(_Counted):
    """`precision`: of what was predicted as a class, the share that is of it; the mean over classes."""

    NAME: ClassVar[str] = "precision"
    SOURCE: ClassVar[str] = "torchmetrics.Precision"
    average: Average = "macro"


class Recall(_Counted):
    """`recall`: of what is of a class, the share that was predicted as it; the mean over classes."""

    NAME: ClassVar[str] = "recall"
    SOURCE: ClassVar[str] = "torchmetrics.Recall"
    average: Average = "macro"


class Specificity(_Counted):
    """`specificity`: of what is not of a class, the share that was not predicted as it; the mean over classes."""

    NAME: ClassVar[str] = "specificity"
    SOURCE: ClassVar[str] = "torchmetrics.Specificity"
    average: Average = "macro"


class F1(_Counted):
    """`f1`: the harmonic mean of precision and recall; the mean over classes. `beta` weighs recall beta times as much."""

    NAME: ClassVar[str] = "f1"
    SOURCE: ClassVar[str] = "torchmetrics.FBetaScore"
    average: Average = "macro"
    beta: Positive = 1.0


class _Overlap(_Counted):
    """Base of the metrics of segmentation: of true and predicted regions, over all samples; the mean over classes that occur."""

    background: bool = True

    def fits(self, prediction: TensorType, loss: Loss | None) -> None:
        """Without the background there is a class left."""
        super().fits(prediction, loss)
        if not self.background and self.task(prediction, loss) == "binary":
            raise Reject("NS354", "one channel alone is no background", argument="background")


class Iou(_Overlap):
    """`iou`: intersection over union of each class's region; `background = false` leaves out class 0."""

    NAME: ClassVar[str] = "iou"
    SOURCE: ClassVar[str] = "Jaccard 1912; computed from torchmetrics.StatScores"


class Dice(_Overlap):
    """`dice`: twice the intersection over the sum of both regions, of each class; `background = false` leaves out class 0."""

    NAME: ClassVar[str] = "dice"
    SOURCE: ClassVar[str] = "Dice 1945; computed from torchmetrics.StatScores"


class Auroc(Metric):
    """`auroc`: the area under the curve of true against false positives; of several classes, the mean of each against the rest.

    Exact, which keeps all scores; with `thresholds` from so many points of the curve, in constant memory.
    """

    NAME: ClassVar[str] = "auroc"
    SOURCE: ClassVar[str] = "torchmetrics.AUROC"
    average: Literal["macro", "weighted"] = "macro"
    thresholds: Thresholds | None = None
    ignore_index: int | None = None


class AveragePrecision(Metric):
    """`average_precision`: the area under the curve of precision against recall; arguments as of `auroc`."""

    NAME: ClassVar[str] = "average_precision"
    SOURCE: ClassVar[str] = "torchmetrics.AveragePrecision"
    average: Literal["macro", "weighted"] = "macro"
    thresholds: Thresholds | None = None
    ignore_index: int | None = None


class MatthewsCorrelation(_Counted):
    """`matthews`: the correlation of predicted with true classes, 0 for guessing."""

    NAME: ClassVar[str] = "matthews"
    SOURCE: ClassVar[str] = "torchmetrics.MatthewsCorrCoef"


class CohenKappa(_Counted):
    """`cohen_kappa`: the agreement of predicted with true classes beyond that of chance."""

    NAME: ClassVar[str] = "cohen_kappa"
    SOURCE: ClassVar[str] = "torchmetrics.CohenKappa"
    TASKS: ClassVar[tuple[Task, ...]] = ("multiclass", "binary")


class CalibrationError(Metric):
    """`calibration_error`: how far the probability of what is predicted is from the share that is right, over `bins` of it."""

    NAME: ClassVar[str] = "calibration_error"
    SOURCE: ClassVar[str] = "Guo et al. 2017, arXiv:1706.04599, equation 3; torchmetrics.CalibrationError"
    BETTER: ClassVar[Literal["min", "max"]] = "min"
    TASKS: ClassVar[tuple[Task, ...]] = ("multiclass", "binary")
    bins: Count = 15
    ignore_index: int | None = None


class Perplexity(Metric):
    """`perplexity`: the exponential of the mean cross entropy of one class among several, of a language model's tokens."""

    NAME: ClassVar[str] = "perplexity"
    SOURCE: ClassVar[str] = "torchmetrics.text.Perplexity"
    BETTER: ClassVar[Literal["min", "max"]] = "min"
    TASKS: ClassVar[tuple[Task, ...]] = ("multiclass",)
    ignore_index: int | None = None


class LabelErrorRate(Metric):
    """`label_error_rate`, of what `ctc` trains: edits from the most probable labelling to the true one, a label of that.

    The labelling is that of the best path: the best class of every step, repetitions merged, blanks left out. Of characters it is
    the character error rate.
    """

    NAME: ClassVar[str] = "label_error_rate"
    SOURCE: ClassVar[str] = "Graves et al. 2006, equation 1 and section 3.2, over all samples; torchmetrics.text.CharErrorRate"
    BETTER: ClassVar[Literal["min", "max"]] = "min"
    TASKS: ClassVar[tuple[Task, ...]] = ("sequence",)
    OPTIONAL: ClassVar[tuple[str, ...]] = ("input_lengths", "target_lengths")

    def beside(self, given: Mapping[str, TensorType], loss: Loss | None) -> dict[str, tuple[Wanted, ...]]:
        """Labels, as many as there are; and how many count in each sample."""
        prediction = prediction_of(self, given)
        batch = prediction.shape[:1]
        return {
            "target": (Wanted("index", (*batch, labels_of(prediction))),),
            **{name: (Wanted("count", batch),) for name in self.OPTIONAL},
        }


class _Numbers(Metric):
    """Base of metrics of numbers."""

    TASKS: ClassVar[tuple[Task, ...]] = ("regression",)


class Mae(_Numbers):
    """`mae`: the mean absolute error."""

    NAME: ClassVar[str] = "mae"
    SOURCE: ClassVar[str] = "torchmetrics.MeanAbsoluteError"
    BETTER: ClassVar[Literal["min", "max"]] = "min"


class Mse(_Numbers):
    """`mse`: the mean squared error."""

    NAME: ClassVar[str] = "mse"
    SOURCE: ClassVar[str] = "torchmetrics.MeanSquaredError"
    BETTER: ClassVar[Literal["min", "max"]] = "min"


class Rmse(_Numbers):
    """`rmse`: the square root of the mean squared error."""

    NAME: ClassVar[str] = "rmse"
    SOURCE: ClassVar[str] = "torchmetrics.MeanSquaredError(squared=False)"
    BETTER: ClassVar[Literal["min", "max"]] = "min"


class Mape(_Numbers):
    """`mape`: the mean of the absolute error over the absolute target."""

    NAME: ClassVar[str] = "mape"
    SOURCE: ClassVar[str] = "torchmetrics.MeanAbsolutePercentageError"
    BETTER: ClassVar[Literal["min", "max"]] = "min"


class R2(_Numbers):
    """`r2`: the share of the target's variance that the prediction explains; of several outputs `[N, D]` the mean."""

    NAME: ClassVar[str] = "r2"
    SOURCE: ClassVar[str] = "torchmetrics.R2Score"


class ExplainedVariance(_Numbers):
    """`explained_variance`: as `r2`, whatever the mean error is."""

    NAME: ClassVar[str] = "explained_variance"
    SOURCE: ClassVar[str] = "torchmetrics.ExplainedVariance"


class Pearson(_Numbers):
    """`pearson`: the linear correlation of prediction and target, all numbers together."""

    NAME: ClassVar[str] = "pearson"
    SOURCE: ClassVar[str] = "torchmetrics.PearsonCorrCoef"


class Psnr(_Numbers):
    """`psnr`: 10 log₁₀(range² / mean squared error) in decibel, for pixels from 0 to `data_range`; over all pixels of all samples.

    With `per = sample` it is the mean of every image's own, which is what papers on super-resolution report.
    """

    NAME: ClassVar[str] = "psnr"
    SOURCE: ClassVar[str] = "torchmetrics.image.PeakSignalNoiseRatio"
    OPTIONAL: ClassVar[tuple[str, ...]] = ()
    data_range: Positive = 1.0
    per: Literal["sample", "all"] = "all"


class Ssim(_Numbers):
    """`ssim`: the structural similarity of images `[N, C, H, W]` with pixels from 0 to `data_range`, the mean over samples.

    Windows are Gaussian, of standard deviation 1.5, and 11 pixels wide; only those that lie within the image count.
    """

    NAME: ClassVar[str] = "ssim"
    SOURCE: ClassVar[str] = "Wang et al. 2004, IEEE TIP 13, equation 13; computed from torchmetrics' map of it"
    OPTIONAL: ClassVar[tuple[str, ...]] = ()
    #: how many pixels a window is wide
    WINDOW: ClassVar[int] = 11
    data_range: Positive = 1.0

    def beside(self, given: Mapping[str, TensorType], loss: Loss | None) -> dict[str, tuple[Wanted, ...]]:
        """An image of the prediction's shape."""
        found = super().beside(given, loss)
        prediction = given[self.TENSORS[0]]
        if prediction.rank != 4:
            raise Reject("NS354", f"ssim compares images, of samples, channels, height and width: this is {prediction}", argument="input")
        if any(isinstance(size, int) and size < self.WINDOW for size in prediction.shape[2:]):
            raise Reject("NS354", f"the windows of ssim are {self.WINDOW} pixels wide: {prediction} is smaller", argument="input")
        return found
