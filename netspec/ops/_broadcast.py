"""Elementwise operators of two tensors: how their axes meet.

Axes are aligned from the last one, as in NumPy. Where one is written as 1 the other decides; an open size that merely
may be 1 must equal the other one, because a network that broadcasts only at one picture size is a mistake.
"""

from __future__ import annotations

from itertools import zip_longest

from netspec.op import Needs
from netspec.reach import All, AxisReach, Reach, Same
from netspec.sizes.dim import Size
from netspec.sizes.tensor import TensorType


def broadcast(left: tuple[Size, ...], right: tuple[Size, ...], need: Needs, name: str) -> tuple[Size, ...]:
    """The shape of `left name right`. Sizes that differ are rejected, or become conditions, with code NS411."""
    rank = max(len(left), len(right))
    shape: list[Size] = []
    for back, (a, b) in enumerate(zip_longest(reversed(left), reversed(right), fillvalue=1), start=1):
        if isinstance(a, int) and a == 1:
            shape.append(b)
        elif isinstance(b, int) and b == 1:
            shape.append(a)
        else:
            need.equal(a, b, f"the operands of `{name}` differ along axis {rank - back}", "NS411")
            shape.append(known(a, b))
    return tuple(reversed(shape))


def known(*sizes: Size) -> Size:
    """Of sizes that must be equal, one that is a number, else the first."""
    return next((s for s in sizes if isinstance(s, int)), sizes[0])


def broadcast_reach(inputs: tuple[TensorType, ...], output: TensorType) -> Reach:
    """Each position sees the same one of every input, and along a stretched axis the only one there is."""
    return Reach(tuple(_stretched(i, output) for i in inputs))


def _stretched(tensor: TensorType, output: TensorType) -> tuple[AxisReach | None, ...]:
    new = output.rank - tensor.rank
    axes: list[AxisReach | None] = [None] * new
    for axis, size in enumerate(tensor.shape):
        stretched = isinstance(size, int) and size == 1 and output.shape[new + axis] != 1
        axes.append(All(axis) if stretched else Same(axis))
    return tuple(axes)
