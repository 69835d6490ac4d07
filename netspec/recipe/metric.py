"""What all metrics have in common: which predictions they judge, and how they are called in logs."""

from __future__ import annotations

from typing import ClassVar, Literal, Mapping

from netspec.op import Reject
from netspec.recipe.entry import Measure, Slot, Wanted
from netspec.recipe.loss import MASKS, Loss, Task, alike, masks, prediction_of, same_shape, without
from netspec.sizes.tensor import TensorType

#: how the numbers of several classes become one: all samples alike, all classes alike, or classes by their number of samples
Average = Literal["micro", "macro", "weighted"]


class Metric(Measure):
    """Base of metrics. Without tensors of its own a metric takes those of the loss's first term that compares two.

    What the numbers of the prediction mean (logits, probabilities) is known from the loss that has the same output; of an output that
    no loss has, they are taken as they are.
    """

    SLOT: ClassVar[Slot] = "metric"
    OPTIONAL: ClassVar[tuple[str, ...]] = MASKS
    #: whether a small value is good, or a large one
    BETTER: ClassVar[Literal["min", "max"]] = "max"
    #: which predictions it judges
    TASKS: ClassVar[tuple[Task, ...]] = ("multiclass", "binary", "multilabel")

    def label(self) -> str:
        """What it is called in logs, and by `monitor`."""
        return self.NAME

    def task(self, prediction: TensorType, loss: Loss | None) -> Task:
        """What is predicted, by the loss of that output; a loss of numbers may be one of classes too (a square error of one-hot ones)."""
        task = loss.task(prediction) if loss is not None else "regression"
        if task in self.TASKS or "regression" in self.TASKS:
            return task if task in self.TASKS else "regression"
        if task != "regression":
            return task
        return "multiclass" if prediction.rank > 1 and prediction.shape[1] != 1 else "binary"

    def class_axis(self, prediction: TensorType, loss: Loss | None) -> int:
        """Along which axis the classes are: the loss's, else 1."""
        return loss.class_axis(prediction) if loss is not None else 1

    def fits(self, prediction: TensorType, loss: Loss | None) -> None:
        """The metric can judge predictions of that loss. Raises `Reject` (NS354)."""
        task = self.task(prediction, loss)
        if task not in self.TASKS:
            what = {"regression": "numbers", "multiclass": "classes", "binary": "a yes or no", "multilabel": "several yes or no"}
            what["sequence"] = "a sequence of labels"
            raise Reject("NS354", f"{self.NAME} is not of {what[task]}, which {prediction} predicts")
        if loss is not None and "regression" in self.TASKS and loss.task(prediction) in ("multiclass", "sequence"):
            raise Reject("NS354", f"{self.NAME} is of numbers, and the target of {loss.NAME} has classes")
        classes = prediction.shape[self.class_axis(prediction, loss)] if task in ("multiclass", "multilabel") else 1
        if not isinstance(classes, int):
            raise Reject("NS354", f"{self.NAME} needs to know how many classes there are: {prediction} leaves it open")

    def wants(self, given: Mapping[str, TensorType]) -> dict[str, tuple[Wanted, ...]]:
        """Anything that could be compared with the prediction: the loss, if it has the same target, is more exact."""
        prediction = prediction_of(self, given)
        shape = prediction.shape
        if "regression" in self.TASKS:
            same_shape(self, given, "input", "target")
            return {"target": tuple(Wanted("float", s) for s in alike(shape)), **masks(self, given, shape)}
        forms = [Wanted("float", s) for s in alike(shape)]
        masked = [masks(self, given, shape)]
        for axis in range(1, len(shape)):
            size = shape[axis]
            forms.append(Wanted("index", without(shape, axis), size if isinstance(size, int) and size > 1 else None))
            masked.append(masks(self, given, without(shape, axis), channels=False) if "mask" not in given else {})
        merged = {name: tuple(dict.fromkeys(w for one in masked for w in one.get(name, ()))) for name in MASKS}
        return {"target": tuple(dict.fromkeys(forms)), **{name: found for name, found in merged.items() if found}}
