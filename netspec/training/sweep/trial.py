"""One trial: its values drawn, the spec compiled with them, trained in a folder of its own, and what came of it kept in the storage."""

from __future__ import annotations

import glob
import math
import os
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Callable, Mapping

from netspec.diagnostics.model import Refusal, SpecError
from netspec.record import record
from netspec.training.loop.checkpoint import LAST
from netspec.training.loop.events import EpochEnd, Event, Pruned, Remark
from netspec.training.sections import check_fits
from netspec.training.sweep.queue import PLACE
from netspec.training.sweep.ranges import draw, spelled
from netspec.training.sweep.space import split_values, with_values

if TYPE_CHECKING:
    from optuna.study import Study
    from optuna.trial import FrozenTrial

    from netspec.training.loop.job import Outcome, Request
    from netspec.training.sweep.plan import Sweep
    from netspec.training.sweep.queue import Claim

#: attributes of a trial: its values as they were used, why it failed, whose result it has, the epoch of its weights
VALUES, FAILURE, SAME, EPOCH = "values", "failure", "same_as", "epoch"
#: codes of what would stop any trial alike: data that cannot be read or do not fit, devices that are not there
_OF_ALL = ("NS71", "NS80", "NS82")

#: codes of what a section cannot be: some values may not go together
_OF_VALUES = "NS35"
#: codes of a checkpoint that is damaged, or of another run: the trial then begins anew
_NO_CHECKPOINT = ("NS811", "NS812")


@record
class Begun:
    """A trial begins, or goes on."""

    place: int
    values: Mapping[str, str]
    resumed: bool = False


@record
class Ended:
    """A trial is over: `complete`, `pruned`, `failed`, or `interrupted` and left to be resumed. `best` says whether none was better."""

    place: int
    state: str
    value: float | None = None
    epoch: int = 0
    reason: str = ""
    best: bool = False


@record
class Within:
    """Something that a trial's training tells: an epoch, or a remark."""

    place: int
    event: EpochEnd | Remark


Tell = Callable[["Begun | Ended | Within"], None]


class Interrupted(Exception):
    """The process was asked to stop; the trial is saved, and goes on where it was when it is taken up again."""


def run_trial(sweep: "Sweep", study: "Study", claim: "Claim", tell: Tell) -> None:
    """Run a claimed trial to its end. Raises `Interrupted`, and `Refusal` for what would stop any trial."""
    from optuna.trial import TrialState

    trial = claim.trial
    study.sampler = sweep.make_sampler(claim.place)
    drawn = {one.name: draw(trial, one.name, one.range) for one in sweep.space}
    texts = {name: spelled(value) for name, value in drawn.items()}
    trial.set_user_attr(VALUES, texts)
    tell(Begun(claim.place, texts, claim.resumed))
    twin = _twin(study, trial.number, texts)
    if twin is not None:
        trial.set_user_attr(SAME, twin.user_attrs[PLACE])
        trial.set_user_attr(EPOCH, twin.user_attrs.get(EPOCH, 0))
        _finish(sweep, study, claim, tell, TrialState.COMPLETE, twin.value)
        return
    try:
        request = request_of(sweep, drawn, claim)
        outcome = _train(request, sweep, claim, tell)
        value = worth_of(outcome, sweep) if outcome.reason in ("finished", "early") else None
    except Exception as failure:  # whatever PyTorch raises: one trial's fault is not the sweep's
        _fail(sweep, study, claim, tell, failure)
        return
    if outcome.interrupted:
        tell(Ended(claim.place, "interrupted"))
        raise Interrupted
    trial.set_user_attr(EPOCH, outcome.best or outcome.epoch)
    state = TrialState.PRUNED if outcome.reason == "pruned" else TrialState.COMPLETE
    _finish(sweep, study, claim, tell, state, value)


def request_of(sweep: "Sweep", drawn: Mapping[str, Any], claim: "Claim") -> "Request":
    """What a trial is trained as. Raises `SpecError` where there is no such network, `Refusal` where a setting has no such value."""
    parameters, settings = split_values(sweep.space, drawn)
    graph = sweep.spec.graph(parameters)
    section = with_values(sweep.spec.section(graph), settings).with_settings(search=())
    check_fits(graph, section)
    resume = os.path.exists(os.path.join(claim.folder, LAST))
    return replace(sweep.request, graph=graph, sections=(section,), out=claim.folder, resume=resume)


