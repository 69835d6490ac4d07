"""Lints about maps that are resampled and joined: sizes, steps and centres that do not fit."""

from __future__ import annotations

from fractions import Fraction
from typing import Iterator

from netspec.analyses.field import Misalignment, Track, axis_name
from netspec.analyses.lint.facts import Facts
from netspec.analyses.lint.rule import Finding, rule
from netspec.diagnostics.model import Severity
from netspec.graph import Node

#: strides that differ by more do not do so by rounding
_OTHER_SCALE = Fraction(3, 2)
#: by as much does `align_corners` change the step of a map of six positions: (6 - 1) / 6; that of one of twelve, by half of it
_STRETCHED = Fraction(11, 10)
#: so many positions are compared where the field depends on the position's phase
_PHASES = 64
_RESAMPLED = ("resize", "upsample")
_SMOOTH = frozenset({"linear", "bilinear", "trilinear", "bicubic"})


@rule("NS550", Severity.WARNING)
def corners_differ(net: Facts) -> Iterator[Finding]:
    """Linear or cubic resampling with `align_corners` and without it in one network, where that makes a difference: along an axis
    whose typical size changes and is more than 1. Reported where the rarer of the two stands, or the later, if they are as many."""
    told: dict[bool, list[Node]] = {False: [], True: []}
    for node in net.of(*_RESAMPLED):
        before, after = net.shape(node.inputs[0]), net.shape(node.outputs[0])
        if node.op.mode in _SMOOTH and any(n != m and n > 1 for n, m in zip(before[2:], after[2:])):
            told[node.op.align_corners].append(node)
    if not (told[False] and told[True]):
        return
    later = max(told, key=lambda aligned: net.nodes.index(told[aligned][0]))
    rarer = min(told, key=lambda aligned: (len(told[aligned]), aligned is not later))
    other = told[not rarer][0]
    word = str(not rarer).lower()
    for node in told[rarer]:
        yield Finding(
            f"this {node.op.NAME} has `align_corners = {str(rarer).lower()}`, others in this network have `{word}`",
            node,
            also=((other.origin, f"`align_corners = {word}`"),) if other.origin else (),
            helps=("choose one: the two place the same picture differently",),
        )


@rule("NS551", Severity.INFO)
def enlarged_then_joined(net: Facts) -> Iterator[Finding]:
    """A merge that asks for equal sizes which are not equal for all open sizes, of which one is that of a map which was
    interpolated by a factor, and kept its size from there: to the size of the other map, there would be no condition. (What a
    transposed convolution enlarges cannot be told another size.)"""
    labelled = {node.label: node for node in reversed(net.nodes)}
    asked = dict.fromkeys(r.node for r in net.graph.requirements if r.relation == "==" and r.code in ("NS411", "NS412"))
    for label in asked:
        join = labelled.get(label)
        if join is None or len(join.inputs) < 2:
            continue
        for value in join.inputs:
            resampled = _enlarged(net, value)
            others = [v for v in join.inputs if net.graph.values[v].shape[2:] != net.graph.values[value].shape[2:]]
            if resampled is not None and others:
                yield _told(net, join, resampled, others[0])


def _enlarged(net: Facts, value: int) -> Node | None:
    """The interpolation by a factor from which a map has its size."""
    size = net.graph.values[value].shape[2:]
    maker = net.producer.get(value)
    while maker is not None and maker.inputs:
        if maker.op.NAME in _RESAMPLED and getattr(maker.op, "scale", None) is not None:
            return maker
        before = net.graph.values[maker.inputs[0]].shape
        if before[2:] != size:
            return None
        maker = net.producer.get(maker.inputs[0])
    return None


def _told(net: Facts, join: Node, resampled: Node, other: int) -> Finding:
    name = net.graph.values[other].hint or "e"
    parts = [str(p) for p in net.sizes.parts if any(join.label in cause.nodes for cause in p.causes)]
    mode = "" if resampled.op.mode == "nearest" else f", mode = {resampled.op.mode}"
    mode += ", align_corners = true" if resampled.op.align_corners else ""
    return Finding(
        f"this map is joined with one whose size it has only if {', '.join(parts) or 'the input divides'}",
        resampled,
        also=((join.origin, "joined here"),) if join.origin else (),
        helps=(f"`resize(like = {name}{mode})`, where `{name}` is the other map, takes every size",),
    )


@rule("NS552", Severity.WARNING)
def centres_differ(net: Facts) -> Iterator[Finding]:
    """Paths that meet and are centred differently: at the first or the last position of the map the centres of their fields are
    at least half a step of the map apart, and it is not their strides that differ (NS553). Fields that end at the same position
    are meant so, those of causal layers; and so are differences of neighbours. Where one of them was interpolated it is
    information: encoders whose strided kernels are odd are decoded so, and live with it."""
    for join, found in _misaligned(net):
        if join.op.NAME == "sub":
            continue
        step = max(found.strides)
        shift = max(_shifts(net, join, found))
        if step and 2 * shift >= step and not _is_other_scale(net, join, found) and not _is_causal(net, join, found):
            yield Finding(
                f"these branches look {float(shift):g} input positions past each other{_named(net, found)}, in steps of {float(step):g}",
                join,
                severity=Severity.INFO if any(_is_interpolated(net, value) for value in join.inputs) else None,
                notes=(f"position 0 is centred at {' and at '.join(f'{float(c):g}' for c in dict.fromkeys(found.centres))}",),
                helps=("kernels of odd size with the same padding on both sides, or even ones at an even stride, keep the centre",),
            )


