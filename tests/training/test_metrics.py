"""Metrics equal scikit-learn's, or their formula in NumPy; batches and processes add up."""

import math
import warnings

import numpy as np
import pytest
import torch
from sklearn import metrics as reference

import netspec
from netspec.diagnostics.model import Refusal
from netspec.network import Net
from netspec.op import Reject
from netspec.recipe import known, lookup
from netspec.recipe.section import Reference, Section, Term
from netspec.recipe.wanted import wanted
from netspec.training.metrics import Metrics, make_metrics

RANDOM = np.random.default_rng(0)
CLASSES, ROWS = 5, 60
LOGITS, LABEL = RANDOM.normal(size=(ROWS, CLASSES)) * 2, RANDOM.integers(0, CLASSES, ROWS)
SCORES, YES = RANDOM.normal(size=(ROWS, 1)), RANDOM.integers(0, 2, ROWS)
MANY = RANDOM.integers(0, 2, (ROWS, CLASSES))
NUMBERS, TRUE = RANDOM.normal(size=(ROWS, 3)), RANDOM.normal(size=(ROWS, 3)) + 2


def section(loss: str, *metrics, given: dict | None = None, **named: str) -> Section:
    """A section of one loss of the output `y` with the column `t`, and metrics without tensors of their own."""
    tensors = {"input": Reference(kind="output", name="y"), "target": Reference(kind="target", name="t")}
    tensors |= {name: Reference(kind="target", name=column) for name, column in named.items()}
    term = Term(measure=lookup("loss", loss)(**(given or {})), tensors=tuple(tensors.items()))
    return Section(loss=(term,), metrics=tuple(Term(measure=metric) for metric in metrics))


def metric(name: str, **given):
    return lookup("metric", name)(**given)


def net(shape: str) -> Net:
    return netspec.loads(f"net a {{ input x: {shape}; output y = x -> relu }}")


