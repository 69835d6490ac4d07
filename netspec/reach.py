"""How far an operator looks: per output axis, which positions of an input axis one output position depends on.

`o` is the output index, `n` the input's length, `m` the output's. The analyses compose these maps; see Araujo, Norris
and Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019, doi:10.23915/distill.00021.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Literal, Union

from netspec.record import record


@record
class Same:
    """Position o sees position o of input axis `axis`."""

    axis: int


@record
class Window:
    """Convolution and pooling: o sees `{o * stride - padding + dilation * j : 0 <= j < kernel}`.

    `padding` is what stands before the first element; `mode` says what stands there (only `zeros` is outside the
    input, `reflect` and `replicate` look back inside, `circular` at the other end).
    """

    axis: int
    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    mode: str = "zeros"


@record
class Transposed:
    """Transposed convolution: o sees every i with `i * stride - padding + dilation * j == o` for a tap j."""

    axis: int
    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1


@record
class Resample:
    """Interpolation from n to m positions. `scale` is the given factor, None where sizes decide (`m / n`)."""

    axis: int
    mode: Literal["nearest", "nearest-exact", "linear", "cubic", "area"]
    align_corners: bool = False
    scale: Fraction | None = None
    antialias: bool = False


@record
class Adaptive:
    """Adaptive pooling: o sees `[floor(o n / m), ceil((o + 1) n / m) - 1]`."""

    axis: int


@record
class Blocks:
    """Pixel shuffle (`up`): o sees `floor(o / factor)`; unshuffle: o sees `[factor * o, factor * o + factor - 1]`."""

    axis: int
    factor: int
    up: bool


@record
class Shift:
    """Pad, crop and slice: o sees `o * step + offset` where that is inside the input; `mode` as in `Window`."""

    axis: int
    offset: int
    step: int = 1
    mode: str = "zeros"


@record
class Causal:
    """Recurrence: o sees `[0, o]`."""

    axis: int


@record
class All:
    """Every position of input axis `axis`: global pooling, attention, softmax or a norm over the axis, flattening."""

    axis: int


AxisReach = Union[Same, Window, Transposed, Resample, Adaptive, Blocks, Shift, Causal, All]


@record
class Reach:
    """For one output: `inputs[i][a]` says how output axis `a` looks at input `i`. None: it does not look along an axis
    of that input (the axis is new, or the value there does not depend on it). An input axis that no output axis
    mentions is seen whole (`reduced`), unless it is the batch axis, or it is in `picked`: triples of an input, one of its
    axes and the one index of that axis that is seen.
    """

    inputs: tuple[tuple[AxisReach | None, ...], ...]
    picked: tuple[tuple[int, int, int], ...] = ()


def pointwise(rank: int, inputs: int = 1) -> Reach:
    """Every output position sees the same position of every input, all of rank `rank`."""
    axes = tuple(Same(a) for a in range(rank))
    return Reach((axes,) * inputs)
