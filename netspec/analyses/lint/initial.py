"""Lints about how weights start: whether signals keep their size, and whether units can become different."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache

from netspec.analyses.lint.facts import Facts
from netspec.analyses.lint.flow import ahead, behind
from netspec.analyses.lint.kinds import ACTIVATIONS, DROPOUTS, MOVES, NORMS, inner, is_affine
from netspec.analyses.lint.rule import Finding, rule
from netspec.diagnostics.model import Severity
from netspec.graph import Node, Tensor
from netspec.initializers import resolve
from netspec.initializers.distributions import Constant, Distribution, Normal, Repeated, TruncatedNormal, Uniform
from netspec.op import Initializer, Reject
from netspec.record import record

_POOLS = frozenset({"max_pool", "avg_pool"})
_QUIET = MOVES | DROPOUTS | _POOLS
#: the factor on a signal, over all layers of one kind, from which an initializer's gain counts as wrong
_OFF = math.log(10)
#: layers that make a chain; a gate (squeeze and excitation) has two, and is meant to be small
_CHAIN = 3
#: below this a logarithm is rounding
_EQUAL = 1e-6
#: what hands its input on, channel by channel, so that what is alike stays alike
_ALIKE = _QUIET | ACTIVATIONS | NORMS | {"global_avg_pool", "global_max_pool", "adaptive_avg_pool", "adaptive_max_pool", "mean"}
#: what starts as torch has it, or follows from another tensor; or has the gain of a network that these rules do not look at whole
_NO_GAIN = ("torch_default", "norm_of", "random_walk", "fixup")


def main_weight(net: Facts, node: Node) -> Tensor | None:
    """The tensor of a layer that its initializer draws: `weight`, or the direction that `weight_norm` stores in its place."""
    for number in node.weights:
        tensor = net.graph.weights[number]
        if tensor.role == "weight" and len(tensor.shape) >= 2:
            return tensor
    return None


def law(tensor: Tensor, init: Initializer | None = None) -> Distribution | None:
    """The distribution that a tensor starts from; None where its initializer does not fit it."""
    return _law(init or tensor.init, tensor.shape, tensor.fan_in, tensor.fan_out)


@lru_cache(maxsize=1024)
def _law(init: Initializer, shape: tuple[int, ...], fan_in: float, fan_out: float) -> Distribution | None:
    try:
        return resolve(init, shape, fan_in, fan_out)
    except Reject:
        return None


# ------------------------------------------------------------------------------------------------------------ the gain
@record
class _Off:
    """How far the gain of layers that start alike is off along a way: the sum of logarithms, the first layer, and their number."""

    total: float
    first: Node
    depth: int


@rule("NS530", Severity.WARNING)
def gain_off(net: Facts) -> Iterator[Finding]:
    """Layers that an `init` section starts alike and with the same activation behind them (no norm between, and another affine
    layer further on), whose factors on the second moment multiply to more than 10 or less than 1/10 along a way without a norm.
    The factor of one layer is that of the signal or of the gradient, whichever is nearer to 1, and 1 where one of them grows and
    the other shrinks: initializers by fan_in, by fan_out and by their mean all have the gain that they have. With gain² of the
    initializer and exact² = 1 / E f², that is |log(gain² / exact²)| · depth > log 10. `random_walk` and `fixup`, whose gains are for
    a depth and for the branches of a network, are left alone."""
    if not any(is_affine(node) and _is_written(net, node) for node in net.nodes):
        return
    carried: dict[int, dict[tuple[str, str], _Off]] = {}
    told: set[tuple[str, str]] = set()
    for node in net.nodes:
        ways = [carried[i] for i in node.inputs if i in carried]
        here = {} if node.op.NAME in NORMS or not ways else max(ways, key=len)
        group = _group(net, node)
        if group is not None:
            old = here.get(group, _Off(0.0, node, 0))
            new = _Off(old.total + _off(net, node), old.first, old.depth + 1)
            here = {**here, group: new}
            if abs(new.total) > _OFF and group not in told and new.depth > 1:
                told.add(group)
                yield _gain_finding(net, group, new)
        if here:
            carried.update(dict.fromkeys(node.outputs, here))


def _gain_finding(net: Facts, group: tuple[str, str], off: _Off) -> Finding:
    first, each = off.first, math.exp(off.total / off.depth)
    better = net.signals.fitting(first.name)
    return Finding(
        f"`{group[0]}` does not fit `{group[1]}`: each such layer multiplies the signal by {each:.3g}",
        first,
        notes=(f"the first {off.depth} of them make of it {math.exp(off.total):.2g}",),
        helps=(f"`init {{ {inner(first).NAME}: {better} }}`",) if better and better != group[0] else (),
    )


def _is_written(net: Facts, node: Node) -> bool:
    weight = main_weight(net, node)
    return weight is not None and weight.init.name not in _NO_GAIN


def _group(net: Facts, node: Node) -> tuple[str, str] | None:
    """The initializer and the activation of a layer that the rule looks at; None for another node."""
    if not is_affine(node) or not _is_written(net, node):
        return None
    activation = behind(net, node, _QUIET)
    weight = main_weight(net, node)
    if weight is None or activation is None or activation.op.NAME not in ACTIVATIONS or activation.outputs[0] not in net.leading(is_affine):
        return None
    return None if law(weight) is None or _only_value(weight) is not None else (str(weight.init), activation.op.NAME)


def _off(net: Facts, node: Node) -> float:
    """The logarithm of a layer's factor on the second moment of an element: forwards or backwards, whichever is nearer to 0; 0
    where their signs differ. (`signals` has the squared norm of the whole gradient, which goes with fan_in.)"""
    factor, weight = net.signals.factor(node.name), main_weight(net, node)
    if factor is None or weight is None or min(factor) <= 0 or not weight.fan_in * weight.fan_out:
        return 0.0
    forward, backward = math.log(factor[0]), math.log(factor[1] * weight.fan_out / weight.fan_in)
    if max(abs(forward), abs(backward)) < _EQUAL or forward * backward <= 0:
        return 0.0
    return min(forward, backward, key=abs)


# ---------------------------------------------------------------------------------------------------------- symmetry
@rule("NS531", Severity.ERROR)
def constant_weights(net: Facts) -> Iterator[Finding]:
    """An affine layer of several units a group whose weights all start at one value, and behind which, on some way on through
    activations, norms, pools, dropout and reshapes alone, stands another affine layer: its units compute the same. Where none stands
    behind (the end of the network, or of a branch that is summed, multiplied or joined) zeros are a way to start, and left alone;
    other constants are a warning: only the loss tells such units apart."""
    for node in net.nodes:
        if not is_affine(node):
            continue
        weight = main_weight(net, node)
        value = _only_value(weight) if weight is not None else None
        if weight is None or value is None or weight.shape[0] // getattr(inner(node), "groups", 1) < 2:
            continue
        following = _affine_behind(net, node)
        if following is not None or value:
            units = net.shape(node.outputs[0])[-1 if inner(node).NAME == "linear" else 1]
            yield Finding(
                f"all weights of this {node.op.NAME} start at {value:g}: its {units} units are one unit, {units} times",
                node,
                also=((following.origin, "gets the same from all of them"),) if following is not None and following.origin else (),
                helps=(f"draw them: `init {{ {inner(node).NAME}: {net.signals.fitting(node.name) or 'he_normal'} }}`",),
                severity=None if following is not None else Severity.WARNING,
            )


def _affine_behind(net: Facts, node: Node) -> Node | None:
    """The first affine layer on any way on from a node through what leaves alike what is alike."""
    waiting, seen = [node], {node.name}
    while waiting:
        for following in net.after(waiting.pop(0)):
            if is_affine(following):
                return following
            if following.op.NAME in _ALIKE and following.name not in seen:
                seen.add(following.name)
                waiting.append(following)
    return None


def _only_value(weight: Tensor) -> float | None:
    """The value at which all of a tensor starts, if it is one."""
    found = law(weight)
    if isinstance(found, Normal):
        return found.mean if found.std == 0 else None
    if isinstance(found, Uniform):
        return found.low if found.low == found.high else None
    return found.value if isinstance(found, Constant) else None


@rule("NS535", Severity.INFO)
def fans_of_torch(net: Facts) -> Iterator[Finding]:
    """An initializer with `compat = torch` on a layer where torch's count of the fan that it uses is not the layer's: fan_out of a
    grouped convolution (torch forgets the groups), both fans of a transposed one (torch has them the wrong way round, and forgets
    the stride)."""
    for node in net.nodes:
        weight = main_weight(net, node) if is_affine(node) else None
        if weight is None or dict(weight.init.arguments).get("compat") != "torch":
            continue
        arguments = tuple((name, value) for name, value in weight.init.arguments if name != "compat")
        true = law(weight, Initializer(weight.init.name, arguments))
        if true != law(weight):
            yield Finding(
                f"torch counts the fans of this {node.op.NAME} wrongly, and `compat = torch` does as torch",
                node,
                notes=(f"`{weight.name}` has fan_in {weight.fan_in:g} and fan_out {weight.fan_out:g}",),
                helps=("leave `compat` out, unless weights are to start as torchvision's do",),
            )


# ------------------------------------------------------------------------------------------------------------- signals
@rule("NS536", Severity.WARNING)
def forward_signal(net: Facts) -> Iterator[Finding]:
    """A chain of three layers or more without a norm among them that multiplies the second moment of the signal, at initialization and in
    training, by more than 1000 or less than 1/1000 (`analyses.signal`). What `random_walk` adds on purpose is not counted: it is the
    mean logarithm of the signal that it holds, which in narrow layers falls where the mean of the square stays."""
    yield from _problems(net, "forward", "the signal")


@rule("NS537", Severity.WARNING)
def backward_signal(net: Facts) -> Iterator[Finding]:
    """A chain of three layers or more without a norm among them that multiplies the squared norm of the gradient, on its way
    back, by more than 1000 or less than 1/1000 (`analyses.signal`). Behind a norm the gradient of a weight falls as the weight
    grows, and cures itself; deep chains of norms are NS514's. What `random_walk` adds is not counted, as in NS536."""
    yield from _problems(net, "backward", "the squared gradient")


