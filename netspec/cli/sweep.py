"""Search for the values with which a network trains best: those that its `train` section, or --search, declares as searched.

A searched name is an argument of the optimizer (`lr`), a setting (`batch`), an argument of another entry (`cosine.epochs`, `clip.most`),
or a parameter of the net (`width`). A range is `log(1e-4, 1)`, `uniform(0, 0.5)`, `int(1, 8)` or a list. What -p or --set gives a value is
not searched.

Every trial is a training of its own, in `STORAGE.trials/trial-0000` and so on. Trials are kept in --storage (`SPEC.journal`, unless
given): the same command, started again, goes on where it was, and may be started several times at once, on several machines that share the
folder; --jobs starts several processes at once. --trials counts all of them together. What cannot be trained is a failed trial; the
search goes on.

The best values are written into a copy of the spec (`STORAGE.trials/best.net`, or -o), in which nothing is searched any more.

The JSON is {"net", "section", "monitor", "mode", "best", "spec", "weights", "importances", "trials": [{"trial", "state", "value", "epoch",
"values", "seconds", "same_as", "failure", "folder"}], "counts", "storage"}, the best trial first. Exit status 1 says that no trial was
completed, 130 that the search was interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from netspec.api import check_sizes, choose_net, open_spec
from netspec.cli.output import call_of, limits_of, read_stdin, spec_arguments, value_of
from netspec.cli.train import columns_of, data_arguments
from netspec.diagnostics.model import Refusal, Report, SpecError

if TYPE_CHECKING:
    from netspec.training.loop.job import Request
    from netspec.training.sweep import Spec, Sweep


def arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC, data, what is searched and how, where trials are kept, other values for settings, devices."""
    spec_arguments(parser)
    data_arguments(parser)
    search = parser.add_argument_group("the search")
    search.add_argument("--search", metavar="NAME=RANGE", action="append", default=[], help="e.g. 'lr=log(1e-4, 1)', 'width=[8, 16]'")
    search.add_argument("--section", metavar="NAME", help="the `train` section, by name or number")
    search.add_argument("--trials", type=int, metavar="N", help="in all (default: the whole grid, or 20)")
    search.add_argument("--sampler", choices=("grid", "random", "bayesian"), default="bayesian", help="how values are drawn")
    search.add_argument("--pruner", choices=("none", "median", "halving"), default="none", help="how hopeless trials are ended early")
    search.add_argument("--grid-points", type=int, metavar="N", help="how many values a grid takes of a continuous range")
    search.add_argument("--monitor", metavar="NAME", help="what a trial is worth: val.loss, val.accuracy (default: that of `stop`)")
    search.add_argument("--seed", type=int, default=0, metavar="N", help="of the drawing (that of the training: --set seed=N)")
    search.add_argument("--jobs", type=int, default=1, metavar="N", help="trials at once, a process each")
    search.add_argument("--storage", metavar="FILE|URL", help="FILE.journal, sqlite:///FILE.db … (default: SPEC.journal)")
    search.add_argument("--timeout", type=float, metavar="SECONDS", help="begin no trial after that time")
    search.add_argument("-o", "--output", metavar="FILE", help="where the best spec is written")
    settings = parser.add_argument_group("settings of all trials, in place of the spec's")
    settings.add_argument("--set", dest="settings", metavar="NAME=VALUE", action="append", default=[], help="e.g. optimizer.lr=0.01")
    settings.add_argument("--epochs", type=int, metavar="N")
    settings.add_argument("--batch", type=int, metavar="N")
    devices = parser.add_argument_group("devices")
    devices.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu, cuda or cuda:1 (default auto)")
    devices.add_argument("--devices", type=int, default=1, metavar="N", help="GPUs, or processes on the processor, of each trial")
    devices.add_argument("--threads", type=int, metavar="N", help="threads of each process (default: all, shared among --jobs)")
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(options: argparse.Namespace) -> int:
    """Search, and say what was found; 1 where no trial was completed, 130 where it was interrupted."""
    from netspec.training.sweep import check_place, opened, report_data, report_text, run_sweep, silence

    if options.jobs < 1:
        raise Refusal("NS015", f"--jobs is 1 or more, not {options.jobs}", status=2)
    sweep = _sweep(options)
    output = options.output or os.path.join(sweep.folder, "best.net")
    if options.output:
        check_place(sweep)
    progress = _Progress(sweep)
    try:
        whole = run_sweep(sweep, options.jobs, progress)
    except KeyboardInterrupt:
        whole = False
    with silence():
        study = opened(sweep)
        data = report_data(sweep, study, _written(sweep, study, output, bool(options.output)))
    print(json.dumps(data, indent=2) if options.format == "json" else report_text(data))
    if not whole:
        print("interrupted, and saved: the same command goes on from here", file=sys.stderr)
        return 130
    return 0 if data["best"] is not None else 1


def _written(sweep: "Sweep", study: Any, output: str, asked: bool) -> str | None:
    """Write the best spec, if there is one; that it cannot be written is an error where a file was asked for."""
    from netspec.training.sweep import write_best

    try:
        return write_best(sweep, study, output)
    except Refusal as refusal:
        if asked:
            raise
        print(f"no best spec is written: {refusal.diagnostic.message}", file=sys.stderr)
        return None


