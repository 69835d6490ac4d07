"""The measurement: a process an engine, all of a batch side by side, in rounds; then the next batch."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from netspec.backends.onnx import OnnxOptions, save
from netspec.backends.weight_files import weights_of
from netspec.diagnostics.model import Refusal
from netspec.graph import Graph
from netspec.record import draft
from netspec.runtime.bench.agreement import ALLOWED, Difference, Sample, difference
from netspec.runtime.bench.engines import Task
from netspec.runtime.bench.failures import reason
from netspec.runtime.bench.plan import GIVEN, Contender, Plan, checked, matches, meaningless, schedule, turned
from netspec.runtime.bench.process import Child, Failure
from netspec.runtime.bench.result import Bench, Row
from netspec.runtime.bench.statistics import speeds, spread
from netspec.runtime.bench.subject import Subject, of_file, of_graph
from netspec.runtime.providers import PROVIDERS

#: what is told while it runs: a line
Tell = Callable[[str], None]
#: seconds of warm-up at most, for each second of measuring, and at least
_WARM, _WARM_LEAST = 1.0, 1.0


@draft
class _Entry:
    """A contender with its process, while it runs. `times` are a list a round."""

    contender: Contender
    row: Row
    child: Child | None = None
    sample: Sample | None = None
    estimate: float = 0.0
    times: list[list[float]] | None = None


def bench(graph: Graph, plan: Plan, tell: Tell = lambda line: None) -> Bench:
    """Measure a network. Raises `Refusal`: NS758 for a plan that cannot be, NS720 to NS723 for sizes that do not fit.

    An engine that fails is a row with its reason. Ctrl-C ends the measurement; what was measured so far is the result.
    """
    return _bench(of_graph(graph, plan), checked(plan, tuple(PROVIDERS)), tell)


def bench_file(path: str, plan: Plan, tell: Tell = lambda line: None) -> Bench:
    """Measure an .onnx file, which onnxruntime alone can run. Raises as `bench`, and NS732 for a file that it does not take."""
    return _bench(of_file(path, plan), checked(plan, tuple(PROVIDERS)), tell)


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _bench(subject: Subject, plan: Plan, tell: Tell) -> Bench:
    threads = plan.threads or cores()
    result = Bench(subject.name, plan, threads, subject.sizes(None), graph=subject.graph)
    with tempfile.TemporaryDirectory(prefix="netspec-bench-") as folder:
        models = _Models(subject, plan, folder)
        try:
            for match in matches(plan, subject.batches):
                result.batches.append(subject.facts(match[0].batch))
                _measure(_Match(subject, plan, threads, models, tell, result), match)
        except KeyboardInterrupt:
            result.interrupted = True
    return result


class _Models:
    """The model files, each written when it is first asked for."""

    def __init__(self, subject: Subject, plan: Plan, folder: str) -> None:
        self.subject, self.plan, self.folder = subject, plan, folder

    def path(self, precision: str) -> str:
        """The file in that precision. bfloat16 keeps float32 at its ports: no array of Python's could be given otherwise."""
        if self.subject.graph is None or precision == GIVEN:
            return self.plan.also if precision == GIVEN else self.subject.path
        path = os.path.join(self.folder, f"{precision}.onnx")
        if not os.path.exists(path):
            options = OnnxOptions(precision=precision, io="low" if precision == "fp16" else "fp32")
            save(self.subject.graph, path, weights_of(self.subject.graph, self.plan.seed, self.plan.weights), options)
        return path


@draft
class _Match:
    """What the steps of one batch share."""

    subject: Subject
    plan: Plan
    threads: int
    models: _Models
    tell: Tell
    result: Bench


def _measure(match: _Match, contenders: list[Contender]) -> None:
    """All contenders of one batch: load one after the other, hold their outputs together, warm up, then take turns."""
    with _processes() as entries:
        try:
            entries += [_Entry(contender, Row(contender)) for contender in contenders]
            for entry in entries:
                _begin(entry, match)
            _compare(entries, match.plan.tf32)
            for entry in entries:
                _attempt(entry, _warm, match.plan)
            _rounds(match, entries)
            for entry in entries:
                _attempt(entry, _memory)
        finally:
            _settle(entries)
            match.result.rows += [entry.row for entry in entries]


@contextmanager
def _processes() -> Iterator[list[_Entry]]:
    entries: list[_Entry] = []
    try:
        yield entries
    finally:
        for entry in entries:
            if entry.child is not None:
                entry.child.close()


