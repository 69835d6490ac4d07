"""Train a network as its `train` sections say, one after the other, or the one that `--section` names.

Data: `.npz`, `.npy`, HDF5, CSV, Parquet, a folder of arrays or of images, or `module:object` under --allow-code. They are divided by the
section's `split`, unless --val or --test are given. Columns are found by the names of the net's inputs and of the targets in losses and
metrics (`--column image=X,label=y` where the data call them otherwise). Everything is checked before the first step.

A run has a folder (`runs/NET`, or -o): `weights.safetensors` are the final weights, for `build --weights`, `run` and `verify`; `best` and
`last` those of the best epoch and of the last checkpoint; `log.jsonl` a line an epoch. A run that was stopped, by Ctrl-C or by force, goes
on with --resume as if it had never been: its weights and its log are equal to the last bit.

The JSON is {"net", "section", "reason", "epochs", "steps", "best", "metrics": {"train": {"loss": …}, "val", "test"}, "weights", "folder",
"seconds", "before"}; `before` has the same of sections that were run earlier. Exit status 130 says that the run was interrupted.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from typing import TYPE_CHECKING, Any

from netspec.cli.output import compiled, complain, spec_arguments, value_of
from netspec.diagnostics.model import Refusal

if TYPE_CHECKING:
    from netspec.graph import Graph
    from netspec.network import Compilation
    from netspec.recipe.section import Section
    from netspec.training.loop.job import Hardware, Outcome, Request


#: what data are divided into, in the order of the table
_SPLITS = ("train", "val", "test")


def arguments(parser: argparse.ArgumentParser) -> None:
    """SPEC, data, the run's folder, other values for settings, devices, and what is told."""
    spec_arguments(parser)
    data_arguments(parser)
    run = parser.add_argument_group("the run")
    run.add_argument("-o", "--output", metavar="DIR", help="its folder (default runs/NET, or runs/NET-SECTION)")
    run.add_argument("--section", metavar="NAME", help="only this `train` section, by name or number (default: all, in order)")
    run.add_argument("--resume", action="store_true", help="go on from the last checkpoint in the folder")
    run.add_argument("--force", action="store_true", help="replace the run that is in the folder")
    run.add_argument("--weights", metavar="FILE", help="start from these weights (the folder's of an earlier section, say)")
    run.add_argument("--checkpoint-every", type=int, metavar="STEPS", help="checkpoints within epochs, too (default: one a minute)")
    run.add_argument("--dry-run", action="store_true", help="show what would be done: groups, rates, data, memory; train nothing")
    run.add_argument("--find-lr", action="store_true", help="find a learning rate by a range test; the folder stays as it is")
    run.add_argument("--lr-range", metavar="LOW,HIGH", default="1e-7,10", help="what --find-lr tests (default 1e-7,10)")
    run.add_argument("--lr-steps", type=int, metavar="N", default=200, help="in how many updates (default 200)")
    setting_arguments(parser)
    device_arguments(parser)
    told = parser.add_argument_group("what is told")
    told.add_argument("--plot", metavar="FILE", help="draw loss, metrics and learning rate (.png, .svg, .pdf)")
    told.add_argument("--log", metavar="KINDS", default="jsonl", help="logs in the folder: jsonl (always), csv, tensorboard")
    told.add_argument("--format", choices=("text", "json"), default="text")


def data_arguments(parser: argparse.ArgumentParser) -> None:
    """Where data come from, and what reading them may do."""
    data = parser.add_argument_group("data")
    data.add_argument("--data", metavar="DATA", help="a file, a folder, or module:object")
    data.add_argument("--val", metavar="DATA", help="validation data, in place of a part of --data")
    data.add_argument("--test", metavar="DATA", help="test data, in place of a part of --data")
    data.add_argument("--column", dest="columns", metavar="NAME=NAME", action="append", default=[], help="the data's name for a column")
    data.add_argument("--allow-code", action="store_true", help="let `module:object` and `extern` import code")
    data.add_argument("--allow-pickle", action="store_true", help="read pickles, which can run any code")


def setting_arguments(parser: argparse.ArgumentParser) -> None:
    """Other values than those of the spec."""
    settings = parser.add_argument_group("settings, in place of the spec's")
    settings.add_argument(
        "--set",
        dest="settings",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="e.g. optimizer.lr=0.01, stop.patience=3, rates.fc=1",
    )
    for name in ("epochs", "batch", "seed", "accumulate"):
        settings.add_argument(f"--{name}", type=int, metavar="N")
    settings.add_argument("--precision", choices=("fp32", "bf16", "fp16"))
    settings.add_argument("--compile", action="store_true", default=None, help="run the network through torch.compile")


