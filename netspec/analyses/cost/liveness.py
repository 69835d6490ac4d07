"""How many bytes of activations are alive at once at inference, when nodes run in a given order.

A storage is alive from the node that makes it until the last node that reads it or a view of it; inputs are alive from the
beginning until their last use, outputs of the network from where they are made to the end. While a node runs, its inputs
and outputs are alive together: nothing is done in place, and what a kernel needs for itself is not counted.
"""

from __future__ import annotations

from collections.abc import Sequence

from netspec.analyses.cost.storage import Storages
from netspec.graph import Graph
from netspec.record import record


@record
class Tasks:
    """A graph as a scheduler sees it. Node n runs after `before[n]`, reads the storages `uses[n]` and makes `makes[n]`;
    storage s has `size[s]` bytes and is read by the nodes `users[s]`. Storages `first` (the inputs) are there from the
    beginning, `kept` (the outputs) stay to the end."""

    before: tuple[tuple[int, ...], ...]
    uses: tuple[tuple[int, ...], ...]
    makes: tuple[tuple[int, ...], ...]
    users: dict[int, tuple[int, ...]]
    size: tuple[int, ...]
    first: tuple[int, ...]
    kept: frozenset[int]


@record
class Peak:
    """The most bytes alive at once: while node `node` runs, `bytes` of storages `alive`."""

    bytes: int
    node: int
    alive: tuple[int, ...]


def tasks_of(graph: Graph, storages: Storages) -> Tasks:
    """The graph's nodes and storages."""
    of, size = storages.of, storages.size
    before, uses, makes = [], [], []
    users: dict[int, list[int]] = {}
    maker: dict[int, int] = {}
    for index, node in enumerate(graph.nodes):
        before.append(tuple(dict.fromkeys(maker[i] for i in node.inputs if i in maker)))
        maker.update(dict.fromkeys(node.outputs, index))
        used = tuple(dict.fromkeys(of[i] for i in node.inputs))
        made = tuple(dict.fromkeys(of[o] for o in node.outputs if of[o] == o))
        uses.append(used)
        makes.append(made)
        for storage in used:
            users.setdefault(storage, []).append(index)
    first, kept = tuple(dict.fromkeys(of[p.value] for p in graph.inputs)), frozenset(of[p.value] for p in graph.outputs)
    return Tasks(tuple(before), tuple(uses), tuple(makes), {s: tuple(u) for s, u in users.items()}, size, first, kept)


@record
class Course:
    """The bytes alive through an execution: `during` each node, and `behind` it, when what nobody needs is gone; in order."""

    during: tuple[int, ...]
    behind: tuple[int, ...]


def course(tasks: Tasks, order: Sequence[int]) -> Course:
    """The bytes alive when nodes run in this order, which must put every node behind those that it reads from."""
    size, kept, now = tasks.size, tasks.kept, sum(tasks.size[s] for s in tasks.first)
    left = {storage: len(users) for storage, users in tasks.users.items()}
    during, behind = [], []
    for node in order:
        for storage in tasks.makes[node]:
            now += size[storage]
        during.append(now)
        for storage in tasks.uses[node]:
            left[storage] -= 1
            if not left[storage] and storage not in kept:
                now -= size[storage]
        for storage in tasks.makes[node]:
            if storage not in left and storage not in kept:
                now -= size[storage]
        behind.append(now)
    return Course(tuple(during), tuple(behind))


def peak(tasks: Tasks, order: Sequence[int]) -> Peak:
    """The first moment at which most is alive when nodes run in this order."""
    during = course(tasks, order).during
    start = sum(tasks.size[s] for s in tasks.first)
    most = max(during, default=start)
    if start >= most:
        return Peak(start, -1, tasks.first)
    step = during.index(most)
    ahead = set(order[step:])
    made = [s for node in order[: step + 1] for s in tasks.makes[node]]
    alive = (s for s in (*tasks.first, *made) if s in tasks.kept or any(u in ahead for u in tasks.users.get(s, ())))
    unread = (s for s in tasks.first if s not in tasks.users)
    return Peak(most, order[step], tuple(dict.fromkeys((*alive, *unread, *tasks.makes[order[step]]))))
