"""A child process as its parent sees it."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from typing import Any

from netspec.runtime.bench.failures import ending

#: Where packages are found is what it is here: `python -m` would look in the current folder first, and take any `torch.py` there.
_BEGIN = "import sys; sys.path[:] = sys.argv[1:]; from netspec.runtime.bench.child import main; main()"
#: seconds that a process has to end by itself
_PATIENCE = 3.0


class Failure(Exception):
    """An engine that could not be measured: a code and a line."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(code, reason)
        self.code, self.reason = code, reason


class Child:
    """One engine in its own process, of so many threads. Close it; it ends with its parent in any case."""

    def __init__(self, threads: int) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        self._words = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-c", _BEGIN, *sys.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._words, env=environment
        )  # fmt: skip

    def ask(self, word: str, *given: Any) -> tuple[Any, ...]:
        """The answer to a request. Raises `Failure` where the engine fails, or its process ends."""
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        try:
            pickle.dump((word, *given), process.stdin, pickle.HIGHEST_PROTOCOL)
            process.stdin.flush()
            answer = pickle.load(process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError):
            raise Failure(*ending(self._end(), self._last_words())) from None
        if answer[0] == "failed":
            raise Failure(*answer[1:])
        return tuple(answer[1:])

    def close(self) -> None:
        """End the process, and forget what it said."""
        process = self._process
        for pipe in (process.stdin, process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:  # it had ended before it read all
                pass
        self._end()
        self._words.close()

    def _end(self) -> int:
        try:
            return self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def _last_words(self) -> str:
        self._words.seek(0)
        lines = self._words.read()[-4096:].decode("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")
