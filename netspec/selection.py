"""Which of a network's stored tensors a selector means, in `train` sections: by label, by parameter, or by operator."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Iterable

from netspec import ops

if TYPE_CHECKING:
    from netspec.graph import Graph

#: words for groups of parameters that no label can be: what multiplies, and all that trains
GROUPS = ("weights", "parameters")


def selected(graph: "Graph", selector: str) -> frozenset[str]:
    """The names of the stored tensors, buffers among them, that a selector means; empty where it means none.

    A glob (`*` also crosses dots) of a parameter's name (`fc.weight`, `*.bias`), of the label of a layer, block or family
    (`layer1`, `layer*.*.bn3`), all of which is then meant; without a dot also of a layer's own label, wherever it stands (`bn*`).
    Where nothing is called so, an operator or its short name (`batch_norm`, `fc`: every linear layer), or the local name of
    a parameter (`bias`). `weights` are the trainable tensors that multiply, `parameters` all that train.
    """
    if selector == "parameters":
        return frozenset(w.name for w in graph.weights if w.trainable)
    if selector == "weights":
        return frozenset(w.name for w in graph.weights if w.trainable and w.role == "weight")
    found = {w.name for w in graph.weights if _called(w.name, selector)}
    return frozenset(found or _of_operator(graph, selector) or (w.name for w in graph.weights if selector in (w.local, w.role)))


def all_selected(graph: "Graph", selectors: Iterable[str]) -> frozenset[str]:
    """The names of the stored tensors that any of several selectors means."""
    return frozenset(name for selector in selectors for name in selected(graph, selector))


def _called(name: str, selector: str) -> bool:
    """Whether a tensor, or anything that it stands in, has a label that matches."""
    parts = name.split(".")
    anywhere = "." not in selector
    wholes = (".".join(parts[: end + 1]) for end in range(len(parts)))
    return any(fnmatchcase(whole, selector) for whole in wholes) or (
        anywhere and any(c in selector for c in "*?[") and any(fnmatchcase(part, selector) for part in parts[:-1])
    )


def _of_operator(graph: "Graph", selector: str) -> frozenset[str]:
    full, found = ops.ALIASES.get(selector, selector), set()
    for here in (graph, *graph.all_bodies()):
        for node in here.nodes:
            if full in (node.op.NAME, getattr(getattr(node.op, "layer", None), "NAME", None)):
                found.update(here.weights[number].name for number in node.weights)
    return frozenset(found)
