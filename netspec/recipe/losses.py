"""Losses of classification: what compares predicted probabilities, or the logits they are made of, with classes."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Mapping

from pydantic import Field

from netspec.op import Reject
from netspec.recipe.entry import NonNegative, Positive, Share, Wanted
from netspec.recipe.loss import (
    ClassWeights,
    Loss,
    Meaning,
    Over,
    Task,
    agree,
    alike,
    axis_of,
    fits_classes,
    masks,
    prediction_of,
    same_shape,
    without,
)
from netspec.sizes.dim import Dim, names
from netspec.sizes.tensor import TensorType

#: how a prediction becomes probabilities; `auto` is softmax over several channels, and a sigmoid of one
Activation = Literal["auto", "softmax", "sigmoid", "none"]


class _OfClasses(Loss):
    """Base of losses whose prediction has an axis of classes that exclude one another."""

    def class_axis(self, prediction: TensorType) -> int:
        """The argument `axis`, counted from 0."""
        return axis_of(self, prediction, getattr(self, "axis", 1))

    def task(self, prediction: TensorType) -> Task:
        """One of several classes."""
        return "multiclass"

    def _indices(self, prediction: TensorType) -> Wanted:
        axis, ignored = self.class_axis(prediction), getattr(self, "ignore_index", None)
        classes: Any = prediction.shape[axis]
        return Wanted("index", without(prediction.shape, axis), classes if isinstance(classes, int) else None, ignored)

    def _fits(self, prediction: TensorType, given: Mapping[str, TensorType], form: Wanted) -> None:
        """A target that the net gives has whole numbers of the form's shape. Raises `Reject`."""
        target = given.get("target")
        if target is not None and not ("int" in target.dtype and agree(target.shape, form.shape)):
            raise Reject(
                "NS354", f"{self.NAME} of {prediction} takes classes of shape {TensorType(form.shape, 'int64')}", argument="target"
            )


class CrossEntropy(_OfClasses):
    """`cross_entropy(logits, label)`: the mean of −log softmax(logits) at the true class.

    The target has class numbers of the logits' shape less `axis` (1, as in PyTorch; −1 for `[N, T, C]`), or probabilities of the
    logits' shape. With `weight`, one number a class, the mean is weighted, as PyTorch's is; `label_smoothing` mixes the target with
    the uniform distribution (Szegedy et al. 2016, arXiv:1512.00567, section 7). Elements whose class is `ignore_index`, and those that
    `mask` and `lengths` leave out, do not count; where none is left, the loss is 0.
    """

    NAME: ClassVar[str] = "cross_entropy"
    SOURCE: ClassVar[str] = "Goodfellow, Bengio, Courville 2016, section 6.2.2.3; torch.nn.CrossEntropyLoss"
    label_smoothing: Share = 0.0
    weight: ClassWeights | None = None
    ignore_index: int | None = None
    axis: int = 1
    POOLED: ClassVar[bool] = True

    def meaning(self, prediction: TensorType) -> Meaning:
        """Logits."""
        return "logits"

    def wants(self, given: Mapping[str, TensorType]) -> dict[str, tuple[Wanted, ...]]:
        """Class numbers, or probabilities."""
        prediction = prediction_of(self, given)
        form = self._indices(prediction)
        fits_classes(self, "weight", self.weight and len(self.weight), prediction.shape[self.class_axis(prediction)])
        if "target" in given and "int" not in given["target"].dtype:
            same_shape(self, given, "input", "target")
        else:
            self._fits(prediction, given, form)
        forms = (form,) if self.ignore_index is not None else (form, Wanted("share", prediction.shape))
        return {"target": forms, **masks(self, given, form.shape, None)}


class Nll(_OfClasses):
    """`nll(log_probabilities, label)`: the mean of −(what the prediction has at the true class); a `log_softmax` belongs before it."""

    NAME: ClassVar[str] = "nll"
    SOURCE: ClassVar[str] = "torch.nn.NLLLoss"
    weight: ClassWeights | None = None
    ignore_index: int | None = None
    axis: int = 1
    POOLED: ClassVar[bool] = True

    def meaning(self, prediction: TensorType) -> Meaning:
        """Logarithms of probabilities."""
        return "log_probabilities"

    def wants(self, given: Mapping[str, TensorType]) -> dict[str, tuple[Wanted, ...]]:
        """Class numbers."""
        prediction = prediction_of(self, given)
        form = self._indices(prediction)
        fits_classes(self, "weight", self.weight and len(self.weight), prediction.shape[self.class_axis(prediction)])
        self._fits(prediction, given, form)
        return {"target": (form,), **masks(self, given, form.shape, None)}


class _YesNo(Loss):
    """Base of losses that judge every number of the prediction by itself, against one in [0, 1]."""

    def task(self, prediction: TensorType) -> Task:
        """One yes or no a sample or pixel, or several (along axis 1)."""
        return "binary" if prediction.rank < 2 or prediction.shape[1] == 1 else "multilabel"

    def wants(self, given: Mapping[str, TensorType]) -> dict[str, tuple[Wanted, ...]]:
        """Probabilities of the prediction's shape: 0 and 1, or between (the pixels of an image)."""
        prediction = prediction_of(self, given)
        same_shape(self, given, "input", "target")
        return {"target": tuple(Wanted("share", s) for s in alike(prediction.shape)), **masks(self, given, prediction.shape)}


