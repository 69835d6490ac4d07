"""What came of a sweep: its trials, the best first, and how much each searched name mattered."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from netspec.training.loop.checkpoint import BEST, WEIGHTS
from netspec.training.sweep.queue import PLACE
from netspec.training.sweep.trial import EPOCH, FAILURE, SAME, VALUES, best_trial, folder_of_trial

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from netspec.training.sweep.plan import Sweep

#: states in the order of the table, and what they are called
_STATES = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed", "RUNNING": "running", "WAITING": "waiting"}
#: with fewer complete trials nothing can be said about what mattered
_ENOUGH = 4


def report_data(sweep: "Sweep", study: "Study", written: str | None) -> dict[str, Any]:
    """The whole report, as JSON has it. `written` is where the best spec was written to."""
    first: dict[int, FrozenTrial] = {}
    for trial in sorted(study.get_trials(deepcopy=False), key=lambda trial: trial.number):
        first.setdefault(trial.user_attrs.get(PLACE, -1), trial)
    trials = sorted((trial for place, trial in first.items() if place >= 0), key=lambda trial: _rank(sweep, trial))
    rows = [_row(sweep, trial) for trial in trials if trial.state.name != "WAITING"]
    best = best_trial(study)
    return {
        "net": sweep.spec.net,
        "section": sweep.request.sections[0].name,
        "monitor": sweep.monitor,
        "mode": sweep.mode,
        "best": _row(sweep, best) if best is not None else None,
        "spec": written,
        "weights": _weights(sweep, best),
        "importances": importances(study),
        "trials": rows,
        "counts": {word: sum(trial.state.name == state for trial in trials) for state, word in _STATES.items()},
        "storage": sweep.storage,
    }


def _rank(sweep: "Sweep", trial: "FrozenTrial") -> tuple[int, float, int]:
    value = trial.value if trial.state.name in ("COMPLETE", "PRUNED") and trial.value is not None else 0.0
    return list(_STATES).index(trial.state.name), value if sweep.mode == "min" else -value, trial.number


def _row(sweep: "Sweep", trial: "FrozenTrial") -> dict[str, Any]:
    known = trial.user_attrs
    seconds = trial.duration.total_seconds() if trial.duration is not None else None
    return {
        "trial": known[PLACE],
        "state": _STATES[trial.state.name],
        "value": trial.value if trial.state.is_finished() else None,
        "epoch": known.get(EPOCH),
        "values": known.get(VALUES, {}),
        "seconds": None if seconds is None else round(seconds, 3),
        "same_as": known.get(SAME),
        "failure": known.get(FAILURE),
        "folder": folder_of_trial(sweep, trial),
    }


def _weights(sweep: "Sweep", best: "FrozenTrial | None") -> str | None:
    """The file with the best trial's weights."""
    if best is None:
        return None
    paths = (os.path.join(folder_of_trial(sweep, best), name) for name in (WEIGHTS, BEST))
    return next((path for path in paths if os.path.exists(path)), None)


def importances(study: "Study") -> dict[str, float]:
    """How much of what makes a trial one of the best each searched name says, from 0 to 1 together (PED-ANOVA: Watanabe et al. 2023,
    arXiv:2304.10255); empty where there are too few complete trials, or only one name."""
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
    from optuna.trial import TrialState

    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(done) < _ENOUGH or len({trial.value for trial in done}) < 2 or not done[0].params:
        return {}
    found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    return {name: round(float(value), 4) for name, value in found.items()}


# ---------------------------------------------------------------------------------------------------------------- text
def report_text(data: dict[str, Any]) -> str:
    """The report as a table, and a line on each of what else there is."""
    names = list(dict.fromkeys(name for row in data["trials"] for name in row["values"]))
    table = [["trial", data["monitor"], "epoch", "time", "state", *names]]
    for row in data["trials"]:
        table.append([str(row["trial"]), number(row["value"]), str(row["epoch"] or ""), _time(row["seconds"]), _state(row)])
        table[-1] += [row["values"].get(name, "") for name in names]
    lines = _aligned(table) if len(table) > 1 else ["no trial was run"]
    lines += [f"  {row['trial']}: {row['failure']['code']}: {row['failure']['message']}" for row in data["trials"] if row["failure"]]
    if data["importances"]:
        lines.append("what mattered: " + ", ".join(f"{name} {value:.0%}" for name, value in data["importances"].items()))
    left = [f"{count} {word}" for word, count in data["counts"].items() if word in ("running", "waiting") and count]
    if left:
        lines.append(f"not done: {', '.join(left)}")
    if data["spec"]:
        lines.append(f"best spec: {data['spec']}")
    if data["weights"]:
        lines.append(f"weights: {data['weights']}")
    return "\n".join(lines)


def _state(row: dict[str, Any]) -> str:
    return f"as {row['same_as']}" if row["same_as"] is not None else row["state"]


def _aligned(table: list[list[str]]) -> list[str]:
    """Rows in columns, all but the state and the values right-aligned."""
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return [
        "  ".join(cell.rjust(width) if column < 4 else cell.ljust(width) for column, (cell, width) in enumerate(zip(row, widths))).rstrip()
        for row in table
    ]


def number(value: float | None) -> str:
    """A monitored value with five significant digits."""
    return "" if value is None else f"{value:.5g}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)}:{int(seconds % 60):02d} min"