def _problems(net: Facts, kind: str, what: str) -> Iterator[Finding]:
    if not _has_chain(net):
        return  # the analysis is not for free
    from netspec.analyses.signal.chains import LIMIT

    places = {node.name: index for index, node in enumerate(net.nodes)}
    for problem in net.signals.problems():
        first, last = sorted((places[problem.first], places[problem.last]))
        if problem.kind != kind or problem.layers < _CHAIN or any(node.op.NAME in NORMS for node in net.nodes[first : last + 1]):
            continue
        if problem.factor > 1 and math.log(problem.factor) - _walked(net, net.nodes[first : last + 1]) <= math.log(LIMIT):
            continue
        does = "explodes" if problem.factor > 1 else "vanishes"
        yield Finding(
            f"{what} {does}: {problem.layers} layers, {problem.first} to {problem.last}, multiply it by {problem.factor:.2g}",
            net.nodes[places[problem.node]],
            helps=(problem.advice,) if problem.advice else (),
        )


def _walked(net: Facts, nodes: Sequence[Node]) -> float:
    """The logarithm of what `random_walk` multiplies the mean square by, beyond what would hold it."""
    total = 0.0
    for weight in (main_weight(net, node) for node in nodes if is_affine(node)):
        found = law(weight) if weight is not None and weight.init.name == "random_walk" else None
        if weight is not None and isinstance(found, Normal):
            holds = 1 if dict(weight.init.arguments).get("nonlinearity") == "linear" else 2
            total += math.log(weight.fan_in * found.std**2 / holds)
    return total


