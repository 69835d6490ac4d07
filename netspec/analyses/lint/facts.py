"""What rules may know of a network: the graph with its wiring both ways, sizes in numbers, and the other analyses on demand."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Callable, Iterator

from netspec.analyses.lint.sketch import Sketch, sketched
from netspec.analyses.lint.sliding import Slide, slides_of
from netspec.graph import Graph, Node, Tensor
from netspec.sizes.dim import Size, evaluate
from netspec.syntax import tree

if TYPE_CHECKING:
    from netspec.analyses.constraints import ValidSizes
    from netspec.analyses.field import Fields
    from netspec.analyses.signal import Signals


class Facts:
    """A network as rules see it. `module` is the file's syntax tree, None for a graph that came from no text.

    Analyses are run when a rule first asks, and once: a network without a dilation pays for no receptive fields.
    """

    def __init__(self, graph: Graph, module: tree.Module | None = None) -> None:
        self.graph, self.module = graph, module
        self.nodes = graph.nodes
        self.typical = graph.typical
        self.outputs = frozenset(port.value for port in graph.outputs)
        self._numbers: dict[int, tuple[int, ...]] = {}
        self._closed: dict[tuple[Size, ...], tuple[int, ...]] = {}
        self._leading: dict[Callable[[Node], bool], frozenset[int]] = {}

    # -------------------------------------------------------------------------------------------------------- wiring
    @cached_property
    def producer(self) -> dict[int, Node]:
        """The node that makes a value; network inputs have none."""
        return {value: node for node in self.nodes for value in node.outputs}

    @cached_property
    def consumers(self) -> dict[int, tuple[Node, ...]]:
        """The nodes that take a value, in order; a value that nobody takes is not in it."""
        found: dict[int, list[Node]] = {}
        for node in self.nodes:
            for value in dict.fromkeys(node.inputs):
                found.setdefault(value, []).append(node)
        return {value: tuple(nodes) for value, nodes in found.items()}

    def before(self, node: Node, input: int = 0) -> Node | None:
        """The node that makes an input of this one; None where the network's input does."""
        return self.producer.get(node.inputs[input]) if input < len(node.inputs) else None

    def after(self, node: Node) -> tuple[Node, ...]:
        """The nodes that take any output of this one."""
        return tuple(n for value in node.outputs for n in self.consumers.get(value, ()))

    def sole_consumer(self, node: Node) -> Node | None:
        """The one node that takes this one's only output, where nothing else does and it is no output of the network."""
        if len(node.outputs) != 1 or node.outputs[0] in self.outputs:
            return None
        takers = self.consumers.get(node.outputs[0], ())
        return takers[0] if len(takers) == 1 else None

    def of(self, *names: str) -> Iterator[Node]:
        """The nodes of operators of these names, in order."""
        return (node for node in self.nodes if node.op.NAME in names)

    @cached_property
    def live(self) -> frozenset[int]:
        """The values on which some output depends."""
        found = set(self.outputs)
        for node in reversed(self.nodes):
            if any(value in found for value in node.outputs):
                found.update(node.inputs)
        return frozenset(found)

    def leading(self, wanted: Callable[[Node], bool]) -> frozenset[int]:
        """The values from which a node of that kind can be reached; worked out once for each kind."""
        if wanted not in self._leading:
            found: set[int] = set()
            for node in reversed(self.nodes):
                if wanted(node) or any(value in found for value in node.outputs):
                    found.update(node.inputs)
            self._leading[wanted] = frozenset(found)
        return self._leading[wanted]

    # --------------------------------------------------------------------------------------------------------- sizes
    def number(self, size: Size) -> int:
        """A size at the typical values."""
        return size if isinstance(size, int) else evaluate(size, self.typical)

    def shape(self, value: int) -> tuple[int, ...]:
        """A value's shape at the typical sizes."""
        found = self._numbers.get(value)
        if found is None:
            written = self.graph.values[value].shape
            found = self._closed.get(written)
            if found is None:
                found = self._closed[written] = tuple(map(self.number, written))
            self._numbers[value] = found
        return found

    def weight(self, node: Node, local: str = "weight") -> Tensor | None:
        """A stored tensor of a node by its local name, if it has one."""
        return next((self.graph.weights[w] for w in node.weights if self.graph.weights[w].local == local), None)

    @cached_property
    def slides(self) -> "dict[int, tuple[Slide, ...]]":
        """The windows of every convolution and pool, one a spatial axis, by the value that it makes."""
        found = ((node, slides_of(self, node)) for node in self.nodes)
        return {node.outputs[0]: slides for node, slides in found if slides}

    # ------------------------------------------------------------------------------------------------------ analyses
    @cached_property
    def sketch(self) -> "Sketch | None":
        """The geometry of a plain network: what to ask before `fields`. None where it takes the analysis itself."""
        return sketched(self)

    @cached_property
    def fields(self) -> "Fields":
        """Receptive fields of all values (`analyses.field`)."""
        from netspec.analyses.field import fields

        return fields(self.graph)

    @cached_property
    def signals(self) -> "Signals":
        """Signals at initialization (`analyses.signal`)."""
        from netspec.analyses.signal import signals

        return signals(self.graph)

    @cached_property
    def sizes(self) -> "ValidSizes":
        """Valid input sizes (`analyses.constraints`)."""
        from netspec.analyses.constraints import valid_sizes

        return valid_sizes(self.graph)
