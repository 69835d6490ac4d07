"""Whether the examples of a batch are apart: none of them changes what the network gives for another, in evaluation mode.

A batch may be cut, or put together of several, exactly where that holds. The place of the examples is followed from value to value:
an axis, and how many elements of that axis each example has in a row (`[N * S]` of a flattened `[N, S]` has S). An operator keeps
examples apart where its reach along that axis is position by position; a reshape moves the place, as it keeps the order in memory.
"""

from __future__ import annotations

from netspec.graph import Graph, Node
from netspec.reach import Reach, Same
from netspec.record import record
from netspec.sizes.dim import Dim, Size, exact_div, names, product

#: Operators that give other shapes to the same elements in the same order.
_IN_ORDER = frozenset({"reshape", "flatten", "unflatten", "squeeze", "unsqueeze"})


@record
class _Place:
    """Where a value has its examples: an axis of `outer * N * inner` positions."""

    axis: int
    inner: Size = 1


def apart(graph: Graph, name: str) -> bool:
    """Whether the first axis of every input and output is the open size `name`, and examples along it are apart.

    False also where that cannot be told."""
    batch = Dim.name(name)
    ports = [graph.values[port.value].shape for port in (*graph.inputs, *graph.outputs)]
    if any(not shape or shape[0] != batch or any(_depends(size, batch) for size in shape[1:]) for shape in ports):
        return False
    places = {port.value: _Place(0) for port in graph.inputs}
    for node in graph.nodes:
        if not _follow(graph, node, batch, places):
            return False
    return all(places.get(port.value) == _Place(0) for port in graph.outputs)


def _depends(size: Size, batch: Dim) -> bool:
    return not isinstance(size, int) and str(batch) in names(size)


def _follow(graph: Graph, node: Node, batch: Dim, places: dict[int, _Place]) -> bool:
    """Note the places of a node's outputs; False where examples meet, or where it cannot be told."""
    shapes = [graph.values[number].shape for number in node.outputs]
    carrying = {index: places[number] for index, number in enumerate(node.inputs) if number in places}
    if not carrying:
        if not any(_depends(size, batch) for shape in shapes for size in shape):
            return True
        made = [axis for axis, size in enumerate(shapes[0]) if size == batch]
        places.update({node.outputs[0]: _Place(made[0])} if made else {})
        return node.op.NAME == "expand" and len(made) == 1  # one example, many times
    reaches = node.op.reach(graph.types(node.inputs), graph.types(node.outputs))
    for number, shape, reach in zip(node.outputs, shapes, reaches, strict=True):
        found = {_kept(place, reach, index) for index, place in carrying.items() if reach.inputs[index]}  # of others the size alone
        if found == {None} and node.op.NAME in _IN_ORDER:
            found = {_moved(carrying[0], graph.values[node.inputs[0]].shape, shape, batch)}
        place = found.pop() if len(found) == 1 else None
        if place is None:
            return False
        places[number] = place
    return True


def _kept(place: _Place, reach: Reach, index: int) -> _Place | None:
    """The place after an operator that sees the axis position by position."""
    seen = [(axis, look) for axis, look in enumerate(reach.inputs[index]) if look is not None and look.axis == place.axis]
    return _Place(seen[0][0], place.inner) if len(seen) == 1 and isinstance(seen[0][1], Same) else None


def _moved(place: _Place, before: tuple[Size, ...], after: tuple[Size, ...], batch: Dim) -> _Place | None:
    """The place after a reshape: examples are as far from one another in memory as they were."""
    stride = place.inner * product(before[place.axis + 1 :])
    for axis, size in enumerate(after):
        behind = product(after[axis + 1 :])
        if not _depends(size, batch) or behind == 0:
            continue
        inner = exact_div(stride, behind)
        if inner * behind == stride and exact_div(size, batch * inner) * batch * inner == size:
            return _Place(axis, inner)
    return None
