"""DOT, put together: nodes in nested clusters, edges and ranks. The only place that imports `graphviz`."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import graphviz

from netspec.backends.diagram.escape import clean
from netspec.backends.diagram.palette import FLOW, INK, PAGE

FONT = "Helvetica"
#: more nodes are laid out with fewer rounds of the network simplex
_MANY = 1000


class Dot:
    """A graph while it grows. Clusters are numbered and may lie in each other; nodes stand in one, or in none."""

    def __init__(self, **attributes: str) -> None:
        self._attributes = {
            "fontname": FONT, "fontsize": "11", "fontcolor": INK, "bgcolor": PAGE, "compound": "true", "newrank": "true", "pad": "0.2",
            "splines": "true", **attributes,
        }  # fmt: skip
        self._nodes: dict[int | None, list[tuple[str, dict[str, str]]]] = defaultdict(list)
        self._clusters: dict[int | None, list[tuple[int, dict[str, str]]]] = defaultdict(list)
        self._edges: list[tuple[str, str, dict[str, str]]] = []
        self._ranks: list[tuple[str, tuple[str, ...]]] = []
        self._count = 0

    def node(self, name: str, cluster: int | None = None, **attributes: str) -> None:
        """A node. An HTML label is given as `html`, a plain text as `text`; `kind` is its class in an SVG."""
        self._nodes[cluster].append((name, _attributes(attributes)))
        self._count += 1

    def cluster(self, number: int, parent: int | None, **attributes: str) -> None:
        """A cluster in another, or in none; attributes as for nodes."""
        self._clusters[parent].append((number, _attributes(attributes)))

    def edge(self, tail: str, head: str, **attributes: str) -> None:
        """An edge; attributes as for nodes."""
        self._edges.append((tail, head, _attributes(attributes)))

    def rank(self, *names: str, kind: str = "same") -> None:
        """Nodes on one rank."""
        self._ranks.append((kind, names))

    def source(self) -> str:
        """The DOT text."""
        graph = graphviz.Digraph("network", graph_attr=self._attributes)
        if self._count > _MANY:
            graph.attr(nslimit="1")
        graph.attr("node", fontname=FONT, fontsize="10", penwidth="1.1")
        graph.attr("edge", fontname=FONT, fontsize="8.5", fontcolor=FLOW, color=FLOW, arrowsize="0.6", penwidth="1.1")
        self._fill(graph, None)
        for kind, names in self._ranks:
            with graph.subgraph(graph_attr={"rank": kind}) as same:
                for name in names:
                    same.node(name)
        for tail, head, attributes in self._edges:
            graph.edge(tail, head, _attributes=attributes)
        return str(graph.source)

    def _fill(self, graph: Any, cluster: int | None) -> None:
        """Write what stands in a cluster, and in those in it. Nesting is as deep as blocks are: far from Python's limit."""
        for name, attributes in self._nodes[cluster]:
            graph.node(name, _attributes=attributes)
        for number, attributes in self._clusters[cluster]:
            with graph.subgraph(name=f"cluster_{number}", graph_attr=attributes) as inner:
                self._fill(inner, number)


def _attributes(given: dict[str, str]) -> dict[str, str]:
    """Attributes as DOT has them: `html` and `text` are labels, `kind` is the class, and a last underscore is for Python alone."""
    found = {name.rstrip("_"): value for name, value in given.items()}
    if "html" in found:
        found["label"] = f"<{found.pop('html')}>"
    if "text" in found:
        found["label"] = graphviz.escape(clean(found.pop("text")))
    if "kind" in found:
        found["class"] = found.pop("kind")
    return found