def _has_chain(net: Facts) -> bool:
    """Whether two affine layers follow one another with no norm between."""
    layers: dict[int, int] = {}
    for node in net.nodes:
        before = 0 if node.op.NAME in NORMS else max((layers.get(i, 0) for i in node.inputs), default=0)
        if before and is_affine(node):
            return True
        layers.update(dict.fromkeys(node.outputs, before or int(is_affine(node))))
    return False


# -------------------------------------------------------------------------------------------------------- pixel shuffle
@rule("NS538", Severity.INFO)
def shuffled_weights(net: Facts) -> Iterator[Finding]:
    """A pixel shuffle by 2 or more whose input comes, through an activation, norm or dropout, out of a convolution whose weights
    are drawn one by one, or alike (`icnr`) in numbers that r² does not divide: the r² neighbours that become a square start
    unrelated, which is a checkerboard. Aitken et al., "Checkerboard artifact free sub-pixel convolution", arXiv:1707.02937."""
    for shuffle in net.of("pixel_shuffle"):
        layer = ahead(net, shuffle, ACTIVATIONS | NORMS | DROPOUTS | {"identity"})
        weight = main_weight(net, layer) if layer is not None and is_affine(layer) else None
        r = shuffle.op.factor
        if layer is not None and weight is not None and r > 1 and _unrelated(law(weight), r * r):
            yield Finding(
                f"the {r * r} channels that this pixel_shuffle makes a square of start unrelated: the first outputs are a checkerboard",
                shuffle,
                also=((layer.origin, "draws them one by one"),) if layer.origin else (),
                helps=(
                    *((f"start them alike: `init = icnr({r})`, with a bias of zeros or none",) if inner(layer).NAME == "conv" else ()),
                    f"or enlarge and convolve: `resize({r}) -> conv({net.shape(shuffle.outputs[0])[1]}, 3, padding = 1)`",
                ),
            )


def _unrelated(found: Distribution | None, square: int) -> bool:
    """Whether so many rows in succession are drawn one by one, some of them at least."""
    if isinstance(found, Repeated):
        return bool(found.copies % square) and _unrelated(found.law, square)
    return isinstance(found, (Uniform, Normal, TruncatedNormal))
