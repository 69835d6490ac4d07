"""Layers that stay in float32 by name: those that the user keeps, those that lead to a decision, and those whose signals are known to
leave float16's range.

A position that a maximum chooses, or a truth value, turns by the last digit; where data are then placed by it (the unpooling of SegNet), no
bound on the digits is a bound on the result. So all that is computed on the way to such a choice keeps its digits.

What a network's signals are when it has just been initialized is known (`analyses.signal`): an untrained ResNet-110 grows beyond 65504 in
evaluation, an untrained MobileNetV2 fades below what float16 resolves. Of weights from elsewhere nothing is known beforehand:
`verify --precision fp16` measures, and names the layers to keep.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from netspec.backends.weights import Initial, Weights
from netspec.diagnostics.model import Refusal
from netspec.diagnostics.nearest import suggestion
from netspec.graph import Graph
from netspec.record import record

if TYPE_CHECKING:
    from netspec.analyses.signal import Signal

#: Root mean squares between which float16 is at ease: the largest element of a wide tensor lies some eight times above, and may go to
#: 65504; below 6e-5 digits are lost.
LEAST, LARGEST = 2.0**-12, 2.0**12
#: How many times as large as its result an activation's argument is where float16 has no digit left of the result.
CUT = 2.0**8


@record
class Kept:
    """The names of the graph's nodes that stay in float32; of those that are `exact` the weights are stored in float32, too."""

    nodes: frozenset[str] = frozenset()
    exact: frozenset[str] = frozenset()


#: No layer.
NOTHING = Kept()


def kept_layers(graph: Graph, weights: Weights, precision: str, labels: Iterable[str]) -> Kept:
    """The layers that stay in float32. Raises Refusal NS750 for a label that names none."""
    labels = (labels,) if isinstance(labels, str) else labels
    names = [node.name for node in graph.all_nodes()]
    exact = {name for label in labels for name in below(label, names)} | _up_to(graph, _deciders(graph))
    found = set(exact)
    if precision == "fp16" and isinstance(weights, Initial):
        cut, strained = _by_signals(graph)
        found |= strained | _up_to(graph, cut)
    return Kept(frozenset(found), frozenset(exact))


def below(label: str, names: Collection[str]) -> set[str]:
    """The nodes of a label, and of all that stands below it. Raises Refusal NS750 where there are none."""
    found = {name for name in names if name == label or name.startswith((f"{label}.", f"{label}/", f"{label}:"))}
    if not found:
        raise Refusal("NS750", f"there is no layer `{label}` to keep in float32", helps=suggestion(label, names), status=2)
    return found


def _is_float(graph: Graph, value: int) -> bool:
    return graph.values[value].dtype.startswith(("float", "bfloat"))


def _deciders(graph: Graph) -> set[str]:
    """The nodes that make integers or truth values of floats which other floats then depend on."""
    telling: set[int] = set()  # values that are no floats, and that floats depend on
    found: set[str] = set()
    for node in reversed(graph.nodes):
        makes_floats = any(_is_float(graph, number) for number in node.outputs)
        if makes_floats or telling.intersection(node.outputs):
            telling.update(number for number in node.inputs if not _is_float(graph, number))
            if not makes_floats and any(_is_float(graph, number) for number in node.inputs):
                found.add(node.name)
    return found


def _up_to(graph: Graph, names: Collection[str]) -> set[str]:
    """These nodes, and all that they depend on."""
    found: set[str] = set()
    wanted: set[int] = set()
    for node in reversed(graph.nodes):
        if node.name in names or wanted.intersection(node.outputs):
            found.add(node.name)
            wanted.update(node.inputs)
    return found


def _by_signals(graph: Graph) -> tuple[set[str], set[str]]:
    """What is known of a network that has just been initialized: activations that cut signals far larger than what they let through, as
    `clamp` does, so that what comes out is a matter of digits; and nodes that read or make values which float16 does not hold."""
    from netspec.analyses.signal import signals

    found = signals(graph, train=False).values
    strained = {number for number, signal in enumerate(found) if _is_strained(signal)}
    cut = {
        node.name
        for node in graph.nodes
        if node.op.FAMILY == "activation" and len(node.inputs) == 1 and _is_cut(found[node.inputs[0]], found[node.outputs[0]])
    }
    return cut, {node.name for node in graph.nodes if strained.intersection((*node.inputs, *node.outputs))}


def _is_strained(signal: "Signal") -> bool:
    return signal.second is not None and signal.second > 0 and not LEAST**2 <= signal.second <= LARGEST**2


def _is_cut(before: "Signal", after: "Signal") -> bool:
    return before.second is not None and after.second is not None and before.second > CUT**2 * after.second
