"""Axes as they are written: from the front (0 is the batch) or, negative, from the back."""

from __future__ import annotations

from netspec.op import Reject


def axis_of(axis: int, rank: int, argument: str = "axis") -> int:
    """`axis` counted from the front, for a tensor of `rank` axes. Raises NS406 where there is no such axis."""
    if not -rank <= axis < rank:
        span = f"{-rank} to {rank - 1}" if rank else "none"
        raise Reject("NS406", f"axis {axis} of a tensor with {rank} axes", argument=argument, help=f"the axes are {span}")
    return axis % rank


def axes_of(axes: int | tuple[int, ...], rank: int, argument: str = "axis") -> tuple[int, ...]:
    """Several axes counted from the front, in the order written. Raises NS406 for one that is missing or named twice."""
    found = tuple(axis_of(a, rank, argument) for a in ((axes,) if isinstance(axes, int) else axes))
    if len(set(found)) < len(found):
        raise Reject("NS406", "an axis is named twice", argument=argument)
    return found