def _is_interpolated(net: Facts, value: int) -> bool:
    """Whether a map was interpolated since tensors were last joined on the way to it."""
    maker = net.producer.get(value)
    while maker is not None and maker.op.NAME not in _RESAMPLED and len(maker.inputs) == 1:
        maker = net.producer.get(maker.inputs[0])
    return maker is not None and maker.op.NAME in _RESAMPLED


@rule("NS553", Severity.ERROR)
def strides_differ(net: Facts) -> Iterator[Finding]:
    """Paths that meet, of which one steps at least 3/2 as far over the input as another, so that over the map they drift apart by
    two of the larger steps or more: their maps have equal sizes, and show different parts of the input. (Smaller differences
    come from resampling to odd sizes, and from `align_corners`.)"""
    for join, found in _misaligned(net):
        if _is_other_scale(net, join, found):
            texts = [f"{float(s):g}" for s in dict.fromkeys(found.strides) if s]
            yield Finding(
                f"one position more is {', '.join(texts[:-1])} and {texts[-1]} input positions in the branches that meet here"
                f"{_named(net, found)}: they show different parts of the input",
                join,
                helps=("bring them to one resolution with the same window, not by a crop: pool, stride, or resize",),
            )


def _is_other_scale(net: Facts, join: Node, found: Misalignment) -> bool:
    """Whether the strides are of different scales, and the map is long enough for that to be no matter of rounding."""
    strides = [s for s in found.strides if s]
    if not strides or max(strides) < _OTHER_SCALE * min(strides):
        return False
    return (max(strides) - min(strides)) * _last(net, join, found) >= 2 * max(strides)


def _misaligned(net: Facts) -> Iterator[tuple[Node, Misalignment]]:
    """The joins at which paths disagree, with what disagrees along each axis; without those whose fields are bounds only, and
    those where `align_corners` stretches a map of few positions over one that it has a part in."""
    if not any(len(node.inputs) > 1 for node in net.nodes) or (net.sketch is not None and net.sketch.agrees):
        return
    cornered = _cornered(net)
    for found in net.fields.misaligned:
        join = net.nodes[found.node]
        tracks = _tracks(net, join, found)
        if any(track.approximate for track in tracks):
            continue
        if any(value in cornered for value in join.inputs) and _is_stretched(found) and _overlap(net, join, found, tracks):
            continue
        yield join, found


def _cornered(net: Facts) -> set[int]:
    """The values that come out of a resampling by `align_corners`, or were made of one. It puts the ends of both maps on one
    another, so that a map of few positions (a pyramid's) has other steps and centres on purpose."""
    found: set[int] = set()
    for node in net.nodes:
        if getattr(node.op, "align_corners", False) or any(value in found for value in node.inputs):
            found.update(node.outputs)
    return found


def _is_stretched(found: Misalignment) -> bool:
    strides = [s for s in found.strides if s]
    return bool(strides) and max(strides) >= _STRETCHED * min(strides)


def _overlap(net: Facts, join: Node, found: Misalignment, tracks: list[Track]) -> bool:
    """Whether the fields that meet have a position in common, at the first and at the last position of the map."""
    for position in (0, _last(net, join, found)):
        ends = [end for track in tracks if (end := track.at(position)) is not None]
        if ends and max(first for first, _ in ends) > min(last for _, last in ends):
            return False
    return True


def _tracks(net: Facts, join: Node, found: Misalignment) -> list[Track]:
    """How the fields of what is joined move; without what sees everything."""
    tracks = [net.fields.of(value).get(found.input, {}).get(found.axis) for value in join.inputs]
    return [track for track in tracks if track is not None and not track.whole]


def _last(net: Facts, join: Node, found: Misalignment) -> int:
    """The last position of the map, along the axis that moves the fields."""
    along = net.fields.along(join.outputs[0], found.input, found.axis)
    return 0 if along is None else net.shape(join.outputs[0])[along] - 1


def _shifts(net: Facts, join: Node, found: Misalignment) -> Iterator[Fraction]:
    """How far apart the centres are, in input positions, at the first and at the last position of the map."""
    for position in (0, _last(net, join, found)):
        centres = [c + s * position for s, c in zip(found.strides, found.centres)]
        yield max(centres) - min(centres)


def _is_causal(net: Facts, join: Node, found: Misalignment) -> bool:
    """Whether all fields that meet end at the same position, wherever they begin."""
    tracks = _tracks(net, join, found)
    phases = range(min(_PHASES, max((track.period for track in tracks), default=1)))
    ends = [{seen[1] if (seen := track.at(o)) else None for track in tracks} for o in phases]
    return all(len(same) == 1 and None not in same for same in ends)


def _named(net: Facts, found: Misalignment) -> str:
    value = net.graph.values[found.input]
    if len(value.shape) == 3:
        return ""
    name = axis_name(value, found.axis)
    return f" along {name}" if not name.isdigit() else f" along axis {name}"
