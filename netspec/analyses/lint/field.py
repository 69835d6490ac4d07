"""Lints about how much of its input a network sees, and where its parameters are."""

from __future__ import annotations

from math import inf, prod
from typing import Iterator

from netspec.analyses.field import axis_name
from netspec.analyses.lint.facts import Facts
from netspec.analyses.lint.kinds import DROPOUTS, SHAPES, inner, is_affine
from netspec.analyses.lint.rule import Finding, rule
from netspec.diagnostics.model import Severity
from netspec.graph import Node, Port


@rule("NS560", Severity.WARNING)
def sees_too_little(net: Facts) -> Iterator[Finding]:
    """An output without positions of its own (a class, a number: two axes, or all others of size 1) whose receptive field along an
    axis of an input is smaller than the input at its typical size, and that no path sees whole."""
    answers = [port for port in net.graph.outputs if _is_answer(net, port)]
    if not answers or (net.sketch is not None and all(net.sketch.views[port.value].whole for port in answers)):
        return
    for port in answers:
        for source, axes in net.fields.of(port.value).items():
            short = {axis: track.size for axis, track in axes.items() if track.size < net.shape(source)[axis]}
            if short:
                yield _short(net, port, source, short)


def _short(net: Facts, port: Port, source: int, short: dict[int, int | float]) -> Finding:
    value = net.graph.values[source]
    axis, size = next(iter(short.items()))
    names = " and ".join(axis_name(value, a) if not isinstance(value.shape[a], int) else f"axis {a}" for a in short)
    node = net.producer.get(port.value)
    return Finding(
        f"`{port.name}` depends on {size} of the {net.shape(source)[axis]} positions of `{value.name}` along {names}",
        node,
        origin=port.origin,
        helps=("more layers, strides or dilations, or a global pool, so that it sees the input whole",),
    )


def _is_answer(net: Facts, port: Port) -> bool:
    shape = net.shape(port.value)
    return len(shape) <= 2 or prod(shape[2:]) == 1


@rule("NS561", Severity.INFO)
def sees_nothing_new(net: Facts) -> Iterator[Finding]:
    """A convolution with a kernel of more than one tap, in a network whose outputs have no positions, of which every input sees
    the whole network input already, along every axis and over the narrowest path (a "border layer": Richter, Schöning,
    Wiedenroth and Krumnack, arXiv:2106.12307). What sees everything by a global operator does not count."""
    if not all(_is_answer(net, port) for port in net.graph.outputs):
        return
    wide = [node for node in net.nodes if is_affine(node) and any(s.kernel > 1 for s in net.slides.get(node.outputs[0], ()))]
    sketch = net.sketch
    if sketch is not None:
        wide = [node for node in wide if all(p.least >= n for p, n in zip(sketch.views[node.inputs[0]].paths, sketch.lengths))]
    for node in wide:
        seen = [(t.size, net.shape(source)[axis]) for source, axes in net.fields.least(node.inputs[0]).items() for axis, t in axes.items()]
        if seen and all(n <= size < inf for size, n in seen):
            size, n = seen[0]
            yield Finding(
                f"this {node.op.NAME} sees nothing new: each of its inputs sees {size} positions, and the network's input has {n}",
                node,
                helps=("leave it out, make fewer strides before it, or give the network larger inputs",),
            )


@rule("NS562", Severity.INFO)
def heavy_linear(net: Facts) -> Iterator[Finding]:
    """A linear layer with more than half of the parameters of a network of more than three affine layers, or of fewer of which
    another is no linear layer; not behind a map of one position, where its width is that of the channels."""
    layers = {node.label: node for node in net.nodes if is_affine(node)}
    if len(layers) <= 3 and all(inner(node).NAME == "linear" for node in layers.values()):
        return
    weights = net.graph.weights
    total = sum(prod(w.shape) for w in weights if w.trainable)
    for node in layers.values():
        own = sum(prod(weights[w].shape) for w in node.weights if weights[w].trainable)
        if inner(node).NAME == "linear" and 2 * own > total and not _of_one_position(net, node):
            yield Finding(
                f"this linear layer holds {own:,} of the {total:,} parameters ({100 * own // total} %)",
                node,
                helps=("pool to fewer positions before it, or a narrower layer",),
            )


def _of_one_position(net: Facts, node: Node) -> bool:
    """Whether what a layer takes are the channels of a map of one position: after a global pool, flattened or not."""
    value = node.inputs[0]
    while (before := net.producer.get(value)) is not None and before.op.NAME in SHAPES | DROPOUTS and len(net.shape(value)) < 3:
        value = before.inputs[0]
    shape = net.shape(value)
    if len(shape) > 2:
        return prod(shape[2:]) == 1
    return before is not None and not is_affine(before) and len(net.shape(before.inputs[0])) > 2
