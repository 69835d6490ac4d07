"""Pausing Python's cycle collector where a large structure is built."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """Collect no cycles inside. A tree, a graph or a model has none, and the collector would walk all of it again and again
    while it grows: a quarter of the time that a network of thousands of layers takes. Reference counts work as ever."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
