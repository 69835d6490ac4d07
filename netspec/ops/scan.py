"""A block applied step by step along an axis: what the language calls `scan(block, over = T)`.

The operator knows what every pass asks of it: roles, types, cost. The block itself stands in the graph, as the node's body.
"""

from __future__ import annotations

from typing import Any, ClassVar, final

from pydantic import BaseModel, ConfigDict, Field

from netspec.op import Limitation, Needs, Operator, Reject, Site
from netspec.reach import All, AxisReach, Causal, Reach, Same
from netspec.sizes.dim import Dim, Size, SizeField, names, product, substitute
from netspec.sizes.tensor import TensorType
from netspec.terms import Torch

#: A tensor type as JSON has it: element type and shape.
Written = tuple[str, tuple[SizeField, ...]]


class Step(BaseModel):
    """One step: the block's name, and the types of what it takes and gives, in sizes that the shapes of its inputs tell.

    It takes first what the scan is applied to (`sliced` says which of it is taken apart), then its states; it gives first what
    is stacked, then its new states, of the types of the old ones. `aligned` says of each input whether an example of the
    batch, the first axis, meets the same example alone. `macs` are those of one step.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", defer_build=True, arbitrary_types_allowed=True)

    NAME: str
    inputs: tuple[Written, ...]
    outputs: tuple[Written, ...]
    sliced: tuple[bool, ...]
    aligned: tuple[bool, ...]
    macs: SizeField = 0

    @property
    def states(self) -> int:
        """How many states are carried from step to step."""
        return len(self.inputs) - len(self.sliced)

    @property
    def stacked(self) -> int:
        """How many outputs every step adds to."""
        return len(self.outputs) - self.states

    def type(self, written: Written, sizes: dict[str, Size]) -> TensorType:
        """A type of the step at these sizes."""
        return TensorType(tuple(substitute(size, sizes) for size in written[1]), written[0])

    def __str__(self) -> str:
        return self.NAME


@final
class Scan(Operator):
    """A block applied to one step after the other along an axis, with states that it carries from step to step.

    An input of the block that is called as one of its outputs is a state: what one step puts out, the next one takes. Of the
    other inputs, a tensor with as many steps along the axis as the first one is taken apart; any other is the same at every
    step. States start as zeros of the shape that the block declares, or are given after the other tensors. Outputs that are no
    states are stacked along the axis, in the order of the inputs; all steps share one set of weights.

    over: the number of steps, open or fixed, which finds the axis in the first tensor.
    axis: the axis of the steps, instead (1).
    reverse: from the last step to the first.
    states: whether the last states are outputs too, by name, behind the others.

    PyTorch: a loop. ONNX: Scan, or the steps themselves, up to 64 of a fixed number.
    """

    NAME: ClassVar[str] = "scan"
    SIGNATURE: ClassVar[str] = "scan(block, over = none, axis = none, reverse = false, states = false)"
    FAMILY: ClassVar[str] = "recurrent"
    ARITY: ClassVar[int | tuple[int, int | None]] = (1, None)

    LIMITATIONS: ClassVar[tuple[Limitation, ...]] = (
        Limitation("torch", "torch.export with an open number of steps", "torch writes the steps out, and so fixes how many there are"),
    )

    step: Step = Field(description="the block")
    axis: int = Field(1, ge=0, description="the axis along which the steps are")
    reverse: bool = Field(False, description="from the last step to the first")
    states: bool = Field(False, description="whether the last states are outputs too")
    initial: bool = Field(False, description="whether the states to start with are inputs")

    def sizes(self, inputs: tuple[TensorType, ...]) -> dict[str, Size]:
        """What the names in the step's types are, for inputs of these types."""
        known: dict[str, Size] = {}
        for number, (given, written) in enumerate(zip(inputs, self.step.inputs)):
            for size, name in zip(self.inner(number, given).shape, written[1]):
                if (own := plain_name(name)) is not None:
                    known.setdefault(own, size)
        return known

    def inner(self, number: int, given: TensorType) -> TensorType:
        """What a step is given of an input."""
        if number >= len(self.step.sliced) or not self.step.sliced[number]:
            return given
        return given.with_shape((*given.shape[: self.axis], *given.shape[self.axis + 1 :]))

    def length(self, inputs: tuple[TensorType, ...]) -> Size:
        """The number of steps."""
        return next(given.shape[self.axis] for given, sliced in zip(inputs, self.step.sliced) if sliced)

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> tuple[TensorType, ...]:
        """The types of the outputs: those of a step with the number of steps at the axis, then those of the states."""
        steps, sizes = self.length(inputs), self.sizes(inputs)
        for number, (given, written) in enumerate(zip(inputs, self.step.inputs)):
            inner, wanted = self.inner(number, given), self.step.type(written, sizes)
            if inner.rank != wanted.rank or inner.dtype != wanted.dtype:
                raise Reject("NS413", f"a step of `{self.step.NAME}` takes {wanted}, and this is {inner}", input=number)
            for left, right in zip(inner.shape, wanted.shape):
                need.equal(left, right, f"what a step of `{self.step.NAME}` takes", "NS413")
        need.at_least(steps, 1, "a scan takes one step at least")
        types = [self.step.type(written, sizes) for written in self.step.outputs]
        stacked = [t.with_shape((*t.shape[: self.axis], steps, *t.shape[self.axis :])) for t in types[: self.step.stacked]]
        return (*stacked, *(types[self.step.stacked :] if self.states else ()))

    def macs(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> Size:
        """Those of a step, at every step."""
        return product((self.length(inputs), substitute(self.step.macs, self.sizes(inputs))))

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """A step sees itself and those before it (all, in reverse), whatever else it is given, whole, and, where the block keeps
        the examples of the batch apart, its own example. (A batch that is not the first axis is an axis like any other.)"""
        found = []
        for number, output in enumerate(outputs):
            stacked = number < self.step.stacked
            found.append(Reach(tuple(self._looks(output.rank, stacked, i, given.rank) for i, given in enumerate(inputs))))
        return tuple(found)

    def _looks(self, rank: int, stacked: bool, number: int, seen: int) -> tuple[AxisReach | None, ...]:
        sliced = number < len(self.step.sliced) and self.step.sliced[number]
        looks: list[AxisReach | None] = []
        for axis in range(rank):
            if stacked and axis == self.axis:
                looks.append(None if not sliced else All(axis) if self.reverse else Causal(axis))
                continue
            inner = axis - (stacked and axis > self.axis)
            there = inner + (sliced and inner >= self.axis)
            same = inner == 0 and self.axis > 0 and self.step.aligned[number]
            looks.append(Same(there) if same else All(there) if there < seen else None)
        return tuple(looks)

    def torch(self, site: Site) -> Torch:
        """Nothing of its own: the back end writes a loop around the node's body."""
        return Torch()


def written(tensor: TensorType) -> Written:
    """A type as the operator keeps it."""
    return tensor.dtype, tensor.shape


def plain_name(size: Any) -> str | None:
    """The name that a size is, if it is one and nothing else."""
    if not isinstance(size, Dim) or len(own := names(size)) != 1:
        return None
    (name,) = own
    return name if Dim.name(name) == size else None