class BinaryCrossEntropy(_YesNo):
    """`binary_cross_entropy(probabilities, target)`: the mean of −t log p − (1 − t) log(1 − p); logarithms are cut at −100.

    `over = batch` sums the numbers of each sample, and takes the mean over samples: the reconstruction term of a variational
    autoencoder's bound.
    """

    NAME: ClassVar[str] = "binary_cross_entropy"
    SOURCE: ClassVar[str] = "torch.nn.BCELoss; Kingma & Welling 2014, arXiv:1312.6114, appendix C.1"
    over: Over = "all"

    def meaning(self, prediction: TensorType) -> Meaning:
        """Probabilities."""
        return "probabilities"


class BinaryCrossEntropyWithLogits(_YesNo):
    """`binary_cross_entropy_with_logits(logits, target)`: `binary_cross_entropy` of sigmoid(logits), computed without overflow.

    `pos_weight` multiplies the loss of the positive: one number, or one for each channel (axis 1).
    """

    NAME: ClassVar[str] = "binary_cross_entropy_with_logits"
    SOURCE: ClassVar[str] = "torch.nn.BCEWithLogitsLoss"
    pos_weight: Positive | Annotated[tuple[Positive, ...], Field(min_length=1)] | None = None
    over: Over = "all"

    def meaning(self, prediction: TensorType) -> Meaning:
        """Logits."""
        return "logits"

    def wants(self, given: Mapping[str, TensorType]) -> dict[str, tuple[Wanted, ...]]:
        """Probabilities of the prediction's shape."""
        if isinstance(self.pos_weight, tuple):
            prediction = prediction_of(self, given)
            axis_of(self, prediction, 1)
            fits_classes(self, "pos_weight", len(self.pos_weight), prediction.shape[1])
        return super().wants(given)


class Activated(_OfClasses):
    """Base of losses that make probabilities of the prediction themselves, as `activation` says.

    `auto` is `softmax` along axis 1 where there are several channels, and `sigmoid` where there is one. After `softmax` the target has
    class numbers, or probabilities of the prediction's shape; after `sigmoid` every channel is a mask of its own. `none` takes the
    prediction for probabilities: of classes that exclude one another where there are several channels.
    """

    OPTIONAL: ClassVar[tuple[str, ...]] = ("mask",)
    POOLED: ClassVar[bool] = True
    activation: Activation = "auto"

    def meaning(self, prediction: TensorType) -> Meaning:
        """Logits, or probabilities with `activation = none`."""
        return "probabilities" if self.activation == "none" else "logits"

    def task(self, prediction: TensorType) -> Task:
        """One of several classes where they exclude one another; else a yes or no, or several."""
        single = prediction.rank < 2 or prediction.shape[1] == 1
        return "binary" if single else "multilabel" if self.activation == "sigmoid" else "multiclass"

    def class_axis(self, prediction: TensorType) -> int:
        """Axis 1."""
        return 1

    def wants(self, given: Mapping[str, TensorType]) -> dict[str, tuple[Wanted, ...]]:
        """Class numbers, or probabilities of the prediction's shape."""
        prediction = prediction_of(self, given)
        if self.task(prediction) == "binary":
            if self.activation == "softmax":
                raise Reject("NS354", f"softmax over the one channel of {prediction} is 1 everywhere", argument="activation")
            same_shape(self, given, "input", "target")
            forms = tuple(Wanted("share", s) for s in (*alike(prediction.shape), *_without_channel(prediction)))
            return {"target": forms, **self._masks(prediction, given)}
        shares = Wanted("share", prediction.shape)
        if self.task(prediction) == "multilabel":
            same_shape(self, given, "input", "target")
            return {"target": (shares,), **self._masks(prediction, given)}
        form = self._indices(prediction)
        if "target" in given and "int" not in given["target"].dtype:
            same_shape(self, given, "input", "target")
        else:
            self._fits(prediction, given, form)
        return {"target": (form,) if form.ignore is not None else (form, shares), **self._masks(prediction, given)}

    def _masks(self, prediction: TensorType, given: Mapping[str, TensorType]) -> dict[str, tuple[Wanted, ...]]:
        """A mask has one number for each sample or pixel, all channels of it together."""
        found = masks(self, given, without(prediction.shape, 1) if prediction.rank > 1 else prediction.shape, None)
        return {name: forms for name, forms in found.items() if name in self.OPTIONAL}


def _without_channel(prediction: TensorType) -> tuple[tuple[Any, ...], ...]:
    """`[N, H, W]` for a prediction `[N, 1, H, W]`."""
    return (without(prediction.shape, 1),) if prediction.rank > 2 and prediction.shape[1] == 1 else ()