def device_arguments(parser: argparse.ArgumentParser) -> None:
    """Where it is computed."""
    devices = parser.add_argument_group("devices")
    devices.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu, cuda or cuda:1 (default auto)")
    devices.add_argument("--devices", type=int, default=1, metavar="N", help="GPUs, or processes on the processor, of this machine")
    devices.add_argument("--nodes", type=int, default=1, metavar="N", help="machines; start the command on each")
    devices.add_argument("--node-rank", type=int, default=0, metavar="R", help="which machine this is, from 0")
    devices.add_argument("--master", default="", metavar="HOST:PORT", help="where the first machine listens")
    devices.add_argument("--threads", type=int, metavar="N", help="threads of each process (default: PyTorch's choice)")


def run(options: argparse.Namespace) -> int:
    """Train, and say how well it went; 130 where it was interrupted."""
    from netspec.training import check_figure, check_hardware, kinds_of

    done = compiled(options)
    assert done.graph is not None
    sections = sections_of(done.graph, options)
    kinds = kinds_of(options.log)
    request = _request(done, sections, options)
    check_hardware(request.hardware)
    if options.plot:
        check_figure(options.plot)
    if options.dry_run or options.find_lr:
        from netspec.cli.train_plan import dry_run, find_lr

        return dry_run(request, options) if options.dry_run else find_lr(request, options)
    return _train(request, kinds, options)


# --------------------------------------------------------------------------------------------------- what is asked for
def sections_of(graph: "Graph", options: argparse.Namespace) -> "tuple[Section, ...]":
    """The sections that are meant, complete, with the values that the command line gives. Raises `Refusal`."""
    from netspec.training import check_complete, check_fits, chosen, overridden, unused_selectors

    given: dict[str, Any] = {}
    for text in options.settings:
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise Refusal("NS015", f"a setting is written NAME=VALUE, not `{text}`", helps=("--set optimizer.lr=0.01",), status=2)
        given[name.strip()] = value_of(value)
    for name in ("epochs", "batch", "seed", "accumulate", "precision", "compile"):
        if getattr(options, name) is not None:
            given[name] = getattr(options, name)
    found = []
    for section in chosen(graph, options.section):
        check_complete(section)
        found.append(overridden(section, given))
        check_fits(graph, found[-1])
        complain(unused_selectors(graph, found[-1], section))
    return tuple(found)


def hardware_of(options: argparse.Namespace) -> "Hardware":
    """The devices that a command line asks for."""
    from netspec.training import Hardware

    return Hardware(options.device, options.devices, options.nodes, options.node_rank, options.master, options.threads)


def _request(done: "Compilation", sections: "tuple[Section, ...]", options: argparse.Namespace) -> "Request":
    """The whole of it. Raises `Refusal` (NS015) where something is missing, or of no meaning."""
    from netspec.training import Request

    assert done.graph is not None
    if options.resume and options.force:
        raise Refusal("NS015", "--resume goes on with a run, and --force replaces it", helps=("leave out one of them",), status=2)
    if options.data is None:
        raise Refusal("NS015", "there are no data to train on", helps=("--data digits.npz, a folder, or module:object",), status=2)
    if options.checkpoint_every is not None and options.checkpoint_every < 1:
        raise Refusal("NS015", f"--checkpoint-every is 1 or more, not {options.checkpoint_every}", status=2)
    return Request(
        done.graph, sections, options.data, options.val, options.test,
        out=options.output or _default_folder(done.graph, sections), resume=options.resume, weights=options.weights,
        hardware=hardware_of(options), every=options.checkpoint_every, allow_code=options.allow_code, allow_pickle=options.allow_pickle,
        base=os.path.dirname(done.source.path or ""), options={"columns": columns_of(options.columns)} if options.columns else {},
    )  # fmt: skip


def columns_of(texts: list[str]) -> dict[str, str]:
    """`image=X,label=y`: what the data call the columns."""
    found = {}
    for item in ",".join(texts).split(","):
        name, sign, value = (part.strip() for part in item.partition("="))
        if not (sign and name and value):
            raise Refusal("NS015", f"a column is written NAME=NAME, not `{item}`", helps=("--column image=X,label=y",), status=2)
        found[name] = value
    return found


