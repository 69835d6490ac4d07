"""Which class of torchmetrics computes a metric, for which task, and what of a batch it is given."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Callable

import torch
from torch import Tensor

from netspec.diagnostics.model import Refusal
from netspec.recipe import metrics as recipe
from netspec.recipe.metric import Metric
from netspec.record import record
from netspec.training.metrics.seen import IGNORED, Seen, View

#: from a batch to what the `update` of torchmetrics takes
Feed = Callable[[Seen], tuple[Tensor, ...]]


@record
class Judge:
    """A metric of torchmetrics: what it is fed with, what its result becomes, and, if it keeps all that it is fed with, that of no rows."""

    metric: Any
    feed: Feed
    finish: Callable[[Tensor], Tensor] = lambda result: result
    nothing: tuple[Tensor, ...] = ()


def make_judge(entry: Metric, view: View, classes: int) -> Judge:
    """The judge of an entry, for a task of so many classes or labels. Raises ModuleNotFoundError without torchmetrics."""
    if isinstance(entry, (recipe.Iou, recipe.Dice)):
        return _overlap(entry, view, classes)
    if entry.NAME in _DECIDED:
        threshold = entry.threshold  # type: ignore[attr-defined]
        return Judge(
            _classifier(_DECIDED[entry.NAME], view, classes, **_decided(entry, view)), lambda s: (s.decisions(threshold), s.target)
        )
    if entry.NAME in _SCORED:
        made = _classifier(_SCORED[entry.NAME], view, classes, **_scored(entry, view))
        rows = (0,) if view.task == "binary" else (0, classes)
        nothing = (torch.zeros(rows), torch.zeros((0,) if view.task == "multiclass" else rows, dtype=torch.int64))
        return Judge(made, lambda s: (s.probabilities, s.target), nothing=nothing)
    if isinstance(entry, recipe.TopK):
        return Judge(_classifier("Accuracy", view, classes, top_k=entry.k, average="micro"), lambda s: (s.scores, s.target))
    if isinstance(entry, recipe.Perplexity):
        return Judge(_of("text", "Perplexity"), lambda s: (s.logs.unsqueeze(0), s.target.unsqueeze(0)))
    if isinstance(entry, recipe.LabelErrorRate):
        return Judge(_of("aggregation", "MeanMetric"), _label_errors)
    return _of_numbers(entry)


#: metrics of decisions, and of probabilities: their names in torchmetrics, less the task
_DECIDED = {
    "accuracy": "Accuracy", "precision": "Precision", "recall": "Recall", "specificity": "Specificity", "f1": "FBetaScore",
    "matthews": "MatthewsCorrCoef", "cohen_kappa": "CohenKappa",
}  # fmt: skip
_SCORED = {"auroc": "AUROC", "average_precision": "AveragePrecision", "calibration_error": "CalibrationError"}


def _decided(entry: Any, view: View) -> dict[str, Any]:
    """Arguments of a metric of decisions."""
    found: dict[str, Any] = {"beta": entry.beta} if isinstance(entry, recipe.F1) else {}
    return found if view.task == "binary" or not hasattr(entry, "average") else {**found, "average": entry.average}


def _scored(entry: Any, view: View) -> dict[str, Any]:
    """Arguments of a metric of probabilities."""
    if isinstance(entry, recipe.CalibrationError):
        return {"n_bins": entry.bins}
    return {"thresholds": entry.thresholds, **({} if view.task == "binary" else {"average": entry.average})}


def _classifier(name: str, view: View, classes: int, **arguments: Any) -> Any:
    """One of torchmetrics' three classes of a metric: what we feed needs no validation."""
    prefix, count = {
        "binary": ("Binary", {}),
        "multiclass": ("Multiclass", {"num_classes": classes}),
        "multilabel": ("Multilabel", {"num_labels": classes, "ignore_index": IGNORED}),
    }[view.task]
    return _of("classification", prefix + name, **count, **arguments, validate_args=False)


def _of(module: str, name: str, **arguments: Any) -> Any:
    return getattr(_torchmetrics(module), name)(**arguments)


def _torchmetrics(module: str) -> Any:
    """A module of torchmetrics. Raises ModuleNotFoundError where it is missing, `Refusal` (NS016) where it cannot be imported."""
    try:
        return import_module(f"torchmetrics.{module}")
    except RuntimeError as error:  # it imports torchvision where there is one, for things that we do not use
        helps = ("pip uninstall torchvision", "or install the torchvision that was built for this PyTorch")
        raise Refusal("NS016", f"torchmetrics cannot be imported: {error}", helps=helps, status=3) from None


