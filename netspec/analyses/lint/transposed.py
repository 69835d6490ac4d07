"""Lints about transposed convolutions: how many inputs write to each output."""

from __future__ import annotations

from typing import Iterator

from netspec.analyses.field import overlap
from netspec.analyses.lint.facts import Facts
from netspec.analyses.lint.kinds import inner
from netspec.analyses.lint.rule import Finding, rule
from netspec.analyses.lint.sliding import along
from netspec.diagnostics.model import Severity
from netspec.graph import Node


def _overlaps(net: Facts) -> Iterator[tuple[Node, dict[int, tuple[int, ...]]]]:
    """Every transposed convolution, with how many inputs reach an output by its phase, for each axis with more than one input."""
    for node in net.nodes:
        if inner(node).NAME == "conv_transpose":
            shape = net.shape(node.inputs[0])
            yield node, {axis: counts for axis, counts in overlap(net.graph, node).items() if shape[axis] > 1}


@rule("NS545", Severity.WARNING)
def checkerboard(net: Facts) -> Iterator[Finding]:
    """A transposed convolution in which not all phases of the output get equally many inputs, and each gets one: without
    dilation, the stride does not divide the kernel (Odena, Dumoulin and Olah, Distill 2016, doi:10.23915/distill.00003)."""
    for node, found in _overlaps(net):
        uneven = {axis: counts for axis, counts in found.items() if len(set(counts)) > 1}
        if uneven and all(map(all, found.values())):
            counts = next(iter(uneven.values()))
            stride = len(counts)
            yield Finding(
                f"outputs get {_counted(counts)} inputs in turn{along(net, node, list(uneven))}: a checkerboard",
                node,
                notes=(f"the stride is {stride}; a kernel that {stride} divides overlaps evenly",),
                helps=(f"a kernel of {_next_multiple(node, stride)}, or `upsample({stride})` and a convolution",),
            )


@rule("NS546", Severity.ERROR)
def empty_outputs(net: Facts) -> Iterator[Finding]:
    """A transposed convolution in which some phase of the output gets no input at all: the kernel is smaller than the stride, or
    a dilation shares a divisor with it so that the taps never fall there. Only the bias is there."""
    for node, found in _overlaps(net):
        empty = {axis: counts for axis, counts in found.items() if not all(counts)}
        if empty:
            counts = next(iter(empty.values()))
            yield Finding(
                f"{counts.count(0)} of {len(counts)} outputs{along(net, node, list(empty))} get no input, only the bias",
                node,
                helps=(f"a kernel of at least {len(counts)}, the stride, without dilation",),
            )


def _counted(counts: tuple[int, ...]) -> str:
    return ", ".join(map(str, counts[:-1])) + f" and {counts[-1]}"


def _next_multiple(node: Node, stride: int) -> int:
    kernel = inner(node).kernel
    longest = max(kernel) if isinstance(kernel, tuple) else kernel
    return -(-longest // stride) * stride