class Focal(Activated):
    """`focal(logits, label)`: −α (1 − p)^γ log p at the true class, the mean of it: what is easy counts little.

    `alpha` is the weight of the positive where every channel is a yes or no (the negative has 1 − α), and a number for each class
    where they exclude one another. With γ = 0 and no α it is the cross entropy.
    """

    NAME: ClassVar[str] = "focal"
    SOURCE: ClassVar[str] = "Lin et al. 2017, arXiv:1708.02002, equations 4 and 5"
    gamma: NonNegative = 2.0
    alpha: Share | ClassWeights | None = None
    ignore_index: int | None = None

    def wants(self, given: Mapping[str, TensorType]) -> dict[str, tuple[Wanted, ...]]:
        """Class numbers, or probabilities of the prediction's shape."""
        prediction = prediction_of(self, given)
        listed, classes = isinstance(self.alpha, tuple), self.task(prediction) == "multiclass"
        if self.alpha is not None and listed is not classes:
            what = "a number for each class" if classes else "one number"
            raise Reject("NS354", f"the alpha of focal is {what} for {prediction}", argument="alpha")
        if listed:
            fits_classes(self, "alpha", len(self.alpha), prediction.shape[1])  # type: ignore[arg-type]
        return super().wants(given)


class KlDiv(_OfClasses):
    """`kl_div(log_probabilities, target)`: Σ t (log t − input) along `axis`, the divergence of the prediction from the target.

    The mean is over samples (`over = batch`: PyTorch's `batchmean`), or over all numbers (`over = all`: its `mean`). With
    `logits = true` a log-softmax is applied first; with `log_target = true` the target has logarithms too.
    """

    NAME: ClassVar[str] = "kl_div"
    SOURCE: ClassVar[str] = "Kullback & Leibler 1951; torch.nn.KLDivLoss"
    logits: bool = False
    log_target: bool = False
    over: Over = "batch"
    axis: int = 1

    def meaning(self, prediction: TensorType) -> Meaning:
        """Logarithms of probabilities, or logits."""
        return "logits" if self.logits else "log_probabilities"

    def wants(self, given: Mapping[str, TensorType]) -> dict[str, tuple[Wanted, ...]]:
        """Probabilities of the prediction's shape, or their logarithms."""
        prediction = prediction_of(self, given)
        axis = self.class_axis(prediction)
        same_shape(self, given, "input", "target")
        kind: Any = "float" if self.log_target else "share"
        return {"target": (Wanted(kind, prediction.shape),), **masks(self, given, prediction.shape, axis)}


class Ctc(Loss):
    """`ctc(logits, text)`: −log of the probability of all alignments of the target with the prediction's time steps.

    The prediction is `[N, T, C]` (`axis = 1`: `[N, C, T]`), of logits, or of logarithms of probabilities with `logits = false`; class
    `blank` stands for nothing. The target is `[N, S]`, padded with anything behind `target_lengths`. `input_lengths` says how many
    time steps of each sample count. Each sample's loss is divided by its target's length, as in PyTorch; one that no alignment
    fits counts 0 with `zero_infinity`.
    """

    NAME: ClassVar[str] = "ctc"
    SOURCE: ClassVar[str] = "Graves et al. 2006, equations 6 to 8; torch.nn.CTCLoss"
    OPTIONAL: ClassVar[tuple[str, ...]] = ("input_lengths", "target_lengths")
    blank: Annotated[int, Field(ge=0)] = 0
    logits: bool = True
    zero_infinity: bool = True
    axis: Literal[1, 2, -1] = -1

    def meaning(self, prediction: TensorType) -> Meaning:
        """Logits, or logarithms of probabilities."""
        return "logits" if self.logits else "log_probabilities"

    def task(self, prediction: TensorType) -> Task:
        """A sequence of labels."""
        return "sequence"

    def class_axis(self, prediction: TensorType) -> int:
        """The argument `axis`, counted from 0."""
        return self.axis % 3

    def wants(self, given: Mapping[str, TensorType]) -> dict[str, tuple[Wanted, ...]]:
        """Class numbers, as many as there are; and how many count in each sample."""
        prediction = prediction_of(self, given)
        if prediction.rank != 3:
            raise Reject("NS354", f"ctc needs a prediction of samples, time steps and classes: this is {prediction}", argument="input")
        classes, batch = prediction.shape[self.class_axis(prediction)], prediction.shape[:1]
        if isinstance(classes, int) and self.blank >= classes:
            raise Reject("NS354", f"the blank {self.blank} is none of the {classes} classes of {prediction}", argument="blank")
        labels = Wanted("index", (*batch, labels_of(prediction)), classes if isinstance(classes, int) else None)
        return {"target": (labels,), **{name: (Wanted("count", batch),) for name in self.OPTIONAL}}


def labels_of(prediction: TensorType) -> Dim:
    """How many labels a padded target has: an open size that the prediction does not speak of."""
    taken = {name for size in prediction.shape for name in names(size)}
    return Dim.name(next(name for name in ("labels", "symbols", "labels_") if name not in taken))