def _attempt(entry: _Entry, step: Callable[..., None], *given: Any) -> None:
    """A step of one contender, if it is still in the race; where it fails, why goes to its row."""
    if entry.row.reason:
        return
    try:
        step(entry, *given)
    except (Failure, Refusal) as error:
        code, why = (error.code, error.reason) if isinstance(error, Failure) else reason(error)
        entry.row.code, entry.row.reason = code, why
        if entry.child is not None:
            entry.child.close()
            entry.child = None


# -------------------------------------------------------------------------------------------------------------- steps
def _begin(entry: _Entry, match: _Match) -> None:
    entry.row.reason = match.subject.meaningless(entry.contender) or meaningless(entry.contender)
    entry.row.code = "NS758" if entry.row.reason else ""
    if not entry.row.reason:
        match.tell(f"{entry.contender}: loading")
    _attempt(entry, _load, match)


def _load(entry: _Entry, match: _Match) -> None:
    contender, subject, plan = entry.contender, match.subject, match.plan
    torch = contender.engine != "ort"
    task = Task(
        contender.engine, contender.provider, contender.precision, match.threads, plan.tf32, subject.inputs(contender.batch),
        graph=subject.graph if torch else None, seed=plan.seed, weights=plan.weights,
        model="" if torch else match.models.path(contender.precision),
    )  # fmt: skip
    entry.child = Child(match.threads)
    entry.row.loading, entry.sample, facts, entry.row.note = entry.child.ask("load", task)
    match.result.facts.update(facts)


def _compare(entries: list[_Entry], tf32: bool) -> None:
    """Hold all outputs against those of the first engine in float32; who is wrong is out."""
    running = [entry for entry in entries if entry.sample is not None]
    reference = next((entry for entry in running if entry.contender.precision == "fp32"), running[0] if running else None)
    for entry in running:
        assert reference is not None and reference.sample is not None and entry.sample is not None
        found = difference(reference.sample, entry.sample)
        entry.row.off = found.share
        entry.sample = entry.sample if entry is reference else {}
        allowed = max(_allowed(one.contender, tf32) for one in (entry, reference))
        if found.share > allowed:
            entry.row.wrong = True
            _attempt(entry, _refuse, found, allowed)


def _allowed(contender: Contender, tf32: bool) -> float:
    rounded = tf32 and contender.precision == "fp32" and contender.provider != "cpu"
    return ALLOWED["tf32" if rounded else contender.precision]


def _refuse(entry: _Entry, found: Difference, allowed: float) -> None:
    values = f"{found.found:.6g}, not {found.expected:.6g}"
    raise Failure("NS758", f"wrong: `{found.output}` is off by {found.share:.2g} of its scale ({values}); {allowed:g} is allowed")


def _warm(entry: _Entry, plan: Plan) -> None:
    assert entry.child is not None
    entry.row.warm, entry.estimate = entry.child.ask("warm", max(_WARM_LEAST, _WARM * plan.seconds))


def _memory(entry: _Entry) -> None:
    assert entry.child is not None
    entry.row.memory, entry.row.device_memory = entry.child.ask("memory")


def _rounds(match: _Match, entries: list[_Entry]) -> None:
    racing = [entry for entry in entries if not entry.row.reason]
    plan = schedule([entry.estimate for entry in racing], match.plan.seconds, match.plan.runs)
    for entry in racing:
        entry.times = []
    for number, calls in enumerate(plan):
        match.tell(f"round {number + 1} of {len(plan)}")
        for entry, count in turned(list(zip(racing, calls)), number):
            _attempt(entry, _turn, count)


def _turn(entry: _Entry, calls: int) -> None:
    assert entry.child is not None and entry.times is not None
    entry.times += entry.child.ask("turn", calls)


def _settle(entries: list[_Entry]) -> None:
    """What the times say, so far; an engine without any has a reason."""
    measured = [entry for entry in entries if entry.times and not entry.row.reason]
    for entry in measured:
        own, first = entry.contender, measured[0]
        like = next(e for e in measured if (e.contender.provider, e.contender.precision) == (own.provider, own.precision))
        assert entry.times is not None and first.times is not None and like.times is not None
        entry.row.seconds = spread([time for times in entry.times for time in times])
        entry.row.speed, entry.row.speed_alike = speeds(first.times, entry.times), speeds(like.times, entry.times)
    for entry in entries:
        if entry.row.seconds is None and not entry.row.reason:
            entry.row.reason = "interrupted"