def result(shape: str, recipe: Section, prediction: np.ndarray, target: np.ndarray, **columns: np.ndarray) -> dict[str, float]:
    """What metrics say of predictions that come in two batches, of unequal size."""
    metrics = make_metrics(net(shape).graph, recipe)
    for rows in (slice(0, len(prediction) // 3), slice(len(prediction) // 3, None)):
        batch = {name: torch.as_tensor(value[rows]) for name, value in {"t": target, **columns}.items()}
        metrics.update(torch.as_tensor(prediction[rows]).float(), batch)
    return metrics.compute()


def one(shape: str, loss: str, entry, prediction: np.ndarray, target: np.ndarray, given: dict | None = None, **columns) -> float:
    """One metric."""
    (value,) = result(shape, section(loss, entry, given=given), prediction, target, **columns).values()
    return value


def softmax(values: np.ndarray) -> np.ndarray:
    raised = np.exp(values - values.max(1, keepdims=True))
    return raised / raised.sum(1, keepdims=True)


BEST, P = LOGITS.argmax(1), softmax(LOGITS)
OF_CLASSES = {
    "accuracy": reference.accuracy_score(LABEL, BEST),
    "precision": reference.precision_score(LABEL, BEST, average="macro"),
    "recall": reference.recall_score(LABEL, BEST, average="macro"),
    "f1": reference.f1_score(LABEL, BEST, average="macro"),
    "specificity": np.mean([reference.recall_score(LABEL != c, BEST != c) for c in range(CLASSES)]),
    "dice": reference.f1_score(LABEL, BEST, average="macro"),
    "iou": reference.jaccard_score(LABEL, BEST, average="macro"),
    "auroc": reference.roc_auc_score(LABEL, P, multi_class="ovr"),
    "average_precision": np.mean([reference.average_precision_score(LABEL == c, P[:, c]) for c in range(CLASSES)]),
    "matthews": reference.matthews_corrcoef(LABEL, BEST),
    "cohen_kappa": reference.cohen_kappa_score(LABEL, BEST),
    "perplexity": math.exp(reference.log_loss(LABEL, P)),
    "top_k": reference.top_k_accuracy_score(LABEL, P, k=3),
}  # fmt: skip


@pytest.mark.parametrize("name", OF_CLASSES)
def test_of_classes(name: str) -> None:
    entry = metric(name, k=3) if name == "top_k" else metric(name)
    assert one("[N, 5]", "cross_entropy", entry, LOGITS, LABEL) == pytest.approx(OF_CLASSES[name], rel=1e-6, abs=1e-6)
    assert one("[N, 5]", "nll", entry, np.log(P), LABEL) == pytest.approx(OF_CLASSES[name], rel=1e-6, abs=1e-6)


def test_calibration_error() -> None:
    sure, right = P.max(1), BEST == LABEL
    place = np.minimum((sure * 10).astype(int), 9)
    bins = [place == b for b in range(10) if (place == b).any()]
    expected = sum(b.mean() * abs(sure[b].mean() - right[b].mean()) for b in bins)
    assert one("[N, 5]", "cross_entropy", metric("ece", bins=10), LOGITS, LABEL) == pytest.approx(expected, abs=1e-6)


DECIDED = (SCORES[:, 0] > 0).astype(int)
OF_YES_NO = {
    "accuracy": reference.accuracy_score(YES, DECIDED),
    "precision": reference.precision_score(YES, DECIDED),
    "recall": reference.recall_score(YES, DECIDED),
    "f1": reference.f1_score(YES, DECIDED),
    "specificity": reference.recall_score(1 - YES, 1 - DECIDED),
    "dice": reference.f1_score(YES, DECIDED),
    "iou": reference.jaccard_score(YES, DECIDED),
    "auroc": reference.roc_auc_score(YES, SCORES[:, 0]),
    "average_precision": reference.average_precision_score(YES, SCORES[:, 0]),
    "matthews": reference.matthews_corrcoef(YES, DECIDED),
    "cohen_kappa": reference.cohen_kappa_score(YES, DECIDED),
}  # fmt: skip


@pytest.mark.parametrize("name", OF_YES_NO)
def test_of_yes_and_no(name: str) -> None:
    assert one("[N, 1]", "bce_with_logits", metric(name), SCORES, YES) == pytest.approx(OF_YES_NO[name], abs=1e-6)
    p = 1 / (1 + np.exp(-SCORES))
    assert one("[N, 1]", "bce", metric(name), p, YES[:, None].astype(bool)) == pytest.approx(OF_YES_NO[name], abs=1e-6)
    assert one("[N, 1]", "focal", metric(name), SCORES, YES) == pytest.approx(OF_YES_NO[name], abs=1e-6)


def test_a_threshold() -> None:
    expected = reference.recall_score(YES, 1 / (1 + np.exp(-SCORES[:, 0])) > 0.3)
    assert one("[N, 1]", "bce_with_logits", metric("recall", threshold=0.3), SCORES, YES) == pytest.approx(expected)


def test_of_several_yes_and_no() -> None:
    found = result("[N, 5]", section("bce_with_logits", metric("accuracy"), metric("f1"), metric("auroc"), metric("iou")), LOGITS, MANY)
    assert found["accuracy"] == pytest.approx(((LOGITS > 0) == MANY).mean())
    assert found["f1"] == pytest.approx(reference.f1_score(MANY, LOGITS > 0, average="macro"), abs=1e-6)
    assert found["auroc"] == pytest.approx(reference.roc_auc_score(MANY, LOGITS, average="macro"), abs=1e-6)
    assert found["iou"] == pytest.approx(reference.jaccard_score(MANY, LOGITS > 0, average="macro"), abs=1e-6)


OF_NUMBERS = {
    "mae": reference.mean_absolute_error(TRUE, NUMBERS),
    "mse": reference.mean_squared_error(TRUE, NUMBERS),
    "rmse": math.sqrt(reference.mean_squared_error(TRUE, NUMBERS)),
    "mape": reference.mean_absolute_percentage_error(TRUE, NUMBERS),
    "r2": reference.r2_score(TRUE, NUMBERS),
    "explained_variance": reference.explained_variance_score(TRUE, NUMBERS),
    "pearson": np.corrcoef(TRUE.ravel(), NUMBERS.ravel())[0, 1],
}  # fmt: skip


@pytest.mark.parametrize("name", OF_NUMBERS)
def test_of_numbers(name: str) -> None:
    assert one("[N, 3]", "huber", metric(name), NUMBERS, TRUE) == pytest.approx(OF_NUMBERS[name], rel=1e-5)


def test_of_images() -> None:
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    true = RANDOM.random((6, 3, 16, 16)).cumsum(3) / 16
    made = np.clip(true + 0.05 * RANDOM.normal(size=true.shape), 0, 1)
    found = result("[N, 3, 16, 16]", section("mse", metric("psnr"), metric("psnr", per="sample"), metric("ssim")), made, true)
    each = [peak_signal_noise_ratio(t, p, data_range=1) for t, p in zip(true, made)]
    options = {"channel_axis": 0, "data_range": 1, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    similar = np.mean([structural_similarity(t, p, **options) for t, p in zip(true, made)])
    assert found["psnr"] == pytest.approx(peak_signal_noise_ratio(true, made, data_range=1), abs=1e-4)
    assert found["psnr_2"] == pytest.approx(np.mean(each), abs=1e-4)
    assert found["ssim"] == pytest.approx(similar, abs=1e-4)


def test_segmentation_is_counted_by_pixel() -> None:
    logits, label = RANDOM.normal(size=(6, 3, 4, 5)), RANDOM.integers(0, 3, (6, 4, 5))
    best = logits.argmax(1)
    recipe = section("dice", metric("accuracy"), metric("iou"), metric("dice", background=False), given={"ignore_index": 255})
    expected = reference.f1_score(label.ravel(), best.ravel(), average=None)[1:].mean()
    assert result("[N, 3, 4, 5]", recipe, logits, label)["dice"] == pytest.approx(expected)
    label[:, 2] = 255
    kept = label != 255
    found = result("[N, 3, 4, 5]", recipe, logits, label)
    assert found["accuracy"] == pytest.approx((best == label)[kept].mean())
    assert found["iou"] == pytest.approx(reference.jaccard_score(label[kept], best[kept], average="macro"))


def test_masks_of_one_channel() -> None:
    logits, mask = RANDOM.normal(size=(6, 1, 4, 5)), RANDOM.integers(0, 2, (6, 4, 5))
    expected = reference.f1_score(mask.ravel(), (logits > 0).ravel())
    for shaped in (mask, mask[:, None], mask.astype(bool)):
        assert one("[N, 1, 4, 5]", "dice", metric("dice"), logits, shaped) == pytest.approx(expected)


def test_one_hot_targets_and_square_errors() -> None:
    hot = np.eye(CLASSES)[LABEL]
    for loss in ("mse", "cross_entropy"):
        assert one("[N, 5]", loss, metric("accuracy"), LOGITS, hot) == pytest.approx(OF_CLASSES["accuracy"])


def test_what_the_loss_leaves_out_does_not_count() -> None:
    logits, tags, lengths = RANDOM.normal(size=(6, 7, 4)), RANDOM.integers(0, 4, (6, 7)), RANDOM.integers(1, 8, 6)
    keep = np.arange(7) < lengths[:, None]
    expected = (logits.argmax(2) == tags)[keep].mean()
    recipe = section("cross_entropy", metric("accuracy"), given={"axis": -1})
    assert result("[N, T, 4]", recipe, logits, tags, **{"t.lengths": lengths})["accuracy"] == pytest.approx(expected)
    recipe = section("cross_entropy", metric("accuracy"), given={"axis": -1}, mask="valid")
    assert result("[N, T, 4]", recipe, logits, tags, valid=keep)["accuracy"] == pytest.approx(expected)
    recipe = section("mse", metric("mae"), mask="valid")
    wrong = np.abs(logits - logits[::-1])[keep].mean()
    assert result("[N, T, 4]", recipe, logits, logits[::-1].copy(), valid=keep)["mae"] == pytest.approx(wrong)
    many = section("bce_with_logits", metric("accuracy"), mask="valid")
    yes = RANDOM.integers(0, 2, (6, 5))
    part = RANDOM.integers(0, 2, (6, 5)).astype(bool)
    right = ((LOGITS[:6] > 0) == yes)[part].mean()
    assert result("[N, 5]", many, LOGITS[:6], yes, valid=part)["accuracy"] == pytest.approx(right)


def test_a_metric_of_its_own_tensors() -> None:
    spec = "net two { input x: [N, 4]; output y = x -> relu; output z = x -> linear(3) }"
    own = (("input", Reference(kind="output", name="z")), ("target", Reference(kind="target", name="u")))
    recipe = section("mse").with_settings(metrics=(Term(measure=metric("accuracy"), tensors=own), Term(measure=metric("mae"))))
    metrics = make_metrics(netspec.loads(spec).graph, recipe)
    y, z = torch.rand(8, 4), torch.rand(8, 3)
    metrics.update({"y": y, "z": z}, {"t": y + 1, "u": z.argmax(1)})
    assert metrics.compute() == {"accuracy": 1.0, "mae": pytest.approx(1.0)}
    with pytest.raises(Refusal, match="NS354"):
        metrics.update((y, z), {"t": y})


def test_names_and_which_way_is_better() -> None:
    metrics = make_metrics(
        net("[N, 10]").graph, section("cross_entropy", metric("acc"), metric("top_k"), metric("top_k", k=2), metric("acc"))
    )
    assert metrics.names == ("accuracy", "top_5", "top_2", "accuracy_2")
    assert metrics.better("top_5") == "max"
    assert make_metrics(net("[N, 10]").graph, section("mse", metric("rmse"))).better("rmse") == "min"


def test_errors_in_labels() -> None:
    """Edits are counted by the textbook's recursion, labels by `target_lengths`."""
    scores, text = RANDOM.normal(size=(6, 9, 4)), RANDOM.integers(1, 4, (6, 5))
    steps, lengths = RANDOM.integers(1, 10, 6), RANDOM.integers(1, 6, 6)
    edits = 0
    for row in range(6):
        path = scores[row, : steps[row]].argmax(1)
        best = [c for i, c in enumerate(path) if c and (i == 0 or c != path[i - 1])]
        edits += distance(best, list(text[row, : lengths[row]]))
    recipe = section("ctc", metric("cer"), input_lengths="steps")
    found = result("[N, T, 4]", recipe, scores, text, **{"steps": steps, "t.lengths": lengths})
    assert found["label_error_rate"] == pytest.approx(edits / lengths.sum())


def distance(left: list[int], right: list[int]) -> int:
    if not left or not right:
        return len(left) + len(right)
    same = distance(left[1:], right[1:])
    return same if left[0] == right[0] else 1 + min(same, distance(left[1:], right), distance(left, right[1:]))


def test_reset_forgets_and_nothing_is_nan_without_a_word() -> None:
    entries = [metric(name) for name in ("accuracy", "auroc", "matthews", "iou", "perplexity")]
    metrics = make_metrics(net("[N, 5]").graph, section("cross_entropy", *entries))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metrics.compute()
        metrics.update(torch.as_tensor(LOGITS[:0]), {"t": torch.as_tensor(LABEL[:0])})
        metrics.update(torch.as_tensor(LOGITS), {"t": torch.as_tensor(BEST)})
        assert metrics.compute()["accuracy"] == 1
        metrics.reset()
        metrics.update(torch.as_tensor(LOGITS), {"t": torch.as_tensor((BEST + 1) % CLASSES)})
        assert metrics.compute()["accuracy"] == 0
        numbers = make_metrics(net("[N, 1]").graph, section("mse", metric("r2"), metric("pearson")))
        numbers.update(torch.ones(1, 1), {"t": torch.ones(1)})
        assert math.isnan(numbers.compute()["r2"])


def test_metrics_of_processes_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """torchmetrics gathers states by itself: here from a process that has seen the other half."""
    recipe = section("cross_entropy", metric("accuracy"), metric("f1"))
    halves = [make_metrics(net("[N, 5]").graph, recipe) for _ in range(2)]
    for half, rows in zip(halves, (slice(0, 13), slice(13, None))):
        half.update(torch.as_tensor(LOGITS[rows]), {"t": torch.as_tensor(LABEL[rows])})
    together = _synced(halves)
    assert together["accuracy"] == pytest.approx(OF_CLASSES["accuracy"])
    assert together["f1"] == pytest.approx(OF_CLASSES["f1"], abs=1e-6)


def _synced(halves: list[Metrics]) -> dict[str, float]:
    """What the first says if it is told the states of both."""
    for name in halves[0].names:
        mine, other = (half._judges[name][0].metric for half in halves)
        theirs = iter([getattr(other, state) for state in other._defaults])
        mine.distributed_available_fn = lambda: True
        mine.dist_sync_fn = lambda state, group=None, rest=theirs: [state, next(rest)]
    return halves[0].compute()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_precisions(dtype: torch.dtype) -> None:
    metrics = make_metrics(net("[N, 3]").graph, section("mse", metric("mae")))
    metrics.update(torch.as_tensor(NUMBERS).to(dtype), {"t": torch.as_tensor(TRUE).float()})
    assert metrics.compute()["mae"] == pytest.approx(OF_NUMBERS["mae"], rel=1e-2)


UNFIT = {
    "classes of numbers": ("[N, 5]", "cross_entropy", metric("mae")),
    "always among five": ("[N, 5]", "cross_entropy", metric("top_k")),
    "the best of a yes or no": ("[N, 1]", "bce", metric("top_k", k=1)),
    "no background": ("[N, 1, 4, 4]", "dice", metric("dice", background=False)),
    "too small an image": ("[N, 3, 8, 8]", "mse", metric("ssim")),
    "no image": ("[N, 3]", "mse", metric("ssim")),
    "classes of a sequence": ("[N, T, 4]", "ctc", metric("accuracy")),
    "numbers of a sequence": ("[N, T, 4]", "ctc", metric("mae")),
    "labels of classes": ("[N, 5]", "cross_entropy", metric("label_error_rate")),
    "open classes": ("[N, C]", "cross_entropy", metric("accuracy")),
}  # fmt: skip


@pytest.mark.parametrize("case", UNFIT)
def test_what_does_not_fit(case: str) -> None:
    shape, loss, entry = UNFIT[case]
    graph, recipe = net(shape).graph, section(loss, entry)
    with pytest.raises(Refusal, match="NS354"):
        make_metrics(graph, recipe)
    with pytest.raises(Reject) as found:
        wanted(graph, recipe)
    assert found.value.code == "NS354"


def test_every_metric_is_tested() -> None:
    assert {*OF_CLASSES, *OF_YES_NO, *OF_NUMBERS, "psnr", "ssim", "calibration_error", "label_error_rate"} == set(known()["metric"])
