"""Where a value comes from and where it goes, over the operators that do not matter to a rule."""

from __future__ import annotations

from collections.abc import Container

from netspec.analyses.lint.facts import Facts
from netspec.graph import Node
from netspec.record import record

#: how far back the two operands of a sum are followed to where they part
_FAR = 96


def behind(net: Facts, node: Node, passing: Container[str]) -> Node | None:
    """The first node that is not one of `passing` on the only way on from a node; None where ways part or end."""
    following = net.sole_consumer(node)
    while following is not None and following.op.NAME in passing:
        following = net.sole_consumer(following)
    return following


def ahead(net: Facts, node: Node, passing: Container[str], input: int = 0) -> Node | None:
    """The node that makes an input of this one, before any of `passing`; None where the network's input does."""
    before = net.before(node, input)
    while before is not None and before.op.NAME in passing:
        before = net.before(before)
    return before


def maker(net: Facts, value: int, passing: Container[str]) -> Node | None:
    """The node that makes a value, before any of `passing`; None where the network's input does."""
    node = net.producer.get(value)
    return ahead(net, node, passing) if node is not None and node.op.NAME in passing else node


def is_merge(node: Node) -> bool:
    """Whether a node joins several tensors."""
    return len(set(node.inputs)) > 1


@record
class Residual:
    """A sum of a branch and a skip: the node that adds, and the nodes on either way from where the two part, the last first."""

    sum: Node
    branch: tuple[Node, ...]
    skip: tuple[Node, ...]


def residual(net: Facts, node: Node) -> Residual | None:
    """What a sum of two tensors joins: the way with more nodes is the branch, the other the skip, which has fewer (often none).

    Ways are followed along first inputs, up to 96 nodes; None where they do not part within that, or are equally long.
    """
    if node.op.NAME != "add" or not is_merge(node):
        return None
    ways: tuple[list[Node], list[Node]] = ([], [])
    heads = list(node.inputs)
    while heads[0] != heads[1]:
        later = 0 if heads[0] > heads[1] else 1
        maker = net.producer.get(heads[later])
        if maker is None or not maker.inputs or len(ways[later]) == _FAR:
            return None
        ways[later].append(maker)
        heads[later] = min(maker.inputs) if maker.op.NAME == "add" else maker.inputs[0]
    short, long = sorted(ways, key=len)
    return Residual(node, tuple(long), tuple(short)) if len(short) < len(long) else None