def _train(request: "Request", sweep: "Sweep", claim: "Claim", tell: Tell) -> "Outcome":
    """Train, report the monitored value at the end of every epoch, and stop where the pruner says so."""
    from netspec.training.logs import Logs
    from netspec.training.run import train

    trials = claim.trial.study.get_trials(deepcopy=False)
    reported = {step for trial in trials if trial.number == claim.trial.number for step in trial.intermediate_values}
    logs = Logs(("jsonl",))

    def watch(event: Event) -> None:
        logs(event)
        if isinstance(event, (EpochEnd, Remark)):
            tell(Within(claim.place, event))
        if not isinstance(event, EpochEnd):
            return
        value = event.metrics.get(sweep.monitor)
        if value is None:
            helps = (f"there are {', '.join(event.metrics)}", "validation data are a part of the data, `split = [0.8, 0.2]`, or --val")
            raise Refusal("NS839", f"nothing is measured that is called `{sweep.monitor}`", helps=helps, status=2)
        if event.epoch not in reported:
            claim.trial.report(value, event.epoch)
        if claim.trial.should_prune():
            raise Pruned

    try:
        return train(request, watch)
    except Refusal as refusal:
        if refusal.diagnostic.code not in _NO_CHECKPOINT or not request.resume:
            raise
        os.unlink(os.path.join(claim.folder, LAST))
        return train(replace(request, resume=False), watch)
    finally:
        logs.close()


def worth_of(outcome: "Outcome", sweep: "Sweep") -> float:
    """The monitored value of the weights that a training ended with: those of the best epoch where the section's `stop` restores them,
    else of the last. Raises `Refusal` (NS838) where it is not a number."""
    value = outcome.metrics.get(sweep.monitor, math.nan)
    if math.isnan(value):
        raise Refusal("NS838", f"`{sweep.monitor}` is not a number at the end")
    return float(value)


def _twin(study: "Study", number: int, texts: Mapping[str, str]) -> "FrozenTrial | None":
    """A finished trial with the same values: training is deterministic, and would give the same again."""
    from optuna.trial import TrialState

    for other in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        if other.number != number and other.user_attrs.get(VALUES) == dict(texts):
            return other
    return None


# ------------------------------------------------------------------------------------------------------------- the end
def _fail(sweep: "Sweep", study: "Study", claim: "Claim", tell: Tell, failure: Exception) -> None:
    """Keep a failure with the trial. Where no trial has come to anything yet, and the failure does not look like that of this trial's
    values, it is raised again: it would be every trial's."""
    from optuna.trial import TrialState

    if isinstance(failure, SpecError):
        code, message, alike = failure.diagnostics[0].code, failure.diagnostics[0].message, False
    elif isinstance(failure, Refusal):
        code, message = failure.diagnostic.code, failure.diagnostic.message
        alike = code.startswith(_OF_ALL) or (failure.status == 2 and not code.startswith(_OF_VALUES))
    elif isinstance(failure, MemoryError) or "out of memory" in str(failure).lower():
        code, message, alike = "NS838", "the trial needs more memory than there is", False
    else:
        words = str(failure).strip().splitlines() or [""]
        code, message, alike = "NS838", f"{type(failure).__name__}: {words[0][:300]}", True
    if alike and not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)):
        raise failure
    claim.trial.set_user_attr(FAILURE, {"code": code, "message": message})
    _finish(sweep, study, claim, tell, TrialState.FAIL, None)


def _finish(sweep: "Sweep", study: "Study", claim: "Claim", tell: Tell, state: Any, value: float | None) -> None:
    done = study.tell(claim.trial, value, state)
    _tidy(sweep, study)
    word = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}[done.state.name]
    failure = done.user_attrs.get(FAILURE, {})
    reason = f"{failure['code']}: {failure['message']}" if failure else ""
    best = best_trial(study)
    tell(Ended(claim.place, word, done.value, done.user_attrs.get(EPOCH, 0), reason, best is not None and best.number == done.number))


def best_trial(study: "Study") -> "FrozenTrial | None":
    """The complete trial with the best value, of equal ones the first; None where none is complete."""
    from optuna.study import StudyDirection
    from optuna.trial import TrialState

    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    sign = 1 if study.direction == StudyDirection.MINIMIZE else -1
    return min(done, key=lambda trial: (sign * (trial.value or 0.0), trial.number), default=None)


def folder_of_trial(sweep: "Sweep", trial: "FrozenTrial") -> str:
    """Where a trial's files are: those of the trial whose result it has."""
    return os.path.join(sweep.folder, f"trial-{trial.user_attrs[PLACE]:04d}")


def _tidy(sweep: "Sweep", study: "Study") -> None:
    """Remove checkpoints and weights of finished trials but the best one's, whose weights stay; logs stay."""
    best = best_trial(study)
    kept = folder_of_trial(sweep, best) if best is not None else None
    for trial in study.get_trials(deepcopy=False):
        if trial.state.is_finished() and PLACE in trial.user_attrs:
            folder = folder_of_trial(sweep, trial)
            for path in glob.glob(os.path.join(glob.escape(folder), "*.safetensors")):
                if folder != kept or os.path.basename(path) == LAST:
                    with suppress(FileNotFoundError):  # another process tidies, too
                        os.unlink(path)
