"""The best trial of a sweep, written back as a spec."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from netspec.files import write_atomic
from netspec.training.sweep.ranges import draw
from netspec.training.sweep.space import split_values, target_of, with_values
from netspec.training.sweep.trial import best_trial
from netspec.training.sweep.writing import Best, best_text, statement_of

if TYPE_CHECKING:
    from optuna.study import Study

    from netspec.training.sweep.plan import Sweep


def check_place(sweep: "Sweep") -> None:
    """Raises `Refusal` (NS834) where the section stands in another file, so that nothing could be written into it."""
    statement_of(sweep.spec, sweep.spec.module(), sweep.request.sections[0])


def write_best(sweep: "Sweep", study: "Study", path: str) -> str | None:
    """Write the spec with the best trial's values to a file, and give its path; None where no trial is complete.

    Raises `Refusal`: NS834 where it cannot be written so that it means the same, NS020 where the file cannot.
    """
    trial = best_trial(study)
    if trial is None:
        return None
    drawn = {one.name: draw(trial, one.name, one.range) for one in sweep.space}
    parameters, settings = split_values(sweep.space, drawn)
    graph = sweep.spec.graph(parameters)
    before = sweep.spec.section(graph)
    changed = [one.target for one in sweep.space if one.target.kind != "parameter"]
    changed += [target for name in sweep.spec.settings if (target := target_of(before, name)) not in changed]
    best = Best({**sweep.spec.arguments, **parameters}, with_values(before, settings), tuple(changed), graph)
    folder = os.path.dirname(path) or "."
    text = best_text(sweep.spec, before, best, folder)
    os.makedirs(folder, exist_ok=True)
    write_atomic(path, text.encode())
    return path
