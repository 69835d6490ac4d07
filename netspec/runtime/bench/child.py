"""A process that holds one engine and runs it when told, by pickles over its pipes (`process.Child` is the other end).

Requests are tuples, a word first: `("load", Task)`, `("warm", seconds)`, `("turn", calls)`, `("memory",)`. The answer is a tuple
`("done", …)` or `("failed", code, reason)`. It ends with its input, so it never outlives who started it.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from importlib import import_module
from time import perf_counter
from typing import Any, BinaryIO

from netspec.runtime.bench.agreement import sample
from netspec.runtime.bench.engines import LIBRARIES, Engine, Task, load
from netspec.runtime.bench.failures import reason
from netspec.runtime.bench.memory import device_free, peak, reset_peak
from netspec.runtime.bench.statistics import settled

#: a turn of more calls than this begins with one that does not count: another process had the caches
_SEVERAL = 3


class Host:
    """Answers requests about the engine that it holds."""

    def __init__(self) -> None:
        self.engine: Engine | None = None

    def answer(self, word: str, *given: Any) -> tuple[Any, ...]:
        """The answer to one request."""
        return {"load": self.load, "warm": self.warm, "turn": self.turn, "memory": self.memory}[word](*given)

    def load(self, task: Task) -> tuple[Any, ...]:
        """Load the network and run it once: seconds until the first result, a sample of the outputs, facts, and a note."""
        import_module(LIBRARIES[task.engine])  # which is not the network's to answer for
        begun = perf_counter()
        self.engine = load(task)
        seconds = perf_counter() - begun
        return seconds, sample(self.engine.outputs()), self.engine.facts(), self.engine.note

    def warm(self, seconds: float) -> tuple[Any, ...]:
        """Run until it gets no faster, or for so many seconds: the number of runs, and what one takes."""
        times: list[float] = []
        reset_peak()
        while not settled(times) and (len(times) < 2 or sum(times) < seconds):
            times += self._timed(1)
        return len(times), min(times)

    def turn(self, calls: int) -> tuple[Any, ...]:
        """So many calls, one after the other: the seconds of each."""
        if calls >= _SEVERAL:
            self._timed(1)
        return (self._timed(calls),)

    def memory(self) -> tuple[Any, ...]:
        """Bytes taken beyond those of the library, at most while it ran; and on the device (None: there is none)."""
        assert self.engine is not None
        free = device_free() if self.engine.free is not None else None
        return max(peak() - self.engine.idle, 0), None if free is None or self.engine.free is None else max(self.engine.free - free, 0)

    def _timed(self, calls: int) -> list[float]:
        assert self.engine is not None
        run, times = self.engine.run, []
        for _ in range(calls):
            begun = perf_counter()
            run()
            times.append(perf_counter() - begun)
        return times


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more. What goes wrong is an answer, too."""
    host = Host()
    while True:
        try:
            request = pickle.load(requests)
        except EOFError:
            return
        try:
            answer: tuple[Any, ...] = ("done", *host.answer(*request))
        except Exception as error:  # whatever a library raises is this engine's failure, and a row of the table
            answer = ("failed", *reason(error))
        pickle.dump(answer, answers, pickle.HIGHEST_PROTOCOL)
        answers.flush()


def main() -> None:
    """Serve standard input; what libraries print to standard output goes to standard error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who started us decides when it ends
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    serve(sys.stdin.buffer, answers)
