"""Layers that stay in float32 by name: those that the user keeps, and those whose signals are known to leave float16's range.

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

if TYPE_CHECKING:
    from netspec.analyses.signal import Signal

#: Root mean squares between which float16 is at ease: the largest element of a wide tensor lies some eight times above, and may go to
#: 65504; below 6e-5 digits are lost.
LEAST, LARGEST = 2.0**-12, 2.0**12


def kept_layers(graph: Graph, weights: Weights, precision: str, labels: Iterable[str]) -> frozenset[str]:
    """The names of the graph's nodes that stay in float32. Raises Refusal NS750 for a label that names none."""
    labels = (labels,) if isinstance(labels, str) else labels
    names = [node.name for node in graph.all_nodes()]
    found = {name for label in labels for name in below(label, names)}
    if precision == "fp16" and isinstance(weights, Initial):
        found |= _out_of_range(graph)
    return frozenset(found)


def below(label: str, names: Collection[str]) -> set[str]:
    """The nodes of a label, and of all that stands below it. Raises Refusal NS750 where there are none."""
    found = {name for name in names if name == label or name.startswith((f"{label}.", f"{label}/", f"{label}:"))}
    if not found:
        raise Refusal("NS750", f"there is no layer `{label}` to keep in float32", helps=suggestion(label, names), status=2)
    return found


def _out_of_range(graph: Graph) -> set[str]:
    """The nodes that read or make values which float16 does not hold when the network has just been initialized."""
    from netspec.analyses.signal import signals

    strained = {number for number, signal in enumerate(signals(graph, train=False).values) if _is_strained(signal)}
    return {node.name for node in graph.nodes if strained.intersection((*node.inputs, *node.outputs))}


def _is_strained(signal: "Signal") -> bool:
    return signal.second is not None and signal.second > 0 and not LEAST**2 <= signal.second <= LARGEST**2
