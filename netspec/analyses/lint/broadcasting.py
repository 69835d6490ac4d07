"""The lint about operands that are stretched, and were perhaps not meant to be.

The language stretches an axis only where a 1 is written, so what is left are ranks that differ and maps of one channel.
"""

from __future__ import annotations

from collections.abc import Iterator

from netspec.analyses.lint.facts import Facts
from netspec.analyses.lint.flow import behind
from netspec.analyses.lint.kinds import DROPOUTS, SHAPES
from netspec.analyses.lint.rule import Finding, rule
from netspec.diagnostics.model import Severity
from netspec.graph import Node
from netspec.sizes.dim import Size, show

_BINARY = ("add", "sub", "mul", "div", "pow", "maximum", "minimum")


@rule("NS507", Severity.WARNING)
def silent_broadcast(net: Facts) -> Iterator[Finding]:
    """Either: an elementwise operator of two tensors of different rank that begin with the same axis (the batch) and so do not
    meet along it, for axes are aligned from the last: `[N, 1] - [N]` is `[N, N]`. Or: a sum or difference of a map of one
    channel and a map of several, otherwise of its shape, that was computed from it, as where a skip from an input of one channel
    joins its branch. Not before a softmax: a mask is for all heads of an attention."""
    for node in net.of(*_BINARY):
        if len(node.inputs) != 2:
            continue
        one, two = (net.graph.values[i].shape for i in node.inputs)
        if len(one) != len(two):
            yield from _misaligned(net, node, *sorted((one, two), key=len))
        elif node.op.NAME in ("add", "sub") and len(one) >= 3 and one[2:] == two[2:] and not _is_mask(net, node):
            yield from _stretched_skip(net, node)


def _misaligned(net: Facts, node: Node, short: tuple[Size, ...], long: tuple[Size, ...]) -> Iterator[Finding]:
    if short and short[0] == long[0] and short[0] != 1 and not _is_stored(net, node, len(short)):
        result = net.graph.values[node.outputs[0]].type
        yield Finding(
            f"axes are aligned from the last: {_shown(short)} and {_shown(long)} do not meet along their first axis, and give {result}",
            node,
            helps=(f"give the other operand the missing axes: `unsqueeze({len(short)})`, or take away: `squeeze({len(long) - 1})`",),
        )


def _is_stored(net: Facts, node: Node, rank: int) -> bool:
    """Whether the operand of that rank was written or learnt, and has no batch axis."""
    operand = next(i for i in node.inputs if len(net.graph.values[i].shape) == rank)
    maker = net.producer.get(operand)
    return maker is not None and maker.op.NAME in ("param", "buffer", "constant")


def _stretched_skip(net: Facts, node: Node) -> Iterator[Finding]:
    for skip, branch in (node.inputs, reversed(node.inputs)):
        channels = net.graph.values[branch].shape[1]
        if net.graph.values[skip].shape[1] == 1 and channels != 1 and _depends(net, branch, skip):
            yield Finding(
                f"the one channel of the skip is added to each of the {_text(channels)} channels of its branch",
                node,
                helps=(f"match the channels: `conv({_text(channels)}, 1)` on the skip",),
            )


def _is_mask(net: Facts, node: Node) -> bool:
    following = behind(net, node, SHAPES | DROPOUTS | {"add"})
    return following is not None and following.op.NAME == "softmax"


def _depends(net: Facts, value: int, source: int) -> bool:
    """Whether a value was computed from an earlier one. Values are numbered in the order in which they are made."""
    waiting, seen = [value], {value}
    while waiting:
        maker = net.producer.get(waiting.pop())
        for before in maker.inputs if maker is not None else ():
            if before == source:
                return True
            if before > source and before not in seen:
                seen.add(before)
                waiting.append(before)
    return False


def _shown(shape: tuple[Size, ...]) -> str:
    return f"[{', '.join(map(_text, shape))}]"


def _text(size: Size) -> str:
    return str(size) if isinstance(size, int) else show(size)
