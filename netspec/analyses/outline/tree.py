"""The blocks of a network as a tree: what stands directly in each application of a block, layers and blocks, in order."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection
from functools import cached_property

from netspec.analyses.bodies import with_bodies
from netspec.graph import Graph
from netspec.record import record


@record
class Part:
    """What stands directly in a block: a layer (`frame` is None, `nodes` its number) or a block with all layers in it."""

    nodes: tuple[int, ...]
    frame: int | None = None


class Tree:
    """The frames of a graph, the bodies of its scans among them, with what is in each.

    `graph` is the graph with bodies spliced in; `regions` the bodies by the number of the node that runs them; `aliases` says
    of a value inside of a body which value outside it is (a step's input), and of a scan's output which value inside.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph, self.regions = with_bodies(graph)
        self.runner = {region.frame: number for number, region in self.regions.items()}
        self.aliases = self._aliases()
        self.inside = self._inside()
        self.keys = self._keys()
        self.runs: dict[int, list[tuple[int, ...]]] = {}  # of each frame, as they are found
        self._takes: dict[tuple[int, ...], tuple[int, ...]] = {}
        self._gives: dict[tuple[int, ...], tuple[int, ...]] = {}

    # ------------------------------------------------------------------------------------------------------- the tree
    def home(self, number: int) -> int:
        """The frame in which a node stands: one that runs a body stands in it, as its head."""
        region = self.regions.get(number)
        return self.graph.nodes[number].frame if region is None else region.frame

    def _inside(self) -> dict[int, tuple[int, ...]]:
        """All layers in each frame, those of blocks in it too; frames without any are not there."""
        found: dict[int, list[int]] = defaultdict(list)
        for number in range(len(self.graph.nodes)):
            frame: int | None = self.home(number)
            while frame is not None:
                found[frame].append(number)
                frame = self.graph.frames[frame].parent
        return {frame: tuple(numbers) for frame, numbers in found.items()}

    @cached_property
    def parts(self) -> dict[int, tuple[Part, ...]]:
        """What stands directly in each frame, in the order of its first layer."""
        found: dict[int, list[tuple[int, Part]]] = {frame: [] for frame in self.inside}
        for frame, numbers in self.inside.items():
            parent = self.graph.frames[frame].parent
            if parent is not None:
                found[parent].append((numbers[0], Part(numbers, frame)))
        for number, node in enumerate(self.graph.nodes):
            if number not in self.regions:
                found[node.frame].append((number, Part((number,))))
        return {frame: tuple(part for _, part in sorted(parts, key=lambda p: p[0])) for frame, parts in found.items()}

    @cached_property
    def levels(self) -> dict[int, int]:
        """How many blocks each frame stands in: 0 for the net itself."""
        found: dict[int, int] = {}
        for frame in sorted(self.inside):
            parent = self.graph.frames[frame].parent
            found[frame] = 0 if parent is None else found[parent] + 1
        return found

    # -------------------------------------------------------------------------------------------------------- names
    def _keys(self) -> dict[int, str]:
        """A name for each frame: its path, with a number where a shared block is applied again."""
        seen: dict[str, int] = defaultdict(int)
        keys = {}
        for number in sorted(self.inside):
            path = self.graph.scopes[self.graph.frames[number].scope].path
            seen[path] += 1
            keys[number] = path if seen[path] == 1 else f"{path}:{seen[path]}"
        return keys

    def anonymous(self, frame: int) -> bool:
        """Whether a frame is a mere chain of layers in brackets, which has no definition that could stand for it."""
        return self.graph.scopes[self.graph.frames[frame].scope].kind == "chain"

    def call(self, frame: int) -> str:
        """A block as one would write it: `bottleneck(width = 128, stride = 2)`; empty for chains."""
        return call(self.graph, frame)

    # ---------------------------------------------------------------------------------------------------- connections
    @cached_property
    def producers(self) -> dict[int, int]:
        """The node that makes each value; inputs of the network have none."""
        return {value: number for number, node in enumerate(self.graph.nodes) for value in node.outputs}

    @cached_property
    def shared(self) -> frozenset[int]:
        """The weights that several layers use."""
        used = Counter(weight for node in self.graph.nodes for weight in dict.fromkeys(node.weights))
        return frozenset(weight for weight, times in used.items() if times > 1)

    @cached_property
    def uses(self) -> dict[int, list[int]]:
        """The nodes that take each value, under the name that it has where it is made; -1 stands for an output of the network."""
        found: dict[int, list[int]] = defaultdict(list)
        for number in range(len(self.graph.nodes)):
            for value in self.inputs(number):
                found[value].append(number)
        for port in self.graph.outputs:
            found[self.source(port.value)].append(-1)
        return found

    def source(self, value: int) -> int:
        """The value as it is called where it is made: outside of a scan for what a step takes, inside for what a scan gives."""
        while value in self.aliases:
            value = self.aliases[value]
        return value

    def whole(self, value: int) -> int:
        """The same tensor as it is called farthest outside of the scans that it goes through on its way from where it is made."""
        found, depth, least = value, 0, 0
        while value in self.aliases:
            depth += 1 if value in self._stacked else -1
            value = self.aliases[value]
            if depth < least:
                found, least = value, depth
        return found

    @cached_property
    def _stacked(self) -> dict[int, int]:
        """What a scan puts out, by what its steps do."""
        pairs = (pair for number, region in self.regions.items() for pair in zip(self.graph.nodes[number].outputs, region.outputs))
        return dict(pairs)

    def stacked(self, value: int, nodes: Collection[int]) -> int:
        """What layers give, scans of which the runner is one of them taken whole: all steps' instead of one's."""
        for outer, inner in self._stacked.items():
            if inner == value and self.producers[outer] in nodes:
                return self.stacked(outer, nodes)
        return value

    def inputs(self, number: int) -> tuple[int, ...]:
        """What a node takes from others. One that runs a body takes nothing itself: its steps do."""
        return self._inputs[number]

    @cached_property
    def _inputs(self) -> list[tuple[int, ...]]:
        nodes = enumerate(self.graph.nodes)
        return [() if number in self.regions else tuple(map(self.source, node.inputs)) for number, node in nodes]

    def takes(self, nodes: tuple[int, ...]) -> tuple[int, ...]:
        """The values that layers take from others, in order of use."""
        if nodes not in self._takes:
            made = {value for number in nodes for value in self.graph.nodes[number].outputs}
            self._takes[nodes] = tuple(dict.fromkeys(v for number in nodes for v in self.inputs(number) if v not in made))
        return self._takes[nodes]

    def gives(self, nodes: tuple[int, ...]) -> tuple[int, ...]:
        """The values that others take of what layers make."""
        if nodes not in self._gives:
            own = set(nodes)
            made = [value for number in nodes for value in self.graph.nodes[number].outputs]
            self._gives[nodes] = tuple(v for v in made if not own.issuperset(self.uses.get(v, ())))
        return self._gives[nodes]

    def _aliases(self) -> dict[int, int]:
        found: dict[int, int] = {}
        for number, region in self.regions.items():
            node = self.graph.nodes[number]
            found.update(zip(region.inputs, node.inputs))
            found.update(zip(node.outputs, region.outputs))
        return found

    def carried(self, frame: int) -> list[tuple[int, int]]:
        """Of a frame that runs once a step: what a step puts out, and as what the next one takes it."""
        number = self.runner.get(frame)
        if number is None:
            return []
        region, step = self.regions[number], self.graph.nodes[number].op.step
        return list(zip(region.outputs[step.stacked :], region.inputs[len(step.sliced) :]))


def call(graph: Graph, frame: int, without: Collection[str] = ()) -> str:
    """What a frame applies, as one would write it: `bottleneck(width = 128, stride = 2)`; empty for what has no definition.
    Arguments of the names `without` are left out."""
    scope = graph.scopes[graph.frames[frame].scope]
    if not scope.definition:
        return ""
    arguments = ", ".join(f"{name} = {_written(value)}" for name, value in scope.arguments if name not in without)
    return f"{scope.definition}({arguments})" if arguments else scope.definition


def _written(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "none", True: "true", False: "false"}[value]
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(_written, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)