def _overlap(entry: recipe.Iou | recipe.Dice, view: View, classes: int) -> Judge:
    """From the counts of each class, of which those that never occur, in targets or predictions, have no part."""
    first = 0 if entry.background else 1
    counts = _classifier("StatScores", view, classes, **({} if view.task == "binary" else {"average": None}))

    def finish(result: Tensor) -> Tensor:
        true, wrong, _, missed = (column.double() for column in result.reshape(-1, 5)[first:, :4].unbind(1))
        both, size = (true, true + wrong + missed) if isinstance(entry, recipe.Iou) else (2 * true, 2 * true + wrong + missed)
        there = size > 0
        return (both[there] / size[there]).mean() if there.any() else torch.ones(())

    return Judge(counts, lambda s: (s.decisions(entry.threshold), s.target), finish)


def _of_numbers(entry: Metric) -> Judge:
    """Metrics of numbers, and of images."""
    if isinstance(entry, recipe.Psnr):
        dim = (1, 2, 3) if entry.per == "sample" else None
        made = _of("image", "PeakSignalNoiseRatio", data_range=(0.0, entry.data_range), dim=dim)
        return Judge(made, _as_images if entry.per == "sample" else lambda s: s.flat)
    if isinstance(entry, recipe.Ssim):
        return Judge(_of("aggregation", "MeanMetric"), lambda s: (_similarity(entry, *s.images),))
    name, arguments, feed = _NUMBERS[entry.NAME]
    return Judge(_of("regression", name, **arguments), feed)


def _as_images(seen: Seen) -> tuple[Tensor, ...]:
    """[N, 1, 1, numbers], whatever the axes of a sample are."""
    return tuple(each.reshape(each.shape[0], 1, 1, -1) for each in seen.images)


def _similarity(entry: recipe.Ssim, prediction: Tensor, target: Tensor) -> Tensor:
    """The mean similarity of each image. torchmetrics mirrors images at their borders; windows that see that do not count."""
    if not len(prediction):
        return prediction.new_zeros(0)
    compute = _torchmetrics("functional.image").structural_similarity_index_measure
    _, found = compute(prediction, target, sigma=1.5, data_range=entry.data_range, return_full_image=True)
    border = entry.WINDOW // 2
    return found[..., border:-border, border:-border].mean((1, 2, 3))


def _label_errors(seen: Seen) -> tuple[Tensor, ...]:
    """The share of edits in the labels of a batch, and how many labels there are. Labels are written as characters, to be compared."""
    view, optional = seen.view, seen.optional
    paths, texts = seen.scores.argmax(view.axis).cpu(), seen.target.long().cpu()
    ends = [_ends(optional.get(name), rows) for name, rows in (("input_lengths", paths), ("target_lengths", texts))]
    found = [_characters(path[:end].unique_consecutive(), view.ignore) for path, end in zip(paths, ends[0])]
    true = [_characters(text[:end], None) for text, end in zip(texts, ends[1])]
    total = sum(map(len, true))
    if not total:
        return seen.scores.new_zeros(0), seen.scores.new_zeros(0)
    share = _torchmetrics("functional.text").char_error_rate(found, true)
    return share.reshape(1).to(seen.scores.device), torch.tensor([float(total)], device=seen.scores.device)


def _ends(lengths: Tensor | None, rows: Tensor) -> list[int]:
    return [rows.shape[1]] * len(rows) if lengths is None else lengths.tolist()


def _characters(labels: Tensor, blank: int | None) -> str:
    """A character a label, of those that are no blank."""
    return "".join(chr(_FIRST + label) for label in labels.tolist() if label != blank)


#: where a stretch of the private characters of Unicode begins, 65,534 of them
_FIRST = 0xF0000


def _flat(seen: Seen) -> tuple[Tensor, ...]:
    return seen.flat


def _columns(seen: Seen) -> tuple[Tensor, ...]:
    return seen.columns


_NUMBERS: dict[str, tuple[str, dict[str, Any], Feed]] = {
    "mae": ("MeanAbsoluteError", {}, _flat),
    "mse": ("MeanSquaredError", {}, _flat),
    "rmse": ("MeanSquaredError", {"squared": False}, _flat),
    "mape": ("MeanAbsolutePercentageError", {}, _flat),
    "r2": ("R2Score", {}, _columns),
    "explained_variance": ("ExplainedVariance", {}, _columns),
    "pearson": ("PearsonCorrCoef", {}, _flat),
}
