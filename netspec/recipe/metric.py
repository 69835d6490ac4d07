"""What all metrics have in common: which predictions they judge, and how they are called in logs."""

from __future__ import annotations

from typing import ClassVar, Literal, Mapping

from netspec.op import Reject
from netspec.recipe.entry import Measure, Slot, Wanted
from netspec.recipe.loss import MASKS, Loss, Task, alike, lacks_channel, masks, prediction_of, same_shape, without
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
        """What it wants beside no loss. Of masks nothing is checked, which may be those of a loss with other classes."""
        return self.beside({name: kind for name, kind in given.items() if name != "mask"}, None)

    def beside(self, given: Mapping[str, TensorType], loss: Loss | None) -> dict[str, tuple[Wanted, ...]]:
        """What the data may have, as of `wants`, where the prediction is judged by that loss, or by none.

        Anything that could be compared with the prediction: the loss, if it has the same target, is more exact.
        """
        prediction = prediction_of(self, given)
        shape, task = prediction.shape, self.task(prediction, loss)
        if "regression" in self.TASKS:
            same_shape(self, given, "input", "target")
            return {"target": tuple(Wanted("float", s) for s in alike(shape)), **masks(self, given, shape)}
        forms = [Wanted("float", s) for s in alike(shape)]
        axis = self.class_axis(prediction, loss)
        if task != "multilabel" and axis < len(shape):
            size = shape[axis]
            forms.append(Wanted("index", without(shape, axis), size if isinstance(size, int) and size > 1 else None))
        return {"target": tuple(dict.fromkeys(forms)), **self._masks(given, task, axis, loss)}

    def _masks(self, given: Mapping[str, TensorType], task: Task, axis: int, loss: Loss | None) -> dict[str, tuple[Wanted, ...]]:
        """Masks of what is right or wrong: of elements, or where every channel is a decision of its own, of channels as the loss has them.

        Where the loss has a number for each channel and the metric one for all, masks are left out that both read, but differently:
        `[N, C]` of `[N, C, T]` is of channels to the loss, and would be of steps to the metric.
        """
        shape = given[self.TENSORS[0]].shape
        pooled = loss is not None and loss.POOLED
        if len(shape) < 2 or (task in ("binary", "multilabel") and not pooled):
            return masks(self, given, shape)
        element = without(shape, axis)
        found = masks(self, given, element, None)
        if pooled or loss is None:
            return found
        ranks = {1, len(shape) if axis == 1 else 1, len(element) if axis != 1 or lacks_channel(len(element), len(shape)) else 1}
        if "mask" in given:
            if given["mask"].rank not in ranks:
                told = f"the mask {given['mask']} is of classes to {loss.NAME}, and {self.NAME} has one number for all of them"
                raise Reject("NS354", told, argument="mask")
            return found
        return {**found, "mask": tuple(form for form in found["mask"] if len(form.shape) in ranks)}
