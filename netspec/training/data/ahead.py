"""Reading ahead: what comes next is made by threads while what is there is used."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")

#: how many threads read, and how many results may be waiting
WORKERS = max(2, min(8, os.cpu_count() or 2))
_AHEAD = 2 * WORKERS


def read_ahead(work: Callable[[A], B], items: Iterable[A]) -> Iterator[B]:
    """`work` of every item, in their order, some results ahead of their use. What it raises is raised here, at its turn; whoever
    stops early leaves no thread behind."""
    items, pool = iter(items), ThreadPoolExecutor(WORKERS, "netspec-data")
    try:
        waiting: deque[Future[B]] = deque(pool.submit(work, item) for item in islice(items, _AHEAD))
        while waiting:
            done = waiting.popleft().result()
            waiting.extend(pool.submit(work, item) for item in islice(items, 1))
            yield done
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