def _default_folder(graph: "Graph", sections: "tuple[Section, ...]") -> str:
    """`runs/NET`, and of one section that has a name of its own, or is one of several, `runs/NET-SECTION`."""
    from netspec.training import title

    name = title(graph, sections[0]) if len(sections) == 1 else graph.name
    return os.path.join("runs", graph.name if name == graph.name else f"{graph.name}-{name}")


# -------------------------------------------------------------------------------------------------------------- training
def _train(request: "Request", kinds: tuple[str, ...], options: argparse.Namespace) -> int:
    """Train, with progress and logs; print what came of it."""
    from netspec.training import Logs, Progress, check_folders, clear_folder, train
    from netspec.training.loop.events import Started, Stopped

    if not options.force:
        check_folders(request)
    logs, seconds = Logs(kinds), list[float]()
    with Progress() as progress:

        def watch(event: Any) -> None:
            clear_folder(event)
            logs(event)
            progress(event)
            if isinstance(event, Stopped):
                seconds.append(event.seconds)
            if isinstance(event, Started) and request.resume and event.number == 1 and not event.resumed:
                print(f"{event.folder}: there is nothing to go on from, so this is the beginning", file=sys.stderr)

        try:
            outcome = train(request, watch)
        finally:
            logs.close()
    facts = _facts(request, outcome, seconds)
    print(json.dumps(facts, indent=2) if options.format == "json" else _text(facts))
    if options.plot:
        _plot(request, options.plot)
    if outcome.interrupted:
        print("interrupted, and saved: the same command with --resume goes on from here", file=sys.stderr)
    return 130 if outcome.interrupted else 0


def _facts(request: "Request", outcome: "Outcome", seconds: list[float]) -> dict[str, Any]:
    """What came of a training, for JSON: the last section, and those before it."""
    outcomes = [*outcome.before, outcome]
    rows = [_section_facts(request, one, at) for one, at in zip(outcomes, [*[0.0] * (len(outcomes) - len(seconds)), *seconds])]
    return {**rows[-1], "before": rows[:-1]}


def _section_facts(request: "Request", outcome: "Outcome", seconds: float) -> dict[str, Any]:
    metrics: dict[str, dict[str, float | None]] = {}
    for name, value in sorted(outcome.metrics.items(), key=lambda item: _SPLITS.index(item[0].partition(".")[0])):
        split, _, metric = name.partition(".")
        metrics.setdefault(split, {})[metric] = value if math.isfinite(value) else None
    return {
        "net": request.graph.name, "section": outcome.section, "reason": outcome.reason, "epochs": outcome.epoch, "steps": outcome.step,
        "best": outcome.best, "metrics": metrics, "weights": outcome.path, "folder": os.path.dirname(outcome.path or "") or None,
        "seconds": round(seconds, 3),
    }  # fmt: skip


def _text(facts: dict[str, Any]) -> str:
    parts = [_section_text(one) for one in (*facts["before"], facts)]
    return "\n\n".join(parts)


def _section_text(facts: dict[str, Any]) -> str:
    """A table with a row a split and a column a metric, and where the weights are."""
    from netspec.training.progress import counted

    metrics = facts["metrics"]
    columns = list(dict.fromkeys(name for row in metrics.values() for name in row))
    rows = [["", *columns]]
    rows += [[split, *(_number(row.get(name)) for name in columns)] for split, row in metrics.items()]
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    far = f"epoch {facts['best']} of {facts['epochs']}" if facts["best"] else counted(facts["epochs"], "epoch")
    done = "predicted" if facts["reason"] == "predicted" else f"{far}, {counted(facts['steps'], 'step')}"
    lines = [f"{facts['section'] or facts['net']}: {done}, {facts['seconds']:.1f} s"]
    lines += ["  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:]))]).rstrip() for row in rows if metrics]
    return "\n".join([*lines, *([f"weights: {facts['weights']}"] if facts["weights"] else [])])


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}" if 1e-3 <= abs(value) < 1e5 or value == 0 else f"{value:.3e}"


def _plot(request: "Request", path: str) -> None:
    """Draw what the logs have, of every section that was begun."""
    from netspec.training import curves_of, folders_of, read_log, save_curves, title

    found = []
    for section, folder in zip(request.sections, folders_of(request)):
        records = read_log(folder)
        if records:
            name = title(request.graph, section)
            found.append(curves_of(records, request.graph.name if name == request.graph.name else f"{request.graph.name}: {name}"))
    if any(one.panels for one in found):
        save_curves(path, found)
        print(f"{path}: the curves", file=sys.stderr)
    else:
        print(f"no epoch has ended, so {path} is not drawn", file=sys.stderr)
