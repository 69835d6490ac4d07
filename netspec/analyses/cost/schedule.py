"""The order of execution that needs the least memory.

A node that every other one comes before or behind splits the problem in two, so a network falls into segments (a
residual block, an Inception module) that are ordered one by one. A segment is searched over the sets of nodes that have
run: what is alive depends on the set alone, so of two orders that lead to one set the one with the lower peak wins
(dynamic programming over downsets, as in Ahn et al., "Ordering Chaos: Memory-Aware Scheduling of Irregularly Wired
Neural Networks for Edge Devices", MLSys 2020), lowest peaks first (Dijkstra). Two rules keep that small and exact. No
order peaks below what the largest single node reads and makes, so peaks under that are as good as each other. And a node
that can run without a higher peak and frees as much as it makes is run at once, for that never hurts: whatever comes
between finds no more alive than before. A segment that takes more steps than `BUDGET` is ordered greedily instead, or as written,
whichever is better. All of it is counted in steps, never in seconds: the same network gives the same order everywhere.
"""

from __future__ import annotations

import heapq
from typing import Any

from netspec.analyses.cost.liveness import Tasks, course
from netspec.record import record

#: how many nodes the search of one segment may look at (each as often as it is ready), and all searches together
BUDGET, BUDGET_IN_ALL = 50_000, 200_000
#: a segment of more nodes is not searched
LONGEST = 2_000


@record
class Schedule:
    """An order of the nodes, the bytes at its peak, and whether no order has a lower one (`exact`)."""

    order: tuple[int, ...]
    bytes: int
    exact: bool


def best_order(tasks: Tasks) -> Schedule:
    """The best order found: never worse than the written one, and the best there is where `exact`."""
    written = range(len(tasks.uses))
    as_written = course(tasks, written)
    start = sum(tasks.size[s] for s in tasks.first)
    floor = max([start, *(_alone(tasks, node) for node in written)])
    order: list[int] = []
    exact, budget = True, BUDGET_IN_ALL
    for segment in segments(tasks) if max(as_written.during, default=0) > floor else [written]:
        found = list(segment)
        if max(as_written.during[segment.start : segment.stop], default=0) > floor:
            before = as_written.behind[segment.start - 1] if segment.start else start
            search = _Search(tasks, segment, before, floor, min(BUDGET, budget)) if len(segment) <= LONGEST else None
            best = search.run() if search is not None else None
            budget -= search.steps if search is not None else 0
            exact = exact and best is not None
            found = best if best is not None else _greedy(tasks, segment)
        order.extend(found)
    most, least = (max(c.during, default=start) for c in (as_written, course(tasks, order)))
    if most <= least:
        return Schedule(tuple(written), max(most, start), exact or most <= floor)
    return Schedule(tuple(order), max(least, start), exact)


def _alone(tasks: Tasks, node: int) -> int:
    """The bytes that a node needs to run at all: what it reads and makes."""
    return sum([tasks.size[s] for s in tasks.uses[node]]) + sum([tasks.size[s] for s in tasks.makes[node]])


def segments(tasks: Tasks) -> list[range]:
    """The nodes, cut in written order behind each one that all earlier ones lead to and all later ones depend on.

    Sources of stored tensors read nothing and take no memory: they may run at any time, and stand in no one's way.
    """
    after = [0] * len(tasks.before)
    for nodes in tasks.before:
        for node in nodes:
            after[node] += 1
    entry = max((max(tasks.users.get(s, (0,))) for s in tasks.first), default=0)  # the last node that reads an input
    left, loose = list(after), 0  # loose: nodes so far that a later one reads, or that nobody has read yet
    found, start = [], 0
    for node, nodes in enumerate(tasks.before):
        for earlier in nodes:
            left[earlier] -= 1
            loose -= not left[earlier] and not _source(tasks, earlier)
        source = _source(tasks, node)
        loose += not source
        if not source and loose == 1 and node >= entry:
            found.append(range(start, node + 1))
            start = node + 1
    return [*found, range(start, len(tasks.before))] if start < len(tasks.before) else found


def _source(tasks: Tasks, node: int) -> bool:
    return not tasks.before[node] and not tasks.uses[node] and not any(tasks.size[s] for s in tasks.makes[node])


#: a set of nodes of the segment as a bit mask, the bytes alive, the peak so far, and how it came about
_State = tuple[int, int, int, Any]


