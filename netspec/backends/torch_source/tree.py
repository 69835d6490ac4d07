"""The tree of modules: what stands under which label, in the order of a state dict."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Iterator

from netspec.backends.torch_source.lower import Lowering
from netspec.backends.torch_source.naming import attribute
from netspec.graph import Graph

#: How a module holds what stands under its labels.
ATTRIBUTES, LIST, TABLE = "attributes", "list", "table"


@dataclass(slots=True)
class Place:
    """One module: the network, a block, a chain or a family (`scope`), or an operator (`node`, its first application)."""

    label: str = ""
    scope: int | None = None
    node: int | None = None
    family: bool = False
    parameter: bool = False
    holds: str = ATTRIBUTES
    children: dict[str, "Place"] = field(default_factory=dict)
    height: int = 0
    first_weight: int | None = None

    def below(self) -> Iterator["Place"]:
        """All places, children before those that hold them."""
        for child in self.children.values():
            yield from child.below()
        yield self

    def stepwise(self) -> bool:
        """Whether it is made by statements, one for each member: a family of attributes, or a list that holds one."""
        inside = self.holds == LIST and any(child.stepwise() for child in self.children.values())
        return self.family and (self.holds == ATTRIBUTES or inside)

    def at(self, path: tuple[str, ...]) -> "Place":
        """What stands under `path`."""
        place = self
        for label in path:
            place = place.children[label]
        return place

    def length(self, path: tuple[str, ...]) -> int:
        """How long the list under `path` is; 0 where there is no list."""
        place = self.at(path)
        return len(place.children) if place.holds == LIST and place.family else 0

    def access(self, path: tuple[str, ...]) -> str:
        """What reads the module under `path`, from this one: `self.layer1`, `self.dec[0]`, `self._modules["type"]`."""
        text, place = "self", self
        for label in path:
            child = place.children[label]
            if place.holds == LIST:
                text += f"[{label}]"
            elif place.holds == TABLE:
                text += f"[{quote(label)}]"
            else:
                text += member(label, child.parameter)
            place = child
        return text


def member(label: str, parameter: bool) -> str:
    """What follows `self` to reach a member: `.conv1`, or torch's own tables where the label is no attribute."""
    if attribute(label):
        return f".{label}"
    return f"._{'parameters' if parameter else 'modules'}[{quote(label)}]"


def quote(text: str) -> str:
    """A string literal in ASCII, with double quotes where `ruff format` wants them."""
    body = ascii(text)
    if body[0] == "'" and '"' not in body:
        return f'"{body[1:-1]}"'
    return body


def build_tree(lowering: Lowering) -> Place:
    """The tree of a graph's modules; what computes nothing and stores nothing is not in it."""
    graph = lowering.graph
    root = Place(scope=0)
    scopes = {scope.path: number for number, scope in enumerate(graph.scopes)}
    for number, node in enumerate(graph.nodes):
        path = graph.scopes[graph.frames[node.frame].scope].path
        if path:
            _insert(root, path, scopes)
        torch = lowering.torch[number]
        if torch.module is None and not torch.owns:
            continue
        place = _insert(root, node.label, scopes)
        if place.node is None:
            place.node, place.parameter = number, torch.owns
            place.first_weight = min(node.weights, default=None)
    for region in lowering.regions.values():
        _insert(root, graph.scopes[graph.frames[region.frame].scope].path, scopes)
    _finish(root, graph)
    return root


def _insert(root: Place, path: str, scopes: dict[str, int]) -> Place:
    """The place of a dotted path; made, with those on the way, where it is new."""
    place, so_far = root, ""
    for label in path.split("."):
        so_far = f"{so_far}.{label}" if so_far else label
        if label not in place.children:
            place.children[label] = Place(label, scopes.get(so_far))
        place = place.children[label]
    return place


def _finish(root: Place, graph: Graph) -> None:
    """Heights, families and the order of children, from the leaves up."""
    for place in root.below():
        inside = place.children.values()
        place.height = 1 + max((child.height for child in inside), default=0)
        if place.scope is not None:
            place.family = graph.scopes[place.scope].kind == "family"
        elif place.node is None:
            place.family = True
        place.children = _in_order(place.children)
        first = [child.first_weight for child in place.children.values() if child.first_weight is not None]
        if first:
            place.first_weight = min(first)
        if place.family:
            place.holds = _holder(place)


def _in_order(children: dict[str, Place]) -> dict[str, Place]:
    """By first application; but those with weights in the order in which the graph stores them."""
    ordered = list(children.values())
    stored = iter(sorted((c for c in ordered if c.first_weight is not None), key=lambda c: c.first_weight or 0))
    return {c.label: c for c in (next(stored) if c.first_weight is not None else c for c in ordered)}


def _holder(family: Place) -> str:
    """A list where the labels count from 0, a table where they are numbers in another order, else attributes; these, too,
    instead of a table where it holds what takes statements to make."""
    labels = list(family.children)
    kinds = {child.parameter for child in family.children.values()}
    if len(kinds) > 1 or not all(label.isascii() and label.isdigit() for label in labels):
        return ATTRIBUTES
    if labels == [str(i) for i in range(len(labels))]:
        return LIST
    return ATTRIBUTES if any(child.stepwise() for child in family.children.values()) else TABLE