# --------------------------------------------------------------------------------------------------- what is asked for
def _sweep(options: argparse.Namespace) -> "Sweep":
    """The sweep that a command line means, checked as far as that goes without data. Raises `Refusal` or `SpecError`."""
    from netspec.training import sweep as sweeps

    if options.data is None:
        raise Refusal("NS015", "there are no data to train on", helps=("--data digits.npz, a folder, or module:object",), status=2)
    ranges = dict(_range(sweeps, text) for text in options.search)
    spec = _spec(options)
    module = spec.module()
    graph = sweeps.compile_once(spec, module, ranges)
    check_sizes(graph, spec.sizes, spec.source)
    section = spec.section(graph)
    space = sweeps.space_of(section, ranges, spec.parameters(module), [*spec.arguments, *spec.settings])
    sweeps.check_space(space, spec, module, section)
    trials = sweeps.total_of(space, options.sampler, options.trials, options.grid_points)
    monitor = options.monitor or getattr(section.stop, "monitor", "val.loss")
    mode = sweeps.mode_of(graph, section, monitor, options.val is not None)
    storage = options.storage or f"{_stem(spec)}.journal"
    return sweeps.Sweep(
        spec, space, _request(graph, section, spec, options), monitor, mode, trials, options.sampler,
        options.pruner, storage, f"{spec.net}.{section.name}" if section.name else spec.net, sweeps.folder_beside(storage, _stem(spec)),
        options.grid_points, options.seed, None if options.timeout is None else time.time() + options.timeout,
    )  # fmt: skip


def _spec(options: argparse.Namespace) -> "Spec":
    from netspec.syntax.parse import parse
    from netspec.training.sweep import Spec

    limits = limits_of(options)
    source, net = open_spec(options.spec, limits, read_stdin(options.spec))
    report = Report()
    name = choose_net(parse(source, report, limits), net, report)
    if name is None or not report.ok:
        raise SpecError(report.errors)
    parameters, sizes = call_of(options)
    return Spec(source, name, parameters, sizes, limits, options.section, _settings(options))


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for text in options.settings:
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise Refusal("NS015", f"a setting is written NAME=VALUE, not `{text}`", helps=("--set optimizer.lr=0.01",), status=2)
        given[name.strip()] = value_of(value)
    return {**given, **{name: getattr(options, name) for name in ("epochs", "batch") if getattr(options, name) is not None}}


def _range(sweeps: Any, text: str) -> tuple[str, Any]:
    name, sign, value = (part.strip() for part in text.partition("="))
    if not sign or not name or not value:
        raise Refusal("NS015", f"what is searched is written NAME=RANGE, not `{text}`", helps=("--search 'lr=log(1e-4, 1)'",), status=2)
    return name, sweeps.range_of(name, value)


def _request(graph: Any, section: Any, spec: "Spec", options: argparse.Namespace) -> "Request":
    from netspec.training import Hardware, Request, check_hardware

    hardware = Hardware(options.device, options.devices, threads=options.threads)
    check_hardware(hardware)
    return Request(
        graph, (section,), options.data, options.val, options.test, hardware=hardware, allow_code=options.allow_code,
        allow_pickle=options.allow_pickle, base=os.path.dirname(spec.source.path or ""),
        options={"columns": columns_of(options.columns)} if options.columns else {},
    )  # fmt: skip


def _stem(spec: "Spec") -> str:
    """What a sweep's files are called after: the spec's file, in the folder one stands in."""
    path = spec.source.path
    return os.path.splitext(os.path.basename(path))[0] if path else spec.net


# ------------------------------------------------------------------------------------------------------------- progress
class _Progress:
    """Lines on standard error: a trial begins, an epoch now and then, a trial ends."""

    EVERY = 10.0

    def __init__(self, sweep: "Sweep") -> None:
        self._sweep, self._said, self._remarks = sweep, time.monotonic(), set[str]()

    def __call__(self, told: Any) -> None:
        """Show what is told."""
        kind = type(told).__name__
        if kind == "Begun":
            values = ", ".join(f"{name} = {value}" for name, value in told.values.items())
            self._say(f"trial {told.place} of {self._sweep.trials}{' goes on' if told.resumed else ''}: {values}")
        elif kind == "Ended":
            self._say(f"trial {told.place}: {self._ending(told)}")
        elif kind == "Within":
            self._within(told.place, told.event)

    def _ending(self, told: Any) -> str:
        value = "" if told.value is None else f"{self._sweep.monitor} {told.value:.5g}"
        epoch = f" at epoch {told.epoch}" if told.epoch and value else ""
        state = "" if told.state == "complete" else f"{told.state}{': ' if value or told.reason else ''}"
        return f"{state}{value}{epoch}{told.reason}{', the best so far' if told.best else ''}"

    def _within(self, place: int, event: Any) -> None:
        kind = type(event).__name__
        if kind == "EpochEnd" and time.monotonic() - self._said > self.EVERY:
            value = event.metrics.get(self._sweep.monitor, float("nan"))
            self._say(f"trial {place}: epoch {event.epoch}, {self._sweep.monitor} {value:.5g}")
        elif kind == "Remark" and event.text not in self._remarks:
            self._remarks.add(event.text)
            self._say(f"note: {event.text}")

    def _say(self, text: str) -> None:
        self._said = time.monotonic()
        print(text, file=sys.stderr, flush=True)
