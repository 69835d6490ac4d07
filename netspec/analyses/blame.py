"""Who asks for a condition on sizes, in a sentence with lines: where the sizes meet, and where the rounding came in.

A floor or an extreme in a size begins at one node: the first whose output has it while none of its inputs does. A condition
that two sizes be equal, where one has been rounded and the other has not, is the doing of that node as much as of the merge.
"""

from __future__ import annotations

from functools import cached_property
from typing import Iterator

from netspec.graph import Graph, Node, Origin, Requirement
from netspec.record import record
from netspec.sizes.dim import rounded, show

#: The signs of the language, by the operators that they stand for: a node is called as it was written.
_SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "matmul": "@", "concat": "++"}


@record
class Cause:
    """What asks for a condition: a sentence ("`++` at line 12 meets `max_pool` at line 8"), without the "because".

    `nodes` are the labels of the layers that it names, `origins` where they, or the text that asks, stand; `reason` is what
    goes wrong otherwise.
    """

    text: str
    reason: str
    nodes: tuple[str, ...] = ()
    origins: tuple[Origin, ...] = ()


class Blame:
    """Finds the causes of a graph's requirements."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    @cached_property
    def _maker(self) -> dict[int, int]:
        """The node that makes each value."""
        return {value: number for number, node in enumerate(self.graph.nodes) for value in node.outputs}

    @cached_property
    def _labelled(self) -> dict[str, int]:
        """The first node of each label."""
        return {node.label: number for number, node in reversed(list(enumerate(self.graph.nodes)))}

    def cause(self, requirement: Requirement) -> Cause:
        """The cause of one requirement."""
        place = (requirement.origin,) if requirement.origin else ()
        number = self._labelled.get(requirement.node)
        if number is None:
            return self._written(requirement, place)
        node = self.graph.nodes[number]
        name = f"`{_called(node, requirement.origin)}`{self._at(requirement.origin)}"
        if requirement.code == "NS405":
            text = f"{name} has weights for {show(requirement.right)}, the typical {show(requirement.left)}"
            return Cause(text, requirement.reason, (node.label,), place)
        source = self._rounding(requirement, number) if self._meets(requirement, node) else None
        if source is None:
            needed = f"{show(requirement.left)} {requirement.relation} {show(requirement.right)}"
            return Cause(f"{name} needs {needed}", requirement.reason, (node.label,), place)
        return self._meeting(name, requirement, source, (node.label,), place)

    def _written(self, requirement: Requirement, place: tuple[Origin, ...]) -> Cause:
        """Of a condition that no layer asks for: a written shape, `expect`, `where`, an exact division."""
        if requirement.code != "NS413":
            return Cause(f"{requirement.reason}{self._at(requirement.origin, '(line {})')}", requirement.reason, (), place)
        name = f"the shape written{self._at(requirement.origin)}"
        source = self._rounding(requirement, len(self.graph.nodes))
        if source is None:
            return Cause(f"{name} says {show(requirement.right)} for {show(requirement.left)}", requirement.reason, (), place)
        return self._meeting(name, requirement, source, (), place)

    def _meeting(self, name: str, requirement: Requirement, source: int, nodes: tuple[str, ...], place: tuple[Origin, ...]) -> Cause:
        other = self.graph.nodes[source]
        text = f"{name} meets `{_called(other, other.origin)}`{self._at(other.origin)}"
        return Cause(text, requirement.reason, (*nodes, other.label), place + ((other.origin,) if other.origin else ()))

    def _at(self, origin: Origin | None, form: str = "at line {}") -> str:
        """` at line 12`, with the file where that is not the network's own."""
        if origin is None:
            return ""
        file = origin.file.replace("\\", "/").rpartition("/")[2]
        return " " + form.format(origin.line if origin.file == self.graph.source else f"{origin.line} of {file}")

    # ------------------------------------------------------------------------------------------------------ provenance
    def _meets(self, requirement: Requirement, node: Node) -> bool:
        """Whether a condition is that two axes of a node's inputs be equal."""
        sizes = [size for value in node.inputs for size in self.graph.values[value].shape]
        return requirement.relation == "==" and requirement.left in sizes and requirement.right in sizes

    def _rounding(self, requirement: Requirement, before: int) -> int | None:
        """The last node before number `before` at which something that only one of the two sizes has was rounded."""
        left, right = rounded(requirement.left), rounded(requirement.right)
        found = [self._begins(atom, before) for atom in left ^ right]
        return max((number for number in found if number is not None), default=None)

    def _begins(self, atom: object, before: int) -> int | None:
        """Where a floor or an extreme came in: from the nearest value that has it, back to the node that made it.

        The search starts at the inputs of node `before`, or, where there is no such node, from the end of the network.
        """
        start = self._holders(atom, before)
        number = next(start, None)
        while number is not None:
            inputs = self.graph.nodes[number].inputs
            earlier = next((value for value in inputs if self._has(value, atom)), None)
            if earlier is None or earlier not in self._maker:
                return number
            number = self._maker[earlier]
        return None

    def _holders(self, atom: object, before: int) -> Iterator[int]:
        """Nodes that give a value with the atom: those next to the node first, then all before it, the last first."""
        nodes = self.graph.nodes
        if before < len(nodes):
            yield from (self._maker[value] for value in nodes[before].inputs if value in self._maker and self._has(value, atom))
        for number in reversed(range(min(before, len(nodes)))):
            if any(self._has(value, atom) for value in nodes[number].outputs):
                yield number

    def _has(self, value: int, atom: object) -> bool:
        return any(atom in rounded(size) for size in self.graph.values[value].shape if not isinstance(size, int))


def _called(node: Node, origin: Origin | None) -> str:
    """The operator's name, or the sign with which it was written: the place of a sign is as long as the sign."""
    name = node.op.NAME
    sign = _SIGNS.get(name)
    return sign if sign and origin is not None and origin.end - origin.start == len(sign) else name


def merged(causes: list[Cause]) -> tuple[Cause, ...]:
    """The causes, those with one sentence (a merge in a loop) as one that says how often."""
    groups: dict[tuple[str, str], list[Cause]] = {}
    for cause in causes:
        groups.setdefault((cause.text, cause.reason), []).append(cause)
    found = []
    for (text, reason), group in groups.items():
        nodes = tuple(dict.fromkeys(node for cause in group for node in cause.nodes))
        origins = tuple(dict.fromkeys(origin for cause in group for origin in cause.origins))
        found.append(Cause(f"{text}, {len(group)} times" if len(group) > 1 else text, reason, nodes, origins))
    return tuple(found)
