"""Lints about long ways without a skip, and about residual blocks: what many layers in a row do to signal and gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from netspec.analyses.lint.facts import Facts
from netspec.analyses.lint.flow import Residual, ahead, behind, is_merge, residual
from netspec.analyses.lint.kinds import DROPOUTS, NORMS, SHAPES, is_affine
from netspec.analyses.lint.rule import Finding, rule
from netspec.diagnostics.model import Severity
from netspec.graph import Node

#: layers of batch norm and relu after which the squared gradient at the start is 10^5 of that at the end: 1.467^30
_MANY = 30
#: residual blocks after which a signal that doubles in each is a thousand times as large
_BLOCKS = 10
#: what a block must make of the second moment to count as one that adds a branch of full size
_GROWTH = 1.5
#: saturating activations in a row that leave a deep layer without a gradient (Glorot and Bengio, 2010: four of sigmoid never
#: learnt; one of them may be the last layer's)
_SATURATING = ((("sigmoid", "hard_sigmoid"), 3), (("tanh",), 10))


@rule("NS514", Severity.WARNING)
def deep_norm_chain(net: Facts) -> Iterator[Finding]:
    """More than 30 batch norms with a relu (or relu6) behind them, one after another, on a way along which no tensors are
    joined. At initialization each multiplies the squared gradient by pi / (pi - 1) = 1.467: Yang et al., "A mean field theory of
    batch normalization", arXiv:1902.08129. The finding is at the one that is too many."""
    counts = _along(net, lambda node: node.op.NAME == "batch_norm" and _has_relu(net, node), ())
    for node in net.of("batch_norm"):
        if counts[node.outputs[0]] == _MANY + 1 and counts.get(node.inputs[0]) == _MANY:
            yield Finding(
                f"this is the {_MANY + 1}st batch norm and relu in a row without a skip: gradients explode at initialization",
                node,
                notes=(f"the squared gradient grows by 1.467 in each, by {1.467**_MANY:.1g} in {_MANY}",),
                helps=("add skip connections: `x + (x -> ...)`",),
            )


def _has_relu(net: Facts, norm: Node) -> bool:
    following = behind(net, norm, SHAPES | DROPOUTS)
    return following is not None and following.op.NAME in ("relu", "relu6")


def _along(net: Facts, counts: Callable[[Node], bool], resets: tuple[str, ...] | frozenset[str]) -> dict[int, int]:
    """For each value, how many nodes that count lie on the way to it since the last join of tensors, or operator that resets."""
    found: dict[int, int] = {}
    for node in net.nodes:
        before = 0 if is_merge(node) or node.op.NAME in resets or not node.inputs else found.get(node.inputs[0], 0)
        found.update(dict.fromkeys(node.outputs, before + counts(node)))
    return found


@rule("NS523", Severity.WARNING)
def saturation(net: Facts) -> Iterator[Finding]:
    """The third sigmoid (or hard sigmoid), or the tenth tanh, in a row on a way along which there is neither a norm nor a join
    of tensors. Only activations with an affine layer straight before and another somewhere behind count, so the output's own
    does not. Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010."""
    for names, limit in _SATURATING:
        present = tuple(net.of(*names))
        if len(present) >= limit:
            counts = _along(net, partial(_is_hidden, net, names), NORMS)
            for node in present:
                if counts[node.outputs[0]] == limit and counts.get(node.inputs[0], 0) == limit - 1:
                    yield Finding(
                        f"this is {node.op.NAME} number {limit} in a row: the gradient vanishes on the way back",
                        node,
                        helps=("`relu`, or a norm before each activation, or skips",),
                    )


def _is_hidden(net: Facts, names: tuple[str, ...], node: Node) -> bool:
    """Whether a node is an activation of these names, with an affine layer straight before it and another somewhere behind."""
    if node.op.NAME not in names:
        return False
    before = ahead(net, node, SHAPES | DROPOUTS)
    return node.outputs[0] in net.leading(is_affine) and before is not None and is_affine(before)


# ------------------------------------------------------------------------------------------------------ residual blocks
@rule("NS515", Severity.INFO, on=False)
def last_scale_at_one(net: Facts) -> Iterator[Finding]:
    """A residual branch that ends in batch norm or group norm whose scale does not start at zero. Where it does, every block
    starts as the identity: Goyal et al., "Accurate, large minibatch SGD", arXiv:1706.02677, section 5.1. Off unless asked for."""
    for block in _blocks(net):
        last = block.branch[0]
        scale = net.weight(last)
        if last.op.NAME in ("batch_norm", "group_norm") and scale is not None and scale.init.name != "zeros":
            yield Finding(
                f"the residual branch that ends in this {last.op.NAME} starts at full size",
                last,
                also=((block.sum.origin, "is added here"),) if block.sum.origin else (),
                helps=(f"`init {{ {last.label}: zeros }}` makes the block start as its skip",),
            )


def _blocks(net: Facts) -> Iterator[Residual]:
    """The residual blocks whose branch holds an affine layer."""
    for node in net.of("add"):
        block = residual(net, node)
        if block is not None and any(map(is_affine, block.branch)):
            yield block


@rule("NS516", Severity.WARNING)
def bare_residual_blocks(net: Facts) -> Iterator[Finding]:
    """Ten or more residual blocks with no norm in the branch nor behind the sum, whose skip holds no affine layer and no norm,
    and each of which makes the second moment at initialization at least 1.5 times as large (so no small scale, no zeros at its
    end). Zhang, Dauphin and Ma, "Fixup initialization", arXiv:1901.09321. One finding, at the first of them."""
    blocks = [block for block in _blocks(net) if _is_bare(net, block)]
    if len(blocks) < _BLOCKS:
        return
    grown = [block for block in blocks if _growth(net, block) >= _GROWTH]
    if len(grown) >= _BLOCKS:
        yield Finding(
            f"{len(grown)} residual blocks without a norm or a scale: each adds a branch as large as its skip",
            grown[0].sum,
            helps=("a norm in every branch, a learnt scale that starts small, or zeros in the last layer of each branch",),
        )


def _is_bare(net: Facts, block: Residual) -> bool:
    following = behind(net, block.sum, ("relu",))
    normed = following is not None and following.op.NAME in NORMS
    return not normed and not any(n.op.NAME in NORMS for n in block.branch) and not any(is_affine(n) for n in block.skip)


def _growth(net: Facts, block: Residual) -> float:
    """By what a block multiplies the second moment; 1 where that is not known."""
    skip = next(i for i in block.sum.inputs if i not in block.branch[0].outputs)
    before, after = net.signals.values[skip].second, net.signals.values[block.sum.outputs[0]].second
    return after / before if before and after else 1.0
