"""Lints about windows: strides, kernels and padding that do not fit each other, or the map."""

from __future__ import annotations

from itertools import product
from math import lcm, prod
from typing import Iterator

from netspec.analyses.lint.facts import Facts
from netspec.analyses.lint.kinds import inner
from netspec.analyses.lint.rule import Finding, rule
from netspec.analyses.lint.sliding import Slide, along, other_readers
from netspec.diagnostics.model import Severity
from netspec.graph import Node

#: so many combinations of residues are told apart; beyond, readers are taken one by one
_CELLS = 4096
#: operators that learn a weight for every tap
_WEIGHTED = frozenset({"conv", "local_conv"})


def _windowed(net: Facts) -> Iterator[tuple[Node, tuple[Slide, ...]]]:
    return ((node, net.slides[node.outputs[0]]) for node in net.nodes if node.outputs[0] in net.slides)


@rule("NS540", Severity.WARNING)
def stride_skips(net: Facts) -> Iterator[Finding]:
    """A window that steps so far that some positions of its map, modulo the strides, meet none of its taps, and no other
    reader of the map reads them: neither another window, nor anything else that takes the map or what it was made of in place.
    An axis along which there is one place of the window does not count."""
    for node, slides in _windowed(net):
        axes = [s.axis for s in slides if len(s.residues) < s.step]
        if not axes:
            continue
        others = list(other_readers(net, node))
        readers = [slides, *(net.slides.get(other.outputs[0], ()) if other is not None else () for other in others)]
        if not all(readers):
            continue
        unread, of = _unread(readers)
        if unread:
            slide = next(s for s in slides if s.axis == axes[0])
            yield Finding(
                f"{unread} of {of} positions are never read: this {node.op.NAME} steps {slide.stride} "
                f"with {_extent(slide)}{along(net, node, axes)}",
                node,
                helps=(_cover(slide),),
            )


def _unread(readers: list[tuple[Slide, ...]]) -> tuple[int, int]:
    """How many of a block of positions nobody reads, and how many there are: a block repeats all strides along all axes."""
    sides = [lcm(*(s.step for s in same)) for same in zip(*readers)]
    if prod(sides) > _CELLS:
        readers, sides = readers[:1], [s.step for s in readers[0]]
    read = {cell for slides in readers for cell in product(*(_repeated(s, side) for s, side in zip(slides, sides)))}
    return prod(sides) - len(read), prod(sides)


def _repeated(slide: Slide, side: int) -> list[int]:
    return [p for p in range(side) if p % slide.step in slide.residues]


def _extent(slide: Slide) -> str:
    dilated = f" and a dilation of {slide.dilation}" if slide.dilation > 1 and slide.kernel > 1 else ""
    return f"a kernel of {slide.kernel}{dilated}"


def _cover(slide: Slide) -> str:
    if slide.kernel >= slide.stride:
        return "let stride and dilation have no common divisor"
    return f"a kernel of at least {slide.stride}, or `avg_pool({slide.stride})` before it and stride 1 here"


@rule("NS541", Severity.WARNING)
def even_kernel_same(net: Facts) -> Iterator[Finding]:
    """`padding = same` or `same_upper` around a dilated kernel of even extent, at an odd stride, along an axis with more than
    one position: no tap, and no middle of one step, is the window's centre, so the output is shifted by half a position."""
    for node, slides in _windowed(net):
        word = getattr(inner(node), "padding", None)
        if word not in ("same", "same_upper"):
            continue
        axes = [s for s in slides if s.extent % 2 == 0 and s.stride % 2 == 1 and s.n > 1]
        if axes:
            first = axes[0]
            yield Finding(
                f"`{word}` cannot centre a window of {first.extent}{along(net, node, [s.axis for s in axes])}: "
                "the output is shifted by half a position",
                node,
                notes=(f"{first.before} before, and {first.after} after",),
                helps=("a kernel of odd size",),
            )


@rule("NS542", Severity.WARNING)
def padding_covers_kernel(net: Facts) -> Iterator[Finding]:
    """A window around which zeros are padded so far that at some places, at the typical sizes, all of it lies before the first
    position or behind the last: a padding of at least the dilated kernel, unless the stride passes over those places."""
    for node, slides in _windowed(net):
        blind = [s for s in slides if s.blind]
        if blind and getattr(inner(node), "padding_mode", "zeros") == "zeros":
            first = blind[0]
            yield Finding(
                f"{first.blind} of {first.m} outputs{along(net, node, [s.axis for s in blind])} see nothing but padding: "
                f"it is as large as the kernel's extent of {first.extent}",
                node,
                helps=(f"padding = {first.extent // 2}",),
            )


