"""Padding of a window: what the words mean in numbers, and how it is put around a tensor where no argument says it.

`same` pads `e - 1` in all for a window of extent `e`, the larger half after, at any stride: torch's `padding='same'`, of
which every stride-th output is kept. `same_upper` is TensorFlow's SAME: `max((ceil(n/s) - 1) s + e - n, 0)` in all, the
larger half after, so the amount depends on the input. Both give `ceil(n / s)` outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from netspec.op import Needs, Site
from netspec.ops._layout import END, size_vector, sliced
from netspec.ops._window import Sides, Window, per_axis
from netspec.sizes.dim import Size, ceil_div, maximum
from netspec.terms import OnnxTerm, TorchTerm, call, op, scalar, vector

Amount = Annotated[int, Field(ge=0)]
#: one number; an entry an axis, each a number or (before, after); or a word
Padding = Amount | tuple[Amount | tuple[Amount, Amount], ...] | Literal["same", "same_upper", "valid"]
Mode = Literal["zeros", "reflect", "replicate", "circular"]

_ONNX_MODE = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def windows(padding: Padding, kernel: object, stride: object, dilation: object, sizes: Sequence[Size]) -> tuple[Window, ...]:
    """The window along each spatial axis of the sizes given. Rejects (NS310) tuples of another length."""
    count = len(sizes)
    plains = zip(per_axis(kernel, count, "kernel"), per_axis(stride, count, "stride"), per_axis(dilation, count, "dilation"))
    bare = [Window(*p) for p in plains]
    if isinstance(padding, str):
        sides = [_named(padding, w, n) for w, n in zip(bare, sizes)]
    else:
        pair = count == 1 and isinstance(padding, tuple) and len(padding) == 2
        entries = (padding,) if pair else per_axis(padding, count, "padding")
        sides = [e if isinstance(e, tuple) else (e, e) for e in entries]
    return tuple(Window(w.kernel, w.stride, w.dilation, *s) for w, s in zip(bare, sides))


def _named(word: str, window: Window, n: Size) -> Sides:
    if word == "valid":
        return 0, 0
    total: Size = window.extent - 1
    if word == "same_upper":
        total = maximum((ceil_div(n, window.stride) - 1) * window.stride + window.extent - n, 0)
    return total // 2, total - total // 2


def check_inside(found: Sequence[Window], sizes: Sequence[Size], mode: str, need: Needs) -> None:
    """What `reflect` (all but the edge) and `circular` padding take from inside must be there (NS402)."""
    if mode not in ("reflect", "circular"):
        return
    for window, n in zip(found, sizes):
        for side in (window.before, window.after):
            least = side + 1 if mode == "reflect" else side
            need.at_least(n, least, f"{mode} padding takes more from inside than there is")


def numbers(found: Sequence[Window]) -> tuple[int, ...] | None:
    """The padding as ONNX attributes have it, all that is before and then all that is after; None where a size is open."""
    flat = [w.before for w in found] + [w.after for w in found]
    fixed = tuple(side for side in flat if isinstance(side, int))
    return fixed if len(fixed) == len(flat) else None


def padded_torch(x: TorchTerm, found: Sequence[Window], mode: str = "zeros", value: float = 0.0) -> TorchTerm:
    """`F.pad`, whose amounts run from the last axis to the first."""
    flat = tuple(side for w in reversed(found) for side in (w.before, w.after))
    if not any(side != 0 for side in flat):
        return x
    if mode != "zeros":
        return call("F.pad", x, flat, mode=mode)
    return call("F.pad", x, flat, value=value) if value else call("F.pad", x, flat)


def padded(x: OnnxTerm, found: Sequence[Window], site: Site, mode: str = "zeros", value: float = 0.0) -> OnnxTerm:
    """ONNX Pad over the spatial axes; `circular` below opset 19, which has no mode for it, is made of Slice and Concat.

    From opset 18 the axes are named: onnxruntime does not fuse a Pad of that form into the pool that follows.
    """
    if all(w.before == 0 and w.after == 0 for w in found):
        return x
    if mode == "circular" and site.opset < 19:
        return _wrapped(x, found, site.input.spatial)
    fill = scalar(value, site.input.dtype) if mode == "zeros" else None
    before, after = [w.before for w in found], [w.after for w in found]
    if site.opset < 18:
        pads = size_vector([0, 0, *before, 0, 0, *after])
        return op("Pad", x, pads, *((fill,) if fill else ()), mode=_ONNX_MODE[mode])
    axes = vector(tuple(range(2, site.input.rank)))
    return op("Pad", x, size_vector(before + after), fill, axes, mode=_ONNX_MODE[mode])


def _wrapped(x: OnnxTerm, found: Sequence[Window], sizes: Sequence[Size]) -> OnnxTerm:
    """The end of each axis before its beginning, its beginning after its end."""
    for axis, (window, n) in enumerate(zip(found, sizes), start=2):
        parts = [x]
        if window.before != 0:
            parts.insert(0, sliced(x, (axis,), (n - window.before,), (END,)))
        if window.after != 0:
            parts.append(sliced(x, (axis,), (0,), (window.after,)))
        x = op("Concat", *parts, axis=axis) if len(parts) > 1 else x
    return x
