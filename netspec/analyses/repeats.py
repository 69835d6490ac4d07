"""The lines of a table of layers: each layer once, and what repeats told once, under a line of its own.

Layers stand in the tree of the blocks that were applied. Of what stands directly in a block, equal neighbours are put together:
`n` blocks of one definition, or the same few parts over and over. Equal means: operators and arguments, shapes, cost, the
definitions and arguments of blocks, and names but for the numbers in them: `query`, `key` and `value` are told one by one.
(Whether one goes on where the other ends is not asked, as `outline` does: a table shows no connections.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence

from netspec.analyses.cost import LayerCost
from netspec.analyses.outline.tree import call
from netspec.graph import Graph, Node
from netspec.record import record

#: the most parts that can repeat together
LONGEST = 16
#: how many layers without a block of their own must be spared to be told once
MANY = 10
#: the longest label with two whole names in it
LABEL = 30
#: leaves a name without its numbers
_UNNUMBERED = str.maketrans("", "", "0123456789")


@record
class Line:
    """A line of the table, about layers in a row: their numbers are `layers`.

    One layer, whose operator says what it is; or, where `repeat` is more than 1, equal parts of the network that follow one another,
    together. Then `call` says what such a part is (empty: one layer), and the lines behind this one with a greater `depth` are
    those of the first part. `end` is the layer whose output is that of the line.
    """

    layers: range
    label: str
    end: int
    depth: int = 0
    repeat: int = 1
    call: str = ""


def flat(graph: Graph) -> list[Line]:
    """A line for each layer."""
    return [Line(range(number, number + 1), node.name, number) for number, node in enumerate(graph.nodes)]


def folded(graph: Graph, costs: Sequence[LayerCost]) -> list[Line]:
    """The layers, those of equal neighbours once. Each layer is in exactly one line of depth 0."""
    return _Lines(graph).write(_tree(graph, costs))


# -------------------------------------------------------------------------------------------------------------------- tree
@record
class _Part:
    """A layer, or an application of a block (`frame`) with its parts: all that repeats is made of these. Equal `look`s: equal parts."""

    layers: range
    look: int
    frame: int | None = None
    parts: tuple[_Part, ...] = ()


def _tree(graph: Graph, costs: Sequence[LayerCost]) -> Sequence[_Part]:
    """The parts of the network itself, in order. Layers of a block that are not in a row make several parts."""
    looks = _Looks(graph)
    above = _ancestors(graph)
    opened: list[tuple[int, list[_Part]]] = [(0, [])]

    def close() -> None:
        frame, parts = opened.pop()
        layers = range(parts[0].layers.start, parts[-1].layers.stop)
        opened[-1][1].append(_Part(layers, looks.block(frame, parts), frame, tuple(parts)))

    for number, node in enumerate(graph.nodes):
        path = above[node.frame]
        while len(opened) > len(path) or opened[-1][0] != path[len(opened) - 1]:
            close()
        opened += [(frame, []) for frame in path[len(opened) :]]
        opened[-1][1].append(_Part(range(number, number + 1), looks.layer(node, costs[number])))
    while len(opened) > 1:
        close()
    return opened[0][1]


def _ancestors(graph: Graph) -> list[tuple[int, ...]]:
    """For each frame those that it is in, from the net's down to itself."""
    found: list[tuple[int, ...]] = []
    for number, frame in enumerate(graph.frames):
        found.append((*(() if frame.parent is None else found[frame.parent]), number))
    return found


class _Looks:
    """What layers and blocks look like, as numbers: equal numbers, equal looks."""

    def __init__(self, graph: Graph, known: dict[Hashable, int] | None = None) -> None:
        self._graph = graph
        self._known: dict[Hashable, int] = {} if known is None else known
        self._types = [self._number((value.dtype, value.shape)) for value in graph.values]

    def layer(self, node: Node, cost: LayerCost | None = None) -> int:
        """Its operator, the types that it takes and makes, what it runs and costs, and its name."""
        types = self._types
        look = (node.op, *[types[v] for v in node.inputs], -1, *[types[v] for v in node.outputs], cost, self._inside(node))
        return self._number((look, node.name.translate(_UNNUMBERED)))

    def _inside(self, node: Node) -> tuple[int, ...]:
        if node.body is None:
            return ()
        body = self._graph.bodies[node.body]
        looks = _Looks(body, self._known)
        return tuple(looks.layer(inner) for inner in body.nodes)

    def block(self, frame: int, parts: Sequence[_Part]) -> int:
        """What is applied, and the looks of its parts."""
        return self._number((call(self._graph, frame), *[part.look for part in parts]))

    def _number(self, look: Hashable) -> int:
        return self._known.setdefault(look, len(self._known))


