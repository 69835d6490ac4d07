"""What all losses have in common: the axes of a prediction, what its numbers mean, and which shapes fit which."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Mapping

from pydantic import Field

from netspec.op import Reject
from netspec.recipe.entry import Measure, Slot, Wanted
from netspec.sizes.dim import Size, show
from netspec.sizes.solve import Condition
from netspec.sizes.tensor import TensorType

#: what the numbers of a prediction are
Meaning = Literal["logits", "log_probabilities", "probabilities", "values"]
#: what is predicted: one of several classes, one yes or no, several of them, a sequence of labels, or numbers
Task = Literal["multiclass", "binary", "multilabel", "sequence", "regression"]
#: what a mean is over: all numbers, or samples, whose own numbers are then summed (as likelihoods are)
Over = Literal["all", "batch"]
#: one positive weight a class
ClassWeights = Annotated[tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...], Field(min_length=1)]

#: what a computation may be told besides: which elements count, and how many along axis 1 do in each sample
MASKS = ("mask", "lengths")


class Loss(Measure):
    """Base of losses. Each is a mean, so that it does not grow with the batch; `MASKS` restrict what the mean is over."""

    SLOT: ClassVar[Slot] = "loss"
    OPTIONAL: ClassVar[tuple[str, ...]] = MASKS
    #: whether it has one number for all classes of an element together, so that a mask cannot tell them apart
    POOLED: ClassVar[bool] = False

    def meaning(self, prediction: TensorType) -> Meaning:
        """What the numbers of the first tensor are, for metrics."""
        return "values"

    def task(self, prediction: TensorType) -> Task:
        """What is predicted, for metrics."""
        return "regression"

    def class_axis(self, prediction: TensorType) -> int:
        """Along which axis of the first tensor the classes (or channels) are, counted from 0."""
        return 1


def prediction_of(measure: Measure, given: Mapping[str, TensorType], name: str | None = None) -> TensorType:
    """The type of the tensor that the network has to give. Raises `Reject` where the data has it."""
    name = measure.TENSORS[0] if name is None else name
    if name not in given:
        raise Reject("NS354", f"the {name} of {measure.NAME} comes from the network: an output of it belongs here", argument=name)
    return given[name]


def same_shape(measure: Measure, given: Mapping[str, TensorType], left: str, right: str) -> None:
    """Two tensors of the net have one shape. Raises `Reject` where they cannot."""
    if left in given and right in given and not agree(given[left].shape, given[right].shape):
        raise Reject(
            "NS354", f"{measure.NAME} compares tensors of one shape: {given[left]} and {given[right]} are not", argument=right
        )  # fmt: skip


def agree(left: tuple[Size, ...], right: tuple[Size, ...]) -> bool:
    """Whether two shapes may be equal, for some of the open sizes."""
    return len(left) == len(right) and all(Condition("==", a, b).status() is not False for a, b in zip(left, right))


def alike(shape: tuple[Size, ...]) -> tuple[tuple[Size, ...], ...]:
    """The shapes in which data for a prediction of that shape may come: its own, and `[N]` for one number a sample (`[N, 1]`)."""
    return (shape, shape[:1]) if len(shape) == 2 and shape[1] == 1 else (shape,)


def axis_of(measure: Measure, prediction: TensorType, axis: int, least: int = 2) -> int:
    """An axis counted from 0, of an argument that may count from the end. Raises `Reject` where there is none."""
    if prediction.rank < least:
        raise Reject("NS354", f"{measure.NAME} needs a prediction of at least {least} axes: this is {prediction}", argument="input")
    if not -prediction.rank < axis < prediction.rank or axis == 0:
        raise Reject("NS354", f"axis {axis} of {prediction} cannot be that of the classes", argument="axis")
    return axis % prediction.rank


def without(shape: tuple[Size, ...], axis: int) -> tuple[Size, ...]:
    """A shape less one axis."""
    return shape[:axis] + shape[axis + 1 :]


def fits_classes(measure: Measure, field: str, count: int | None, classes: Size) -> None:
    """There is one weight for each class. Raises `Reject`."""
    if count is not None and isinstance(classes, int) and count != classes:
        raise Reject("NS354", f"{field} has {count} numbers for {show(classes)} classes", argument=field)


def masks(
    measure: Measure, given: Mapping[str, TensorType], element: tuple[Size, ...], channel: int | None = 1
) -> dict[str, tuple[Wanted, ...]]:
    """What the data may have for `mask` and `lengths`, where a loss has one number for each element of that shape.

    `channel` is the axis of the elements that is that of the channels, None where they have none. Raises `Reject` where the net's own
    tensor is none of these.
    """
    shapes = mask_shapes(element, channel)
    if "mask" in given and not any(agree(given["mask"].shape, shape) for shape in shapes):
        raise Reject("NS354", f"the mask {given['mask']} does not fit numbers of shape {TensorType(element)}", argument="mask")
    found = {} if "mask" in given else {"mask": tuple(Wanted("mask", shape) for shape in shapes)}
    if "lengths" not in given and len(element) > 1:
        found["lengths"] = (Wanted("count", element[:1]),)
    return found


def mask_shapes(element: tuple[Size, ...], channel: int | None) -> tuple[tuple[Size, ...], ...]:
    """The shapes of masks of such elements. How many axes a mask has says which it is, whatever the sizes are: see `lacks_channel`.

    A mask has the elements' own shape, or lacks axes at its end (a mask of time steps, of samples), or has one channel: in place of
    several, or where elements have none, besides. Of images the mask that lacks one axis lacks the channels: it is one of pixels.
    """
    shapes = [element[:rank] for rank in range(len(element), 0, -1)]
    if channel is not None and lacks_channel(len(element) - 1, len(element)):
        shapes[1] = without(element, channel)
    if len(element) > 2:
        shapes.append((element[0], 1, *element[1:]) if channel is None else (*element[:channel], 1, *element[channel + 1 :]))
    return tuple(dict.fromkeys(shapes))


def lacks_channel(mask: int, elements: int) -> bool:
    """Whether a mask of so many axes is one of pixels, `[N, H, W]`, for elements with so many, channels among them: `[N, C, H, W]`.

    Elements of three axes are sequences, `[N, T, C]`: their mask `[N, T]` lacks the last.
    """
    return mask == elements - 1 and elements >= 4
