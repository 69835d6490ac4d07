"""In which instance of which block the nodes of a model stand: what `functions` makes functions of.

A node of the model remembers the node of the graph that it was lowered from, and that the frame in which it ran. The steps of a scan
that was written out are instances of the block that it runs, one each. What is of no node (arithmetic of sizes, casts) stands where
what it reads is made: sizes of the network's inputs at the outermost level.
"""

from __future__ import annotations

from collections.abc import Iterable

from netspec.backends.onnx.model import Operation
from netspec.graph import Frame, Graph, Node, Scope

#: What an author gave a name of its own; the nodes of a chain or a family of labels count to the block around it.
NAMED = ("block", "def", "net")


class Instance:
    """One application of a block: where in the tree of them it stands, and the scope and frame that it is. `depth` 0 is the network."""

    __slots__ = ("graph", "scope", "frame", "parent", "depth")

    def __init__(self, graph: Graph, frame: Frame, parent: Instance | None) -> None:
        self.graph, self.frame, self.parent = graph, frame, parent
        self.scope: Scope = graph.scopes[frame.scope]
        self.depth: int = parent.depth + 1 if parent is not None else 0


class Nodes:
    """The nodes of a graph and of all its bodies: in which graph each stands, at which place, and which node runs that graph."""

    def __init__(self, graph: Graph) -> None:
        self._places: dict[int, tuple[Graph, int]] = {}
        self.runners: dict[int, Node] = {}
        self._enter(graph)

    def _enter(self, graph: Graph) -> None:
        for number, node in enumerate(graph.nodes):
            self._places[id(node)] = graph, number
            if node.body is not None:
                self.runners[id(graph.bodies[node.body])] = node
        for body in graph.bodies:
            self._enter(body)

    def graph(self, node: Node) -> Graph:
        """The graph that a node is of."""
        return self._places[id(node)][0]

    def place(self, node: Node) -> tuple[Graph, int] | None:
        """The graph that a node is of, and its number there; None for a node from elsewhere."""
        return self._places.get(id(node))


class Instances:
    """The instances that the nodes of one level of a model stand in: of the model, or of the body of one of its nodes."""

    def __init__(self, nodes: Nodes, graph: Graph) -> None:
        self._nodes = nodes
        self._now: dict[int, list[Instance]] = {}
        self._last: dict[int, int] = {}
        self._made: dict[str, Instance] = {}
        self.root = Instance(graph, graph.frames[0], None)
        self._now[id(graph)] = _of_frames(graph, self.root)
        self._last[id(graph)] = -1

    def of(self, operation: Operation) -> Instance:
        """The instance that an operation stands in; operations are to be asked for in their order."""
        if operation.node is None and operation.op_type == "Identity":  # a result under a second name
            return self.root
        place = self._nodes.place(operation.node) if operation.node is not None else None
        found = self._behind(operation.reads) if place is None or not self._is_within(place[0]) else self._in_frame(*place)
        for name in operation.outputs:
            self._made[name] = found
        return found

    def _behind(self, names: Iterable[str]) -> Instance:
        """The innermost instance that makes one of these values."""
        return max((self._made.get(name, self.root) for name in names), key=lambda one: one.depth, default=self.root)

    def _is_within(self, graph: Graph) -> bool:
        """Whether a graph is this level's, or one whose steps are written out in it."""
        runner = self._nodes.runners.get(id(graph))
        return id(graph) in self._now or runner is not None and id(self._nodes.graph(runner)) in self._now

    def _in_frame(self, graph: Graph, number: int) -> Instance:
        key = id(graph)
        if graph is not self.root.graph and number < self._last.get(key, number + 1):  # the first node of a further step
            runner = self._nodes.runners[key]
            around = self._now[id(self._nodes.graph(runner))][runner.frame]
            self._now[key] = _of_frames(graph, Instance(graph, graph.frames[0], around))
        self._last[key] = number
        return self._now[key][graph.nodes[number].frame]


def _of_frames(graph: Graph, root: Instance) -> list[Instance]:
    """For every frame of a graph the instance that its nodes stand in."""
    found = [root]
    for frame in graph.frames[1:]:
        around = found[frame.parent or 0]
        found.append(Instance(graph, frame, around) if graph.scopes[frame.scope].kind in NAMED else around)
    return found
