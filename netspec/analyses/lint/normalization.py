"""Lints about norms: what they undo, and what they need."""

from __future__ import annotations

from math import prod
from typing import Iterator

from netspec.analyses.lint.facts import Facts
from netspec.analyses.lint.flow import behind
from netspec.analyses.lint.kinds import NORMS, inner, is_affine, is_noise
from netspec.analyses.lint.rule import Finding, rule
from netspec.analyses.lint.training import batch
from netspec.diagnostics.model import Severity
from netspec.graph import Node

#: values a channel under which the statistics of batch norm are mostly noise (Wu and He, arXiv:1803.08494, figure 1: error
#: grows from a batch of 16 down)
_FEW = 16


@rule("NS510", Severity.WARNING)
def bias_before_norm(net: Facts) -> Iterator[Finding]:
    """An affine layer with a bias whose only reader is a norm that subtracts each channel's own mean: batch norm, instance
    norm, or group norm with one channel a group. (Layer norm and larger groups subtract a mean over channels.)"""
    for node in net.nodes:
        norm = behind(net, node, ("identity",))
        if is_affine(node) and getattr(inner(node), "bias", False) and norm is not None and _subtracts_channel_mean(net, norm):
            yield Finding(
                f"the bias of this {node.op.NAME} does nothing: the {norm.op.NAME} behind it subtracts every channel's mean",
                node,
                also=((norm.origin, "subtracts the mean"),) if norm.origin else (),
                helps=("leave it out: `bias = false`",),
            )


def _subtracts_channel_mean(net: Facts, norm: Node) -> bool:
    if norm.op.NAME == "group_norm":
        return getattr(norm.op, "groups", 0) == net.shape(norm.inputs[0])[1]
    return norm.op.NAME in ("batch_norm", "instance_norm")


@rule("NS511", Severity.ERROR)
def single_value(net: Facts) -> Iterator[Finding]:
    """A norm that divides a single value by its own deviation: layer norm over one element, group norm over one value a group,
    rms norm over one element (of which only the sign is left); and batch norm over one value a
    channel, positions times examples, where the batch is known: a `train` section says `batch = 1`, or the input's first axis is
    written as 1. Positions are those at the typical sizes. The result is zero (torch refuses to train such a batch norm: "Expected
    more than 1 value per channel"). Instance norm over one value has no shape at all (NS407), nor has group norm for one example."""
    examples = batch(net) if any(net.of("batch_norm")) else None
    for node in net.of("batch_norm", "layer_norm", "group_norm", "rms_norm"):
        if _values(net, node, examples) == 1:
            left = "its sign is all that is left" if node.op.NAME == "rms_norm" else "less its own mean, that is always zero"
            given = f", and the batch {examples}" if node.op.NAME == "batch_norm" else ""
            yield Finding(
                f"this {node.op.NAME} is over a single value: {left}",
                node,
                notes=(f"the input is {net.graph.values[node.inputs[0]].type}{given}",),
                helps=("leave the norm out here, or put it where there is more to take a mean over",),
            )


@rule("NS512", Severity.WARNING)
def few_values(net: Facts) -> Iterator[Finding]:
    """Batch norm over fewer than 16 values a channel, and more than one: examples times positions at the typical sizes, where
    the batch is known (a `train` section's `batch = 4`, or an input whose first axis is a number). Their mean and variance are
    mostly noise: Wu and He, "Group normalization", arXiv:1803.08494, figure 1."""
    if not any(net.of("batch_norm")):
        return
    examples = batch(net)
    for node in net.of("batch_norm"):
        values = _values(net, node, examples)
        if values is not None and 1 < values < _FEW:
            yield Finding(
                f"batch norm estimates each channel's variance from {values} values",
                node,
                notes=(f"the input is {net.graph.values[node.inputs[0]].type}, and the batch {examples}",),
                helps=("a larger batch, or a norm that does not look at the batch: `gn(32)`",),
            )


def _values(net: Facts, node: Node, examples: int | None) -> int | None:
    """How many values a norm takes a mean over; None where that depends on a batch that is not known."""
    shape = net.shape(node.inputs[0])
    if node.op.NAME in ("layer_norm", "rms_norm"):
        return prod(shape[node.op.axis :])
    if node.op.NAME == "group_norm":
        return prod(shape[1:]) // node.op.groups
    return examples * prod(shape[2:]) if examples is not None else None


@rule("NS513", Severity.WARNING)
def dropout_before_norm(net: Facts) -> Iterator[Finding]:
    """Dropout with p above 0 from which a batch norm can be reached without passing another norm. Dropout makes the variance
    larger in training by `1 / (1 - p)`, and batch norm remembers that for evaluation: Li et al., "Understanding the disharmony
    between dropout and batch normalization by variance shift", arXiv:1801.05134."""
    if not any(is_noise(node) for node in net.nodes):
        return
    reached = _next_norms(net)
    for node in filter(is_noise, net.nodes):
        norm = reached.get(node.outputs[0])
        if norm is not None:
            p = node.op.p
            yield Finding(
                f"the batch norm behind this {node.op.NAME} learns a variance that holds in training only",
                node,
                also=((norm.origin, "remembers the variance with dropout"),) if norm.origin else (),
                notes=(f"a share of {p:g} dropped makes the second moment {1 / (1 - p):.3g} times as large",) if p < 1 else (),
                helps=("put the dropout behind the last batch norm",),
            )


def _next_norms(net: Facts) -> dict[int, Node]:
    """For each value: a batch norm that can be reached from it without passing another norm."""
    found: dict[int, Node] = {}
    for node in reversed(net.nodes):
        reached = node if node.op.NAME == "batch_norm" else None
        if node.op.NAME not in NORMS:
            reached = next((found[o] for o in node.outputs if o in found), None)
        if reached is not None:
            found.update(dict.fromkeys(node.inputs, reached))
    return found
