"""Joining tensors: one after the other along an axis they have, or side by side along a new one."""

from typing import ClassVar, final

from netspec.op import Accepts, Needs, Operator, Reject, Rejects, Site
from netspec.ops._axes import axis_of
from netspec.ops._broadcast import known
from netspec.reach import All, AxisReach, Reach, Same, Shift
from netspec.sizes.dim import Size, total
from netspec.sizes.tensor import TensorType
from netspec.terms import In, OnnxTerm, Torch, call, op, vector


def _agree(inputs: tuple[TensorType, ...], name: str) -> None:
    """Rejects inputs of different rank (NS401) or element type (NS403)."""
    for number, tensor in enumerate(inputs[1:], start=1):
        if tensor.rank != inputs[0].rank:
            raise Reject("NS401", f"the inputs of `{name}` have {inputs[0].rank} and {tensor.rank} axes", input=number)
        if tensor.dtype != inputs[0].dtype:
            message = f"the inputs of `{name}` have elements of {inputs[0].dtype} and {tensor.dtype}"
            raise Reject("NS403", message, input=number, help=f"cast({inputs[0].dtype}) first")


def _common(inputs: tuple[TensorType, ...], axis: int, need: Needs, name: str) -> Size:
    """The size along an axis on which all inputs must agree."""
    sizes = tuple(t.shape[axis] for t in inputs)
    for size in sizes[1:]:
        need.equal(sizes[0], size, f"the inputs of a {name} differ along axis {axis}", "NS412")
    return known(*sizes)


@final
class Concat(Operator):
    """Joins tensors one after the other along `axis`; `a ++ b ++ c` is `(a, b, c) -> concat`.

    Any number of tensors of equal rank and element type. The sizes along `axis` add up, all others must be equal: where
    they are open, that becomes a condition on them (NS412), and no input is cut or stretched to fit.

    axis: the axis to join along, by default the channels.

    PyTorch: `torch.cat`, whose default axis is the batch. ONNX: Concat.
    """

    NAME: ClassVar[str] = "concat"
    SYMBOL: ClassVar[str] = "++"
    FAMILY: ClassVar[str] = "merge"
    ARITY: ClassVar[int | tuple[int, int | None]] = (1, None)
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("concat", ("[N, 3, H, W]", "[N, 5, H, W]"), "[N, 8, H, W]", torch="torch.cat((x, y), 1)"),
        Accepts("concat", ("[N, 2, L]", "[N, 3, L]", "[N, C, L]"), "[N, C + 5, L]"),
        Accepts("concat(axis = -1)", ("[N, 2, T]", "[N, 2, S = 4]"), "[N, 2, T + S]"),
        Accepts("concat", ("[N, 4, H = 8, W = 6]", "[N, 4, H // 2 * 2, 2 * (W // 2)]"), "[N, 8, H, W]"),
        Accepts("concat", ("int64 [2, 4]",), "int64 [2, 4]"),
        Rejects("concat", ("[N, 3, 8, 8]", "[N, 3, 8, 9]"), "NS412"),
        Rejects("concat", ("[N, 3, H, 8]", "[N, 3, H + 1, 8]"), "NS412"),
        Rejects("concat", ("[N, 3, 8, 8]", "[N, 3, 8]"), "NS401"),
        Rejects("concat", ("[N, 3]", "int64 [N, 3]"), "NS403"),
        Rejects("concat(axis = 4)", ("[N, 3, 8, 8]", "[N, 3, 8, 8]"), "NS406"),
    )

    axis: int = 1

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """The sizes along `axis` add up; the others must agree."""
        _agree(inputs, self.NAME)
        joined = axis_of(self.axis, inputs[0].rank)
        shape = tuple(
            total(t.shape[a] for t in inputs) if a == joined else _common(inputs, a, need, "concat") for a in range(inputs[0].rank)
        )
        return inputs[0].with_shape(shape)

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """Each position comes from one input: the others do not reach that stretch of the axis."""
        joined = axis_of(self.axis, inputs[0].rank)
        rows: list[tuple[AxisReach | None, ...]] = []
        start: Size = 0
        for tensor in inputs:
            along = Shift(joined, -start) if isinstance(start, int) else All(joined)
            rows.append(tuple(along if a == joined else Same(a) for a in range(tensor.rank)))
            start = start + tensor.shape[joined]
        return (Reach(tuple(rows)),)

    def torch(self, site: Site) -> Torch:
        """`torch.cat((x, y), 1)`."""
        return Torch(forward=call("torch.cat", tuple(In(i) for i in range(len(site.inputs))), self.axis))

    def onnx(self, site: Site) -> OnnxTerm:
        """Concat."""
        return op("Concat", *(In(i) for i in range(len(site.inputs))), axis=axis_of(self.axis, site.input.rank))


@final
class Stack(Operator):
    """Joins tensors of one shape side by side along a new axis: k tensors `[N, D]` give `[N, k, D]`.

    axis: where the new axis stands in the result; negative counts from its end.

    PyTorch: `torch.stack`, whose default axis is 0. ONNX: Unsqueeze of each, then Concat.
    """

    NAME: ClassVar[str] = "stack"
    FAMILY: ClassVar[str] = "merge"
    ARITY: ClassVar[int | tuple[int, int | None]] = (1, None)
    EXAMPLES: ClassVar[tuple[Accepts | Rejects, ...]] = (
        Accepts("stack", ("[N, D]", "[N, D]", "[N, D]"), "[N, 3, D]", torch="torch.stack((x, y, z), 1)"),
        Accepts("stack(axis = -1)", ("[N, 3, H, W]", "[N, 3, H, W]"), "[N, 3, H, W, 2]"),
        Accepts("stack(axis = 0)", ("[4]",), "[1, 4]"),
        Rejects("stack", ("[N, 3]", "[N, 4]"), "NS412"),
        Rejects("stack", ("[N, 3]", "[N, 3, 1]"), "NS401"),
        Rejects("stack", ("[N, 3]", "int64 [N, 3]"), "NS403"),
        Rejects("stack(axis = 3)", ("[N, 3]", "[N, 3]"), "NS406"),
    )

    axis: int = 1

    def shape(self, inputs: tuple[TensorType, ...], need: Needs) -> TensorType:
        """One axis more, as long as there are inputs."""
        _agree(inputs, self.NAME)
        rank = inputs[0].rank
        axis = axis_of(self.axis, rank + 1)
        shape = tuple(_common(inputs, a, need, "stack") for a in range(rank))
        return inputs[0].with_shape((*shape[:axis], len(inputs), *shape[axis:]))

    def reach(self, inputs: tuple[TensorType, ...], outputs: tuple[TensorType, ...]) -> tuple[Reach, ...]:
        """Along the old axes the same position, along the new one nothing."""
        axis = axis_of(self.axis, outputs[0].rank)
        row = tuple(None if a == axis else Same(a - (a > axis)) for a in range(outputs[0].rank))
        return (Reach((row,) * len(inputs)),)

    def torch(self, site: Site) -> Torch:
        """`torch.stack((x, y), 1)`."""
        return Torch(forward=call("torch.stack", tuple(In(i) for i in range(len(site.inputs))), self.axis))

    def onnx(self, site: Site) -> OnnxTerm:
        """Unsqueeze, then Concat."""
        axis = axis_of(self.axis, site.output.rank)
        parts = (op("Unsqueeze", In(i), vector((axis,))) for i in range(len(site.inputs)))
        return op("Concat", *parts, axis=axis)
