"""Reshape and Slice in ONNX so that open sizes stay open, with as little arithmetic on shapes as they allow."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.sizes.dim import Size
from netspec.terms import OnnxTerm, SizeVec, op, vector

#: "to the end", as ONNX's Slice spells it
END = (1 << 63) - 1


def size_vector(sizes: Sequence[Size]) -> OnnxTerm:
    """A vector of sizes: a constant where all are numbers, else computed from the shapes of the inputs."""
    numbers = tuple(s for s in sizes if isinstance(s, int))
    return vector(numbers) if len(numbers) == len(sizes) else SizeVec(tuple(sizes))


def reshaped(term: OnnxTerm, before: tuple[Size, ...], after: tuple[Size, ...]) -> OnnxTerm:
    """`term` of shape `before` in shape `after`, which must hold as many elements.

    In ONNX's target shape 0 copies the input's size at that place, and one -1 stands for whatever is left: an open size
    is written that way where it can be, and computed from the inputs' shapes only where it cannot.
    """
    if before == after:
        return term
    target: list[Size] = [0 if i < len(before) and not isinstance(s, int) and s == before[i] else s for i, s in enumerate(after)]
    left_open = [i for i, s in enumerate(target) if not isinstance(s, int)]
    if len(left_open) == 1:
        target[left_open[0]] = -1
    return op("Reshape", term, size_vector(target))


def sliced(term: OnnxTerm, axes: Sequence[int], starts: Sequence[Size], stops: Sequence[Size], steps: Sequence[int] = ()) -> OnnxTerm:
    """`term` cut to `starts[i]:stops[i]:steps[i]` along `axes[i]`; negative counts from the end, `END` is the end."""
    if not axes:
        return term
    bounds = (size_vector(starts), size_vector(stops), vector(tuple(axes)))
    return op("Slice", term, *bounds, vector(tuple(steps))) if any(s != 1 for s in steps) else op("Slice", term, *bounds)