# ----------------------------------------------------------------------------------------------------------------- repeats
def _repeats(parts: Sequence[_Part]) -> Iterator[tuple[Sequence[_Part], int]]:
    """The parts in order, cut where something else begins, each time with how many of them are one repetition."""
    looks = [part.look for part in parts]
    place = 0
    while place < len(parts):
        saved, period, count = 0, 1, 1
        for length in _periods(looks, place):
            times = _times(looks, place, length)
            spared = parts[place + length * times - 1].layers.stop - parts[place + length - 1].layers.stop
            if spared > max(saved, _least(parts[place : place + length])):
                saved, period, count = spared, length, times
        yield parts[place : place + period * count], period
        place += period * count


def _periods(looks: list[int], place: int) -> list[int]:
    """After how many parts the look at a place comes again, as long as all up to there may be one repetition."""
    window = looks[place + 1 : place + 1 + min(LONGEST, (len(looks) - place) // 2)]
    return [length for length, look in enumerate(window, 1) if look == looks[place]] if looks[place] in window else []


def _times(looks: list[int], place: int, period: int) -> int:
    """How often so many parts are there in a row."""
    end = place
    while end + period < len(looks) and looks[end] == looks[end + period]:
        end += 1
    return (end - place) // period + 1


def _least(unit: Sequence[_Part]) -> int:
    """How many layers must be spared for a reader to gain: blocks are told once as soon as they repeat, mere layers if they are many."""
    return 1 if any(part.frame is not None for part in unit) else MANY


# ------------------------------------------------------------------------------------------------------------------- lines
class _Lines:
    """Writes the lines, with names for blocks."""

    def __init__(self, graph: Graph) -> None:
        self.found: list[Line] = []
        self._graph = graph
        self._paths = _paths(graph)

    def write(self, parts: Sequence[_Part], home: str = "", depth: int = 0) -> list[Line]:
        """The lines of parts, with names as they are within the block `home`."""
        for span, period in _repeats(parts):
            first = span[0]
            if len(span) > period:
                self._together(span, period, home, depth)
            elif first.frame is not None:
                self.write(first.parts, home, depth)
            else:
                self.found.append(Line(first.layers, self._name(first).removeprefix(home), first.layers.start, depth))
        return self.found

    def _together(self, span: Sequence[_Part], period: int, home: str, depth: int) -> None:
        """A line for all repetitions, and those of the first below it."""
        first, unit, layers = span[0], span[:period], range(span[0].layers.start, span[-1].layers.stop)
        label = _joined(self._name(first).removeprefix(home), self._name(span[-1]).removeprefix(home))
        alone = unit[-1].layers.stop - layers.start == 1
        told = "" if alone else self._call(unit)
        self.found.append(Line(layers, label, self._end(span[-1]), depth, len(span) // period, told))
        if not alone:
            block = first.frame if period == 1 else None
            self.write(unit if block is None else first.parts, home if block is None else f"{self._paths[block]}.", depth + 1)

    def _name(self, part: _Part) -> str:
        return self._graph.nodes[part.layers.start].name if part.frame is None else self._paths[part.frame]

    def _call(self, unit: Sequence[_Part]) -> str:
        """What is repeated: the call of a block, or what the parts are."""
        if len(unit) == 1 and unit[0].frame is not None:
            return call(self._graph, unit[0].frame) or self._call(unit[0].parts)
        return ", ".join(self._kind(part) for part in unit)

    def _kind(self, part: _Part) -> str:
        graph = self._graph
        if part.frame is None:
            return str(graph.nodes[part.layers.start].op.NAME)
        return graph.scopes[graph.frames[part.frame].scope].definition or self._call(part.parts)

    def _end(self, part: _Part) -> int:
        """The layer that makes what a part puts out: of a block that makes nothing, its last."""
        made = {value: number for number in part.layers for value in self._graph.nodes[number].outputs}
        ports = () if part.frame is None else self._graph.frames[part.frame].outputs
        return next((made[port.value] for port in ports if port.value in made), part.layers[-1])


def _paths(graph: Graph) -> list[str]:
    """A name for each frame: its scope's, with a number where a shared block is applied again."""
    seen: Counter[int] = Counter()
    found = []
    for frame in graph.frames:
        seen[frame.scope] += 1
        path = graph.scopes[frame.scope].path
        found.append(path if seen[frame.scope] == 1 else f"{path}:{seen[frame.scope]}")
    return found


def _joined(first: str, last: str) -> str:
    """`layer3.1 … layer3.35`; of long names the last one without what both begin with."""
    whole = f"{first} … {last}"
    if len(whole) <= LABEL:
        return whole
    front = first.rpartition(".")[0] + "."
    return f"{first} … {last.removeprefix(front[:-1])}" if last.startswith(front) else whole
