"""Measuring whole processes: processor time, for a clock on the wall also measures what else the machine does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from tests.timing import measured_in_time

ROOT = Path(__file__).resolve().parents[2]
#: Rounds of a comparison, and how often a comparison that missed its mark is made again before it counts.
ROUNDS, ATTEMPTS = 3, 3


def cpu_seconds(*arguments: str) -> float:
    """User and system time of a Python process with these arguments, all threads together. It must succeed."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # or every start would compile our sources again
    with open(os.devnull, "w") as nowhere:
        process = subprocess.Popen([sys.executable, *arguments], stdout=nowhere, stderr=subprocess.PIPE, env=environment, text=True)
        assert process.stderr is not None
        complaint = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, complaint
    return used.ru_utime + used.ru_stime


def netspec_seconds(*arguments: str) -> float:
    """The same for a netspec command."""
    return cpu_seconds("-m", "netspec", *arguments)


def command_in_time(bound: float, *arguments: str) -> bool:
    """Whether a netspec command takes no more than so many seconds of the processor, on a machine of the nominal pace."""
    return measured_in_time(bound, lambda: netspec_seconds(*arguments))


def warm(*arguments: str) -> None:
    """Run a netspec command once, so that sources are compiled and files are in the system's cache."""
    netspec_seconds(*arguments)


def best_ratio(theirs: Callable[[], float], ours: Callable[[], float], enough: float, rounds: int = ROUNDS) -> float:
    """`theirs / ours` by medians of interleaved rounds: the first of a few attempts that is enough, else the best of them."""
    ratios: list[float] = []
    while len(ratios) < ATTEMPTS and (not ratios or max(ratios) < enough):
        measured = [(theirs(), ours()) for _ in range(rounds)]
        ratios.append(median(t for t, _ in measured) / median(o for _, o in measured))
    return max(ratios)


def peak_bytes(arguments: Sequence[str]) -> int:
    """The most memory that a netspec command held, as Linux counts it for the process itself."""
    script = (
        "import sys; from netspec.cli.main import main; status = main(sys.argv[1:])\n"
        "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')).split()[1]); sys.exit(status)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script, *arguments], env=environment, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1]) * 1024
