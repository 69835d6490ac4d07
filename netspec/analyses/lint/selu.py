"""Lints about SELU, whose fixed point needs its own initializer, its own dropout, and no norm.

Klambauer et al., "Self-normalizing neural networks", arXiv:1706.02515: with weights of variance 1 / fan_in, mean 0 and variance 1
are a fixed point of the layer, and an attractive one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from netspec.analyses.lint.facts import Facts
from netspec.analyses.lint.flow import ahead, behind
from netspec.analyses.lint.initial import main_weight
from netspec.analyses.lint.kinds import DROPOUTS, MOVES, inner, is_affine, is_noise
from netspec.analyses.lint.rule import Finding, rule
from netspec.diagnostics.model import Severity

_POOLS = frozenset({"max_pool", "avg_pool", "global_avg_pool", "global_max_pool"})
#: how far fan_in · Var(w) may be from 1
_TOLERANCE = 0.1


@rule("NS532", Severity.WARNING)
def selu_start(net: Facts) -> Iterator[Finding]:
    """An affine layer with selu behind it (through reshapes, pools and dropout) whose weights do not start with mean 0 and a
    variance within a tenth of 1 / fan_in. Layers under `weight_norm` and `spectral_norm` are left out, as is what has no
    variance (constants, `dirac`, `eye`)."""
    if not any(net.of("selu")):
        return
    from netspec.analyses.signal.law import law_of

    for node in net.nodes:
        if not is_affine(node) or inner(node) is not node.op:
            continue
        following, weight = behind(net, node, MOVES | DROPOUTS | _POOLS), main_weight(net, node)
        found = law_of(weight) if weight is not None and following is not None and following.op.NAME == "selu" else None
        if found is None or weight is None or not found.drawn or not weight.fan_in:
            continue
        size = weight.fan_in * found.second
        if not math.isclose(size, 1.0, abs_tol=_TOLERANCE):
            yield Finding(
                f"`{weight.init.name}` gives the weights before this selu {size:.3g} times the variance of its fixed point, 1 / fan_in",
                node,
                also=((following.origin, "holds mean 0 and variance 1 with lecun_normal alone"),) if following and following.origin else (),
                helps=(f"`init {{ {node.op.NAME}: lecun_normal }}`",),
            )


@rule("NS533", Severity.WARNING)
def selu_dropout(net: Facts) -> Iterator[Finding]:
    """Dropout or channel dropout with p above 0 on what comes, through reshapes and pools, out of a selu. It drops to 0, where
    the fixed point needs the value far below zero: section 2 of the paper, "New dropout technique"."""
    for node in net.of("dropout", "channel_dropout"):
        before = ahead(net, node, MOVES | _POOLS)
        if is_noise(node) and before is not None and before.op.NAME == "selu":
            yield Finding(
                f"{node.op.NAME} behind selu takes mean and variance off their fixed point",
                node,
                also=((before.origin, "keeps mean 0 and variance 1"),) if before.origin else (),
                helps=(f"`alpha_dropout({node.op.p:g})`",),
            )


@rule("NS534", Severity.WARNING)
def selu_norm(net: Facts) -> Iterator[Finding]:
    """A batch norm straight before or straight behind a selu (reshapes, pools and dropout aside). What selu keeps normal by
    itself is normed again: one of the two is there for nothing."""
    for norm in net.of("batch_norm"):
        passing = MOVES | DROPOUTS | _POOLS
        before, after = ahead(net, norm, passing), behind(net, norm, passing)
        other = next((n for n in (before, after) if n is not None and n.op.NAME == "selu"), None)
        if other is not None:
            where = "behind" if other is before else "before"
            yield Finding(
                f"batch norm {where} selu, which keeps mean 0 and variance 1 by itself",
                norm,
                also=((other.origin, "norms by itself"),) if other.origin else (),
                helps=("leave the norm out and start with `lecun_normal`; or keep it, with `relu`",),
            )
