"""What `train --dry-run` and `train --find-lr` show."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from netspec.diagnostics.model import Refusal

if TYPE_CHECKING:
    from netspec.training.find_lr import RangeTest
    from netspec.training.loop.job import Request
    from netspec.training.plan import Plan


# ---------------------------------------------------------------------------------------------------------------- dry run
def dry_run(request: "Request", options: argparse.Namespace) -> int:
    """Show what would be done."""
    from netspec.training import plans

    found = plans(request)
    if options.format == "json":
        print(json.dumps({"net": request.graph.name, "sections": [_plan_data(plan) for plan in found]}, indent=2))
    else:
        print("\n\n".join(_plan_text(plan) for plan in found))
    return 0


def _plan_data(plan: "Plan") -> dict[str, Any]:
    columns = [{"name": c.name, "kind": c.kind, "found": c.found, "wanted": c.wanted} for c in plan.columns]
    rates = [{"epoch": epoch, "lr": rate} for epoch, rate in plan.rates]
    facts = ("section", "epochs", "steps", "batch", "groups", "folder")
    return {
        **{name: getattr(plan, name) for name in facts}, "examples": dict(plan.parts), "columns": columns, "rates": rates,
        "memory": {**plan.memory, "total": sum(plan.memory.values())},
    }  # fmt: skip


def _plan_text(plan: "Plan") -> str:
    from netspec.analyses.totals import size_text
    from netspec.training.progress import counted

    parts = ", ".join(f"{count:,} {name}" for name, count in plan.parts.items())
    memory = " + ".join(f"{size_text(size)} {name}" for name, size in plan.memory.items() if size)
    lines = [f"{plan.section}: {counted(plan.epochs, 'epoch')} of {counted(plan.steps, 'step')}, batch {plan.batch}", f"examples  {parts}"]
    width = max((len(c.name) for c in plan.columns), default=0)
    lines += [f"{c.kind:<8}  {c.name:<{width}}  {c.found}; wanted: {c.wanted}" for c in plan.columns]
    lines += ["", *plan.groups.splitlines(), ""] if plan.groups else []
    lines += ["epoch  learning rate"] * bool(plan.rates)
    lines += [f"{epoch:>5.4g}  {rate:.4g}" for epoch, rate in plan.rates]
    lines += ["", f"memory    {size_text(sum(plan.memory.values()))} in each process: {memory}"]
    return "\n".join([*lines, f"folder    {plan.folder}"])


# ------------------------------------------------------------------------------------------------------------- range test
def find_lr(request: "Request", options: argparse.Namespace) -> int:
    """Test learning rates on the first of the sections that are meant; draw what was seen where that is asked for."""
    from netspec.training import range_test, title
    from netspec.training.loop.job import Place
    from netspec.training.run import device_of, jobs

    low, high = _range(options.lr_range)
    if len(request.sections) > 1:
        names = ", ".join(title(request.graph, section) for section in request.sections)
        raise Refusal("NS015", "a range test is of one section", helps=(f"--section, one of {names}",), status=2)
    job = next(iter(jobs(request, Place(device_of(request)))))
    name = title(request.graph, request.sections[0])
    print(f"{name}: {options.lr_steps} updates, the learning rate from {low:g} to {high:g}", file=sys.stderr)
    found = range_test(job, low, high, options.lr_steps)
    print(json.dumps(_test_data(request, name, found), indent=2) if options.format == "json" else _test_text(found))
    if options.plot:
        found.save(options.plot, f"{name}: range test of the learning rate")
        print(f"{options.plot}: the loss over learning rates", file=sys.stderr)
    return 0


def _range(text: str) -> tuple[float, float]:
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        message = f"a range of learning rates is written LOW,HIGH, not `{text}`"
        raise Refusal("NS015", message, helps=("--lr-range 1e-7,10",), status=2) from None
    return low, high


def _test_data(request: "Request", name: str, found: "RangeTest") -> dict[str, Any]:
    return {
        "net": request.graph.name, "section": name, "suggestion": found.suggestion, "lowest": found.lowest,
        "rates": list(found.rates), "losses": list(found.losses), "smoothed": list(found.smoothed),
    }  # fmt: skip


def _test_text(found: "RangeTest") -> str:
    ended = "" if found.rates[-1] > found.lowest else ", the highest that was tried"
    return "\n".join(
        (
            f"the loss falls fastest at a learning rate of {found.suggestion:.2g}, and is least at {found.lowest:.2g}{ended}",
            f"--set optimizer.lr={found.suggestion:.2g}",
        )
    )
