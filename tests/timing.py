"""Bounds in seconds that hold on machines of any pace: of the processor, and longer where a fixed piece of work takes longer."""

from __future__ import annotations

from collections.abc import Callable
from time import process_time

#: What `yardstick` takes on the machine for which the bounds are written, and how often a bound is tried before it counts.
NOMINAL, ATTEMPTS = 0.040, 6


def yardstick() -> float:
    """Seconds that this process needs for a little of what all of our code does: calls, dictionaries, tuples, and texts."""

    def step(table: dict[str, tuple[int, ...]], number: int) -> int:
        table[f"layer{number % 97}"] = (number, number + 1)
        return sum(len(name) for name in sorted(table)[:7])

    begin, table = process_time(), dict[str, tuple[int, ...]]()
    assert sum(step(table, number) for number in range(8_000)) == 375_814
    return process_time() - begin


def own_seconds(work: Callable[[], object]) -> float:
    """Seconds of the processor that this process is at work."""
    begin = process_time()
    work()
    return process_time() - begin


def in_time(bound: float, work: Callable[[], object]) -> bool:
    """Whether work takes this process no more than so many seconds on a machine of the nominal pace, in one attempt of a few."""
    return measured_in_time(bound, lambda: own_seconds(work))


def measured_in_time(bound: float, seconds: Callable[[], float]) -> bool:
    """The same of what is measured otherwise."""
    took = list[tuple[float, float]]()
    while len(took) < ATTEMPTS:
        before, spent = yardstick(), seconds()
        pace = max(1.0, (before + yardstick()) / 2 / NOMINAL)
        if spent <= bound * pace:
            return True
        took.append((spent, pace))
    print("; ".join(f"{spent:.3f} s at a pace of {pace:.2f}" for spent, pace in took), f"for {bound} s")
    return False