@rule("NS543", Severity.WARNING)
def kernel_beyond_map(net: Facts) -> Iterator[Finding]:
    """A convolution with a tap that lies in the padding at every place of the window, at the typical sizes: the weights there
    are never used. Padding that is not zeros has data in it."""
    for node, slides in _windowed(net):
        op = inner(node)
        idle = [s for s in slides if s.idle_taps]
        if not idle or op.NAME not in _WEIGHTED or getattr(op, "padding_mode", "zeros") != "zeros":
            continue
        taps, used = prod(s.kernel for s in slides), prod(s.kernel - s.idle_taps for s in slides)
        first = idle[0]
        yield Finding(
            f"{taps - used} of the kernel's {taps} taps never meet the map, which has {first.n} positions"
            f"{along(net, node, [s.axis for s in idle])}",
            node,
            notes=(f"{_extent(first)} spans {first.extent}, with {first.before} and {first.after} of padding",),
            helps=("a smaller dilation" if first.dilation > 1 else "a smaller kernel", "or a larger input"),
        )


@rule("NS547", Severity.INFO)
def stride_drops_end(net: Facts) -> Iterator[Finding]:
    """At the typical sizes the last place of a strided window ends before the map does, one more step would read what is left,
    and no other reader of the map reads as far: the remainder of the division by the stride is larger than the padding."""
    for node, slides in _windowed(net):
        short = [s for s in slides if s.dropped and _reads_farthest(net, node, s)]
        if not short:
            continue
        first = short[0]
        lost = f"last {first.dropped} of {first.n} positions" if first.dropped > 1 else f"last of {first.n} positions"
        padding = first.before + first.after
        yield Finding(
            f"the stride of {first.stride} passes over the {lost}{along(net, node, [s.axis for s in short])}",
            node,
            notes=(f"({first.n} + {padding} - {first.extent}) % {first.stride} is {(first.n + padding - first.extent) % first.stride}",),
            helps=_reach_end(node, first),
        )


def _reads_farthest(net: Facts, node: Node, slide: Slide) -> bool:
    """Whether every other reader of the map is a window that ends no later."""
    for other in other_readers(net, node):
        slides = net.slides.get(other.outputs[0], ()) if other is not None else ()
        if not slides or slides[slide.axis - 2].end >= slide.n - 1 > slide.end:
            return False
    return True


def _reach_end(node: Node, slide: Slide) -> tuple[str, ...]:
    short = slide.n - slide.dropped, slide.n - slide.dropped + slide.stride
    sizes = f"{short[0]} or {short[1]} positions here lose nothing"
    return ("ceil_mode = true", sizes) if node.op.FAMILY == "pool" else ("more padding at the end", sizes)


@rule("NS548", Severity.INFO, on=False)
def uneven_padding(net: Facts) -> Iterator[Finding]:
    """A strided window that uses, at the typical sizes, another amount of padding after the map than before it: even use takes
    `(n + 2 p - k) % s == 0` (Alsallakh, Kokhlikyan, Miglani, Yuan and Reblitz-Richardson, arXiv:2010.02178)."""
    for node, slides in _windowed(net):
        uneven = [s for s in slides if s.stride > 1 and s.before + s.after and s.before != max(0, s.end - s.n + 1)]
        if uneven:
            first = uneven[0]
            used = max(0, first.end - first.n + 1)
            yield Finding(
                f"of the padding, {first.before} is used before the map and {used} after it{along(net, node, [s.axis for s in uneven])}",
                node,
                notes=(f"at {first.n} positions, in steps of {first.stride}",),
                helps=("an input whose sizes leave no remainder: 225 in place of 224 for five halvings",),
            )


@rule("NS549", Severity.INFO)
def dilation_of_one(net: Facts) -> Iterator[Finding]:
    """A dilation other than 1 along an axis where the kernel has one tap, and along no axis where it has more."""
    for node, slides in _windowed(net):
        spread = [s for s in slides if s.dilation > 1]
        if spread and all(s.kernel == 1 for s in spread):
            yield Finding(
                f"a dilation of {spread[0].dilation} does nothing to a kernel of 1", node, helps=("leave it out, or give a larger kernel",)
            )