class _Search:
    """The search of one segment. Nodes are numbered within it; bit i of a mask is node i."""

    def __init__(self, tasks: Tasks, segment: range, alive: int, floor: int, budget: int) -> None:
        """`alive` bytes are so before the segment; peaks below `floor` are as good as it."""
        self.segment, self.alive, self.floor, self.budget = segment, alive, floor, budget
        self.steps, start = 0, segment.start
        inside = [[n - start for n in tasks.before[node] if n >= start] for node in segment]
        self.before = [sum(1 << n for n in nodes) for nodes in inside]
        self.after: list[list[int]] = [[] for _ in segment]
        for node, nodes in enumerate(inside):
            for earlier in nodes:
                self.after[earlier].append(node)
        self.made = [sum(tasks.size[s] for s in tasks.makes[node]) for node in segment]
        self.frees = [_freed_by(tasks, node, segment) for node in segment]

    def run(self) -> list[int] | None:
        """The best order, as numbers of the graph's nodes; None where the budget does not reach."""
        everything = (1 << len(self.segment)) - 1
        ready = [n for n, mask in enumerate(self.before) if not mask]
        waiting: list[Any] = []
        best: dict[int, int] = {}
        self._push(waiting, best, (0, self.alive, self.floor, None), ready)
        while waiting:
            highest, _, _, mask, alive, ready, path = heapq.heappop(waiting)
            if mask == everything:
                return self._unrolled(path)
            if best[mask] < highest:
                continue
            for node in ready:
                self._push(waiting, best, *self._step((mask, alive, highest, path), ready, node))
                if self.steps > self.budget:
                    return None
        return None

    def _push(self, waiting: list[Any], best: dict[int, int], state: _State, ready: list[int]) -> None:
        """Run what can only do good, then note the state unless its set was reached with as low a peak."""
        while self.steps <= self.budget:
            self.steps += len(ready) + 1
            mask, alive, highest, path = state
            node = ready[0] if len(ready) == 1 else next((n for n in ready if self._harmless(n, mask, alive, highest)), None)
            if node is None or not ready:
                break
            state, ready = self._step(state, ready, node)
        mask, alive, highest, path = state
        if highest < best.get(mask, highest + 1):
            best[mask] = highest
            heapq.heappush(waiting, (highest, -mask.bit_count(), self.steps, mask, alive, ready, path))

    def _harmless(self, node: int, mask: int, alive: int, highest: int) -> bool:
        return alive + self.made[node] <= highest and self._freed(node, mask) >= self.made[node]

    def _freed(self, node: int, mask: int) -> int:
        """The bytes that go when a node has run after the set: what all of their readers are behind."""
        mask |= 1 << node
        return sum(size for readers, size in self.frees[node] if not readers & ~mask)

    def _step(self, state: _State, ready: list[int], node: int) -> tuple[_State, list[int]]:
        mask, alive, highest, path = state
        freed, during = self._freed(node, mask), alive + self.made[node]
        mask |= 1 << node
        opened = [n for n in self.after[node] if not self.before[n] & ~mask]
        return (mask, during - freed, max(highest, during), (path, node)), [n for n in ready if n != node] + opened

    def _unrolled(self, path: Any) -> list[int]:
        order = []
        while path is not None:
            path, node = path
            order.append(node + self.segment.start)
        return order[::-1]


def _freed_by(tasks: Tasks, node: int, segment: range) -> list[tuple[int, int]]:
    """The storages that may go when a node of the segment has run: their readers in it, and their bytes."""
    found = []
    for storage in dict.fromkeys((*tasks.uses[node], *tasks.makes[node])):
        users = tasks.users.get(storage, ())
        if storage not in tasks.kept and tasks.size[storage] and all(u < segment.stop for u in users):
            found.append((sum(1 << u - segment.start for u in users if u >= segment.start), tasks.size[storage]))
    return found


def _greedy(tasks: Tasks, segment: range) -> list[int]:
    """Always the node after which the least is alive, of those the first."""
    waits = {n: sum(b >= segment.start for b in tasks.before[n]) for n in segment}
    after: dict[int, list[int]] = {n: [] for n in segment}
    for node in segment:
        for earlier in tasks.before[node]:
            if earlier >= segment.start:
                after[earlier].append(node)
    left = {s: sum(u >= segment.start for u in users) for s, users in tasks.users.items()}
    ready = [(_growth(tasks, n, left), n) for n in segment if not waits[n]]
    heapq.heapify(ready)
    order: dict[int, None] = {}
    while ready:
        growth, node = heapq.heappop(ready)
        if node in order or growth != _growth(tasks, node, left):  # noted again since, when it came to free more
            continue
        order[node] = None
        opened = [later for later in after[node] if waits[later] == 1]
        for later in after[node]:
            waits[later] -= 1
        for storage in tasks.uses[node]:
            left[storage] -= 1
            if left[storage] == 1:
                opened += [u for u in tasks.users[storage] if u < segment.stop and u not in order and waits.get(u) == 0]
        for later in opened:
            heapq.heappush(ready, (_growth(tasks, later, left), later))
    return list(order)


def _growth(tasks: Tasks, node: int, left: dict[int, int]) -> int:
    """By how many bytes more are alive when a node has run."""
    made = sum(tasks.size[s] for s in tasks.makes[node] if s in tasks.kept or left.get(s))
    return made - sum(tasks.size[s] for s in tasks.uses[node] if left[s] == 1 and s not in tasks.kept)
